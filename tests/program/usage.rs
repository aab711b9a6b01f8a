//! The command line: what is refused, in one line, with status 2; what is shown on request.

use crate::running::run;

#[test]
fn what_cannot_be_meant_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, message) in [
        (&[][..], "requires a subcommand"),
        (&["serv"], "unrecognized subcommand 'serv'; tip: a similar subcommand exists: 'serve'"),
        (&["ls", "--lnog"], "unexpected argument '--lnog' found; tip: a similar argument exists: '--long'"),
        (&["cat"], "the following required arguments were not provided: <FILE>..."),
        (&["cp", "a"], "the following required arguments were not provided: <SOURCE>..."),
        (&["cat", "--range", "5", "x"], "write FIRST-LAST or FIRST-, as in 100-199"),
        (&["find", ".", "--type", "x"], "possible values: f, d, l"),
        (&["find", ".", "--name", "[a"], "--name [a: the pattern has [ without ]: write \\[ for one"),
        (&["tree", "--depth", "0"], "0 is not in 1..=65535"),
        (&["ls", ""], "a path is empty: write . for the current folder"),
        (&["ls", "#tgz:"], "\"#tgz:\" enters an archive without naming it"),
        (&["ls", "--mount", "x"], "--mount x: that would hide the whole host: name another place"),
        (&["ls", "--mount", "/x=none"], "/none: create it, or name another folder"),
        (
            &["ls", "--mount", "/x=gopher://h/"],
            "\"gopher:\" is no source that is known here; known: ftp:, ftpes:, ftps:, http:, https:, memory:",
        ),
        (&["serve", "none"], "MOUNT none: there is no "),
        (&["serve", ".", "."], "MOUNT .: / is mounted twice: put one of them elsewhere, as in /x=SOURCE"),
        (&["serve", "--http", "localhost"], "\"localhost\" is no address to listen on: write IP:PORT"),
        (&["serve", "--http", "off", "--ftp", "off"], "nothing listens: leave --http or --ftp on"),
        (&["serve", "--http", "off", "--http", "127.0.0.1:0"], "--http off stands beside another --http"),
        (
            &["serve", "--passive-ports", "9-1"],
            "\"9-1\" is no range of ports: write LOW-HIGH, as in 50000-50100",
        ),
        (&["serve", "--ftp", "off", "--passive-ports", "1-9"], "--passive-ports is for FTP, which is off"),
        (&["serve", "--config", "none.toml"], "none.toml: cannot be read: No such file or directory"),
        (&["serve", "--log", "loud"], "possible values: off, error, warn, info, debug, trace"),
    ] {
        let said = run(folder.path(), arguments).refused(2);
        assert!(said.contains(message), "{arguments:?}\n  says  {said}\n  not   {message}");
    }
}

#[test]
fn help_names_every_command_and_no_option_that_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let help = String::from_utf8(run(folder.path(), &["--help"]).good()).unwrap();
    for command in ["serve", "ls", "cat", "stat", "tree", "cp", "find", "check"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} in {help}");
        let own = String::from_utf8(run(folder.path(), &[command, "--help"]).good()).unwrap();
        assert!(own.contains(&format!("Usage: vfsd {command}")), "{own}");
    }
    let version = String::from_utf8(run(folder.path(), &["--version"]).good()).unwrap();
    assert_eq!(version, concat!("vfsd ", env!("CARGO_PKG_VERSION"), "\n"));
}

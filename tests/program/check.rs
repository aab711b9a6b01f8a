//! `check`: a configuration is refused with file, line, key and cure, or shown as it would be served.

use std::fs;

use crate::running::run;

#[test]
fn a_right_configuration_is_shown_as_it_would_be_served() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("files")).unwrap();
    let text = r#"
        [[mount]]
        at = "/pub"
        source = "files"

        [[serve]]
        protocol = "http"
        listen = "127.0.0.1:0"
        limits = { connections = 5, idle = "2m" }
    "#;
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    fs::write(folder.path().join("vfsd.toml"), text).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    let shown = String::from_utf8(run(&elsewhere, &["check", "../vfsd.toml"]).good()).unwrap();
    let files = folder.path().join("files");
    assert_eq!(
        shown,
        format!(
            "mount /pub from {}\nserve http on 127.0.0.1:0, 5 connections, 4 an address, idle 2m, \
             stall by protocol, drain 30s\nlog info as text\n",
            files.display()
        )
    );
}

#[test]
fn a_wrong_configuration_is_refused_by_check_and_by_serve_alike() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display();
    for (text, message) in [
        ("[[mount]]\nat = \"/\"\nsource = \"none\"\n", format!("c.toml:3: mount.source: there is no {here}/none: create it, or name another folder")),
        ("[[mount]]\nat = \"/\"\nsource = \"c.toml\"\n", format!("c.toml:3: mount.source: {here}/c.toml: invalid request: it holds something that is not known here, which cannot be entered")),
        ("[[mount]]\nat = \"/\"\nsource = \"sftp://h/\"\n", "c.toml:3: mount.source: sftp://h/: not supported here: \"sftp:\" is no source that is known here; known: ftp:, ftpes:, ftps:, http:, https:, memory:".to_owned()),
        ("[[mount]]\nat = \"/\"\nsource = \".\"\nwritble = true\n", "c.toml:4: mount.writble: unknown key; did you mean \"writable\"? Known: at, source, writable, cache_control, pages, remote, mirror".to_owned()),
        ("[[mount]]\nat = \"/\"\nsource = \".\"\n[[serve]]\nprotocol = \"ftp\"\nlisten = \"1.2.3.4\"\n", "c.toml:6: serve.listen: \"1.2.3.4\" is no address to listen on: write IP:PORT (127.0.0.1:8080, [::1]:8080; port 0 takes a free one) or unix:/absolute/path".to_owned()),
        ("[[mount]]\nat = \"/\"\nsource = \".\"\n[log]\nlevel = \"warning\"\n", "c.toml:5: log.level: \"warning\" is not known here; did you mean \"warn\"? Known: off, error, warn, info, debug, trace".to_owned()),
        ("[[mount]\n", "c.toml:1: unclosed array table, expected \"]\"".to_owned()),
    ] {
        fs::write(folder.path().join("c.toml"), text).unwrap();
        let checked = run(folder.path(), &["check", "c.toml"]).refused(2);
        assert_eq!(checked, message);
        let arguments = ["serve", "--config", "c.toml", "--http", "127.0.0.1:0", "--ftp", "off"];
        if !text.contains("[[serve]]") {
            assert_eq!(run(folder.path(), &arguments).refused(2), message);
        }
    }
}

#[test]
fn what_is_no_configuration_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("latin"), b"# \xe9").unwrap();
    fs::File::create(folder.path().join("huge")).unwrap().set_len(2 << 20).unwrap();
    for (file, message) in [
        ("none", "none: cannot be read: No such file or directory"),
        (".", ".: is no file: name the configuration file itself"),
        ("latin", "latin: is not UTF-8 text: save it as UTF-8"),
        ("huge", "huge: is longer than 1 MiB"),
        ("/dev/zero", "/dev/zero: is no file: name the configuration file itself"),
    ] {
        let said = run(folder.path(), &["check", file]).refused(2);
        assert!(said.starts_with(message), "{said}");
    }
}

#[test]
fn a_configuration_without_mounts_serves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c.toml"), "").unwrap();
    let said = run(folder.path(), &["serve", "--config", "c.toml", "--http", "127.0.0.1:0"]).refused(2);
    assert_eq!(said, "c.toml: there is nothing to serve: add a [[mount]]");
}

//! `index` and `--cache`: archives read through ahead of time, by the real program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::running::{Server, get, run, vfsd};

/// A folder with a tgz of some 100 MB of content, which takes longer than indexes are worth, and what is in it.
fn archives() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tree")).unwrap();
    for number in 0..24_u32 {
        let text: String = (0..90_000).map(|line| format!("{:x}\n", line * 7919 % (number + 4001))).collect();
        fs::write(folder.path().join(format!("tree/{number}")), text.repeat(12)).unwrap();
    }
    for name in ["a.tgz", "b.tgz"] {
        let packed =
            Command::new("tar").args(["-czf", name, "tree"]).current_dir(folder.path()).status().unwrap();
        assert!(packed.success());
        // Others have other bytes, so one name is not taken for the other.
        fs::write(folder.path().join("tree/0"), "changed").unwrap();
    }
    folder
}

/// The indexes in a cache folder.
fn indexes(cache: &Path) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(cache.join("archives")) else { return Vec::new() };
    let files = files.map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "index")).collect()
}

#[test]
fn two_archives_are_indexed_and_a_server_finds_the_indexes() {
    let folder = archives();
    let cache = folder.path().join("cache");
    let built = run(folder.path(), &["index", "--cache", "cache", "a.tgz", "b.tgz#tgz:"]);
    let lines = String::from_utf8(built.good()).unwrap();
    let lines: Vec<_> = lines.lines().collect();
    assert!(lines.len() == 2 && lines[0].ends_with("/a.tgz: 25 names"), "{lines:?}");
    assert!(lines[1].ends_with("/b.tgz#tgz:: 25 names"), "{lines:?}");
    assert_eq!(indexes(&cache).len(), 2);
    let arguments = ["--http", "127.0.0.1:0", "--ftp", "off", "--log", "debug", "--cache", "cache", "."];
    let mut server = Server::start(folder.path(), &arguments, 1);
    let wanted = fs::read(folder.path().join("tree/17")).unwrap();
    assert!(get(server.address("http"), "/a.tgz%23tgz:/tree/17").1 == wanted);
    let log = server.log_until("an archive's index was found").join("\n");
    assert!(!log.contains("is read through"), "{log}");
}

#[test]
fn an_archive_that_cannot_be_read_through_is_told_and_stops_no_other() {
    let folder = archives();
    let whole = fs::read(folder.path().join("a.tgz")).unwrap();
    fs::write(folder.path().join("cut.tgz"), &whole[..whole.len() / 2]).unwrap();
    let built = run(folder.path(), &["index", "--cache", "cache", "cut.tgz", "none.tgz", "a.tgz"]);
    assert_eq!(built.status, 1, "{}", built.err);
    let complaints: Vec<_> = built.err.lines().collect();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].contains("/cut.tgz: ") && complaints[0].contains("damaged"), "{complaints:?}");
    assert!(complaints[1].ends_with("/none.tgz: no such file or folder"), "{complaints:?}");
    assert!(String::from_utf8(built.out).unwrap().ends_with("/a.tgz: 25 names\n"));
}

#[test]
fn a_bare_file_that_is_damaged_is_told_and_bytes_behind_a_tars_end_are_remarked_on() {
    let folder = tempfile::tempdir().unwrap();
    let script = "seq 90000 > a && xz -k --check=crc32 a && cp a b && gzip -k b && seq 9 > c && tar -cf c.tar c && echo more >> c.tar";
    assert!(Command::new("sh").args(["-ec", script]).current_dir(folder.path()).status().unwrap().success());
    for name in ["a.xz", "b.gz"] {
        let mut bytes = fs::read(folder.path().join(name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 9].fill(0xff);
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let built = run(folder.path(), &["index", "--cache", "cache", "a.xz#xz:", "b.gz#gz:", "c.tar"]);
    assert_eq!(built.status, 1, "{}", built.err);
    let lines: Vec<_> = built.err.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("/a.xz") && lines[0].contains("damaged"), "{lines:?}");
    assert!(lines[1].contains("/b.gz") && lines[1].contains("damaged"), "{lines:?}");
    assert!(lines[2].contains("/c.tar: there are bytes behind its end"), "{lines:?}");
    assert!(String::from_utf8(built.out).unwrap().ends_with("/c.tar: 1 names\n"));
}

#[test]
fn an_index_beside_its_archive_saves_another_machine_the_pass_where_it_is_trusted() {
    let folder = archives();
    run(folder.path(), &["index", "--cache", "cache", "--beside", "a.tgz"]).good();
    fs::create_dir(folder.path().join("other")).unwrap();
    for name in ["a.tgz", ".a.tgz.vfsd-index"] {
        fs::copy(folder.path().join(name), folder.path().join("other").join(name)).unwrap();
    }
    let wanted = fs::read(folder.path().join("tree/17")).unwrap();
    for (cache, option, said) in [
        ("trusting", Some("--indexes-beside"), "an archive's index was found"),
        ("wary", None, "an archive was read through"),
    ] {
        let arguments = ["--http", "127.0.0.1:0", "--ftp", "off", "--log", "debug", "--cache", cache];
        let arguments: Vec<_> = arguments.into_iter().chain(option).chain(["other"]).collect();
        let mut server = Server::start(folder.path(), &arguments, 1);
        assert!(get(server.address("http"), "/a.tgz%23tgz:/tree/17").1 == wanted, "{cache}");
        server.log_until(said);
    }
    // One of another archive is none.
    fs::copy(folder.path().join("b.tgz"), folder.path().join("other/a.tgz")).unwrap();
    let arguments = [
        "--http",
        "127.0.0.1:0",
        "--ftp",
        "off",
        "--log",
        "info",
        "--cache",
        "third",
        "--indexes-beside",
        "other",
    ];
    let mut server = Server::start(folder.path(), &arguments, 1);
    assert!(get(server.address("http"), "/a.tgz%23tgz:/tree/17").1 == wanted);
    server.log_until("it is of another archive");
}

#[test]
fn a_second_tar_behind_the_first_is_shown_where_zeros_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo 1 > a && echo 2 > b && tar -cf x.tar a && tar -cf y.tar b && cat y.tar >> x.tar";
    assert!(Command::new("sh").args(["-ec", script]).current_dir(folder.path()).status().unwrap().success());
    assert_eq!(run(folder.path(), &["ls", "x.tar#tar:/"]).good(), b"a\n");
    assert_eq!(run(folder.path(), &["ls", "--ignore-zeros", "x.tar#tar:/"]).good(), b"a\nb\n");
    let arguments = ["--http", "127.0.0.1:0", "--ftp", "off", "--ignore-zeros", "."];
    let server = Server::start(folder.path(), &arguments, 1);
    assert_eq!(get(server.address("http"), "/x.tar%23tar:/b").1, b"2\n");
}

#[test]
fn what_is_damaged_in_a_tar_is_passed_over_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo 1 > a && echo 2 > b && echo 3 > c && tar -b1 -cf x.tar a b c && \
        printf damaged | dd of=x.tar bs=1 seek=1024 conv=notrunc status=none";
    assert!(Command::new("sh").args(["-ec", script]).current_dir(folder.path()).status().unwrap().success());
    let listed = run(folder.path(), &["ls", "x.tar#tar:/"]);
    assert!(listed.refused(1).contains("damaged at byte 1024"));
    assert_eq!(run(folder.path(), &["ls", "--resync", "x.tar#tar:/"]).good(), b"a\nc\n");
    let arguments = ["--http", "127.0.0.1:0", "--ftp", "off", "--resync", "."];
    let mut server = Server::start(folder.path(), &arguments, 1);
    assert_eq!(get(server.address("http"), "/x.tar%23tar:/c").1, b"3\n");
    server.log_until("it is damaged at byte 1024 of the tar");
}

#[test]
fn without_a_cache_nothing_is_written_and_there_is_nothing_to_index() {
    let folder = archives();
    let refused = run(folder.path(), &["index", "--cache", "off", "a.tgz"]).refused(2);
    assert!(refused.contains("--cache DIR"), "{refused}");
    let home = folder.path().join("home");
    let mut server = vfsd(folder.path());
    server.env("XDG_CACHE_HOME", &home).args(["serve", "--http", "127.0.0.1:0", "--ftp", "off"]);
    server.args(["--log", "info", "--cache", "off", "."]);
    let mut server = Server::wait_for(server, 1);
    let wanted = fs::read(folder.path().join("tree/17")).unwrap();
    assert!(get(server.address("http"), "/a.tgz%23tgz:/tree/17").1 == wanted);
    server.log_until("an archive was read through");
    assert!(!home.exists());
}

#[test]
fn without_an_option_indexes_lie_where_caches_do() {
    let folder = archives();
    let home = folder.path().join("home");
    let built = vfsd(folder.path()).args(["index", "a.tgz"]).env("XDG_CACHE_HOME", &home).output().unwrap();
    assert!(built.status.success(), "{built:?}");
    assert_eq!(indexes(&home.join("vfsd")).len(), 1);
}

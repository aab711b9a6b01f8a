//! `ls`, `cat`, `stat`, `tree`, `find`: reading the host's tree and what is mounted over it.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::running::{ODD_NAMES, name, odd_folder, run, vfsd};

/// What `ls` and its kin print for the odd names: only a name that reads like a marker is written differently.
fn printed(odd: &[u8]) -> &[u8] {
    if odd == b"x#tgz:" { b"x##tgz:" } else { odd }
}

#[test]
fn odd_names_are_listed_byte_for_byte_in_the_order_of_their_bytes() {
    let folder = odd_folder();
    let mut names: Vec<_> = ODD_NAMES.into_iter().collect();
    names.sort_unstable();
    let expected: Vec<u8> = names.into_iter().flat_map(|odd| [printed(odd), b"\n"].concat()).collect();
    assert_eq!(run(folder.path(), &["ls"]).good(), expected);
    assert_eq!(run(folder.path(), &["ls", "."]).good(), expected);
}

#[test]
fn what_is_listed_can_be_read_under_the_name_that_is_shown() {
    let folder = odd_folder();
    for odd in ODD_NAMES {
        assert_eq!(run(folder.path(), &[OsStr::new("cat"), name(printed(odd))]).good(), odd);
    }
}

#[test]
fn hidden_names_are_listed_on_request_alone() {
    let folder = tempfile::tempdir().unwrap();
    for file in [".hidden", "shown"] {
        fs::write(folder.path().join(file), "").unwrap();
    }
    assert_eq!(run(folder.path(), &["ls"]).good(), b"shown\n");
    assert_eq!(run(folder.path(), &["ls", "-a"]).good(), b".hidden\nshown\n");
}

#[test]
fn a_long_listing_says_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "12345").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let old = fs::File::options().write(true).open(&file).unwrap();
    old.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(951_782_400)).unwrap();
    symlink("file", folder.path().join("link")).unwrap();
    let listed = String::from_utf8(run(folder.path(), &["ls", "-l"]).good()).unwrap();
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][0], "-rw-r-----");
    assert_eq!(lines[0][2..], ["5", "2000-02-29", "00:00:00Z", "file"]);
    assert_eq!((lines[1][0].as_bytes()[0], &lines[1][5..]), (b'l', &["link", "->", "file"][..]));
}

#[test]
fn several_paths_have_titles_and_one_that_is_missing_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d/in"), "").unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let listed = run(folder.path(), &["ls", "d", "none", "file"]);
    assert_eq!(listed.out, b"file\n\nd:\nin\n");
    let message = listed.refused(1);
    assert!(message.ends_with("/none: no such file or folder"), "{message}");
}

#[test]
fn files_are_written_one_after_the_other_whole_or_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let long: Vec<u8> = (0..3_000_000u32).map(|at| (at / 251) as u8).collect();
    fs::write(folder.path().join("long"), &long).unwrap();
    fs::write(folder.path().join("short"), "0123456789").unwrap();
    let both = run(folder.path(), &["cat", "long", "short"]).good();
    assert_eq!((&both[..long.len()], &both[long.len()..]), (&long[..], &b"0123456789"[..]));
    for (range, expected) in [
        ("2-4", "234"),
        ("7-", "789"),
        ("8-100", "89"),
        ("0-0", "0"),
        ("10-", ""),
        ("50-60", ""),
        ("50-", ""),
    ] {
        assert_eq!(
            run(folder.path(), &["cat", "--range", range, "short"]).good(),
            expected.as_bytes(),
            "{range}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_follows() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "here").unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    for (path, message) in [
        ("none", "/none: no such file or folder"),
        ("d", "/d: is a folder"),
        ("file/x", "/file/x: not a folder"),
        (
            "file#tgz:",
            "/file: invalid request: #tgz: was asked for, and it holds something that is not known here",
        ),
        (
            "/dev/null",
            "open /dev/null: permission denied: it is a device, FIFO or socket; only files and folders are opened",
        ),
    ] {
        let read = run(folder.path(), &["cat", path, "file"]);
        assert_eq!(read.out, b"here", "{path}");
        let said = read.refused(1);
        assert!(said.ends_with(message), "{said}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join("long")).unwrap().set_len(64 << 20).unwrap();
    let mut child = vfsd(folder.path())
        .args(["cat", "long"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 10]).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let folder = odd_folder();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = vfsd(folder.path()).arg("ls").stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.starts_with("vfsd: write standard output: No space left on device"), "{said}");
}

#[test]
fn a_description_says_unknown_where_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "12345").unwrap();
    symlink("file", folder.path().join("link")).unwrap();
    let lines = |arguments: &[&str]| String::from_utf8(run(folder.path(), arguments).good()).unwrap();
    for (arguments, expected) in [
        (
            &["stat", "file"][..],
            &["type:         file", "length:       5 bytes", "media type:   unknown"][..],
        ),
        (&["stat", "link"], &["type:         link", "leads to:     file"]),
        (&["stat", "-L", "link"], &["type:         file", "length:       5 bytes"]),
        (&["stat", "."], &["type:         folder", "length:       unknown", "validator:    unknown"]),
        (&["stat", "--mount", "/no/where=.", "/no"], &["type:         folder", "modified:     unknown"]),
    ] {
        let told = lines(arguments);
        for line in expected {
            assert!(told.lines().any(|told| told == *line), "{line} in {told}");
        }
    }
    assert_eq!(
        run(folder.path(), &["stat", "none"]).refused(1).split_once(": ").unwrap().1,
        "no such file or folder"
    );
}

#[test]
fn a_tree_is_drawn_to_the_depth_that_is_asked_for_and_no_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    fs::write(folder.path().join("a/b/deep"), "").unwrap();
    fs::write(folder.path().join("z"), "").unwrap();
    fs::write(folder.path().join(".zz"), "").unwrap();
    symlink(".", folder.path().join("circle")).unwrap();
    let drawn = |arguments: &[&str]| String::from_utf8(run(folder.path(), arguments).good()).unwrap();
    assert_eq!(
        drawn(&["tree"]),
        ".\n├── a\n│   └── b\n│       └── deep\n├── circle -> .\n└── z\n2 folders, 3 files and links\n"
    );
    assert_eq!(
        drawn(&["tree", "--depth", "1"]),
        ".\n├── a\n├── circle -> .\n└── z\n1 folders, 2 files and links\n"
    );
    assert!(drawn(&["tree", "-a"]).contains("├── .zz\n"));
}

#[test]
fn folders_too_deep_inside_one_another_are_named_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let deep: std::path::PathBuf = std::iter::repeat_n("d", 300).collect();
    fs::create_dir_all(folder.path().join(&deep)).unwrap();
    fs::write(folder.path().join("last"), "").unwrap();
    let found = run(folder.path(), &["find", "."]);
    assert!(found.out.ends_with(b"last\n") || found.out.windows(7).any(|window| window == b"./last\n"));
    assert_eq!(found.out.iter().filter(|byte| **byte == b'\n').count(), 1 + 256 + 1);
    let said = found.refused(1);
    assert!(said.ends_with("a limit is reached: folders are walked 256 deep: start further down"), "{said}");
}

#[test]
fn paths_are_found_by_name_and_type_and_shown_as_they_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("d/e")).unwrap();
    for file in ["one.rs", "d/two.rs", "d/e/three.txt"] {
        fs::write(folder.path().join(file), "").unwrap();
    }
    symlink("e", folder.path().join("d/link.rs")).unwrap();
    let sorted = |arguments: &[&str]| {
        let found = String::from_utf8(run(folder.path(), arguments).good()).unwrap();
        let mut lines: Vec<_> = found.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    for (arguments, expected) in [
        (
            &["find", "."][..],
            &[".", "./d", "./d/e", "./d/e/three.txt", "./d/link.rs", "./d/two.rs", "./one.rs"][..],
        ),
        (&["find", "d/"], &["d/", "d/e", "d/e/three.txt", "d/link.rs", "d/two.rs"]),
        (&["find", ".", "--name", "*.rs"], &["./d/link.rs", "./d/two.rs", "./one.rs"]),
        (&["find", ".", "--name", "*.rs", "--type", "f"], &["./d/two.rs", "./one.rs"]),
        (&["find", ".", "--type", "d"], &[".", "./d", "./d/e"]),
        (&["find", "d", "--type", "l"], &["d/link.rs"]),
        (&["find", "one.rs"], &["one.rs"]),
        (&["find", ".", "--name", "[!o]*.rs"], &["./d/link.rs", "./d/two.rs"]),
    ] {
        assert_eq!(sorted(arguments), expected, "{arguments:?}");
    }
}

#[test]
fn odd_names_are_found_whole_between_zero_bytes() {
    let folder = odd_folder();
    let found = run(folder.path(), &["find", ".", "--type", "f", "-0"]).good();
    let mut found: Vec<_> = found.split(|byte| *byte == 0).filter(|path| !path.is_empty()).collect();
    found.sort_unstable();
    let mut expected: Vec<_> = ODD_NAMES.map(|odd| [b"./", printed(odd)].concat()).into();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn mounts_lie_over_the_hosts_tree() {
    let folder = odd_folder();
    let here = folder.path().to_str().unwrap();
    let mount = format!("{here}/sub/other={here}");
    let listed = run(folder.path(), &["ls", "--mount", &mount, "sub/other", "sub"]).good();
    let expected = [&b"sub/other:\n"[..], &run(folder.path(), &["ls"]).good(), b"\nsub:\nother\n"].concat();
    assert_eq!(listed, expected);
    let read = run(folder.path(), &["cat", "--mount", &mount, "sub/other/a#1"]).good();
    assert_eq!(read, b"a#1");
    let empty = run(folder.path(), &["ls", "--mount", "/empty=memory:", "/empty"]).good();
    assert_eq!(empty, b"");
}

#[test]
fn names_with_control_characters_never_reach_an_error_message_raw() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(folder.path(), &[OsStr::new("cat"), OsStr::from_bytes(b"\x1b[2J\xff")]).refused(1);
    assert!(said.ends_with("/\\u{1b}[2J\\xff: no such file or folder"), "{said}");
}

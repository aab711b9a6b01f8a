//! `cp`: files appear whole or not at all, with mode and time; links stay links; nothing is guessed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::running::{ODD_NAMES, name, odd_folder, run, vfsd};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().as_bytes().to_vec()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_copy_has_the_bytes_the_mode_and_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let content: Vec<u8> = (0..3_000_000u32).map(|at| (at / 251) as u8).collect();
    fs::write(&from, &content).unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o4750)).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(951_782_400);
    fs::File::options().write(true).open(&from).unwrap().set_modified(then).unwrap();
    run(folder.path(), &["cp", "from", "to"]).good();
    assert_eq!(fs::read(&to).unwrap(), content);
    assert_eq!(mode(&to), 0o750);
    assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), then);
    assert_eq!(names(folder.path()), [&b"from"[..], b"to"]);
}

#[test]
fn an_existing_file_is_replaced_and_an_existing_folder_takes_the_copies() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "new").unwrap();
    fs::write(folder.path().join("b"), "old and longer").unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    run(folder.path(), &["cp", "a", "b"]).good();
    assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"new");
    run(folder.path(), &["cp", "a", "b", "d"]).good();
    assert_eq!(names(&folder.path().join("d")), [b"a", b"b"]);
}

#[test]
fn odd_names_are_copied_under_their_own_names() {
    let folder = odd_folder();
    fs::create_dir(folder.path().join("to")).unwrap();
    for odd in ODD_NAMES {
        let typed = if odd == b"x#tgz:" { &b"x##tgz:"[..] } else { odd };
        run(folder.path(), &[OsStr::new("cp"), name(typed), OsStr::new("to")]).good();
        assert_eq!(fs::read(folder.path().join("to").join(name(odd))).unwrap(), odd);
    }
}

#[test]
fn a_folder_is_copied_with_all_that_is_in_it_and_links_as_links() {
    let folder = odd_folder();
    let from = folder.path().join("from");
    fs::create_dir_all(from.join("sub/empty")).unwrap();
    fs::write(from.join("sub/.hidden"), "h").unwrap();
    symlink("/etc/passwd", from.join("out")).unwrap();
    symlink("none", from.join("dangling")).unwrap();
    for odd in ODD_NAMES {
        fs::write(from.join("sub").join(name(odd)), odd).unwrap();
    }
    fs::set_permissions(from.join("sub"), fs::Permissions::from_mode(0o550)).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(951_782_400);
    fs::File::open(from.join("sub")).unwrap().set_modified(then).unwrap();

    run(folder.path(), &["cp", "-r", "from", "to"]).good();
    let to = folder.path().join("to");
    assert_eq!(names(&to.join("sub")), names(&from.join("sub")));
    assert_eq!(names(&to), names(&from));
    assert_eq!(fs::read_link(to.join("out")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(fs::read_link(to.join("dangling")).unwrap(), Path::new("none"));
    for odd in ODD_NAMES {
        assert_eq!(fs::read(to.join("sub").join(name(odd))).unwrap(), odd);
    }
    assert_eq!((mode(&to.join("sub")), mode(&to.join("sub/empty"))), (0o550, mode(&from.join("sub/empty"))));
    assert_eq!(fs::metadata(to.join("sub")).unwrap().modified().unwrap(), then);

    // A second time it goes into the folder that is there now, under its own name.
    run(folder.path(), &["cp", "-r", "from/sub/empty", "to"]).good();
    assert!(to.join("empty").is_dir());
}

#[test]
fn what_cannot_be_copied_is_named_and_the_rest_follows() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("tree/sub")).unwrap();
    for (name, content) in
        [("tree/a", "a".repeat(70_000)), ("tree/sub/b", "b".to_owned()), ("tree/z", "z".to_owned())]
    {
        fs::write(at(name), content).unwrap();
    }
    rustix::fs::mkfifoat(rustix::fs::CWD, at("tree/fifo"), rustix::fs::Mode::from(0o600)).unwrap();
    let packed = Command::new("zip")
        .args(["-q", "-r", "x.zip", "tree", "-x", "tree/fifo"])
        .current_dir(folder.path())
        .status();
    assert!(packed.unwrap().success());
    let mut zip = fs::read(at("x.zip")).unwrap();
    let data = zip.windows(6).position(|bytes| bytes == b"tree/a").unwrap() + 60;
    zip[data] ^= 0xff;
    fs::write(at("x.zip"), zip).unwrap();
    for (from, bad) in [("tree", "/tree/fifo: "), ("x.zip#zip:/tree", "/x.zip#zip:/tree/a: ")] {
        let copied = run(folder.path(), &["cp", "-r", from, "out"]);
        assert_eq!((copied.status, copied.err.lines().count()), (1, 1), "{from}: {}", copied.err);
        assert!(copied.err.contains(bad), "{from}: {}", copied.err);
        assert_eq!(fs::read(at("out/z")).unwrap(), b"z", "{from}");
        assert_eq!(fs::read(at("out/sub/b")).unwrap(), b"b", "{from}");
        assert_eq!(at("out/a").exists(), from == "tree", "{from}: no half of a file");
        fs::remove_dir_all(at("out")).unwrap();
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_a_cure() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("d/in")).unwrap();
    fs::write(at("a"), "a").unwrap();
    fs::write(at("b"), "b").unwrap();
    fs::hard_link(at("a"), at("same")).unwrap();
    symlink("d", at("to-d")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::from(0o600)).unwrap();
    for (arguments, message) in [
        (&["cp", "none", "x"][..], "/none: no such file or folder"),
        (&["cp", "a", "none/x"], "/none/x: no such file or folder"),
        (&["cp", "d", "x"], "/d: is a folder: add -r to copy folders with all that is in them"),
        (
            &["cp", "a", "b", "none"],
            "/none: not a folder: several sources need a folder to go to: create it first",
        ),
        (&["cp", "a", "a"], "/a: invalid request: it is the same file as "),
        (&["cp", "a", "same"], "/same: invalid request: it is the same file as "),
        (
            &["cp", "fifo", "x"],
            "/fifo: invalid request: it is a device, FIFO or socket, which hold no bytes to copy: leave it out",
        ),
        (&["cp", "-r", "d", "d/in/x"], "/d: invalid request: a folder cannot be copied into itself"),
        (&["cp", "-r", "d", "to-d/in/x"], "/d: invalid request: a folder cannot be copied into itself"),
        (&["cp", "-r", "d", "a"], "/a: already exists: a file is in the way of the folder: remove it first"),
        (&["cp", "a", "d/in/../../a", "d"], "has the same name, and one copy would replace the other"),
        (&["cp", "-r", "/", "d"], "the root has no name that its copy could have"),
    ] {
        let said = run(folder.path(), arguments).refused(1);
        assert!(said.contains(message), "{arguments:?}\n  says  {said}\n  not   {message}");
    }
    assert_eq!((fs::read(at("a")).unwrap(), fs::read(at("b")).unwrap()), (b"a".to_vec(), b"b".to_vec()));
    assert!(!at("x").exists());
}

#[test]
fn copies_go_from_mount_to_mount() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(one.path().join("d")).unwrap();
    fs::write(one.path().join("d/f"), "through").unwrap();
    let mounts = [format!("/one={}", one.path().display()), format!("/two={}", two.path().display())];
    let arguments = ["cp", "-r", "--mount", &mounts[0], "--mount", &mounts[1], "/one/d", "/two"];
    run(folder.path(), &arguments).good();
    assert_eq!(fs::read(two.path().join("d/f")).unwrap(), b"through");
    // The copy into memory goes with the program; what counts is that it can be written.
    run(folder.path(), &["cp", "-r", "--mount", &mounts[0], "--mount", "/m=memory:", "/one/d", "/m/copy"])
        .good();
}

#[test]
fn a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("big"), vec![7; 4 << 20]).unwrap();
    fs::write(folder.path().join("old"), "as it was").unwrap();
    // A limit on file sizes fails a write as a full disk does, and needs no disk of its own. The signal that comes with it
    // is ignored, so that the write says EFBIG.
    let limited = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" cp big old";
    let ended = Command::new("bash")
        .args(["-c", limited, env!("CARGO_BIN_EXE_vfsd")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("/old: a limit is reached"), "{said}");
    assert_eq!(fs::read(folder.path().join("old")).unwrap(), b"as it was");
    assert_eq!(names(folder.path()), [&b"big"[..], b"old"]);
}

#[test]
fn an_interrupted_copy_leaves_the_old_file_and_nothing_else() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().unwrap();
        let big = fs::File::create(folder.path().join("big")).unwrap();
        big.set_len(64 << 30).unwrap();
        fs::write(folder.path().join("old"), "as it was").unwrap();
        let child = vfsd(folder.path()).args(["cp", "big", "old"]).spawn().unwrap();
        // The part file says that the copy is under way.
        while names(folder.path()).len() < 3 {
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130));
        assert_eq!(fs::read(folder.path().join("old")).unwrap(), b"as it was");
        assert_eq!(names(folder.path()), [&b"big"[..], b"old"]);
    }
}

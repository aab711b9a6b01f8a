//! Archives through the program: curl and lftp read members, whole, by range, from an offset.

use std::path::Path;
use std::process::{Command, Output};

use support::{Layout, Program, run};
use tempfile::TempDir;

use crate::program::{Serving, assert_same};

const NUMBERS: &str = "sub/numbers";

/// A folder with a small tree packed in several ways, one of them cut; and the tree.
fn packed() -> (TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    for below in ["sub/deep", "odd <b>&\"'"] {
        std::fs::create_dir_all(tree.join(below)).unwrap();
    }
    let numbers: String =
        (0..300_000_u32).map(|at| format!("{}\n", at.wrapping_mul(2_654_435_761))).collect();
    for (name, content) in [
        ("README", "hello\n"),
        (NUMBERS, &numbers),
        ("sub/deep/empty", ""),
        ("odd <b>&\"'/a#1", "odd"),
        ("<script>alert(1)<", "x"),
    ] {
        std::fs::write(tree.join(name), content).unwrap();
    }
    let pack = |arguments: &[&str]| run(Command::new("tar").current_dir(folder.path()).args(arguments));
    pack(&["--sort=name", "-cf", "x.tar", "-C", "tree", "."]);
    pack(&["--sort=name", "-czf", "x.tar.gz", "-C", "tree", "."]);
    pack(&["-cf", "nested.tar", "x.tar.gz"]);
    let whole = std::fs::read(folder.path().join("x.tar.gz")).unwrap();
    std::fs::write(folder.path().join("cut.tgz"), &whole[..whole.len() / 2]).unwrap();
    let layout = support::read_folder(&tree);
    (folder, layout)
}

fn numbers(layout: &Layout) -> &[u8] {
    layout[NUMBERS.as_bytes()].as_deref().unwrap()
}

fn curl(arguments: &[&str]) -> Option<Output> {
    let mut curl = Program::Curl.find()?;
    Some(curl.command().arg("-sS").args(arguments).output().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn an_archive_is_the_root_and_curl_reads_it_over_http() {
    let (folder, layout) = packed();
    let serving = Serving::mounts(folder, &["/=./x.tar.gz", "/plain=x.tar#tar:/sub"]);
    for url in [format!("{}sub/numbers", serving.http), format!("{}plain/numbers", serving.http)] {
        let Some(whole) = curl(&["--fail", &url]) else { return };
        assert!(whole.stdout == numbers(&layout), "{url}");
        let part = curl(&["--fail", "-r", "1000000-1000099", &url]).unwrap();
        assert_eq!(part.stdout, numbers(&layout)[1_000_000..1_000_100], "{url}");
        let head = text(&curl(&["--fail", "-I", &url]).unwrap().stdout).to_ascii_lowercase();
        assert!(head.contains(&format!("content-length: {}\r\n", numbers(&layout).len())), "{head}");
        assert!(head.contains("accept-ranges: bytes\r\n"), "{head}");
        assert!(head.contains("etag: \"") && head.contains("last-modified: "), "{head}");
    }
    let missing = curl(&["-o", "/dev/null", "-w", "%{http_code}", &format!("{}none", serving.http)]).unwrap();
    assert_eq!(text(&missing.stdout), "404");
    let page = text(&curl(&["--fail", &serving.http]).unwrap().stdout);
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
}

#[test]
fn curl_reads_members_over_ftp_from_an_offset_and_asks_for_their_size() {
    let (folder, layout) = packed();
    let serving = Serving::mounts(folder, &["/=."]);
    let url = format!("{}nested.tar%23tar:/x.tar.gz%23tgz:/sub/numbers", serving.ftp);
    let Some(whole) = curl(&[&url]) else { return };
    assert!(whole.stdout == numbers(&layout));
    let rest = curl(&["-C", "1000000", &url]).unwrap();
    assert!(rest.stdout == numbers(&layout)[1_000_000..]);
    let head = text(&curl(&["-I", &url]).unwrap().stdout);
    assert!(head.contains(&format!("Content-Length: {}", numbers(&layout).len())), "{head}");
}

#[test]
fn lftp_mirrors_an_archive_over_both_protocols() {
    let (folder, layout) = packed();
    let serving = Serving::mounts(folder, &["/=x.tar.gz"]);
    for url in [&serving.http, &serving.ftp] {
        let Some(mut lftp) = Program::Lftp.find() else { return };
        let into = tempfile::tempdir().unwrap();
        let script = format!("open {url}; mirror --no-perms / {}; exit", into.path().display());
        run(lftp.command().args(["--norc", "-c", &script]));
        assert_same(into.path(), &layout);
    }
}

#[test]
fn lftp_walks_into_an_archive_one_step_at_a_time() {
    let (folder, _) = packed();
    let serving = Serving::mounts(folder, &["/=."]);
    let Some(mut lftp) = Program::Lftp.find() else { return };
    let steps =
        "cd nested.tar#tar:; cd x.tar.gz#tgz:/sub; cls -1; cd ..; cat README; cd ..; cls -1; cd ..; pwd";
    let said = run(lftp.command().args(["--norc", "-c", &format!("open {}; {steps}", serving.ftp)]));
    let expected = format!("deep/\nnumbers\nhello\nx.tar.gz\n{}\n", serving.ftp);
    assert_eq!(text(&said.stdout), expected);
}

#[test]
fn a_mirror_of_a_folder_goes_into_no_archive() {
    let (folder, _) = packed();
    let serving = Serving::mounts(folder, &["/=."]);
    let Some(mut lftp) = Program::Lftp.find() else { return };
    let into = tempfile::tempdir().unwrap();
    let script = format!("open {}; mirror --no-perms / {}; exit", serving.http, into.path().display());
    run(lftp.command().args(["--norc", "-c", &script]));
    assert_same(into.path(), &serving.layout());
}

#[test]
fn a_browser_is_shown_the_way_into_archives() {
    let (folder, _) = packed();
    let serving = Serving::mounts(folder, &["/=."]);
    let Some(page) = curl(&["--fail", &serving.http]) else { return };
    let page = text(&page.stdout);
    for way in ["nested.tar%23tar%3A/", "x.tar.gz%23tgz%3A/"] {
        assert!(page.contains(&format!("formaction=\"{way}\">browse</button>")), "{page}");
        let inside = text(&curl(&["--fail", &format!("{}{way}", serving.http)]).unwrap().stdout);
        assert!(inside.contains("x.tar.gz") || inside.contains("README"), "{inside}");
    }
}

#[test]
fn a_cut_archive_shows_what_came_before_and_says_where_it_is_cut() {
    let (folder, layout) = packed();
    let len = std::fs::metadata(folder.path().join("cut.tgz")).unwrap().len();
    let serving = Serving::mounts(folder, &["/=."]);
    let (http, ftp) = (format!("{}cut.tgz%23tgz:/", serving.http), format!("{}cut.tgz%23tgz:/", serving.ftp));
    let Some(page) = curl(&[&http]) else { return };
    // 18: the answer did not come to its end; 56: the connection broke.
    let broke = |output: &Output| matches!(output.status.code(), Some(18 | 56));
    assert!(broke(&page), "{page:?}");
    let page = text(&page.stdout);
    assert!(page.contains("<a href=\"README\">") && page.contains("<a href=\"sub/\">"), "{page}");
    assert!(page.contains(&format!("it ends early, after {len} bytes")), "{page}");

    assert_eq!(curl(&["--fail", &format!("{http}README")]).unwrap().stdout, b"hello\n");
    let member = curl(&[&format!("{http}sub/numbers")]).unwrap();
    assert!(broke(&member), "{:?}", member.status);
    assert!(numbers(&layout).starts_with(&member.stdout) && member.stdout.len() > 1_000_000);
    let behind = curl(&["-o", "/dev/null", "-w", "%{http_code}", &format!("{http}zzz")]).unwrap();
    assert_eq!(text(&behind.stdout), "502");

    let member = curl(&["-v", "--ignore-content-length", &format!("{ftp}sub/numbers")]).unwrap();
    assert!(!member.status.success() && numbers(&layout).starts_with(&member.stdout));
    let said = text(&member.stderr);
    assert!(said.contains("\n< 451 "), "{said}");
}

#[test]
fn commands_take_chained_paths() {
    let (folder, layout) = packed();
    let vfsd = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfsd"));
        command.current_dir(folder.path()).args(arguments).output().unwrap()
    };
    let listed = vfsd(&["ls", "nested.tar#tar:/x.tar.gz#tgz:/sub"]);
    assert_eq!((text(&listed.stdout), text(&listed.stderr)), ("deep\nnumbers\n".to_owned(), String::new()));
    assert!(vfsd(&["cat", "x.tar.gz#auto:/sub/numbers"]).stdout == numbers(&layout));
    let copied = vfsd(&["cp", "-r", "nested.tar#tar:/x.tar.gz#tgz:/", "copied"]);
    assert!(copied.status.success(), "{copied:?}");
    assert_same(&folder.path().join("copied"), &layout);

    let cut = vfsd(&["cat", "cut.tgz#tgz:/sub/numbers"]);
    assert_eq!(cut.status.code(), Some(1));
    let said = text(&cut.stderr);
    assert!(said.lines().count() == 1 && said.contains("it ends early, after"), "{said}");
    assert_eq!(vfsd(&["cp", "cut.tgz#tgz:/sub/numbers", "half"]).status.code(), Some(1));
    assert!(!Path::exists(&folder.path().join("half")), "half a file is no copy");
    let other = vfsd(&["ls", "x.tar#tgz:"]);
    assert!(text(&other.stderr).contains("it holds a tar"), "{other:?}");
}

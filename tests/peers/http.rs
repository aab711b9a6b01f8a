//! curl, wget and lftp over HTTP.

use support::{Program, odd_names, run};

use crate::program::{Serving, WGET_CANNOT, assert_same};

#[test]
fn curl_reads_ranges_and_heads() {
    let Some(mut curl) = Program::Curl.find() else { return };
    let serving = Serving::start();
    let url = format!("{}sizes/4096", serving.http);
    let content = std::fs::read(serving.folder.path().join("sizes/4096")).unwrap();
    let range = run(curl.command().args(["-sS", "--fail", "-r", "100-199", &url]));
    assert_eq!(range.stdout, content[100..200]);
    let mut curl = Program::Curl.find().unwrap();
    let head = run(curl.command().args(["-sS", "--fail", "-I", &url]));
    let head = String::from_utf8(head.stdout).unwrap().to_ascii_lowercase();
    assert!(head.contains("content-length: 4096\r\n"), "{head}");
    assert!(head.contains("accept-ranges: bytes\r\n"), "{head}");
    assert!(head.contains("etag: ") && head.contains("last-modified: "), "{head}");
}

#[test]
fn curl_gets_every_odd_name() {
    let Some(_) = Program::Curl.find() else { return };
    let serving = Serving::start();
    let newline = b"new\nline".to_vec();
    std::fs::write(serving.folder.path().join("new\nline"), "new\nline content").unwrap();
    for name in odd_names().into_iter().chain([newline]) {
        let escaped: String = name.iter().map(|byte| format!("%{byte:02x}")).collect();
        let mut curl = Program::Curl.find().unwrap();
        let got = run(curl.command().args(["-sS", "--fail", &format!("{}{escaped}", serving.http)]));
        assert_eq!(got.stdout, [&name[..], b" content"].concat(), "{}", name.escape_ascii());
    }
}

#[test]
fn wget_mirrors_the_folder() {
    let Some(mut wget) = Program::Wget.find() else { return };
    let serving = Serving::start();
    serving.remove(WGET_CANNOT);
    let into = tempfile::tempdir().unwrap();
    // Listings are pages of ours, not files of the folder.
    run(wget
        .command()
        .args(["-q", "-r", "-l", "inf", "-nH", "--no-parent", "--restrict-file-names=nocontrol"])
        .args(["--local-encoding=UTF-8", "--no-iri", "-e", "robots=off", "--reject", "index.html*", "-P"])
        .arg(into.path())
        .arg(&serving.http));
    let mut expected = serving.layout();
    // wget makes folders only for files that it found in them.
    expected.retain(|path, content| content.is_some() || path != b"empty");
    let _ = std::fs::remove_dir(into.path().join("empty"));
    assert_same(into.path(), &expected);
}

#[test]
fn lftp_mirrors_the_folder_over_http() {
    let Some(mut lftp) = Program::Lftp.find() else { return };
    let serving = Serving::start();
    let into = tempfile::tempdir().unwrap();
    let script = format!("open {}; mirror --no-perms / {}; exit", serving.http, into.path().display());
    run(lftp.command().args(["--norc", "-c", &script]));
    assert_same(into.path(), &serving.layout());
}

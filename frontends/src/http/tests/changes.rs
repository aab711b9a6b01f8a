//! Uploads, removals, moves: what a client may change, and what it hears.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vfs::backends::local::{LocalFs, LocalOptions};
use vfs::backends::memory::MemoryFs;
use vfs::layers::{Access, RightsFs, Rules};
use vfs::{FileSystem, VPath};

use super::{Options, Pages, Reply, Server, pattern, read_reply, tree};
use crate::site::Limits;

async fn server() -> Server {
    Server::writable(tree(&[(b"/f.txt", b"0123456789"), (b"/d/in", b"x")]).await).await
}

/// One request with more fields and a body, on a connection of its own.
pub(super) async fn send(server: &Server, method: &str, target: &str, fields: &str, body: &[u8]) -> Reply {
    let length = match method {
        "PUT" | "POST" => format!("Content-Length: {}\r\n", body.len()),
        _ => String::new(),
    };
    let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}{fields}\r\n");
    Reply::only(&server.exchange([head.as_bytes(), body].concat()).await)
}

async fn content(server: &Server, target: &str) -> Option<Vec<u8>> {
    let reply = server.get(target, "").await;
    (reply.status == 200).then_some(reply.body)
}

#[tokio::test]
async fn a_file_is_put_whole_or_not_at_all() {
    let server = server().await;
    let made = send(&server, "PUT", "/new.txt", "", b"hello").await;
    assert_eq!((made.status, made.field("content-length")), (201, Some("0")));
    assert_eq!(content(&server, "/new.txt").await.unwrap(), b"hello");
    let tag = server.get("/new.txt", "").await.field("etag").unwrap().to_owned();
    assert_eq!(made.field("etag"), Some(&tag[..]));
    assert_eq!(send(&server, "PUT", "/new.txt", "", b"").await.status, 204);
    assert_eq!(content(&server, "/new.txt").await.unwrap(), b"");
    let large = pattern(1_500_000);
    assert_eq!(send(&server, "PUT", "/large", "", &large).await.status, 201);
    assert!(content(&server, "/large").await.unwrap() == large);

    let chunked = "PUT /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    assert_eq!(Reply::only(&server.exchange(chunked).await).status, 201);
    assert_eq!(content(&server, "/c").await.unwrap(), b"hello world");
    // One that breaks off leaves the old file, and nothing beside it.
    let broken = "PUT /f.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nnot all of it";
    assert_eq!(Reply::only(&server.exchange(broken).await).status, 400);
    assert_eq!(content(&server, "/f.txt").await.unwrap(), b"0123456789");
    let rows = server.get("/?format=ndjson", "").await;
    assert_eq!(rows.text().lines().count(), 5, "{}", rows.text());
    server.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_says_what_to_do() {
    let server = server().await;
    for (method, target, fields, status) in [
        ("PUT", "/none/f", "", 409),
        ("PUT", "/f.txt/below", "", 409),
        ("PUT", "/d", "", 409),
        ("PUT", "/d/", "", 409),
        ("PUT", "/x%2fy", "", 400),
        ("PUT", "/x", "Content-Range: bytes 5-1/9\r\n", 400),
        ("MKCOL", "/d", "", 405),
        ("MKCOL", "/none/e", "", 409),
        ("DELETE", "/none", "", 404),
        ("DELETE", "/f.txt/", "", 404),
        ("DELETE", "/", "", 403),
        ("MOVE", "/f.txt", "", 400),
        ("MOVE", "/none", "Destination: /x\r\n", 404),
        ("MOVE", "/f.txt", "Destination: http://elsewhere/x\r\n", 502),
        ("MOVE", "/f.txt", "Destination: /none/x\r\n", 409),
        ("MOVE", "/d", "Destination: /d/in/side\r\n", 403),
        ("MOVE", "/d/in", "Destination: /d\r\n", 403),
        ("COPY", "/d", "Destination: /d/copy\r\n", 403),
        ("COPY", "/f.txt", "Destination: /f.txt\r\n", 403),
        ("MKCOL", "/.0123456789abcdef.vfsd-kept", "", 404),
        ("MOVE", "/d", "Destination: /.0123456789abcdef.vfsd-kept/f\r\n", 404),
        ("MOVE", "/d", "Destination: /x\r\nDepth: 0\r\n", 400),
        ("COPY", "/d", "Destination: /x\r\nDepth: 1\r\n", 400),
        ("COPY", "/d", "Destination: /x\r\nOverwrite: X\r\n", 400),
        ("PUT", "/x", "Content-Range: bytes 0-0/1\r\nContent-Range: bytes 1-1/2\r\n", 400),
        ("POST", "/d/", "", 415),
        ("POST", "/f.txt", "", 405),
        ("PATCH", "/f.txt", "", 405),
    ] {
        let reply = send(&server, method, target, fields, b"").await;
        assert_eq!(reply.status, status, "{method} {target} {fields}: {}", reply.text());
        assert!(reply.text().lines().count() >= 3, "{}", reply.text());
        let allow = (status == 405).then_some("GET, HEAD, OPTIONS, PUT, DELETE, MKCOL, MOVE, COPY, POST");
        assert_eq!(reply.field("allow"), allow, "{method} {target}");
    }
    let no_length = server.exchange("PUT /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(Reply::only(&no_length).status, 411);
    let body = server.exchange("MKCOL /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").await;
    assert_eq!(Reply::only(&body).status, 415);
    assert_eq!(content(&server, "/f.txt").await.unwrap(), b"0123456789");
    assert_eq!(content(&server, "/d/in").await.unwrap(), b"x");
    server.stop().await;
}

#[tokio::test]
async fn a_tree_that_takes_no_changes_answers_none() {
    let server = Server::start(tree(&[(b"/f", b"x")]).await).await;
    for method in ["PUT", "DELETE", "MKCOL", "MOVE", "COPY"] {
        let reply = send(&server, method, "/f", "", b"").await;
        assert_eq!((reply.status, reply.field("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
    }
    assert_eq!(send(&server, "POST", "/", "", b"").await.status, 405);
    assert!(!server.get("/", "").await.text().contains("multipart/form-data"));
    server.stop().await;
}

#[tokio::test]
async fn conditions_keep_two_writers_apart() {
    let server = server().await;
    let tag = server.get("/f.txt", "").await.field("etag").unwrap().to_owned();
    for (target, fields, status) in [
        ("/f.txt", "If-None-Match: *\r\n".to_owned(), 412),
        ("/f.txt", "If-Match: \"other\"\r\n".to_owned(), 412),
        ("/none", "If-Match: *\r\n".to_owned(), 412),
        ("/f.txt", format!("If-None-Match: {tag}\r\n"), 412),
        ("/f.txt", format!("If-Match: {tag}\r\n"), 204),
        // That was the version before.
        ("/f.txt", format!("If-Match: {tag}\r\n"), 412),
        ("/f.txt", "If-Match: *\r\n".to_owned(), 204),
        ("/new", "If-None-Match: *\r\n".to_owned(), 201),
    ] {
        let reply = send(&server, "PUT", target, &fields, b"other words").await;
        assert_eq!(reply.status, status, "{target} {fields}");
    }
    assert_eq!(send(&server, "DELETE", "/new", "If-Match: \"other\"\r\n", b"").await.status, 412);
    assert_eq!(content(&server, "/new").await.unwrap(), b"other words");
    server.stop().await;
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off() {
    let server = server().await;
    let put = async |range: &str, body: &[u8]| {
        send(&server, "PUT", "/part", &format!("Content-Range: bytes {range}\r\n"), body).await.status
    };
    assert_eq!(put("5-9/10", b"56789").await, 416);
    assert_eq!(put("0-4/10", b"01234").await, 201);
    assert_eq!(content(&server, "/part").await.unwrap(), b"01234");
    assert_eq!(put("7-9/10", b"789").await, 416);
    // The connection is lost in the middle; what came stays.
    let cut = "PUT /part HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Range: bytes 5-9/10\r\n\r\n567";
    assert_eq!(Reply::only(&server.exchange(cut).await).status, 400);
    let len = content(&server, "/part").await.unwrap().len();
    assert!((5..=8).contains(&len), "{len}");
    assert_eq!(put("5-9/10", b"56789").await, 204);
    assert_eq!(content(&server, "/part").await.unwrap(), b"0123456789");
    assert_eq!(put("0-2/3", b"abc").await, 204);
    assert_eq!(content(&server, "/part").await.unwrap(), b"abc");
    assert_eq!(put("0-2/3", b"abcd").await, 400);
    server.stop().await;
}

#[tokio::test]
async fn folders_are_made_moved_copied_and_removed() {
    let server = server().await;
    assert_eq!(send(&server, "MKCOL", "/e/", "", b"").await.status, 201);
    assert_eq!(send(&server, "PUT", "/e/one", "", b"1").await.status, 201);
    for (method, from, fields, status) in [
        ("COPY", "/e", "Destination: http://x/g/\r\n", 201),
        ("COPY", "/e", "Destination: /g\r\nOverwrite: F\r\n", 412),
        ("COPY", "/e", "Destination: /g\r\n", 204),
        ("COPY", "/e", "Destination: /hollow\r\nDepth: 0\r\n", 201),
        ("MOVE", "/g", "Destination: /h%20%C3%A9\r\n", 201),
        ("MOVE", "/f.txt", "Destination: /e/one\r\nOverwrite: F\r\n", 412),
        ("MOVE", "/f.txt", "Destination: /e/one\r\n", 204),
        ("DELETE", "/d", "", 204),
    ] {
        let reply = send(&server, method, from, fields, b"").await;
        assert_eq!(reply.status, status, "{method} {from} {fields}");
    }
    assert_eq!(content(&server, "/h%20%C3%A9/one").await.unwrap(), b"1");
    assert_eq!(content(&server, "/e/one").await.unwrap(), b"0123456789");
    assert_eq!(server.get("/hollow/?format=ndjson", "").await.text(), "");
    for gone in ["/g/", "/f.txt", "/d/"] {
        assert_eq!(server.get(gone, "").await.status, 404, "{gone}");
    }
    server.stop().await;
}

pub(super) fn form(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (field, value) in parts {
        text.push_str(&format!("--XX\r\nContent-Disposition: form-data; {field}\r\n\r\n{value}\r\n"));
    }
    text.push_str("--XX--\r\n");
    text.into_bytes()
}

pub(super) const FORM: &str = "Content-Type: multipart/form-data; boundary=XX\r\n";

#[tokio::test]
async fn a_form_uploads_without_a_script() {
    let server = server().await;
    let page = server.get("/d/", "").await;
    assert!(page.text().contains("method=\"post\" enctype=\"multipart/form-data\""));
    let file = |name: &str| format!("name=\"file\"; filename=\"{name}\"");
    let (one, two, none, up) = (file("a%22b.txt"), file("two"), file(""), file("../up"));
    let body = form(&[("name=\"folder\"", " sub "), (&one, "content\r\n"), (&two, "2"), (&none, "")]);
    let done = send(&server, "POST", "/d/", FORM, &body).await;
    assert_eq!((done.status, done.field("location")), (303, Some("/d/")), "{}", done.text());
    assert_eq!(content(&server, "/d/a%22b.txt").await.unwrap(), b"content\r\n");
    assert_eq!(server.get("/d/sub/", "").await.status, 200);

    let elsewhere = send(&server, "POST", "//evil.example/../d/", FORM, &form(&[(&none, "")])).await;
    assert_eq!((elsewhere.status, elsewhere.field("location")), (303, Some("/d/")));

    // What is there stays, unless replacing was asked for.
    assert_eq!(send(&server, "POST", "/d/", FORM, &form(&[(&two, "new")])).await.status, 409);
    assert_eq!(content(&server, "/d/two").await.unwrap(), b"2");
    let body = form(&[("name=\"replace\"", "yes"), (&two, "new")]);
    assert_eq!(send(&server, "POST", "/d/", FORM, &body).await.status, 303);
    assert_eq!(content(&server, "/d/two").await.unwrap(), b"new");

    assert_eq!(send(&server, "POST", "/d/", FORM, &form(&[(&up, "x")])).await.status, 400);
    assert_eq!(send(&server, "POST", "/d/", FORM, b"--XX\r\nno end").await.status, 400);
    let cut = form(&[(&file("cut"), "half")]);
    assert_eq!(send(&server, "POST", "/d/", FORM, &cut[..cut.len() - 12]).await.status, 400);
    assert_eq!(content(&server, "/d/cut").await, None);
    for (origin, status) in [("http://evil.example", 403), ("null", 403), ("http://x", 303)] {
        let fields = format!("{FORM}Origin: {origin}\r\n");
        let field = file(&format!("from {status}"));
        let body = form(&[(&field, "x")]);
        assert_eq!(send(&server, "POST", "/d/", &fields, &body).await.status, status, "{origin}");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_is_refused_hears_it_before_sending() {
    let options = Options { upload_bytes: Some(10), ..Options::default() };
    let server = Server::with(MemoryFs::new(), Limits::default(), options).await;
    let mut stream = server.connect().await;
    let request = "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let reply = read_reply(&mut stream).await;
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("10 bytes"), "{}", reply.text());

    let mut stream = server.connect().await;
    stream.write_all(request.replace("11", "4").as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"four").await.unwrap();
    assert_eq!(read_reply(&mut stream).await.status, 201);

    let chunked = "PUT /y HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
        b\r\nhello world\r\n0\r\n\r\n";
    assert_eq!(Reply::only(&server.exchange(chunked).await).status, 413);
    assert_eq!(content(&server, "/y").await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_copy_that_fails_leaves_nothing_and_says_where() {
    let rules = [("/", Access::ALL), ("/d/in", Access { list: true, ..Access::NONE })];
    let rules = Rules::new(rules.map(|(path, access)| (VPath::parse(path).unwrap(), access))).unwrap();
    let tree = tree(&[(b"/d/a", b"x"), (b"/d/in/deep", b"x"), (b"/old/kept", b"old")]).await;
    let server = Server::writable(RightsFs::new(Arc::new(tree), rules)).await;
    for to in ["/new", "/old"] {
        let reply = send(&server, "COPY", "/d", &format!("Destination: {to}\r\n"), b"").await;
        assert_eq!(reply.status, 403);
        assert!(reply.text().contains("/d/in/deep: permission denied"), "{}", reply.text());
    }
    assert_eq!(content(&server, "/old/kept").await.unwrap(), b"old");
    assert_eq!(server.get("/?format=ndjson", "").await.text().lines().count(), 2);
    server.stop().await;
}

#[tokio::test]
async fn an_upload_is_told_no_version_that_nobody_can_insist_on() {
    let folder = tempfile::tempdir().unwrap();
    let options = LocalOptions { writable: true, ..LocalOptions::default() };
    std::os::unix::fs::symlink("/etc", folder.path().join("out")).unwrap();
    let server = Server::writable(LocalFs::open_with(folder.path(), &options).unwrap()).await;
    let made = send(&server, "PUT", "/new", "", b"hello").await;
    assert!(made.field("etag").is_none_or(|tag| !tag.starts_with("W/")), "{}", made.head);
    // What cannot be looked at is no place to send files to.
    assert_eq!(server.get("/out/", "").await.status, 403);
    assert_eq!(server.get("/", "If-Match: \"x\"\r\n").await.status, 412);
    server.stop().await;
}

#[tokio::test]
async fn of_two_who_go_on_with_one_version_one_is_heard() {
    let server = server().await;
    let tag = server.get("/f.txt", "").await.field("etag").unwrap().to_owned();
    let part = |connection: &str| {
        format!(
            "PUT /f.txt HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\nContent-Length: 5\r\n\
             Content-Range: bytes 10-14/15\r\nIf-Match: {tag}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    // The first one is asked for its part, and takes its time.
    let mut first = server.connect().await;
    first.write_all(part("keep-alive").as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    first.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let second = Reply::only(&server.exchange(part("close")).await);
    assert_eq!(second.status, 412, "{}", second.text());
    first.write_all(b"abcde").await.unwrap();
    assert_eq!(read_reply(&mut first).await.status, 204);
    assert_eq!(content(&server, "/f.txt").await.unwrap(), b"0123456789abcde");
    // That version is gone.
    assert_eq!(Reply::only(&server.exchange(part("close")).await).status, 412);
    let new = "If-None-Match: *\r\nContent-Range: bytes 0-0/1\r\n";
    assert_eq!(send(&server, "PUT", "/f.txt", new, b"x").await.status, 412);
    assert_eq!(send(&server, "PUT", "/new", new, b"x").await.status, 201);
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_was_uploaded_runs_no_scripts() {
    let pages = vec![(VPath::root(), Pages::Filed), (VPath::parse("/d").unwrap(), Pages::Caged)];
    let options = Options { pages, ..Options::default() };
    let tree = tree(&[(b"/own.html", b"<p>"), (b"/d/in", b"x")]).await;
    let server = Server::with(tree, Limits::default(), options).await;
    for (name, is_caged) in [
        ("/d/a.html", true),
        ("/d/a.svg", true),
        ("/d/a.txt", false),
        ("/d/a.png", false),
        ("/own.html", false),
    ] {
        let _ = send(&server, "PUT", name, "", b"<script>").await;
        let policy = server.get(name, "").await.field("content-security-policy").map(str::to_owned);
        assert_eq!(policy.is_some_and(|policy| policy.starts_with("sandbox")), is_caged, "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_listing_says_what_links_lead_to() {
    let tree = tree(&[(b"/f.txt", b"0123456789"), (b"/d/in", b"x")]).await;
    for (link, target) in [("/to-file", "f.txt"), ("/to-folder", "d"), ("/broken", "none")] {
        tree.symlink(&target.into(), &VPath::parse(link).unwrap()).await.unwrap();
    }
    let server = Server::start(tree).await;
    let rows = server.get("/?format=ndjson", "").await;
    let row = |name: &str| rows.text().lines().find(|row| row.contains(name)).unwrap().to_owned();
    assert!(row("to-file").contains("\"size\":10") && row("to-file").contains("mtime"), "{}", row("to-file"));
    assert!(row("to-folder").contains("\"type\":\"directory\""), "{}", row("to-folder"));
    assert!(!row("broken").contains("size"), "{}", row("broken"));
    assert!(server.get("/", "").await.text().contains("to-folder/\""));
    server.stop().await;
}

//! Files, ranges, conditions, folders.

use std::time::{Duration, UNIX_EPOCH};

use vfs::{FileSystem, SetAttributes, VPath};

use super::{Reply, Server, pattern, tree};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A server with `/f.txt`, ten digits of a known date.
async fn server() -> Server {
    let tree = tree(&[(b"/f.txt", b"0123456789"), (b"/empty", b""), (b"/d/in it", b"x")]).await;
    let modified = Some(UNIX_EPOCH + Duration::from_secs(784_111_777));
    let attributes = SetAttributes { modified, ..SetAttributes::default() };
    tree.set_attributes(&VPath::parse("/f.txt").unwrap(), &attributes, true).await.unwrap();
    Server::start(tree).await
}

#[tokio::test]
async fn a_file_comes_with_what_is_known_of_it() {
    let server = server().await;
    let reply = server.get("/f.txt", "").await;
    assert_eq!((reply.status, reply.text()), (200, "0123456789"));
    for (name, value) in [
        ("content-length", "10"),
        ("content-type", "text/plain; charset=utf-8"),
        ("last-modified", DATE),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(reply.field(name), Some(value), "{name}");
    }
    assert!(reply.field("etag").unwrap().starts_with('"'));

    let empty = server.get("/empty", "").await;
    assert_eq!((empty.status, empty.field("content-length"), empty.text()), (200, Some("0"), ""));
    server.stop().await;
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let server = server().await;
    for target in ["/f.txt", "/empty", "/d", "/d/", "/missing", "/%zz"] {
        let get = server.get(target, "").await;
        let request = format!("HEAD {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = server.exchange(request).await;
        let mut rest = &answer[..];
        let head = Reply::take(&mut rest, true);
        assert_eq!(rest, b"", "{target}");
        let fields = |reply: &Reply| {
            let mut lines: Vec<_> = reply.head.lines().map(str::to_owned).collect();
            lines.retain(|line| !line.starts_with("date:") && !line.starts_with("transfer-encoding:"));
            lines.sort();
            lines
        };
        assert_eq!(fields(&head), fields(&get), "{target}");
    }
    // Only GET has ranges.
    let answer = server.exchange("HEAD /f.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0\r\n\r\n").await;
    let head = Reply::take(&mut &answer[..], true);
    assert_eq!((head.status, head.field("content-length")), (200, Some("10")));
    server.stop().await;
}

#[tokio::test]
async fn ranges() {
    let server = server().await;
    for (range, status, content_range, body) in [
        ("bytes=0-0", 206, Some("bytes 0-0/10"), "0"),
        ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("bytes=8-", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=8-100", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=-3", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=-30", 206, Some("bytes 0-9/10"), "0123456789"),
        ("BYTES=0-0", 206, Some("bytes 0-0/10"), "0"),
        ("bytes=0-1,3-4", 206, Some("bytes 0-4/10"), "01234"),
        ("bytes=0-1,20-", 206, Some("bytes 0-1/10"), "01"),
        ("bytes=0-,0-,0-", 206, Some("bytes 0-9/10"), "0123456789"),
        ("items=0-0", 200, None, "0123456789"),
        ("bytes=5-2", 200, None, "0123456789"),
    ] {
        let reply = server.get("/f.txt", &format!("Range: {range}\r\n")).await;
        assert_eq!((reply.status, reply.field("content-range")), (status, content_range), "{range}");
        assert_eq!(reply.text(), body, "{range}");
    }
    for range in ["bytes=10-", "bytes=99999999999999999999-", "bytes=-0"] {
        let reply = server.get("/f.txt", &format!("Range: {range}\r\n")).await;
        assert_eq!((reply.status, reply.field("content-range")), (416, Some("bytes */10")), "{range}");
    }
    let many: String = (0..600).map(|start| format!("{start}-,")).collect();
    let reply = server.get("/f.txt", &format!("Range: bytes={many}\r\n")).await;
    assert_eq!((reply.status, reply.text()), (200, "0123456789"));
    assert_eq!(server.get("/empty", "Range: bytes=-5\r\n").await.status, 200);
    assert_eq!(server.get("/empty", "Range: bytes=0-\r\n").await.status, 416);
    server.stop().await;
}

#[tokio::test]
async fn several_ranges_come_as_parts() {
    let content = pattern(100_000);
    let server = Server::start(tree(&[(b"/f.txt", &content)]).await).await;
    let reply = server.get("/f.txt", "Range: bytes=90000-,5-9,1000-50999\r\n").await;
    assert_eq!((reply.status, reply.field("content-range")), (206, None));
    let boundary =
        reply.field("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let mut expected = Vec::new();
    for (start, end) in [(90_000, 100_000), (5, 10), (1000, 51_000)] {
        let last = end - 1;
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Range: bytes {start}-{last}/100000\r\n\r\n"
        );
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&content[start..end]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(reply.body == expected);
    assert_eq!(reply.field("content-length"), Some(&expected.len().to_string()[..]));
    let other = server.get("/f.txt", "Range: bytes=0-0,5000-5000\r\n").await;
    assert!(!other.field("content-type").unwrap().contains(boundary));
    // A bomb costs the file, once.
    let overlapping: String = (0..90).map(|start| format!("{start}-,")).collect();
    let reply = server.get("/f.txt", &format!("Range: bytes={overlapping}\r\n")).await;
    assert_eq!((reply.status, reply.body.len()), (206, content.len()));
    let apart: String = (0..90).map(|at| format!("{}-{},", at * 1000, at * 1000)).collect();
    let reply = server.get("/f.txt", &format!("Range: bytes={apart}\r\n")).await;
    assert_eq!((reply.status, reply.body.len()), (200, content.len()));
    server.stop().await;
}

#[tokio::test]
async fn conditions() {
    let server = server().await;
    let tag = server.get("/f.txt", "").await.field("etag").unwrap().to_owned();
    let later = "Mon, 07 Nov 1994 08:49:37 GMT";
    for (fields, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: \"other\", W/{tag}\r\n"), 304),
        ("If-None-Match: *\r\n".into(), 304),
        ("If-None-Match: \"other\"\r\n".into(), 200),
        (format!("If-Modified-Since: {DATE}\r\n"), 304),
        (format!("If-None-Match: \"other\"\r\nIf-Modified-Since: {later}\r\n"), 200),
        (format!("If-Match: {tag}\r\n"), 200),
        ("If-Match: \"other\"\r\n".into(), 412),
        (format!("If-Unmodified-Since: {DATE}\r\n"), 200),
        ("If-Unmodified-Since: Sat, 05 Nov 1994 08:49:37 GMT\r\n".into(), 412),
        (format!("If-Match: \"other\"\r\nIf-None-Match: {tag}\r\n"), 412),
        (format!("If-Range: {tag}\r\nRange: bytes=0-0\r\n"), 206),
        (format!("If-Range: {DATE}\r\nRange: bytes=0-0\r\n"), 206),
        (format!("If-Range: {later}\r\nRange: bytes=0-0\r\n"), 200),
        ("If-Range: \"other\"\r\nRange: bytes=0-0\r\n".into(), 200),
        ("If-Range: \"other\"\r\nRange: bytes=99-\r\n".into(), 200),
        // Conditions come before the range.
        (format!("If-None-Match: {tag}\r\nRange: bytes=99-\r\n"), 304),
    ] {
        let reply = server.get("/f.txt", &fields).await;
        assert_eq!(reply.status, status, "{fields:?}");
        if status == 304 {
            assert_eq!((reply.field("etag"), reply.field("content-length")), (Some(&tag[..]), None));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_folder_is_at_its_name_with_a_slash() {
    let files: [(&[u8], &[u8]); 4] =
        [(b"/d/x", b""), (b"/evil.example/x", b""), (b"/a\r\nb: c/x", b""), (b"/t##tgz:/x", b"")];
    let server = Server::start(tree(&files).await).await;
    for (target, location) in [
        ("/d", "/d/"),
        ("/d?a=b", "/d/?a=b"),
        ("//evil.example", "/evil.example/"),
        ("//evil.example/%2e%2e/d", "/d/"),
        ("/x/..//evil.example", "/evil.example/"),
        ("/a%0d%0ab:%20c", "/a%0D%0Ab%3A%20c/"),
        ("/t%23%23tgz:", "/t%23%23tgz%3A/"),
    ] {
        let reply = server.get(target, "").await;
        assert_eq!((reply.status, reply.field("location")), (301, Some(location)), "{target}");
        assert_eq!(reply.field("cache-control"), Some("no-store"), "{target}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_listing_leads_to_every_name() {
    let files: [(&[u8], &[u8]); 5] = [
        (b"/d/plain", b"1"),
        (b"/d/with space & <b>", b"2"),
        (b"/d/\xff\xfe", b"3"),
        (b"/d/x##tgz:", b"4"),
        (b"/d/sub/deep", b"5"),
    ];
    let server = Server::start(tree(&files).await).await;
    let page = server.get("/d/", "").await;
    assert_eq!((page.status, page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.field("x-content-type-options"), Some("nosniff"));
    assert!(page.field("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let links: Vec<_> =
        page.text().split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(
        links,
        ["../", "../", "sub/", "plain", "with%20space%20%26%20%3Cb%3E", "x%23%23tgz%3A", "%FF%FE"]
    );
    for (target, fields, media) in [
        ("/d/?format=json", "", "application/json"),
        ("/d/", "Accept: application/x-ndjson\r\n", "application/x-ndjson"),
        ("/d/?format=html", "Accept: application/json\r\n", "text/html; charset=utf-8"),
    ] {
        let listing = server.get(target, fields).await;
        assert_eq!(
            (listing.field("content-type"), listing.field("vary")),
            (Some(media), Some("accept, accept-encoding")),
            "{target}"
        );
        assert!(listing.text().contains("plain"), "{target}");
    }
    for (link, content) in links[3..].iter().zip(["1", "2", "4", "3"]) {
        assert_eq!(server.get(&format!("/d/{link}"), "").await.text(), content, "{link}");
    }
    server.stop().await;
}

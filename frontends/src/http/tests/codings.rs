//! Content codings: made while it is sent, or lying beside the file. And what else an answer's head may say.

use std::sync::Arc;

use bytes::Bytes;
use vfs::jobs::Disk;
use vfs::layers::ReadOnly;
use vfs::producer::{Chunk, Coding, ProducerExt, once};
use vfs::{FileSystem, SetAttributes, VPath};

use super::{Options, Server, tree, write};
use crate::http::Lifetimes;
use crate::site::Limits;

fn words() -> Vec<u8> {
    b"the same words again and again, ".repeat(2000)
}

/// `content` under `coding`, in one piece.
async fn coded(content: &[u8], coding: Coding) -> Vec<u8> {
    let mut pieces = once(Bytes::copy_from_slice(content)).compress(coding, &Disk::new()).peeked();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.more().await {
        if let Chunk::Bytes(piece) = piece.unwrap() {
            bytes.extend_from_slice(&piece);
        }
    }
    bytes
}

#[tokio::test]
async fn texts_are_compressed_while_they_are_sent() {
    let words = words();
    let files: [(&[u8], &[u8]); 4] =
        [(b"/a.txt", &words), (b"/a.png", &words), (b"/short.txt", b"short"), (b"/none.txt", b"")];
    let server = Server::start(tree(&files).await).await;
    let tag = server.get("/a.txt", "").await.field("etag").unwrap().to_owned();
    for (accepted, coding) in [
        ("gzip", Coding::Gzip),
        ("gzip, br", Coding::Brotli),
        ("gzip, deflate, br, zstd", Coding::Zstd),
        ("*;q=0.5, gzip", Coding::Gzip),
    ] {
        let reply = server.get("/a.txt", &format!("Accept-Encoding: {accepted}\r\n")).await;
        assert_eq!(reply.field("content-encoding"), Some(coding.name()), "{accepted}");
        assert_eq!(reply.field("transfer-encoding"), Some("chunked"));
        assert_eq!(reply.field("vary"), Some("accept-encoding"));
        assert_eq!(reply.field("etag"), Some(&format!("W/{tag}")[..]));
        assert_eq!(reply.field("content-length"), None);
        assert_eq!(reply.field("content-type"), Some("text/plain; charset=utf-8"));
        assert!(reply.body == coded(&words, coding).await, "{accepted}");
    }
    let fields = format!("Accept-Encoding: gzip\r\nIf-None-Match: W/{tag}\r\n");
    let known = server.get("/a.txt", &fields).await;
    assert_eq!((known.status, known.field("vary")), (304, Some("accept-encoding")));
    for (target, fields, status) in [
        ("/a.txt", "", 200),
        ("/a.txt", "Accept-Encoding: identity, gzip;q=0\r\n", 200),
        ("/a.txt", "Accept-Encoding: gzip\r\nRange: bytes=0-99\r\n", 206),
        ("/a.png", "Accept-Encoding: gzip\r\n", 200),
        ("/short.txt", "Accept-Encoding: gzip\r\n", 200),
        ("/none.txt", "Accept-Encoding: gzip\r\n", 200),
    ] {
        let reply = server.get(target, fields).await;
        assert_eq!((reply.status, reply.field("content-encoding")), (status, None), "{target} {fields}");
        assert!(reply.field("content-length").is_some());
        let varies = (!target.ends_with("png")).then_some("accept-encoding");
        assert_eq!(reply.field("vary"), varies, "{target}");
    }
    let listing = server.get("/", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(listing.field("content-encoding"), Some("gzip"));
    assert_eq!(listing.field("vary"), Some("accept, accept-encoding"));
    server.stop().await;
}

#[tokio::test]
async fn what_lies_compressed_beside_a_file_goes_instead_of_it() {
    let words = words();
    let tree = Arc::new(
        tree(&[(b"/a.css", &words), (b"/a.css.gz", b"stands for gzip"), (b"/a.css.br", b"stands for br")])
            .await,
    );
    let server = Server::writable(ReadOnly::new(Arc::clone(&tree) as _)).await;
    let plain = server.get("/a.css", "").await;
    let gzip = server.get("/a.css", "Accept-Encoding: gzip\r\n").await;
    assert_eq!((gzip.status, gzip.text()), (200, "stands for gzip"));
    for (name, value) in [
        ("content-encoding", Some("gzip")),
        ("content-length", Some("15")),
        ("content-type", Some("text/css; charset=utf-8")),
        ("vary", Some("accept-encoding")),
        ("accept-ranges", Some("bytes")),
    ] {
        assert_eq!(gzip.field(name), value, "{name}");
    }
    let tag = gzip.field("etag").unwrap();
    assert!(tag.starts_with('"') && plain.field("etag") != Some(tag));
    let fields = format!("Accept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n");
    assert_eq!(server.get("/a.css", &fields).await.status, 304);
    let part = server.get("/a.css", "Accept-Encoding: gzip\r\nRange: bytes=0-5\r\n").await;
    assert_eq!((part.status, part.text()), (206, "stands"));
    assert_eq!(part.field("content-range"), Some("bytes 0-5/15"));
    let brotli = server.get("/a.css", "Accept-Encoding: gzip, br\r\n").await;
    assert_eq!((brotli.text(), brotli.field("content-encoding")), ("stands for br", Some("br")));

    // One that is older than the file is of another version.
    let modified = Some(std::time::UNIX_EPOCH);
    let attributes = SetAttributes { modified, ..SetAttributes::default() };
    tree.set_attributes(&VPath::parse("/a.css.br").unwrap(), &attributes, true).await.unwrap();
    let newer = server.get("/a.css", "Accept-Encoding: br\r\n").await;
    assert_eq!(newer.field("content-encoding"), Some("br"));
    assert!(newer.body == coded(&words, Coding::Brotli).await);
    server.stop().await;
}

#[tokio::test]
async fn types_names_and_origins() {
    let tree =
        tree(&[(b"/README", b"words"), (b"/pic", b"\x89PNG\r\n\x1a\n"), (b"/\xe2\x82\xac.txt", b"x")]).await;
    write(&tree, &VPath::parse("/pub/a").unwrap(), b"x").await;
    let public = VPath::parse("/pub").unwrap();
    let options = Options {
        origins: vec!["https://a.example".to_owned()],
        lifetimes: Arc::new(Lifetimes::new([(&public, "max-age=60")])),
        compress: false,
        ..Options::default()
    };
    let server = Server::with(tree, Limits::default(), options).await;
    for (target, media) in [("/README", "text/plain; charset=utf-8"), ("/pic", "image/png")] {
        assert_eq!(server.get(target, "").await.field("content-type"), Some(media), "{target}");
    }
    let kept = server.get("/%E2%82%AC.txt?download", "").await;
    let disposition = "attachment; filename=\"_.txt\"; filename*=UTF-8''%E2%82%AC.txt";
    assert_eq!(kept.field("content-disposition"), Some(disposition));
    assert_eq!(server.get("/pub/a", "").await.field("cache-control"), Some("max-age=60"));
    assert_eq!(server.get("/README", "").await.field("cache-control"), Some("no-cache"));

    let told = server.get("/README", "Origin: https://a.example\r\n").await;
    assert_eq!(told.field("access-control-allow-origin"), Some("https://a.example"));
    assert_eq!(told.field("vary"), Some("origin"));
    let other = server.get("/README", "Origin: https://b.example\r\n").await;
    assert_eq!((other.field("access-control-allow-origin"), other.field("vary")), (None, Some("origin")));
    let ask = "OPTIONS /README HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: https://a.example\r\n\
        Access-Control-Request-Method: GET\r\n\r\n";
    let allowed = super::Reply::only(&server.exchange(ask).await);
    assert_eq!(allowed.field("access-control-allow-methods"), Some("GET, HEAD"));
    assert!(allowed.field("access-control-allow-headers").unwrap().contains("range"));
    server.stop().await;
}

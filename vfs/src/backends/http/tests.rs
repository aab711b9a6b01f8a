//! Sites that lie, break off and hang: right bytes or a clear error, and the connection is free again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{HttpFs, HttpOptions};
use crate::backends::remote::Deadlines;
use crate::error::{Error, ErrorKind};
use crate::file_system::FileSystem;
use crate::options::{ByteRange, OpenOptions};
use crate::path::VPath;
use crate::producer::{Chunk, ProducerExt, of};

/// Answers each request with what `answer` makes of its head and its number, and closes; no answer hangs for ever.
struct Origin {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    async fn start(answer: impl Fn(usize, &str) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&heads), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap_or(0) > 0 {}
                    let head = String::from_utf8(head).unwrap();
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(head.clone());
                        seen.len()
                    };
                    match answer(number, &head) {
                        Some(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                        None => std::future::pending().await,
                    }
                });
            }
        });
        Self { url: format!("http://{address}/"), heads }
    }

    fn tree(&self) -> HttpFs {
        let limit = Duration::from_millis(300);
        let deadlines = Deadlines { first_byte: limit, stall: limit, ..Deadlines::default() };
        HttpFs::new(&self.url, HttpOptions { deadlines, connections: 1, ..HttpOptions::default() }).unwrap()
    }

    /// The bytes of `range` of `/f`, or the kind of what failed.
    async fn read(&self, range: ByteRange) -> Result<String, ErrorKind> {
        read(&self.tree(), range).await.map_err(|error| error.kind())
    }

    fn requests(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

async fn read(tree: &HttpFs, range: ByteRange) -> Result<String, Error> {
    let path = VPath::parse("/f").unwrap();
    let file = tree.open(&path, &OpenOptions::reading()).await?;
    let mut producer = of(file, range).peeked();
    let mut text = String::new();
    while let Some(chunk) = producer.more().await {
        match chunk? {
            Chunk::Bytes(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Chunk::Span(_) => unreachable!("a remote file makes bytes"),
        }
    }
    Ok(text)
}

fn ok(fields: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{fields}\r\n{body}"))
}

fn part(fields: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 206 Partial Content\r\nConnection: close\r\n{fields}\r\n{body}"))
}

#[tokio::test]
async fn a_cold_file_costs_one_request() {
    let origin = Origin::start(|_, _| ok("Content-Length: 10\r\n", "0123456789")).await;
    assert_eq!(origin.read(ByteRange::whole()).await.unwrap(), "0123456789");
    assert_eq!(origin.requests(), 1);
}

#[tokio::test]
async fn an_unknown_length_is_read_to_its_end() {
    let origin = Origin::start(|_, _| ok("", "0123456789")).await;
    assert_eq!(origin.read(ByteRange::whole()).await.unwrap(), "0123456789");
}

#[tokio::test]
async fn a_site_that_ignores_ranges_is_read_from_its_start() {
    let origin = Origin::start(|_, _| ok("Content-Length: 10\r\n", "0123456789")).await;
    assert_eq!(origin.read(ByteRange::at(5, 3)).await.unwrap(), "567");
}

#[tokio::test]
async fn what_does_not_fit_the_question_is_an_error() {
    for (name, second, kind) in [
        ("wrong part", part("Content-Range: bytes 0-3/200000\r\n", "0123"), ErrorKind::Corrupt),
        ("wrong total", part("Content-Range: bytes 100000-100003/9\r\n", "0123"), ErrorKind::Corrupt),
        ("other total", part("Content-Range: bytes 100000-100003/200001\r\n", "0123"), ErrorKind::Changed),
        ("no part named", part("", "0123"), ErrorKind::Corrupt),
        ("same size, new tag", ok("Content-Length: 200000\r\nETag: \"b\"\r\n", ""), ErrorKind::Changed),
        (
            "more than said",
            part("Content-Range: bytes 100000-100003/200000\r\n", "01234"),
            ErrorKind::Corrupt,
        ),
        (
            "two lengths",
            ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            ErrorKind::Corrupt,
        ),
        ("gzip", ok("Content-Length: 200000\r\nContent-Encoding: gzip\r\n", ""), ErrorKind::Corrupt),
        ("hangs", None, ErrorKind::TimedOut),
    ] {
        let origin = Origin::start(move |number, _| match number {
            1 => ok("Content-Length: 200000\r\nETag: \"a\"\r\n", ""),
            _ => second.clone(),
        });
        let found = origin.await.read(ByteRange::at(100_000, 4)).await;
        assert_eq!(found, Err(kind), "{name}");
    }
}

#[tokio::test]
async fn a_break_is_continued_under_a_strong_tag_only() {
    for (tag, second, expected, requests) in [
        ("\"a\"", part("Content-Range: bytes 4-9/10\r\nETag: \"a\"\r\n", "456789"), Ok("0123456789"), 2),
        ("\"a\"", ok("Content-Length: 10\r\nETag: \"a\"\r\n", "0123456789"), Ok("0123456789"), 2),
        ("\"a\"", ok("Content-Length: 10\r\nETag: \"b\"\r\n", "abcdefghij"), Err(ErrorKind::Changed), 2),
        ("W/\"a\"", None, Err(ErrorKind::Truncated), 1),
    ] {
        let first = ok(&format!("Content-Length: 10\r\nETag: {tag}\r\n"), "0123");
        let origin =
            Origin::start(move |number, _| if number == 1 { first.clone() } else { second.clone() }).await;
        assert_eq!(origin.read(ByteRange::whole()).await, expected.map(str::to_owned));
        assert_eq!(origin.requests(), requests);
    }
}

#[tokio::test]
async fn a_site_that_always_breaks_off_is_given_up() {
    let origin = Origin::start(|_, _| ok("Content-Length: 10\r\nETag: \"a\"\r\n", "0123")).await;
    assert_eq!(origin.read(ByteRange::whole()).await, Err(ErrorKind::Truncated));
    assert!(origin.requests() <= 6, "{}", origin.requests());
}

#[tokio::test]
async fn redirects_end_and_take_no_login_elsewhere() {
    let endless = Origin::start(|number, _| {
        Some(format!("HTTP/1.1 302 Found\r\nLocation: /{number}\r\nContent-Length: 0\r\n\r\n"))
    });
    let endless = endless.await;
    assert_eq!(endless.read(ByteRange::whole()).await, Err(ErrorKind::Loop));

    let other = Origin::start(|_, _| ok("Content-Length: 2\r\n", "ok")).await;
    let target = format!("HTTP/1.1 302 Found\r\nLocation: {}f\r\nContent-Length: 0\r\n\r\n", other.url);
    let origin = Origin::start(move |_, _| Some(target.clone())).await;
    let tree = HttpFs::new(&origin.url.replace("//", "//me:secret@"), HttpOptions::default()).unwrap();
    assert_eq!(read(&tree, ByteRange::whole()).await.unwrap(), "ok");
    let has_login = |origin: &Origin| origin.heads.lock().unwrap()[0].contains("authorization: Basic");
    assert!(has_login(&origin) && !has_login(&other));
}

#[tokio::test]
async fn a_redirect_into_the_house_is_not_followed() {
    let origin = Origin::start(|_, _| {
        let to = "http://169.254.169.254/latest/meta-data";
        Some(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"))
    });
    assert_eq!(origin.await.read(ByteRange::whole()).await, Err(ErrorKind::PermissionDenied));
}

#[tokio::test]
async fn a_drop_frees_the_connection() {
    let origin = Origin::start(|_, _| ok("Content-Length: 9000000\r\n", "0123")).await;
    let tree = origin.tree();
    let path = VPath::parse("/f").unwrap();
    for _ in 0..4 {
        drop(tree.open(&path, &OpenOptions::reading()).await.unwrap());
    }
    assert_eq!(origin.requests(), 4, "each had the only connection");
}

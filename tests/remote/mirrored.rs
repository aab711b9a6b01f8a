//! A mirror of an HTTP site: what it asks, and what it tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use support::{Answer, Heard, Origin, Served};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::layers::mirror::{Mirror, MirrorOptions, Store, StoreOptions, Tolerances};
use vfs::{CacheStatus, ErrorKind, File, FileSystem, OpenOptions, VPath};

const CONTENT: &[u8] = b"0123456789";

/// A mirror of `origin` that asks about whatever is not fresh, and its folder.
async fn mirror_of(origin: &Origin) -> (Mirror, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).await.unwrap();
    let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
    let tolerances = Tolerances { stale_while_revalidate: Duration::ZERO, ..Tolerances::default() };
    let options = MirrorOptions { tolerances, ..MirrorOptions::default() };
    (Mirror::new(Arc::new(tree), origin.url.as_str(), store, options), folder)
}

async fn open(mirror: &Mirror, at: &str) -> vfs::Result<Arc<dyn File>> {
    mirror.open(&VPath::parse(at).unwrap(), &OpenOptions::reading()).await
}

async fn read(mirror: &Mirror, at: &str) -> vfs::Result<(Bytes, CacheStatus)> {
    let file = open(mirror, at).await?;
    let status = file.metadata().await?.provenance.cache;
    Ok((file.read_at(0, 100).await?, status))
}

/// `content`, under this `Cache-Control`; "not modified" to who holds it.
fn answer(heard: &Heard, cache_control: &str) -> Answer {
    if heard.field("if-none-match") == Some("\"one\"") {
        return Answer::head("304 Not Modified", &[("ETag", "\"one\""), ("Cache-Control", cache_control)]);
    }
    let len = CONTENT.len().to_string();
    let fields = [("Content-Length", &len[..]), ("ETag", "\"one\""), ("Cache-Control", cache_control)];
    let head = Answer::head("200 OK", &fields);
    if heard.method() == "HEAD" { head } else { head.send(CONTENT) }
}

#[tokio::test]
async fn what_is_no_longer_fresh_is_asked_about_and_not_sent_again() {
    let origin = Origin::start(|heard| answer(heard, "max-age=0")).await;
    let (mirror, _folder) = mirror_of(&origin).await;
    assert_eq!(read(&mirror, "/f").await.unwrap(), (Bytes::from_static(CONTENT), CacheStatus::Miss));
    for _ in 0..2 {
        assert_eq!(
            read(&mirror, "/f").await.unwrap(),
            (Bytes::from_static(CONTENT), CacheStatus::Revalidated)
        );
    }
    let heard = origin.heard();
    let asked: Vec<_> = heard.iter().map(|heard| heard.field("if-none-match")).collect();
    assert_eq!(asked, [None, Some("\"one\""), Some("\"one\"")]);
}

#[tokio::test]
async fn what_is_fresh_is_not_asked_about() {
    let origin = Origin::start(|heard| answer(heard, "max-age=1000")).await;
    let (mirror, _folder) = mirror_of(&origin).await;
    read(&mirror, "/f").await.unwrap();
    assert_eq!(read(&mirror, "/f").await.unwrap(), (Bytes::from_static(CONTENT), CacheStatus::Hit));
    assert_eq!(origin.heard().len(), 1);
}

#[tokio::test]
async fn a_site_in_trouble_is_not_missed() {
    let is_down = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&is_down);
    let origin = Origin::start(move |heard| {
        if state.load(Ordering::Relaxed) {
            return Answer::head("500 Internal Server Error", &[("Content-Length", "0")]);
        }
        answer(heard, "max-age=0")
    })
    .await;
    let (mirror, _folder) = mirror_of(&origin).await;
    read(&mirror, "/f").await.unwrap();
    is_down.store(true, Ordering::Relaxed);
    assert_eq!(read(&mirror, "/f").await.unwrap(), (Bytes::from_static(CONTENT), CacheStatus::Stale));
    assert_eq!(read(&mirror, "/other").await.unwrap_err().kind(), ErrorKind::BadAnswer);
}

/// A site that has `/sub/`, and nothing else; what it answers to who leaves the `/` out.
fn site_of_a_folder(without_slash: &'static str) -> impl Fn(&Heard) -> Answer {
    move |heard| {
        let page = "<html><title>Index of /</title><pre><a href=\"f\">f</a>\n</pre></html>";
        let len = page.len().to_string();
        match heard.target() {
            "/sub/" => {
                let head = Answer::head("200 OK", &[("Content-Length", &len), ("Content-Type", "text/html")]);
                if heard.method() == "HEAD" { head } else { head.send(page) }
            }
            "/sub" => Answer::head(without_slash, &[("Content-Length", "0"), ("Location", "/sub/")]),
            _ => Answer::head("404 Not Found", &[("Content-Length", "0")]),
        }
    }
}

/// What a client gets for one request line, on a connection of its own.
async fn http(served: &Served, line: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(served.http.address).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

/// All replies to these commands of somebody who has logged in.
async fn ftp(served: &Served, commands: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(served.ftp.address).await.unwrap();
    let all = format!("USER anonymous\r\nPASS x\r\nTYPE I\r\n{commands}QUIT\r\n");
    stream.write_all(all.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// What the origin was asked where the mirror knew.
const NOTHING: [&str; 0] = [];

/// What the origin was asked since the last time.
fn asked_since(origin: &Origin, before: &mut usize) -> Vec<String> {
    let heard = origin.heard();
    let asked =
        heard[*before..].iter().map(|heard| format!("{} {}", heard.method(), heard.target())).collect();
    *before = heard.len();
    asked
}

#[tokio::test]
async fn a_missing_file_costs_one_request_whoever_asks_for_it_and_how_often() {
    for without_slash in ["301 Moved Permanently", "404 Not Found"] {
        let origin = Origin::start(site_of_a_folder(without_slash)).await;
        let (mirror, _folder) = mirror_of(&origin).await;
        let served = Served::start(Arc::new(mirror)).await;
        let (not_found, size, get) =
            ("HTTP/1.1 404 Not Found", "SIZE /d/none\r\n", "EPSV\r\nRETR /d/none\r\n");
        let mut before = 0;
        for (name, first) in [("get", "GET"), ("head", "HEAD")] {
            assert_eq!(http(&served, &format!("{first} /d/{name}")).await, not_found);
            for method in ["GET", "HEAD", "GET"] {
                assert_eq!(http(&served, &format!("{method} /d/{name}")).await, not_found);
            }
            let commands = [size, get].concat().replace("none", name);
            assert_eq!(ftp(&served, &commands).await.matches("\r\n550 ").count(), 2);
            assert_eq!(asked_since(&origin, &mut before), [format!("{first} /d/{name}")]);
        }
        for (name, commands, first) in
            [("size", [size, get].concat(), "HEAD"), ("retr", get.to_owned(), "GET")]
        {
            for _ in 0..2 {
                ftp(&served, &commands.replace("none", name)).await;
                assert_eq!(http(&served, &format!("GET /d/{name}")).await, not_found);
            }
            assert_eq!(asked_since(&origin, &mut before), [format!("{first} /d/{name}")]);
        }
    }
}

#[tokio::test]
async fn a_missing_folder_is_asked_for_once() {
    let origin = Origin::start(site_of_a_folder("404 Not Found")).await;
    let (mirror, _folder) = mirror_of(&origin).await;
    let served = Served::start(Arc::new(mirror)).await;
    // A site is asked once whether it speaks WebDAV, where it makes no page.
    http(&served, "GET /first/").await;
    let mut before = origin.heard().len();
    for (line, asked) in [
        ("GET /none/", &["GET /none/", "HEAD /none"][..]),
        ("GET /none/", &[]),
        ("HEAD /none/", &[]),
        ("GET /none", &[]),
    ] {
        assert_eq!(http(&served, line).await, "HTTP/1.1 404 Not Found");
        assert_eq!(asked_since(&origin, &mut before), asked, "{line}");
    }
    assert!(ftp(&served, "CWD /none\r\nSIZE /none\r\n").await.contains("\r\n550 "));
    assert_eq!(asked_since(&origin, &mut before), NOTHING);
}

#[tokio::test]
async fn a_folder_without_its_slash_costs_a_request_and_its_listing_another() {
    let origin = Origin::start(site_of_a_folder("301 Moved Permanently")).await;
    let (mirror, _folder) = mirror_of(&origin).await;
    let served = Served::start(Arc::new(mirror)).await;
    let mut before = 0;
    for asked in [&["GET /sub", "GET /sub/"][..], &[]] {
        assert_eq!(http(&served, "GET /sub").await, "HTTP/1.1 301 Moved Permanently");
        assert_eq!(http(&served, "GET /sub/").await, "HTTP/1.1 200 OK");
        assert!(ftp(&served, "CWD /sub\r\nSTAT /sub\r\n").await.contains("\r\n250 "));
        assert_eq!(asked_since(&origin, &mut before), asked);
    }
}

/// Who wants a file is told what the site tells, as long as nobody has seen that it hides folders.
#[tokio::test]
async fn a_site_that_hides_its_folders_is_seen_through_by_who_looks_for_anything() {
    let origin = Origin::start(site_of_a_folder("404 Not Found")).await;
    let (mirror, _folder) = mirror_of(&origin).await;
    let served = Served::start(Arc::new(mirror)).await;
    let mut before = 0;
    for (line, status, asked) in
        [("GET /sub", "404 Not Found", &["GET /sub"][..]), ("GET /sub", "404 Not Found", &[])]
    {
        assert_eq!(http(&served, line).await, format!("HTTP/1.1 {status}"));
        assert_eq!(asked_since(&origin, &mut before), asked);
    }
    assert!(ftp(&served, "CWD /sub\r\n").await.contains("\r\n250 "));
    assert_eq!(asked_since(&origin, &mut before), ["HEAD /sub", "HEAD /sub/"]);
    assert_eq!(http(&served, "GET /sub").await, "HTTP/1.1 301 Moved Permanently");
    assert_eq!(asked_since(&origin, &mut before), NOTHING);
    // Now that it is known, every missing name may be a folder.
    assert_eq!(http(&served, "GET /none").await, "HTTP/1.1 404 Not Found");
    assert_eq!(asked_since(&origin, &mut before), ["GET /none", "HEAD /none/"]);
}

#[tokio::test]
async fn what_is_private_is_not_kept() {
    let origin = Origin::start(|heard| answer(heard, "private")).await;
    let (mirror, _folder) = mirror_of(&origin).await;
    for _ in 0..2 {
        assert_eq!(read(&mirror, "/f").await.unwrap().1, CacheStatus::None);
    }
    let heard = origin.heard();
    assert!(heard.iter().all(|heard| heard.field("if-none-match").is_none()), "{heard:?}");
    assert_eq!(heard.len(), 2);
}

#[tokio::test]
async fn ftp_tells_the_same_in_words() {
    let origin = Origin::start(|heard| answer(heard, "max-age=1000")).await;
    let (mirror, _folder) = mirror_of(&origin).await;
    read(&mirror, "/f").await.unwrap();
    let served = Served::start(Arc::new(mirror)).await;
    let mut stream = tokio::net::TcpStream::connect(served.ftp.address).await.unwrap();
    stream.write_all(b"USER anonymous\r\nPASS x\r\nSTAT /f\r\nQUIT\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("\r\n213-Listing (kept, and fresh; 0 s old):\r\n"), "{answer}");
}

#[tokio::test]
async fn an_answer_tells_its_age_and_where_it_comes_from() {
    let origin = Origin::start(|heard| answer(heard, "max-age=1000")).await;
    let (mirror, _folder) = mirror_of(&origin).await;
    let served = Served::start(Arc::new(mirror)).await;
    for status in ["vfsd; fwd=uri-miss; stored", "vfsd; hit"] {
        let mut stream = tokio::net::TcpStream::connect(served.http.address).await.unwrap();
        stream.write_all(b"GET /f HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(&format!("\r\ncache-status: {status}\r\n")), "{answer}");
        assert!(answer.contains("\r\nage: "), "{answer}");
        assert!(answer.ends_with("0123456789"), "{answer}");
    }
}

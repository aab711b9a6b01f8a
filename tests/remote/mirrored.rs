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

#[tokio::test]
async fn what_is_missing_is_asked_for_once() {
    let missing = |heard: &Heard| {
        let fields = [("Content-Length", "0")];
        if heard.target() == "/" {
            Answer::head("403 Forbidden", &fields)
        } else {
            Answer::head("404 Not Found", &fields)
        }
    };
    let origin = Origin::start(missing).await;
    let (mirror, _folder) = mirror_of(&origin).await;
    assert_eq!(read(&mirror, "/none").await.unwrap_err().kind(), ErrorKind::NotFound);
    let asked = origin.heard().len();
    for _ in 0..3 {
        assert_eq!(read(&mirror, "/none").await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(origin.heard().len(), asked);
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

//! Sites that lie, break off and vanish, behind a mirror: what a client gets is the file or an error, and what was wrong
//! once is not kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::{Answer, Heard, Origin, Served};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::layers::mirror::{Mirror, MirrorOptions, Store, StoreOptions, Tolerances};

const LEN: usize = 600_000;

/// What the file is, once the site has come to its senses.
fn content() -> Vec<u8> {
    (0..LEN).map(|at| (at / 251 + at % 251) as u8).collect()
}

struct Scene {
    _origin: Origin,
    is_honest: Arc<AtomicBool>,
    served: Served,
    _folder: TempDir,
}

impl Scene {
    /// A mirror of a site that answers so while it is not honest.
    async fn new(hostile: impl Fn(&Heard, &[u8]) -> Answer + Send + Sync + 'static, is_honest: bool) -> Self {
        let is_honest = Arc::new(AtomicBool::new(is_honest));
        let (state, content) = (Arc::clone(&is_honest), content());
        let origin = Origin::start(move |heard| {
            if state.load(Ordering::Relaxed) {
                return Answer::honest(heard, &content, "\"honest\"");
            }
            hostile(heard, &content)
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), StoreOptions::default()).await.unwrap();
        let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
        // Whatever is kept is asked about at once.
        let tolerances = Tolerances {
            stale_while_revalidate: Duration::ZERO,
            missing: Duration::ZERO,
            ..Tolerances::default()
        };
        let options = MirrorOptions { tolerances, ..MirrorOptions::default() };
        let mirror = Mirror::new(Arc::new(tree), origin.url.as_str(), store, options);
        let served = Served::start(Arc::new(mirror)).await;
        Self { _origin: origin, is_honest, served, _folder: folder }
    }

    /// Status and body of a request; `None` for the body where it breaks off before its end.
    async fn get(&self) -> (u16, Option<Vec<u8>>) {
        self.ask("GET", "").await
    }

    /// The same of a request with this method and these fields.
    async fn ask(&self, method: &str, fields: &str) -> (u16, Option<Vec<u8>>) {
        let mut stream = TcpStream::connect(self.served.http.address).await.unwrap();
        let request = format!("{method} /f HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let outcome = stream.read_to_end(&mut answer).await;
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return (0, None) };
        let (head, body) = answer.split_at(end + 4);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let status = head[9..12].parse().unwrap();
        let is_whole = match head.split("content-length: ").nth(1) {
            Some(len) => len.lines().next().unwrap().parse() == Ok(body.len()),
            None => body.ends_with(b"0\r\n\r\n"),
        };
        (status, (outcome.is_ok() && is_whole).then(|| body.to_vec()))
    }
}

/// While the site is hostile nobody gets a whole answer, and afterwards everybody the file.
async fn never_believed(hostile: impl Fn(&Heard, &[u8]) -> Answer + Send + Sync + 'static) {
    let scene = Scene::new(hostile, false).await;
    for _ in 0..2 {
        let (status, body) = scene.get().await;
        assert!(status != 200 || body.is_none(), "a whole answer of {} bytes", body.unwrap().len());
    }
    scene.is_honest.store(true, Ordering::Relaxed);
    assert_eq!(scene.get().await, (200, Some(content())));
}

fn ok(fields: &[(&str, &str)]) -> Answer {
    Answer::head("200 OK", fields)
}

#[tokio::test]
async fn a_body_that_is_shorter_than_was_said() {
    never_believed(|_, content| {
        ok(&[("Content-Length", &LEN.to_string()), ("ETag", "\"a\"")]).send(&content[..LEN / 2]).close()
    })
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_off_and_cannot_be_gone_on_with() {
    never_believed(|_, content| {
        ok(&[("Content-Length", &LEN.to_string())]).send(&content[..LEN / 2]).close()
    })
    .await;
}

#[tokio::test]
async fn a_chunked_body_without_its_end() {
    never_believed(|_, _| ok(&[("Transfer-Encoding", "chunked")]).send("3\r\nabc\r\n").close()).await;
}

#[tokio::test]
async fn nothing_where_something_was_said() {
    never_believed(|_, _| ok(&[("Content-Length", &LEN.to_string())]).close()).await;
}

#[tokio::test]
async fn two_lengths() {
    never_believed(|_, content| {
        ok(&[("Content-Length", "10"), ("Transfer-Encoding", "chunked")]).send(&content[..10]).close()
    })
    .await;
}

#[tokio::test]
async fn a_part_that_nobody_asked_for() {
    never_believed(|_, content| {
        Answer::head(
            "206 Partial Content",
            &[("Content-Range", "bytes 0-9/600000"), ("Content-Length", "10")],
        )
        .send(&content[..10])
    })
    .await;
}

#[tokio::test]
async fn a_version_that_changes_with_every_answer() {
    never_believed(|heard, content| {
        let tag = format!("\"{}\"", heard.number);
        let at = heard.range().map_or(0, |(first, _)| first);
        let fields = [("Content-Length", &(LEN - at).to_string()[..]), ("ETag", &tag)];
        let range = format!("bytes {at}-{}/{LEN}", LEN - 1);
        let answer = match heard.range() {
            Some(_) => {
                Answer::head("206 Partial Content", &[fields[0], fields[1], ("Content-Range", &range)])
            }
            None => ok(&fields),
        };
        answer.send(&content[at..(at + 1000).min(LEN)]).close()
    })
    .await;
}

/// A transfer breaks off at half, and what follows is of another version, whose site does not say so.
#[tokio::test]
async fn the_rest_of_a_version_that_is_not_named() {
    type Rest = fn(usize) -> Answer;
    let rests: [Rest; 4] = [
        |first| {
            let range = format!("bytes {first}-{}/{LEN}", LEN - 1);
            Answer::head("206 Partial Content", &[("Content-Range", &range)])
        },
        |first| {
            let range = format!("bytes {first}-{}/{LEN}", LEN - 1);
            Answer::head("206 Partial Content", &[("Content-Range", &range), ("ETag", "W/\"a\"")])
        },
        |_| ok(&[("Content-Length", &LEN.to_string())]),
        |_| ok(&[("Content-Type", "text/html")]),
    ];
    for rest in rests {
        never_believed(move |heard, content| match heard.range() {
            None => {
                let fields = [("Content-Length", &LEN.to_string()[..]), ("ETag", "\"a\"")];
                ok(&fields).send(&content[..LEN / 2]).close()
            }
            Some((first, _)) => rest(first).send(vec![b'!'; LEN]).close(),
        })
        .await;
    }
}

#[tokio::test]
async fn a_page_of_an_error_in_the_place_of_a_part() {
    let hostile = |heard: &Heard, _: &[u8]| match heard.method() {
        "HEAD" => ok(&[("Content-Length", &LEN.to_string()), ("ETag", "\"a\"")]),
        _ => ok(&[("Content-Type", "text/html")]).send("<html>oops</html>".repeat(1000)).close(),
    };
    let scene = Scene::new(hostile, false).await;
    for _ in 0..2 {
        let (status, body) = scene.ask("GET", "Range: bytes=1000-1049\r\n").await;
        assert!(status != 206 || body.is_none(), "{status} {body:?}");
    }
}

#[tokio::test]
async fn a_length_of_nothing_in_an_answer_to_head() {
    let hostile = |heard: &Heard, content: &[u8]| match heard.method() {
        "HEAD" => ok(&[("Content-Length", "0"), ("ETag", "\"a\"")]),
        _ => Answer::honest(heard, content, "\"a\""),
    };
    let scene = Scene::new(hostile, false).await;
    assert_eq!(scene.ask("HEAD", "").await.0, 200);
    assert_eq!(scene.get().await, (200, Some(content())));
}

/// Ranges that are refused, sent as many parts, or in little pieces: whoever asks gets what is right.
#[tokio::test]
async fn ranges_of_a_site_with_its_own_idea_of_them() {
    type Hostile = fn(&Heard, &[u8]) -> Answer;
    let sites: [Hostile; 3] = [
        |heard, content| match heard.range() {
            None => Answer::honest(heard, content, "\"a\""),
            Some(_) => Answer::head("416 Range Not Satisfiable", &[("Content-Length", "0")]),
        },
        |heard, content| match heard.range() {
            None => Answer::honest(heard, content, "\"a\""),
            Some(_) => {
                let media = "multipart/byteranges; boundary=x";
                let fields = [("Content-Type", media), ("Content-Length", "9"), ("ETag", "\"a\"")];
                Answer::head("206 Partial Content", &fields).send("--x--\r\n\r\n")
            }
        },
        |heard, content| match heard.range() {
            None => Answer::honest(heard, content, "\"a\""),
            Some((first, end)) => {
                let end = end.unwrap_or(LEN).min(first + 10_000);
                let range = format!("bytes {first}-{}/{LEN}", end - 1);
                let len = (end - first).to_string();
                let fields = [("Content-Range", &range[..]), ("Content-Length", &len), ("ETag", "\"a\"")];
                Answer::head("206 Partial Content", &fields).send(&content[first..end])
            }
        },
    ];
    for site in sites {
        let scene = Scene::new(site, false).await;
        let (status, part) = scene.ask("GET", "Range: bytes=400000-400009\r\n").await;
        assert_eq!((status, part), (206, Some(content()[400_000..400_010].to_vec())));
        assert_eq!(scene.get().await, (200, Some(content())));
    }
}

#[tokio::test]
async fn trouble_of_the_site() {
    for status in
        ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"]
    {
        never_believed(move |_, _| Answer::head(status, &[("Content-Length", "4")]).send("oops")).await;
    }
}

#[tokio::test]
async fn a_way_that_leads_in_circles_or_to_where_nobody_may_go() {
    for location in ["/f", "http://10.0.0.1/f", "file:///etc/passwd"] {
        never_believed(move |_, _| {
            Answer::head("302 Found", &[("Location", location), ("Content-Length", "0")])
        })
        .await;
    }
}

#[tokio::test]
async fn a_site_that_hangs_up() {
    never_believed(|_, _| Answer::default().close()).await;
}

#[tokio::test]
async fn what_was_good_is_served_on_whatever_becomes_of_the_site() {
    type Hostile = fn(&Heard, &[u8]) -> Answer;
    let troubles: [Hostile; 5] = [
        |_, _| Answer::default().close(),
        |_, _| Answer::head("500 Internal Server Error", &[("Content-Length", "0")]),
        |_, _| Answer::head("302 Found", &[("Location", "/f"), ("Content-Length", "0")]),
        |_, _| ok(&[("Content-Length", "5"), ("Transfer-Encoding", "chunked")]).close(),
        |_, _| Answer::head("206 Partial Content", &[("Content-Length", "5")]).send("lies!"),
    ];
    for hostile in troubles {
        let scene = Scene::new(hostile, true).await;
        assert_eq!(scene.get().await, (200, Some(content())));
        // Old enough that who asks for it anew is not told what was heard a moment ago.
        scene.is_honest.store(false, Ordering::Relaxed);
        for _ in 0..2 {
            assert_eq!(scene.get().await, (200, Some(content())));
        }
    }
}

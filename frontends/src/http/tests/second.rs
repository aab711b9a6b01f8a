//! HTTP/2 on a plain connection, by prior knowledge.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use vfs::Aside;
use vfs::backends::local::{LocalFs, LocalOptions};

use super::odd::Odd;
use super::{Options, Reply, Server, pattern, pipe, site, tree};
use crate::site::Limits;

type Client = SendRequest<Empty<Bytes>>;

async fn client<T>(io: T) -> (Client, JoinHandle<hyper::Result<()>>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(64 * 1024);
    let (client, connection) = builder.handshake(TokioIo::new(io)).await.unwrap();
    (client, tokio::spawn(connection))
}

async fn send(client: &Client, method: Method, target: &str) -> Response<Incoming> {
    try_send(client, method, target).await.unwrap()
}

async fn try_send(client: &Client, method: Method, target: &str) -> hyper::Result<Response<Incoming>> {
    let request =
        Request::builder().method(method).uri(format!("http://x{target}")).body(Empty::new()).unwrap();
    client.clone().send_request(request).await
}

async fn body(response: Response<Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn files_folders_and_errors() {
    let content = pattern(3_000_000);
    let server = Server::start(tree(&[(b"/d/large", &content), (b"/d/small", b"s")]).await).await;
    let (client, _connection) = client(server.connect().await).await;
    let large = send(&client, Method::GET, "/d/large").await;
    let small = send(&client, Method::GET, "/d/small").await;
    assert_eq!(small.headers()["content-length"], "1");
    // The second answer does not wait for the first one's body.
    assert_eq!(body(small).await, "s");
    assert!(body(large).await == content);
    for (method, target, status) in [
        (Method::GET, "/d/", StatusCode::OK),
        (Method::HEAD, "/d/large", StatusCode::OK),
        (Method::GET, "/d", StatusCode::MOVED_PERMANENTLY),
        (Method::GET, "/missing", StatusCode::NOT_FOUND),
        (Method::GET, "/%00", StatusCode::BAD_REQUEST),
        (Method::PUT, "/d/small", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        assert_eq!(send(&client, method.clone(), target).await.status(), status, "{method} {target}");
    }
    assert_eq!(server.site.sight.sendfile_bytes.get(), 0);
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_resets_its_stream_and_no_other() {
    let server = Server::start(Odd { len: None, content: b"some content", fails: true }).await;
    let (client, _connection) = client(server.connect().await).await;
    // The reset may overtake what came before it.
    let broken = match try_send(&client, Method::GET, "/odd").await {
        Ok(response) => response.into_body().collect().await.map(|_| ()),
        Err(error) => Err(error),
    };
    let error = format!("{:?}", broken.unwrap_err());
    assert!(error.contains("INTERNAL_ERROR"), "{error}");
    assert_eq!(send(&client, Method::GET, "/missing").await.status(), StatusCode::NOT_FOUND);
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn what_only_looks_like_a_preface_is_no_http_2() {
    let server = Server::start(tree(&[(b"/a", b"alpha")]).await).await;
    let reply = Reply::only(&server.exchange("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await);
    assert_eq!(reply.status, 505);
    // An end in the middle of one is an end.
    assert_eq!(server.exchange("PRI * HTTP").await, b"");
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_preface_that_drips_is_cut_off() {
    let site = site(tree(&[]).await, Limits::default());
    let (mut raw, serving) = pipe(&site, Options::default(), 1024);
    let begun = Instant::now();
    raw.write_all(b"PRI * HTTP").await.unwrap();
    serving.await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    assert_eq!(raw.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_ended() {
    let site = site(tree(&[(b"/a", b"alpha")]).await, Limits::default());
    let (io, serving) = pipe(&site, Options::default(), 64 * 1024);
    let (client, connection) = client(io).await;
    assert_eq!(body(send(&client, Method::GET, "/a").await).await, "alpha");
    let begun = Instant::now();
    serving.await.unwrap();
    // It hears of it a while before.
    assert_eq!(begun.elapsed().as_secs(), 25);
    connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_makes_no_room_is_given_up() {
    let site = site(tree(&[(b"/a", &pattern(1_000_000))]).await, Limits::default());
    let (io, serving) = pipe(&site, Options::default(), 64 * 1024);
    let (client, _connection) = client(io).await;
    let stalled = send(&client, Method::GET, "/a").await;
    let begun = Instant::now();
    serving.await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 30);
    assert!(stalled.into_body().collect().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_makes_no_room_is_given_up_and_no_other() {
    let site = site(tree(&[(b"/a", &pattern(1_000_000)), (b"/s", b"s")]).await, Limits::default());
    let (io, _serving) = pipe(&site, Options::default(), 64 * 1024);
    let (client, _connection) = client(io).await;
    let stalled = send(&client, Method::GET, "/a").await;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(body(send(&client, Method::GET, "/s").await).await, "s");
    }
    assert!(stalled.into_body().collect().await.is_err());
    assert_eq!(body(send(&client, Method::GET, "/s").await).await, "s");
}

#[tokio::test]
async fn a_stop_lets_streams_finish() {
    let content = pattern(3_000_000);
    let server = Server::start(tree(&[(b"/a", &content)]).await).await;
    let (client, connection) = client(server.connect().await).await;
    let response = send(&client, Method::GET, "/a").await;
    let stopped = tokio::spawn(server.stop());
    assert!(body(response).await == content);
    stopped.await.unwrap();
    connection.await.unwrap().unwrap();
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "what the tree hides is looked at on the host")]
async fn a_change_goes_on_to_its_end_when_its_client_has_left() {
    let folder = tempfile::tempdir().unwrap();
    let inside = |name: &str| folder.path().join(name);
    for name in ["src", "dst", "old"] {
        std::fs::create_dir(inside(name)).unwrap();
        for number in 0..FILES {
            std::fs::write(inside(&format!("{name}/{number}")), name).unwrap();
        }
    }
    let options = LocalOptions { writable: true, ..LocalOptions::default() };
    let names = || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let is_aside = |name: OsString| Aside::of(name.as_bytes()).is_some();
    for (method, target) in [("COPY", "http://x/src"), ("DELETE", "http://x/old")] {
        let server = Server::writable(LocalFs::open_with(folder.path(), &options).unwrap()).await;
        let (mut client, connection) = client(server.connect().await).await;
        let request = Request::builder().method(method).uri(target).header("destination", "/dst");
        let answer = tokio::spawn(client.send_request(request.body(Empty::new()).unwrap()));
        // It has begun when something is set aside.
        while !answer.is_finished() && !names().any(is_aside) {
            tokio::task::yield_now().await;
        }
        connection.abort();
        server.stop().await;
    }
    let mut left: Vec<_> = names().collect();
    left.sort();
    assert_eq!(left, ["dst", "src"]);
    for number in 0..FILES {
        assert_eq!(std::fs::read(inside(&format!("dst/{number}"))).unwrap(), b"src");
    }
}

/// Files of a folder that is changed in many calls.
const FILES: usize = 300;

/// One answer's body, over a connection that is negotiated already.
pub(super) async fn fetch<T>(io: T, target: &str) -> Bytes
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, _connection) = client(io).await;
    body(send(&client, Method::GET, target).await).await
}

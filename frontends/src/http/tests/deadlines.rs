//! How long a connection may take, and how it ends.

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::{Options, Reply, Server, pattern, pipe, read_reply, site, tree};
use crate::http::Bounds;
use crate::site::Limits;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let site = site(tree(&[(b"/a", b"alpha")]).await, Limits::default());
    let begun = Instant::now();
    let (mut client, _serving) = pipe(&site, Options::default(), 1024);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(begun.elapsed(), secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_off() {
    let site = site(tree(&[(b"/a", b"alpha")]).await, Limits::default());
    let (mut client, serving) = pipe(&site, Options::default(), 1024);
    tokio::time::sleep(secs(20)).await;
    let begun = Instant::now();
    let dripping = tokio::spawn(async move {
        for byte in GET {
            client.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(secs(1)).await;
        }
    });
    serving.await.unwrap();
    assert_eq!(begun.elapsed(), secs(10));
    assert!(dripping.await.is_err(), "the rest of the head found nobody");
}

#[tokio::test(start_paused = true)]
async fn a_connection_rests_between_answers_and_goes_on() {
    let site = site(tree(&[(b"/a", b"alpha")]).await, Limits::default());
    let (mut client, serving) = pipe(&site, Options::default(), 1024);
    for pause in [secs(0), secs(29), secs(1)] {
        tokio::time::sleep(pause).await;
        client.write_all(GET).await.unwrap();
        assert_eq!(read_reply(&mut client).await.text(), "alpha");
    }
    // The start of a head that arrives with a request before it is not lost when the connection rests.
    client.write_all(&[GET, &GET[..9]].concat()).await.unwrap();
    assert_eq!(read_reply(&mut client).await.text(), "alpha");
    tokio::time::sleep(secs(8)).await;
    client.write_all(&GET[9..]).await.unwrap();
    assert_eq!(read_reply(&mut client).await.text(), "alpha");
    let begun = Instant::now();
    serving.await.unwrap();
    assert_eq!(begun.elapsed(), secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_given_up() {
    let site = site(tree(&[(b"/a", &pattern(100_000))]).await, Limits::default());
    let (mut client, serving) = pipe(&site, Options::default(), 1024);
    client.write_all(GET).await.unwrap();
    client.read_exact(&mut [0; 2000]).await.unwrap();
    let begun = Instant::now();
    serving.await.unwrap();
    assert_eq!(begun.elapsed(), secs(30));
}

/// The head of an upload of so many bytes.
fn put(len: usize) -> Vec<u8> {
    format!("PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n").into_bytes()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_cut_off() {
    let site = site(tree(&[]).await, Limits::default());
    let (client, serving) = pipe(&site, Options::default(), 1024);
    let (mut reading, mut writing) = tokio::io::split(client);
    let begun = Instant::now();
    let dripping = tokio::spawn(async move {
        writing.write_all(&put(1000)).await.unwrap();
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(secs(1)).await;
        }
    });
    let reply = read_reply(&mut reading).await;
    assert_eq!((reply.status, reply.field("connection")), (408, Some("close")), "{}", reply.text());
    assert_eq!(begun.elapsed().as_secs(), 10);
    serving.await.unwrap();
    dripping.abort();
    let mut client = pipe(&site, Options::default(), 1024).0;
    client.write_all(b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_reply(&mut client).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_body_may_rest_that_was_fast_before() {
    let slowest = NonZeroU64::new(100);
    let options =
        Options { bounds: Bounds { slowest_upload: slowest, ..Bounds::default() }, ..Options::default() };
    let site = site(tree(&[]).await, Limits::default());
    for (rest, status) in [(secs(29), 201), (secs(31), 408)] {
        let (mut client, _serving) = pipe(&site, options.clone(), 1024);
        client.write_all(&put(10_001)).await.unwrap();
        client.write_all(&[b'x'; 10_000]).await.unwrap();
        tokio::time::sleep(rest).await;
        client.write_all(b"x").await.unwrap();
        assert_eq!(read_reply(&mut client).await.status, status, "{rest:?}");
    }
    // As fast as it must be, for longer than any of the waits.
    let (mut client, _serving) = pipe(&site, options, 1024);
    client.write_all(&put(10_000)).await.unwrap();
    for _ in 0..100 {
        client.write_all(&[b'x'; 100]).await.unwrap();
        tokio::time::sleep(secs(1)).await;
    }
    assert_eq!(read_reply(&mut client).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn every_bound_can_be_another_one() {
    let bounds =
        Bounds { head: secs(2), head_bytes: 8192, fields: 5, slowest_upload: None, ..Bounds::default() };
    let options = Options { bounds, ..Options::default() };
    let limits = Limits { idle: Some(secs(3)), stall: Some(secs(4)), ..Limits::default() };
    let site = site(tree(&[(b"/a", &pattern(100_000))]).await, limits);
    let lasts = async |sent: Vec<u8>, replies: bool| {
        let (mut client, serving) = pipe(&site, options.clone(), 1024);
        let begun = Instant::now();
        client.write_all(&sent).await.unwrap();
        if replies {
            assert_eq!(read_reply(&mut client).await.status, 408);
        }
        serving.await.unwrap();
        begun.elapsed().as_secs()
    };
    assert_eq!(lasts(Vec::new(), false).await, 3);
    assert_eq!(lasts(GET[..9].to_vec(), false).await, 2);
    assert_eq!(lasts(GET.to_vec(), false).await, 4);
    assert!((4..=5).contains(&lasts(put(9), true).await));
    for (fields, status) in [
        ("X: 1\r\n".repeat(4), 200),
        ("X: 1\r\n".repeat(5), 431),
        ("X: ".to_owned() + &"1".repeat(9000) + "\r\n", 431),
    ] {
        let (mut client, _serving) = pipe(&site, options.clone(), 1 << 20);
        client.write_all(format!("HEAD /a HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()).await.unwrap();
        let mut line = [0; 12];
        client.read_exact(&mut line).await.unwrap();
        assert_eq!(line, format!("HTTP/1.1 {status}").as_bytes());
    }
}

/// In real time, because it is the kernel that watches.
#[tokio::test]
async fn a_slow_reader_is_kept_and_one_that_stopped_is_not() {
    let content = pattern(30_000_000);
    let stall = secs(2);
    let limits = Limits { stall: Some(stall), ..Limits::default() };
    let server = Server::with_limits(tree(&[(b"/a", &content)]).await, limits).await;
    let mut slow = server.connect().await;
    slow.write_all(GET).await.unwrap();
    let mut stopped = server.connect().await;
    stopped.write_all(GET).await.unwrap();
    // So little that the server's socket has no room for more all the while.
    let (begun, mut taken) = (Instant::now(), 0);
    while taken < 400_000 || server.site.sight.connections.get() > 1 {
        assert!(begun.elapsed() < secs(20), "who stopped reading is still here");
        slow.read_exact(&mut [0; 20_000]).await.unwrap();
        taken += 20_000;
        tokio::time::sleep(stall / 20).await;
    }
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(&content[taken..]));
    drop(stopped);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_lets_an_answer_finish_and_closes_what_is_idle() {
    let content = pattern(10_000_000);
    let server = Server::start(tree(&[(b"/a", &content)]).await).await;
    let mut idle = server.connect().await;
    let mut rested = server.connect().await;
    rested.write_all(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    rested.read_u8().await.unwrap();
    let mut busy = server.connect().await;
    busy.write_all(GET).await.unwrap();
    let mut answer = vec![busy.read_u8().await.unwrap()];
    let stopped = tokio::spawn(server.stop());
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    rested.read_to_end(&mut Vec::new()).await.unwrap();
    busy.read_to_end(&mut answer).await.unwrap();
    assert!(Reply::only(&answer).body == content);
    stopped.await.unwrap();
}

#[tokio::test]
async fn one_connection_too_many_hears_why() {
    let limits = Limits { connections_per_address: 1, ..Limits::default() };
    let server = Server::with_limits(tree(&[(b"/a", b"alpha")]).await, limits).await;
    let mut first = server.connect().await;
    first.write_all(GET).await.unwrap();
    assert_eq!(read_reply(&mut first).await.status, 200);
    let reply = Reply::only(&server.exchange(GET).await);
    assert_eq!((reply.status, reply.field("retry-after")), (503, Some("1")));
    drop(first);
    server.stop().await;
}

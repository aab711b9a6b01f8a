//! How long a connection may take, and how it ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::{Reply, Server, pattern, pipe, read_reply, site, tree};
use crate::site::Limits;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let site = site(tree(&[(b"/a", b"alpha")]).await, Limits::default());
    let begun = Instant::now();
    let (mut client, _serving) = pipe(&site, 1024);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(begun.elapsed(), secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_off() {
    let site = site(tree(&[(b"/a", b"alpha")]).await, Limits::default());
    let (mut client, serving) = pipe(&site, 1024);
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
    let (mut client, serving) = pipe(&site, 1024);
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
    assert!((secs(30)..=secs(40)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_given_up() {
    let site = site(tree(&[(b"/a", &pattern(100_000))]).await, Limits::default());
    let (mut client, serving) = pipe(&site, 1024);
    client.write_all(GET).await.unwrap();
    client.read_exact(&mut [0; 2000]).await.unwrap();
    let begun = Instant::now();
    serving.await.unwrap();
    assert_eq!(begun.elapsed(), secs(60));
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

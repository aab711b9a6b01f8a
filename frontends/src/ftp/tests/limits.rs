//! Bounds in time, under paused time, and in number.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::ftp::Options;
use crate::ftp::testing::{Running, session};
use crate::site::Limits;

/// Whole seconds since `start`.
fn seconds(start: Instant) -> u64 {
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_login_that_does_not_come_is_not_waited_for() {
    let start = Instant::now();
    let (mut client, running, _stop) = session(Limits::default()).await;
    client.ask("USER ftp").await;
    assert!(client.reply().await.starts_with("421 "));
    assert_eq!(seconds(start), 20);
    assert_eq!(client.reply().await, "");
    // The peer keeps its side open; it is not waited for either.
    running.await.unwrap();
    assert_eq!(seconds(start), 25);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_ends_with_421() {
    let (mut client, _running, _stop) = session(Limits::default()).await;
    client.log_in().await;
    tokio::time::advance(Duration::from_secs(200)).await;
    client.ask("NOOP").await;
    let start = Instant::now();
    assert!(client.reply().await.starts_with("421 "));
    assert_eq!(seconds(start), 300);
    assert_eq!(client.reply().await, "");
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_line_is_idle() {
    let limits = Limits { idle: Some(Duration::from_secs(60)), ..Limits::default() };
    let (mut client, _running, _stop) = session(limits).await;
    client.log_in().await;
    let start = Instant::now();
    tokio::time::advance(Duration::from_secs(40)).await;
    client.send("NO").await;
    assert!(client.reply().await.starts_with("421 "));
    assert_eq!(seconds(start), 60);
}

#[tokio::test(start_paused = true)]
async fn failed_logins_take_longer_each_time_and_end_after_three() {
    let (mut client, _running, _stop) = session(Limits::default()).await;
    for (delay, code) in [(1, "530 "), (2, "530 "), (4, "421 ")] {
        assert!(client.ask("USER root").await.starts_with("331 "));
        let start = Instant::now();
        // ABOR does not shorten it.
        client.send("PASS secret\r\nABOR\r\n").await;
        assert!(client.reply().await.starts_with(code));
        assert_eq!(seconds(start), delay);
        if code == "530 " {
            assert!(client.reply().await.starts_with("226 "));
        }
    }
    assert_eq!(client.reply().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_data_connection_that_does_not_come_is_not_waited_for() {
    let (mut client, _running, _stop) = session(Limits::default()).await;
    client.log_in().await;
    client.port().await;
    let start = Instant::now();
    assert!(client.ask("RETR file").await.starts_with("150 "));
    assert!(client.reply().await.starts_with("425 "));
    assert_eq!(seconds(start), 30);
    assert_eq!(client.ask("RETR file").await, "425 Use EPSV or PASV first.\r\n");
    assert!(client.ask("PWD").await.starts_with("257 "));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_given_up() {
    let (mut client, _running, _stop) = session(Limits::default()).await;
    client.log_in().await;
    let mut data = client.data().await;
    assert!(client.ask("RETR endless").await.starts_with("150 "));
    let start = Instant::now();
    assert!(client.reply().await.starts_with("426 "));
    assert_eq!(seconds(start), 120);
    let error = data.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "no end that could pass for the file's");
    // What the transfer took does not count as idle.
    assert!(client.reply().await.starts_with("421 "));
    assert_eq!(seconds(start), 420);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_close_after_quit_is_closed() {
    let (mut client, running, _stop) = session(Limits::default()).await;
    client.log_in().await;
    let start = Instant::now();
    assert!(client.ask("QUIT").await.starts_with("221 "));
    assert_eq!(client.reply().await, "");
    running.await.unwrap();
    assert_eq!(seconds(start), 5);
}

#[tokio::test(start_paused = true)]
async fn replies_that_nobody_reads_are_given_up() {
    let (mut client, running, _stop) = session(Limits::default()).await;
    client.log_in().await;
    let start = Instant::now();
    // Once no more replies fit, no more commands are read either.
    while client.try_send("STAT\r\n".repeat(100)).await.is_ok() {}
    assert_eq!(seconds(start), 120);
    running.await.unwrap();
}

#[tokio::test]
async fn a_stop_lets_a_transfer_finish_and_answers_421_after_it() {
    let running = Running::start(&[("/big", &[1; 8 << 20])]).await;
    let mut idle = running.log_in().await;
    let mut client = running.log_in().await;
    let mut data = client.data().await;
    assert!(client.ask("RETR big").await.starts_with("150 "));
    running.stop.send(()).unwrap();
    assert!(idle.reply().await.starts_with("421 "));
    client.send("PWD\r\n").await;
    let mut content = Vec::new();
    data.read_to_end(&mut content).await.unwrap();
    assert_eq!(content.len(), 8 << 20);
    assert!(client.reply().await.starts_with("226 "));
    assert!(client.reply().await.starts_with("421 "));
    drop((idle, client));
    running.server.await.unwrap();
}

#[tokio::test]
async fn one_connection_too_many_is_told_why() {
    let limits = Limits { connections_per_address: 1, ..Limits::default() };
    let running = Running::start_with(&[], limits, Options::default()).await;
    let _first = running.connect().await;
    let mut second = String::new();
    TcpStream::connect(running.address).await.unwrap().read_to_string(&mut second).await.unwrap();
    assert!(second.starts_with("421 Too many connections"), "{second}");
}

#[tokio::test]
async fn one_connection_more_than_the_house_has_places_is_told_why() {
    let limits = Limits { connections: 1, connections_per_address: 9, ..Limits::default() };
    let running = Running::start_with(&[], limits, Options::default()).await;
    let _first = running.connect().await;
    let mut second = String::new();
    TcpStream::connect(running.address).await.unwrap().read_to_string(&mut second).await.unwrap();
    assert_eq!(second, "421 Too many connections; try again later.\r\n");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_call_is_not_idle_and_is_answered_meanwhile() {
    let limits = Limits { idle: Some(Duration::from_secs(3)), ..Limits::default() };
    let (mut client, _running, _stop) = session(limits).await;
    client.log_in().await;
    client.send("HASH hung\r\n").await;
    tokio::time::sleep(Duration::from_secs(1000)).await;
    for (line, says) in [("NOOP", "200 "), ("STAT", " A command is being carried out; ABOR stops it.")] {
        let reply = client.ask(line).await;
        assert!(reply.contains(says), "{line}: {reply}");
        tokio::time::sleep(Duration::from_secs(1000)).await;
    }
    assert!(client.ask("ABOR").await.starts_with("451 "));
    assert!(client.reply().await.starts_with("226 "));
    let start = Instant::now();
    assert!(client.reply().await.starts_with("421 "));
    assert_eq!(seconds(start), 3, "it is idle from then on");
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_right_behind_a_call_is_answered_behind_it() {
    let (mut client, _running, _stop) = session(Limits::default()).await;
    client.log_in().await;
    client.send("SIZE hung\r\nNOOP\r\n").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    client.send("ABOR\r\n").await;
    let mut codes = String::new();
    for _ in 0..3 {
        codes.push_str(&client.reply().await[..4]);
    }
    assert_eq!(codes, "451 200 226 ");
}

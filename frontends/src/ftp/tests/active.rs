//! Data connections that the server makes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::ftp::testing::{Running, session};
use crate::site::Limits;

/// A client's listener, and the commands that name it.
async fn listener() -> (TcpListener, [String; 2]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, commands(port))
}

fn commands(port: u16) -> [String; 2] {
    let [high, low] = port.to_be_bytes();
    [format!("PORT 127,0,0,1,{high},{low}"), format!("EPRT |1|127.0.0.1|{port}|")]
}

#[tokio::test]
async fn files_go_both_ways() {
    let running = Running::start(&[("/file", b"content")]).await;
    let mut client = running.log_in().await;
    let (listener, commands) = listener().await;
    for command in &commands {
        assert!(client.ask(command).await.starts_with("200 "), "{command}");
        assert!(client.ask("RETR file").await.starts_with("150 "));
        let (mut data, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip(), running.address.ip());
        let mut content = String::new();
        data.read_to_string(&mut content).await.unwrap();
        assert_eq!(content, "content");
        assert!(client.reply().await.starts_with("226 "));

        assert!(client.ask(command).await.starts_with("200 "));
        assert!(client.ask("STOR new").await.starts_with("150 "));
        let (mut data, _) = listener.accept().await.unwrap();
        data.write_all(command.as_bytes()).await.unwrap();
        drop(data);
        assert!(client.reply().await.starts_with("226 "));
        assert_eq!(running.tree.content("/new").await.unwrap(), command);
    }
}

#[tokio::test]
async fn a_promise_holds_for_one_transfer_and_not_for_a_wrong_one() {
    let running = Running::start(&[("/file", b"content")]).await;
    let mut client = running.log_in().await;
    let (listener, [command, _]) = listener().await;
    client.ask(&command).await;
    assert!(client.ask("RETR missing").await.starts_with("550 "));
    assert!(client.ask("RETR file").await.starts_with("150 "));
    drop(listener.accept().await.unwrap());
    client.reply().await;
    assert!(client.ask("RETR file").await.starts_with("425 "));
}

#[tokio::test]
async fn a_client_that_does_not_listen_is_told() {
    let running = Running::start(&[("/file", b"content")]).await;
    let mut client = running.log_in().await;
    let (listener, [command, _]) = listener().await;
    drop(listener);
    client.ask(&command).await;
    assert!(client.ask("RETR file").await.starts_with("150 "));
    assert!(client.reply().await.starts_with("425 "));
}

#[tokio::test]
async fn after_epsv_all_nothing_else_is_taken() {
    let running = Running::start(&[("/file", b"content")]).await;
    let mut client = running.log_in().await;
    let (_listener, commands) = listener().await;
    assert!(client.ask("EPSV ALL").await.starts_with("200 "));
    for command in commands.iter().map(String::as_str).chain(["PASV"]) {
        assert!(client.ask(command).await.starts_with("503 "), "{command}");
    }
    assert_eq!(client.fetch("RETR file").await.0, b"content");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_answers_is_given_up_after_ten_seconds() {
    let (mut client, _running, _stop) = session(Limits::default()).await;
    client.log_in().await;
    // A listener whose backlog is full takes no connection and refuses none.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    let _waiting = TcpStream::connect(address).await.unwrap();
    let [command, _] = commands(address.port());
    assert!(client.ask(&command).await.starts_with("200 "));
    let start = Instant::now();
    assert!(client.ask("RETR file").await.starts_with("150 "));
    assert!(client.reply().await.starts_with("425 "));
    assert_eq!(start.elapsed().as_secs(), 10);
}

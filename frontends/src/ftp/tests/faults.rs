//! Sources that fail or hang, and clients that go away.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::ftp::testing::Running;

#[tokio::test]
async fn a_source_that_hangs_within_a_transfer_leaves_the_session_answering() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let mut data = client.data().await;
    assert!(client.ask("RETR stuck").await.starts_with("150 "));
    data.read_exact(&mut vec![0; 100_000]).await.unwrap();
    assert!(client.ask("NOOP").await.starts_with("200 "));
    assert!(client.ask("STAT").await.contains(" Sending /stuck: 100000 bytes."));
    assert!(client.ask("ABOR").await.starts_with("426 "));
    assert!(client.reply().await.starts_with("226 "));
    assert!(client.ask("PWD").await.starts_with("257 "));
}

#[tokio::test]
async fn a_target_that_hangs_leaves_the_session_answering() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let mut data = client.data().await;
    assert!(client.ask("STOR stuck").await.starts_with("150 "));
    data.write_all(&[1; 100_000]).await.unwrap();
    data.shutdown().await.unwrap();
    assert!(client.ask("NOOP").await.starts_with("200 "));
    assert!(client.ask("STAT").await.contains(" Receiving /stuck: "));
    assert!(client.ask("ABOR").await.starts_with("426 "));
    assert!(client.reply().await.starts_with("226 "));
}

#[tokio::test]
async fn a_source_that_hangs_before_its_transfer_can_be_given_up() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    for line in ["RETR hung", "STOR hung", "SIZE hung", "MLST hung", "HASH hung"] {
        let _data = client.data().await;
        client.send(format!("{line}\r\nABOR\r\n")).await;
        let code = &client.reply().await[..4];
        assert!(["426 ", "451 "].contains(&code), "{line}: {code}");
        assert!(client.reply().await.starts_with("226 "), "{line}");
    }
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_no_listener() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let port = client.port().await;
    drop(client);
    running.until_empty().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn a_client_that_vanishes_while_a_source_hangs_leaves_nothing() {
    let running = Running::start(&[]).await;
    for line in ["RETR stuck", "STOR stuck"] {
        let mut client = running.log_in().await;
        let mut data = client.data().await;
        assert!(client.ask(line).await.starts_with("150 "));
        let _ = data.write_all(&[1; 100_000]).await;
        drop(client);
        running.until_empty().await;
    }
    assert_eq!(running.site.sight.sessions.get(), 0);
}

#[tokio::test]
async fn a_stop_while_an_upload_runs_lets_it_finish() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let mut data = client.data().await;
    assert!(client.ask("STOR new").await.starts_with("150 "));
    data.write_all(b"half").await.unwrap();
    running.stop.send(()).unwrap();
    data.write_all(b" and half").await.unwrap();
    drop(data);
    assert!(client.reply().await.starts_with("226 "));
    assert!(client.reply().await.starts_with("421 "));
    drop(client);
    running.server.await.unwrap();
    assert_eq!(running.tree.content("/new").await.unwrap(), "half and half");
}

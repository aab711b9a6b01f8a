//! Who is answered when.

use std::io;

use tokio::io::AsyncReadExt;

use crate::ftp::testing::Running;

#[tokio::test]
async fn seven_commands_at_once_are_answered_in_their_order() {
    let running = Running::start(&[("/d/file", b"0123456789")]).await;
    let mut client = running.log_in().await;
    client.send("CWD d\r\nSIZE file\r\nPWD\r\nMDTM nothing\r\nNOOP\r\nSIZE nothing\r\nPWD\r\n").await;
    let mut codes = String::new();
    for _ in 0..7 {
        codes.push_str(&client.reply().await[..4]);
    }
    assert_eq!(codes, "250 213 257 550 200 550 257 ");
}

#[tokio::test]
async fn more_commands_than_may_wait_are_all_answered() {
    let running = Running::start(&[("/file", b"0123456789")]).await;
    let mut client = running.log_in().await;
    client.send("SIZE file\r\nPWD\r\n".repeat(500)).await;
    for _ in 0..500 {
        assert_eq!(client.reply().await, "213 10\r\n");
        assert!(client.reply().await.starts_with("257 "));
    }
}

#[tokio::test]
async fn noop_and_stat_are_answered_while_a_reader_stalls() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let _data = client.stall(&running).await;
    assert!(client.ask("NOOP").await.starts_with("200 "));
    let status = client.ask("STAT").await;
    assert!(status.contains(" Sending /endless: "), "{status}");
    assert_eq!(running.site.sight.transfers.get(), 1);
}

#[tokio::test]
async fn abor_with_a_stalled_reader_stops_the_transfer() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let mut data = client.stall(&running).await;
    assert!(client.ask("ABOR").await.starts_with("426 "));
    assert!(client.reply().await.starts_with("226 "));
    assert_eq!(running.site.sight.transfers.get(), 0);
    assert!(!running.tree.is_endless_open());
    let sent = running.site.sight.transferred_bytes.get();
    let mut left = Vec::new();
    let error = data.read_to_end(&mut left).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "no end that could pass for the file's");
    assert!(left.len() as u64 <= sent, "nothing is sent after the abort");
    assert!(client.ask("PWD").await.starts_with("257 "));
}

#[tokio::test]
async fn abor_as_urgent_data_is_understood() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    // Whole as urgent data, whose last byte is the urgent one; then as RFC 959 has it.
    for parts in [&[&b"ABOR\r\n"[..]][..], &[b"\xff\xf4\xff", b"\xf2", b"ABOR\r\n"]] {
        for (at, part) in parts.iter().enumerate() {
            let is_urgent = parts.len() == 1 || at == 1;
            client.send_now(part, is_urgent);
        }
        assert!(client.reply().await.starts_with("226 "));
    }
    assert!(client.ask("NOOP").await.starts_with("200 "));
}

#[tokio::test]
async fn an_abor_that_came_with_its_retr_stops_it() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let mut data = client.data().await;
    client.send("PWD\r\nRETR endless\r\nABOR\r\nNOOP\r\n").await;
    let mut codes = String::new();
    for _ in 0..5 {
        codes.push_str(&client.reply().await[..4]);
    }
    assert_eq!(codes, "257 150 426 226 200 ");
    // By a reset where a byte had left already, else by an end.
    let _ = data.read_to_end(&mut Vec::new()).await;
    assert!(!running.tree.is_endless_open());
}

#[tokio::test]
async fn an_abor_behind_more_commands_than_may_wait_stops_the_transfer_at_once() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let _data = client.stall(&running).await;
    client.send("PWD\r\n".repeat(40)).await;
    // Half a line does not stop anything.
    client.send("ABO").await;
    client.send("R\r\n").await;
    assert!(client.reply().await.starts_with("426 "));
    assert_eq!(running.site.sight.transfers.get(), 0);
    for _ in 0..40 {
        assert!(client.reply().await.starts_with("257 "));
    }
    assert!(client.reply().await.starts_with("226 "));
    assert!(client.ask("NOOP").await.starts_with("200 "));
}

#[tokio::test]
async fn a_client_that_vanishes_behind_more_commands_than_may_wait_leaves_nothing() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let _data = client.stall(&running).await;
    client.send("PWD\r\n".repeat(40)).await;
    drop(client);
    running.until_empty().await;
    assert!(!running.tree.is_endless_open());
}

#[tokio::test]
async fn commands_during_a_transfer_wait_for_its_end() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let data = client.stall(&running).await;
    // Behind a command that waits NOOP waits too.
    client.send("PWD\r\nNOOP\r\nQUIT\r\n").await;
    drop(data);
    let mut codes = String::new();
    for _ in 0..4 {
        codes.push_str(&client.reply().await[..4]);
    }
    assert_eq!(codes, "426 257 200 221 ");
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn a_tree_that_never_answers_holds_its_command_alone() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    client.send("SIZE hung\r\nPWD\r\nABOR\r\n").await;
    let mut codes = String::new();
    for _ in 0..3 {
        codes.push_str(&client.reply().await[..4]);
    }
    assert_eq!(codes, "451 257 226 ");

    client.send("SIZE hung\r\n").await;
    let mut other = running.log_in().await;
    assert!(other.ask("CWD /").await.starts_with("250 "));
    drop((client, other));
    running.until_empty().await;
}

#[tokio::test]
async fn a_syntax_error_keeps_the_session() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    for (line, code) in [
        ("OPTS MLST x", "200"),
        ("OPTS x", "501"),
        ("MODE Z", "504"),
        ("NOOP x", "200"),
        ("REST x", "501"),
        ("NOSUCH", "500"),
        ("\u{1}\u{2}", "500"),
        ("", "500"),
        ("RETR", "501"),
        ("PWD", "257"),
    ] {
        assert_eq!(&client.ask(line).await[..3], code, "{line:?}");
    }
}

#[tokio::test]
async fn what_was_asked_before_the_peer_closed_its_side_is_answered() {
    use tokio::io::AsyncWriteExt;

    let running = Running::start(&[("/file", b"0123456789")]).await;
    let mut socket = tokio::net::TcpStream::connect(running.address).await.unwrap();
    socket.write_all(b"USER ftp\r\nPASS x\r\nTYPE I\r\nSIZE file\r\n").await.unwrap();
    socket.shutdown().await.unwrap();
    let mut replies = String::new();
    socket.read_to_string(&mut replies).await.unwrap();
    assert!(replies.ends_with("213 10\r\n"), "{replies}");
    running.until_empty().await;
}

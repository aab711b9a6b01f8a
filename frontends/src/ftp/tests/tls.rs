//! TLS on both connections (RFC 4217), and what may not cross into it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::auth::{Scope, User, Users, cheap_hash};
use crate::ftp::testing::{Client, Running};
use crate::ftp::{Options, Reuse};
use crate::transport::tls::HANDSHAKE;
use crate::transport::tls::testing::Client as Tls;

type Secure = Client<TlsStream<TcpStream>>;

async fn start(options: Options) -> Running {
    Running::start_secure(&[("/file", b"content")], options, Users::anonymous()).await
}

/// A client inside TLS, logged in, with PROT P.
async fn log_in(running: &Running, tls: &Tls) -> Secure {
    let mut client = running.connect().await;
    assert!(client.ask("AUTH TLS").await.starts_with("234 "));
    let mut client = client.secured(tls).await;
    for (line, code) in [
        ("USER ftp", "331 "),
        ("PASS x", "230 "),
        ("PBSZ 0", "200 PBSZ=0"),
        ("PROT P", "200 "),
        ("TYPE I", "200 "),
    ] {
        let reply = client.ask(line).await;
        assert!(reply.starts_with(code), "{line}: {reply}");
    }
    client
}

/// A data connection inside TLS.
async fn data(client: &mut Secure, tls: &Tls) -> std::io::Result<TlsStream<TcpStream>> {
    let data = client.data().await;
    tls.connect("a.example", data).await
}

#[tokio::test]
async fn both_connections_go_inside_tls() {
    let running = start(Options::default()).await;
    let tls = Tls::new(&[b"ftp"]);
    let mut client = log_in(&running, &tls).await;
    // The handshake goes on before the command is sent.
    let mut connection = data(&mut client, &tls).await.unwrap();
    assert!(client.ask("RETR file").await.starts_with("150 "));
    let mut content = String::new();
    connection.read_to_string(&mut content).await.unwrap();
    assert_eq!(content, "content");
    assert!(client.reply().await.starts_with("226 "));

    let mut connection = data(&mut client, &tls).await.unwrap();
    assert!(client.ask("STOR new").await.starts_with("150 "));
    connection.write_all(b"uploaded").await.unwrap();
    connection.shutdown().await.unwrap();
    assert!(client.reply().await.starts_with("226 "));
    assert_eq!(running.tree.content("/new").await.unwrap(), "uploaded");

    assert!(client.ask("PROT C").await.starts_with("200 "));
    let (content, end) = client.fetch("RETR file").await;
    assert!(content == b"content" && end.starts_with("226 "), "{end}");
}

#[tokio::test]
async fn plaintext_after_auth_is_dropped_and_never_executed() {
    let running = start(Options::default()).await;
    let mut client = running.log_in().await;
    client.send("AUTH TLS\r\nMKD injected\r\nNOO").await;
    assert!(client.reply().await.starts_with("421 "));
    assert_eq!(client.reply().await, "");
    let mut client = running.log_in().await;
    assert!(client.ask("CWD injected").await.starts_with("550 "));
}

#[tokio::test]
async fn plaintext_that_was_read_ahead_of_auth_is_not_executed_either() {
    let running = start(Options::default()).await;
    for behind in ["MKD injected\r\n", "MKD inj"] {
        let mut client = running.log_in().await;
        let data = client.stall(&running).await;
        // All of it is read while the transfer is under way: NOOP is answered at once, and AUTH waits.
        client.send(format!("NOOP\r\nAUTH TLS\r\n{behind}")).await;
        assert!(client.reply().await.starts_with("200 "));
        drop(data);
        assert!(client.reply().await.starts_with("426 "));
        assert!(client.reply().await.starts_with("421 "), "{behind:?}");
        assert_eq!(client.reply().await, "");
    }
    assert!(running.log_in().await.ask("CWD injected").await.starts_with("550 "));
}

#[tokio::test]
async fn nothing_that_was_said_in_the_clear_counts_inside() {
    let running = start(Options { guests_overwrite: true, ..Options::default() }).await;
    let mut client = running.log_in().await;
    assert!(client.ask("REST 5").await.starts_with("350 "));
    assert!(client.ask("RNFR file").await.starts_with("350 "));
    assert!(client.ask("AUTH SSL").await.starts_with("234 "));
    let mut client = client.secured(&Tls::new(&[])).await;
    assert!(client.ask("PWD").await.starts_with("530 "));
    client.log_in().await;
    assert!(client.ask("RNTO other").await.starts_with("503 "));
    let (content, _) = client.fetch("RETR file").await;
    assert_eq!(content, b"content");
    assert!(client.ask("AUTH TLS").await.starts_with("503 "));
}

#[tokio::test]
async fn protection_is_agreed_on_in_order() {
    let running = start(Options::default()).await;
    let mut client = running.connect().await;
    for (line, code) in [
        ("PBSZ 0", "503 "),
        ("PROT P", "503 "),
        ("AUTH KERBEROS_V4", "504 "),
        ("AUTH", "501 "),
        ("AUTH TLS", "234 "),
    ] {
        assert!(client.ask(line).await.starts_with(code), "{line}");
    }
    let mut client = client.secured(&Tls::new(&[])).await;
    for (line, code) in [
        ("PROT P", "503 "),
        ("PBSZ x", "501 "),
        ("PBSZ 16384", "200 PBSZ=0"),
        ("PROT S", "536 "),
        ("PROT x", "504 "),
        ("PROT P", "200 "),
    ] {
        assert!(client.ask(line).await.starts_with(code), "{line}");
    }
    assert!(client.ask("FEAT").await.contains(" AUTH TLS\r\n PBSZ\r\n PROT\r\n"));
}

#[tokio::test]
async fn an_upload_that_is_cut_inside_tls_leaves_no_file() {
    let running = start(Options::default()).await;
    let tls = Tls::new(&[]);
    let mut client = log_in(&running, &tls).await;
    let mut connection = data(&mut client, &tls).await.unwrap();
    assert!(client.ask("STOR new").await.starts_with("150 "));
    connection.write_all(b"half of").await.unwrap();
    connection.flush().await.unwrap();
    // The TCP connection ends in order, and TLS does not: whoever stands in between can do that.
    connection.into_inner().0.shutdown().await.unwrap();
    assert!(client.reply().await.starts_with("426 "));
    assert_eq!(running.tree.content("/new").await, None);
}

#[tokio::test]
async fn a_client_that_only_sends_has_nothing_to_read() {
    let running = start(Options::default()).await;
    let tls = Tls::new(&[]);
    let mut client = log_in(&running, &tls).await;
    let mut connection = data(&mut client, &tls).await.unwrap();
    assert!(client.ask("STOR new").await.starts_with("150 "));
    connection.write_all(b"uploaded").await.unwrap();
    connection.shutdown().await.unwrap();
    assert!(client.reply().await.starts_with("226 "));
    // It would lose what it sent if it closed with a ticket unread. The end comes as one record, an alert, and some clients
    // wait for it.
    let mut unread = Vec::new();
    connection.into_inner().0.read_to_end(&mut unread).await.unwrap();
    assert_eq!(unread.len(), 24, "{unread:?}");
}

#[tokio::test]
async fn a_data_connection_resumes_its_own_session_where_that_is_required() {
    let running = start(Options { tls_reuse: Reuse::Require, ..Options::default() }).await;
    let (tls, stranger) = (Tls::new(&[]), Tls::new(&[]));
    let mut client = log_in(&running, &tls).await;
    for _ in 0..3 {
        let mut connection = data(&mut client, &tls).await.unwrap();
        assert!(client.ask("RETR file").await.starts_with("150 "));
        let mut content = String::new();
        connection.read_to_string(&mut content).await.unwrap();
        assert_eq!(content, "content");
        assert!(client.reply().await.starts_with("226 "));
    }
    // A session of another control connection does not count either.
    log_in(&running, &stranger).await;
    let mut connection = data(&mut client, &stranger).await.unwrap();
    let first = client.ask("RETR file").await;
    let last = if first.starts_with("150 ") { client.reply().await } else { first };
    assert!(last.starts_with("42"), "{last}");
    let mut content = String::new();
    let _ = connection.read_to_string(&mut content).await;
    assert_eq!(content, "");
}

#[tokio::test]
async fn a_handshake_that_fails_ends_the_transfer_and_not_the_session() {
    let running = start(Options::default()).await;
    let tls = Tls::new(&[]);
    let mut client = log_in(&running, &tls).await;
    let mut connection = client.data().await;
    assert!(client.ask("RETR file").await.starts_with("150 "));
    connection.write_all(b"no handshake at all\r\n").await.unwrap();
    assert!(client.reply().await.starts_with("426 "));
    assert!(client.ask("NOOP").await.starts_with("200 "));
}

#[tokio::test]
async fn implicit_tls_begins_before_the_greeting() {
    let running = start(Options { implicit_tls: true, ..Options::default() }).await;
    let tls = Tls::new(&[b"ftp"]);
    let mut client = Client::secure(running.address, &tls).await;
    assert!(client.reply().await.starts_with("220 "));
    client.log_in().await;
    let mut connection = data(&mut client, &tls).await.unwrap();
    assert!(client.ask("RETR file").await.starts_with("150 "));
    let mut content = String::new();
    connection.read_to_string(&mut content).await.unwrap();
    assert_eq!(content, "content");
}

#[tokio::test]
async fn another_protocol_by_alpn_is_not_spoken_to() {
    let running = start(Options::default()).await;
    let mut client = running.connect().await;
    assert!(client.ask("AUTH TLS").await.starts_with("234 "));
    let stream = client.into_inner();
    assert!(Tls::new(&[b"http/1.1"]).connect("a.example", stream).await.is_err());
}

#[tokio::test]
async fn a_password_is_asked_for_inside_tls_only_where_that_is_required() {
    let ann = User::new("ann", cheap_hash("secret"), Scope::whole()).unwrap();
    let named = [("ann".to_owned(), std::sync::Arc::new(ann))].into();
    let users = Users { named, require_tls: true, ..Users::anonymous() };
    let running = Running::start_secure(&[("/file", b"content")], Options::default(), users).await;
    let mut client = running.connect().await;
    for (line, code) in [("USER ann", "530 "), ("PASS secret", "503 "), ("USER nobody", "530 ")] {
        assert!(client.ask(line).await.starts_with(code), "{line}");
    }
    client.log_in().await;
    assert!(client.ask("AUTH TLS").await.starts_with("234 "));
    let mut client = client.secured(&Tls::new(&[])).await;
    for (line, code) in
        [("USER ann", "331 "), ("PASS secret", "230 "), ("EPSV", "229 "), ("RETR file", "521 ")]
    {
        assert!(client.ask(line).await.starts_with(code), "{line}");
    }
}

#[tokio::test]
async fn a_file_that_takes_long_to_open_waits_for_a_handshake_behind_its_150() {
    let running =
        Running::start_secure(&[("/gated", b"content")], Options::default(), Users::anonymous()).await;
    let tls = Tls::new(&[]);
    let mut client = log_in(&running, &tls).await;
    let connection = client.data().await;
    client.send("RETR gated\r\n").await;
    running.tree.gate.reached.notified().await;
    // Longer than a handshake may take.
    tokio::time::pause();
    tokio::time::advance(2 * HANDSHAKE).await;
    tokio::time::resume();
    running.tree.gate.opened.notify_one();
    assert!(client.reply().await.starts_with("150 "));
    let mut connection = tls.connect("a.example", connection).await.unwrap();
    let mut content = String::new();
    connection.read_to_string(&mut content).await.unwrap();
    assert_eq!(content, "content");
    assert!(client.reply().await.starts_with("226 "));
}

#[tokio::test]
async fn a_handshake_that_does_not_come_behind_its_150_is_given_up() {
    let running = start(Options::default()).await;
    let tls = Tls::new(&[]);
    let mut client = log_in(&running, &tls).await;
    let _connection = client.data().await;
    assert!(client.ask("RETR file").await.starts_with("150 "));
    tokio::time::pause();
    tokio::time::advance(2 * HANDSHAKE).await;
    tokio::time::resume();
    assert_eq!(client.reply().await, "425 The data connection had no TLS in time.\r\n");
}

#[tokio::test]
async fn a_client_that_ends_before_its_handshake_is_what_broke_off() {
    let running = start(Options::default()).await;
    let tls = Tls::new(&[]);
    let mut client = log_in(&running, &tls).await;
    for line in ["RETR file", "LIST"] {
        let connection = client.data().await;
        assert!(client.ask(line).await.starts_with("150 "));
        drop(connection);
        assert!(client.reply().await.starts_with("426 "), "{line}");
    }
}

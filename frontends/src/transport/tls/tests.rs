//! Handshakes in memory.

use std::io;

use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::testing::{Client, identity};
use super::*;

type Ours = TlsStream<DuplexStream>;
type Theirs = tokio_rustls::client::TlsStream<DuplexStream>;

fn tls(names: &[&str]) -> Tls {
    Tls::new(names.iter().map(|name| identity(name)).collect(), Spoken::Http).unwrap()
}

async fn connect(tls: &Tls, client: &Client, name: &str) -> (io::Result<Ours>, io::Result<Theirs>) {
    let (ours, theirs) = duplex(64 * 1024);
    tokio::join!(tls.accept(ours), client.connect(name, theirs))
}

/// The certificate that a client is shown.
async fn shown(tls: &Tls, name: &str) -> Vec<u8> {
    let (_ours, theirs) = connect(tls, &Client::new(&[]), name).await;
    theirs.unwrap().get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn the_certificate_is_the_one_for_the_name_else_the_first() {
    let tls = tls(&["a.example", "*.b.example"]);
    let (first, second) = (shown(&tls, "a.example").await, shown(&tls, "x.b.example").await);
    assert_ne!(first, second);
    assert_eq!(shown(&tls, "other.example").await, first);
    assert_eq!(shown(&tls, "127.0.0.1").await, first);
}

#[tokio::test]
async fn certificates_change_and_open_connections_go_on() {
    let tls = tls(&["a.example"]);
    let before = shown(&tls, "a.example").await;
    let (ours, theirs) = connect(&tls, &Client::new(&[]), "a.example").await;
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(tls.replace(Vec::new()), Err(BadIdentity::Nobody));
    assert_eq!(shown(&tls, "a.example").await, before);
    tls.replace(vec![identity("a.example")]).unwrap();
    assert_ne!(shown(&tls, "a.example").await, before);
    ours.write_all(b"on").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut got = String::new();
    theirs.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "on");
}

#[tokio::test]
async fn both_versions_and_the_protocol_that_both_speak() {
    let tls = tls(&["a.example"]);
    for (offered, versions, spoken) in [
        (&[&b"h2"[..], b"http/1.1"][..], &[&TLS13][..], Some(&b"h2"[..])),
        (&[b"http/1.1"], &[&TLS12], Some(b"http/1.1")),
        (&[], &[&TLS12, &TLS13], None),
    ] {
        let client = Client::with_versions(offered, versions);
        let (_ours, theirs) = connect(&tls, &client, "a.example").await;
        assert_eq!(theirs.unwrap().get_ref().1.alpn_protocol(), spoken);
    }
    let (ours, theirs) = connect(&tls, &Client::new(&[b"ftp"]), "a.example").await;
    assert!(ours.is_err() && theirs.is_err());
}

#[tokio::test]
async fn sessions_are_resumed_where_they_began_and_nowhere_else() {
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let tls = tls(&["a.example"]);
        let (one, other) = (tls.apart(), tls.apart());
        let client = Client::with_versions(&[], versions);
        let mut resumed = Vec::new();
        for side in [&one, &one, &other] {
            let (ours, theirs) = connect(side, &client, "a.example").await;
            let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
            resumed.push(ours.is_resumed());
            // TLS 1.3 brings its tickets with the first bytes.
            ours.write_all(b"x").await.unwrap();
            theirs.read_u8().await.unwrap();
        }
        assert_eq!(resumed, [false, true, false], "{versions:?}");
    }
}

#[tokio::test]
async fn an_end_without_a_word_is_an_error() {
    let (ours, theirs) = connect(&tls(&["a.example"]), &Client::new(&[]), "a.example").await;
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
    theirs.write_all(b"half").await.unwrap();
    theirs.flush().await.unwrap();
    // Closes what is below, as whoever stands in between can.
    drop(theirs.into_inner());
    let mut got = Vec::new();
    assert_eq!(ours.read_to_end(&mut got).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(got, b"half");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let (ours, _theirs) = duplex(1024);
    let begun = Instant::now();
    assert_eq!(tls(&["a.example"]).accept(ours).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(begun.elapsed(), HANDSHAKE);
}

#[test]
fn a_key_belongs_to_its_certificate() {
    let (one, other) = (made(), made());
    let refused = |chain: &str, key: &str| Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
    assert_eq!(refused(&one.0, &other.1), BadIdentity::OtherKey);
    assert_eq!(refused(&one.1, &one.1), BadIdentity::NoCertificate);
    assert_eq!(refused(&one.0, &one.0), BadIdentity::NoKey);
    assert!(!format!("{:?}", identity("a.example")).contains("PRIVATE"));
}

fn made() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

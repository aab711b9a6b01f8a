//! Who may, and TLS.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vfs::VPath;
use vfs::layers::Access;

use super::{Reply, Server, second, tree};
use crate::auth::{Auth, Scope, User, Users, cheap_hash};
use crate::site::Site;
use crate::transport::tls::testing::{Client, identity};
use crate::transport::tls::{Spoken, Tls};

const ANN: &str = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
const ANN_WRONG: &str = "Authorization: Basic YW5uOndyb25n\r\n";

fn users(guests: Option<Scope>) -> Users {
    let scope = Scope::new(VPath::root(), [(VPath::parse("/closed").unwrap(), Access::NONE)]).unwrap();
    let ann = User::new("ann", cheap_hash("secret"), scope).unwrap();
    Users { named: [("ann".to_owned(), Arc::new(ann))].into(), guests, require_tls: false }
}

async fn site(users: Users) -> Site {
    let files: [(&[u8], &[u8]); 3] = [(b"/open", b"o"), (b"/inner/file", b"f"), (b"/closed/file", b"c")];
    let mut site = Site::new(Arc::new(tree(&files).await));
    site.auth = Arc::new(Auth::new(users));
    site
}

fn tls() -> Tls {
    Tls::new(vec![identity("a.example")], Spoken::Http).unwrap()
}

#[tokio::test]
async fn without_guests_a_name_is_asked_for() {
    let server = Server::of(site(users(None)).await).await;
    let reply = server.get("/open", "").await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.field("www-authenticate"), Some("Basic realm=\"vfsd\", charset=\"UTF-8\""));
    assert_eq!(server.get("/open", ANN).await.body, b"o");
    assert_eq!(server.get("/open", "Authorization: Bearer x\r\n").await.status, 401);
    assert_eq!(server.get("/closed/file", ANN).await.status, 403);
    // A site that says nothing of what it has says nothing of what it has not.
    assert_eq!(server.get("/missing", "").await.status, 401);
}

#[tokio::test]
async fn what_guests_may_not_do_a_name_is_asked_for() {
    let rules = [(VPath::root(), Access::READ), (VPath::parse("/inner").unwrap(), Access::NONE)];
    let guests = Scope::new(VPath::root(), rules).unwrap();
    let server = Server::of(site(users(Some(guests))).await).await;
    for (target, fields, status) in [
        ("/open", "", 200),
        ("/inner/file", "", 401),
        ("/inner/file", ANN, 200),
        ("/closed/file", "", 200),
        ("/closed/file", ANN, 403),
    ] {
        assert_eq!(server.get(target, fields).await.status, status, "{target} {fields}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_401_and_ten_of_them_429() {
    let server = Server::of(site(users(None)).await).await;
    tokio::time::pause();
    for _ in 0..10 {
        assert_eq!(server.get("/open", ANN_WRONG).await.status, 401);
    }
    let reply = server.get("/open", ANN).await;
    assert_eq!(reply.status, 429);
    assert!(reply.field("retry-after").unwrap().parse::<u32>().unwrap() > 500);
}

#[tokio::test]
async fn passwords_need_https_where_that_is_required() {
    let mut site = site(Users { require_tls: true, ..users(None) }).await;
    let server = Server::of(site.clone()).await;
    assert_eq!(server.get("/open", ANN).await.status, 403);
    site.tls = Some(tls());
    let server = Server::of(site).await;
    let stream = server.connect().await;
    let mut stream = Client::new(&[b"http/1.1"]).connect("a.example", stream).await.unwrap();
    stream
        .write_all(format!("GET /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{ANN}\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Reply::only(&answer).body, b"o");
}

#[tokio::test]
async fn the_second_version_is_spoken_by_alpn() {
    let mut site = site(Users::anonymous()).await;
    site.tls = Some(tls());
    let server = Server::of(site).await;
    let stream = Client::new(&[b"h2"]).connect("a.example", server.connect().await).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(second::fetch(stream, "/open").await, "o");
}

#[tokio::test]
async fn bytes_that_are_no_tls_end_the_connection() {
    let mut site = site(Users::anonymous()).await;
    site.tls = Some(tls());
    let server = Server::of(site).await;
    let mut stream: TcpStream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

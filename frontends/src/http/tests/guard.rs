//! Who may, and TLS.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use vfs::VPath;
use vfs::backends::memory::MemoryFs;
use vfs::layers::Access;
use vfs::producer::Rate;

use super::changes::{FORM, form, send};
use super::{Options, Reply, Server, pipe, read_reply, second, tree};
use crate::auth::{Auth, Scope, User, Users, cheap_hash};
use crate::site::Site;
use crate::transport::tls::testing::{Client, identity};
use crate::transport::tls::{Spoken, Tls};

const ANN: &str = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
const ANN_WRONG: &str = "Authorization: Basic YW5uOndyb25n\r\n";

/// All that there is, as these rules have it.
fn scope(rules: &[(&str, Access)]) -> Scope {
    let rules = rules.iter().map(|(path, access)| (VPath::parse(path).unwrap(), *access));
    Scope::new(VPath::root(), rules).unwrap()
}

fn ann(scope: Scope) -> User {
    User::new("ann", cheap_hash("secret"), scope).unwrap()
}

fn only(user: User, guests: Option<Scope>) -> Users {
    Users { named: [(user.name().to_owned(), Arc::new(user))].into(), guests, require_tls: false }
}

fn users(guests: Option<Scope>) -> Users {
    only(ann(scope(&[("/closed", Access::NONE)])), guests)
}

async fn files() -> Arc<MemoryFs> {
    let files: [(&[u8], &[u8]); 3] = [(b"/open", b"o"), (b"/inner/file", b"f"), (b"/closed/file", b"c")];
    Arc::new(tree(&files).await)
}

async fn site(users: Users) -> Site {
    over(&files().await, users)
}

fn over(tree: &Arc<MemoryFs>, users: Users) -> Site {
    let mut site = Site::new(Arc::<MemoryFs>::clone(tree));
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
    let guests = scope(&[("/", Access::READ), ("/inner", Access::NONE)]);
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
async fn every_change_needs_the_right_to_it() {
    let reading = || scope(&[("/", Access::READ)]);
    let nobody = Users { guests: Some(reading()), ..Users::default() };
    let tree = files().await;
    let witness = Server::of(over(&tree, Users::anonymous())).await;
    let before = witness.get("/?download=tar", "").await.body;
    for (who, users, fields, status) in [
        ("who has no name", only(ann(Scope::whole()), None), "", 401),
        ("a guest beside users", only(ann(Scope::whole()), Some(reading())), "", 401),
        ("a guest where there are no users", nobody, "", 403),
        ("a user", only(ann(reading()), Some(Scope::whole())), ANN, 403),
    ] {
        let server = Server::of(over(&tree, users)).await;
        for (method, target, more, body, _) in changes() {
            let reply = send(&server, method, target, &format!("{fields}{more}"), &body).await;
            assert_eq!(reply.status, status, "{who}: {method} {target}: {}", reply.text());
        }
        assert!(!server.get("/", fields).await.text().contains("multipart/form-data"), "{who}");
        assert!(witness.get("/?download=tar", "").await.body == before, "{who} changed something");
    }
    let server = Server::of(over(&tree, only(ann(Scope::whole()), None))).await;
    for (method, target, more, body, status) in changes() {
        let reply = send(&server, method, target, &format!("{ANN}{more}"), &body).await;
        assert_eq!(reply.status, status, "{method} {target}: {}", reply.text());
    }
    assert_eq!(witness.get("/folder/copy", "").await.body, b"p");
}

/// Each way to change something, in an order in which they succeed, and what is answered then.
fn changes() -> [(&'static str, &'static str, &'static str, Vec<u8>, u16); 8] {
    let sent = form(&[("name=\"folder\"", "sub"), ("name=\"file\"; filename=\"sent\"", "s")]);
    [
        ("PUT", "/open", "", b"new".to_vec(), 204),
        ("PUT", "/open", "Content-Range: bytes 0-0/1\r\n", b"p".to_vec(), 204),
        ("PUT", "/made", "", b"made".to_vec(), 201),
        ("MKCOL", "/folder", "", Vec::new(), 201),
        ("COPY", "/open", "Destination: /folder/copy\r\n", Vec::new(), 201),
        ("MOVE", "/inner/file", "Destination: /moved\r\n", Vec::new(), 201),
        ("POST", "/folder/", FORM, sent, 303),
        ("DELETE", "/inner", "", Vec::new(), 204),
    ]
}

#[tokio::test]
async fn a_change_that_is_refused_has_taken_nothing_away() {
    let files: [(&[u8], &[u8]); 4] =
        [(b"/full/kept", b"k"), (b"/closed/file", b"c"), (b"/mixed/a", b"a"), (b"/mixed/held/b", b"b")];
    let rules = [("/", Access::ALL), ("/closed", Access::NONE), ("/mixed/held", Access::READ)];
    let server = Server::of(over(&Arc::new(tree(&files).await), only(ann(scope(&rules)), None))).await;
    for (method, from) in [("COPY", "/closed"), ("MOVE", "/closed"), ("MOVE", "/mixed"), ("DELETE", "/mixed")]
    {
        let fields = format!("{ANN}Destination: /full\r\n");
        let reply = send(&server, method, from, &fields, b"").await;
        assert_eq!(reply.status, 403, "{method} {from}: {}", reply.text());
        assert_eq!(server.get("/full/kept", ANN).await.body, b"k", "{method} {from}");
        assert_eq!(server.get("/mixed/a", ANN).await.body, b"a", "{method} {from}");
        let listed = server.get("/?format=json", ANN).await;
        assert!(!listed.text().contains("aside"), "{}", listed.text());
    }
}

#[tokio::test]
async fn what_is_copied_need_only_be_readable_and_its_place_writable() {
    let rules = [("/", Access::READ), ("/inner", Access::ALL), ("/closed", Access::NONE)];
    let server = Server::of(over(&files().await, only(ann(scope(&rules)), None))).await;
    for (method, from, to, status) in [
        ("COPY", "/open", "/inner/copy", 201),
        ("COPY", "/inner/file", "/copy", 403),
        ("COPY", "/closed/file", "/inner/secret", 403),
        ("COPY", "/inner/file", "/closed/file", 403),
        ("MOVE", "/open", "/inner/moved", 403),
        ("MOVE", "/inner/copy", "/moved", 403),
        ("MOVE", "/closed/file", "/inner/secret", 403),
        ("MOVE", "/inner/copy", "/inner/moved", 201),
    ] {
        let fields = format!("{ANN}Destination: {to}\r\n");
        let reply = send(&server, method, from, &fields, b"").await;
        assert_eq!(reply.status, status, "{method} {from} {to}: {}", reply.text());
    }
    assert_eq!(server.get("/inner/moved", ANN).await.body, b"o");
}

#[tokio::test]
async fn an_archive_holds_what_the_asker_may_read() {
    let guests = scope(&[("/", Access::READ), ("/inner", Access::NONE)]);
    let server = Server::of(site(users(Some(guests))).await).await;
    for (fields, inner, closed) in [("", false, true), (ANN, true, false)] {
        let packed = server.get("/?download=tar", fields).await;
        let holds = |name: &[u8]| packed.body.windows(name.len()).any(|bytes| bytes == name);
        assert_eq!((packed.status, holds(b"open")), (200, true));
        assert_eq!((holds(b"inner"), holds(b"closed")), (inner, closed), "{fields}");
    }
    assert_eq!(server.get("/inner/?download=zip", "").await.status, 401);
    assert_eq!(server.get("/closed/?download=zip", ANN).await.status, 403);
}

#[tokio::test(start_paused = true)]
async fn an_upload_comes_as_fast_as_its_user_may_send() {
    let second = NonZeroU64::new(1000).unwrap();
    let mut ann = ann(Scope::whole());
    ann.upload = Some(Rate::new(second, second));
    let site = Arc::new(over(&files().await, only(ann, None)));
    let (mut client, _serving) = pipe(&site, Options::default(), 1 << 16);
    let begun = Instant::now();
    let head = format!("PUT /sent HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n{ANN}\r\n");
    client.write_all(&[head.as_bytes(), &[b's'; 5000]].concat()).await.unwrap();
    assert_eq!(read_reply(&mut client).await.status, 201);
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
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

#[tokio::test]
async fn a_drop_box_takes_what_it_does_not_show() {
    let write = Access { write: true, ..Access::NONE };
    let tree = files().await;
    let witness = Server::of(over(&tree, Users::anonymous())).await;
    let guests =
        || Users { guests: Some(scope(&[("/", Access::NONE), ("/inner", write)])), ..Users::default() };
    let server = Server::of(over(&tree, guests())).await;
    let page = server.get("/inner/", "").await;
    assert_eq!(page.status, 200);
    assert!(
        page.text().contains("multipart/form-data") && page.text().contains("not shown"),
        "{}",
        page.text()
    );
    assert!(!page.text().contains("file</a>"), "{}", page.text());
    for target in ["/inner/?format=json", "/inner/?download=tar", "/inner/file", "/closed/"] {
        assert_eq!(server.get(target, "").await.status, 403, "{target}");
    }
    let upload = form(&[("name=\"file\"; filename=\"sent\"", "by form")]);
    for (method, target, fields, body, status) in [
        ("PUT", "/inner/up", "", &b"one"[..], 204),
        // It does not tell whether there was one.
        ("PUT", "/inner/up", "", b"two", 204),
        ("PUT", "/inner/up", "If-None-Match: *\r\n", b"three", 412),
        ("PUT", "/inner/once", "If-None-Match: *\r\n", b"x", 201),
        ("PUT", "/inner/up", "If-Match: *\r\n", b"four", 412),
        ("PUT", "/inner/up", "Content-Range: bytes 3-5/6\r\n", b"two", 204),
        ("PUT", "/inner/none/up", "", b"x", 409),
        ("PUT", "/closed/up", "", b"x", 403),
        ("POST", "/inner/", FORM, &upload, 303),
        ("MKCOL", "/inner/sub", "", b"", 201),
        ("MKCOL", "/inner/sub", "", b"", 405),
        ("COPY", "/inner/up", "Destination: /inner/copy\r\n", b"", 403),
        ("MOVE", "/inner/up", "Destination: /inner/moved\r\n", b"", 403),
        ("DELETE", "/inner/once", "", b"", 204),
        ("DELETE", "/inner/sub/", "", b"", 204),
        ("DELETE", "/inner/none", "", b"", 404),
    ] {
        let reply = send(&server, method, target, fields, body).await;
        assert_eq!(reply.status, status, "{method} {target} {fields}: {}", reply.text());
    }
    assert_eq!(witness.get("/inner/up", "").await.body, b"twotwo");
    assert_eq!(witness.get("/inner/sent", "").await.body, b"by form");
    let names = witness.get("/inner/?format=ndjson", "").await;
    assert_eq!(names.text().lines().count(), 3, "{}", names.text());
}

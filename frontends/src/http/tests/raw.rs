//! Requests that nobody should send, and what becomes of them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::odd::Odd;
use super::{Reply, Server, tree};

async fn server() -> Server {
    Server::start(tree(&[(b"/a", b"alpha"), (b"/b", b"beta"), (b"/d/c", b"gamma")]).await).await
}

/// Statuses of all answers on one connection, on which the client sends `request` and then ends its side.
async fn statuses(server: &Server, request: impl AsRef<[u8]>) -> Vec<u16> {
    Reply::all(&server.exchange(request).await).iter().map(|reply| reply.status).collect()
}

#[tokio::test]
async fn framing_and_hosts() {
    /// What must not be taken for a request once a message could not be delimited.
    const NEXT: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    let server = server().await;
    for (request, expected) in [
        ("GET /a HTTP/1.1\r\n\r\n", &[400][..]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", &[400]),
        ("GET /a HTTP/1.1\r\nHost: a b/..\r\n\r\n", &[400]),
        ("GET /a HTTP/1.1\r\nHost : x\r\n\r\n", &[400]),
        ("GET /a HTTP/1.1\r\nHost:\r\n\r\n", &[200]),
        ("GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n", &[200]),
        ("GET http://y/a HTTP/1.1\r\n\r\n", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nX: 1\r\n 2\r\n\r\n", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nX: 1\r2\r\n\r\n", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\r\n: 1\r\n\r\n", &[400]),
        // RFC 9112 §2.2 lets a recipient take a lone LF for a line's end. Who sits before us may not.
        ("GET /a HTTP/1.1\nHost: x\n\n", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\n\r\n{NEXT}", &[400]),
        ("{NEXT}GET /a HTTP/1.1\r\nHost: x\r\n\n{NEXT}", &[200, 400]),
        ("GET /a\r\n\r\n", &[400]),
        ("GET /a http/1.1\r\nHost: x\r\n\r\n", &[400]),
        ("GET  /a HTTP/1.1\r\nHost: x\r\n\r\n", &[400]),
        ("GET /a HTTP/1.2\r\nHost: x\r\n\r\n{NEXT}", &[505]),
        ("GET /a HTTP/2.0\r\nHost: x\r\n\r\n", &[505]),
        ("GET /a HTTP/0.9\r\nHost: x\r\n\r\n", &[505]),
        ("{NEXT}{NEXT}GET /a HTTP/1.2\r\n\r\n", &[200, 200, 505]),
        ("GET /a HTTP/1.11\r\nHost: x\r\n\r\n", &[400]),
        // After its last answer a connection has no more requests, bad ones neither.
        ("GET /a HTTP/1.0\r\n\r\nGET /a HTTP/1.2\r\n\r\n", &[200]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n\n", &[200]),
        ("GET a HTTP/1.1\r\nHost: x\r\n\r\n", &[400]),
        // Bodies: how long they are must be beyond doubt, else nothing after them is read.
        ("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello{NEXT}", &[200, 200]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello{NEXT}", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello{NEXT}", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello{NEXT}", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5,5\r\n\r\nhello{NEXT}", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\nhello{NEXT}", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{NEXT}", &[501]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{NEXT}", &[501]),
        ("GET /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{NEXT}", &[400]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\nhello{NEXT}", &[400]),
        (
            "GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{NEXT}",
            &[200, 200],
        ),
        ("GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n{NEXT}", &[501]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n{NEXT}", &[501]),
        ("GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n{NEXT}", &[400]),
        // Both lengths (RFC 9112 §6.1), in either order.
        (
            "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{NEXT}",
            &[400],
        ),
        (
            "GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{NEXT}",
            &[400],
        ),
        (
            "GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n{NEXT}",
            &[400],
        ),
        // A trailer ends with CR LF too: what follows a lone LF would be swallowed, or be looked at no longer.
        ("GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n{NEXT}", &[400]),
        (
            "GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\nGET /a HTTP/1.1\n\n",
            &[400],
        ),
        (
            "GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n{NEXT}",
            &[400],
        ),
    ] {
        let found = statuses(&server, request.replace("{NEXT}", NEXT)).await;
        assert_eq!(found, expected, "{request:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn targets() {
    let server = server().await;
    for (target, expected) in [
        ("/a", 200),
        ("/a?x=%00", 200),
        ("/a?", 200),
        ("/a?/../b", 200),
        ("/?", 200),
        ("/d/?x", 200),
        ("/d?x", 301),
        // An encoded question mark is part of a name.
        ("/a%3Fx", 404),
        ("/d/../a", 200),
        ("/d/%2e%2e/a", 200),
        ("/../../a", 200),
        ("//a", 200),
        ("/d/c/../../../../../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/..%2f..%2fetc%2fpasswd", 400),
        ("/..%5c..%5cetc%5cpasswd", 404),
        ("/%c0%ae%c0%ae/etc/passwd", 404),
        ("/%252e%252e/etc/passwd", 404),
        ("/d%2fc", 400),
        ("/a%00", 400),
        ("/a%00.txt", 400),
        ("/%zz", 400),
        ("/%", 400),
        ("/%23tgz:/", 400),
        ("/a/", 404),
        ("/a/b", 404),
        ("/missing", 404),
        ("/A", 404),
        // A fragment is no part of a target (RFC 9112 §3.2.1); hyper cuts it off, so it cannot be refused here.
        ("/a#b", 200),
    ] {
        assert_eq!(server.get(target, "").await.status, expected, "{target}");
    }
    let long = format!("/{}", "x".repeat(40_000));
    assert_eq!(server.get(&long, "").await.status, 414);
    assert_eq!(server.get(&format!("/{}", "x".repeat(300)), "").await.status, 414);
    server.stop().await;
}

#[tokio::test]
async fn heads_have_bounds() {
    let server = server().await;
    let fields: String = (0..101).map(|number| format!("X-{number}: 1\r\n")).collect();
    assert_eq!(server.get("/a", &fields).await.status, 431);
    let fields = format!("X: {}\r\n", "1".repeat(70_000));
    assert_eq!(server.get("/a", &fields).await.status, 431);
    server.stop().await;
}

#[tokio::test]
async fn other_methods_are_told_what_is_done_here() {
    let server = server().await;
    for method in ["POST", "PUT", "DELETE", "TRACE", "PATCH", "PROPFIND", "get", "X"] {
        let request = format!("{method} /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
        let reply = Reply::only(&server.exchange(request).await);
        assert_eq!((reply.status, reply.field("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
    }
    for target in ["*", "/a", "/missing"] {
        let request = format!("OPTIONS {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        let reply = Reply::only(&server.exchange(request).await);
        assert_eq!((reply.status, reply.field("allow")), (204, Some("GET, HEAD, OPTIONS")), "{target}");
    }
    let request = "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n";
    assert_eq!(Reply::only(&server.exchange(request).await).status, 405);
    server.stop().await;
}

#[tokio::test]
async fn a_large_body_that_is_not_wanted_does_not_take_the_answer_away() {
    let server = server().await;
    let mut stream = server.connect().await;
    stream.write_all(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n").await.unwrap();
    stream.write_all(&[7; 500_000]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Reply::only(&answer).status, 405);
    server.stop().await;
}

#[tokio::test]
async fn answers_come_in_the_order_of_their_requests() {
    let server = server().await;
    let request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /d/c HTTP/1.1\r\nHost: x\r\n\r\n\
         GET /missing HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n";
    let replies = Reply::all(&server.exchange(request).await);
    let bodies: Vec<_> = replies.iter().map(|reply| (reply.status, reply.text())).collect();
    assert_eq!(bodies[..2], [(200, "alpha"), (200, "gamma")]);
    assert_eq!(bodies[2].0, 404);
    assert_eq!(bodies[3..], [(200, "beta")]);
    let counted: Vec<_> = server.site.sight.http_answers.iter().map(crate::sight::Counter::get).collect();
    assert_eq!(counted, [0, 3, 0, 1, 0]);
    let bytes: usize = replies.iter().map(|reply| reply.body.len()).sum();
    assert_eq!(server.site.sight.http_body_bytes.get(), bytes as u64);
    server.stop().await;
}

#[tokio::test]
async fn an_old_client_gets_one_answer_unless_it_asks_to_stay() {
    let server = server().await;
    let twice = "GET /a HTTP/1.0\r\n\r\n".repeat(2);
    assert_eq!(statuses(&server, &twice).await, [200]);
    let twice = "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".repeat(2);
    assert_eq!(statuses(&server, &twice).await, [200, 200]);
    let twice = "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".repeat(2);
    assert_eq!(statuses(&server, &twice).await, [200]);
    server.stop().await;
}

#[tokio::test]
async fn content_of_unknown_length_is_chunked_or_ends_with_its_connection() {
    let server = Server::start(Odd { len: None, content: b"some content", fails: false }).await;
    let reply = server.get("/odd", "Range: bytes=0-3\r\n").await;
    assert_eq!((reply.status, reply.field("transfer-encoding")), (200, Some("chunked")));
    assert_eq!((reply.field("content-length"), reply.field("accept-ranges")), (None, Some("none")));
    assert_eq!(reply.text(), "some content");
    let old = Reply::only(&server.exchange("GET /odd HTTP/1.0\r\n\r\n").await);
    assert_eq!((old.field("transfer-encoding"), old.field("content-length")), (None, None));
    assert_eq!(old.text(), "some content");
    let head = server.exchange("HEAD /odd HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let head = Reply::take(&mut &head[..], true);
    assert_eq!((head.status, head.field("content-length")), (200, None));
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_whole() {
    for (len, version, fails) in [
        (Some(100), "1.1", true),
        (Some(100), "1.1", false),
        (None, "1.1", true),
        (Some(100), "1.0", false),
        (None, "1.0", true),
    ] {
        let server = Server::start(Odd { len, content: b"some content", fails }).await;
        let mut stream = server.connect().await;
        let request = format!("GET /odd HTTP/{version}\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{len:?} {version} {fails}");
        server.stop().await;
    }
}

#[tokio::test]
async fn the_peer_hears_the_kind_and_its_own_path_and_nothing_of_the_source() {
    let server = Server::start(Odd { len: None, content: b"", fails: false }).await;
    let reply = server.get("/down", "").await;
    assert_eq!((reply.status, reply.field("retry-after")), (503, Some("1")));
    assert_eq!(reply.text(), "503 Service Unavailable\n\n/down: the source cannot be reached\n");
    assert_eq!(server.get("/", "").await.status, 403);
    let reply = server.get("/%3Cscript%3E\u{1b}[31m", "").await;
    assert!(matches!(reply.status, 400 | 404));
    assert!(!reply.body.contains(&0x1b));
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_counted() {
    let server = server().await;
    for (request, counted) in [
        ("GET /a\r\n\r\n", [1, 0]),
        ("GET /a HTTP/1.1\nHost: x\n\n", [2, 0]),
        ("GET /a HTTP/1.2\r\n\r\n", [2, 1]),
    ] {
        statuses(&server, request).await;
        let [.., refused, failed] = &server.site.sight.http_answers;
        assert_eq!([refused.get(), failed.get()], counted, "{request:?}");
    }
    server.stop().await;
}

//! Files that leave by `sendfile(2)`: the right bytes, all of them that way, and what happens when a file or a client
//! does not behave.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vfs::backends::local::{LocalFs, LocalOptions};
use vfs::{FileSystem, ListOptions, OpenOptions, VPath};

use super::{Options, Server, exchange, pattern, pipe, read_reply, site, write};
use crate::site::Limits;

const GET: &[u8] = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n";

/// A folder of the host with the file `/large`.
async fn folder(content: &[u8]) -> (tempfile::TempDir, LocalFs) {
    let folder = tempfile::tempdir().unwrap();
    let options = LocalOptions { writable: true, ..LocalOptions::default() };
    let tree = LocalFs::open_with(folder.path(), &options).unwrap();
    write(&tree, &VPath::parse("/large").unwrap(), content).await;
    (folder, tree)
}

/// Returns when nobody in this process holds the folder's file open any more.
async fn closed(folder: &tempfile::TempDir) {
    let file = folder.path().canonicalize().unwrap().join("large").into_os_string().into_encoded_bytes();
    let descriptors = LocalFs::open("/proc/self/fd").unwrap();
    let is_open = async || {
        let listing = descriptors.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
        for entry in listing.collect(usize::MAX).await.unwrap() {
            let descriptor = VPath::root().child(entry.name).unwrap();
            if descriptors.read_link(&descriptor).await.is_ok_and(|target| target == file) {
                return true;
            }
        }
        false
    };
    while is_open().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_leaves_by_sendfile_and_is_right() {
    const CLIENTS: u64 = 4;
    const ROUNDS: u64 = 2;
    let content = pattern(50_000_000);
    let (folder, tree) = folder(&content).await;
    let server = Server::start(tree).await;
    let content = std::sync::Arc::new(content);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut stream, content) = (server.connect().await, std::sync::Arc::clone(&content));
        clients.spawn(async move {
            for _ in 0..ROUNDS {
                stream.write_all(GET).await.unwrap();
                let reply = read_reply(&mut stream).await;
                assert!(reply.status == 200 && reply.body == *content);
            }
        });
    }
    clients.join_all().await;
    assert_eq!(server.site.sight.sendfile_bytes.get(), CLIENTS * ROUNDS * content.len() as u64);
    assert_eq!(server.site.sight.http_body_bytes.get(), server.site.sight.sendfile_bytes.get());
    closed(&folder).await;
    server.stop().await;
}

#[tokio::test]
async fn ranges_start_anywhere() {
    let content = pattern(5_000_000);
    let (_folder, tree) = folder(&content).await;
    let server = Server::start(tree).await;
    for (start, end) in [(1, 4_999_999), (4_095, 2_000_001), (4_097, 1_052_673), (1_048_575, 1_148_577)] {
        let reply = server.get("/large", &format!("Range: bytes={start}-{end}\r\n")).await;
        assert!(reply.status == 206 && reply.body == content[start..=end], "{start}-{end}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_small_leaves_with_its_head() {
    let content = pattern(32 * 1024);
    let (_folder, tree) = folder(&content).await;
    let server = Server::start(tree).await;
    assert!(server.get("/large", "").await.body == content);
    assert_eq!(server.site.sight.sendfile_bytes.get(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_without_sendfile_gets_the_same_bytes() {
    let content = pattern(3_000_000);
    let (_folder, tree) = folder(&content).await;
    let site = site(tree, Limits::default());
    let (mut client, serving) = pipe(&site, Options::default(), 64 * 1024);
    client.write_all(GET).await.unwrap();
    assert!(read_reply(&mut client).await.body == content);
    assert_eq!(site.sight.sendfile_bytes.get(), 0);
    drop(client);
    serving.await.unwrap();
}

#[tokio::test]
async fn a_file_that_shrinks_ends_its_connection_and_nothing_else() {
    let content = pattern(50_000_000);
    let (folder, tree) = folder(&content).await;
    let server = Server::start(tree.clone()).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    let mut got = vec![0; 100_000];
    stream.read_exact(&mut got).await.unwrap();
    let options = OpenOptions { write: true, ..OpenOptions::default() };
    let file = tree.open(&VPath::parse("/large").unwrap(), &options).await.unwrap();
    file.set_len(5_000).await.unwrap();
    drop(file);
    let body = got.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let error = stream.read_to_end(&mut got).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    // What the kernel had in hand may show the cut already (sendfile(2), NOTES): nothing promises its content, and the
    // end that is missing tells the client that it is not the file.
    assert!(got.len() < content.len() && content.starts_with(&got[body..100_000]));
    let answer = exchange(server.connect().await, b"GET /large HTTP/1.0\r\n\r\n").await;
    assert!(answer.ends_with(&content[..5_000]));
    closed(&folder).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_stops_reading_keeps_no_file_open() {
    let (folder, tree) = folder(&pattern(50_000_000)).await;
    let limits = Limits { stall: Some(Duration::from_millis(50)), ..Limits::default() };
    let server = Server::with_limits(tree, limits).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    stream.read_u8().await.unwrap();
    while server.site.sight.connections.get() > 0 {
        tokio::task::yield_now().await;
    }
    closed(&folder).await;
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    server.stop().await;
}

//! Backends, files and clients that fail: nobody else notices, and nothing is made up.

use std::sync::Arc;
use std::time::Duration;

use support::{Hung, Served};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vfs::backends::local::LocalFs;
use vfs::{MountOptions, Registry, VPath, Vfs};

use crate::clients::{Answer, FtpClient, HttpClient};

/// Long before the namespace gives a hung mount up: what answers within this did not wait for it.
const AT_ONCE: Duration = Duration::from_secs(10);

async fn tree_with_a_hung_mount(folder: &std::path::Path) -> (Arc<Vfs>, Arc<Hung>) {
    let vfs = Vfs::new(Registry::empty());
    let local = Arc::new(LocalFs::open(folder).unwrap());
    vfs.mount(&VPath::root(), local, MountOptions::default()).unwrap();
    let hung = Arc::new(Hung::default());
    for at in ["/hung", "/sub/deeper/hung"] {
        vfs.mount(&VPath::parse(at).unwrap(), Arc::clone(&hung) as _, MountOptions::default()).unwrap();
    }
    (vfs, hung)
}

#[tokio::test]
async fn a_mount_that_never_answers_delays_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("sub/file"), "content").unwrap();
    let (vfs, hung) = tree_with_a_hung_mount(folder.path()).await;
    let served = Served::start(vfs).await;
    let http = HttpClient::new(&served);
    let mut ftp = FtpClient::new(&served).await;

    // Somebody asks the hung mount on either front end and waits.
    let waiting_http = HttpClient::new(&served);
    let mut waiting_ftp = FtpClient::new(&served).await;
    let stuck = tokio::spawn(async move {
        tokio::join!(waiting_http.read(b"/hung/file"), waiting_ftp.read("/hung/file"));
    });
    while hung.calls() < 2 {
        tokio::task::yield_now().await;
    }

    let others = async {
        assert_eq!(http.list(b"/").await, [b"hung/".to_vec(), b"sub/".to_vec()]);
        assert_eq!(ftp.list("/").await, [b"hung/".to_vec(), b"sub/".to_vec()]);
        assert_eq!(http.list(b"/sub/").await, [b"deeper/".to_vec(), b"file".to_vec()]);
        assert_eq!(ftp.list("/sub").await, [b"deeper/".to_vec(), b"file".to_vec()]);
        assert_eq!(http.list(b"/sub/deeper/").await, [b"hung/".to_vec()]);
        assert_eq!(http.read(b"/sub/file").await, Answer::Yes(b"content".to_vec()));
        assert_eq!(ftp.read("/sub/file").await, Answer::Yes(b"content".to_vec()));
        ftp.noop().await;
    };
    tokio::time::timeout(AT_ONCE, others).await.expect("nobody waits for the hung mount");
    assert_eq!(hung.calls(), 2, "listing a parent asks no mount below it");
    assert!(!stuck.is_finished());
    stuck.abort();
}

#[tokio::test]
async fn an_unmount_lets_open_files_finish() {
    let folder = tempfile::tempdir().unwrap();
    let content = vec![7; 8 << 20];
    std::fs::write(folder.path().join("file"), &content).unwrap();
    let vfs = Vfs::new(Registry::empty());
    let at = VPath::parse("/m").unwrap();
    vfs.mount(&at, Arc::new(LocalFs::open(folder.path()).unwrap()), MountOptions::default()).unwrap();
    let served = Served::start(Arc::clone(&vfs) as _).await;
    let mut response = HttpClient::new(&served).get(b"/m/file", None).await;
    let first = response.chunk().await.unwrap().unwrap();
    vfs.unmount(&at).unwrap();
    let mut got = first.to_vec();
    while let Some(chunk) = response.chunk().await.unwrap() {
        got.extend_from_slice(&chunk);
    }
    assert!(got == content, "the open file was read to its end");
    assert_eq!(HttpClient::new(&served).read(b"/m/file").await, Answer::Missing);
}

/// Asks for `path` and reads the head and a little of the body only.
async fn stalled_download(served: &Served, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(served.http.address).await.unwrap();
    client.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await.unwrap();
    client.read_exact(&mut [0; 1000]).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_shrinks_while_it_is_sent_ends_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, vec![7; 64 << 20]).unwrap();
    let served = Served::start(Arc::new(LocalFs::open(folder.path()).unwrap())).await;
    let mut client = stalled_download(&served, "/file").await;
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    let mut rest = Vec::new();
    let ended =
        tokio::time::timeout(AT_ONCE, client.read_to_end(&mut rest)).await.expect("the connection ends");
    assert!(rest.len() < 32 << 20, "{ended:?} after {} bytes", rest.len());
    // What was cut off while it waited in the socket reads as zeros, as sendfile(2) says; what the file kept is whole.
    let kept = &rest[..rest.len().min((1 << 20) - 1000)];
    assert!(kept.iter().all(|byte| *byte == 7));
    // The process is alive and serves on.
    assert_eq!(HttpClient::new(&served).read_from(b"/file", (1 << 20) - 1).await, [7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stop_reading_cost_nobody_else_anything() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), vec![7; 64 << 20]).unwrap();
    std::fs::write(folder.path().join("small"), "content").unwrap();
    let served = Served::start(Arc::new(LocalFs::open(folder.path()).unwrap())).await;
    let mut stalled = Vec::new();
    for _ in 0..200 {
        stalled.push(stalled_download(&served, "/large").await);
    }
    let others = async {
        assert_eq!(HttpClient::new(&served).read(b"/small").await, Answer::Yes(b"content".to_vec()));
        let mut ftp = FtpClient::new(&served).await;
        assert_eq!(ftp.read("/small").await, Answer::Yes(b"content".to_vec()));
    };
    tokio::time::timeout(AT_ONCE, others).await.expect("stalled clients hold nothing that others need");
    assert!(served.http.site.sight.connections.get() >= 200);
    drop(stalled);
    let freed = async {
        while served.http.site.sight.connections.get() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AT_ONCE, freed).await.expect("a client that leaves frees its connection at once");
}

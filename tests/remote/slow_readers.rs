//! A reader that does not read keeps nobody waiting for long.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use support::{Answer, Heard, Origin, Served};
use vfs::backends::ftp::{FtpFs, FtpOptions};
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::backends::memory::MemoryFs;
use vfs::backends::remote::Deadlines;
use vfs::producer::{self, Chunk, ProducerExt};
use vfs::{ByteRange, ErrorKind, FileSystem, OpenOptions, VPath};

/// More than what the sockets and the transfer hold.
const LEN: usize = 12 << 20;

fn content() -> &'static [u8] {
    static CONTENT: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..LEN as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
    &CONTENT
}

/// One connection, and readers count as slow soon.
fn tree(origin: &Origin) -> HttpFs {
    let deadlines = Deadlines { stall: Duration::from_millis(400), ..impatient() };
    HttpFs::new(&origin.url, HttpOptions { connections: 1, deadlines, ..HttpOptions::default() }).unwrap()
}

fn impatient() -> Deadlines {
    Deadlines { slow_reader: Duration::from_millis(100), ..Deadlines::default() }
}

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

/// Reads `/slow` whole, and rests after its first bytes until somebody else has read.
async fn rest_while_another_reads(tree: &dyn FileSystem) {
    let slow = tree.open(&path("/slow"), &OpenOptions::reading()).await.unwrap();
    let mut slow = producer::of(slow, ByteRange::whole()).peeked();
    let mut read = Vec::new();
    let Some(Ok(Chunk::Bytes(first))) = slow.more().await else { panic!("it begins") };
    read.extend_from_slice(&first);

    // The only connection is in use, and its reader does not read.
    let other = tree.open(&path("/other"), &OpenOptions::reading()).await.unwrap();
    assert!(other.read_at(0, 10).await.unwrap() == content()[..10]);
    drop(other);

    while let Some(chunk) = slow.more().await {
        let Chunk::Bytes(bytes) = chunk.unwrap() else { unreachable!("a remote file makes bytes") };
        read.extend_from_slice(&bytes);
    }
    assert!(read == content());
}

#[tokio::test]
async fn a_slow_reader_gives_its_connection_back_and_goes_on_later() {
    let origin = Origin::start(|heard: &Heard| Answer::honest(heard, content(), "\"one\"")).await;
    let tree = tree(&origin);
    rest_while_another_reads(&tree).await;
    let heard = origin.heard();
    let again = heard.iter().filter(|heard| heard.target() == "/slow").nth(1).unwrap();
    assert_eq!(again.field("if-range"), Some("\"one\""), "it goes on with the same version or not at all");
    assert!(again.range().unwrap().0 > 0);
}

#[tokio::test]
async fn where_nothing_can_be_continued_a_slow_reader_ends_at_the_stall_limit() {
    let origin = Origin::start(|heard: &Heard| Answer::honest(heard, content(), "W/\"one\"")).await;
    let tree = tree(&origin);
    let slow = tree.open(&path("/slow"), &OpenOptions::reading()).await.unwrap();
    let mut slow = producer::of(slow, ByteRange::whole()).peeked();
    slow.more().await.unwrap().unwrap();
    let other = tree.open(&path("/other"), &OpenOptions::reading()).await.unwrap();
    assert!(other.read_at(0, 10).await.unwrap() == content()[..10]);
    let mut last = None;
    while let Some(chunk) = slow.more().await {
        last = Some(chunk);
    }
    assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_slow_reader_whom_nobody_waits_for_keeps_its_connection() {
    let origin = Origin::start(|heard: &Heard| Answer::honest(heard, content(), "\"one\"")).await;
    let tree = tree(&origin);
    let slow = tree.open(&path("/slow"), &OpenOptions::reading()).await.unwrap();
    let mut slow = producer::of(slow, ByteRange::whole()).peeked();
    slow.more().await.unwrap().unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    while let Some(chunk) = slow.more().await {
        chunk.unwrap();
    }
    assert_eq!(origin.heard().len(), 1);
}

#[tokio::test]
async fn a_slow_reader_of_an_ftp_site_gives_its_connection_back_and_goes_on_later() {
    let origin = MemoryFs::new();
    for name in ["/slow", "/other"] {
        let file = origin.open(&path(name), &OpenOptions::writing()).await.unwrap();
        file.write_at(0, Bytes::from_static(content())).await.unwrap();
        file.finish().await.unwrap();
    }
    let served = Served::start(Arc::new(origin)).await;
    let options = FtpOptions { connections: 1, deadlines: impatient(), ..FtpOptions::default() };
    let tree = FtpFs::new(&served.ftp.url("ftp", "/"), &options).unwrap();
    rest_while_another_reads(&tree).await;
}

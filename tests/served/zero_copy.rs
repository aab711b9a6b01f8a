//! Large files leave both front ends by `sendfile(2)`: the counter says so, to the byte.

use std::sync::Arc;

use support::Served;
use vfs::backends::local::LocalFs;

use crate::clients::{Answer, FtpClient, HttpClient};

const LEN: usize = 5 * (1 << 20) + 123;

fn content() -> Vec<u8> {
    (0..LEN as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 20) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_of_a_large_file_leaves_by_sendfile() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), content()).unwrap();
    let served = Served::start(Arc::new(LocalFs::open(folder.path()).unwrap())).await;
    assert_eq!(HttpClient::new(&served).read(b"/large").await, Answer::Yes(content()));
    assert_eq!(served.http.site.sight.sendfile_bytes.get(), LEN as u64);
    assert_eq!(FtpClient::new(&served).await.read("/large").await, Answer::Yes(content()));
    assert_eq!(served.ftp.site.sight.sendfile_bytes.get(), LEN as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_of_a_large_file_leaves_by_sendfile_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), content()).unwrap();
    let served = Served::start(Arc::new(LocalFs::open(folder.path()).unwrap())).await;
    let offset = 1_000_001;
    assert_eq!(HttpClient::new(&served).read_from(b"/large", offset).await, content()[offset..]);
    assert_eq!(FtpClient::new(&served).await.read_from("/large", offset).await.unwrap(), content()[offset..]);
    for gate in [&served.http, &served.ftp] {
        assert_eq!(gate.site.sight.sendfile_bytes.get(), (LEN - offset) as u64);
    }
}

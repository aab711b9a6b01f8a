//! Sites that are down: a mount all the same, and alive by itself when they are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use support::{FtpSite, Trick};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vfs::backends::ftp::{FtpFs, FtpOptions};
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::{Availability, FileSystem, ListOptions, MountOptions, Registry, StatOptions, Traffic, VPath, Vfs};

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

/// A port that was free a moment ago, and is taken again when the site comes.
fn dead_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The tree at `/r`, as every remote mount is made.
fn mounted(tree: impl FileSystem, traffic: &Arc<Traffic>) -> Arc<Vfs> {
    let space = Vfs::new(Registry::empty());
    let options =
        MountOptions { remote: true, traffic: Some(Arc::clone(traffic)), ..MountOptions::default() };
    space.mount(&path("/r"), Arc::new(tree), options).unwrap();
    space
}

/// Asks until the mount is known to be down, in time that passes as fast as nobody works, and then starts the site by
/// `start`; the first try after the rest is its answer.
async fn comes_alive<T>(space: &Vfs, len: u64, start: impl AsyncFnOnce() -> T) {
    tokio::time::pause();
    let availability = || space.mounts()[0].availability;
    assert_eq!(availability(), Availability::Unknown);
    for _ in 0..3 {
        space.metadata(&path("/r/f"), &StatOptions::default()).await.unwrap_err();
    }
    assert_eq!(availability(), Availability::Unavailable);
    let top = space.read_dir(&path("/"), &ListOptions::default()).await.unwrap().collect(10).await.unwrap();
    assert_eq!(top.len(), 1, "it is listed, and nobody is asked");
    let errors = space.mounts()[0].traffic.unwrap().errors;
    assert!(errors >= 3, "{errors}");

    let _site = start().await;
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    let found = space.metadata(&path("/r/f"), &StatOptions::default()).await.unwrap();
    assert_eq!(found.len, Some(len));
    assert_eq!(availability(), Availability::Ok);
}

#[tokio::test]
async fn an_http_site_comes_alive() {
    let (address, traffic) = (dead_address(), Arc::<Traffic>::default());
    let options = HttpOptions { traffic: Arc::clone(&traffic), ..HttpOptions::default() };
    let tree = HttpFs::new(&format!("http://{address}/"), options).unwrap();
    let start = async || {
        let listener = TcpListener::bind(address).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap_or(0) > 0 {}
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
        });
    };
    comes_alive(&mounted(tree, &traffic), 10, start).await;
}

#[tokio::test]
async fn an_ftp_site_comes_alive() {
    let (address, traffic) = (dead_address(), Arc::<Traffic>::default());
    let options = FtpOptions { traffic: Arc::clone(&traffic), ..FtpOptions::default() };
    let tree = FtpFs::new(&format!("ftp://{address}/"), &options).unwrap();
    let start = async || FtpSite::on(TcpListener::bind(address).await.unwrap(), Trick::None);
    comes_alive(&mounted(tree, &traffic), FtpSite::LEN as u64, start).await;
}

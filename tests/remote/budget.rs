//! What asking a site costs, counted at the site.

use std::sync::Arc;

use support::{Answer, Heard, Origin, Served};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::{
    Availability, FileSystem, Intent, ListOptions, MountOptions, OpenOptions, Registry, StatOptions, Traffic,
    VPath, Vfs,
};

const CONTENT: &[u8] = b"0123456789";

/// A folder with a page, and files.
fn site(heard: &Heard) -> Answer {
    if heard.target().ends_with('/') {
        let page = "<title>Index of /</title><h1>Index of /</h1><hr><pre><a href=\"../\">../</a>\n\
                    <a href=\"a\">a</a>  29-Feb-2024 12:34  10\n<a href=\"d/\">d/</a>  29-Feb-2024 12:34  -\n</pre>";
        let fields = [("Content-Type", "text/html"), ("Content-Length", &page.len().to_string()[..])];
        return Answer::head("200 OK", &fields).send(page);
    }
    Answer::honest(heard, CONTENT, "\"one\"")
}

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

/// The origin's tree, mounted at `/r` as every remote mount is.
fn mounted(url: &str) -> Arc<Vfs> {
    let traffic = Arc::<Traffic>::default();
    let options = HttpOptions { traffic: Arc::clone(&traffic), ..HttpOptions::default() };
    let tree = HttpFs::new(url, options).unwrap();
    let space = Vfs::new(Registry::empty());
    let options = MountOptions { remote: true, traffic: Some(traffic), ..MountOptions::default() };
    space.mount(&path("/r"), Arc::new(tree), options).unwrap();
    space
}

#[tokio::test]
async fn a_cold_listing_costs_one_request() {
    let origin = Origin::start(site).await;
    let space = mounted(&origin.url);
    let listing = space.read_dir(&path("/r"), &ListOptions::with_metadata()).await.unwrap();
    let entries = listing.collect(10).await.unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(origin.heard().len(), 1, "{:?}", origin.heard());
    assert_eq!(space.mounts()[0].traffic.unwrap().requests, 1);
}

#[tokio::test]
async fn a_cold_file_costs_one_request_with_its_description() {
    let origin = Origin::start(site).await;
    let space = mounted(&origin.url);
    let file = space.open(&path("/r/a"), &OpenOptions::reading()).await.unwrap();
    assert_eq!(file.metadata().await.unwrap().len, Some(10));
    let mut read = Vec::new();
    while read.len() < CONTENT.len() {
        read.extend_from_slice(&file.read_at(read.len() as u64, 100).await.unwrap());
    }
    assert_eq!(read, CONTENT);
    assert_eq!(origin.heard().len(), 1, "{:?}", origin.heard());
    let traffic = space.mounts()[0].traffic.unwrap();
    assert_eq!((traffic.requests, traffic.bytes, traffic.errors), (1, 10, 0));
}

#[tokio::test]
async fn a_cold_file_through_a_front_end_costs_one_request() {
    let origin = Origin::start(site).await;
    let served = Served::start(mounted(&origin.url)).await;
    let mut client = tokio::net::TcpStream::connect(served.http.address).await.unwrap();
    client.write_all(b"GET /r/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(CONTENT), "{}", answer.escape_ascii());
    assert_eq!(origin.heard().len(), 1, "{:?}", origin.heard());
}

#[tokio::test]
async fn a_warm_description_costs_nothing() {
    let origin = Origin::start(site).await;
    let space = mounted(&origin.url);
    let asked = space.metadata(&path("/r/a"), &StatOptions::default()).await.unwrap();
    assert_eq!(origin.heard().len(), 1);
    for _ in 0..3 {
        let warm = space.metadata(&path("/r/a"), &StatOptions::default()).await.unwrap();
        assert_eq!(warm.len, asked.len);
    }
    assert_eq!(origin.heard().len(), 1, "{:?}", origin.heard());
}

#[tokio::test]
async fn what_was_listed_as_a_folder_is_not_asked_for() {
    let origin = Origin::start(site).await;
    let space = mounted(&origin.url);
    let listing = space.read_dir(&path("/r"), &ListOptions::with_metadata()).await.unwrap();
    listing.collect(10).await.unwrap();
    let folder = space.metadata(&path("/r/d"), &StatOptions::default()).await.unwrap();
    assert!(folder.is_dir() && folder.modified.is_some());
    assert_eq!(origin.heard().len(), 1, "{:?}", origin.heard());
}

#[tokio::test]
async fn ranges_of_one_open_file_share_a_connection() {
    let origin = Origin::start(site).await;
    let space = mounted(&origin.url);
    let options = OpenOptions { intent: Intent::Range, ..OpenOptions::reading() };
    let file = space.open(&path("/r/a"), &options).await.unwrap();
    for start in [7, 3, 5, 1] {
        assert_eq!(file.read_at(start, 2).await.unwrap()[..], CONTENT[start as usize..][..2]);
    }
    assert_eq!(origin.accepted(), 1, "{:?}", origin.heard());
}

#[tokio::test]
async fn a_site_that_is_down_is_a_mount_all_the_same_and_comes_alive() {
    // A port that was free a moment ago, and is taken again below.
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = probe.local_addr().unwrap();
    drop(probe);
    let space = mounted(&format!("http://{address}/"));
    tokio::time::pause();
    let availability = || space.mounts()[0].availability;
    assert_eq!(availability(), Availability::Unknown);
    for _ in 0..3 {
        space.metadata(&path("/r/a"), &StatOptions::default()).await.unwrap_err();
    }
    assert_eq!(availability(), Availability::Unavailable);
    let top = space.read_dir(&path("/"), &ListOptions::default()).await.unwrap().collect(10).await.unwrap();
    assert_eq!(top.len(), 1, "it is listed, and nobody is asked");
    let errors = space.mounts()[0].traffic.unwrap().errors;
    assert!(errors >= 3, "{errors}");

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap_or(0) > 0 {}
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    });
    tokio::time::advance(std::time::Duration::from_secs(6)).await;
    tokio::time::resume();
    assert_eq!(space.metadata(&path("/r/a"), &StatOptions::default()).await.unwrap().len, Some(10));
    assert_eq!(availability(), Availability::Ok);
}

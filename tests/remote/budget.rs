//! What asking a site costs, counted at the site.

use std::sync::Arc;

use support::{Answer, FtpSite, Heard, Origin, Served, Trick};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vfs::backends::ftp::{FtpFs, FtpOptions};
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::{
    FileSystem, Intent, ListOptions, MountOptions, OpenOptions, Registry, StatOptions, Traffic, VPath, Vfs,
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

/// An FTP site is asked in pieces of work: what stands there, what lies in it, what is in it. Each may be several commands.
#[tokio::test]
async fn a_warm_description_costs_an_ftp_site_nothing() {
    let site = FtpSite::start(Trick::None).await;
    let tree = FtpFs::new(&site.url, &FtpOptions::default()).unwrap();
    let space = Vfs::new(Registry::empty());
    let options = MountOptions { remote: true, ..MountOptions::default() };
    space.mount(&path("/r"), Arc::new(tree), options).unwrap();
    let asked = space.metadata(&path("/r/f"), &StatOptions::default()).await.unwrap();
    let heard = site.heard();
    assert_eq!(heard.iter().filter(|line| line.starts_with("MLST")).count(), 1, "{heard:?}");
    for _ in 0..3 {
        let warm = space.metadata(&path("/r/f"), &StatOptions::default()).await.unwrap();
        assert_eq!((warm.len, warm.modified), (asked.len, asked.modified));
    }
    assert_eq!(site.heard(), heard);
}

#[tokio::test]
async fn many_ranges_of_an_open_file_cost_an_ftp_site_one_login() {
    let site = FtpSite::start(Trick::None).await;
    let tree = FtpFs::new(&site.url, &FtpOptions { connections: 1, ..FtpOptions::default() }).unwrap();
    let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
    let content = FtpSite::content();
    for step in 1..=50_usize {
        let at = step * 7_368_787 % (content.len() - 100);
        let bytes = file.read_at(at as u64, 100).await.unwrap();
        assert!(!bytes.is_empty() && content[at..].starts_with(&bytes), "{at}");
    }
    // Whether the file is still the same is asked again as time passes, over the same connection.
    assert_eq!((site.count("USER"), site.count("FEAT")), (1, 1), "{:?}", site.heard());
}

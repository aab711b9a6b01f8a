//! Buckets of object stores: keys that look like paths, a page of them at a time.

use std::collections::BTreeSet;

use support::{Answer, Heard, Origin};
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::{ErrorKind, FileSystem, ListOptions, OpenOptions, StatOptions, VPath};

/// Keys of the bucket; the content of each is its key. A key that ends in `/` stands for an empty folder.
const KEYS: [&str; 9] = [
    "a&b.txt",
    "a+b c%25.txt",
    "empty/",
    "logs/1.log",
    "logs/2.log",
    "logs/3.log",
    "logs/old/0.log",
    "x/y/z",
    "z",
];

/// Keys and prefixes of one page.
const PAGE: usize = 2;

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

/// `ListObjectsV2` and `GetObject`, as S3 answers them.
fn bucket(heard: &Heard) -> Answer {
    let url = reqwest::Url::parse(&format!("http://bucket{}", heard.target())).unwrap();
    if url.path() != "/" {
        let key = percent_decoded(&url.path()[1..]);
        return match KEYS.iter().find(|known| **known == key) {
            Some(key) => Answer::honest(heard, key.as_bytes(), "\"one\""),
            None => Answer::head("404 Not Found", &[("Content-Length", "0")]),
        };
    }
    let parameter = |name: &str| {
        url.query_pairs()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let (prefix, delimiter) = (parameter("prefix"), parameter("delimiter"));
    let mut items = BTreeSet::new();
    for key in KEYS.iter().filter(|key| key.starts_with(&prefix)) {
        let end = if delimiter.is_empty() { None } else { key[prefix.len()..].find(&delimiter) };
        items.insert(end.map_or_else(|| (*key).to_owned(), |end| key[..=prefix.len() + end].to_owned()));
    }
    let token = parameter("continuation-token");
    let items: Vec<_> = items.into_iter().filter(|item| *item > token).collect();
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let mut page = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>bucket</Name><Prefix>{}</Prefix><IsTruncated>{}</IsTruncated>",
        escaped(&prefix),
        items.len() > PAGE
    );
    for item in items.iter().take(PAGE) {
        page += &match item.ends_with('/') && *item != prefix {
            false => format!(
                "<Contents><Key>{}</Key><LastModified>2024-02-29T12:34:56.000Z</LastModified><ETag>\"one\"</ETag>\
                 <Size>{}</Size></Contents>",
                escaped(item),
                item.len()
            ),
            true => format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(item)),
        };
    }
    if items.len() > PAGE {
        page += &format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(&items[PAGE - 1]));
    }
    page += "</ListBucketResult>";
    let fields = [("Content-Type", "application/xml"), ("Content-Length", &page.len().to_string()[..])];
    Answer::head("200 OK", &fields).send(page)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some(byte) = rest.first() {
        let (byte, len) = match byte {
            b'%' => (u8::from_str_radix(std::str::from_utf8(&rest[1..3]).unwrap(), 16).unwrap(), 3),
            byte => (*byte, 1),
        };
        bytes.push(byte);
        rest = &rest[len..];
    }
    String::from_utf8(bytes).unwrap()
}

async fn names(tree: &HttpFs, folder: &str) -> Vec<String> {
    let listing = tree.read_dir(&path(folder), &ListOptions::with_metadata()).await.unwrap();
    let entries = listing.collect(100).await.unwrap();
    let shown = |entry: &vfs::DirEntry| {
        let slash = if entry.is_dir() { "/" } else { "" };
        format!("{}{slash}", String::from_utf8_lossy(&entry.name))
    };
    entries.iter().map(shown).collect()
}

#[tokio::test]
async fn keys_become_folders_and_pages_become_one_listing() {
    let origin = Origin::start(bucket).await;
    let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
    assert_eq!(names(&tree, "/").await, ["a&b.txt", "a+b c%25.txt", "empty/", "logs/", "x/", "z"]);
    assert_eq!(names(&tree, "/logs").await, ["1.log", "2.log", "3.log", "old/"]);
    assert_eq!(names(&tree, "/logs/old").await, ["0.log"]);
    assert_eq!(names(&tree, "/empty").await, [""; 0]);
    for name in ["a&b.txt", "a+b c%25.txt", "x/y/z"] {
        let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
        assert_eq!(file.read_at(0, 100).await.unwrap(), name.as_bytes());
    }
}

#[tokio::test]
async fn a_listing_of_one_page_costs_one_request() {
    let origin = Origin::start(bucket).await;
    let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
    names(&tree, "/").await;
    let before = origin.heard().len();
    names(&tree, "/logs/old").await;
    assert_eq!(origin.heard().len(), before + 1);
}

#[tokio::test]
async fn what_no_key_starts_with_is_not_there() {
    let origin = Origin::start(bucket).await;
    let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
    names(&tree, "/").await;
    let list = async |folder| {
        tree.read_dir(&path(folder), &ListOptions::default()).await.map(drop).unwrap_err().kind()
    };
    assert_eq!(list("/missing").await, ErrorKind::NotFound);
    assert_eq!(list("/z").await, ErrorKind::NotADirectory);
    let fresh = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
    names(&fresh, "/").await;
    let metadata = async |text| fresh.metadata(&path(text), &StatOptions::default()).await;
    assert!(metadata("/x/y").await.unwrap().is_dir());
    assert_eq!(metadata("/x/w").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn pages_that_go_round_in_a_circle_are_an_error() {
    let origin = Origin::start(|_| {
        let page = "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a</Key><Size>1</Size></Contents>\
                    <NextContinuationToken>same</NextContinuationToken></ListBucketResult>";
        let fields = [("Content-Type", "application/xml"), ("Content-Length", &page.len().to_string()[..])];
        Answer::head("200 OK", &fields).send(page)
    });
    let origin = origin.await;
    let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
    let listing = tree.read_dir(&path("/"), &ListOptions::default()).await.unwrap();
    assert_eq!(listing.collect(100).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

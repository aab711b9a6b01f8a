//! What archives on a site cost, counted at the site.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use support::{Answer, Origin};
use vfs::backends::archive::{ArchiveOptions, IndexOptions, IndexPlace};
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::backends::registry;
use vfs::{FileSystem, Intent, ListOptions, MountOptions, OpenOptions, VPath, Vfs};

/// Where in a member is read, and how much.
const OFFSET: usize = 700_000;
const PIECE: usize = 64 * 1024;

/// A file of 1.5 MB behind others of the same size in an archive that `script` makes as `archive`: its bytes, the
/// archive's.
fn archive(script: &str) -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = Vec::new();
    for number in 0..8_u64 {
        let text: String =
            (0..140_000).map(|line| format!("{:x}\n", line * 7919 % (number * 999 + 65_537))).collect();
        std::fs::write(folder.path().join(format!("{number}")), &text).unwrap();
        wanted = text.into_bytes();
    }
    let made = Command::new("sh").args(["-e", "-c", script]).current_dir(folder.path()).status().unwrap();
    assert!(made.success(), "{script}");
    (wanted, std::fs::read(folder.path().join("archive")).unwrap())
}

/// The site's tree at `/r`, in a namespace that keeps indexes in `folder`.
fn mounted(url: &str, folder: &Path) -> Arc<Vfs> {
    let index = IndexOptions { place: IndexPlace::Folder(folder.to_owned()), ..IndexOptions::default() };
    let index = IndexOptions { worth: std::time::Duration::ZERO, ..index };
    let space = Vfs::new(registry(ArchiveOptions { index, ..ArchiveOptions::default() }));
    let tree = HttpFs::new(url, HttpOptions::default()).unwrap();
    let options = MountOptions { remote: true, ..MountOptions::default() };
    space.mount(&VPath::parse("/r").unwrap(), Arc::new(tree), options).unwrap();
    space
}

async fn read(space: &Vfs, path: &str) -> Vec<u8> {
    let options = OpenOptions { intent: Intent::Range, ..OpenOptions::reading() };
    let file = space.open(&VPath::parse(path).unwrap(), &options).await.unwrap();
    let mut found = Vec::new();
    while found.len() < PIECE {
        found.extend_from_slice(
            &file.read_at((OFFSET + found.len()) as u64, PIECE - found.len()).await.unwrap(),
        );
    }
    found
}

async fn list(space: &Vfs, path: &str) -> usize {
    let listing = space.read_dir(&VPath::parse(path).unwrap(), &ListOptions::default()).await.unwrap();
    listing.collect(100).await.unwrap().len()
}

#[tokio::test]
async fn a_member_of_a_zip_costs_three_requests_at_most() {
    for script in [
        "zip -q archive.zip ? && mv archive.zip archive",
        "zip -q -0 archive.zip ? && mv archive.zip archive",
    ] {
        let (wanted, content) = archive(script);
        let origin = Origin::start(move |heard| Answer::honest(heard, &content, "\"one\"")).await;
        let cache = tempfile::tempdir().unwrap();
        let space = mounted(&origin.url, cache.path());
        assert_eq!(list(&space, "/r/archive#zip:").await, 8);
        let before = origin.heard().len();
        assert!(read(&space, "/r/archive#zip:/7").await == wanted[OFFSET..OFFSET + PIECE]);
        let heard = origin.heard();
        assert!(heard.len() - before <= 3, "{script}: {heard:?}");
    }
}

#[tokio::test]
async fn a_member_of_a_tgz_with_an_index_costs_one_request() {
    let (wanted, content) = archive("tar -czf archive ?");
    let origin = Origin::start(move |heard| Answer::honest(heard, &content, "\"one\"")).await;
    let cache = tempfile::tempdir().unwrap();
    let first = mounted(&origin.url, cache.path());
    assert_eq!(list(&first, "/r/archive#tgz:").await, 8);
    while !cache
        .path()
        .read_dir()
        .unwrap()
        .any(|file| file.unwrap().path().extension().is_some_and(|ending| ending == "index"))
    {
        tokio::task::yield_now().await;
    }
    drop(first);
    let space = mounted(&origin.url, cache.path());
    assert_eq!(list(&space, "/r/archive#tgz:").await, 8);
    let before = origin.heard().len();
    assert!(read(&space, "/r/archive#tgz:/7").await == wanted[OFFSET..OFFSET + PIECE]);
    let heard = origin.heard();
    assert!(heard.len() - before == 1, "{:?}", &heard[before..]);
}

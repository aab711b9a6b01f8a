//! Archives on sites: what they cost, counted at the site, and that what is read of them is what GNU tar and unzip take out.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use support::{Answer, Heard, Origin, Served};
use vfs::backends::archive::{ArchiveOptions, IndexOptions, IndexPlace};
use vfs::backends::ftp::{FtpFs, FtpOptions};
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::backends::local::{LocalFs, LocalOptions};
use vfs::backends::registry;
use vfs::{FileSystem, Intent, ListOptions, MountOptions, OpenOptions, VPath, Vfs};

/// Where in a member is read, and how much.
const OFFSET: usize = 700_000;
const PIECE: usize = 64 * 1024;

/// A folder with eight files of about a megabyte, and what `script` makes of them.
fn shelf(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..8_u64 {
        let text: String =
            (0..200_000).map(|line| format!("{:x}\n", line * 7919 % (number * 999 + 65_537))).collect();
        std::fs::write(folder.path().join(number.to_string()), &text).unwrap();
    }
    shell(folder.path(), script);
    folder
}

fn shell(folder: &Path, script: &str) -> Vec<u8> {
    let made = Command::new("sh").args(["-e", "-c", script]).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{script}: {}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

/// A site's tree at `/r`, in a namespace that keeps indexes in `folder`.
fn mounted(tree: impl FileSystem, folder: &Path) -> Arc<Vfs> {
    let place = IndexPlace::Folder(folder.to_owned());
    let index = IndexOptions { place, worth: std::time::Duration::ZERO, ..IndexOptions::default() };
    let space = Vfs::new(registry(ArchiveOptions { index, ..ArchiveOptions::default() }));
    let options = MountOptions { remote: true, ..MountOptions::default() };
    space.mount(&path("/r"), Arc::new(tree), options).unwrap();
    space
}

async fn read(space: &Vfs, at: &str) -> Vec<u8> {
    let options = OpenOptions { intent: Intent::Range, ..OpenOptions::reading() };
    let file = space.open(&path(at), &options).await.unwrap();
    let mut found = Vec::new();
    while found.len() < PIECE {
        let piece = file.read_at((OFFSET + found.len()) as u64, PIECE - found.len()).await.unwrap();
        assert!(!piece.is_empty(), "{at} is long enough");
        found.extend_from_slice(&piece);
    }
    found
}

async fn list(space: &Vfs, at: &str) -> usize {
    let listing = space.read_dir(&path(at), &ListOptions::default()).await.unwrap();
    listing.collect(100).await.unwrap().len()
}

/// An honest site with one file, `/archive`.
async fn origin_of(shelf: &Path) -> Origin {
    let content = std::fs::read(shelf.join("archive")).unwrap();
    Origin::start(move |heard: &Heard| Answer::honest(heard, &content, "\"one\"")).await
}

fn http(origin: &Origin) -> HttpFs {
    HttpFs::new(&origin.url, HttpOptions::default()).unwrap()
}

#[tokio::test]
async fn a_member_of_a_zip_costs_three_requests_at_most() {
    for how in ["-6", "-0"] {
        let shelf = shelf(&format!("zip -q {how} archive.zip ? && mv archive.zip archive"));
        let wanted = std::fs::read(shelf.path().join("7")).unwrap();
        let origin = origin_of(shelf.path()).await;
        let cache = tempfile::tempdir().unwrap();
        let space = mounted(http(&origin), cache.path());
        assert_eq!(list(&space, "/r/archive#zip:").await, 8);
        let before = origin.heard().len();
        assert!(read(&space, "/r/archive#zip:/7").await == wanted[OFFSET..OFFSET + PIECE]);
        let heard = origin.heard();
        assert!(heard.len() - before <= 3, "{how}: {:?}", &heard[before..]);
    }
}

#[tokio::test]
async fn a_member_of_a_tgz_with_an_index_costs_one_request() {
    let shelf = shelf("tar -czf archive ?");
    let wanted = std::fs::read(shelf.path().join("7")).unwrap();
    let origin = origin_of(shelf.path()).await;
    let cache = tempfile::tempdir().unwrap();
    let first = mounted(http(&origin), cache.path());
    assert_eq!(list(&first, "/r/archive#tgz:").await, 8);
    let is_index = |file: std::io::Result<std::fs::DirEntry>| {
        file.unwrap().path().extension().is_some_and(|ending| ending == "index")
    };
    while !cache.path().read_dir().unwrap().any(is_index) {
        tokio::task::yield_now().await;
    }
    drop(first);
    let space = mounted(http(&origin), cache.path());
    assert_eq!(list(&space, "/r/archive#tgz:").await, 8);
    let before = origin.heard().len();
    assert!(read(&space, "/r/archive#tgz:/7").await == wanted[OFFSET..OFFSET + PIECE]);
    let heard = origin.heard();
    assert_eq!(heard.len() - before, 1, "{:?}", &heard[before..]);
}

/// Addresses in archives on a site, and how GNU tar and unzip take the same out.
const NESTED: [(&str, &str); 5] = [
    ("plain.tar#tar:/3", "tar -xOf plain.tar 3"),
    ("in.tgz#tgz:/inner.zip#zip:/5", "tar -xzOf in.tgz inner.zip > x.zip && unzip -p x.zip 5"),
    ("in.zip#zip:/inner.tgz#tgz:/2", "unzip -p in.zip inner.tgz | tar -xzO 2"),
    ("in.txz#txz:/inner.tar.zst#tzst:/6", "tar -xJOf in.txz inner.tar.zst | tar --zstd -xO 6"),
    (
        "stored.zip#zip:/in.tgz#tgz:/inner.zip#zip:/1",
        "unzip -p stored.zip in.tgz | tar -xzO inner.zip > y.zip && unzip -p y.zip 1",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_archives_on_sites_read_as_gnu_tar_and_unzip_take_them_out() {
    let shelf = shelf(
        "tar -cf plain.tar ?; zip -q inner.zip ?; tar -czf inner.tgz ?; tar --zstd -cf inner.tar.zst ?
         tar -czf in.tgz inner.zip; zip -q in.zip inner.tgz; tar -cJf in.txz inner.tar.zst; zip -q -0 stored.zip in.tgz",
    );
    let folder: Arc<dyn FileSystem> =
        Arc::new(LocalFs::open_with(shelf.path(), &LocalOptions::default()).unwrap());
    let served = Served::start(folder).await;
    let (by_http, by_ftp) = (served.http.url("http", "/"), served.ftp.url("ftp", "/"));
    let cache = tempfile::tempdir().unwrap();
    let spaces = [
        mounted(HttpFs::new(&by_http, HttpOptions::default()).unwrap(), cache.path()),
        mounted(FtpFs::new(&by_ftp, &FtpOptions::default()).unwrap(), cache.path()),
    ];
    for (address, command) in NESTED {
        let wanted = shell(shelf.path(), command);
        assert!(wanted.len() > 900_000, "{command}");
        for (space, scheme) in spaces.iter().zip(["HTTP", "FTP"]) {
            let file = space.open(&path(&format!("/r/{address}")), &OpenOptions::reading()).await.unwrap();
            // Places all over the member, in no order.
            for at in (1..=32_usize).map(|step| step * 7_368_787 % wanted.len()) {
                let bytes = file.read_at(at as u64, 5000).await.unwrap();
                assert!(!bytes.is_empty() && wanted[at..].starts_with(&bytes), "{scheme} {address} at {at}");
            }
        }
    }
}

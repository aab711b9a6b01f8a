//! Archives that mean harm, entered as a server enters them. What one format alone can do is tested in its own room.

mod damage;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use liblzma::write::XzEncoder;

use super::tests::{content, gzip, gzip_at, names, open, read, tar};
use super::trial::stored;
use super::zip::tests::builder::{Archive, Entry};
use super::{ArchiveOptions, ArchiveService, IndexOptions, IndexPlace};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, FileSystem};
use crate::metadata::{Identity, Metadata};
use crate::options::{OpenOptions, StatOptions};
use crate::path::{Scheme, VPath};
use crate::registry::{EnterArchive, Registry};

fn bzip2(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// One block, whatever the length.
fn xz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = XzEncoder::new(Vec::new(), 1);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// One frame, which does not say how long it is.
fn zstd(plain: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(plain, 1).unwrap()
}

/// A tar with links, each a name and a text.
fn links(links: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, text) in links {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[157..157 + text.len()].copy_from_slice(text.as_bytes());
        block[124..135].fill(b'0');
        block[156] = b'2';
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&block);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn zip_link(name: &str, text: &str) -> Entry {
    Entry { attributes: 0o120_777 << 16, ..Entry::stored(name, text.as_bytes()) }
}

async fn enter_with(
    options: ArchiveOptions,
    scheme: Scheme,
    file: Arc<dyn File>,
) -> Result<Arc<dyn FileSystem>> {
    ArchiveService::new(options).enter(scheme, file, &VPath::parse("/archive").unwrap()).await
}

async fn enter(scheme: Scheme, bytes: Vec<u8>) -> Arc<dyn FileSystem> {
    enter_with(ArchiveOptions::default(), scheme, stored(bytes)).await.unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn a_bomb_of_any_packing_ends_in_an_error_and_keeps_what_came_before() {
    let plain = tar(&[b"first".to_vec(), vec![0; 24 << 20]]);
    for (scheme, packed) in [
        (Scheme::Tgz, gzip_at(Compression::best(), &plain)),
        (Scheme::Tbz2, bzip2(&plain)),
        (Scheme::Txz, xz(&plain)),
        (Scheme::Tzst, zstd(&plain)),
    ] {
        let tree = enter(scheme, packed).await;
        let (count, error) = names(&*tree).await;
        assert_eq!((count, error.map(|error| error.kind())), (2, Some(ErrorKind::LimitExceeded)), "{scheme}");
        let first = open(&*tree, 0).await.unwrap();
        assert_eq!(read(&*first, 0, 9).await.unwrap(), b"first", "{scheme}");
    }
}

#[tokio::test]
async fn a_pass_that_takes_too_much_work_ends_in_an_error() {
    let options = ArchiveOptions { work: Duration::ZERO, ..ArchiveOptions::default() };
    let plain = tar(&[b"first".to_vec(), content(1, 3 << 20), b"last".to_vec()]);
    let tree = enter_with(options, Scheme::Tgz, stored(gzip(&plain))).await.unwrap();
    let (count, error) = names(&*tree).await;
    assert_eq!((count, error.map(|error| error.kind())), (2, Some(ErrorKind::LimitExceeded)));
    assert_eq!(read(&*open(&*tree, 0).await.unwrap(), 0, 9).await.unwrap(), b"first");
}

#[tokio::test]
async fn of_too_many_names_the_first_are_served() {
    let files: Vec<_> = (0..10).map(|number: u8| vec![number]).collect();
    let members: Vec<_> = (0..10).map(|number: u8| Entry::stored(number.to_string(), &[number])).collect();
    for (scheme, bytes) in [
        (Scheme::Tar, tar(&files)),
        (Scheme::Tgz, gzip(&tar(&files))),
        (Scheme::Zip, Archive::of(members).build()),
    ] {
        let options = ArchiveOptions { names: 4, ..ArchiveOptions::default() };
        let tree = enter_with(options, scheme, stored(bytes)).await.unwrap();
        let (count, error) = names(&*tree).await;
        // The root counts.
        assert_eq!((count, error.map(|error| error.kind())), (3, Some(ErrorKind::LimitExceeded)), "{scheme}");
        assert_eq!(read(&*open(&*tree, 2).await.unwrap(), 0, 9).await.unwrap(), [2], "{scheme}");
    }
}

#[tokio::test]
async fn an_archive_in_an_archive_without_end_costs_what_the_path_asks_for() {
    let mut bytes = b"the end".to_vec();
    for _ in 0..20 {
        bytes = gzip(&bytes);
    }
    let service = Arc::new(ArchiveService::new(ArchiveOptions::default()));
    let registry = ArchiveService::SCHEMES.iter().fold(Registry::empty(), |registry, scheme| {
        registry.with_archive(*scheme, Arc::clone(&service) as _)
    });
    let space = crate::Vfs::new(registry);
    let tree = enter(Scheme::Gz, gzip(&bytes)).await;
    space.mount(&VPath::root(), tree, crate::MountOptions::default()).unwrap();
    let open = async |markers: usize| {
        let path = VPath::parse(format!("/archive{}/archive", "#gz:".repeat(markers))).unwrap();
        space.open(&path, &OpenOptions::reading()).await
    };
    let deepest = open(4).await.unwrap();
    assert_eq!(deepest.read_at(0, 2).await.unwrap()[..], [0x1f, 0x8b]);
    assert_eq!(kind(open(5).await), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn links_stay_inside_the_archive_and_are_followed_forty_times() {
    let texts = [
        ("up", "../../etc/passwd"),
        ("host", "/etc/passwd"),
        ("here", "here"),
        ("a", "b"),
        ("b", "a"),
        ("top", "/.."),
    ];
    let members: Vec<_> = texts.iter().map(|(name, text)| zip_link(name, text)).collect();
    for (scheme, bytes) in [
        (Scheme::Tar, links(&texts)),
        (Scheme::Tgz, gzip(&links(&texts))),
        (Scheme::Zip, Archive::of(members).build()),
    ] {
        let tree = enter(scheme, bytes).await;
        assert_eq!(names(&*tree).await.0, texts.len(), "{scheme}");
        let described = async |name: &str| {
            tree.metadata(&VPath::parse(name).unwrap(), &StatOptions::default())
                .await
                .map(|found| found.is_dir())
        };
        for (name, expected) in [
            ("/up", Err(ErrorKind::NotFound)),
            ("/host", Err(ErrorKind::NotFound)),
            ("/here", Err(ErrorKind::Loop)),
            ("/a", Err(ErrorKind::Loop)),
            ("/top", Ok(true)),
        ] {
            assert_eq!(described(name).await.map_err(|error| error.kind()), expected, "{scheme} {name}");
        }
        let text = tree.read_link(&VPath::parse("/up").unwrap()).await.unwrap();
        assert_eq!(&text[..], b"../../etc/passwd", "{scheme}");
    }
}

#[tokio::test]
async fn a_later_member_of_a_zip_archive_takes_a_links_name() {
    let archive = Archive::of([zip_link("0", "1"), Entry::stored("1", b"one"), Entry::stored("0", b"zero")]);
    let tree = enter(Scheme::Zip, archive.build()).await;
    assert_eq!(read(&*open(&*tree, 0).await.unwrap(), 0, 9).await.unwrap(), b"zero");
    let archive = Archive::of([Entry::stored("0", b"zero"), Entry::stored("1", b"one"), zip_link("0", "1")]);
    let tree = enter(Scheme::Zip, archive.build()).await;
    assert_eq!(read(&*open(&*tree, 0).await.unwrap(), 0, 9).await.unwrap(), b"one");
}

#[tokio::test]
async fn a_link_whose_text_cannot_be_read_leads_nowhere() {
    let encrypted = Entry { flags: 1, ..zip_link("0", "1") };
    let tree = enter(Scheme::Zip, Archive::of([encrypted, Entry::stored("1", b"one")]).build()).await;
    let path = VPath::parse("/0").unwrap();
    assert_eq!(kind(tree.metadata(&path, &StatOptions::default()).await), ErrorKind::NotFound);
    assert_eq!(kind(tree.read_link(&path).await), ErrorKind::Corrupt);
    assert_eq!(names(&*tree).await.0, 2);
}

#[tokio::test]
async fn overlapping_members_are_listed_and_not_read() {
    let inner = Entry::stored("1", b"one");
    let outer = Entry { packed_len: 60, len: 60, ..Entry::stored("0", b"zero") };
    let tree = enter(Scheme::Zip, Archive::of([outer, inner]).build()).await;
    assert_eq!(names(&*tree).await.0, 2);
    for name in [0, 1] {
        assert_eq!(kind(open(&*tree, name).await), ErrorKind::Corrupt, "{name}");
    }
}

#[tokio::test]
async fn what_does_not_fit_on_the_disk_is_an_error_and_no_memory() {
    let files = [content(1, 300_000), content(2, 2_000_000), content(3, 300_000)];
    let packed = zstd(&tar(&files));
    let options = ArchiveOptions { spool_bytes: 1 << 20, ..ArchiveOptions::default() };
    let tree = enter_with(options, Scheme::Tzst, stored(packed)).await.unwrap();
    assert_eq!(names(&*tree).await.0, 3, "names are found without the disk");
    assert!(read(&*open(&*tree, 0).await.unwrap(), 0, 300_000).await.unwrap() == files[0]);
    assert_eq!(kind(read(&*open(&*tree, 2).await.unwrap(), 0, 9).await), ErrorKind::LimitExceeded);
}

/// A file that counts what is read of it.
#[derive(Debug)]
struct Counted {
    file: Arc<dyn File>,
    bytes: AtomicU64,
}

#[async_trait]
impl File for Counted {
    async fn metadata(&self) -> Result<Metadata> {
        self.file.metadata().await
    }

    fn identity(&self) -> Option<Identity> {
        self.file.identity()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let bytes = self.file.read_at(offset, max).await?;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

#[tokio::test]
async fn what_cannot_be_entered_in_the_middle_is_decoded_once_for_all_readers() {
    let files: Vec<_> = (0..6).map(|number| content(number, 400_000)).collect();
    let packed = zstd(&tar(&files));
    let len = packed.len() as u64;
    let counted = Arc::new(Counted { file: stored(packed), bytes: AtomicU64::new(0) });
    let file = Arc::clone(&counted) as Arc<dyn File>;
    let tree = enter_with(ArchiveOptions::default(), Scheme::Tzst, file).await.unwrap();
    for name in (0..6).rev() {
        let file = open(&*tree, name).await.unwrap();
        for offset in [399_000, 200_000, 0] {
            let found = read(&*file, offset, 70_000).await.unwrap();
            let end = 400_000.min(offset as usize + 70_000);
            assert!(found == files[name][offset as usize..end], "{name} from {offset}");
        }
    }
    // What a look at the beginning and a walk over the headers take, comes on top.
    let read = counted.bytes.load(Ordering::Relaxed);
    assert!(read < 2 * len, "{read} bytes were read of {len}");
}

#[tokio::test]
async fn many_who_want_what_lies_far_ahead_of_a_pass_let_it_come_there() {
    let plain = tar(&[content(1, 6 << 20)]);
    for (scheme, packed) in [(Scheme::Tgz, gzip(&plain)), (Scheme::Tbz2, bzip2(&plain))] {
        let len = packed.len() as u64;
        let counted = Arc::new(Counted { file: stored(packed), bytes: AtomicU64::new(0) });
        let file = Arc::clone(&counted) as Arc<dyn File>;
        let tree = enter_with(ArchiveOptions::default(), scheme, file).await.unwrap();
        let mut reading = tokio::task::JoinSet::new();
        for number in 0..12 {
            let file = open(&*tree, 0).await.unwrap();
            let from = (5 << 20) + number * 70_000;
            reading.spawn(async move { (from, file.read_at(from, 100).await) });
        }
        while let Some(read) = reading.join_next().await {
            let (from, bytes) = read.unwrap();
            let bytes = bytes.unwrap();
            let from = 512 + from as usize;
            assert!(bytes[..] == plain[from..from + bytes.len()] && !bytes.is_empty(), "{scheme} {from}");
        }
        // The pass, and of each what lies between two points: without it each would read five sixths of all.
        let read = counted.bytes.load(Ordering::Relaxed);
        assert!(read < 6 * len, "{scheme}: {read} bytes were read of {len}");
    }
}

#[tokio::test]
async fn a_bomb_in_a_bare_file_ends_in_an_error_for_whoever_reads_it() {
    let plain = vec![0; 24 << 20];
    for (scheme, packed) in [
        (Scheme::Gz, gzip_at(Compression::best(), &plain)),
        (Scheme::Bz2, bzip2(&plain)),
        (Scheme::Xz, xz(&plain)),
        // Many streams with their tables of contents: no pass is needed.
        (Scheme::Xz, plain.chunks(4 << 20).flat_map(xz).collect()),
        (Scheme::Zst, zstd(&plain)),
    ] {
        let tree = enter(scheme, packed).await;
        let path = VPath::parse("/archive").unwrap();
        let file = tree.open(&path, &OpenOptions::reading()).await.unwrap();
        assert_eq!(kind(read(&*file, 0, plain.len()).await), ErrorKind::LimitExceeded, "{scheme}");
        let late = read(&*file, 20 << 20, 10).await;
        assert_eq!(kind(late), ErrorKind::LimitExceeded, "{scheme}");
    }
}

#[tokio::test]
async fn readers_that_stop_reading_hold_nobody_up() {
    let files: Vec<_> = (0..4).map(|number| content(number, 500_000)).collect();
    for (scheme, packed) in [(Scheme::Tgz, gzip(&tar(&files))), (Scheme::Txz, xz(&tar(&files)))] {
        let tree = enter(scheme, packed).await;
        let mut resting = Vec::new();
        for reader in 0..64 {
            let file = open(&*tree, reader % 4).await.unwrap();
            assert!(!file.read_at(0, 1000).await.unwrap().is_empty());
            resting.push(file);
        }
        for name in [3, 0] {
            assert!(
                read(&*open(&*tree, name).await.unwrap(), 0, 500_000).await.unwrap() == files[name],
                "{scheme}"
            );
        }
        assert_eq!(resting.len(), 64);
    }
}

#[tokio::test]
async fn a_bare_file_has_one_member_that_tells_its_length_and_its_damage() {
    let plain = content(7, 900_000);
    for (scheme, packed) in [
        (Scheme::Gz, gzip(&plain)),
        (Scheme::Bz2, bzip2(&plain)),
        (Scheme::Xz, xz(&plain)),
        (Scheme::Zst, zstd(&plain)),
    ] {
        let whole = enter(scheme, packed.clone()).await;
        assert_eq!(names(&*whole).await.0, 1, "{scheme}");
        let path = VPath::parse("/archive").unwrap();
        let mut len = None;
        // Each call waits a moment; a busy machine takes several.
        for _ in 0..100 {
            len = len.or(whole.metadata(&path, &StatOptions::default()).await.unwrap().len);
        }
        assert_eq!(len, Some(900_000), "{scheme}");
        let cut = enter(scheme, packed[..packed.len() / 2].to_vec()).await;
        let file = cut.open(&path, &OpenOptions::reading()).await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len, None, "{scheme}");
        assert_eq!(kind(read(&*file, 0, 900_000).await), ErrorKind::Truncated, "{scheme}");
    }
}

#[tokio::test]
async fn a_large_deflated_member_is_read_backwards_without_starting_over() {
    let plain = content(5, 6 << 20);
    let archive = Archive::of([Entry::deflated("0", &plain)]).build();
    let counted = Arc::new(Counted { file: stored(archive), bytes: AtomicU64::new(0) });
    let file = Arc::clone(&counted) as Arc<dyn File>;
    let tree = enter_with(ArchiveOptions::default(), Scheme::Zip, file).await.unwrap();
    let range = async |offset: usize| {
        // Each range is an opening of its own, as over HTTP.
        let file = open(&*tree, 0).await.unwrap();
        let found = read(&*file, offset as u64, 1000).await.unwrap();
        assert!(found == plain[offset..offset + 1000], "{offset}");
        counted.bytes.swap(0, Ordering::Relaxed)
    };
    let first = range(6_000_000).await;
    for offset in [4_500_000, 3_000_000, 1_200_000] {
        let read = range(offset).await;
        assert!(read < first / 3, "{read} bytes for {offset}, after {first} for the first range");
    }
}

#[tokio::test]
async fn a_damaged_directory_serves_what_comes_before_the_damage() {
    let mut archive = Archive::of([Entry::stored("0", b"zero"), Entry::stored("1", b"one")]).build();
    let last = archive.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    archive[last] = b'X';
    let tree = enter(Scheme::Zip, archive).await;
    let (count, error): (usize, Option<Error>) = names(&*tree).await;
    assert_eq!((count, error.map(|error| error.kind())), (1, Some(ErrorKind::Corrupt)));
    assert_eq!(read(&*open(&*tree, 0).await.unwrap(), 0, 9).await.unwrap(), b"zero");
}

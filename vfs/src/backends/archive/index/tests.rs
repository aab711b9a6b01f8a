//! Indexes in their folder: written, found again, resumed, extended, damaged.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Notify;

use super::{IndexOptions, IndexPlace};
use crate::backends::archive::trial::Random;
use crate::backends::archive::{ArchiveOptions, ArchiveService};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, FileSystem};
use crate::metadata::{FileType, Identity, Metadata, Validator};
use crate::options::{ListOptions, OpenOptions};
use crate::path::{Scheme, VPath};
use crate::registry::EnterArchive;

/// A source that counts what is read of it, and stops where it is told to.
#[derive(Debug)]
struct Source {
    content: Mutex<Arc<Vec<u8>>>,
    version: Mutex<Arc<str>>,
    read: AtomicU64,
    /// A pass's reads at or behind this offset never come back; those of samples are short, and do.
    gate: AtomicU64,
    reached: Notify,
    /// So many reads of a pass fail, behind the beginning.
    failing: AtomicU64,
}

impl Source {
    fn new(content: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            content: Mutex::new(Arc::new(content)),
            version: Mutex::new("1".into()),
            read: AtomicU64::new(0),
            gate: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
            failing: AtomicU64::new(0),
        })
    }

    fn change(&self, version: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut content = self.content.lock().unwrap();
        change(Arc::make_mut(&mut content));
        *self.version.lock().unwrap() = version.into();
    }

    fn take_read(&self) -> u64 {
        self.read.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl File for Source {
    async fn metadata(&self) -> Result<Metadata> {
        let len = self.content.lock().unwrap().len() as u64;
        Ok(Metadata { len: Some(len), ..Metadata::new(FileType::File) })
    }

    fn identity(&self) -> Option<Identity> {
        let validator = Some(Validator::Strong(Arc::clone(&self.version.lock().unwrap())));
        Some(Identity::Source { name: Bytes::from_static(b"test:archive"), validator })
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        if offset >= self.gate.load(Ordering::SeqCst) && max > 64 * 1024 {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
        let fail = |left: u64| left.checked_sub(1);
        let may_fail = offset > 0 && max > 64 * 1024;
        if may_fail && self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail).is_ok() {
            return Err(Error::new(ErrorKind::Unavailable, "read_at", &VPath::root()));
        }
        let content = Arc::clone(&self.content.lock().unwrap());
        let rest = &content[content.len().min(offset as usize)..];
        let bytes = Bytes::copy_from_slice(&rest[..rest.len().min(max).min(100_000)]);
        self.read.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(bytes)
    }
}

/// A folder of indexes, and services that use it one after the other, as restarts of a program do.
struct Cache {
    folder: tempfile::TempDir,
}

impl Cache {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn service(&self) -> ArchiveService {
        let place = IndexPlace::Folder(self.folder.path().join("indexes"));
        let index =
            IndexOptions { place, worth: Duration::ZERO, journal: Duration::ZERO, ..IndexOptions::default() };
        ArchiveService::new(ArchiveOptions { index, ..ArchiveOptions::default() })
    }

    /// Reads the archive through, where there is no index; gives the tree.
    async fn index(&self, scheme: Scheme, source: &Arc<Source>) -> Arc<dyn FileSystem> {
        let service = self.service();
        let tree = service.enter(scheme, Arc::clone(source) as _, &path("/archive")).await.unwrap();
        drop(service.index(scheme, Arc::clone(source) as _, &path("/archive"), |_| {}).await);
        tree
    }

    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let Ok(files) = fs::read_dir(self.folder.path().join("indexes")) else { return Vec::new() };
        let files = files.map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
    }

    fn file(&self, ending: &str) -> PathBuf {
        let files = self.files(ending);
        assert_eq!(files.len(), 1, "{ending}");
        files[0].clone()
    }
}

fn path(path: &str) -> VPath {
    VPath::parse(path).unwrap()
}

/// Words that gzip makes a third of.
fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut content = Vec::with_capacity(len + 20);
    while content.len() < len {
        write!(content, "{:x} word {} ", random.below(1 << 20), random.below(300)).unwrap();
    }
    content.truncate(len);
    content
}

/// Names and contents of the sample's files.
fn sample(files: u64) -> Vec<(String, Vec<u8>)> {
    let name = |number: u64| format!("folder-{}/sub/file-{number}", number % 7);
    let len = |number: u64| 40_000 + (number * 7919 % 200_000) as usize;
    (0..files).map(|number| (name(number), content(number, len(number)))).collect()
}

fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..107].copy_from_slice(b"0000640");
        block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        block[136..147].copy_from_slice(b"14000000000");
        block[156] = b'0';
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&block);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(plain: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Streams of a megabyte each, one behind the other.
fn by_parts(plain: &[u8], pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    plain.chunks(1 << 20).flat_map(pack).collect()
}

async fn read(file: &dyn File, mut offset: u64, len: usize) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    while content.len() < len {
        let bytes = file.read_at(offset, len - content.len()).await?;
        if bytes.is_empty() {
            break;
        }
        offset += bytes.len() as u64;
        content.extend_from_slice(&bytes);
    }
    Ok(content)
}

/// Reads pieces of random members and compares them.
async fn check(tree: &dyn FileSystem, files: &[(String, Vec<u8>)], seed: u64) {
    let mut random = Random(seed);
    for _ in 0..40 {
        let (name, wanted) = &files[random.below(files.len())];
        let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
        let from = random.below(wanted.len());
        let len = 1 + random.below(100_000);
        let found = read(&*file, from as u64, len).await.unwrap();
        assert!(found == wanted[from..wanted.len().min(from + len)], "{name} from {from}");
    }
}

async fn names(tree: &dyn FileSystem, folder: &str) -> Result<Vec<String>> {
    let mut listing = tree.read_dir(&path(folder), &ListOptions::default()).await?;
    let mut names = Vec::new();
    while let Some(batch) = listing.next().await {
        names.extend(batch?.into_iter().map(|entry| String::from_utf8(entry.name.to_vec()).unwrap()));
    }
    names.sort();
    Ok(names)
}

#[tokio::test]
async fn an_index_gives_the_same_bytes_names_and_descriptions_and_nothing_is_read_through() {
    let files = sample(60);
    for (scheme, archive) in [(Scheme::Tgz, gzip(&tar(&files))), (Scheme::Tar, tar(&files))] {
        let (cache, source) = (Cache::new(), Source::new(archive));
        let first = cache.index(scheme, &source).await;
        check(&*first, &files, 1).await;
        assert_eq!(
            (cache.files("index").len(), cache.files("journal").len(), cache.files("tmp").len()),
            (1, 0, 0)
        );
        source.take_read();
        let again = cache.index(scheme, &source).await;
        assert!(source.take_read() < 600_000, "{scheme}: the samples and the beginning");
        assert_eq!(names(&*again, "/").await.unwrap(), names(&*first, "/").await.unwrap());
        for folder in ["/folder-0", "/folder-6/sub"] {
            assert_eq!(names(&*again, folder).await.unwrap(), names(&*first, folder).await.unwrap());
        }
        for name in ["/folder-3", "/folder-3/sub/file-10", "/folder-3/sub"] {
            let options = crate::options::StatOptions::default();
            let wanted = first.metadata(&path(name), &options).await.unwrap();
            assert_eq!(again.metadata(&path(name), &options).await.unwrap(), wanted, "{name}");
        }
        assert_eq!(
            again.open(&path("/none"), &OpenOptions::reading()).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        check(&*again, &files, 2).await;
    }
}

#[tokio::test]
async fn every_format_that_is_read_through_is_found_again() {
    let files = sample(40);
    let plain = tar(&files);
    for (scheme, archive) in [
        (Scheme::Tbz2, bzip2(&plain)),
        (Scheme::Txz, by_parts(&plain, |part| liblzma::encode_all(part, 0).unwrap())),
        (Scheme::Tzst, by_parts(&plain, |part| zstd::bulk::compress(part, 1).unwrap())),
    ] {
        let (cache, source) = (Cache::new(), Source::new(archive));
        let first = cache.index(scheme, &source).await;
        check(&*first, &files, 1).await;
        let wanted = names(&*first, "/folder-0/sub").await.unwrap();
        drop(first);
        assert_eq!(cache.files("index").len(), 1, "{scheme}");
        source.take_read();
        let service = cache.service();
        let again = service.enter(scheme, Arc::clone(&source) as _, &path("/archive")).await.unwrap();
        assert_eq!(names(&*again, "/folder-0/sub").await.unwrap(), wanted, "{scheme}");
        assert!(source.take_read() < 700_000, "{scheme}: the samples and the beginning");
        check(&*again, &files, 2).await;
    }
}

#[tokio::test]
async fn a_bare_file_and_an_archive_in_an_archive_are_found_again() {
    let files = sample(40);
    let inner = gzip(&tar(&files));
    let (cache, bare) = (Cache::new(), Source::new(gzip(&inner)));
    drop(cache.index(Scheme::Gz, &bare).await);
    let again = cache.index(Scheme::Gz, &bare).await;
    let found = names(&*again, "/").await.unwrap();
    let member = again.open(&path(&format!("/{}", found[0])), &OpenOptions::reading()).await.unwrap();
    assert_eq!(member.metadata().await.unwrap().len, Some(inner.len() as u64));
    assert!(read(&*member, 1_000_000, 100_000).await.unwrap() == inner[1_000_000..1_100_000]);

    let outer = tar(&[("inner.tgz".to_owned(), inner)]);
    let (cache, source) = (Cache::new(), Source::new(gzip(&outer)));
    for round in 0..2 {
        let tree = cache.index(Scheme::Tgz, &source).await;
        let nested = tree.open(&path("/inner.tgz"), &OpenOptions::reading()).await.unwrap();
        let service = cache.service();
        let tree = service.enter(Scheme::Tgz, Arc::clone(&nested), &path("/inner")).await.unwrap();
        service.index(Scheme::Tgz, nested, &path("/inner"), |_| {}).await.unwrap();
        check(&*tree, &files, 3 + round).await;
        assert_eq!(cache.files("index").len(), 2, "one each level");
    }
}

#[tokio::test]
async fn what_is_read_through_in_no_time_leaves_nothing_behind() {
    let (cache, source) = (Cache::new(), Source::new(gzip(&tar(&sample(1)))));
    let place = IndexPlace::Folder(cache.folder.path().join("indexes"));
    let index = IndexOptions { place, worth: Duration::from_secs(3600), ..IndexOptions::default() };
    let service = ArchiveService::new(ArchiveOptions { index, ..ArchiveOptions::default() });
    service.index(Scheme::Tgz, source, &path("/archive"), |_| {}).await.unwrap();
    assert!(!cache.folder.path().join("indexes").exists());
}

#[tokio::test]
async fn a_pass_reads_each_byte_once() {
    let archive = gzip(&tar(&sample(60)));
    let (cache, source) = (Cache::new(), Source::new(archive.clone()));
    let service = cache.service();
    service.index(Scheme::Tgz, Arc::clone(&source) as _, &path("/archive"), |_| {}).await.unwrap();
    let sampled = 3 * (128 + 64) * 1024;
    let head = 2 * 100_000;
    assert!(source.take_read() <= archive.len() as u64 + sampled + head);
}

#[tokio::test]
async fn a_killed_pass_goes_on_where_it_was() {
    let files = sample(120);
    let archive = gzip(&tar(&files));
    let len = archive.len() as u64;
    let (cache, source) = (Cache::new(), Source::new(archive));
    source.gate.store(len / 2, Ordering::SeqCst);
    let service = cache.service();
    let tree = service.enter(Scheme::Tgz, Arc::clone(&source) as _, &path("/archive")).await.unwrap();
    source.reached.notified().await;
    // The process is gone: nothing it holds in memory comes back.
    drop((tree, service));
    let journal = fs::read(cache.file("journal")).unwrap();
    for cut in [0, 100] {
        // The last frame may have been cut, or more of it.
        let copy = Cache::new();
        let folder = copy.folder.path().join("indexes");
        fs::create_dir(&folder).unwrap();
        let name = cache.file("journal").file_name().unwrap().to_owned();
        fs::write(folder.join(name), &journal[..journal.len() - cut]).unwrap();
        let source = Source::new(Arc::unwrap_or_clone(Arc::clone(&source.content.lock().unwrap())));
        let tree = copy.index(Scheme::Tgz, &source).await;
        let read = source.take_read();
        // Besides: the samples, three times, and the beginning, twice.
        let allowed = len / 2 + len / 10 + 900_000 + len / 20;
        assert!(read <= allowed, "{read} of {len}, {allowed} allowed");
        check(&*tree, &files, 3).await;
        let again = copy.index(Scheme::Tgz, &source).await;
        check(&*again, &files, 4).await;
        assert_eq!((copy.files("index").len(), copy.files("journal").len()), (1, 0));
    }
}

#[tokio::test]
async fn a_grown_archive_is_extended_and_a_changed_one_is_read_anew() {
    let files = sample(120);
    let archive = gzip(&tar(&files));
    let cut = archive.len() * 3 / 4;
    let (cache, source) = (Cache::new(), Source::new(archive[..cut].to_vec()));
    let tree = cache.index(Scheme::Tgz, &source).await;
    assert_eq!(names(&*tree, "/").await.unwrap_err().kind(), ErrorKind::Truncated);
    drop(tree);
    source.change("2", |content| content.extend_from_slice(&archive[cut..]));
    source.take_read();
    let tree = cache.index(Scheme::Tgz, &source).await;
    assert!(source.take_read() < archive.len() as u64 / 2 + 1_000_000);
    assert_eq!(names(&*tree, "/").await.unwrap().len(), 7);
    check(&*tree, &files, 5).await;
    let other = sample(119);
    source.change("3", |content| *content = gzip(&tar(&other)));
    let tree = cache.index(Scheme::Tgz, &source).await;
    assert!(source.take_read() >= source.content.lock().unwrap().len() as u64);
    check(&*tree, &other, 6).await;
}

#[tokio::test]
async fn a_pass_through_what_was_appended_goes_on_where_it_was_killed() {
    let files = sample(160);
    let archive = gzip(&tar(&files));
    let (first, gate) = (archive.len() / 4, archive.len() * 3 / 4);
    let (cache, source) = (Cache::new(), Source::new(archive[..first].to_vec()));
    drop(cache.index(Scheme::Tgz, &source).await);
    source.change("2", |content| content.extend_from_slice(&archive[first..]));
    source.gate.store(gate as u64, Ordering::SeqCst);
    let service = cache.service();
    let tree = service.enter(Scheme::Tgz, Arc::clone(&source) as _, &path("/archive")).await.unwrap();
    source.reached.notified().await;
    drop((tree, service));
    assert_eq!((cache.files("index").len(), cache.files("journal").len()), (1, 1));
    source.gate.store(u64::MAX, Ordering::SeqCst);
    source.take_read();
    let tree = cache.index(Scheme::Tgz, &source).await;
    // A quarter, what was found since the last frame, the samples and the beginning.
    let (read, allowed) = (source.take_read(), archive.len() as u64 * 2 / 5 + 900_000);
    assert!(read <= allowed, "{read} of {}, {allowed} allowed", archive.len());
    check(&*tree, &files, 8).await;
    let again = cache.index(Scheme::Tgz, &source).await;
    check(&*again, &files, 9).await;
    assert_eq!((cache.files("index").len(), cache.files("journal").len()), (1, 0));
}

#[tokio::test]
async fn a_plain_tar_that_was_appended_to_is_extended() {
    let files = sample(40);
    let (cache, source) = (Cache::new(), Source::new(tar(&files[..30])));
    drop(cache.index(Scheme::Tar, &source).await);
    source.change("2", |content| *content = tar(&files));
    let tree = cache.index(Scheme::Tar, &source).await;
    check(&*tree, &files, 7).await;
}

#[tokio::test]
async fn a_damaged_or_foreign_index_is_ignored_and_made_anew() {
    let files = sample(8);
    let (cache, source) = (Cache::new(), Source::new(gzip(&tar(&files))));
    drop(cache.index(Scheme::Tgz, &source).await);
    let good = fs::read(cache.file("index")).unwrap();
    let len = good.len();
    let damage = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    };
    let mut cases =
        vec![Vec::new(), good[..len / 2].to_vec(), good[..len - 1].to_vec(), b"something else".repeat(99)];
    // The magic, the version, each of the footer's parts, and each section by way of its place.
    cases.extend([0, 9, len - 1, len - 10, len - 14].map(damage));
    for section in 0..5 {
        let place = len - 116 + section * 20;
        let at = u64::from_le_bytes(good[place..place + 8].try_into().unwrap()) as usize;
        assert!(at < len - 116);
        cases.extend([damage(place), damage(place + 8), damage(place + 16), damage(at)]);
    }
    for (number, bad) in cases.into_iter().enumerate() {
        fs::write(cache.file("index"), &bad).unwrap();
        source.take_read();
        let tree = cache.index(Scheme::Tgz, &source).await;
        let whole = source.content.lock().unwrap().len() as u64;
        assert!(source.take_read() >= whole, "case {number} was believed");
        drop(tree);
        assert!(fs::read(cache.file("index")).unwrap() == good, "case {number} was not replaced");
    }
}

#[tokio::test]
async fn a_damaged_state_of_a_point_is_an_error_and_the_index_is_made_anew() {
    let files = sample(60);
    let (cache, source) = (Cache::new(), Source::new(gzip(&tar(&files))));
    drop(cache.index(Scheme::Tgz, &source).await);
    let mut bytes = fs::read(cache.file("index")).unwrap();
    bytes[12..400].fill(7);
    fs::write(cache.file("index"), &bytes).unwrap();
    let tree = cache.index(Scheme::Tgz, &source).await;
    let mut errors = 0;
    // From the end, so that no decoder that rests saves a point.
    for (name, wanted) in files.iter().rev() {
        let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
        match read(&*file, 0, 1000).await {
            Ok(found) => assert!(found == wanted[..1000]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                errors += 1;
            }
        }
    }
    assert!(errors > 0);
    let anew = async {
        while !cache.files("index").first().is_some_and(|path| fs::read(path).is_ok_and(|now| now != bytes)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), anew).await.unwrap();
    check(&*tree, &files, 11).await;
}

#[tokio::test]
async fn other_bytes_under_the_same_version_are_an_error_and_never_served() {
    let files = sample(60);
    let (cache, source) = (Cache::new(), Source::new(tar(&files)));
    source.change("1", |content| *content = stored_gzip(content));
    drop(cache.index(Scheme::Tgz, &source).await);
    let tree = cache.index(Scheme::Tgz, &source).await;
    // Stored blocks decode to whatever is in them.
    source.change("1", |content| {
        let (mut at, half) = (10, content.len() / 2);
        while at < half {
            at += 5 + usize::from(u16::from_le_bytes([content[at + 1], content[at + 2]]));
        }
        content[at + 1000..at + 3000].iter_mut().for_each(|byte| *byte ^= 0x20);
        let (sum, end) = (crc32fast::hash(&unstored(content)), content.len() - 8);
        content[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    });
    let mut errors = 0;
    for (name, wanted) in &files {
        let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
        match read(&*file, 0, wanted.len()).await {
            Ok(found) => assert!(found == *wanted, "{name}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                errors += 1;
                break;
            }
        }
    }
    assert!(errors > 0);
    gone(&cache).await;
    // The same tree is entered anew: what the file holds by now is served, and indexed.
    let plain = unstored(&source.content.lock().unwrap());
    let mut changed = 0;
    for (name, wanted) in &files {
        let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
        let found = read(&*file, 0, wanted.len()).await.unwrap();
        assert!(plain.windows(found.len()).any(|part| part == found), "{name}");
        changed += u32::from(found != *wanted);
    }
    assert!(changed > 0);
    let there = async {
        while cache.files("index").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), there).await.unwrap();
}

#[tokio::test]
async fn a_listing_that_is_under_way_while_the_index_is_written_goes_on() {
    let files = sample(900);
    let (cache, source) = (Cache::new(), Source::new(tar(&files)));
    let service = cache.service();
    let tree = service.enter(Scheme::Tar, Arc::clone(&source) as _, &path("/archive")).await.unwrap();
    let folder = path("/folder-0/sub");
    let mut listing = tree.read_dir(&folder, &ListOptions::default()).await.unwrap();
    let mut found: Vec<_> = listing.next().await.unwrap().unwrap();
    service.index(Scheme::Tar, Arc::clone(&source) as _, &path("/archive"), |_| {}).await.unwrap();
    // Entered anew by now, with its names in another order.
    check(&*tree, &files, 10).await;
    while let Some(batch) = listing.next().await {
        found.extend(batch.unwrap());
    }
    let mut found: Vec<_> =
        found.into_iter().map(|entry| String::from_utf8(entry.name.to_vec()).unwrap()).collect();
    found.sort();
    assert_eq!(found, names(&*tree, "/folder-0/sub").await.unwrap());
    assert_eq!(found.len(), 900_usize.div_ceil(7));
}

/// What a gzip file of stored blocks holds, whatever its sums say.
fn unstored(mut gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    gzip = &gzip[10..];
    loop {
        let len = usize::from(u16::from_le_bytes([gzip[1], gzip[2]]));
        plain.extend_from_slice(&gzip[5..5 + len]);
        if gzip[0] & 1 == 1 {
            return plain;
        }
        gzip = &gzip[5 + len..];
    }
}

fn stored_gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Returns when the index has been removed.
async fn gone(cache: &Cache) {
    let gone = async {
        while !cache.files("index").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_for_a_while_is_asked_again() {
    let files = sample(30);
    let (cache, source) = (Cache::new(), Source::new(gzip(&tar(&files))));
    source.failing.store(3, Ordering::SeqCst);
    let service = cache.service();
    let tree = service.enter(Scheme::Tgz, Arc::clone(&source) as _, &path("/archive")).await.unwrap();
    service.index(Scheme::Tgz, Arc::clone(&source) as _, &path("/archive"), |_| {}).await.unwrap();
    assert_eq!(source.failing.load(Ordering::SeqCst), 0);
    check(&*tree, &files, 9).await;
}

#[tokio::test]
async fn many_readers_of_one_block_have_it_decoded_once() {
    let files = sample(60);
    let (cache, source) = (Cache::new(), Source::new(gzip(&tar(&files))));
    drop(cache.index(Scheme::Tgz, &source).await);
    let tree = cache.index(Scheme::Tgz, &source).await;
    let (name, wanted) = &files[40];
    let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
    source.take_read();
    let readers: Vec<_> = (0..64)
        .map(|_| {
            let file = Arc::clone(&file);
            tokio::spawn(async move { read(&*file, 0, 10).await.unwrap() })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), wanted[..10]);
    }
    assert!(source.take_read() < 1_500_000, "one block's way");
}

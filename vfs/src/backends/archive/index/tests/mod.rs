//! Indexes in their folder: written, found again, resumed, extended, damaged.

mod damage;
mod found;
mod passes;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;

use super::{IndexOptions, IndexPlace};
use crate::backends::archive::tests::{gzip, tar_of as tar};
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

//! Archives that mean harm, entered as a server enters them. What one format alone can do is tested in its own room.

mod bombs;
mod damage;
mod links;
mod readers;

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
async fn overlapping_members_are_listed_and_not_read() {
    let inner = Entry::stored("1", b"one");
    let outer = Entry { packed_len: 60, len: 60, ..Entry::stored("0", b"zero") };
    let tree = enter(Scheme::Zip, Archive::of([outer, inner]).build()).await;
    assert_eq!(names(&*tree).await.0, 2);
    for name in [0, 1] {
        assert_eq!(kind(open(&*tree, name).await), ErrorKind::Corrupt, "{name}");
    }
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
async fn a_damaged_directory_serves_what_comes_before_the_damage() {
    let mut archive = Archive::of([Entry::stored("0", b"zero"), Entry::stored("1", b"one")]).build();
    let last = archive.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    archive[last] = b'X';
    let tree = enter(Scheme::Zip, archive).await;
    let (count, error): (usize, Option<Error>) = names(&*tree).await;
    assert_eq!((count, error.map(|error| error.kind())), (1, Some(ErrorKind::Corrupt)));
    assert_eq!(read(&*open(&*tree, 0).await.unwrap(), 0, 9).await.unwrap(), b"zero");
}

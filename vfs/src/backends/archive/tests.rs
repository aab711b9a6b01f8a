//! Whole archives, entered by the service as the namespace does it.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::trial::stored;
use super::zip::tests::builder::{Archive, Entry};
use super::{ArchiveOptions, ArchiveService, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, FileSystem};
use crate::options::{ListOptions, OpenOptions};
use crate::path::{Scheme, VPath};
use crate::registry::EnterArchive;

/// A tar with files of this content, named `0`, `1`, ….
pub(super) fn tar(files: &[Vec<u8>]) -> Vec<u8> {
    let named: Vec<_> =
        files.iter().enumerate().map(|(number, content)| (number.to_string(), content.clone())).collect();
    tar_of(&named)
}

/// A tar with these files, which their owner may write and their group may read.
pub(super) fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
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

pub(super) fn gzip(plain: &[u8]) -> Vec<u8> {
    gzip_at(Compression::fast(), plain)
}

pub(super) fn gzip_at(level: Compression, plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that gzip makes smaller and that are nowhere alike.
pub(super) fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 60) as u8 + b'a'
    };
    (0..len).map(|_| step()).collect()
}

async fn enter(scheme: Scheme, bytes: Vec<u8>) -> Result<Arc<dyn FileSystem>> {
    let service = ArchiveService::new(ArchiveOptions::default());
    service.enter(scheme, stored(bytes), &VPath::parse("/archive").unwrap()).await
}

pub(super) async fn open(tree: &dyn FileSystem, name: usize) -> Result<Arc<dyn File>> {
    tree.open(&VPath::parse(format!("/{name}")).unwrap(), &OpenOptions::reading()).await
}

pub(super) async fn read(file: &dyn File, mut offset: u64, len: usize) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    while content.len() < len {
        let bytes: Bytes = file.read_at(offset, len - content.len()).await?;
        if bytes.is_empty() {
            break;
        }
        offset += bytes.len() as u64;
        content.extend_from_slice(&bytes);
    }
    Ok(content)
}

pub(super) async fn names(tree: &dyn FileSystem) -> (usize, Option<Error>) {
    let mut listing = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
    let mut count = 0;
    while let Some(batch) = listing.next().await {
        match batch {
            Ok(batch) => count += batch.len(),
            Err(error) => return (count, Some(error)),
        }
    }
    (count, None)
}

#[tokio::test]
async fn members_of_a_tgz_read_to_the_byte_from_any_offset() {
    let files: Vec<_> = (0..9).map(|number| content(number, 700_000 + 1000 * number as usize)).collect();
    let tree = enter(Scheme::Tgz, gzip(&tar(&files))).await.unwrap();
    assert_eq!(names(&*tree).await.0, files.len());
    for name in [8, 0, 4, 3, 7, 1] {
        let file = open(&*tree, name).await.unwrap();
        for offset in [0, 1, 65_535, 400_001, 699_990] {
            let found = read(&*file, offset as u64, 70_000).await.unwrap();
            let wanted = &files[name][offset..files[name].len().min(offset + 70_000)];
            assert!(found == wanted, "{name} from {offset}");
        }
    }
}

/// Who gives up waiting leaves the decoding to those who come: none of them hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_comes_as_another_leaves_gets_its_bytes() {
    let budget = ArchiveOptions { memory: 1 << 20, ..ArchiveOptions::default() };
    let files = vec![content(1, 4 << 20)];
    let packed = stored(gzip(&tar(&files)));
    let service = ArchiveService::new(budget);
    let tree = service.enter(Scheme::Tgz, packed, &VPath::parse("/archive").unwrap()).await.unwrap();
    assert_eq!(names(&*tree).await.0, 1);
    let file = open(&*tree, 0).await.unwrap();
    let readers = (0..4_usize).map(|reader| {
        let (file, content) = (Arc::clone(&file), files[0].clone());
        tokio::spawn(async move {
            for turn in 0..300 {
                let offset = (turn * 7 + reader) % 64 * 65_536;
                let left = file.read_at(offset as u64, 100);
                _ = tokio::time::timeout(std::time::Duration::from_micros((turn % 9) as u64 * 20), left)
                    .await;
                let found = file.read_at(offset as u64, 100).await.unwrap();
                assert!(found[..] == content[offset..][..found.len()], "{offset}");
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn a_long_member_of_a_zip_that_sums_to_something_else_is_never_whole() {
    let content = content(3, 5 << 20);
    let mut archive = Archive::of([Entry::deflated("0", &content)]).build();
    let record = archive.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    archive[record + 16] ^= 1;
    let tree = enter(Scheme::Zip, archive).await.unwrap();
    for _ in 0..3 {
        let file = open(&*tree, 0).await.unwrap();
        let error = read(&*file, 0, content.len()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[tokio::test]
async fn a_cut_archive_serves_what_comes_before_and_says_so() {
    let files: Vec<_> = (0..4).map(|number| content(number, 300_000)).collect();
    let plain = tar(&files);
    let packed = gzip(&plain);
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    for (scheme, bytes) in [(Scheme::Tar, half(&plain)), (Scheme::Tgz, half(&packed))] {
        let tree = enter(scheme, bytes).await.unwrap();
        let (count, error) = names(&*tree).await;
        assert!((2..4).contains(&count), "{count}");
        assert_eq!(error.unwrap().kind(), ErrorKind::Truncated);
        let first = open(&*tree, 0).await.unwrap();
        assert!(read(&*first, 0, 300_000).await.unwrap() == files[0]);
        let cut = open(&*tree, count - 1).await.unwrap();
        assert_eq!(read(&*cut, 0, 300_000).await.unwrap_err().kind(), ErrorKind::Truncated, "{scheme}");
        // Nobody can say whether it came behind the cut.
        let missing = open(&*tree, 99).await.unwrap_err();
        assert_eq!((missing.kind(), missing.path().to_string()), (ErrorKind::Truncated, "/99".to_owned()));
    }
}

#[tokio::test]
async fn every_scheme_insists_on_what_it_names() {
    let plain = tar(&[b"x".to_vec()]);
    for (scheme, bytes, wanted) in [
        (Scheme::Tar, gzip(&plain), "#tar: was asked for, and it holds gzip data"),
        (Scheme::Tgz, plain.clone(), "#tgz: was asked for, and it holds a tar"),
        (Scheme::Tar, b"PK\x03\x04".to_vec(), "#tar: was asked for, and it holds a zip archive"),
        (Scheme::Tar, Vec::new(), "#tar: was asked for, and it holds nothing at all"),
        (Scheme::Tar, b"Rar!\x1a\x07".to_vec(), "#tar: was asked for, and it holds a rar archive"),
        (
            Scheme::Auto,
            b"#!/bin/sh".to_vec(),
            "it holds something that is not known here, which cannot be entered",
        ),
        (
            Scheme::Tgz,
            gzip(b"text"),
            "#tgz: was asked for, and it holds gzip data with something that is not known here in it",
        ),
        (Scheme::Zip, plain.clone(), "#zip: was asked for, and it holds a tar"),
        (Scheme::Zip, gzip(&plain), "#zip: was asked for, and it holds gzip data"),
        (Scheme::Tbz2, gzip(&plain), "#tbz2: was asked for, and it holds gzip data"),
        (Scheme::Txz, gzip(&plain), "#txz: was asked for, and it holds gzip data"),
        (Scheme::Tzst, plain.clone(), "#tzst: was asked for, and it holds a tar"),
        (Scheme::Gz, plain.clone(), "#gz: was asked for, and it holds a tar"),
        (Scheme::Bz2, gzip(&plain), "#bz2: was asked for, and it holds gzip data"),
        (Scheme::Xz, gzip(&plain), "#xz: was asked for, and it holds gzip data"),
        (Scheme::Zst, Vec::new(), "#zst: was asked for, and it holds nothing at all"),
    ] {
        let error = enter(scheme, bytes).await.unwrap_err();
        assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidInput, Some(wanted)));
    }
    for bytes in [gzip(&plain), plain] {
        assert_eq!(names(&*enter(Scheme::Auto, bytes).await.unwrap()).await.0, 1);
    }
}

#[tokio::test]
async fn who_builds_an_index_hears_how_far_it_is_until_all_is_done() {
    let files: Vec<_> = (0..9).map(|number| content(number, 300_000)).collect();
    let packed = gzip(&tar(&files));
    let (len, service) = (packed.len() as u64, ArchiveService::new(ArchiveOptions::default()));
    let mut reports = Vec::new();
    let path = VPath::parse("/archive").unwrap();
    let report = |progress: &Progress| reports.push(progress.clone());
    let done = service.index(Scheme::Tgz, stored(packed), &path, report).await.unwrap();
    assert_eq!(done, Progress { path, done: len, total: Some(len), names: 9, remark: None, index: None });
    assert_eq!(reports.last(), Some(&done));
    assert!(reports.is_sorted_by_key(|progress| progress.done));
    assert_eq!(service.progress(), []);
}

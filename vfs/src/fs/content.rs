//! Whole files in one call: read, write, copy.

use bytes::Bytes;

use super::handle::on;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::FileSystem;
use crate::jobs::{Disk, PIECE_BYTES};
use crate::options::{ByteRange, OpenOptions, SetAttributes};
use crate::path::VPath;
use crate::producer::{self, Chunk, ProducerExt};
use crate::walk;

/// Memory that is set aside before reading because a file says that it is that long. A longer one grows as it comes, so
/// that a source's claim alone takes no memory.
const PREALLOCATED_BYTES: u64 = 16 << 20;

pub(super) async fn read(tree: &dyn FileSystem, path: &VPath) -> Result<Vec<u8>> {
    let file = tree.open(path, &OpenOptions::reading()).await?;
    let claimed = file.metadata().await.map_err(on(path))?.len.unwrap_or(0);
    let mut content = Vec::with_capacity(claimed.min(PREALLOCATED_BYTES) as usize);
    let mut pieces = producer::of(file, ByteRange::whole()).lower(&Disk::new()).peeked();
    while let Some(piece) = pieces.more().await.transpose().map_err(on(path))? {
        content.extend_from_slice(&in_memory(piece));
    }
    Ok(content)
}

pub(super) async fn write(tree: &dyn FileSystem, path: &VPath, content: &[u8]) -> Result<()> {
    let file = tree.open(path, &OpenOptions::writing()).await?;
    let mut offset = 0;
    for piece in content.chunks(PIECE_BYTES) {
        file.write_at(offset, Bytes::copy_from_slice(piece)).await.map_err(on(path))?;
        offset += piece.len() as u64;
    }
    file.finish().await.map_err(on(path))
}

pub(super) async fn copy(tree: &dyn FileSystem, from: &VPath, to: &VPath) -> Result<u64> {
    let source = tree.open(from, &OpenOptions::reading()).await.map_err(no_file_to_copy)?;
    let described = source.metadata().await.map_err(on(from))?;
    walk::check_copy(tree, from, &described, to).await?;
    let target = tree.open(to, &OpenOptions { mode: described.mode, ..OpenOptions::writing() }).await?;
    // Before the first byte, as the standard library has it: nobody may read what they could not read at `from`.
    if described.mode.is_some() && tree.capabilities(to).modes {
        let bits = SetAttributes { mode: described.mode, ..SetAttributes::default() };
        target.set_attributes(&bits).await.map_err(on(to))?;
    }
    let mut pieces = producer::of(source, ByteRange::whole()).lower(&Disk::new()).peeked();
    let mut copied = 0;
    while let Some(piece) = pieces.more().await.transpose().map_err(on(from))? {
        let len = piece.len() as u64;
        target.write_at(copied, in_memory(piece)).await.map_err(on(to))?;
        copied += len;
    }
    target.finish().await.map_err(on(to))?;
    Ok(copied)
}

/// std::fs::copy calls everything but a file an invalid input.
fn no_file_to_copy(error: Error) -> Error {
    if error.kind() != ErrorKind::IsADirectory {
        return error;
    }
    Error::new(ErrorKind::InvalidInput, "copy", error.path())
        .with_detail("only files are copied, this is a folder")
}

fn in_memory(chunk: Chunk) -> Bytes {
    match chunk {
        Chunk::Bytes(bytes) => bytes,
        Chunk::Span(_) => unreachable!("`lower` lets no span through"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use crate::fs::Fs;
    use crate::fs::testing::{local_tree, tree};
    use crate::jobs::PIECE_BYTES;

    /// Longer than a piece, and no two pieces alike.
    fn long() -> Vec<u8> {
        (0..2 * PIECE_BYTES + 77).map(|at| (at / 251) as u8).collect()
    }

    #[tokio::test]
    async fn content_longer_than_a_piece_comes_back_by_spans_and_by_bytes() {
        let (_folder, local) = local_tree();
        for tree in [tree(), local] {
            let fs = Fs::new(tree);
            fs.write("/a", long()).await.unwrap();
            assert!(fs.read("/a").await.unwrap() == long());
            assert_eq!(fs.copy("/a", "/b").await.unwrap(), long().len() as u64);
            assert!(fs.read("/b").await.unwrap() == long());
            fs.write("/b", "short").await.unwrap();
            assert_eq!(fs.read_to_string("/b").await.unwrap(), "short");
        }
    }

    #[tokio::test]
    async fn a_copy_takes_the_permission_bits_along_also_onto_an_old_file() {
        let fs = Fs::new(tree());
        fs.write("/a", "x").await.unwrap();
        fs.write("/old", "yyy").await.unwrap();
        fs.set_permissions("/a", crate::fs::Permissions::from_mode(0o640)).await.unwrap();
        for to in ["/new", "/old"] {
            assert_eq!(fs.copy("/a", to).await.unwrap(), 1);
            assert_eq!(fs.metadata(to).await.unwrap().mode() & 0o7777, 0o640, "{to}");
            assert_eq!(fs.read(to).await.unwrap(), b"x");
        }
    }

    #[tokio::test]
    async fn folders_and_the_file_itself_are_not_copied() {
        let fs = Fs::new(tree());
        fs.write("/a", "precious").await.unwrap();
        fs.hard_link("/a", "/same").await.unwrap();
        fs.symlink("a", "/link").await.unwrap();
        fs.create_dir("/d").await.unwrap();
        for (from, to) in [("/d", "/x"), ("/a", "/a"), ("/a", "/same"), ("/link", "/a")] {
            let error = fs.copy(from, to).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{from} {to}");
        }
        assert_eq!(fs.read("/a").await.unwrap(), b"precious");
        assert!(!fs.exists("/x").await.unwrap());
        assert_eq!(fs.copy("/a", "/d").await.unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[tokio::test]
    async fn text_that_is_no_utf8_is_invalid_data_and_says_where() {
        let fs = Fs::new(tree());
        fs.write("/a", b"ab\xff").await.unwrap();
        let error = fs.read_to_string("/a").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(error.to_string(), "read_to_string /a: the data is damaged: not UTF-8 from byte 2 on");
    }
}

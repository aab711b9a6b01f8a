//! Whole files in one call: read, write, copy.

use bytes::Bytes;

use super::handle::on;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::FileSystem;
use crate::jobs::{Disk, PIECE_BYTES};
use crate::options::{ByteRange, OpenOptions, SetAttributes, StatOptions};
use crate::path::VPath;
use crate::producer::{self, Chunk, Peeked, Producer, ProducerExt};

/// Memory that is set aside before reading because a file says that it is that long. A longer one grows as it comes, so
/// that a source's claim alone takes no memory.
const PREALLOCATED_BYTES: u64 = 16 << 20;

pub(super) async fn read(tree: &dyn FileSystem, path: &VPath) -> Result<Vec<u8>> {
    let file = tree.open(path, &OpenOptions::reading()).await?;
    let claimed = file.metadata().await.map_err(on(path))?.len.unwrap_or(0);
    let mut content = Vec::with_capacity(claimed.min(PREALLOCATED_BYTES) as usize);
    let mut pieces = Pieces::of(producer::of(file, ByteRange::whole()));
    while let Some(piece) = pieces.next().await.map_err(on(path))? {
        content.extend_from_slice(&piece);
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
    let there = tree.metadata(to, &StatOptions::default()).await.ok();
    let is_itself =
        there.is_some_and(|there| there.identity.is_some() && there.identity == described.identity);
    if from == to || is_itself {
        let same = Error::new(ErrorKind::InvalidInput, "copy", to);
        return Err(same.with_detail(format!("it is the same file as {from}")));
    }
    let target = tree.open(to, &OpenOptions { mode: described.mode, ..OpenOptions::writing() }).await?;
    // Before the first byte, as the standard library has it: nobody may read what they could not read at `from`.
    if described.mode.is_some() && tree.capabilities(to).modes {
        let bits = SetAttributes { mode: described.mode, ..SetAttributes::default() };
        target.set_attributes(&bits).await.map_err(on(to))?;
    }
    let mut pieces = Pieces::of(producer::of(source, ByteRange::whole()));
    let mut copied = 0;
    while let Some(piece) = pieces.next().await.map_err(on(from))? {
        let len = piece.len() as u64;
        target.write_at(copied, piece).await.map_err(on(to))?;
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

/// A producer's chunks as bytes: spans are read, warm ones here and cold ones in a job.
struct Pieces {
    chunks: Peeked<Box<dyn Producer>>,
    disk: Disk,
}

impl Pieces {
    fn of(chunks: Box<dyn Producer>) -> Self {
        Self { chunks: chunks.peeked(), disk: Disk::new() }
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let span = match self.chunks.more().await.transpose()? {
            None => return Ok(None),
            Some(Chunk::Bytes(bytes)) => return Ok(Some(bytes)),
            Some(Chunk::Span(span)) => span,
        };
        let read = match span.read_now() {
            Some(read) => read,
            None => self.disk.run("read", move || span.read_blocking()).await?,
        };
        read.map(Some).map_err(|error| Error::from_io(error, "read", &VPath::root()))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use crate::fs::Fs;
    use crate::fs::testing::HostTree;
    use crate::jobs::PIECE_BYTES;

    /// Longer than a piece, and no two pieces alike.
    fn long() -> Vec<u8> {
        (0..2 * PIECE_BYTES + 77).map(|at| (at / 251) as u8).collect()
    }

    #[tokio::test]
    async fn content_longer_than_a_piece_comes_back_by_spans_and_by_bytes() {
        for tree in [HostTree::shared(), HostTree::with_spans()] {
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
        let fs = Fs::new(HostTree::shared());
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
        let fs = Fs::new(HostTree::shared());
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
        let fs = Fs::new(HostTree::shared());
        fs.write("/a", b"ab\xff").await.unwrap();
        let error = fs.read_to_string("/a").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(error.to_string(), "read_to_string /a: the data is damaged: not UTF-8 from byte 2 on");
    }
}

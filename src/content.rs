//! The bytes of an open file, piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use vfs::jobs::Disk;
use vfs::producer::{self, Chunk, Lower, Peeked, Producer, ProducerExt};
use vfs::{ByteRange, Error, ErrorKind, File, VPath};

/// A file's bytes in order.
pub(crate) struct Content {
    path: VPath,
    pieces: Peeked<Lower<Box<dyn Producer>>>,
    /// Where the next piece starts.
    offset: u64,
    /// Where it must not end before.
    promised: u64,
}

impl Content {
    /// The whole of `file`, which `path` names. Ends with `Truncated` where the file turns out to be shorter than it
    /// says now.
    pub(crate) async fn whole(file: Arc<dyn File>, path: &VPath) -> vfs::Result<Self> {
        let promised = file.metadata().await?.len.unwrap_or(0);
        Ok(Self::new(file, ByteRange::whole(), path, promised))
    }

    /// The bytes of `range`, or as many of them as there are.
    pub(crate) async fn range(file: Arc<dyn File>, range: ByteRange, path: &VPath) -> vfs::Result<Self> {
        // A range with an end that the file does not reach is an error to a producer; here it is an end.
        let end = match (range.end, file.metadata().await?.len) {
            (Some(end), Some(len)) => Some(end.min(len.max(range.start))),
            (end, _) => end,
        };
        Ok(Self::new(file, ByteRange { end, ..range }, path, 0))
    }

    fn new(file: Arc<dyn File>, range: ByteRange, path: &VPath, promised: u64) -> Self {
        let pieces = producer::of(file, range).lower(&Disk::new()).peeked();
        Self { path: path.clone(), pieces, offset: range.start, promised }
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<vfs::Result<Bytes>> {
        match self.pieces.more().await {
            Some(Ok(Chunk::Bytes(bytes))) => {
                self.offset += bytes.len() as u64;
                Some(Ok(bytes))
            }
            Some(Ok(Chunk::Span(_))) => unreachable!("`lower` gives bytes only"),
            Some(Err(error)) => {
                // This says why it is short.
                self.promised = 0;
                Some(Err(error.readdressed(|_| self.path.clone())))
            }
            None if self.offset < self.promised => {
                self.promised = 0;
                let detail = format!("it was cut at {} bytes while it was read", self.offset);
                Some(Err(Error::new(ErrorKind::Truncated, "read", &self.path).with_detail(detail)))
            }
            None => None,
        }
    }
}

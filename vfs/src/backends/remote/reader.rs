//! [`Reader`]: where a read of a remote file has left a transfer, so that the next read goes on with it.

use std::future::poll_fn;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::path::VPath;
use crate::producer::{Chunk, Producer};

/// A transfer of bytes, and where in the file it is.
pub(crate) struct Reader<T> {
    at: u64,
    rest: Bytes,
    transfer: T,
    /// Where it stops before the end of the file.
    end: Option<u64>,
}

impl<T: Producer> Reader<T> {
    /// A transfer that begins at `at`, and stops at `end` where that is not the file's.
    pub(crate) fn new(transfer: T, at: u64, end: Option<u64>) -> Self {
        Self { at, rest: Bytes::new(), transfer, end }
    }

    /// True where it gets to `offset` by passing over `skipped` bytes at most.
    pub(crate) fn is_near(&self, offset: u64, skipped: u64) -> bool {
        self.at <= offset && offset - self.at <= skipped && self.end.is_none_or(|end| offset < end)
    }

    /// The transfer, and where in the file its next byte belongs; `None` where it stops early, or has given bytes that
    /// nobody has read.
    pub(crate) fn into_open(self) -> Option<(T, u64)> {
        (self.rest.is_empty() && self.end.is_none()).then_some((self.transfer, self.at))
    }

    /// Reads at most `max` bytes from `offset`, which is not behind it; empty at the transfer's end.
    pub(crate) async fn read_at(&mut self, offset: u64, max: usize) -> Result<Bytes> {
        loop {
            if self.rest.is_empty() {
                match poll_fn(|cx| self.transfer.poll_more(cx)).await {
                    Some(Ok(Chunk::Bytes(bytes))) => self.rest = bytes,
                    Some(Ok(Chunk::Span(_))) => {
                        return Err(Error::new(ErrorKind::Internal, "read_at", &VPath::root()));
                    }
                    Some(Err(error)) => return Err(error),
                    None => return Ok(Bytes::new()),
                }
            }
            let skipped = self.rest.split_to((offset - self.at).min(self.rest.len() as u64) as usize);
            self.at += skipped.len() as u64;
            if !self.rest.is_empty() {
                let bytes = self.rest.split_to(max.min(self.rest.len()));
                self.at += bytes.len() as u64;
                return Ok(bytes);
            }
        }
    }
}

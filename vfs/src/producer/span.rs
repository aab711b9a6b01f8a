//! A piece of an open local file that has not been read yet.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;

use crate::residency;

/// `len` bytes of an open file from `offset`. It can leave through `sendfile(2)` without being read; where it has to
/// become bytes, [`FileSpan::read_now`] and [`FileSpan::read_blocking`] make them.
#[derive(Clone, Debug)]
pub struct FileSpan {
    file: SpanFile,
    offset: u64,
    len: usize,
}

/// The open file of a span. Clones share it; the last one closes it.
#[derive(Clone, Debug)]
pub struct SpanFile(Arc<OwnedFd>);

impl SpanFile {
    /// Shares an open file, which must be regular: others may block, or have no offsets.
    pub fn new(file: impl Into<OwnedFd>) -> Self {
        Self(Arc::new(file.into()))
    }

    /// True where both are one opening.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl AsFd for SpanFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl FileSpan {
    /// The longest span. Longer pieces are several spans, so that counts, throttles and aborts stay true.
    pub const MAX_BYTES: usize = 1 << 20;

    /// The first [`FileSpan::MAX_BYTES`] at most of `len` bytes from `offset`.
    pub fn new(file: SpanFile, offset: u64, len: u64) -> Self {
        let len = usize::try_from(len).unwrap_or(Self::MAX_BYTES).min(Self::MAX_BYTES);
        Self { file, offset, len }
    }

    /// The open file.
    pub fn file(&self) -> &SpanFile {
        &self.file
    }

    /// Where it starts.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True where nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops the first `count` bytes, or all.
    pub fn advance(&mut self, count: usize) {
        let count = count.min(self.len);
        self.offset += count as u64;
        self.len -= count;
    }

    /// Takes the first `count` bytes off, or all: as `Bytes::split_to` does.
    #[must_use]
    pub fn split_to(&mut self, count: usize) -> Self {
        let mut front = self.clone();
        front.len = count.min(self.len);
        self.advance(count);
        front
    }

    /// True where reading or sending it will not wait for a disk.
    pub fn is_resident(&self) -> bool {
        residency::is_resident(&self.file, self.offset, self.len as u64)
    }

    /// Reads it where it is in memory; `None` where that would wait for a disk.
    ///
    /// # Errors
    /// As [`FileSpan::read_blocking`].
    pub fn read_now(&self) -> Option<io::Result<Bytes>> {
        self.is_resident().then(|| self.read_blocking())
    }

    /// Reads it, waiting for the disk: in a job only.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before the span does; else what the system says.
    pub fn read_blocking(&self) -> io::Result<Bytes> {
        let mut bytes = Vec::with_capacity(self.len);
        while bytes.len() < self.len {
            let at = self.offset + bytes.len() as u64;
            match rustix::io::pread(&self.file, rustix::buffer::spare_capacity(&mut bytes), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        // An allocator may give more room than was asked for.
        bytes.truncate(self.len);
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &[u8]) -> SpanFile {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        SpanFile::new(file)
    }

    #[test]
    fn a_span_reads_what_it_names() {
        let mut span = FileSpan::new(file(b"0123456789"), 2, 6);
        assert_eq!(span.read_now().unwrap().unwrap(), &b"234567"[..]);
        let front = span.split_to(2);
        assert_eq!(front.read_blocking().unwrap(), &b"23"[..]);
        span.advance(1);
        assert_eq!(span.read_blocking().unwrap(), &b"567"[..]);
        span.advance(9);
        assert!(span.is_empty());
    }

    #[test]
    fn a_file_that_is_shorter_than_its_span_is_an_error() {
        let span = FileSpan::new(file(b"0123"), 2, 6);
        assert_eq!(span.read_blocking().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

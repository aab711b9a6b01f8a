//! [`FtpFile`]: one version of a remote file.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::transfer::{Source, Transfer};
use crate::backends::remote::Reader;
use crate::error::Result;
use crate::file_system::{File, SeekCost};
use crate::metadata::{Identity, Metadata};
use crate::options::ByteRange;
use crate::producer::{Chunk, Hint, Producer};

/// How far a running transfer is read on to get somewhere, instead of asking anew.
const SKIPPED_BYTES: u64 = 256 * 1024;

/// How long what was told at the opening holds without being asked again.
const FRESH: Duration = Duration::from_secs(1);

/// An open file: what the site told at the opening, and a transfer that the last reader left.
pub(super) struct FtpFile {
    source: Arc<Source>,
    metadata: Metadata,
    opened: Instant,
    left_over: Mutex<Option<Reader<Transfer>>>,
    /// Where the last read stopped: one that starts there reads on.
    sequel: AtomicU64,
}

impl FtpFile {
    /// The file that was just described by `metadata`.
    pub(super) fn new(source: Source, metadata: Metadata) -> Self {
        Self {
            source: Arc::new(source),
            metadata,
            opened: Instant::now(),
            left_over: Mutex::default(),
            sequel: AtomicU64::new(0),
        }
    }

    fn start(&self, range: ByteRange) -> Transfer {
        Transfer::start(&self.source, range, self.opened.elapsed() < FRESH)
    }

    /// Takes the transfer that was left, where it gets to `offset` soon.
    fn take_reader(&self, offset: u64) -> Option<Reader<Transfer>> {
        self.left_over().take_if(|reader| reader.is_near(offset, SKIPPED_BYTES))
    }

    /// Asks for the wanted bytes and no others; for the rest of the file, where the reader reads on.
    fn start_reader(&self, offset: u64, max: usize) -> Reader<Transfer> {
        let reads_on = offset == self.sequel.load(Ordering::Relaxed);
        let len = self.metadata.len;
        let end = len.map(|len| len.min(offset.saturating_add(max as u64))).filter(|_| !reads_on);
        Reader::new(self.start(ByteRange { start: offset, end }), offset, end)
    }

    fn left_over(&self) -> MutexGuard<'_, Option<Reader<Transfer>>> {
        self.left_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl File for FtpFile {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(self.metadata.clone())
    }

    fn identity(&self) -> Option<Identity> {
        self.metadata.identity.clone()
    }

    fn opened_as(&self) -> Option<Metadata> {
        Some(self.metadata.clone())
    }

    /// Goes on with the transfer of the read before, where that is near; else it asks for these bytes and no others.
    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        if max == 0 || self.metadata.len.is_some_and(|len| offset >= len) {
            return Ok(Bytes::new());
        }
        let mut reader = self.take_reader(offset).unwrap_or_else(|| self.start_reader(offset, max));
        let bytes = reader.read_at(offset, max).await?;
        if !bytes.is_empty() {
            self.sequel.store(offset + bytes.len() as u64, Ordering::Relaxed);
            *self.left_over() = Some(reader);
        }
        Ok(bytes)
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        (!range.is_empty()).then(|| Box::new(Later::Planned(self, range)) as Box<dyn Producer>)
    }

    fn seek_cost(&self) -> SeekCost {
        SeekCost::Request
    }
}

/// A transfer that starts when it is first asked.
enum Later {
    Planned(Arc<FtpFile>, ByteRange),
    Running(Transfer),
}

impl Producer for Later {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if let Self::Planned(file, range) = self {
            *self = Self::Running(file.start(*range));
        }
        match self {
            Self::Running(transfer) => transfer.poll_more(cx),
            Self::Planned(..) => Poll::Ready(None),
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::Planned(file, range) => {
                let goal = [range.end, file.metadata.len].into_iter().flatten().min();
                let remaining = goal.map(|goal| goal.saturating_sub(range.start));
                Hint { remaining, ..Hint::UNKNOWN }
            }
            Self::Running(transfer) => transfer.hint(),
        }
    }
}

impl fmt::Debug for FtpFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FtpFile").field("source", &self.source).finish_non_exhaustive()
    }
}

//! [`HttpFile`]: one version of a remote file.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;

use super::response::Facts;
use super::transfer::{Body, Source, Transfer};
use crate::backends::remote::Reader;
use crate::error::{ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::metadata::{Identity, Metadata};
use crate::options::ByteRange;
use crate::producer::{Chunk, Hint, Producer, ProducerExt};

/// How far a running transfer is read on to get somewhere, instead of asking anew.
const SKIPPED_BYTES: u64 = 64 * 1024;

/// An open file: what the site told at the opening, and a transfer that the last reader left.
pub(super) struct HttpFile {
    source: Arc<Source>,
    name: String,
    facts: Facts,
    left_over: Mutex<Option<Reader<Transfer>>>,
    /// Where the last read stopped: one that starts there reads on.
    sequel: AtomicU64,
}

impl HttpFile {
    /// The file that `facts` tell of. `body` is its whole content, on its way: the first reader gets it.
    pub(super) fn new(source: Source, facts: Facts, body: Option<Body>) -> Self {
        let source = Arc::new(source);
        let transfer = body.map(|body| Transfer::start(&source, &facts, ByteRange::whole(), Some(body)));
        let reader = transfer.map(|transfer| Reader::new(transfer, 0, None));
        Self {
            name: source.url.to_string(),
            source,
            facts,
            left_over: Mutex::new(reader),
            sequel: AtomicU64::new(0),
        }
    }

    /// Takes the transfer that was left, where it gets to `offset` soon.
    fn take_reader(&self, offset: u64) -> Option<Reader<Transfer>> {
        self.left_over().take_if(|reader| reader.is_near(offset, SKIPPED_BYTES))
    }

    /// Asks for the wanted bytes and no others; for the rest of the file, where the reader reads on or the length is
    /// unknown.
    fn start_reader(&self, offset: u64, max: usize) -> Reader<Transfer> {
        let reads_on = offset == self.sequel.load(Ordering::Relaxed);
        let end = self.facts.len.map(|len| len.min(offset.saturating_add(max as u64))).filter(|_| !reads_on);
        let range = ByteRange { start: offset, end };
        let transfer = Transfer::start(&self.source, &self.facts, range, None);
        Reader::new(transfer, offset, end)
    }

    fn left_over(&self) -> MutexGuard<'_, Option<Reader<Transfer>>> {
        self.left_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl File for HttpFile {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(self.facts.metadata(&self.name))
    }

    fn identity(&self) -> Option<Identity> {
        Some(self.facts.identity(&self.name))
    }

    /// Goes on with the transfer of the read before, where that is near; else it asks for these bytes and no others.
    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        if max == 0 || self.facts.len.is_some_and(|len| offset >= len) {
            return Ok(Bytes::new());
        }
        let mut reader = self.take_reader(offset).unwrap_or_else(|| self.start_reader(offset, max));
        match reader.read_at(offset, max).await {
            // A file of unknown length has its end where the site says that no such range is there.
            Err(error) if self.facts.len.is_none() && error.kind() == ErrorKind::InvalidInput => {
                Ok(Bytes::new())
            }
            Err(error) => Err(error),
            Ok(bytes) if bytes.is_empty() => Ok(bytes),
            Ok(bytes) => {
                self.sequel.store(offset + bytes.len() as u64, Ordering::Relaxed);
                *self.left_over() = Some(reader);
                Ok(bytes)
            }
        }
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        if range.is_empty() {
            return None;
        }
        Some(match self.take_reader(range.start).and_then(Reader::into_open) {
            Some((transfer, at)) => {
                let here = ByteRange { start: range.start - at, end: range.end.map(|end| end - at) };
                transfer.range(here).boxed()
            }
            None => Box::new(Later::Planned(self, range)),
        })
    }

    fn seek_cost(&self) -> SeekCost {
        SeekCost::Request
    }
}

/// A transfer that starts when it is first asked.
enum Later {
    Planned(Arc<HttpFile>, ByteRange),
    Running(Transfer),
}

impl Producer for Later {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if let Self::Planned(file, range) = self {
            *self = Self::Running(Transfer::start(&file.source, &file.facts, *range, None));
        }
        match self {
            Self::Running(transfer) => transfer.poll_more(cx),
            Self::Planned(..) => Poll::Ready(None),
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::Planned(file, range) => {
                let goal = [range.end, file.facts.len].into_iter().flatten().min();
                let remaining = goal.map(|goal| goal.saturating_sub(range.start));
                Hint { remaining, ..Hint::UNKNOWN }
            }
            Self::Running(transfer) => transfer.hint(),
        }
    }
}

impl fmt::Debug for HttpFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFile")
            .field("url", &self.name)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

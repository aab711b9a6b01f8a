//! [`Fetch`]: a run under way. It brings bytes from the source to the disk, sums them up, and asks the source to go on where it
//! breaks off.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use crc32fast::Hasher;
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::{Run, failure};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::layers::mirror::object::Object;
use crate::layers::mirror::store::BLOCK_BYTES;
use crate::path::VPath;
use crate::producer::{Chunk, Coalesce, Lower, Producer, ProducerExt, SpanFile};

/// What is written at once, where the source gives so much.
const WRITTEN_BYTES: usize = 256 * 1024;

/// When to ask again for a file that is not what it must be: sources are changed within minutes.
pub(in crate::layers::mirror) const RETRY: Duration = Duration::from_secs(30);

/// A deserted run goes on to the end where no more than this is missing.
const FINISHED_BYTES: u64 = 16 << 20;

/// A source that breaks off is asked again so often without a byte having come in between.
const RESUMPTIONS: u32 = 3;

/// How long a source that has broken off is left alone before each of them.
const RESUMED_AFTER: Duration = Duration::from_millis(200);

/// A run under way.
pub(super) struct Fetch<'a> {
    object: &'a Arc<Object>,
    run: &'a Arc<Run>,
    at: u64,
    /// Of the block that `at` lies in.
    sum: Hasher,
    /// Of the whole, where that has to sum to something.
    digest: Option<Sha256>,
    /// Where the source broke off last, and how often it did there.
    resumed: Option<(u64, u32)>,
}

/// Why a run has ended before its goal.
pub(super) enum Broken {
    /// The source says so, or its bytes are not what they must be.
    Source(Error),
    /// The cache folder takes no more.
    Store(Error),
}

impl<'a> Fetch<'a> {
    pub(super) fn new(object: &'a Arc<Object>, run: &'a Arc<Run>) -> Self {
        let digest = object.seal().map(|_| Sha256::new());
        Self { object, run, at: run.start, sum: Hasher::new(), digest, resumed: None }
    }

    /// Fetches until the run's end, or until nobody waits for it.
    pub(super) async fn go(&mut self) -> Result<(), Broken> {
        let mut source = self.source().await?;
        let mut is_watched = true;
        loop {
            let next = tokio::select! {
                biased;
                chunk = poll_fn(|cx| source.poll_more(cx)) => chunk.transpose(),
                () = self.run.deserted(), if is_watched => {
                    if !is_worth_finishing(self.object.progress()) {
                        return Ok(());
                    }
                    is_watched = false;
                    continue;
                }
            };
            let ended = match next {
                Ok(Some(Chunk::Bytes(bytes))) => {
                    self.take(bytes).await?;
                    continue;
                }
                Ok(Some(Chunk::Span(_))) => Err(failure(ErrorKind::Internal)),
                Ok(None) => self.expect_all(),
                Err(error) => Err(error),
            };
            match ended {
                Ok(()) => return self.end().map_err(Broken::Source),
                Err(error) if self.may_go_on(&error) => {
                    tracing::debug!(path = %self.object.path(), at = self.at, %error, "the source broke off: it is asked to go on");
                    self.object.close_upstream();
                    sleep(RESUMED_AFTER).await;
                    source = self.source().await?;
                }
                Err(error) => return Err(Broken::Source(error)),
            }
        }
    }

    /// The source's bytes from where the run is.
    async fn source(&self) -> Result<Coalesce<Lower<Box<dyn Producer>>>, Broken> {
        let source = self.object.fetch(self.at, self.run.end).await.map_err(Broken::Source)?;
        Ok(source.lower(self.object.store.disk()).coalesce(WRITTEN_BYTES))
    }

    /// True where the source has not said that there is no more of this version, and somebody waits for it.
    fn may_go_on(&mut self, error: &Error) -> bool {
        let is_a_break = matches!(
            error.kind(),
            ErrorKind::Truncated | ErrorKind::Unavailable | ErrorKind::TimedOut | ErrorKind::Internal
        );
        let tries = match self.resumed {
            Some((at, tries)) if at == self.at => tries,
            _ => 0,
        };
        self.resumed = Some((self.at, tries + 1));
        is_a_break
            && tries < RESUMPTIONS
            && self.object.is_resumable()
            && self.run.readers.load(Ordering::Acquire) > 0
    }

    async fn take(&mut self, bytes: Bytes) -> Result<(), Broken> {
        let len = bytes.len();
        self.expect_room(len).map_err(Broken::Store)?;
        self.expect_uncut().await?;
        self.write(bytes).await.map_err(Broken::Store)?;
        self.object.pace(len).await;
        Ok(())
    }

    /// What was written must still be there: what follows a hole would pass for a whole block.
    async fn expect_uncut(&self) -> Result<(), Broken> {
        let data = self.object.data().await.map_err(Broken::Store)?;
        if self.at > self.run.start && data.len().unwrap_or(0) < self.at {
            let detail = "its file in the cache was cut while it was fetched: open it anew";
            return Err(Broken::Source(
                failure(ErrorKind::Changed).with_detail(detail).with_retry(Retry::Now),
            ));
        }
        Ok(())
    }

    /// What would never fit is not begun with.
    fn expect_room(&self, more: usize) -> Result<()> {
        let len = self.object.progress().0.unwrap_or(self.at + more as u64);
        if self.object.store.has_room(len) {
            return Ok(());
        }
        let detail = format!("there is no room for a file of {len} bytes");
        Err(Error::new(ErrorKind::StorageFull, "write_at", &VPath::root()).with_detail(detail))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let data = self.object.data().await?.file().clone();
        let (at, written, digest) = (self.at, bytes.clone(), self.digest.take());
        let write = move || {
            let digest = digest.map(|digest| digest.chain_update(&written));
            (write_all(&data, at, &written), digest)
        };
        let (done, digest) = self.object.store.disk().run("write_at", write).await?;
        self.digest = digest;
        done.map_err(|error| Error::from_io(error, "write_at", &VPath::root()))?;
        let blocks = self.sum_up(&bytes);
        if self.object.wrote(self.run, &blocks, self.at) {
            self.object.save().await?;
        }
        Ok(())
    }

    /// Adds `bytes` to the sums; returns the blocks that are whole with them.
    fn sum_up(&mut self, mut bytes: &[u8]) -> Vec<(u64, u32)> {
        let mut whole = Vec::new();
        while !bytes.is_empty() {
            let left = BLOCK_BYTES - self.at % BLOCK_BYTES;
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let (block, rest) = bytes.split_at(len);
            self.sum.update(block);
            self.at += len as u64;
            if len as u64 == left {
                whole.push((self.at / BLOCK_BYTES - 1, std::mem::take(&mut self.sum).finalize()));
            }
            bytes = rest;
        }
        whole
    }

    /// The source has no more: that must be the end of the file, or of what was asked for.
    fn expect_all(&self) -> Result<()> {
        let (len, _) = self.object.progress();
        let goal = match (self.run.end, len) {
            (Some(end), Some(len)) => Some(end.min(len)),
            (end, len) => end.or(len),
        };
        match goal.filter(|goal| *goal != self.at) {
            Some(goal) => {
                let detail = format!("the source's bytes end at {}, {goal} were promised", self.at);
                Err(failure(ErrorKind::Truncated).with_detail(detail))
            }
            None => Ok(()),
        }
    }

    /// Closes the file where this is its end, and sees that it sums to what it must.
    fn end(&mut self) -> Result<()> {
        if self.object.progress().0.is_some_and(|len| self.at != len) {
            return Ok(());
        }
        let last = (!self.at.is_multiple_of(BLOCK_BYTES)).then(|| std::mem::take(&mut self.sum).finalize());
        self.object.ended(self.at, last);
        let digest = self.digest.take().map(|digest| digest.finalize().into());
        if digest.is_none_or(|digest| self.object.unseal(digest)) {
            return Ok(());
        }
        let detail = "its bytes are not what the set that it belongs to says: the source is being changed, or damaged; \
                      try again later";
        Err(failure(ErrorKind::Unavailable).with_detail(detail).with_retry(Retry::After(RETRY)))
    }
}

/// A run that nobody waits for is finished where half of the file is there, or little is missing.
fn is_worth_finishing((len, present): (Option<u64>, u64)) -> bool {
    len.is_some_and(|len| present >= len / 2 || len - present.min(len) <= FINISHED_BYTES)
}

fn write_all(data: &SpanFile, mut at: u64, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(data, bytes, at))?;
        if written == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        at += written as u64;
        bytes = &bytes[written..];
    }
    Ok(())
}

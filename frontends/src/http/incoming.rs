//! [`Incoming`]: a request's body as it comes, and [`fill`], which puts one into a file.

use std::future::poll_fn;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::{Instant, sleep_until, timeout};
use vfs::File;
use vfs::producer::Rate;

use super::command::Refusal;
use super::session::Failure;

/// How long a body is waited for before it has to be as fast as the slowest that is taken.
const GRACE: Duration = Duration::from_secs(10);

/// By what a body's end is told from its breaking off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// By its framing: hyper says where that breaks off.
    Framing,
    /// By END_STREAM. For hyper a stream that its peer resets with NO_ERROR ends as well, which is right for an answer
    /// (RFC 9113 §8.1) and wrong for an upload.
    Stream,
}

/// How long a body is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// At most, for its next bytes.
    pub(super) stall: Duration,
    /// Bytes a second of the slowest that is taken; `None`: any.
    pub(super) slowest: Option<NonZeroU64>,
}

/// Bytes that are written at once, at least, unless the body ends.
const PIECE_BYTES: usize = 256 * 1024;

/// A request's body. Nothing of it is asked for before it is wanted, so a client that waits for `100 Continue` hears that
/// then, or a refusal before it sends anything (RFC 9110 §10.1.1).
pub(super) struct Incoming<B> {
    body: B,
    ends: Ends,
    /// How much may still come.
    room: u64,
    limit: u64,
    rate: Option<Rate>,
    /// When all that came is paid for.
    paid: Option<Instant>,
    patience: Patience,
    /// How long it is still waited for. Waiting takes from it, and what comes gives back what it may take to come.
    left: Duration,
}

impl<B> Incoming<B>
where
    B: http_body::Body + Unpin,
{
    /// A body of at most `limit` bytes.
    pub(super) fn new(body: B, ends: Ends, limit: Option<u64>, patience: Patience) -> Self {
        let limit = limit.unwrap_or(u64::MAX);
        let left = if patience.slowest.is_some() { patience.stall.min(GRACE) } else { patience.stall };
        Self { body, ends, room: limit, limit, rate: None, paid: None, patience, left }
    }

    /// What comes is paid for at `rate` before more is taken. Default: none.
    pub(super) fn pay(&mut self, rate: Option<Rate>) {
        self.rate = rate;
    }

    /// The next bytes, never none; `None` at the end, when it is whole.
    ///
    /// # Errors
    /// What the client did wrong.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        if let Some(paid) = self.paid.take() {
            sleep_until(paid).await;
        }
        loop {
            let begun = Instant::now();
            let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
            let frame = timeout(self.left, frame).await;
            self.left = self.left.saturating_sub(begun.elapsed());
            let frame = match frame {
                Err(_) => return Err(Refusal::BodyStalled),
                Ok(None) if self.ends == Ends::Stream && !self.body.is_end_stream() => {
                    return Err(Refusal::BodyBroke);
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Refusal::BodyBroke),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(mut data) = frame.into_data() else { continue };
            let count = data.remaining();
            self.left = self.patience.after(self.left, count);
            self.room = self.room.checked_sub(count as u64).ok_or(Refusal::TooLong(self.limit))?;
            if count > 0 {
                self.paid = self.rate.as_ref().map(|rate| rate.charge(count));
                return Ok(Some(data.copy_to_bytes(count)));
            }
        }
    }

    /// What is left of it.
    pub(super) fn into_rest(self) -> B {
        self.body
    }
}

impl Patience {
    /// How long more is waited for, where it was `left` before `count` bytes came.
    fn after(self, left: Duration, count: usize) -> Duration {
        let earned = match self.slowest {
            Some(slowest) => Duration::from_nanos((count as u64).saturating_mul(1_000_000_000) / slowest),
            None if count > 0 => self.stall,
            None => Duration::ZERO,
        };
        left.saturating_add(earned).min(self.stall)
    }
}

/// Pieces that go into a file one after another, put together so that a slow client costs few writes.
pub(super) struct Filling {
    file: Arc<dyn File>,
    offset: u64,
    held: BytesMut,
}

impl Filling {
    /// Into `file` from `offset` on.
    pub(super) fn new(file: Arc<dyn File>, offset: u64) -> Self {
        Self { file, offset, held: BytesMut::new() }
    }

    /// Takes more in.
    pub(super) async fn add(&mut self, bytes: Bytes) -> vfs::Result<()> {
        if self.held.is_empty() && bytes.len() >= PIECE_BYTES {
            return self.write(bytes).await;
        }
        self.held.extend_from_slice(&bytes);
        if self.held.len() >= PIECE_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Writes what is held; gives the offset behind it.
    pub(super) async fn end(mut self) -> vfs::Result<u64> {
        self.flush().await?;
        Ok(self.offset)
    }

    async fn flush(&mut self) -> vfs::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let held = self.held.split().freeze();
        self.write(held).await
    }

    async fn write(&mut self, bytes: Bytes) -> vfs::Result<()> {
        let count = bytes.len() as u64;
        self.file.write_at(self.offset, bytes).await?;
        self.offset += count;
        Ok(())
    }
}

/// Puts all of `body` into `file` from `offset` on; gives the offset behind it.
pub(super) async fn fill<B>(file: &Arc<dyn File>, offset: u64, body: &mut Incoming<B>) -> Result<u64, Failure>
where
    B: http_body::Body + Unpin,
{
    let mut filling = Filling::new(Arc::clone(file), offset);
    while let Some(bytes) = body.next().await? {
        filling.add(bytes).await?;
    }
    Ok(filling.end().await?)
}

//! [`Transfer`]: the bytes of a remote file from some offset on, fetched a little ahead of their reader.
//!
//! A task hands the site's connections pieces of work that pull into a channel of two chunks. It goes on after a break in
//! the same version of the file, it gives the connection back where a slow reader keeps others waiting, and it ends when
//! the transfer is dropped.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::listing::Facts;
use super::pump::Pump;
use super::site::Site;
use crate::error::Result;
use crate::options::ByteRange;
use crate::producer::{Capacity, Channel, Chunk, Hint, Producer, channel};

/// What is fetched ahead of the reader.
const AHEAD: Capacity = Capacity { chunks: 2, bytes: 1 << 20 };

/// One version of a remote file.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) site: Arc<Site>,
    /// Its path on the wire.
    pub(super) path: Vec<u8>,
    pub(super) facts: Facts,
}

impl Source {
    /// The end of the range or of the file, whichever comes first and as far as it is known.
    pub(super) fn goal(&self, range: ByteRange) -> Option<u64> {
        [range.end, self.facts.len].into_iter().flatten().min()
    }
}

/// A running transfer; see the module.
pub(super) struct Transfer {
    channel: Channel,
    /// Bytes until the end, where it is known.
    left: Option<u64>,
    /// Its drop tells the task that nobody reads.
    _reader: oneshot::Sender<Infallible>,
}

impl Transfer {
    /// Starts fetching `range`. `is_fresh`: the facts were told just now.
    pub(super) fn start(source: &Arc<Source>, range: ByteRange, is_fresh: bool) -> Self {
        let (output, channel) = channel(AHEAD);
        let (reader, gone) = oneshot::channel();
        let left = source.goal(range).map(|goal| goal.saturating_sub(range.start));
        let pump = Pump::new(source, output, gone, range, is_fresh);
        tokio::spawn(pump.run(range.end));
        Self { channel, left, _reader: reader }
    }
}

impl Producer for Transfer {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let chunk = ready!(self.channel.poll_more(cx));
        self.left = match &chunk {
            Some(Ok(chunk)) => self.left.map(|left| left.saturating_sub(chunk.len() as u64)),
            _ => Some(0),
        };
        Poll::Ready(chunk)
    }

    fn hint(&self) -> Hint {
        Hint { remaining: self.left, ..self.channel.hint() }
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer").field("left", &self.left).finish_non_exhaustive()
    }
}

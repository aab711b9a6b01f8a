//! Producers: small, composable sources of bytes that expand only when their consumer has room.
//!
//! A consumer pulls with [`Producer::poll_more`]; nothing is made before it asks. Work happens inside a poll only.
//! A producer that is not ready says `Pending` and wakes the consumer later; [`Peeked::ready`] waits for that moment
//! without taking anything.
//!
//! - Sources: [`once`], [`lines`], [`buffers`], [`file()`], [`channel`], [`chain`], [`of`] for any open file, and
//!   [`pack`] for a whole folder.
//! - Adaptors: the methods of [`ProducerExt`]. Each is a producer again, and keeps its source's promises.
//!
//! A producer of one's own is a struct and two methods. This one measures a voltage, and is `Pending` until there is
//! one; `ready` lets its consumer do something else meanwhile:
//!
//! ```
//! use std::task::{Context, Poll, ready};
//!
//! use tokio::sync::mpsc::{Receiver, channel};
//! use vfs::Result;
//! use vfs::producer::{Chunk, Hint, Producer, ProducerExt};
//!
//! struct Readings(Receiver<f64>);
//!
//! impl Producer for Readings {
//!     fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
//!         let volts = ready!(self.0.poll_recv(cx));
//!         Poll::Ready(volts.map(|volts| Ok(format!("{volts:.1} V\n").into())))
//!     }
//!
//!     fn hint(&self) -> Hint {
//!         Hint::UNKNOWN
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (probe, readings) = channel(8);
//! let mut log = Readings(readings).coalesce(64).peeked();
//!
//! tokio::select! {
//!     biased;
//!     () = log.ready() => unreachable!("nothing is measured yet"),
//!     sent = probe.send(4.98) => sent.unwrap(),
//! }
//! log.ready().await; // Resolves on a chunk, an error or the end, and takes nothing.
//! let Some(Ok(Chunk::Bytes(line))) = log.more().await else { panic!("it was ready") };
//! assert_eq!(line, "5.0 V\n");
//! drop(probe);
//! assert!(log.more().await.is_none());
//! # }
//! ```

mod buffers;
mod chain;
mod channel;
mod chunked;
mod coalesce;
mod compress;
mod digest;
mod escape;
mod exact_length;
mod ext;
mod file;
mod job;
mod lower;
mod map_err;
mod on_end;
mod pack;
mod peek;
mod range;
mod source;
mod span;
mod stall_timeout;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod throttle;

use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;

pub use self::buffers::{Buffers, Lines, Once, buffers, lines, once};
pub use self::chain::{Chain, chain};
pub use self::channel::{Capacity, Channel, Output, channel};
pub use self::chunked::Chunked;
pub use self::coalesce::Coalesce;
pub use self::compress::{Coding, Compress};
pub use self::digest::{Algorithm, digest};
pub use self::escape::Escape;
pub use self::exact_length::ExactLength;
pub use self::ext::ProducerExt;
pub use self::file::{FileRegion, file};
pub use self::lower::Lower;
pub use self::map_err::MapErr;
pub use self::on_end::{Ended, OnEnd, Outcome};
pub use self::pack::{Pack, PackFormat, Packing, pack};
pub use self::peek::Peeked;
pub use self::range::Range;
pub use self::source::of;
pub use self::span::{FileSpan, SpanFile};
pub use self::stall_timeout::StallTimeout;
pub use self::throttle::{Rate, Throttle};
use crate::error::{Error, ErrorKind, Result};
use crate::path::VPath;

/// A source of chunks.
pub trait Producer: Send {
    /// Polls for the next chunk. Never blocks: where nothing is at hand it registers the waker (replacing the last
    /// one) and is `Pending`. After an error or the end it gives `None`.
    ///
    /// Asking for the chunk after a span means that the span has left: its consumer needs the file no more.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>>;

    /// What is known without doing anything.
    fn hint(&self) -> Hint;
}

/// A piece of content, never empty.
#[derive(Clone)]
pub enum Chunk {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes still in a file: they are read only where they must be.
    Span(FileSpan),
}

/// What a producer knows about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Whether the next poll has something.
    pub readiness: Readiness,
    /// Bytes left until the end, where that is known.
    pub remaining: Option<u64>,
}

/// Whether the next poll has something. Advice: nobody waits on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The next poll is not `Pending`.
    Now,
    /// The next poll is `Pending`, as things stand.
    Later,
    /// Only a poll can tell.
    Unknown,
}

impl<P: Producer + ?Sized> Producer for Box<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        (**self).poll_more(cx)
    }

    fn hint(&self) -> Hint {
        (**self).hint()
    }
}

impl Chunk {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Span(span) => span.len(),
        }
    }

    /// True for a chunk that should not have been made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the first `count` bytes off, or all.
    #[must_use]
    pub fn split_to(&mut self, count: usize) -> Self {
        let count = count.min(self.len());
        match self {
            Self::Bytes(bytes) => Self::Bytes(bytes.split_to(count)),
            Self::Span(span) => Self::Span(span.split_to(count)),
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Span(span) => write!(f, "Span({} at {})", span.len(), span.offset()),
        }
    }
}

impl<B: Into<Bytes>> From<B> for Chunk {
    fn from(bytes: B) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl Hint {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { readiness: Readiness::Unknown, remaining: None };

    /// At its end.
    pub const END: Self = Self { readiness: Readiness::Now, remaining: Some(0) };
}

/// A producer does not know its path: the namespace adds it on the way up.
fn failure(kind: ErrorKind, op: &'static str) -> Error {
    Error::new(kind, op, &VPath::root())
}

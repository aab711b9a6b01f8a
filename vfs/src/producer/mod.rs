//! Producers: small, composable sources of bytes that expand only when their consumer has room.
//!
//! A consumer pulls with [`Producer::poll_more`]; nothing is made before it asks. Work happens inside a poll only.
//! A producer that is not ready says `Pending` and wakes the consumer later; [`Peeked::ready`] waits for that moment
//! without taking anything.

mod peek;
mod source;
mod span;

use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;

pub use self::peek::Peeked;
pub use self::source::of;
pub use self::span::{FileSpan, SpanFile};
use crate::error::Result;

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

/// What every producer can do; `more().await` and the like live on [`Peeked`].
pub trait ProducerExt: Producer + Sized {
    /// Adds the slot that [`Peeked::ready`] keeps a chunk in.
    fn peeked(self) -> Peeked<Self> {
        Peeked::new(self)
    }
}

impl<P: Producer> ProducerExt for P {}

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

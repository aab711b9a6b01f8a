//! [`Proven`]: a member's bytes that end well only where the archive's checksums do not speak against them.
//!
//! A checksum stands behind what it is of, in gzip behind all of the archive. So members are served before anybody knows,
//! and what is found out later is told at the end of each: its last byte stays away, and an error comes in its place.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::fs::Archive;
use crate::error::{Error, Result};
use crate::producer::{Chunk, Hint, Producer, Readiness};

/// What `inner` gives, and a last look at what is known of the archive.
pub(super) struct Proven {
    inner: Box<dyn Producer>,
    archive: Arc<Archive>,
    /// Where the bytes end in the archive's content.
    end: u64,
    last: Last,
}

/// How far the last bytes are.
enum Last {
    Ahead,
    /// Held back until it is known what to think of them.
    Held(Bytes, Judging),
    /// All but one are out.
    Refused(Error),
    Out,
}

type Judging = Pin<Box<dyn Future<Output = Option<Error>> + Send>>;

impl Proven {
    /// The bytes of `inner`, which end at `end` of the content of `archive`.
    pub(super) fn new(inner: Box<dyn Producer>, archive: Arc<Archive>, end: u64) -> Self {
        Self { inner, archive, end, last: Last::Ahead }
    }

    fn hold(&mut self, bytes: Bytes) {
        let (archive, end) = (Arc::clone(&self.archive), self.end);
        self.last = Last::Held(bytes, Box::pin(async move { archive.doubt(end).await }));
    }
}

impl Producer for Proven {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        loop {
            match &mut self.last {
                Last::Ahead => match ready!(self.inner.poll_more(cx)) {
                    Some(Ok(Chunk::Bytes(bytes))) if self.inner.hint().remaining == Some(0) => {
                        self.hold(bytes);
                    }
                    more => return Poll::Ready(more),
                },
                Last::Held(bytes, judging) => {
                    let doubt = ready!(judging.as_mut().poll(cx));
                    let (given, last) = without_last(std::mem::take(bytes), doubt);
                    self.last = last;
                    if !given.is_empty() {
                        return Poll::Ready(Some(Ok(given.into())));
                    }
                }
                Last::Refused(error) => {
                    let error = error.clone();
                    self.last = Last::Out;
                    return Poll::Ready(Some(Err(error)));
                }
                Last::Out => return Poll::Ready(None),
            }
        }
    }

    fn hint(&self) -> Hint {
        match &self.last {
            Last::Ahead => self.inner.hint(),
            Last::Held(bytes, _) => {
                Hint { readiness: Readiness::Unknown, remaining: Some(bytes.len() as u64) }
            }
            Last::Refused(_) => Hint { readiness: Readiness::Now, remaining: Some(1) },
            Last::Out => Hint::END,
        }
    }
}

/// The last bytes, or all but one of them and what comes instead.
fn without_last(bytes: Bytes, doubt: Option<Error>) -> (Bytes, Last) {
    match doubt {
        None => (bytes, Last::Out),
        Some(error) => (bytes.slice(..bytes.len() - 1), Last::Refused(error)),
    }
}

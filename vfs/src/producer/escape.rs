//! [`Escape`]: one byte string stands for another, across the borders of chunks.

use std::fmt;
use std::mem;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use super::{Chunk, Hint, Lower, Producer, Readiness};
use crate::error::{Error, Result};
use crate::jobs::Disk;

/// What is searched in one poll at most.
const ESCAPE_BYTES: usize = 64 * 1024;

/// Replaces each occurrence of a byte string by another, from left to right, also where chunk borders cut it: `\n` →
/// `\r\n` for the text mode of FTP, `\r\n.` → `\r\n..` for dot-stuffing. What is put in is not searched again. An empty
/// string is found nowhere. Spans are read, as [`Lower`] does. It keeps back less than the searched string; before an
/// error that comes out too.
pub struct Escape<P> {
    inner: Lower<P>,
    from: Bytes,
    to: Bytes,
    /// Not searched yet.
    rest: Bytes,
    /// The end of what was searched, where it may be the beginning of an occurrence.
    tail: Bytes,
    /// How the source ended, for after the tail; an error is given once.
    end: Option<Option<Error>>,
}

impl<P: Producer> Escape<P> {
    pub(super) fn new(inner: P, from: Bytes, to: Bytes, disk: &Disk) -> Self {
        let inner = Lower::new(inner, disk.clone());
        Self { inner, from, to, rest: Bytes::new(), tail: Bytes::new(), end: None }
    }

    /// Searches a piece of the rest. What comes out may be empty.
    fn escape_piece(&mut self) -> Bytes {
        let piece = self.rest.split_to(self.rest.len().min(ESCAPE_BYTES));
        let mut text = if self.tail.is_empty() { piece } else { [&self.tail[..], &piece].concat().into() };
        let mut escaped = BytesMut::new();
        while let Some(at) = find(&text, &self.from) {
            escaped.extend_from_slice(&text.split_to(at));
            escaped.extend_from_slice(&self.to);
            let _ = text.split_to(self.from.len());
        }
        self.tail = text.split_off(text.len() - beginning_at_end(&text, &self.from));
        if escaped.is_empty() {
            return text;
        }
        escaped.extend_from_slice(&text);
        escaped.freeze()
    }
}

impl<P: Producer> Producer for Escape<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        loop {
            if let Some(end) = &mut self.end {
                // What was kept back is no occurrence now.
                let tail = mem::take(&mut self.tail);
                let item = if tail.is_empty() { end.take().map(Err) } else { Some(Ok(tail.into())) };
                return Poll::Ready(item);
            }
            if !self.rest.is_empty() {
                let escaped = self.escape_piece();
                if !escaped.is_empty() {
                    return Poll::Ready(Some(Ok(escaped.into())));
                }
            }
            if self.rest.is_empty() {
                match ready!(self.inner.poll_bytes(cx)) {
                    Some(Ok(bytes)) => self.rest = bytes,
                    Some(Err(error)) => self.end = Some(Some(error)),
                    None => self.end = Some(None),
                }
            }
        }
    }

    fn hint(&self) -> Hint {
        match &self.end {
            Some(None) => Hint { readiness: Readiness::Now, remaining: Some(self.tail.len() as u64) },
            Some(Some(_)) => Hint { readiness: Readiness::Now, remaining: None },
            // What comes may all be kept back.
            None => Hint::UNKNOWN,
        }
    }
}

/// Where `wanted` occurs first.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let mut from = 0;
    loop {
        let at = from + text[from..].iter().position(|byte| byte == first)?;
        if text[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The length of the longest end of `text` that `wanted` begins with, `wanted` itself excepted.
fn beginning_at_end(text: &[u8], wanted: &[u8]) -> usize {
    let longest = wanted.len().saturating_sub(1).min(text.len());
    (1..=longest).rev().find(|len| text.ends_with(&wanted[..*len])).unwrap_or(0)
}

impl<P> fmt::Debug for Escape<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Escape").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CONTENT, Script, Step, drain, keeps_the_contract, warm_file};
    use super::super::{FileSpan, ProducerExt};
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn keeps_the_contract_of_its_source() {
        keeps_the_contract(|source| source.escape("345", "-", &Disk::new())).await;
        keeps_the_contract(|source| source.escape("9x", "-", &Disk::new())).await;
    }

    #[tokio::test]
    async fn occurrences_are_replaced_wherever_the_borders_fall() {
        for (from, to, text, escaped) in [
            ("\n", "\r\n", "a\nb\n\nc", "a\r\nb\r\n\r\nc"),
            ("\r\n.", "\r\n..", "a\r\n.\r\n.b\r\n\r.", "a\r\n..\r\n..b\r\n\r."),
            ("aab", "x", "aaaabaab", "aaxx"),
            ("aa", "a", "aaaaa", "aaa"),
            ("ab", "", "abab", ""),
            ("abab", "x", "ababab", "xab"),
            ("", "x", "abc", "abc"),
        ] {
            for size in 1..=text.len() {
                let source = Script::of(text.as_bytes().chunks(size));
                let drained = drain(source.escape(from, to, &Disk::new())).await;
                assert_eq!(String::from_utf8(drained.bytes).unwrap(), escaped, "{text:?} by {size}");
            }
        }
    }

    #[tokio::test]
    async fn the_tail_comes_out_before_an_error() {
        let (source, _) = Script::new([Step::Chunk("a\r\n".into()), Step::Fail(ErrorKind::Busy)]);
        let drained = drain(source.escape("\r\n.", "\r\n..", &Disk::new())).await;
        assert_eq!((drained.kind(), drained.bytes), (Some(ErrorKind::Busy), b"a\r\n".to_vec()));
    }

    #[tokio::test]
    async fn large_chunks_and_spans_are_searched_in_pieces() {
        let text = b"0123456\n".repeat(ESCAPE_BYTES / 4);
        let span = FileSpan::new(warm_file(&text), 0, text.len() as u64);
        for chunk in [Chunk::from(text.clone()), Chunk::Span(span)] {
            let drained = drain(Script::of([chunk]).escape("\n", "\r\n", &Disk::new())).await;
            assert!(drained.bytes == b"0123456\r\n".repeat(ESCAPE_BYTES / 4));
            assert!(drained.lengths.iter().all(|len| *len <= ESCAPE_BYTES * 9 / 8));
        }
        assert_eq!(drain(Script::of([CONTENT]).escape("x", "y", &Disk::new())).await.bytes, CONTENT);
    }
}

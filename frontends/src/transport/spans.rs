//! Spans of files on their way through a library that knows only bytes.
//!
//! Such a library is given [`Piece`]s. One of a span looks to it like a buffer as long as the span, of which a single byte
//! is at hand: its mark. When the library passes the mark on to the socket, among other slices, [`SpanIo`](super::SpanIo)
//! knows it by its address, sends the file's bytes with `sendfile(2)` and tells how many have left; the library takes that
//! off its buffers. So nothing is read and nothing is mapped on the way.
//!
//! A mark is no byte of the file. A library that copied it, instead of passing it on, would send it in the file's place:
//! so a piece lets itself be taken off by what has left through `sendfile(2)`, and panics where more is taken. Its
//! connection breaks off then, before a wrong byte is sent.

use std::fmt;
use std::io::IoSlice;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use vfs::producer::FileSpan;

/// The spans that are on their way through one connection. Clones share them.
#[derive(Clone, Default)]
pub struct Spans(Arc<Mutex<Vec<Travelling>>>);

/// A span that is on its way.
struct Travelling {
    /// Where its mark lies.
    mark: usize,
    /// What of it has not left.
    rest: FileSpan,
    /// What has left and was not taken off its piece.
    left: usize,
}

/// Bytes, or a span that stands for them.
#[derive(Debug)]
pub enum Piece {
    /// Bytes.
    Bytes(Bytes),
    /// A span: for the [`SpanIo`](super::SpanIo) of its connection and nobody else.
    Span(SpanPiece),
}

/// A span as a buffer. Dropping it takes it off its way.
pub struct SpanPiece {
    /// It lies where nothing else does, for as long as this lives.
    mark: Box<u8>,
    remaining: usize,
    spans: Spans,
}

impl Spans {
    /// Sends `span` on its way.
    pub fn send(&self, span: FileSpan) -> Piece {
        let mark = Box::new(0);
        let remaining = span.len();
        self.lock().push(Travelling { mark: address(&mark), rest: span, left: 0 });
        Piece::Span(SpanPiece { mark, remaining, spans: self.clone() })
    }

    /// The first of `slices` that is a mark, and what is to be sent for it; `None` where all are ordinary bytes.
    pub(super) fn first(&self, slices: &[IoSlice<'_>]) -> Option<(usize, FileSpan)> {
        let travelling = self.lock();
        if travelling.is_empty() {
            return None;
        }
        let of = |slice: &&[u8]| travelling.iter().find(|span| span.is_marked_by(slice));
        let slices = slices.iter().map(|slice| &**slice).enumerate();
        slices.filter_map(|(at, slice)| Some((at, of(&slice)?.rest.clone()))).next()
    }

    /// So many bytes of the span behind this mark have left.
    pub(super) fn left(&self, mark: &[u8], count: usize) {
        if let Some(span) = self.lock().iter_mut().find(|span| span.is_marked_by(mark)) {
            span.rest.advance(count);
            span.left += count;
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Travelling>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Travelling {
    fn is_marked_by(&self, slice: &[u8]) -> bool {
        slice.as_ptr().addr() == self.mark && !slice.is_empty()
    }
}

impl Buf for SpanPiece {
    fn remaining(&self) -> usize {
        self.remaining
    }

    /// The mark.
    fn chunk(&self) -> &[u8] {
        if self.remaining == 0 { &[] } else { slice::from_ref(&*self.mark) }
    }

    /// # Panics
    /// Where less has left through `sendfile(2)`.
    fn advance(&mut self, count: usize) {
        let mut travelling = self.spans.lock();
        let mark = address(&self.mark);
        let left = travelling.iter_mut().find(|span| span.mark == mark).map(|span| &mut span.left);
        let taken = left.and_then(|left| left.checked_sub(count).map(|rest| *left = rest));
        drop(travelling);
        assert!(taken.is_some(), "a span was to be sent, and its mark was copied");
        self.remaining -= count;
    }
}

impl Drop for SpanPiece {
    fn drop(&mut self) {
        let mark = address(&self.mark);
        self.spans.lock().retain(|span| span.mark != mark);
    }
}

fn address(mark: &u8) -> usize {
    std::ptr::from_ref(mark).addr()
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.remaining(),
            Self::Span(span) => span.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.chunk(),
            Self::Span(span) => span.chunk(),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Span(span) => span.advance(count),
        }
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spans({})", self.len())
    }
}

impl fmt::Debug for SpanPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanPiece").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use vfs::producer::SpanFile;

    use super::*;

    fn span(content: &[u8]) -> FileSpan {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        FileSpan::new(SpanFile::new(file), 0, content.len() as u64)
    }

    #[test]
    fn a_piece_is_as_long_as_its_span_and_known_by_its_mark() {
        let spans = Spans::default();
        let (one, other) = (spans.send(span(b"0123456789")), spans.send(span(b"abc")));
        assert_eq!((one.remaining(), one.chunk().len(), other.remaining(), spans.len()), (10, 1, 3, 2));
        let slices = [IoSlice::new(b"head"), IoSlice::new(other.chunk()), IoSlice::new(one.chunk())];
        let (at, found) = spans.first(&slices).unwrap();
        assert_eq!((at, found.len()), (1, 3));
        assert!(spans.first(&slices[..1]).is_none() && Spans::default().first(&slices).is_none());
        drop((one, other));
        assert!(spans.is_empty());
    }

    #[test]
    fn what_has_left_is_taken_off() {
        let spans = Spans::default();
        let mut piece = spans.send(span(b"0123456789"));
        for (count, offset) in [(4, 4), (5, 9), (1, 10)] {
            spans.left(piece.chunk(), count);
            piece.advance(count);
            let rest = spans.first(&[IoSlice::new(piece.chunk())]).map_or(10, |(_, rest)| rest.offset());
            assert_eq!((piece.remaining(), rest), (10 - offset as usize, offset));
        }
        assert!(piece.chunk().is_empty());
    }

    #[test]
    #[should_panic(expected = "its mark was copied")]
    fn who_copies_the_mark_gets_no_further() {
        let spans = Spans::default();
        let mut piece = spans.send(span(b"0123456789"));
        spans.left(piece.chunk(), 4);
        piece.copy_to_bytes(5);
    }
}

//! [`Body`]: a producer as hyper pulls it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Frame, SizeHint};
use vfs::producer::{Chunk, FileSpan, Producer, ProducerExt, chain, once};
use vfs::{Error, ErrorKind, VPath};

use super::access::Record;
use crate::transport::{Piece, Spans};

/// Content up to this length leaves in one write with its head; sending it by a call of its own would cost more than
/// reading it.
const SMALL_BYTES: u64 = 32 * 1024;

/// What follows an answer's head. It asks its producer for a chunk when hyper has room for one, which is when less than
/// 64 KiB of the chunks before are left to be written. It ends with an error, never as if it were whole, where the
/// producer gives less than was promised.
pub(super) struct Body {
    producer: Option<Box<dyn Producer>>,
    /// What was promised and not given yet; `None` where no length was.
    remaining: Option<u64>,
    /// The way for spans that leave by `sendfile(2)`, where there is one.
    spans: Option<Spans>,
    /// Why it ends early, until hyper has been left the time to write what came before: it drops that with an error.
    failed: Option<Error>,
    record: Record,
}

impl Body {
    /// A body without content.
    pub(super) fn empty(mut record: Record) -> Self {
        record.complete();
        Self { producer: None, remaining: Some(0), spans: None, failed: None, record }
    }

    /// A body of what `producer` makes: `len` bytes, where that is known. Where the connection sends spans, and the body
    /// is more than small, they stay spans; else they are read.
    pub(super) fn new(producer: Box<dyn Producer>, len: Option<u64>, mut record: Record) -> Self {
        if len == Some(0) {
            record.complete();
        }
        let sends = len.is_none_or(|len| len > SMALL_BYTES);
        let spans = record.service().spans.clone().filter(|_| sends);
        Self { producer: Some(producer), remaining: len, spans, failed: None, record }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<Piece>>> {
        loop {
            let Some(producer) = &mut self.producer else { return Poll::Ready(None) };
            let piece = match (ready!(producer.poll_more(cx)).transpose()?, &self.spans) {
                (Some(Chunk::Bytes(mut bytes)), _) => {
                    bytes.truncate(self.count(bytes.len()));
                    Piece::Bytes(bytes)
                }
                (Some(Chunk::Span(mut span)), Some(spans)) => {
                    let spans = spans.clone();
                    spans.send(span.split_to(self.count(span.len())))
                }
                (Some(Chunk::Span(span)), None) => {
                    self.read_from(span);
                    continue;
                }
                (None, _) => return Poll::Ready(self.at_end().map(Err)),
            };
            return Poll::Ready(Some(Ok(piece)));
        }
    }

    /// From this span on, spans are read into buffers.
    fn read_from(&mut self, span: FileSpan) {
        let disk = &self.record.service().disk;
        self.producer = self.producer.take().map(|rest| -> Box<dyn Producer> {
            Box::new(chain([Box::new(once(Chunk::Span(span))) as Box<dyn Producer>, rest]).lower(disk))
        });
    }

    /// Counts that `len` bytes are given, or as many as were promised, where these are fewer; says how many.
    fn count(&mut self, len: usize) -> usize {
        let mut given = len;
        if let Some(remaining) = &mut self.remaining {
            given = given.min(usize::try_from(*remaining).unwrap_or(usize::MAX));
            *remaining -= given as u64;
        }
        self.record.gave(given as u64);
        if self.remaining == Some(0) {
            self.record.complete();
        }
        given
    }

    /// What the end of the producer means.
    fn at_end(&mut self) -> Option<Error> {
        self.producer = None;
        match self.remaining {
            None | Some(0) => {
                self.record.complete();
                None
            }
            Some(missing) => {
                let detail = format!("{missing} bytes are missing at the end");
                Some(Error::new(ErrorKind::Truncated, "read", &VPath::root()).with_detail(detail))
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Piece;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Error>>> {
        self.record.asked();
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(self.poll_piece(cx)) {
            Some(Ok(piece)) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            Some(Err(error)) => {
                self.producer = None;
                self.record.failed(&error);
                self.failed = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        (self.producer.is_none() && self.failed.is_none()) || self.remaining == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

//! [`Body`]: a producer as hyper pulls it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use vfs::jobs::Disk;
use vfs::producer::{Chunk, FileSpan, Producer, ProducerExt, SpanFile, chain, once};
use vfs::{Error, ErrorKind, VPath};

use super::access::Record;
use super::ration::{Ration, Share, Waiting};
use crate::transport::Mappings;

/// Content up to this length leaves in one write with its head; mapping it would cost more than reading it.
const SMALL_BYTES: u64 = 32 * 1024;

/// What follows an answer's head. It asks its producer for a chunk when hyper has room for one, which is when less than
/// 64 KiB of the chunks before are left to be written. It ends with an error, never as if it were whole, where the
/// producer gives less than was promised.
pub(super) struct Body {
    producer: Option<Box<dyn Producer>>,
    /// What was promised and not given yet; `None` where no length was.
    remaining: Option<u64>,
    /// Where spans can leave by `sendfile(2)`: the connection's table.
    mappings: Option<Mappings>,
    /// The piece of a file that was mapped last.
    view: Option<View>,
    /// For reading what can neither be mapped nor is in memory.
    disk: Disk,
    /// What chunks take a share of before they are made; `None` where the socket says when it has room.
    sharing: Option<Sharing>,
    /// Why it ends early, until hyper has been left the time to write what came before: it drops that with an error.
    failed: Option<Error>,
    record: Record,
}

/// What a body of a stream has in hand.
struct Sharing {
    ration: Arc<Ration>,
    /// How long a chunk may rest.
    rest: Duration,
    waiting: Option<Waiting>,
    /// For the next chunk.
    share: Option<Share>,
    /// What is left of a span.
    span: Option<FileSpan>,
    /// The piece of it that is being read.
    reading: Option<Box<dyn Producer>>,
}

/// A mapped piece of a file.
struct View {
    file: SpanFile,
    offset: u64,
    bytes: Bytes,
}

impl Body {
    /// A body without content.
    pub(super) fn empty(mut record: Record, disk: Disk) -> Self {
        record.complete();
        Self {
            producer: None,
            remaining: Some(0),
            mappings: None,
            view: None,
            disk,
            sharing: None,
            failed: None,
            record,
        }
    }

    /// A body of what `producer` makes: `len` bytes, where that is known. Spans become entries of `mappings` where it is
    /// given and the body is more than small; else they are read.
    pub(super) fn new(
        producer: Box<dyn Producer>,
        len: Option<u64>,
        mappings: Option<Mappings>,
        mut record: Record,
        disk: Disk,
    ) -> Self {
        if len == Some(0) {
            record.complete();
        }
        let mappings = mappings.filter(|_| len.is_none_or(|len| len > SMALL_BYTES));
        Self {
            producer: Some(producer),
            remaining: len,
            mappings,
            view: None,
            disk,
            sharing: None,
            failed: None,
            record,
        }
    }

    /// The same body, one of many on its connection: a chunk is made when `ration` has a share for it, and may `rest` that long.
    pub(super) fn sharing(self, ration: Arc<Ration>, rest: Duration) -> Self {
        let sharing = Sharing { ration, rest, waiting: None, share: None, span: None, reading: None };
        Self { sharing: Some(sharing), ..self }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<Bytes>>> {
        let Some(sharing) = &mut self.sharing else { return self.poll_bytes(cx) };
        let Some(producer) = &mut self.producer else { return Poll::Ready(None) };
        let Some(bytes) = ready!(sharing.poll_bytes(producer, &self.disk, cx)).transpose()? else {
            return Poll::Ready(self.at_end().map(Err));
        };
        let bytes = self.count(bytes);
        if let Some(sharing) = &self.sharing {
            sharing.ration.gave(bytes.len(), sharing.rest);
        }
        Poll::Ready(Some(Ok(bytes)))
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<Bytes>>> {
        loop {
            let Some(producer) = &mut self.producer else { return Poll::Ready(None) };
            let bytes = match ready!(producer.poll_more(cx)).transpose()? {
                Some(Chunk::Bytes(bytes)) => bytes,
                Some(Chunk::Span(span)) => match self.map(&span) {
                    Some(bytes) => bytes,
                    None => {
                        self.read_from(span);
                        continue;
                    }
                },
                None => return Poll::Ready(self.at_end().map(Err)),
            };
            return Poll::Ready(Some(Ok(self.count(bytes))));
        }
    }

    /// The span as bytes of a mapping: one mapping for all that is left of the body, slices of it.
    fn map(&mut self, span: &FileSpan) -> Option<Bytes> {
        let mappings = self.mappings.as_ref()?;
        if let Some(bytes) = self.view.as_ref().and_then(|view| view.slice(span)) {
            return Some(bytes);
        }
        let len = self.remaining.unwrap_or(0).max(span.len() as u64);
        let bytes = mappings.map(span.file(), span.offset(), len)?;
        let view = View { file: span.file().clone(), offset: span.offset(), bytes };
        let bytes = view.slice(span);
        self.view = Some(view);
        bytes
    }

    /// From this span on, spans are read into buffers.
    fn read_from(&mut self, span: FileSpan) {
        self.mappings = None;
        let disk = &self.disk;
        self.producer = self.producer.take().map(|rest| -> Box<dyn Producer> {
            Box::new(chain([Box::new(once(Chunk::Span(span))) as Box<dyn Producer>, rest]).lower(disk))
        });
    }

    /// Counts what is given; what is more than was promised is cut off.
    fn count(&mut self, mut bytes: Bytes) -> Bytes {
        if let Some(remaining) = &mut self.remaining {
            bytes.truncate(usize::try_from(*remaining).unwrap_or(usize::MAX));
            *remaining -= bytes.len() as u64;
        }
        self.record.gave(bytes.len() as u64);
        if self.remaining == Some(0) {
            self.record.complete();
        }
        bytes
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

impl Sharing {
    /// The next chunk of `producer`. Spans are read as the share allows.
    fn poll_bytes(
        &mut self,
        producer: &mut Box<dyn Producer>,
        disk: &Disk,
        cx: &mut Context<'_>,
    ) -> Poll<Option<vfs::Result<Bytes>>> {
        loop {
            let share = match self.share.take() {
                Some(share) => share,
                None => ready!(self.ration.poll_share(&mut self.waiting, cx)),
            };
            if let Some(span) = self.span.as_mut().filter(|_| self.reading.is_none()) {
                let piece = span.split_to(share.bytes);
                self.span.take_if(|span| span.is_empty());
                self.reading = Some(Box::new(once(Chunk::Span(piece)).lower(disk)));
            }
            let source = self.reading.as_mut().unwrap_or(producer);
            let Poll::Ready(chunk) = source.poll_more(cx) else {
                self.share = Some(share);
                return Poll::Pending;
            };
            match chunk.transpose()? {
                Some(Chunk::Bytes(bytes)) => return Poll::Ready(Some(Ok(share.hold(bytes)))),
                Some(Chunk::Span(span)) => self.span = Some(span),
                None if self.reading.take().is_none() => return Poll::Ready(None),
                None => {}
            }
            self.share = Some(share);
        }
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        self.ration.asked();
    }
}

impl View {
    fn slice(&self, span: &FileSpan) -> Option<Bytes> {
        let start = usize::try_from(span.offset().checked_sub(self.offset)?).ok()?;
        let end = start.checked_add(span.len())?;
        (self.file.is_same(span.file()) && end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.record.asked();
        if let Some(sharing) = &self.sharing {
            sharing.ration.asked();
        }
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(self.poll_chunk(cx)) {
            Some(Ok(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
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

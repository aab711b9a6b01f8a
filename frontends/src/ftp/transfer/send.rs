//! What a transfer sends: the chunks of a producer to the client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use vfs::jobs::Disk;
use vfs::producer::{Chunk, Producer, ProducerExt};

use super::Ended;
use crate::transport::Transport;

/// A producer on its way out.
pub(super) struct Sending {
    source: Box<dyn Producer>,
    /// What is left of the chunk that is being sent.
    chunk: Option<Chunk>,
}

/// What comes next of a producer.
pub(super) enum Sent {
    /// So many bytes left.
    Bytes(usize),
    /// The source is at its end.
    All,
}

impl Sending {
    /// What `source` makes; where the connection takes no spans, they are read through `disk`.
    pub(super) fn new(source: Box<dyn Producer>, stream: &dyn Transport, disk: &Disk) -> Self {
        let source = if stream.sends_spans() { source } else { source.lower(disk).boxed() };
        Self { source, chunk: None }
    }

    /// True while the client is waited for, and not the tree.
    pub(super) fn awaits_peer(&self) -> bool {
        self.chunk.is_some()
    }

    /// Polls until some bytes have left, or all.
    pub(super) fn poll_send(
        &mut self,
        stream: &mut dyn Transport,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sent, Ended>> {
        if self.chunk.is_none() {
            self.chunk = ready!(self.source.poll_more(cx)).transpose().map_err(Ended::SourceFailed)?;
        }
        let Some(chunk) = &mut self.chunk else { return Poll::Ready(Ok(Sent::All)) };
        let sent = ready!(poll_send_chunk(stream, chunk, cx))?;
        drop(chunk.split_to(sent));
        if chunk.is_empty() {
            self.chunk = None;
        }
        Poll::Ready(Ok(Sent::Bytes(sent)))
    }
}

/// Sends some of the front of `chunk`.
fn poll_send_chunk(
    stream: &mut dyn Transport,
    chunk: &Chunk,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Ended>> {
    let sent = match chunk {
        Chunk::Bytes(bytes) => ready!(Pin::new(stream).poll_write(cx, bytes)).map_err(Ended::PeerLost),
        Chunk::Span(span) => ready!(stream.poll_send_span(cx, span)).map_err(|error| match error.kind() {
            // Of a span it is the file that ended; of bytes it is the client, within TLS.
            io::ErrorKind::UnexpectedEof => Ended::Shrank,
            _ => Ended::PeerLost(error),
        }),
    };
    Poll::Ready(match sent {
        Ok(0) => Err(Ended::PeerLost(io::ErrorKind::WriteZero.into())),
        sent => sent,
    })
}

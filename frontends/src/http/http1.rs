//! An HTTP/1 connection while it is in use.

use std::convert::Infallible;
use std::pin::{self, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Connection, LINGER, LOOK, linger};
use super::io::{Io, Parts};
use super::options::FIELDS;
use super::pace::{Pace, Posture};
use super::status::refusal_message;
use super::wire::Fault;
use crate::serve::Drain;
use crate::transport::{SpanIo, Transport};

/// How long an HTTP/1 connection stays as it is after an answer. Then its parser and buffers are given back, and an idle
/// connection is little more than its socket.
const REST: Duration = Duration::from_millis(250);

/// The least that hyper takes for the bytes of a head.
const LEAST_HEAD_BYTES: usize = 8 * 1024;

/// What a connection that rests is made of.
pub(super) struct Rested<T> {
    pub(super) io: SpanIo<T>,
    /// What was read and belongs to the next request.
    pub(super) unread: Bytes,
    /// Since when all is answered.
    pub(super) quiet: Instant,
}

impl Connection {
    /// Serves requests until the connection ends, or has been quiet for [`REST`]: then gives back what it needs to go on.
    pub(super) async fn serve_h1<T: Transport>(
        &self,
        io: SpanIo<T>,
        first: Bytes,
        drain: &mut Drain,
    ) -> Option<Rested<T>> {
        let pace = Arc::new(Pace::new());
        let service = self.service(&io, &pace, false);
        let service = service_fn(move |request| {
            let service = Arc::clone(&service);
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let io = TokioIo::new(Io::new(io, first, Arc::clone(&pace)).with_heads());
        // A peer may end its side when it has asked, and still wants its answers.
        let bounds = &self.options.bounds;
        let mut builder = http1::Builder::new();
        if bounds.fields != FIELDS {
            builder.max_headers(bounds.fields);
        }
        let mut connection = builder
            .half_close(true)
            .header_read_timeout(None)
            // Bytes that wait to be written are bounded by it too.
            .max_buf_size(bounds.head_bytes.max(LEAST_HEAD_BYTES))
            .writev(true)
            .pipeline_flush(false)
            .serve_connection(io, service);
        let mut look = pin!(sleep(REST));
        let mut draining = false;
        let ended = loop {
            tokio::select! {
                biased;
                result = &mut connection => break Err(result),
                () = drain.started(), if !draining => {
                    draining = true;
                    pin::Pin::new(&mut connection).graceful_shutdown();
                }
                () = &mut look => match pace.posture() {
                    Posture::Quiet(since) if since.elapsed() >= REST => break Ok(since),
                    Posture::Fresh(since) if since.elapsed() >= bounds.head => return None,
                    Posture::Quiet(since) => look.as_mut().reset(since + REST),
                    Posture::Fresh(since) => look.as_mut().reset(since + bounds.head),
                    Posture::Busy | Posture::Held(_) => look.as_mut().reset(Instant::now() + LOOK),
                },
            }
        };
        let parts = connection.into_parts();
        let Parts { mut io, unread, fault } = parts.io.into_inner().into_parts();
        match ended {
            Ok(quiet) if unread.is_empty() => Some(Rested { io, unread: parts.read_buf, quiet }),
            Ok(quiet) => Some(Rested { io, unread: [parts.read_buf, unread].concat().into(), quiet }),
            Err(result) => {
                self.end(&mut io, result, fault).await;
                None
            }
        }
    }

    /// Ends a connection as its peer can tell: after a whole answer it is closed, in the middle of one it is reset.
    async fn end<T: Transport>(&self, io: &mut SpanIo<T>, result: hyper::Result<()>, fault: Option<Fault>) {
        // For hyper the connection ended there, in the middle of a head perhaps. It answers parse errors itself.
        let is_answered = result.as_ref().is_err_and(|error| !error.is_incomplete_message());
        if let Some(fault) = fault.filter(|_| !is_answered) {
            return self.refuse(io, fault).await;
        }
        match result {
            Err(error) if !error.is_parse() => {
                tracing::debug!(peer = %self.peer, %error, "a connection broke");
                io.reset_on_close();
            }
            result => {
                if let Err(error) = result {
                    tracing::debug!(peer = %self.peer, %error, "a request could not be read");
                }
                // Best effort: the connection ends either way.
                let _ = timeout(LINGER, linger(io)).await;
            }
        }
    }
    /// Answers a head that hyper was not shown, and ends the connection.
    async fn refuse<T: Transport>(&self, io: &mut SpanIo<T>, fault: Fault) {
        tracing::debug!(peer = %self.peer, ?fault, "a request could not be read");
        // Best effort: the connection ends either way.
        let _ = timeout(LINGER, async {
            io.write_all(refusal_message(fault).as_bytes()).await?;
            io.shutdown().await?;
            linger(io).await;
            std::io::Result::Ok(())
        })
        .await;
    }
}

//! An HTTP/1 connection while it is in use.

use std::convert::Infallible;
use std::pin::{self, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Connection, HEAD, LINGER, LOOK, linger};
use super::io::Io;
use super::pace::{Pace, Posture};
use crate::serve::Drain;
use crate::transport::{SpanIo, Transport};

/// How long an HTTP/1 connection stays as it is after an answer. Then its parser and buffers are given back, and an idle
/// connection is little more than its socket.
const REST: Duration = Duration::from_millis(250);

/// Bytes of an HTTP/1 head, and bytes that wait to be written, at most. Longer heads are 431. hyper refuses more than 100
/// fields of its own accord.
const BUFFER_BYTES: usize = 64 * 1024;

impl Connection {
    /// Serves requests until the connection ends, or has been quiet for [`REST`]: then gives back what it needs to go on.
    pub(super) async fn serve_h1<T: Transport>(
        &self,
        io: SpanIo<T>,
        first: Bytes,
        drain: &mut Drain,
    ) -> Option<(SpanIo<T>, Bytes)> {
        let pace = Arc::new(Pace::new());
        let service = self.service(&io, &pace, false);
        let service = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let io = TokioIo::new(Io::new(io, first, Arc::clone(&pace)));
        // A peer may end its side when it has asked, and still wants its answers.
        let mut connection = http1::Builder::new()
            .half_close(true)
            .header_read_timeout(None)
            .max_buf_size(BUFFER_BYTES)
            .writev(true)
            .pipeline_flush(false)
            .serve_connection(io, service);
        let mut look = pin!(sleep(REST));
        let mut draining = false;
        let ended = loop {
            tokio::select! {
                biased;
                result = &mut connection => break Some(result),
                () = drain.started(), if !draining => {
                    draining = true;
                    pin::Pin::new(&mut connection).graceful_shutdown();
                }
                () = &mut look => match pace.posture() {
                    Posture::Quiet(since) if since.elapsed() >= REST => break None,
                    Posture::Fresh(since) if since.elapsed() >= HEAD => return None,
                    Posture::Quiet(since) => look.as_mut().reset(since + REST),
                    Posture::Fresh(since) => look.as_mut().reset(since + HEAD),
                    Posture::Busy | Posture::Held(_) => look.as_mut().reset(Instant::now() + LOOK),
                },
            }
        };
        let parts = connection.into_parts();
        let (mut io, unread) = parts.io.into_inner().into_parts();
        match ended {
            None if unread.is_empty() => Some((io, parts.read_buf)),
            None => Some((io, [parts.read_buf, unread].concat().into())),
            Some(result) => {
                self.end(&mut io, result).await;
                None
            }
        }
    }

    /// Ends a connection as its peer can tell: after a whole answer it is closed, in the middle of one it is reset.
    async fn end<T: Transport>(&self, io: &mut SpanIo<T>, result: hyper::Result<()>) {
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
}

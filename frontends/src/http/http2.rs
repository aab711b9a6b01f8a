//! An HTTP/2 connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::connection::{Connection, LOOK};
use super::io::Io;
use super::pace::{Pace, Posture};
use crate::serve::Drain;
use crate::transport::{SpanIo, Transport};

/// How long before its time is over an idle HTTP/2 connection hears GOAWAY, at most half of that time.
const GOODBYE: Duration = Duration::from_secs(5);

/// Streams that the peer made us reset; more end the connection (CVE-2025-8671).
const ERROR_STREAMS: usize = 128;

/// Bytes that an HTTP/2 stream holds for a peer that has no room.
const STREAM_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes of bodies that an HTTP/2 peer may send ahead, a stream and in all: what an upload holds while its file is written.
const WINDOW_BYTES: u32 = 256 * 1024;

/// An HTTP/2 peer that does not answer a ping in time is gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

impl Connection {
    /// Serves requests until the connection ends, or has been idle for too long.
    pub(super) async fn serve_h2<T: Transport>(&self, io: SpanIo<T>, first: Bytes, drain: &mut Drain) {
        let pace = Arc::new(Pace::new());
        let service = self.service(&io, &pace, true);
        let service = service_fn(move |request| {
            let service = Arc::clone(&service);
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let io = TokioIo::new(Io::new(io, first, Arc::clone(&pace)));
        let bounds = &self.options.bounds;
        let mut connection = pin!(
            http2::Builder::new(Streams::default())
                .timer(TokioTimer::new())
                .max_concurrent_streams(bounds.streams)
                // CVE-2023-44487.
                .max_pending_accept_reset_streams(bounds.reset_streams)
                .max_local_error_reset_streams(ERROR_STREAMS)
                .max_header_list_size(u32::try_from(bounds.head_bytes).unwrap_or(u32::MAX))
                .max_send_buf_size(STREAM_BUFFER_BYTES)
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(WINDOW_BYTES)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .serve_connection(io, service)
        );
        let goodbye = self.idle - GOODBYE.min(self.idle / 2);
        let mut look = pin!(sleep(LOOK.min(self.stall).min(goodbye)));
        let mut draining = false;
        loop {
            tokio::select! {
                biased;
                result = &mut connection => {
                    if let Err(error) = result {
                        tracing::debug!(peer = %self.peer, %error, "a connection broke");
                    }
                    return;
                }
                () = drain.started(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = &mut look => {
                    let next = match pace.posture() {
                        Posture::Held(since) if since.elapsed() >= self.stall => return,
                        Posture::Fresh(since) | Posture::Quiet(since) if since.elapsed() >= self.idle => return,
                        Posture::Fresh(since) | Posture::Quiet(since) if since.elapsed() >= goodbye => {
                            connection.as_mut().graceful_shutdown();
                            since + self.idle
                        }
                        Posture::Fresh(since) | Posture::Quiet(since) => since + goodbye,
                        Posture::Held(since) => since + self.stall,
                        Posture::Busy => Instant::now() + LOOK,
                    };
                    look.as_mut().reset(next.min(Instant::now() + LOOK));
                }
            }
        }
    }
}

/// Runs the streams of one HTTP/2 connection; they end with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while streams.try_join_next().is_some() {}
        streams.spawn(stream);
    }
}

//! One connection: which HTTP it speaks, how long it may take, and how it ends.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use vfs::jobs::Disk;

use super::io::Io;
use super::pace::{Pace, Posture};
use super::service::Service;
use crate::serve::{Drain, Peer};
use crate::site::Site;
use crate::transport::{SpanIo, Transport};

/// How long a connection may do nothing, where the site does not say.
const IDLE: Duration = Duration::from_secs(30);

/// How long a peer may take nothing of what is sent, where the site does not say.
const STALL: Duration = Duration::from_secs(60);

/// How long a request's head may take from its first byte to its last.
const HEAD: Duration = Duration::from_secs(10);

/// How long an HTTP/1 connection stays as it is after an answer. Then its parser and buffers are given back, and an idle
/// connection is little more than its socket.
const REST: Duration = Duration::from_secs(1);

/// How often a busy connection is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// How long a peer may take to hear the last answer, and how many bytes it may still send meanwhile: closing with
/// unread bytes would reset the connection and take the answer away (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;

/// How long an HTTP/2 connection has to end after GOAWAY.
const GOODBYE: Duration = Duration::from_secs(5);

/// Bytes of an HTTP/1 head, and bytes that wait to be written, at most. Longer heads are 431. hyper refuses more than 100
/// fields of its own accord.
const BUFFER_BYTES: usize = 64 * 1024;

/// Streams at once on an HTTP/2 connection.
const STREAMS: u32 = 128;

/// Streams that the peer reset before they were looked at; more end the connection (CVE-2023-44487).
const RESET_STREAMS: usize = 20;

/// Streams that the peer made us reset; more end the connection (CVE-2025-8671).
const ERROR_STREAMS: usize = 128;

/// Bytes of an HTTP/2 header list.
const HEADER_LIST_BYTES: u32 = 32 * 1024;

/// Bytes that an HTTP/2 stream holds for a peer that has no room.
const STREAM_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes of bodies that an HTTP/2 peer may send ahead, a stream and in all. Nothing here takes a body.
const WINDOW_BYTES: u32 = 64 * 1024;

/// An HTTP/2 peer that does not answer a ping in time is gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What an HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Read at once while a connection rests: room for a whole head, most times.
const FIRST_BYTES: usize = 2048;

/// Serves one connection to its end.
pub(super) async fn run<T: Transport>(
    transport: T,
    peer: Peer,
    site: Arc<Site>,
    disk: Disk,
    mut drain: Drain,
) {
    let stall = site.limits.stall.unwrap_or(STALL);
    let idle = site.limits.idle.unwrap_or(IDLE);
    let mut connection = Connection { site, peer, disk, stall, idle };
    let mut io = SpanIo::new(transport, stall);
    let Some(first) = connection.first_bytes(&mut io, &mut drain).await else { return };
    let Ok(Some((mut first, is_h2))) = timeout(HEAD, sniff(&mut io, first)).await else { return };
    if is_h2 {
        return Box::pin(connection.serve_h2(io, first, &mut drain)).await;
    }
    // Boxed, so that what serves a request is there only while one is served.
    while let Some((rested, left)) = Box::pin(connection.serve_h1(io, first, &mut drain)).await {
        io = rested;
        io.rest();
        first = match left {
            left if !left.is_empty() => left,
            _ => match connection.first_bytes(&mut io, &mut drain).await {
                Some(first) => first,
                None => return,
            },
        };
    }
}

/// Tells a peer that there are too many of it.
pub(super) async fn turn_away<T: Transport>(mut transport: T) {
    use tokio::io::AsyncWriteExt;

    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 45\r\n\r\n\
        There are too many connections from your host";
    if transport.write_all(FULL).await.is_ok() && transport.shutdown().await.is_ok() {
        linger(&mut transport).await;
    }
}

/// What a connection is made of, apart from its bytes.
struct Connection {
    site: Arc<Site>,
    peer: Peer,
    disk: Disk,
    stall: Duration,
    idle: Duration,
}

impl Connection {
    /// Waits for a request to begin; `None` where the connection ends instead.
    async fn first_bytes<T: Transport>(&mut self, io: &mut SpanIo<T>, drain: &mut Drain) -> Option<Bytes> {
        tokio::select! {
            read = timeout(self.idle, read_some(io)) => read.ok()?.ok().filter(|bytes| !bytes.is_empty()),
            () = drain.started() => None,
        }
    }

    fn service<T: Transport>(&self, io: &SpanIo<T>, pace: &Arc<Pace>, is_h2: bool) -> Service {
        Service {
            site: Arc::clone(&self.site),
            peer: self.peer,
            pace: Arc::clone(pace),
            // HTTP/2 cuts content into frames, which is reading it.
            mappings: io.mappings().filter(|_| !is_h2),
            disk: self.disk.clone(),
        }
    }

    /// Serves requests until the connection ends, or has been quiet for [`REST`]: then gives back what it needs to go on.
    async fn serve_h1<T: Transport>(
        &mut self,
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
                    Pin::new(&mut connection).graceful_shutdown();
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

    async fn serve_h2<T: Transport>(&mut self, io: SpanIo<T>, first: Bytes, drain: &mut Drain) {
        let pace = Arc::new(Pace::new());
        let service = self.service(&io, &pace, true);
        let service = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let io = TokioIo::new(Io::new(io, first, Arc::clone(&pace)));
        let mut connection = pin!(
            http2::Builder::new(Streams::default())
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_pending_accept_reset_streams(RESET_STREAMS)
                .max_local_error_reset_streams(ERROR_STREAMS)
                .max_header_list_size(HEADER_LIST_BYTES)
                .max_send_buf_size(STREAM_BUFFER_BYTES)
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(WINDOW_BYTES)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .serve_connection(io, service)
        );
        let pause = LOOK.min(self.stall).min(self.idle);
        let mut look = pin!(sleep(pause));
        let mut draining = false;
        let mut leaving: Option<Instant> = None;
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
                    match pace.posture() {
                        Posture::Held(since) if since.elapsed() >= self.stall => return,
                        Posture::Fresh(since) | Posture::Quiet(since) if since.elapsed() >= self.idle => {
                            if leaving.get_or_insert_with(Instant::now).elapsed() >= GOODBYE {
                                return;
                            }
                            connection.as_mut().graceful_shutdown();
                        }
                        Posture::Fresh(_) | Posture::Busy | Posture::Held(_) | Posture::Quiet(_) => {}
                    }
                    look.as_mut().reset(Instant::now() + pause);
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

/// Reads on until it is clear which HTTP the connection speaks; `None` where it ends before.
async fn sniff<T: Transport>(io: &mut SpanIo<T>, first: Bytes) -> Option<(Bytes, bool)> {
    let mut first = first;
    while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
        let more = read_some(io).await.ok().filter(|more| !more.is_empty())?;
        first = [first, more].concat().into();
    }
    let is_h2 = first.starts_with(PREFACE);
    Some((first, is_h2))
}

/// Reads and drops what the peer still sends, until it ends.
async fn linger<T: AsyncRead + Unpin>(transport: &mut T) {
    let mut dropped = 0;
    while let Ok(bytes) = read_some(transport).await {
        dropped += bytes.len();
        if bytes.is_empty() || dropped > LINGER_BYTES {
            return;
        }
    }
}

/// Reads what is there; empty at the end. Nothing is held while it waits.
async fn read_some<T: AsyncRead + Unpin>(transport: &mut T) -> io::Result<Bytes> {
    poll_fn(|cx| {
        let mut room = [MaybeUninit::uninit(); FIRST_BYTES];
        let mut buf = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *transport).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(buf.filled())))
    })
    .await
}

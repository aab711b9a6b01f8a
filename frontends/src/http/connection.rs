//! One connection: which HTTP it speaks, how long it may take, and how it ends.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::timeout;
use vfs::jobs::Disk;

use super::incoming::Patience;
use super::options::Options;
use super::pace::Pace;
use super::service::Service;
use crate::auth::Asker;
use crate::serve::{Drain, Peer};
use crate::site::Site;
use crate::transport::{SpanIo, Transport};

/// How long a connection may do nothing, where the site does not say.
const IDLE: Duration = Duration::from_secs(30);

/// How long a peer may take nothing of what is sent, and send nothing of what it said it would, where the site does not say.
const STALL: Duration = Duration::from_secs(30);

/// How often a busy connection is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// How long a peer may take to hear the last answer, and how many bytes it may still send meanwhile: closing with
/// unread bytes would reset the connection and take the answer away (RFC 9112 §9.6).
pub(super) const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;

/// What an HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Read at once while a connection rests: room for a whole head, most times.
const FIRST_BYTES: usize = 2048;

/// Serves one connection to its end.
pub(super) async fn run<T: Transport>(
    transport: T,
    asker: impl Into<Asker>,
    site: Arc<Site>,
    options: Arc<Options>,
    disk: Disk,
    mut drain: Drain,
) {
    let asker = asker.into();
    let stall = site.limits.stall.unwrap_or(STALL);
    let idle = site.limits.idle.unwrap_or(IDLE);
    let connection = Connection { site, options, peer: asker.peer, asker, disk, stall, idle };
    let mut io = SpanIo::new(transport, stall);
    let Some(first) = connection.first_bytes(&mut io, idle, &mut drain).await else { return };
    let Ok(Some((mut first, is_h2))) = timeout(connection.options.bounds.head, sniff(&mut io, first)).await
    else {
        return;
    };
    if is_h2 {
        return Box::pin(connection.serve_h2(io, first, &mut drain)).await;
    }
    // Boxed, so that what serves a request is there only while one is served.
    while let Some(rested) = Box::pin(connection.serve_h1(io, first, &mut drain)).await {
        io = rested.io;
        io.rest();
        first = rested.unread;
        if first.is_empty() {
            let patience = idle.saturating_sub(rested.quiet.elapsed());
            let Some(next) = connection.first_bytes(&mut io, patience, &mut drain).await else { return };
            first = next;
        }
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
pub(super) struct Connection {
    pub(super) site: Arc<Site>,
    pub(super) options: Arc<Options>,
    pub(super) peer: Peer,
    asker: Asker,
    disk: Disk,
    /// How long its peer may take nothing.
    pub(super) stall: Duration,
    /// How long it may do nothing.
    pub(super) idle: Duration,
}

impl Connection {
    /// Waits for a request to begin; `None` where the connection ends instead.
    async fn first_bytes<T: Transport>(
        &self,
        io: &mut SpanIo<T>,
        patience: Duration,
        drain: &mut Drain,
    ) -> Option<Bytes> {
        tokio::select! {
            read = timeout(patience, read_some(io)) => read.ok()?.ok().filter(|bytes| !bytes.is_empty()),
            () = drain.started() => None,
        }
    }

    /// What answers its requests.
    pub(super) fn service<T: Transport>(
        &self,
        io: &SpanIo<T>,
        pace: &Arc<Pace>,
        is_h2: bool,
    ) -> Arc<Service> {
        Arc::new(Service {
            site: Arc::clone(&self.site),
            options: Arc::clone(&self.options),
            asker: self.asker,
            pace: Arc::clone(pace),
            // HTTP/2 cuts content into frames, which is reading it.
            spans: io.spans().filter(|_| !is_h2),
            disk: self.disk.clone(),
            patience: Patience { stall: self.stall, slowest: self.options.bounds.slowest_upload },
        })
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
pub(super) async fn linger<T: AsyncRead + Unpin>(transport: &mut T) {
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

//! [`Ration`]: what the answers of one connection may hold in memory while their peer makes no room for them.
//!
//! HTTP/1 has one answer at a time, and the socket's buffer says when it has room. An HTTP/2 peer opens many streams and
//! closes their windows, and hyper asks each for a chunk before it looks whether there is room (hyper #4003). So a chunk is
//! made when there is a share for it, and the share is given back when the last byte of the chunk has left or is dropped.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::Id;
use tokio::time::Instant;

/// Bytes that a unit stands for: the chunk of a stream that gets the least.
const UNIT_BYTES: usize = 16 * 1024;

/// Units of a chunk while its connection does not hold many.
const LARGE_UNITS: u32 = 4;

/// Units of large chunks that one connection holds: 1 MiB. After that its streams get small ones.
const CONNECTION_UNITS: usize = 64;

/// Units that all connections of a front end hold: 128 MiB. After that streams wait for those who get theirs away.
const STOCK_UNITS: usize = 8192;

/// Encoders (of content codings, and of archives) that one connection and all of a front end run: each holds 1 to 3 MiB.
const CONNECTION_ENCODERS: usize = 4;
const STOCK_ENCODERS: usize = 64;

/// Bytes a second that a peer has to take of a chunk, beyond the time that it may rest.
const SLOWEST: u64 = 500;

/// What all connections of a front end share. Clones are the same stock.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    units: Arc<Semaphore>,
    encoders: Arc<Semaphore>,
}

/// What the streams of one connection share.
#[derive(Debug)]
pub(super) struct Ration {
    stock: Stock,
    large: Arc<Semaphore>,
    encoders: Arc<Semaphore>,
    /// Streams whose chunk waits for room, by the task that serves them, and until when it may.
    waiting: Mutex<HashMap<Id, Instant>>,
}

/// The right to hold one chunk.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) bytes: usize,
    _stock: OwnedSemaphorePermit,
    _large: Option<OwnedSemaphorePermit>,
}

/// The right to run one encoder.
#[derive(Debug)]
pub(super) struct EncoderPlace {
    _stock: OwnedSemaphorePermit,
    _connection: OwnedSemaphorePermit,
}

/// A wait for a share.
pub(super) type Waiting = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

impl Stock {
    pub(super) fn new() -> Self {
        Self {
            units: Arc::new(Semaphore::new(STOCK_UNITS)),
            encoders: Arc::new(Semaphore::new(STOCK_ENCODERS)),
        }
    }
}

impl Ration {
    /// That of a new connection.
    pub(super) fn new(stock: &Stock) -> Self {
        Self {
            stock: stock.clone(),
            large: Arc::new(Semaphore::new(CONNECTION_UNITS)),
            encoders: Arc::new(Semaphore::new(CONNECTION_ENCODERS)),
            waiting: Mutex::default(),
        }
    }

    /// A place for an encoder; `None` where as many run as may.
    pub(super) fn encoder(&self) -> Option<EncoderPlace> {
        let connection = Arc::clone(&self.encoders).try_acquire_owned().ok()?;
        let stock = Arc::clone(&self.stock.encoders).try_acquire_owned().ok()?;
        Some(EncoderPlace { _stock: stock, _connection: connection })
    }

    /// A share for the next chunk: a large one where there is one, else a small one, which may have to be waited for.
    pub(super) fn poll_share(&self, waiting: &mut Option<Waiting>, cx: &mut Context<'_>) -> Poll<Share> {
        if waiting.is_none()
            && let Ok(large) = Arc::clone(&self.large).try_acquire_many_owned(LARGE_UNITS)
            && let Ok(stock) = Arc::clone(&self.stock.units).try_acquire_many_owned(LARGE_UNITS)
        {
            let bytes = LARGE_UNITS as usize * UNIT_BYTES;
            return Poll::Ready(Share { bytes, _stock: stock, _large: Some(large) });
        }
        let units = &self.stock.units;
        let wait = waiting.get_or_insert_with(|| {
            let units = Arc::clone(units);
            Box::pin(async move { units.acquire_owned().await.ok() })
        });
        let stock = ready!(wait.as_mut().poll(cx));
        *waiting = None;
        let stock = stock.expect("the stock is never closed");
        Poll::Ready(Share { bytes: UNIT_BYTES, _stock: stock, _large: None })
    }

    /// The stream of this task has a chunk of so many bytes that its peer has to make room for, within `rest` and as slowly as
    /// may be.
    pub(super) fn gave(&self, bytes: usize, rest: Duration) {
        if let Some(id) = tokio::task::try_id() {
            let until = Instant::now() + rest + Duration::from_secs(bytes as u64 / SLOWEST);
            self.lock().insert(id, until);
        }
    }

    /// The stream of this task has room again, or has ended.
    pub(super) fn asked(&self) {
        if let Some(id) = tokio::task::try_id() {
            self.lock().remove(&id);
        }
    }

    /// Tasks of streams whose time is over, which are forgotten.
    pub(super) fn overdue(&self) -> Vec<Id> {
        let now = Instant::now();
        self.lock().extract_if(|_, until| *until <= now).map(|(id, _)| id).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// The chunk that it is for: it is given back when the last piece of that is dropped.
    pub(super) fn hold(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held { bytes, _share: self })
    }
}

struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn share(ration: &Ration) -> Poll<Share> {
        ration.poll_share(&mut None, &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_connection_that_holds_much_gets_little() {
        let stock = Stock::new();
        let ration = Ration::new(&stock);
        let held: Vec<_> = (0..128).map(|_| share(&ration)).collect();
        let bytes: usize = held
            .iter()
            .map(|share| match share {
                Poll::Ready(share) => share.bytes,
                Poll::Pending => 0,
            })
            .sum();
        assert_eq!(bytes, (CONNECTION_UNITS + 128 - 16) * UNIT_BYTES);
        assert_eq!(stock.units.available_permits(), STOCK_UNITS - bytes / UNIT_BYTES);
        drop(held);
        assert_eq!(stock.units.available_permits(), STOCK_UNITS);
    }

    #[test]
    fn what_all_hold_is_bounded() {
        let stock = Stock::new();
        let rations: Vec<_> = (0..STOCK_UNITS / CONNECTION_UNITS).map(|_| Ration::new(&stock)).collect();
        let mut held: Vec<_> =
            rations.iter().flat_map(|ration| (0..16).map(|_| share(ration)).collect::<Vec<_>>()).collect();
        assert!(share(&rations[0]).is_pending());
        held.pop();
        assert!(share(&rations[0]).is_ready());
        let Poll::Ready(last) = held.pop().unwrap() else { panic!("all were there") };
        let mut chunk = last.hold(Bytes::from_static(b"chunk"));
        let piece = chunk.split_to(2);
        drop(chunk);
        let before = stock.units.available_permits();
        drop(piece);
        assert!(stock.units.available_permits() > before);
    }

    #[test]
    fn encoders_are_counted() {
        let stock = Stock::new();
        let ration = Ration::new(&stock);
        let held: Vec<_> = std::iter::from_fn(|| ration.encoder()).collect();
        assert_eq!(held.len(), CONNECTION_ENCODERS);
        assert!(Ration::new(&stock).encoder().is_some());
    }
}

//! [`Rates`]: how many bytes a second a connection may send and receive, alone or together with others.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};
use vfs::producer::Rate;

/// The rates that bound a connection, each shared with whoever has a clone of it. Default: none.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// What may be sent.
    pub send: Vec<Rate>,
    /// What may be received.
    pub receive: Vec<Rate>,
}

impl Rates {
    /// True where nothing is bounded.
    pub fn is_empty(&self) -> bool {
        self.send.is_empty() && self.receive.is_empty()
    }
}

/// One direction of a connection. What went is paid for before more goes.
#[derive(Debug)]
pub(super) struct Gate {
    rates: Vec<Rate>,
    closed: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    pub(super) fn new(rates: &[Rate]) -> Self {
        Self { rates: rates.to_vec(), closed: None }
    }

    /// Ready when all is paid for: says how much may go at once.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(closed) = &mut self.closed {
            ready!(closed.as_mut().poll(cx));
            self.closed = None;
        }
        Poll::Ready(self.rates.iter().map(Rate::longest).min().unwrap_or(usize::MAX))
    }

    /// So much went.
    pub(super) fn went(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let until = self.rates.iter().map(|rate| rate.charge(bytes)).max();
        self.closed = until.filter(|until| *until > Instant::now()).map(|until| Box::pin(sleep_until(until)));
    }
}

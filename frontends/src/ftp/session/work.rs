//! What is under way in a session.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::Event;
use crate::ftp::calls::Outcome;
use crate::ftp::control::Control;
use crate::ftp::list::Listing;
use crate::ftp::transfer::Transfer;
use crate::ftp::wire::{self, Reply};

/// What is under way.
pub(super) enum Work {
    None,
    Call {
        call: Pin<Box<dyn Future<Output = Outcome> + Send>>,
        /// What ABOR answers for it; `None` where it cannot be stopped.
        aborted: Option<Reply>,
    },
    Transfer(Box<Transfer>),
    /// The rows of STAT.
    Report(Box<Listing>),
}

impl Work {
    /// A call on the tree. `aborted` is what ABOR answers for it; `None`: it is not stopped.
    pub(super) fn call(call: impl Future<Output = Outcome> + Send + 'static, aborted: Option<Reply>) -> Self {
        Self::Call { call: Box::pin(call), aborted }
    }

    /// Polls for its end.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>, control: &mut Control) -> Poll<Event> {
        match self {
            Self::None => Poll::Pending,
            Self::Call { call, .. } => call.as_mut().poll(cx).map(Event::Outcome),
            Self::Transfer(transfer) => transfer.poll_end(cx).map(Event::Ended),
            Self::Report(rows) => poll_report(rows, cx, control),
        }
    }
}

/// Moves rows into the reply as fast as the peer reads it.
fn poll_report(rows: &mut Listing, cx: &mut Context<'_>, control: &mut Control) -> Poll<Event> {
    loop {
        if !control.has_room() && ready!(control.poll_flush(cx)).is_err() {
            return Poll::Ready(Event::Gone);
        }
        match ready!(rows.poll_rows(cx)) {
            Some(Ok(rows)) => wire::encode_rows(&rows, control.output()),
            Some(Err(error)) => return Poll::Ready(Event::Reported(Some(error))),
            None => return Poll::Ready(Event::Reported(None)),
        }
    }
}

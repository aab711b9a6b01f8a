//! What is under way in a session.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::Event;
use crate::ftp::calls::Outcome;
use crate::ftp::control::Control;
use crate::ftp::list::Listing;
use crate::ftp::transfer::{Ended, Transfer};
use crate::ftp::wire::Reply;

/// What is under way.
pub(super) enum Work {
    None,
    Call {
        call: Pin<Box<dyn Future<Output = Outcome> + Send>>,
        /// What ABOR answers for it; `None` where it cannot be stopped.
        aborted: Option<Reply>,
        /// When it began.
        since: Instant,
    },
    Transfer(Box<Transfer>),
    /// The rows of STAT.
    Report(Box<Listing>),
}

impl Work {
    /// A call on the tree. `aborted` is what ABOR answers for it; `None`: it is not stopped.
    pub(super) fn call(call: impl Future<Output = Outcome> + Send + 'static, aborted: Option<Reply>) -> Self {
        Self::Call { call: Box::pin(call), aborted, since: Instant::now() }
    }

    /// Waits until what came of an upload is written, where its session has ended.
    pub(super) async fn save(self) {
        if let Self::Transfer(mut transfer) = self
            && transfer.stop(Ended::Aborted).is_none()
        {
            poll_fn(|cx| transfer.poll_end(cx)).await;
        }
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
            Some(Ok(rows)) => control.put(&rows),
            Some(Err(error)) => return Poll::Ready(Event::Reported(Some(error))),
            None => return Poll::Ready(Event::Reported(None)),
        }
    }
}

//! Deadlines of a session, all on one timer.

use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::work::Work;
use super::{Event, Session, Stage};
use crate::ftp::reply;
use crate::ftp::transfer::Ended;

/// How long a peer may take to log in.
pub(super) const LOGIN_TIME: Duration = Duration::from_secs(20);

/// How long the last replies may take to leave, and the peer to close its side.
pub(super) const FAREWELL_TIME: Duration = Duration::from_secs(5);

/// How long a session may do nothing, where the site does not say.
const IDLE: Duration = Duration::from_secs(300);

/// How long a client may take nothing, where the site does not say.
const STALL: Duration = Duration::from_secs(120);

/// A deadline that has passed.
pub(super) enum Lapse {
    Login,
    Idle,
    Transfer(Ended),
    /// The peer takes no replies, or does not close its side.
    Connection,
}

impl Session {
    /// Polls for the next deadline. The timer is moved only where it would fire too late: one that fires early looks
    /// again, so that a busy session does not move it with each line.
    pub(super) fn poll_lapse(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let Some((at, lapse)) = self.next_lapse() else { return Poll::Pending };
            if at <= Instant::now() {
                return match self.stage {
                    Stage::Leaving(_) => Poll::Ready(Event::Gone),
                    _ => Poll::Ready(Event::Lapsed(lapse)),
                };
            }
            if self.timer.is_elapsed() || self.timer.deadline() > at {
                self.timer.as_mut().reset(at);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// The next deadline as things stand. While the tree is waited for there is none of the session's own: the tree has its
    /// limits, and a peer that waits is not idle.
    fn next_lapse(&self) -> Option<(Instant, Lapse)> {
        let own = match (&self.work, self.stage) {
            (_, Stage::PeerDone(by) | Stage::Leaving(by)) => return Some((by, Lapse::Connection)),
            (Work::Transfer(transfer), Stage::Serving) => {
                transfer.deadline().map(|(at, ended)| (at, Lapse::Transfer(ended)))
            }
            (Work::Call { .. } | Work::Report(_), Stage::Serving) => None,
            (Work::None, Stage::Serving) => {
                let idle = self.settings.idle.unwrap_or(self.most_idle());
                Some((self.active_at + idle, Lapse::Idle))
            }
        };
        let login = self.login_by.map(|by| (by, Lapse::Login));
        let unsent = self.control.waiting_since().map(|since| (since + self.stall(), Lapse::Connection));
        [own, login, unsent].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// How long the site lets a session do nothing.
    pub(super) fn most_idle(&self) -> Duration {
        self.house.site.limits.idle.unwrap_or(IDLE)
    }

    pub(super) fn stall(&self) -> Duration {
        self.house.site.limits.stall.unwrap_or(STALL)
    }

    /// Acts on a deadline that has passed.
    pub(super) fn give_up(&mut self, lapse: Lapse) {
        match lapse {
            Lapse::Login => self.leave(&reply::LOGIN_TIMED_OUT),
            Lapse::Idle => self.leave(&reply::IDLE),
            Lapse::Connection => self.stage = Stage::Leaving(Instant::now()),
            Lapse::Transfer(ended) => {
                if let Work::Transfer(transfer) = &mut self.work
                    && let Some(ended) = transfer.stop(ended)
                {
                    self.finish(&reply::ended(&ended));
                }
            }
        }
    }
}

//! [`Pace`]: what a connection is doing and since when, for its deadlines.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// Kept by a connection's io, its requests and their bodies; read by whoever decides when it has lasted long enough.
#[derive(Debug)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests that are under way.
    flights: usize,
    /// One was under way already.
    served: bool,
    /// Something was written and not flushed.
    unflushed: bool,
    /// The connection has no room for what is to be written; who writes sees to how long that lasts.
    blocked: bool,
    /// An answer was given whose last bytes may be among them. Pings are not: they keep nothing alive.
    ending: bool,
    /// When it was made, or became quiet last.
    since: Instant,
    /// Bodies whose last chunk was taken and who were not asked for more.
    held: usize,
    /// When such a body was asked last, or the first of them gave its chunk.
    moved: Instant,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posture {
    /// It has had no request since it was made, at that time.
    Fresh(Instant),
    /// It works.
    Busy,
    /// It works, and since that time its peer has made room for no body, though the connection had some.
    Held(Instant),
    /// All is answered and sent, since that time.
    Quiet(Instant),
}

/// A request that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Flight {
    pace: Arc<Pace>,
    holding: bool,
}

impl Pace {
    /// The pace of a new connection.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(State {
            flights: 0,
            served: false,
            unflushed: false,
            blocked: false,
            ending: false,
            since: now,
            held: 0,
            moved: now,
        }))
    }

    /// Something is written; `has_room` where the connection took some of it.
    pub(super) fn wrote(&self, has_room: bool) {
        let mut state = self.lock();
        state.unflushed = true;
        if std::mem::replace(&mut state.blocked, !has_room) && has_room {
            state.moved = Instant::now();
        }
    }

    /// All that was written has left.
    pub(super) fn flushed(&self) {
        let mut state = self.lock();
        state.unflushed = false;
        if std::mem::take(&mut state.ending) {
            state.since = Instant::now();
        }
    }

    /// What the connection is doing now.
    pub(super) fn posture(&self) -> Posture {
        let state = self.lock();
        match *state {
            State { flights: 0, unflushed: false, served: false, since, .. } => Posture::Fresh(since),
            State { flights: 0, unflushed: false, since, .. } => Posture::Quiet(since),
            State { held: 1.., blocked: false, moved, .. } => Posture::Held(moved),
            _ => Posture::Busy,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Begins a request.
    pub(super) fn begin(pace: &Arc<Pace>) -> Self {
        let mut state = pace.lock();
        state.flights += 1;
        state.served = true;
        drop(state);
        Self { pace: Arc::clone(pace), holding: false }
    }

    /// The body was asked for more: the peer made room.
    pub(super) fn asked(&mut self) {
        if std::mem::take(&mut self.holding) {
            let mut state = self.pace.lock();
            state.held -= 1;
            state.moved = Instant::now();
        }
    }

    /// The body gave a chunk and now waits to be asked.
    pub(super) fn gave(&mut self) {
        if !std::mem::replace(&mut self.holding, true) {
            let mut state = self.pace.lock();
            if state.held == 0 {
                state.moved = Instant::now();
            }
            state.held += 1;
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.asked();
        let mut state = self.pace.lock();
        state.flights -= 1;
        state.ending = true;
        state.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_quiet_when_all_is_answered_and_flushed() {
        let pace = Arc::new(Pace::new());
        let made = Instant::now();
        assert_eq!(pace.posture(), Posture::Fresh(made));
        tokio::time::advance(Duration::from_secs(1)).await;
        let first = Flight::begin(&pace);
        let second = Flight::begin(&pace);
        pace.wrote(true);
        drop(first);
        assert_eq!(pace.posture(), Posture::Busy);
        drop(second);
        assert_eq!(pace.posture(), Posture::Busy);
        tokio::time::advance(Duration::from_secs(1)).await;
        pace.flushed();
        let quiet = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        // A ping, say.
        pace.wrote(true);
        assert_eq!(pace.posture(), Posture::Busy);
        pace.flushed();
        assert_eq!(pace.posture(), Posture::Quiet(quiet));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_asks_for_more_holds_the_connection() {
        let pace = Arc::new(Pace::new());
        let (mut one, mut other) = (Flight::begin(&pace), Flight::begin(&pace));
        assert_eq!(pace.posture(), Posture::Busy);
        one.gave();
        let given = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        other.gave();
        assert_eq!(pace.posture(), Posture::Held(given));
        // It is the connection that is full, and not the peer that makes no room on it.
        pace.wrote(false);
        assert_eq!(pace.posture(), Posture::Busy);
        pace.wrote(true);
        assert_eq!(pace.posture(), Posture::Held(Instant::now()));
        one.asked();
        assert_eq!(pace.posture(), Posture::Held(Instant::now()));
        drop(other);
        assert_eq!(pace.posture(), Posture::Busy);
    }
}

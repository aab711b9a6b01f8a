//! [`Flight`]: a block that is being decoded, for all who want it.

use std::sync::Arc;

use super::engine::{Engine, Flown};

/// One block's way; its drop takes it off the board.
pub(super) struct Flight {
    engine: Arc<Engine>,
    start: u64,
    blocks: usize,
    has_landed: bool,
}

impl Flight {
    /// The way of the block that begins at `start`; so many `blocks` are wanted from there on.
    pub(super) fn new(engine: &Arc<Engine>, start: u64, blocks: usize) -> Self {
        Self { engine: Arc::clone(engine), start, blocks, has_landed: false }
    }

    /// Decodes until nobody wants it any more, or it is there.
    pub(super) async fn fly(mut self) {
        loop {
            let flown = self.engine.decode(self.start, self.blocks, || self.is_wanted()).await.transpose();
            if self.land(flown) {
                return;
            }
        }
    }

    /// Ends the flight with what has flown. False where nobody had waited, and somebody does by now.
    fn land(&mut self, flown: Option<Flown>) -> bool {
        // Under the lock: who joins finds what has flown, or begins anew.
        let mut flights = self.engine.flights();
        let is_wanted = flights.get(&self.start).is_some_and(|flight| flight.receiver_count() > 0);
        if flown.is_none() && is_wanted {
            return false;
        }
        let flight = flights.remove(&self.start);
        drop(flights);
        self.has_landed = true;
        if let (Some(flight), Some(flown)) = (flight, flown) {
            flight.send_replace(Some(flown));
        }
        true
    }

    fn is_wanted(&self) -> bool {
        self.engine.flights().get(&self.start).is_some_and(|flight| flight.receiver_count() > 0)
    }
}

impl Drop for Flight {
    /// A flight that was broken off leaves its place; one that has landed may have a successor there.
    fn drop(&mut self) {
        if !self.has_landed {
            self.engine.flights().remove(&self.start);
        }
    }
}

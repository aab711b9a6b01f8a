//! Places for what costs a core for as long as it lasts: hashes of files.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::serve::{Census, Peer, Resident};

/// Files that one listener hashes at once; one more is answered 450.
const MAX_HASHES: usize = 4;

/// Those of them that are for one address, so that none keeps all others from it.
const MAX_HASHES_PER_ADDRESS: usize = 2;

/// The places of a listener.
#[derive(Debug)]
pub(super) struct Desks {
    free: Arc<Semaphore>,
    census: Census,
}

/// One place; its drop gives it back.
#[derive(Debug)]
pub(super) struct Desk {
    _permit: OwnedSemaphorePermit,
    _resident: Option<Resident>,
}

impl Desks {
    pub(super) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(MAX_HASHES)), census: Census::new(MAX_HASHES_PER_ADDRESS) }
    }

    /// A place for `peer`; `None` where it has as many as it may, or all are taken.
    pub(super) fn take(&self, peer: Peer) -> Option<Desk> {
        let resident = self.census.enter(peer).ok()?;
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Desk { _permit: permit, _resident: resident })
    }
}

//! Counts connections by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::Peer;

/// Who is connected, and how often. It holds an entry for each address that is connected now and no other, so it is
/// bounded by the listener's connections.
#[derive(Clone, Debug)]
pub(crate) struct Census {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    per_address: usize,
}

/// One connection in the census; dropping it takes the connection out.
#[derive(Debug)]
pub(crate) struct Resident {
    census: Census,
    address: IpAddr,
}

/// There are as many connections as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Census {
    pub(crate) fn new(per_address: usize) -> Self {
        Self { counts: Arc::default(), per_address }
    }

    /// Counts one connection more from `peer`, where it has an address.
    ///
    /// # Errors
    /// [`Full`] where it has as many as it may.
    pub(crate) fn enter(&self, peer: Peer) -> Result<Option<Resident>, Full> {
        match peer {
            Peer::Host(address) => self.admit(address).map(Some).ok_or(Full),
            Peer::Local => Ok(None),
        }
    }

    /// Counts one connection more from `address`; `None` where it has as many as it may.
    fn admit(&self, address: IpAddr) -> Option<Resident> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Resident { census: self.clone(), address })
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        let mut counts = self.census.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_resident_leaves() {
        let census = Census::new(2);
        let address = IpAddr::from([127, 0, 0, 1]);
        let first = census.admit(address).unwrap();
        let _second = census.admit(address).unwrap();
        assert!(census.admit(address).is_none());
        assert!(census.admit(IpAddr::from([127, 0, 0, 2])).is_some());
        drop(first);
        assert!(census.admit(address).is_some());
        assert_eq!(census.counts.lock().unwrap().len(), 1);
    }
}

//! What a tree in memory may use: [`Budget`], and [`Charge`], a part of it that is given back on drop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ErrorKind;

/// Bytes that a tree may use, and those it does use.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: AtomicU64,
}

/// A part of a budget. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl Charge {
    /// Takes `bytes` of the budget; `StorageFull` where less is left.
    pub(super) fn new(budget: &Arc<Budget>, bytes: u64) -> Result<Self, ErrorKind> {
        let mut charge = Self { budget: Arc::clone(budget), bytes: 0 };
        charge.grow(bytes)?;
        Ok(charge)
    }

    /// Takes `bytes` more; where less is left nothing changes and it is `StorageFull`.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), ErrorKind> {
        let limit = self.budget.limit;
        let within = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.budget
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .map_err(|_| ErrorKind::StorageFull)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives `bytes` back, or all there are.
    pub(super) fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_taken_whole_or_not_at_all_and_given_back() {
        let budget = Arc::new(Budget::new(10));
        let mut first = Charge::new(&budget, 6).unwrap();
        assert_eq!(Charge::new(&budget, 5).unwrap_err(), ErrorKind::StorageFull);
        assert_eq!(first.grow(u64::MAX).unwrap_err(), ErrorKind::StorageFull);
        assert_eq!(budget.used(), 6);
        first.shrink(4);
        let second = Charge::new(&budget, 8).unwrap();
        assert_eq!(budget.used(), 10);
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }
}

//! [`RetryBudget`]: how often a site may be asked again.
//!
//! A site that is in trouble gets worse when each of its clients asks three times. So asking again is paid for by the
//! requests that went well: a tenth of one for each, and never more at once than the purse holds.

use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::Duration;

/// What the purse holds at most, and at first, in tenths of a retry.
const PURSE: u32 = 100;

/// What asking again costs, in tenths.
const PRICE: u32 = 10;

/// Delay before the first asking again; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// Longest delay before asking again.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// The purse of one site.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    tenths: Mutex<u32>,
    seed: RandomState,
}

impl RetryBudget {
    /// A full purse.
    pub(crate) fn new() -> Self {
        Self { tenths: Mutex::new(PURSE), seed: RandomState::new() }
    }

    /// A request went well.
    pub(crate) fn earn(&self) {
        let mut tenths = self.lock();
        *tenths = (*tenths + 1).min(PURSE);
    }

    /// Pays for asking again after `failures` failures in a row. Gives the delay, between half of it and the whole so
    /// that those who failed together do not come back together; `None`: the purse is empty.
    pub(crate) fn spend(&self, failures: u32) -> Option<Duration> {
        let mut tenths = self.lock();
        *tenths = tenths.checked_sub(PRICE)?;
        let rolled = self.seed.hash_one((*tenths, failures));
        let full = FIRST_DELAY.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_DELAY);
        let half = full / 2;
        Some(half + half.mul_f64((rolled % 1024) as f64 / 1024.0))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u32> {
        self.tenths.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_again_is_paid_for_by_what_went_well() {
        let budget = RetryBudget::new();
        let paid = std::iter::from_fn(|| budget.spend(1)).count();
        assert_eq!(paid, 10);
        (0..9).for_each(|_| budget.earn());
        assert_eq!(budget.spend(1), None);
        budget.earn();
        assert!(budget.spend(1).is_some());
    }

    #[test]
    fn delays_grow_to_a_bound_and_are_not_all_alike() {
        for (failures, full) in [(1, 100), (2, 200), (3, 400), (6, 2000), (40, 2000)] {
            let delay = RetryBudget::new().spend(failures).unwrap().as_millis();
            assert!((full / 2..=full).contains(&delay), "{failures}: {delay} ms");
        }
        let rolled: std::collections::BTreeSet<_> =
            (0..20).map(|_| RetryBudget::new().spend(5).unwrap()).collect();
        assert!(rolled.len() > 1);
    }
}

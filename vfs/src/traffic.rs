//! [`Traffic`]: what one mount asked of its source, and what came of it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one mount. Its backend counts; whoever made the mount reads them.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
}

/// What a [`Traffic`] has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficTotals {
    /// Questions that were sent to the source, those that were asked again included.
    pub requests: u64,
    /// Bytes of content that came from it.
    pub bytes: u64,
    /// Questions that it did not answer, answered wrongly or broke off; a clear "no" is none.
    pub errors: u64,
}

impl Traffic {
    /// What was counted so far.
    pub fn totals(&self) -> TrafficTotals {
        TrafficTotals {
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }

    /// A question goes out.
    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Content has come.
    pub(crate) fn count_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The source failed.
    pub(crate) fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_counts_its_own() {
        let traffic = Traffic::default();
        traffic.count_request();
        traffic.count_request();
        traffic.count_bytes(7);
        traffic.count_error();
        assert_eq!(traffic.totals(), TrafficTotals { requests: 2, bytes: 7, errors: 1 });
    }
}

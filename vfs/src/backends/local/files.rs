//! [`Files`]: which paths were files a moment ago.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::path::VPath;

/// How many are remembered; a newer one takes the place of an older.
const SLOTS: usize = 1024;

/// For how long.
const MILLIS: u64 = 1000;

/// Bits of a slot that hold when it was learnt, in milliseconds: 17 minutes, then it begins anew.
const TIME_BITS: u32 = 20;

/// Remembers files by a keyed hash of their paths, in a fixed place and without locks. Two paths of one hash are taken for
/// one another: nobody can make such a pair, and all that would come of it is that a look is saved which was needed.
pub(super) struct Files {
    /// The upper bits of a hash, and when; 0 for none.
    slots: Box<[AtomicU64]>,
    keys: RandomState,
    begun: Instant,
}

impl Default for Files {
    fn default() -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { slots, keys: RandomState::new(), begun: Instant::now() }
    }
}

impl Files {
    /// True where `path` was a file a second ago or less.
    pub(super) fn knows(&self, path: &VPath) -> bool {
        let (slot, tag) = self.place(path);
        let held = slot.load(Ordering::Relaxed);
        held >> TIME_BITS == tag >> TIME_BITS && held != 0 && self.age(held) <= MILLIS
    }

    /// `path` is a file now.
    pub(super) fn learn(&self, path: &VPath) {
        let (slot, tag) = self.place(path);
        slot.store(tag | self.millis(), Ordering::Relaxed);
    }

    /// Where `path` is remembered, and as what, without the time.
    fn place(&self, path: &VPath) -> (&AtomicU64, u64) {
        let hash = self.keys.hash_one(path);
        // The lower bits choose the slot, and the upper ones are kept; what both share is lost to the time.
        let at = usize::try_from(hash % SLOTS as u64).unwrap_or(0);
        (&self.slots[at], (hash | 1 << 63) >> TIME_BITS << TIME_BITS)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(0) & ((1 << TIME_BITS) - 1)
    }

    fn age(&self, held: u64) -> u64 {
        self.millis().wrapping_sub(held) & ((1 << TIME_BITS) - 1)
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_is_known_for_a_second() {
        let files = Files::default();
        let path = |text: &str| VPath::parse(text).unwrap();
        assert!(!files.knows(&path("/a")));
        for _ in 0..3 {
            files.learn(&path("/a"));
            tokio::time::advance(Duration::from_millis(999)).await;
            assert!(files.knows(&path("/a")) && !files.knows(&path("/b")));
            tokio::time::advance(Duration::from_millis(2)).await;
            assert!(!files.knows(&path("/a")));
            // Near the end of what a slot's time can say, and over it.
            tokio::time::advance(Duration::from_secs(700)).await;
        }
    }
}

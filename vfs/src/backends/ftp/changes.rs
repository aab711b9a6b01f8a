//! [`Changes`]: what was written through this mount, so that a new content has a new validator within the same second.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::path::VPath;

/// Changed paths that are told apart at most. One more, and all of them count as changed.
const REMEMBERED: usize = 4096;

/// The changes of one mount, counted.
#[derive(Debug, Default)]
pub(super) struct Changes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    /// What a path counts that is not remembered.
    others: u64,
    paths: HashMap<VPath, u64>,
}

impl Changes {
    /// `path` has another content from now on.
    pub(super) fn note(&self, path: &VPath) {
        let mut state = self.lock();
        state.count += 1;
        let count = state.count;
        if state.paths.len() >= REMEMBERED {
            state.paths.clear();
            state.others = count;
        }
        state.paths.insert(path.clone(), count);
    }

    /// Which change `path` had last.
    pub(super) fn of(&self, path: &VPath) -> u64 {
        let state = self.lock();
        state.paths.get(path).copied().unwrap_or(state.others)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_from_every_other() {
        let changes = Changes::default();
        let path = VPath::parse("/a").unwrap();
        assert_eq!(changes.of(&path), 0);
        changes.note(&path);
        assert_eq!(changes.of(&path), 1);
        let mut seen = changes.of(&path);
        for number in 0..REMEMBERED {
            changes.note(&VPath::root().child(number.to_string()).unwrap());
            assert!(changes.of(&path) >= seen, "no change is forgotten");
            seen = changes.of(&path);
        }
        assert!(seen > 1 && changes.lock().paths.len() <= REMEMBERED);
    }
}

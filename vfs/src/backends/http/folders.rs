//! [`Folders`]: what was lately seen to be a folder, so that it is not asked for as if it were a file.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::metadata::{FileType, Metadata};
use crate::path::VPath;

/// Folders that are remembered at most. One more, and all are forgotten: they are only hints.
const REMEMBERED: usize = 4096;

/// How long one is remembered.
const FRESH: Duration = Duration::from_secs(60);

/// Folders of one site.
#[derive(Debug, Default)]
pub(super) struct Folders {
    seen: Mutex<HashMap<VPath, Seen>>,
}

/// When a folder was seen, and what its parent's listing told of it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    modified: Option<SystemTime>,
    is_approximate: bool,
}

impl Folders {
    /// `path`, and all that it lies in, was seen to be a folder.
    pub(super) fn note(&self, path: &VPath) {
        let now = Instant::now();
        let mut seen = self.lock();
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        for count in 1..=path.segments().len() {
            let new = Seen { at: now, modified: None, is_approximate: false };
            seen.entry(path.prefix(count)).or_insert(new).at = now;
        }
    }

    /// `path` was listed as a folder, with what `metadata` tells.
    pub(super) fn note_listed(&self, path: &VPath, metadata: Option<&Metadata>) {
        self.note(path);
        if let (Some(metadata), Some(seen)) = (metadata, self.lock().get_mut(path)) {
            seen.modified = metadata.modified;
            seen.is_approximate = metadata.provenance.approximate;
        }
    }

    /// What is known of the folder `path`: where nothing is, that it is one.
    pub(super) fn describe(&self, path: &VPath) -> Metadata {
        let mut metadata = Metadata::new(FileType::Dir);
        if let Some(seen) = self.lock().get(path).filter(|seen| seen.at.elapsed() < FRESH) {
            metadata.modified = seen.modified;
            metadata.provenance.approximate = seen.is_approximate;
        }
        metadata
    }

    /// True where `path` was seen to be a folder a moment ago.
    pub(super) fn holds(&self, path: &VPath) -> bool {
        self.lock().get(path).is_some_and(|seen| seen.at.elapsed() < FRESH)
    }

    /// `path` is none, or not any more.
    pub(super) fn forget(&self, path: &VPath) {
        self.lock().remove(path);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<VPath, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_folder_is_remembered_for_a_minute_with_what_it_lies_in() {
        let folders = Folders::default();
        let path = |text| VPath::parse(text).unwrap();
        folders.note(&path("/a/b"));
        assert!(folders.holds(&path("/a")) && folders.holds(&path("/a/b")));
        assert!(!folders.holds(&path("/a/b/c")));
        folders.forget(&path("/a/b"));
        assert!(!folders.holds(&path("/a/b")) && folders.holds(&path("/a")));
        tokio::time::advance(FRESH).await;
        assert!(!folders.holds(&path("/a")));
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let folders = Folders::default();
        for number in 0..2 * REMEMBERED {
            folders.note(&VPath::root().child(number.to_string()).unwrap());
        }
        assert!(folders.lock().len() <= REMEMBERED);
    }
}

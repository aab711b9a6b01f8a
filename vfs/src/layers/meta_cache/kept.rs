//! The descriptions that are kept, and what a change makes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;

use super::MetaCacheOptions;
use crate::error::{ErrorKind, Result};
use crate::file_system::DirEntry;
use crate::metadata::{CacheStatus, Metadata};
use crate::path::VPath;

/// What is kept, by path and by whether a link there was followed.
#[derive(Debug)]
pub(super) struct Kept {
    options: MetaCacheOptions,
    entries: DashMap<(VPath, bool), Entry>,
    /// Counts changes: an answer that was under way during one is not kept.
    changes: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    answer: Result<Metadata>,
    at: Instant,
}

/// A kept answer, with its age.
pub(super) struct Found {
    answer: Result<Metadata>,
    age: Duration,
    pub(super) fresh: bool,
}

impl Found {
    pub(super) fn into_answer(self) -> Result<Metadata> {
        let mut metadata = self.answer?;
        let provenance = &mut metadata.provenance;
        provenance.age = Some(provenance.age.unwrap_or_default() + self.age);
        provenance.cache = if self.fresh { CacheStatus::Hit } else { CacheStatus::Stale };
        Ok(metadata)
    }
}

impl Kept {
    pub(super) fn new(options: MetaCacheOptions) -> Self {
        Self { options, entries: DashMap::new(), changes: AtomicU64::new(0) }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What is kept of `path`. "Missing" counts only while it is fresh.
    pub(super) fn find(&self, path: &VPath, follow: bool) -> Option<Found> {
        let entry = self.entries.get(&(path.clone(), follow))?;
        let age = entry.at.elapsed();
        let fresh = self.is_fresh(&entry);
        (fresh || entry.answer.is_ok()).then(|| Found { answer: entry.answer.clone(), age, fresh })
    }

    fn is_fresh(&self, entry: &Entry) -> bool {
        let limit = if entry.answer.is_ok() { self.options.fresh } else { self.options.missing };
        entry.at.elapsed() < limit
    }

    /// Keeps an answer, unless something changed since it was asked for.
    pub(super) fn keep(&self, since: u64, path: &VPath, follow: bool, answer: &Result<Metadata>) {
        let lasting = match answer {
            Ok(metadata) => !metadata.provenance.provisional,
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        if !lasting || self.options.entries == 0 {
            return;
        }
        self.make_room();
        let key = (path.clone(), follow);
        self.entries.insert(key.clone(), Entry { answer: answer.clone(), at: Instant::now() });
        // Looked at after the insertion: a change in between finds the entry, or is seen here.
        if self.changes() != since {
            self.entries.remove(&key);
        }
    }

    pub(super) fn keep_listed(&self, since: u64, folder: &VPath, entry: &DirEntry) {
        let (Some(metadata), Ok(path)) = (&entry.metadata, folder.child(entry.name.clone())) else { return };
        let answer = Ok(metadata.clone());
        self.keep(since, &path, false, &answer);
        if !metadata.is_symlink() {
            self.keep(since, &path, true, &answer);
        }
    }

    /// A full cache is swept at once, so that room is made rarely: a quarter of it is free then.
    fn make_room(&self) {
        if self.entries.len() < self.options.entries {
            return;
        }
        let mut left = self.options.entries / 4 * 3;
        self.entries.retain(|_, entry| {
            let stays = left > 0 && self.is_fresh(entry);
            left -= usize::from(stays);
            stays
        });
    }

    pub(super) fn change(self: &Arc<Self>, path: &VPath) -> Change {
        Change { kept: Arc::clone(self), path: path.clone(), subtree: false }
    }

    fn forget(&self, path: &VPath, subtree: bool) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        let parent = path.parent();
        if subtree {
            self.entries.retain(|(kept, _), _| !kept.starts_with(path) && Some(kept) != parent.as_ref());
            return;
        }
        for follow in [false, true] {
            self.entries.remove(&(path.clone(), follow));
            if let Some(parent) = &parent {
                self.entries.remove(&(parent.clone(), follow));
            }
        }
    }
}

/// A change under way: when it ends, however it ends, what was known of the path and of its folder is forgotten.
#[derive(Debug)]
pub(super) struct Change {
    kept: Arc<Kept>,
    path: VPath,
    subtree: bool,
}

impl Change {
    pub(super) fn of_subtree(mut self) -> Self {
        self.subtree = true;
        self
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.kept.forget(&self.path, self.subtree);
    }
}

//! Keeping house: how much is kept, and what goes when it gets too much.

use std::collections::HashSet;
use std::fs;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use dashmap::DashMap;

use super::{Key, Removal, Store, Usage, allocated, run_of};

/// How much a store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes on the disk. Past them what was used longest ago goes, until a tenth is free. Default 10 GiB.
    pub bytes: u64,
    /// Bytes that stay free on the file system, for others. Default 512 MiB.
    pub keep_free: u64,
    /// Bytes a second that all mirrors of the store fetch together. Default: as many as come.
    pub download: Option<NonZeroU64>,
}

/// Part of the bytes that is free after an eviction: a tenth.
const FREED_PART: u64 = 10;

/// Bytes written between two looks at the file system's free space.
const LOOK_BYTES: u64 = 64 << 20;

/// What is known of everything that is kept: some 50 bytes an entry.
#[derive(Debug)]
pub(super) struct House {
    options: StoreOptions,
    kept: DashMap<Key, Use>,
    bytes: AtomicU64,
    /// Bytes written since the file system was asked for its free space.
    unseen: AtomicU64,
    is_evicting: AtomicBool,
    /// Nothing more can go, and too much is there: nothing more is kept.
    is_full: AtomicBool,
}

/// What one entry takes, and when it was used last.
#[derive(Clone, Copy, Debug)]
struct Use {
    /// In units of 4 KiB: up to 16 TiB.
    pages: u32,
    /// Seconds since 1970.
    used: u32,
    /// It stays.
    is_pinned: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { bytes: 10 << 30, keep_free: 512 << 20, download: None }
    }
}

impl House {
    pub(super) fn new(options: StoreOptions) -> Self {
        Self {
            options,
            kept: DashMap::new(),
            bytes: AtomicU64::new(0),
            unseen: AtomicU64::new(LOOK_BYTES),
            is_evicting: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
        }
    }

    pub(super) fn usage(&self) -> Usage {
        Usage { entries: self.kept.len() as u64, bytes: self.bytes.load(Ordering::Relaxed) }
    }

    pub(super) fn holds(&self, key: Key) -> bool {
        self.kept.contains_key(&key)
    }

    /// Notes what `key` takes now.
    pub(super) fn account(&self, key: Key, bytes: u64, is_pinned: bool, now: SystemTime) {
        let now = Use { pages: pages(bytes), used: seconds(now), is_pinned };
        let before = self.kept.insert(key, now).map_or(0, |before| before.pages);
        let (now, before) = (bytes_of(now.pages), bytes_of(before));
        self.bytes.fetch_add(now, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
        self.unseen.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
    }

    /// Notes that `key` was used.
    pub(super) fn touch(&self, key: Key, now: SystemTime) {
        if let Some(mut kept) = self.kept.get_mut(&key) {
            kept.used = seconds(now);
        }
    }

    /// Notes whether `key` stays.
    pub(super) fn pin(&self, key: Key, is_pinned: bool) {
        if let Some(mut kept) = self.kept.get_mut(&key) {
            kept.is_pinned = is_pinned;
        }
    }

    /// True where a file of `len` bytes, as far as that is known, may be kept.
    pub(super) fn has_room(&self, len: u64) -> bool {
        len <= self.options.bytes && !self.is_full.load(Ordering::Relaxed)
    }

    pub(super) fn forget(&self, key: Key) {
        if let Some((_, gone)) = self.kept.remove(&key) {
            self.bytes.fetch_sub(bytes_of(gone.pages), Ordering::Relaxed);
        }
    }

    /// Bytes that have to go; 0: all is well.
    fn excess(&self, folder: &Path) -> u64 {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let goal = self.options.bytes - self.options.bytes / FREED_PART;
        let over = if bytes > self.options.bytes { bytes - goal } else { 0 };
        let is_full = self.is_full.load(Ordering::Relaxed);
        if over == 0 && !is_full && self.unseen.load(Ordering::Relaxed) < LOOK_BYTES {
            return 0;
        }
        self.unseen.store(0, Ordering::Relaxed);
        let free = rustix::fs::statvfs(folder)
            .map_or(u64::MAX, |found| found.f_bavail.saturating_mul(found.f_frsize));
        over.max(self.options.keep_free.saturating_sub(free))
    }

    /// What was used longest ago, as many as take `excess` bytes, but for what stays.
    fn oldest(&self, mut excess: u64) -> Vec<Key> {
        let free = self.kept.iter().filter(|kept| !kept.is_pinned);
        let mut kept: Vec<_> = free.map(|kept| (kept.used, *kept.key(), kept.pages)).collect();
        kept.sort_unstable();
        let goes = kept.into_iter().take_while(|(_, _, pages)| {
            let goes = excess > 0;
            excess = excess.saturating_sub(bytes_of(*pages));
            goes
        });
        let goes = goes.map(|(_, key, _)| key).collect();
        if self.is_full.swap(excess > 0, Ordering::Relaxed) != (excess > 0) {
            tracing::warn!(is_full = excess > 0, "whether the cache has room for more");
        }
        goes
    }
}

impl Store {
    /// Lets go of what was used longest ago, where too much is kept. One job at a time; the caller does not wait.
    pub(in crate::layers::mirror) fn keep_house(self: &Arc<Self>) {
        if self.house.excess_is_possible() && !self.house.is_evicting.swap(true, Ordering::AcqRel) {
            let store = Arc::clone(self);
            tokio::spawn(async move {
                store.evict().await;
                store.house.is_evicting.store(false, Ordering::Release);
            });
        }
    }

    /// What stays of the records whose keys begin so.
    async fn pinned(&self, first: u8) -> HashSet<Key> {
        let records = self.records(first).await.unwrap_or_default();
        let stays = records.into_iter().filter(|(_, record)| self.pins.hold(&record.source, &record.path));
        stays.map(|(key, _)| key).collect()
    }

    async fn evict(self: &Arc<Self>) {
        let store = Arc::clone(self);
        let found = self.disk.run("remove_file", move || {
            let excess = store.house.excess(&store.folder);
            let keys = store.house.oldest(excess);
            if excess > 0 {
                tracing::info!(
                    entries = keys.len(),
                    bytes = excess,
                    "the cache lets go of what was used longest ago"
                );
            }
            keys
        });
        for key in found.await.unwrap_or_default() {
            let folder = self.folder.join("o").join(&key.to_string()[..2]);
            self.house.forget(key);
            let removed = self.disk.run("remove_file", move || drop(Removal(files_of(&folder, key)))).await;
            if removed.is_err() {
                return;
            }
        }
    }
}

impl House {
    fn excess_is_possible(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.options.bytes
            || self.unseen.load(Ordering::Relaxed) >= LOOK_BYTES
            || self.is_full.load(Ordering::Relaxed)
    }
}

/// Counts what lies in the folder, one folder a job, beside everything else. Data without a record goes.
pub(super) fn survey(store: &Arc<Store>) {
    let store = Arc::downgrade(store);
    tokio::spawn(async move {
        for first in 0..=0xff_u8 {
            let Some(store) = Weak::upgrade(&store) else { return };
            let folder = store.folder.join("o").join(format!("{first:02x}"));
            let run = store.run;
            let found = store.disk.run("read_dir", move || survey_folder(&folder, run)).await;
            let pinned = if store.pins.is_empty() { HashSet::new() } else { store.pinned(first).await };
            for (key, bytes, used) in found.unwrap_or_default() {
                // What was saved meanwhile is known better.
                if !store.house.kept.contains_key(&key) {
                    store.house.account(key, bytes, pinned.contains(&key), used);
                }
            }
        }
        if let Some(store) = store.upgrade() {
            let Usage { entries, bytes } = store.usage();
            tracing::info!(folder = %store.folder.display(), entries, bytes, "the cache is counted");
            store.keep_house();
        }
    });
}

fn survey_folder(folder: &Path, run: u64) -> Vec<(Key, u64, SystemTime)> {
    let mut found: Vec<(Key, u64, SystemTime)> = Vec::new();
    let mut data = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some((stem, kind)) = name.to_str().and_then(|name| name.rsplit_once('.')) else { continue };
        let Some(key) = stem.get(..32).and_then(Key::parse) else { continue };
        if kind == "data" {
            let generation = stem.get(33..).and_then(|text| u64::from_str_radix(text, 16).ok());
            data.push((key, generation, entry.path()));
        } else if let Ok(status) = entry.metadata() {
            found.push((key, allocated(&entry.path()), status.modified().unwrap_or(SystemTime::UNIX_EPOCH)));
        }
    }
    found.sort_unstable();
    for (key, generation, path) in data {
        let is_of_now = generation.is_some_and(|generation| run_of(generation) == run);
        match found.binary_search_by_key(&key, |(key, ..)| *key) {
            Ok(at) => found[at].1 += allocated(&path),
            // A record is written a little later than its first bytes.
            Err(_) if is_of_now => {}
            Err(_) => drop(Removal(vec![path])),
        }
    }
    found
}

fn files_of(folder: &Path, key: Key) -> Vec<std::path::PathBuf> {
    let start = key.to_string();
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry: &fs::DirEntry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with(&start))
        })
        .map(|entry| entry.path())
        .collect()
}

fn pages(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(4096)).unwrap_or(u32::MAX)
}

fn bytes_of(pages: u32) -> u64 {
    u64::from(pages) * 4096
}

fn seconds(time: SystemTime) -> u32 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

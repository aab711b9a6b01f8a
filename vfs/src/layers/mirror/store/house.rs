//! Keeping house: how much is kept, and what goes when it gets too much.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use dashmap::DashMap;

use super::folder::{Folder, Room};
use super::{Key, Store, Usage};

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

/// Bytes written between two looks at the file system's free space, at most and at least; in between half of what is free
/// for us.
const LOOK_BYTES: RangeInclusive<u64> = (1 << 20)..=(64 << 20);

/// How often the time of the last use of what is used all the time is noted on the disk.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// What is known of everything that is kept: some 70 bytes an entry.
#[derive(Debug)]
pub(super) struct House {
    options: StoreOptions,
    kept: DashMap<Key, Use>,
    bytes: AtomicU64,
    /// Bytes that may be written before the file system is asked for its free space again.
    patience: AtomicU64,
    /// The system has refused to write.
    is_starved: AtomicBool,
    is_evicting: AtomicBool,
    /// Nothing more can go, and too much is there: nothing more is kept.
    is_full: AtomicBool,
}

/// What one entry takes, and when it was used last.
#[derive(Clone, Copy, Debug)]
struct Use {
    /// In units of 4 KiB: up to 16 TiB.
    pages: u32,
    /// Milliseconds since 1970.
    used: u64,
    /// When that was noted on the disk.
    noted: u64,
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
            patience: AtomicU64::new(0),
            is_starved: AtomicBool::new(false),
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
        let now = millis(now);
        let now = Use { pages: pages(bytes), used: now, noted: now, is_pinned };
        let before = self.kept.insert(key, now).map_or(0, |before| before.pages);
        let (now, before) = (bytes_of(now.pages), bytes_of(before));
        self.bytes.fetch_add(now, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
        let more = now.saturating_sub(before);
        _ = self
            .patience
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(more)));
    }

    /// Notes that `key` was used. True where that is to be noted on the disk too.
    pub(super) fn touch(&self, key: Key, now: SystemTime) -> bool {
        let Some(mut kept) = self.kept.get_mut(&key) else { return false };
        kept.used = millis(now);
        let is_due = u128::from(kept.used.saturating_sub(kept.noted)) >= NOTE_EVERY.as_millis();
        if is_due {
            kept.noted = kept.used;
        }
        is_due
    }

    /// Notes that the system has refused to write: something has to go, whatever the counts say.
    pub(super) fn starve(&self) {
        self.is_starved.store(true, Ordering::Relaxed);
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
    fn excess(&self, folder: &Folder) -> u64 {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let part = self.options.bytes / FREED_PART;
        let over = if bytes > self.options.bytes { bytes - (self.options.bytes - part) } else { 0 };
        let starved =
            if self.is_starved.swap(false, Ordering::Relaxed) { part.min(bytes / FREED_PART) } else { 0 };
        let free = folder.free_bytes().unwrap_or(u64::MAX);
        let ours = free.saturating_sub(self.options.keep_free);
        self.patience.store((ours / 2).clamp(*LOOK_BYTES.start(), *LOOK_BYTES.end()), Ordering::Relaxed);
        over.max(starved).max(self.options.keep_free.saturating_sub(free))
    }

    /// What may go, with its bytes: what was used longest ago first.
    fn oldest(&self) -> Vec<(Key, u64)> {
        let free = self.kept.iter().filter(|kept| !kept.is_pinned);
        let mut kept: Vec<_> = free.map(|kept| (kept.used, *kept.key(), kept.pages)).collect();
        kept.sort_unstable();
        kept.into_iter().map(|(_, key, pages)| (key, bytes_of(pages))).collect()
    }

    fn excess_is_possible(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.options.bytes
            || self.patience.load(Ordering::Relaxed) == 0
            || self.is_starved.load(Ordering::Relaxed)
            || self.is_full.load(Ordering::Relaxed)
    }

    /// Notes whether nothing more can go, although too much is there.
    fn be_full(&self, is_full: bool) {
        match (self.is_full.swap(is_full, Ordering::Relaxed), is_full) {
            (false, true) => tracing::warn!("the cache is full: what does not fit is passed through"),
            (true, false) => tracing::info!("the cache has room again"),
            (false, false) | (true, true) => {}
        }
    }
}

impl Store {
    /// Lets go of what was used longest ago, where too much is kept. One job at a time; the caller does not wait.
    pub(in crate::layers::mirror) fn keep_house(self: &Arc<Self>) {
        let is_due = self.house.excess_is_possible() && !self.folder.is_read_only();
        if is_due && !self.house.is_evicting.swap(true, Ordering::AcqRel) {
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

    /// What somebody reads stays, and its bytes count: a file that is open takes its place whether it has a name or not.
    async fn evict(self: &Arc<Self>) {
        let store = Arc::clone(self);
        let looked = self.disk.run("metadata", move || {
            let excess = store.house.excess(&store.folder);
            (excess, if excess > 0 { store.house.oldest() } else { Vec::new() })
        });
        let Ok((mut excess, oldest)) = looked.await else { return };
        let (goal, mut entries) = (excess, 0_u64);
        for (key, bytes) in oldest {
            if excess == 0 {
                break;
            }
            if !self.at_hand.let_go(key) {
                continue;
            }
            self.house.forget(key);
            let folder = Arc::clone(&self.folder);
            let removed = self.disk.run("remove_file", move || remove_all(&folder, key)).await;
            if removed.is_err() {
                return;
            }
            excess = excess.saturating_sub(bytes);
            entries += 1;
        }
        if goal > 0 {
            tracing::info!(entries, bytes = goal, "the cache lets go of what was used longest ago");
        }
        self.house.be_full(excess > 0);
    }
}

/// Counts what lies in the folder, one folder a job, beside everything else. Data without a record goes.
pub(super) fn survey(store: &Arc<Store>) {
    let store = Arc::downgrade(store);
    tokio::spawn(async move {
        for first in 0..=0xff_u8 {
            let Some(store) = Weak::upgrade(&store) else { return };
            let counted = Arc::clone(&store);
            let found = store.disk.run("read_dir", move || counted.survey_folder(first)).await;
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
            tracing::info!(folder = %store.folder.place().display(), entries, bytes, "the cache is counted");
            store.keep_house();
        }
    });
}

impl Store {
    /// What lies under the keys that begin so, what it takes, and when it was used. Blocks.
    fn survey_folder(&self, first: u8) -> Vec<(Key, u64, SystemTime)> {
        let (folder, room) = (&self.folder, Room::Kept(first));
        let (mut found, mut data) = (Vec::new(), Vec::new());
        for name in folder.names(room) {
            let Some((stem, kind)) = name.rsplit_once('.') else { continue };
            let Some(key) = stem.get(..32).and_then(Key::parse) else { continue };
            if kind == "data" {
                let generation = stem.get(33..).and_then(|text| u64::from_str_radix(text, 16).ok());
                data.push((key, generation, name));
            } else if let Some(status) = folder.status(room, &name) {
                found.push((key, status.allocated, status.modified));
            }
        }
        found.sort_unstable();
        for (key, generation, name) in data {
            match found.binary_search_by_key(&key, |(key, ..)| *key) {
                Ok(at) => {
                    found[at].1 += folder.status(room, &name).map_or(0, |status| status.allocated);
                }
                // A record is written a little later than its first bytes.
                Err(_) if generation.is_some_and(|generation| self.holds.has(key, generation)) => {}
                Err(_) => drop(self.removal(key, vec![name])),
            }
        }
        found
    }
}

/// Removes all that lies under `key`. Blocks.
fn remove_all(folder: &Folder, key: Key) {
    let (room, start) = (Room::of(key), key.to_string());
    for name in folder.names(room).iter().filter(|name| name.starts_with(&start)) {
        if let Err(error) = folder.remove(room, name) {
            tracing::warn!(name, %error, "a file of the cache could not be removed");
        }
    }
}

fn pages(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(4096)).unwrap_or(u32::MAX)
}

fn bytes_of(pages: u32) -> u64 {
    u64::from(pages) * 4096
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

//! [`Store`]: the folder in which mirrors keep what they fetched.
//!
//! ```text
//! FOLDER/v1/lock                     held with flock(2) by the process that uses the folder
//! FOLDER/v1/pins                     what is never let go of (pins.rs)
//! FOLDER/v1/tmp/                     records under way; emptied at the start
//! FOLDER/v1/o/ab/<key>.meta          one record a kept path (record.rs)
//! FOLDER/v1/o/ab/<key>-<gen>.data    the bytes of one version, sparse where blocks are missing
//! ```
//!
//! `<key>` is 32 hexadecimal digits, `ab` its first two, `<gen>` 16. A version's file is only ever added to, by the one that
//! has it in hand (data.rs); another version has another file, and who reads the old one goes on. A record names what lies
//! in its file and what each block sums to, and is replaced by rename(2) after the bytes were written. Nothing is synced, and
//! disks forget: what another run has kept is believed block by block when its sum was seen to fit. A run is a number drawn
//! at its start, so that no folder, wherever it was copied from, has records of it. A folder that is deleted, or parts of
//! it, costs fetching and nothing else. One that cannot be written serves what lies in it.

mod blocks;
mod data;
mod folder;
mod house;
mod key;
mod pins;
mod record;

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::time::Instant;

pub(super) use self::blocks::{BLOCK_BYTES, Blocks};
pub(super) use self::data::Data;
use self::data::{Holds, name_of};
use self::folder::{Folder, Room};
use self::house::House;
pub use self::house::StoreOptions;
pub(super) use self::key::{Key, Part};
use self::pins::Pins;
pub(super) use self::record::{Kind, Record};
use super::holding::AtHand;
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::Disk;
use crate::path::VPath;
use crate::producer::Rate;

/// A cache folder, in use by this process alone. See the module's head for what lies in it.
#[derive(Debug)]
pub struct Store {
    folder: Arc<Folder>,
    disk: Disk,
    run: u64,
    /// Names the next version.
    counter: AtomicU64,
    holds: Holds,
    house: House,
    pins: Pins,
    /// What its mirrors have at hand.
    at_hand: AtHand,
    /// How fast all mirrors fetch together.
    rate: Option<Rate>,
    /// Wall clock and steady clock at the start.
    started: (SystemTime, Instant),
}

impl Store {
    /// Opens the folder, which is made where it is missing. Reads nothing of what is kept: that goes on behind the scenes.
    /// One that is there and cannot be written is read.
    ///
    /// # Errors
    /// `Busy` where another process uses it; else what the system says, with the path.
    pub async fn open(folder: &Path, options: StoreOptions) -> Result<Arc<Self>> {
        let disk = Disk::new();
        let place = folder.join("v1");
        let opened = {
            let place = place.clone();
            disk.run("open", move || {
                let folder = Folder::open(place)?;
                let pins = Pins::open(&folder)?;
                Ok((folder, pins))
            })
        };
        let (folder, pins) = opened.await?.map_err(|error| failure(error, &place))?;
        if folder.is_read_only() {
            tracing::warn!(
                folder = %place.display(),
                "the cache folder cannot be written: what is kept there is served, the rest is passed through"
            );
        }
        let drawn = RandomState::new();
        let store = Arc::new(Self {
            folder: Arc::new(folder),
            disk,
            run: drawn.hash_one("run"),
            counter: AtomicU64::new(drawn.hash_one("generation")),
            holds: Holds::default(),
            house: House::new(options),
            pins,
            at_hand: AtHand::default(),
            rate: options.download.map(Rate::shared),
            started: (SystemTime::now(), Instant::now()),
        });
        house::survey(&store);
        Ok(store)
    }

    /// The time that records are stamped with: the wall clock's at the start, and what has passed since.
    pub(super) fn now(&self) -> SystemTime {
        self.started.0 + self.started.1.elapsed()
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// True where the blocks of `record` were written, or checked, by this run.
    pub(super) fn trusts(&self, record: &Record) -> bool {
        record.run == self.run
    }

    /// What its mirrors have at hand.
    pub(super) fn at_hand(&self) -> &AtHand {
        &self.at_hand
    }

    /// A name for another version's bytes, which no other has.
    pub(super) fn next_generation(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// The record under `key`, where there is one that can be read.
    pub(super) async fn load(&self, key: Key) -> Result<Option<Record>> {
        let folder = Arc::clone(&self.folder);
        let read = self.disk.run("open", move || read_record(&folder, key)).await?;
        let record = read.map_err(|error| self.failure(error))?;
        if record.is_some() {
            self.house.touch(key, self.now());
        }
        Ok(record)
    }

    /// Notes that what is kept under `key` is used, for its being let go of last, also by a later run.
    pub(super) fn touch(self: &Arc<Self>, key: Key) {
        if self.house.touch(key, self.now()) {
            let store = Arc::clone(self);
            tokio::spawn(async move {
                let folder = Arc::clone(&store.folder);
                store
                    .disk
                    .run("set_attributes", move || folder.note_use(Room::of(key), &record_name(key)))
                    .await
            });
        }
    }

    /// Replaces the record under `key`, where the folder can be written. A drop lets it come to its end.
    pub(super) async fn save(self: &Arc<Self>, key: Key, record: &Record) -> Result<()> {
        if self.folder.is_read_only() {
            return Ok(());
        }
        let (bytes, generation) = (record.encode(), record.generation);
        let folder = Arc::clone(&self.folder);
        let saved = self.disk.run("write_at", move || -> io::Result<u64> {
            let (room, name) = (Room::of(key), record_name(key));
            folder.replace(room, &name, &bytes)?;
            let taken = [name, name_of(key, generation)].map(|name| folder.status(room, &name));
            Ok(taken.into_iter().flatten().map(|status| status.allocated).sum())
        });
        let saved = saved.await?;
        if let Ok(bytes) = saved {
            let is_pinned = self.pins.hold(&record.source, &record.path);
            self.house.account(key, bytes, is_pinned, self.now());
        } else {
            self.house.starve();
        }
        self.keep_house();
        saved.map(drop).map_err(|error| self.failure(error))
    }

    /// The records whose keys begin with this byte. Those that cannot be read are left out.
    pub(super) async fn records(&self, first: u8) -> Result<Vec<(Key, Record)>> {
        let folder = Arc::clone(&self.folder);
        let read = move || -> Vec<(Key, Record)> {
            let names = folder.names(Room::Kept(first));
            let keys = names.iter().filter_map(|name| Key::parse(name.strip_suffix(".meta")?));
            let read = keys.filter_map(|key| {
                let mut bytes = Vec::new();
                let file = folder.file(Room::of(key), &record_name(key)).ok()??;
                file.take(record::MAX_BYTES).read_to_end(&mut bytes).ok()?;
                Some((key, Record::decode(&bytes)?))
            });
            read.collect()
        };
        self.disk.run("read_dir", read).await
    }

    pub(super) fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Pins `path` of `source`, or no longer does. What is kept of it already is for [`Store::note_pin`].
    pub(super) async fn pin(
        self: &Arc<Self>,
        source: &Arc<str>,
        path: &VPath,
        is_pinned: bool,
    ) -> Result<()> {
        let (store, of, at) = (Arc::clone(self), Arc::clone(source), path.clone());
        let set =
            self.disk.run("write_at", move || store.pins.set(&store.folder, &of, &at, is_pinned)).await?;
        set.map_err(|error| self.failure(error))
    }

    pub(super) fn note_pin(&self, key: Key, is_pinned: bool) {
        self.house.pin(key, is_pinned);
    }

    /// True where what lies in the folder is served, and nothing is kept.
    pub(super) fn is_read_only(&self) -> bool {
        self.folder.is_read_only()
    }

    /// True where a file of so many bytes may be kept.
    pub(super) fn has_room(&self, len: u64) -> bool {
        !self.folder.is_read_only() && self.house.has_room(len)
    }

    pub(super) fn rate(&self) -> Option<&Rate> {
        self.rate.as_ref()
    }

    /// Makes the file of a version that has none yet.
    pub(super) async fn create_data(&self, key: Key, generation: u64) -> Result<Data> {
        let (folder, holds) = (Arc::clone(&self.folder), self.holds.clone());
        let made = self.disk.run("open", move || Data::create(&folder, &holds, key, generation)).await?;
        made.map_err(|error| self.failure(error))
    }

    /// Opens the file of a version of which something is kept. `None` where it is gone, or in another's hand.
    pub(super) async fn reopen_data(&self, key: Key, generation: u64) -> Result<Option<Data>> {
        let (folder, holds) = (Arc::clone(&self.folder), self.holds.clone());
        let opened = self.disk.run("open", move || Data::reopen(&folder, &holds, key, generation)).await?;
        opened.map_err(|error| self.failure(error))
    }

    /// Removes a version's bytes; who has them open goes on reading.
    pub(super) fn discard_data(&self, key: Key, generation: u64) {
        self.disk.discard(self.removal(key, vec![name_of(key, generation)]));
    }

    /// Removes a version: its bytes, and its record unless that is of another by now.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub(super) async fn remove(&self, key: Key, generation: u64) -> Result<()> {
        if self.folder.is_read_only() {
            return Err(self.failure(io::ErrorKind::ReadOnlyFilesystem.into()));
        }
        let folder = Arc::clone(&self.folder);
        let mut removal = self.removal(key, vec![name_of(key, generation)]);
        let removed = self.disk.run("remove_file", move || {
            let found = read_record(&folder, key).ok().flatten();
            let is_of_another = found.is_some_and(|found| found.generation != generation);
            if !is_of_another {
                removal.names.push(record_name(key));
            }
            is_of_another
        });
        if !removed.await? {
            self.house.forget(key);
        }
        Ok(())
    }

    fn removal(&self, key: Key, names: Vec<String>) -> Removal {
        Removal { folder: Arc::clone(&self.folder), room: Room::of(key), names }
    }

    fn failure(&self, error: io::Error) -> Error {
        failure(error, self.folder.place())
    }

    /// True where something is kept under `key`, as far as the folder is counted by now.
    pub(super) fn holds(&self, key: Key) -> bool {
        self.house.holds(key)
    }

    /// What is kept: paths and bytes on the disk, as far as they are counted by now.
    pub fn usage(&self) -> Usage {
        self.house.usage()
    }
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Records: files, folders, listings, and names that are known to be missing.
    pub entries: u64,
    /// Bytes that they take on the disk; holes take none.
    pub bytes: u64,
}

/// What the record of `key` is called.
fn record_name(key: Key) -> String {
    format!("{key}.meta")
}

fn read_record(folder: &Folder, key: Key) -> io::Result<Option<Record>> {
    let Some(file) = folder.file(Room::of(key), &record_name(key))? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(record::MAX_BYTES).read_to_end(&mut bytes)?;
    // The record's own time is that of its last use, for the next run to know.
    folder.note_use(Room::of(key), &record_name(key));
    let record = Record::decode(&bytes);
    if record.is_none() {
        tracing::warn!(%key, "a record of the cache is damaged or of another version: it is fetched anew");
    }
    Ok(record)
}

/// Files that go with its drop.
struct Removal {
    folder: Arc<Folder>,
    room: Room,
    names: Vec<String>,
}

impl Drop for Removal {
    fn drop(&mut self) {
        if self.folder.is_read_only() {
            return;
        }
        for name in &self.names {
            if let Err(error) = self.folder.remove(self.room, name) {
                tracing::warn!(name, %error, "a file of the cache could not be removed");
            }
        }
    }
}

/// What the cache folder fails with. Never what a source may say of a file: a folder that somebody deleted does not mean
/// that the site has no such file.
fn failure(error: io::Error, place: &Path) -> Error {
    let busy = error.kind() == io::ErrorKind::WouldBlock;
    let detail = if busy {
        format!("another process uses the cache folder {}: give each its own", place.display())
    } else {
        format!("the cache folder, at {}: {error}", place.display())
    };
    let kind = match error.kind() {
        io::ErrorKind::WouldBlock => ErrorKind::Busy,
        io::ErrorKind::StorageFull => ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded => ErrorKind::QuotaExceeded,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => ErrorKind::ReadOnly,
        // What is missing or odd in the folder says nothing of the source.
        _ => ErrorKind::Internal,
    };
    Error::new(kind, "open", &VPath::root()).with_detail(detail).with_source(error)
}

//! [`Store`]: the folder in which mirrors keep what they fetched.
//!
//! ```text
//! FOLDER/v1/lock                     held with flock(2) by the process that uses the folder; its text is the state below
//! FOLDER/v1/pins                     what is never let go of (pins.rs)
//! FOLDER/v1/tmp/                     records under way; emptied at the start
//! FOLDER/v1/o/ab/<key>.meta          one record a kept path (record.rs)
//! FOLDER/v1/o/ab/<key>-<gen>.data    the bytes of one version, sparse where blocks are missing
//! ```
//!
//! `<key>` is 32 hexadecimal digits, `ab` its first two, `<gen>` 16. A version's file is only ever added to; another version
//! has another file, and who reads the old one goes on. A record names what lies in its file and what each block sums to,
//! and is replaced by rename(2) after the bytes were written. Nothing is synced, and disks forget: what an earlier run has
//! kept is believed block by block when its sum was seen to fit. A folder that is deleted, or parts of it, costs fetching
//! and nothing else.
//!
//! The state is `vfsd mirror 1\nrun N\n`: N counts the starts.

mod blocks;
mod house;
mod key;
mod pins;
mod record;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::FlockOperation;
use tokio::time::Instant;

pub(super) use self::blocks::{BLOCK_BYTES, Blocks};
use self::house::House;
pub use self::house::StoreOptions;
pub(super) use self::key::{Key, Part};
use self::pins::Pins;
pub(super) use self::record::{Kind, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::Disk;
use crate::path::VPath;
use crate::producer::{Rate, SpanFile};

/// A generation is the run that made it, and a count below these bits.
const RUN_BITS: u32 = 40;

/// The state is no longer than this.
const STATE_BYTES: u64 = 4096;

/// A cache folder, in use by this process alone. See the module's head for what lies in it.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    disk: Disk,
    /// Held as long as the store is.
    _lock: File,
    run: u64,
    /// Names the next version, the next temporary file.
    counter: AtomicU64,
    house: House,
    pins: Pins,
    /// How fast all mirrors fetch together.
    rate: Option<Rate>,
    /// Wall clock and steady clock at the start.
    started: (SystemTime, Instant),
}

impl Store {
    /// Opens the folder, which is made where it is missing. Reads nothing of what is kept: that goes on behind the scenes.
    ///
    /// # Errors
    /// `Busy` where another process uses it; else what the system says, with the path.
    pub async fn open(folder: &Path, options: StoreOptions) -> Result<Arc<Self>> {
        let disk = Disk::new();
        let folder = folder.join("v1");
        let opened = {
            let folder = folder.clone();
            disk.run("open", move || Opened::new(&folder)).await?
        };
        let opened = opened.map_err(|error| failure(error, &folder))?;
        let store = Arc::new(Self {
            folder,
            disk,
            _lock: opened.lock,
            run: opened.run,
            pins: opened.pins,
            rate: options.download.map(Rate::shared),
            counter: AtomicU64::new(0),
            house: House::new(options),
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

    /// A name for another version's bytes.
    pub(super) fn next_generation(&self) -> u64 {
        self.run << RUN_BITS | self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// The record under `key`, where there is one that can be read.
    pub(super) async fn load(&self, key: Key) -> Result<Option<Record>> {
        let path = self.record_path(key);
        let read = self.disk.run("open", move || read_record(&path)).await?;
        let record = read.map_err(|error| failure(error, &self.record_path(key)))?;
        if record.is_some() {
            self.house.touch(key, self.now());
        }
        Ok(record)
    }

    /// Replaces the record under `key`. A drop lets it come to its end.
    pub(super) async fn save(&self, key: Key, record: &Record) -> Result<()> {
        let bytes = record.encode();
        let (path, part) = (self.record_path(key), self.part_path());
        let data = self.data_path(key, record.generation);
        let saved = self.disk.run("write_at", move || -> io::Result<u64> {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&part, &bytes)?;
            fs::rename(&part, &path).inspect_err(|_| drop(fs::remove_file(&part)))?;
            Ok(allocated(&path) + allocated(&data))
        });
        let bytes = saved.await?.map_err(|error| failure(error, &self.record_path(key)))?;
        let is_pinned = self.pins.hold(&record.source, &record.path);
        self.house.account(key, bytes, is_pinned, self.now());
        Ok(())
    }

    /// The records whose keys begin with this byte. Those that cannot be read are left out.
    pub(super) async fn records(&self, first: u8) -> Result<Vec<(Key, Record)>> {
        let folder = self.folder.join("o").join(format!("{first:02x}"));
        let read = move || -> Vec<(Key, Record)> {
            let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
            let paths = entries.flatten().map(|entry| entry.path());
            let records = paths.filter(|path| path.extension().is_some_and(|kind| kind == "meta"));
            let read = records.filter_map(|path| {
                let key = Key::parse(path.file_stem()?.to_str()?)?;
                let mut bytes = Vec::new();
                File::open(&path).ok()?.take(record::MAX_BYTES).read_to_end(&mut bytes).ok()?;
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
        let set = self.disk.run("write_at", move || store.pins.set(&of, &at, is_pinned)).await?;
        set.map_err(|error| failure(error, &self.folder))
    }

    pub(super) fn note_pin(&self, key: Key, is_pinned: bool) {
        self.house.pin(key, is_pinned);
    }

    /// True where a file of so many bytes may be kept.
    pub(super) fn has_room(&self, len: u64) -> bool {
        self.house.has_room(len)
    }

    pub(super) fn rate(&self) -> Option<&Rate> {
        self.rate.as_ref()
    }

    /// The bytes of a version: made where there are none, and opened for reading and writing.
    pub(super) async fn data(&self, key: Key, generation: u64) -> Result<SpanFile> {
        let path = self.data_path(key, generation);
        let opened = {
            let path = path.clone();
            self.disk.run("open", move || -> io::Result<File> {
                fs::create_dir_all(path.parent().unwrap_or(&path))?;
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)
            })
        };
        opened.await?.map(SpanFile::new).map_err(|error| failure(error, &path))
    }

    /// Removes a version's bytes; who has them open goes on reading.
    pub(super) fn discard_data(&self, key: Key, generation: u64) {
        self.disk.discard(Removal(vec![self.data_path(key, generation)]));
    }

    /// Removes a version: its bytes, and its record unless that is of another by now. `None`: whatever the record is of.
    pub(super) async fn remove(&self, key: Key, generation: Option<u64>) -> Result<()> {
        let (record, data) = (self.record_path(key), generation.map(|of| self.data_path(key, of)));
        let removed = self.disk.run("remove_file", move || {
            let found = read_record(&record).ok().flatten().map(|found| found.generation);
            let is_of_another = generation.is_some() && found.is_some() && found != generation;
            drop(Removal(data.into_iter().chain((!is_of_another).then_some(record)).collect()));
            is_of_another
        });
        if !removed.await? {
            self.house.forget(key);
        }
        Ok(())
    }

    /// True where something is kept under `key`, as far as the folder is counted by now.
    pub(super) fn holds(&self, key: Key) -> bool {
        self.house.holds(key)
    }

    /// What is kept: paths and bytes on the disk, as far as they are counted by now.
    pub fn usage(&self) -> Usage {
        self.house.usage()
    }

    fn record_path(&self, key: Key) -> PathBuf {
        let name = key.to_string();
        self.folder.join("o").join(&name[..2]).join(name + ".meta")
    }

    fn data_path(&self, key: Key, generation: u64) -> PathBuf {
        let name = key.to_string();
        self.folder.join("o").join(&name[..2]).join(format!("{name}-{generation:016x}.data"))
    }

    fn part_path(&self) -> PathBuf {
        self.folder.join("tmp").join(self.counter.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

fn run_of(generation: u64) -> u64 {
    generation >> RUN_BITS
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Records: files, folders, listings, and names that are known to be missing.
    pub entries: u64,
    /// Bytes that they take on the disk; holes take none.
    pub bytes: u64,
}

/// What the start found.
struct Opened {
    lock: File,
    run: u64,
    pins: Pins,
}

impl Opened {
    fn new(folder: &Path) -> io::Result<Self> {
        // What a mirror may read not everybody may.
        DirBuilder::new().recursive(true).mode(0o700).create(folder.join("o"))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("lock"))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let tmp = folder.join("tmp");
        match fs::remove_dir_all(&tmp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&tmp)?,
        }
        let mut text = String::new();
        // What cannot be read as text is no state.
        _ = (&lock).take(STATE_BYTES).read_to_string(&mut text);
        let run = match run_in(&text) {
            Some(run) => run + 1,
            // A new folder, or one whose state is lost: a number that no record in it has.
            None => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                since.as_secs() & (RUNS - 1)
            }
        };
        lock.set_len(0)?;
        lock.rewind()?;
        lock.write_all(format!("{STATE}{run}\n").as_bytes())?;
        Ok(Self { lock, run, pins: Pins::open(folder)? })
    }
}

/// How the state begins; the number of the run follows.
const STATE: &str = "vfsd mirror 1\nrun ";

/// Runs that can be told apart.
const RUNS: u64 = 1 << (u64::BITS - RUN_BITS - 1);

fn run_in(text: &str) -> Option<u64> {
    let number = text.strip_prefix(STATE)?.lines().next()?;
    number.parse().ok().filter(|run| *run < RUNS)
}

fn read_record(path: &Path) -> io::Result<Option<Record>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    (&file).take(record::MAX_BYTES).read_to_end(&mut bytes)?;
    // The record's own time is that of its last use, for the next run to know. Advice: it may not be ours to set.
    _ = file.set_modified(SystemTime::now());
    let record = Record::decode(&bytes);
    if record.is_none() {
        tracing::warn!(path = %path.display(), "a record of the cache is damaged or of another version: it is fetched anew");
    }
    Ok(record)
}

fn allocated(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map_or(0, |found| found.blocks() * 512)
}

/// Files that go with its drop.
struct Removal(Vec<PathBuf>);

impl Drop for Removal {
    fn drop(&mut self) {
        for path in &self.0 {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a file of the cache could not be removed");
                }
                _ => {}
            }
        }
    }
}

fn failure(error: io::Error, path: &Path) -> Error {
    let busy = error.kind() == io::ErrorKind::WouldBlock;
    let detail = if busy {
        format!("another process uses the cache folder {}: give each its own", path.display())
    } else {
        format!("the cache folder, at {}: {error}", path.display())
    };
    let kind = if busy {
        ErrorKind::Busy
    } else {
        let plain = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
        Error::from_io(plain, "open", &VPath::root()).kind()
    };
    Error::new(kind, "open", &VPath::root()).with_detail(detail).with_source(error)
}

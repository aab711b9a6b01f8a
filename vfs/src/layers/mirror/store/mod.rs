//! [`Store`]: the folder in which mirrors keep what they fetched.
//!
//! ```text
//! FOLDER/v1/lock                     held with flock(2) by the process that uses the folder; its text is the state below
//! FOLDER/v1/tmp/                     records under way; emptied at the start
//! FOLDER/v1/o/ab/<key>.meta          one record a kept path (record.rs)
//! FOLDER/v1/o/ab/<key>-<gen>.data    the bytes of one version, sparse where blocks are missing
//! ```
//!
//! `<key>` is 32 hexadecimal digits, `ab` its first two, `<gen>` 16. A version's file is only ever added to; another version
//! has another file, and who reads the old one goes on. A record names what lies in its file and what each block sums to,
//! and is replaced by rename(2) after the bytes were written. Nothing is synced: after a run that did not end well a block is
//! believed when its sum was seen to fit. A folder that is deleted, or parts of it, costs fetching and nothing else.
//!
//! The state is `vfsd mirror 1\nrun N\ntrusted-from M\nopen|closed\n`: N counts the starts, records of runs before M hold
//! blocks that are to be checked.

mod blocks;
mod house;
mod key;
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
pub(super) use self::record::{Kind, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::Disk;
use crate::path::VPath;
use crate::producer::SpanFile;

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
    lock: File,
    run: u64,
    /// Blocks of records of earlier runs are checked before they are believed.
    trusted_from: u64,
    /// Names the next version, the next temporary file.
    counter: AtomicU64,
    house: House,
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
            lock: opened.lock,
            run: opened.run,
            trusted_from: opened.trusted_from,
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

    /// True where the blocks of `record` may be served without being checked.
    pub(super) fn trusts(&self, record: &Record) -> bool {
        record.run >= self.trusted_from
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
        self.house.account(key, bytes, self.now());
        Ok(())
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

impl Drop for Store {
    /// Says that this run ended well. Where that fails, blocks will be checked.
    fn drop(&mut self) {
        if let Err(error) = write_state(&mut self.lock, self.run, self.trusted_from, "closed") {
            tracing::warn!(folder = %self.folder.display(), %error, "the cache could not be closed");
        }
    }
}

/// What the start found.
struct Opened {
    lock: File,
    run: u64,
    trusted_from: u64,
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
        let (run, trusted_from) = match State::parse(&text) {
            Some(State { run, trusted_from, closed: true }) => (run + 1, trusted_from),
            Some(State { run, .. }) => (run + 1, run + 1),
            // A new folder, or one whose state is lost: whatever lies in it is checked.
            None => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                (since.as_secs() & 0x7f_ffff, since.as_secs() & 0x7f_ffff)
            }
        };
        write_state(&mut lock, run, trusted_from, "open")?;
        Ok(Self { lock, run, trusted_from })
    }
}

struct State {
    run: u64,
    trusted_from: u64,
    closed: bool,
}

impl State {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("vfsd mirror 1\n")?;
        let mut lines = rest.lines();
        let run = lines.next()?.strip_prefix("run ")?.parse().ok().filter(|run| *run < 1 << 23)?;
        let trusted_from = lines.next()?.strip_prefix("trusted-from ")?.parse().ok()?;
        Some(Self { run, trusted_from, closed: lines.next()? == "closed" })
    }
}

fn write_state(lock: &mut File, run: u64, trusted_from: u64, state: &str) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(format!("vfsd mirror 1\nrun {run}\ntrusted-from {trusted_from}\n{state}\n").as_bytes())
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
        Error::from_io(io::Error::from(error.kind()), "open", &VPath::root()).kind()
    };
    Error::new(kind, "open", &VPath::root()).with_detail(detail).with_source(error)
}

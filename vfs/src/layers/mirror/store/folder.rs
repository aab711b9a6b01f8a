//! [`Folder`]: the cache folder as the system has it. Everything in it is opened here, and nothing through a link.
//!
//! A folder may have been copied from anywhere, and the process may be root: a link that was followed would let it write to
//! whatever file the link names. So each name is opened in the folder above it with `O_NOFOLLOW` (open(2)); a link in the
//! place of a folder or a file is damage, and is removed. What somebody deletes is made again.

use std::ffi::CStr;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::key::Key;

/// What a mirror may read not everybody may.
const FOLDER_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::from_raw_mode(0o600);

/// The folder `v1` of a cache, held by this process alone.
#[derive(Debug)]
pub(super) struct Folder {
    place: PathBuf,
    root: RwLock<Arc<Root>>,
    /// Names the next temporary file.
    parts: AtomicU64,
}

/// A folder in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The folder itself.
    Top,
    /// Records under way.
    Tmp,
    /// What is kept under the keys that begin with this byte.
    Kept(u8),
}

impl Room {
    /// Where what is kept under `key` lies.
    pub(super) const fn of(key: Key) -> Self {
        Self::Kept(key.first())
    }
}

#[derive(Debug)]
struct Root {
    folder: OwnedFd,
    /// Held as long as the folder is; shared where the folder cannot be written, missing where nobody ever made it.
    _lock: Option<File>,
    is_read_only: bool,
}

impl Folder {
    /// Opens the folder, which is made where it is missing. Blocks, as all the rest.
    ///
    /// # Errors
    /// `WouldBlock` where another process holds it; else what the system says.
    pub(super) fn open(place: PathBuf) -> io::Result<Self> {
        let root = RwLock::new(Arc::new(Root::open(&place)?));
        let folder = Self { place, root, parts: AtomicU64::new(0) };
        if !folder.is_read_only() {
            folder_in(&folder.root().folder, "o", Absent::IsMade)?;
            folder.made(Room::Tmp)?;
            for part in folder.names(Room::Tmp) {
                folder.remove(Room::Tmp, &part)?;
            }
        }
        Ok(folder)
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// True where nothing can be kept, and what is there can be read.
    pub(super) fn is_read_only(&self) -> bool {
        self.root().is_read_only
    }

    /// Opens a file for reading, and for writing where the folder allows that. `None` where there is none.
    pub(super) fn file(&self, room: Room, name: &str) -> io::Result<Option<File>> {
        let root = self.root();
        let flags = if root.is_read_only { OFlags::RDONLY } else { OFlags::RDWR };
        match root.room(room, Absent::Stays).and_then(|room| plain_file(&room, name, flags)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Makes a file that is not there yet.
    ///
    /// # Errors
    /// `AlreadyExists` where something has its name.
    pub(super) fn create(&self, room: Room, name: &str) -> io::Result<File> {
        let room = self.made(room)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(room, name, flags, FILE_MODE)?.into())
    }

    /// Makes a file, or puts it in the place of what has its name now, whole at any moment.
    pub(super) fn replace(&self, room: Room, name: &str, bytes: &[u8]) -> io::Result<()> {
        let part = self.parts.fetch_add(1, Ordering::Relaxed).to_string();
        let mut file = self.create(Room::Tmp, &part)?;
        let mut put = || -> io::Result<()> {
            file.write_all(bytes)?;
            let (tmp, room) = (self.made(Room::Tmp)?, self.made(room)?);
            Ok(rustix::fs::renameat(tmp, &part, room, name)?)
        };
        put().inspect_err(|_| drop(self.remove(Room::Tmp, &part)))
    }

    /// Removes a file or a link; it may be gone already.
    pub(super) fn remove(&self, room: Room, name: &str) -> io::Result<()> {
        match self.root().room(room, Absent::Stays) {
            Ok(room) => remove_from(&room, name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What is called so, by its own description and not that of what it links to.
    pub(super) fn status(&self, room: Room, name: &str) -> Option<Status> {
        let room = self.root().room(room, Absent::Stays).ok()?;
        let found = rustix::fs::statat(room, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let since = |secs| std::time::Duration::from_secs(u64::try_from(secs).unwrap_or(0));
        Some(Status {
            allocated: u64::try_from(found.st_blocks).unwrap_or(0) * 512,
            modified: SystemTime::UNIX_EPOCH + since(found.st_mtime),
        })
    }

    /// Notes when a file was used last, in the place of its last change. Advice: it may not be ours to note.
    pub(super) fn note_use(&self, room: Room, name: &str) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let used =
            Timespec { tv_sec: i64::try_from(now.as_secs()).unwrap_or(i64::MAX), ..Timespec::default() };
        let times = Timestamps { last_access: omit, last_modification: used };
        if let Ok(room) = self.root().room(room, Absent::Stays) {
            _ = rustix::fs::utimensat(room, name, &times, AtFlags::SYMLINK_NOFOLLOW);
        }
    }

    /// The names in a folder; none where it cannot be read.
    pub(super) fn names(&self, room: Room) -> Vec<String> {
        let listing = self.root().room(room, Absent::Stays).and_then(|room| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok(Dir::new(rustix::fs::openat(room, ".", flags, Mode::empty())?)?)
        });
        let names = listing.into_iter().flatten().flatten();
        names.filter_map(|entry| text_of(entry.file_name())).collect()
    }

    /// Bytes that others may still write on this file system.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::fstatvfs(&self.root().folder).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// A folder, made where it is missing; all of them where somebody has deleted all.
    fn made(&self, room: Room) -> io::Result<OwnedFd> {
        let root = self.root();
        match root.room(room, Absent::IsMade) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_again(&root)?;
                self.root().room(room, Absent::IsMade)
            }
            opened => opened,
        }
    }

    fn make_again(&self, gone: &Arc<Root>) -> io::Result<()> {
        let mut root = self.root.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&root, gone) {
            *root = Arc::new(Root::open(&self.place)?);
            tracing::warn!(folder = %self.place.display(), "the cache folder was deleted: it is made again");
        }
        Ok(())
    }

    fn root(&self) -> Arc<Root> {
        Arc::clone(&self.root.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the system says of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    /// Bytes on the disk; holes take none.
    pub(super) allocated: u64,
    pub(super) modified: SystemTime,
}

/// What becomes of a folder that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absent {
    Stays,
    IsMade,
}

impl Root {
    fn open(place: &Path) -> io::Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE.as_raw_mode()).create(place);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match rustix::fs::open(place, flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(errno) => return Err(made.err().unwrap_or_else(|| errno.into())),
        };
        let created = plain_file(&folder, "lock", OFlags::RDWR | OFlags::CREATE);
        let (lock, is_read_only) = match created {
            Ok(lock) => (Some(lock), false),
            Err(error) if is_read_only(&error) => (plain_file(&folder, "lock", OFlags::RDONLY).ok(), true),
            Err(error) => return Err(error),
        };
        let operation = if is_read_only {
            FlockOperation::NonBlockingLockShared
        } else {
            FlockOperation::NonBlockingLockExclusive
        };
        if let Some(lock) = &lock {
            rustix::fs::flock(lock, operation)?;
        }
        Ok(Self { folder, _lock: lock, is_read_only })
    }

    fn room(&self, room: Room, absent: Absent) -> io::Result<OwnedFd> {
        match room {
            Room::Top => Ok(rustix::io::fcntl_dupfd_cloexec(&self.folder, 0)?),
            Room::Tmp => folder_in(&self.folder, "tmp", absent),
            Room::Kept(first) => {
                let kept = folder_in(&self.folder, "o", absent)?;
                folder_in(&kept, &format!("{first:02x}"), absent)
            }
        }
    }
}

/// Opens a folder that is no link.
fn folder_in(above: impl AsFd, name: &str, absent: Absent) -> io::Result<OwnedFd> {
    let above = above.as_fd();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(above, name, flags, Mode::empty());
    let found = match open() {
        Err(Errno::NOTDIR | Errno::LOOP) if is_link(above, name) => {
            remove_damage(above, name)?;
            open()
        }
        found => found,
    };
    match found {
        Err(Errno::NOENT) if absent == Absent::IsMade => {
            match rustix::fs::mkdirat(above, name, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => Ok(open()?),
                Err(errno) => Err(errno.into()),
            }
        }
        found => Ok(found?),
    }
}

/// Opens a file that is one; anything else under its name is removed, and not there.
fn plain_file(above: impl AsFd, name: &str, flags: OFlags) -> io::Result<File> {
    let above = above.as_fd();
    // So that no FIFO is waited for.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(above, name, flags, FILE_MODE);
    let opened = match open() {
        Err(Errno::LOOP) => {
            remove_damage(above, name)?;
            open()
        }
        opened => opened,
    }?;
    let is_plain = FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode) == FileType::RegularFile;
    if !is_plain {
        remove_damage(above, name)?;
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(opened.into())
}

fn is_link(above: impl AsFd, name: &str) -> bool {
    let found = rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW);
    found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
}

fn remove_damage(above: impl AsFd, name: &str) -> io::Result<()> {
    tracing::warn!(
        name,
        "the cache folder holds a link, or no plain file, in the place of its own: it is removed"
    );
    remove_from(above, name)
}

fn remove_from(above: impl AsFd, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(above, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// True where the folder may be read, and nothing in it changed.
fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

fn text_of(name: &CStr) -> Option<String> {
    let name = name.to_str().ok()?;
    (name != "." && name != "..").then(|| name.to_owned())
}

//! The one door to the host: [`Root::find`] turns a path into an open descriptor, and nothing outside of the root is
//! ever reached through it.
//!
//! The kernel guards it: openat2(2) with `RESOLVE_BENEATH` or `RESOLVE_IN_ROOT` refuses or re-roots every link that
//! leads out, at the moment of the lookup itself, so there is nothing to race with. Where a kernel before 5.6 or a
//! seccomp filter refuses openat2, and where the kernel gives up because folders move too fast (`EAGAIN`), `walk.rs`
//! does the same one name at a time.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FsWord, Mode, OFlags, ResolveFlags, Statx};
use rustix::io::Errno;

use super::config::Links;
use super::error::Fault;
use super::files::Files;
use super::status;
use super::walk::{self, Place};
use super::writing::is_part;
use crate::path::VPath;

/// Longest path that the kernel takes, its closing NUL included (`PATH_MAX`). Both doors refuse longer ones alike.
const PATH_BYTES: usize = 4096;

/// How often a lookup is asked of the kernel again when folders moved under it, before the walk takes over.
const KERNEL_TRIES: usize = 8;

/// File systems whose warm answers never wait: their lookups, `open` and `stat` ask no other machine and no other
/// process (linux/magic.h): ext4, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS, bcachefs, EROFS, SquashFS, ramfs, FAT, exFAT,
/// NTFS, ISO 9660, UDF.
const NEAR: [u32; 16] = [
    0xEF53,
    0x5846_5342,
    0x9123_683E,
    0x0102_1994,
    0x794c_7630,
    0xF2F5_2010,
    0x2FC1_2FC1,
    0xCA45_1A4E,
    0xE0F5_E1E2,
    0x7371_7368,
    0x8584_58F6,
    0x4D44,
    0x2011_BAB0,
    0x7366_746E,
    0x9660,
    0x1501_3346,
];

/// Whether a call may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// On the event loop: what is not in memory is [`Fault::WouldWait`].
    Never,
    /// In a job.
    Allowed,
}

/// Who resolves a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// openat2(2).
    Kernel,
    /// The component walk.
    Walk,
}

/// The folder that a tree shows.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    links: Links,
    door: Door,
    /// The mount that the folder lies on, where it is one of [`NEAR`] and the kernel tells what it has in memory.
    near: Option<u64>,
    files: Files,
}

impl Root {
    pub(super) fn open(folder: &Path, links: Links) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::of(rustix::fs::open(folder, flags, Mode::empty())?, links)
    }

    pub(super) fn of(folder: OwnedFd, links: Links) -> Result<Self, Errno> {
        // Asked for the root itself, a refusal is openat2's own and not one of a file's.
        let knows = |resolve| {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            rustix::fs::openat2(&folder, ".", flags, Mode::empty(), resolve).is_ok()
        };
        let door = if knows(ResolveFlags::BENEATH) { Door::Kernel } else { Door::Walk };
        // RESOLVE_CACHED came with Linux 5.12.
        let near = if knows(ResolveFlags::CACHED) { near_mount(&folder)? } else { None };
        Ok(Self { folder, links, door, near, files: Files::default() })
    }

    /// What was found to be a file.
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Opens `path` with `flags`; `mode` counts with `CREATE` only, and is empty without.
    pub(super) fn find(&self, path: &VPath, flags: OFlags, mode: Mode, wait: Wait) -> Result<OwnedFd, Fault> {
        let address = address(path)?;
        let flags = flags | OFlags::CLOEXEC;
        match (wait, self.door) {
            (Wait::Never, Door::Kernel) => self.find_cached(&address, flags),
            (Wait::Never, Door::Walk) => Err(Fault::WouldWait),
            (Wait::Allowed, Door::Kernel) => self.find_by_kernel(&address, flags, mode),
            (Wait::Allowed, Door::Walk) => self.find_by_walk(&address, flags, mode),
        }
    }

    /// The folder that holds `path`, and the name in it: what the changes work on, which never follow that name.
    /// `None` for the root, which nobody inside the tree holds.
    pub(super) fn parent<'p>(&self, path: &'p VPath) -> Result<Option<(OwnedFd, &'p [u8])>, Fault> {
        address(path)?;
        let (Some(parent), Some(last)) = (path.parent(), path.file_name()) else { return Ok(None) };
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        Ok(Some((self.find(&parent, flags, Mode::empty(), Wait::Allowed)?, last.name())))
    }

    /// Where `path` really lies when a link in the last place is followed: the kernel does not tell, so this walks.
    pub(super) fn place(&self, path: &VPath, follow: bool) -> Result<Place, Fault> {
        walk::place(self.folder.as_fd(), self.links, &address(path)?, follow)
    }

    /// True where an open file with this status may be asked on the event loop.
    pub(super) fn is_near(&self, status: &Statx) -> bool {
        self.near.is_some() && self.near == status::mount(status)
    }

    /// True where warm answers are given on the event loop.
    #[cfg(test)]
    pub(super) fn serves_warm(&self) -> bool {
        self.near.is_some()
    }

    /// The same root, resolved by the walk alone.
    #[cfg(test)]
    pub(super) fn walking(self) -> Self {
        Self { door: Door::Walk, ..self }
    }

    fn find_cached(&self, address: &[u8], flags: OFlags) -> Result<OwnedFd, Fault> {
        if self.near.is_none() {
            return Err(Fault::WouldWait);
        }
        // No other mount: it could lie on another machine.
        let resolve = self.resolve() | ResolveFlags::CACHED | ResolveFlags::NO_XDEV;
        match rustix::fs::openat2(&self.folder, address, flags, Mode::empty(), resolve) {
            // XDEV: another mount, or a link out of the tree. The job will tell which.
            Err(Errno::AGAIN | Errno::XDEV) => Err(Fault::WouldWait),
            found => Ok(found?),
        }
    }

    fn find_by_kernel(&self, address: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Fault> {
        for _ in 0..KERNEL_TRIES {
            match rustix::fs::openat2(&self.folder, address, flags, mode, self.resolve()) {
                Err(Errno::AGAIN) => {}
                Err(Errno::XDEV) => return Err(Fault::Leaves),
                found => return Ok(found?),
            }
        }
        self.find_by_walk(address, flags, mode)
    }

    fn find_by_walk(&self, address: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Fault> {
        walk::find(self.folder.as_fd(), self.links, address, flags, mode)
    }

    fn resolve(&self) -> ResolveFlags {
        ResolveFlags::NO_MAGICLINKS
            | match self.links {
                Links::Beneath => ResolveFlags::BENEATH,
                Links::ReRooted => ResolveFlags::IN_ROOT,
            }
    }
}

/// The path as the kernel takes it, relative to the root. Markers belong to the namespace and part files to nobody:
/// for this tree there is no such thing.
fn address(path: &VPath) -> Result<Vec<u8>, Fault> {
    if path.is_root() {
        return Ok(b".".to_vec());
    }
    let mut address = Vec::new();
    for segment in path.segments() {
        if !segment.markers().is_empty() || is_part(segment.name()) {
            return Err(Errno::NOENT.into());
        }
        if !address.is_empty() {
            address.push(b'/');
        }
        address.extend_from_slice(segment.name());
        if address.len() >= PATH_BYTES {
            return Err(Errno::NAMETOOLONG.into());
        }
    }
    Ok(address)
}

fn near_mount(folder: &OwnedFd) -> Result<Option<u64>, Errno> {
    let magic = rustix::fs::fstatfs(folder)?.f_type;
    let near = NEAR.iter().any(|known| *known as FsWord == magic);
    Ok(if near { status::mount(&status::of(folder)?) } else { None })
}

//! The lookup one name at a time, for hosts whose kernel does not confine one, and to learn where a path really lies.
//!
//! Each name is opened with `O_PATH | O_NOFOLLOW` in the folder before it, so no name is looked at twice; what turns out
//! to be a link is read from its own descriptor and its text resolved here. `..` goes back to the folder through which
//! the walk came, never by the kernel's `..`, so a folder that is moved meanwhile leads nowhere else.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, PROC_SUPER_MAGIC};
use rustix::io::Errno;

use super::config::Links;
use super::error::Fault;

/// Links that one lookup follows at most, as the kernel has it (`MAXSYMLINKS`, path_resolution(7)).
const MAX_LINKS: usize = 40;

/// How often the last step is taken again when what was no link has become one.
const LAST_TRIES: usize = 8;

/// Where a path really lies.
#[derive(Debug)]
pub(super) enum Place {
    /// Under a name of a folder; it may be missing.
    Name {
        /// The folder.
        parent: OwnedFd,
        /// The name in it: no link when it was looked at, unless links are not followed.
        name: Vec<u8>,
    },
    /// The folder itself: the path's text ends in no name.
    Folder(OwnedFd),
}

/// Opens `address` below `root`, with the meaning that openat2(2) gives to `links`.
pub(super) fn find(
    root: BorrowedFd<'_>,
    links: Links,
    address: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Fault> {
    // open(2), O_EXCL: a link in the last place is not followed.
    let follow = !flags.intersects(OFlags::NOFOLLOW | OFlags::EXCL);
    for _ in 0..LAST_TRIES {
        let (parent, name) = match place(root, links, address, follow)? {
            Place::Name { parent, name } => (parent, name),
            Place::Folder(folder) => return open_folder(&folder, flags, mode),
        };
        let found = rustix::fs::openat(&parent, &name, flags | OFlags::NOFOLLOW, mode);
        if follow && is_link_now(&parent, &name, &found) {
            continue;
        }
        return Ok(found?);
    }
    Err(Errno::AGAIN.into())
}

/// Walks to `address` below `root`. A link in the last place is followed where `follow` says so.
pub(super) fn place(
    root: BorrowedFd<'_>,
    links: Links,
    address: &[u8],
    follow: bool,
) -> Result<Place, Fault> {
    let mut walk = Walk { root, links, folders: Vec::new(), pending: Vec::new(), followed: 0 };
    walk.expand(address);
    while let Some(name) = walk.pending.pop() {
        let last = walk.pending.is_empty();
        match &name[..] {
            b"." => {}
            b".." => walk.climb()?,
            _ => match walk.look(&name) {
                Err(Errno::NOENT) if last => return walk.name(name),
                Err(errno) => return Err(errno.into()),
                Ok((link, FileType::Symlink)) if follow || !last => walk.follow(&link)?,
                Ok(_) if last => return walk.name(name),
                Ok((folder, FileType::Directory)) => walk.folders.push(folder),
                Ok(_) => return Err(Errno::NOTDIR.into()),
            },
        }
    }
    Ok(Place::Folder(walk.here()?))
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    links: Links,
    /// The folders from below the root to where the walk is.
    folders: Vec<OwnedFd>,
    /// The names still to go, the next one last.
    pending: Vec<Vec<u8>>,
    followed: usize,
}

impl Walk<'_> {
    /// Puts a path's names before those that are still to go. A closing slash asks for a folder, as `.` does.
    fn expand(&mut self, text: &[u8]) {
        if text.ends_with(b"/") {
            self.pending.push(b".".to_vec());
        }
        let names = text.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        self.pending.extend(names.rev().map(<[u8]>::to_vec));
    }

    fn climb(&mut self) -> Result<(), Fault> {
        match (self.folders.pop(), self.links) {
            (None, Links::Beneath) => Err(Fault::Leaves),
            _ => Ok(()),
        }
    }

    fn look(&self, name: &[u8]) -> Result<(OwnedFd, FileType), Errno> {
        let here = self.folders.last().map_or(self.root, AsFd::as_fd);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::openat(here, name, flags, Mode::empty())?;
        let file_type = FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
        Ok((found, file_type))
    }

    fn follow(&mut self, link: &OwnedFd) -> Result<(), Fault> {
        self.followed += 1;
        if self.followed > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let text = rustix::fs::readlinkat(link, "", Vec::new())?.into_bytes();
        if text.starts_with(b"/") {
            // The links of proc(5) that lead to open files and to the roots of processes: NO_MAGICLINKS.
            if rustix::fs::fstatfs(link)?.f_type == PROC_SUPER_MAGIC {
                return Err(Errno::LOOP.into());
            }
            if self.links == Links::Beneath {
                return Err(Fault::Leaves);
            }
            self.folders.clear();
        }
        self.expand(&text);
        Ok(())
    }

    fn name(mut self, name: Vec<u8>) -> Result<Place, Fault> {
        Ok(Place::Name { parent: self.here()?, name })
    }

    fn here(&mut self) -> Result<OwnedFd, Errno> {
        match self.folders.pop() {
            Some(folder) => Ok(folder),
            None => rustix::io::fcntl_dupfd_cloexec(self.root, 0),
        }
    }
}

fn open_folder(folder: &OwnedFd, flags: OFlags, mode: Mode) -> Result<OwnedFd, Fault> {
    Ok(rustix::fs::openat(folder, ".", flags, mode)?)
}

/// True where the last step met a link that was none a moment before.
fn is_link_now(parent: &OwnedFd, name: &[u8], found: &Result<OwnedFd, Errno>) -> bool {
    let met = match found {
        // With O_PATH the link itself is opened; with O_DIRECTORY it is "no folder".
        Ok(fd) => rustix::fs::fstat(fd),
        Err(Errno::LOOP | Errno::NOTDIR) => rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW),
        Err(_) => return false,
    };
    met.is_ok_and(|met| FileType::from_raw_mode(met.st_mode) == FileType::Symlink)
}

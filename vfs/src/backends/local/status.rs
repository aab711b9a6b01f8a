//! What statx(2) says, in our words.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{AtFlags, Statx, StatxFlags, StatxTimestamp};
use rustix::io::Errno;

use crate::metadata::{FileType, Identity, Metadata, Owner, Validator};

/// How far the last change must lie from now before a validator is strong: until then another change could carry the
/// same time. Two seconds is the coarsest clock of a common file system (FAT).
const SETTLED: Duration = Duration::from_secs(2);

/// The status of an open descriptor, also of one that was opened with `O_PATH`.
pub(super) fn of(fd: impl AsFd) -> Result<Statx, Errno> {
    rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, wanted())
}

/// The status of a name in a folder; a link is not followed.
pub(super) fn of_name(folder: impl AsFd, name: impl rustix::path::Arg) -> Result<Statx, Errno> {
    rustix::fs::statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, wanted())
}

/// What it is.
pub(super) fn file_type(status: &Statx) -> FileType {
    file_type_of(rustix::fs::FileType::from_raw_mode(status.stx_mode.into()))
}

/// What the system's type is to us.
pub(super) fn file_type_of(theirs: rustix::fs::FileType) -> FileType {
    match theirs {
        rustix::fs::FileType::RegularFile => FileType::File,
        rustix::fs::FileType::Directory => FileType::Dir,
        rustix::fs::FileType::Symlink => FileType::Symlink,
        _ => FileType::Other,
    }
}

/// Permission bits.
pub(super) fn mode(status: &Statx) -> u32 {
    u32::from(status.stx_mode) & 0o7777
}

/// The mount it lies on, where the kernel tells (since 5.8).
pub(super) fn mount(status: &Statx) -> Option<u64> {
    (status.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(status.stx_mnt_id)
}

/// The whole description. Folders have no length, and only files have a version.
pub(super) fn describe(status: &Statx) -> Metadata {
    let file_type = file_type(status);
    let has_len = matches!(file_type, FileType::File | FileType::Symlink);
    let has_birth = status.stx_mask & StatxFlags::BTIME.bits() != 0;
    Metadata {
        len: has_len.then_some(status.stx_size),
        modified: time(&status.stx_mtime),
        accessed: time(&status.stx_atime),
        created: if has_birth { time(&status.stx_btime) } else { None },
        changed: time(&status.stx_ctime),
        mode: Some(mode(status)),
        owner: Some(Owner { user: status.stx_uid, group: status.stx_gid }),
        links: Some(u64::from(status.stx_nlink)),
        validator: (file_type == FileType::File).then(|| validator(status, SystemTime::now())),
        identity: (file_type == FileType::File).then(|| identity(status)),
        ..Metadata::new(file_type)
    }
}

/// The version of a file's content: length, times of the last change and inode. Strong where those times are
/// [`SETTLED`]: then every later change shows.
pub(super) fn validator(status: &Statx, now: SystemTime) -> Validator {
    let (modified, changed) = (&status.stx_mtime, &status.stx_ctime);
    let text: Arc<str> = format!(
        "{:x}-{:x}.{:x}-{:x}.{:x}-{:x}",
        status.stx_size, modified.tv_sec, modified.tv_nsec, changed.tv_sec, changed.tv_nsec, status.stx_ino
    )
    .into();
    if is_settled(modified, now) && is_settled(changed, now) {
        Validator::Strong(text)
    } else {
        Validator::Weak(text)
    }
}

/// The file across restarts: device and inode, and the version, because inodes are used again.
pub(super) fn identity(status: &Statx) -> Identity {
    let (major, minor) = (status.stx_dev_major, status.stx_dev_minor);
    let name = format!("local:{major:x}:{minor:x}:{:x}", status.stx_ino);
    Identity::Source { name: Bytes::from(name), validator: Some(validator(status, SystemTime::now())) }
}

/// A time ahead of the clock counts as settled once it is far enough ahead: a change now would bring it back.
fn is_settled(stamp: &StatxTimestamp, now: SystemTime) -> bool {
    let Some(stamp) = time(stamp) else { return false };
    let away = now.duration_since(stamp).unwrap_or_else(|ahead| ahead.duration());
    away >= SETTLED
}

/// `None` for a time that the clock cannot hold.
fn time(stamp: &StatxTimestamp) -> Option<SystemTime> {
    let seconds = Duration::from_secs(stamp.tv_sec.unsigned_abs());
    let whole = if stamp.tv_sec < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    whole?.checked_add(Duration::from_nanos(stamp.tv_nsec.into()))
}

fn wanted() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID
}

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

/// Room for the text of a version: four numbers of 16 digits at most and two of 8, and what is between them.
const VERSION_BYTES: usize = 4 * 16 + 2 * 8 + 5;

/// Room for a file's name across restarts, likewise.
const NAME_BYTES: usize = 2 * 8 + 16 + 8;

/// The status of an open descriptor, also of one that was opened with `O_PATH`.
pub(super) fn of(fd: impl AsFd) -> Result<Statx, Errno> {
    rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, wanted())
}

/// The status of a name in a folder; a link is not followed.
pub(super) fn of_name(folder: impl AsFd, name: impl rustix::path::Arg) -> Result<Statx, Errno> {
    rustix::fs::statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, wanted())
}

/// Bytes that may still be written where it lies, without those that are kept for the superuser. `None` where the system
/// does not say.
pub(super) fn room(fd: impl AsFd) -> Option<u64> {
    let system = rustix::fs::fstatvfs(fd).ok()?;
    system.f_bavail.checked_mul(system.f_frsize)
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

/// The whole description, of a status that was taken at `now`. Only files have a version.
pub(super) fn describe(status: &Statx, now: SystemTime) -> Metadata {
    let validator = (file_type(status) == FileType::File).then(|| validator(status, now));
    let identity = validator.clone().map(|validator| identity(status, validator));
    Metadata { validator, identity, ..outline(status) }
}

/// The description without version and identity, which are texts and take most of its time. Folders have no length.
pub(super) fn outline(status: &Statx) -> Metadata {
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
        ..Metadata::new(file_type)
    }
}

/// The version of a file's content: length, times of the last change and inode. Strong where those times are
/// [`SETTLED`]: then every later change shows.
pub(super) fn validator(status: &Statx, now: SystemTime) -> Validator {
    let (modified, changed) = (&status.stx_mtime, &status.stx_ctime);
    let mut text = String::with_capacity(VERSION_BYTES);
    push_hex(&mut text, "", status.stx_size);
    push_hex(&mut text, "-", modified.tv_sec.cast_unsigned());
    push_hex(&mut text, ".", modified.tv_nsec.into());
    push_hex(&mut text, "-", changed.tv_sec.cast_unsigned());
    push_hex(&mut text, ".", changed.tv_nsec.into());
    push_hex(&mut text, "-", status.stx_ino);
    let text: Arc<str> = text.into();
    if is_settled(modified, now) && is_settled(changed, now) {
        Validator::Strong(text)
    } else {
        Validator::Weak(text)
    }
}

/// The file across restarts: device and inode, and the version, because inodes are used again.
pub(super) fn identity(status: &Statx, validator: Validator) -> Identity {
    let mut name = String::with_capacity(NAME_BYTES);
    push_hex(&mut name, "local:", status.stx_dev_major.into());
    push_hex(&mut name, ":", status.stx_dev_minor.into());
    push_hex(&mut name, ":", status.stx_ino);
    Identity::Source { name: Bytes::from(name), validator: Some(validator) }
}

/// Writes a number in hexadecimal digits: every request for a file has nine, which `format!` takes a microsecond for.
fn push_hex(text: &mut String, before: &str, number: u64) {
    text.push_str(before);
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    text.extend((0..digits).rev().filter_map(|at| char::from_digit((number >> (4 * at) & 0xf) as u32, 16)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::local::Links;
    use crate::backends::local::testing::{Scene, path};
    use crate::file_system::FileSystem;
    use crate::options::StatOptions;

    fn status_of(scene: &Scene, name: &str) -> Statx {
        of(std::fs::File::open(scene.inside(name)).unwrap()).unwrap()
    }

    #[test]
    fn a_validator_is_strong_once_the_clock_has_moved_on() {
        let scene = Scene::new();
        scene.write("file", "content");
        let status = status_of(&scene, "file");
        let changed = time(&status.stx_ctime).unwrap();
        for (away, strong) in [(0, false), (1, false), (2, true), (3600, true)] {
            let away = Duration::from_secs(away);
            for now in [changed + away, changed - away] {
                let found = validator(&status, now);
                assert_eq!(matches!(found, Validator::Strong(_)), strong, "{away:?} away");
                assert_eq!(found.as_str(), validator(&status, changed).as_str());
            }
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_in_hexadecimal() {
        for number in [0, 1, 0xf, 0x10, 0xdead_beef, u64::MAX, (-1_i64).cast_unsigned()] {
            let mut text = String::new();
            push_hex(&mut text, "<", number);
            assert_eq!(text, format!("<{number:x}"));
        }
    }

    #[test]
    fn a_change_of_length_time_or_inode_is_another_version() {
        let scene = Scene::new();
        scene.write("file", "content");
        scene.write("other", "content");
        let later = SystemTime::now() + Duration::from_secs(3600);
        let version = |name: &str| validator(&status_of(&scene, name), later);
        let before = version("file");
        assert_eq!(version("file"), before);
        assert_ne!(version("other"), before);
        let file = std::fs::OpenOptions::new().append(true).open(scene.inside("file")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let touched = version("file");
        assert_ne!(touched, before);
        file.set_len(3).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_ne!(version("file"), touched);
    }

    #[tokio::test]
    async fn a_description_says_what_the_host_says() {
        use std::os::unix::fs::MetadataExt;

        let scene = Scene::new();
        scene.write("file", "content");
        std::fs::hard_link(scene.inside("file"), scene.inside("second")).unwrap();
        scene.link("link", "file");
        let theirs = std::fs::metadata(scene.inside("file")).unwrap();
        for tree in scene.doors(Links::Beneath) {
            let ours = tree.metadata(&path("/link"), &StatOptions::default()).await.unwrap();
            assert!(ours.is_file());
            assert_eq!(ours.len, Some(7));
            assert_eq!(ours.modified, theirs.modified().ok());
            assert_eq!(ours.accessed, theirs.accessed().ok());
            assert_eq!(ours.created, theirs.created().ok());
            assert_eq!(ours.mode, Some(theirs.mode() & 0o7777));
            assert_eq!(ours.owner, Some(Owner { user: theirs.uid(), group: theirs.gid() }));
            assert_eq!(ours.links, Some(2));
            let changed = Duration::new(theirs.ctime().unsigned_abs(), theirs.ctime_nsec() as u32);
            assert_eq!(ours.changed, SystemTime::UNIX_EPOCH.checked_add(changed));

            let link = tree.metadata(&path("/link"), &StatOptions::no_follow()).await.unwrap();
            assert!(link.is_symlink() && link.validator.is_none());
            let root = tree.metadata(&path("/"), &StatOptions::default()).await.unwrap();
            assert!(root.is_dir() && root.len.is_none());
        }
    }

    #[tokio::test]
    async fn an_identity_survives_renaming_and_reopening() {
        let scene = Scene::new();
        scene.write("file", "content");
        let identity = async |name: &str| {
            let tree = scene.tree(Links::Beneath);
            tree.metadata(&path(name), &StatOptions::default()).await.unwrap().identity
        };
        let name_of = |identity: Option<Identity>| match identity {
            Some(Identity::Source { name, .. }) => name,
            other => panic!("a file of the host has an identity of its own: {other:?}"),
        };
        let before = name_of(identity("/file").await);
        std::fs::rename(scene.inside("file"), scene.inside("renamed")).unwrap();
        assert_eq!(name_of(identity("/renamed").await), before);
        scene.write("file", "content");
        assert_ne!(name_of(identity("/file").await), before);
    }
}

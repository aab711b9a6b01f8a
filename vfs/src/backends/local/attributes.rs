//! Setting modes, times and owners.

use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

use super::error::Fault;
use super::lookup::{Root, Wait};
use super::status;
use crate::metadata::FileType;
use crate::options::SetAttributes;
use crate::path::VPath;

/// Sets attributes of what stands at `path`.
pub(super) fn set(root: &Root, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<(), Fault> {
    let nofollow = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let found = root.find(path, OFlags::PATH | nofollow, Mode::empty(), Wait::Allowed)?;
    if attributes.mode.is_some() && status::file_type(&status::of(&found)?) == FileType::Symlink {
        return Err(Fault::LinkMode);
    }
    set_open(&found, attributes)
}

/// Sets attributes of an open descriptor, also of one that was opened with `O_PATH`. The owner first: chown(2) takes
/// away mode bits that were set before.
pub(super) fn set_open(found: impl AsFd, attributes: &SetAttributes) -> Result<(), Fault> {
    let SetAttributes { mode, modified, accessed, user, group } = *attributes;
    if user.is_some() || group.is_some() {
        set_owner(&found, user, group)?;
    }
    if let Some(mode) = mode {
        set_mode(&found, mode)?;
    }
    if modified.is_some() || accessed.is_some() {
        set_times(&found, modified, accessed)?;
    }
    Ok(())
}

/// Sets the owner of an open descriptor.
pub(super) fn set_owner(found: impl AsFd, user: Option<u32>, group: Option<u32>) -> Result<(), Errno> {
    // chown(2): −1 means "leave it", so it is no owner to be set.
    if user == Some(u32::MAX) || group == Some(u32::MAX) {
        return Err(Errno::INVAL);
    }
    let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
    rustix::fs::chownat(found, "", user, group, AtFlags::EMPTY_PATH)
}

/// fchmod(2) refuses descriptors opened with `O_PATH`, and opening for more would ask for rights that a change of mode
/// does not need. The descriptor's own link leads to the very file, whatever its name does meanwhile.
fn set_mode(found: impl AsFd, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode & 0o7777);
    match rustix::fs::fchmod(&found, mode) {
        Err(Errno::BADF) => rustix::fs::chmod(format!("/proc/self/fd/{}", found.as_fd().as_raw_fd()), mode),
        done => done,
    }
}

fn set_times(
    found: impl AsFd,
    modified: Option<SystemTime>,
    accessed: Option<SystemTime>,
) -> Result<(), Errno> {
    let times = Timestamps { last_access: timespec(accessed)?, last_modification: timespec(modified)? };
    rustix::fs::utimensat(found, "", &times, AtFlags::EMPTY_PATH)
}

fn timespec(time: Option<SystemTime>) -> Result<Timespec, Errno> {
    let Some(time) = time else { return Ok(Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }) };
    let (whole, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()), after.subsec_nanos()),
        Err(before) => before_epoch(before.duration()),
    };
    Ok(Timespec { tv_sec: whole.map_err(|_| Errno::INVAL)?, tv_nsec: nanos.into() })
}

/// Nanoseconds count forwards, also before 1970.
fn before_epoch(before: Duration) -> (Result<i64, std::num::TryFromIntError>, u32) {
    let nanos = before.subsec_nanos();
    let seconds = i64::try_from(before.as_secs()).map(|seconds| -seconds - i64::from(nanos > 0));
    (seconds, if nanos > 0 { 1_000_000_000 - nanos } else { 0 })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::backends::local::Links;
    use crate::backends::local::testing::{Scene, kind, path};
    use crate::error::ErrorKind;
    use crate::file_system::FileSystem;
    use crate::options::{OpenOptions, StatOptions};

    #[tokio::test]
    async fn attributes_are_set_by_path_and_on_the_open_file() {
        let times = [
            SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789),
            SystemTime::UNIX_EPOCH - Duration::new(5, 250_000_000),
            SystemTime::UNIX_EPOCH - Duration::from_secs(5),
        ];
        let scene = Scene::new();
        scene.write("file", "");
        for tree in scene.doors(Links::Beneath) {
            for time in times {
                let none = SetAttributes::default();
                let wish = SetAttributes { mode: Some(0o100_200), modified: Some(time), ..none };
                tree.set_attributes(&path("/file"), &wish, true).await.unwrap();
                let found = tree.metadata(&path("/file"), &StatOptions::default()).await.unwrap();
                assert_eq!((found.modified, found.mode), (Some(time), Some(0o200)));
                // Nobody may read it now; its mode can be set all the same.
                let wish = SetAttributes { mode: Some(0o400), ..none };
                tree.set_attributes(&path("/file"), &wish, true).await.unwrap();

                let file = tree.open(&path("/file"), &OpenOptions::reading()).await.unwrap();
                let wish = SetAttributes { mode: Some(0o644), accessed: Some(time), ..none };
                file.set_attributes(&wish).await.unwrap();
                let found = file.metadata().await.unwrap();
                assert_eq!((found.modified, found.accessed), (Some(time), Some(time)));
                assert_eq!(found.mode, Some(0o644));
            }
        }
    }

    #[tokio::test]
    async fn a_link_has_times_of_its_own_and_no_mode() {
        let scene = Scene::new();
        scene.write("file", "");
        scene.link("link", "file");
        let before = std::fs::metadata(scene.inside("file")).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for tree in scene.doors(Links::Beneath) {
            let both = SetAttributes {
                mode: Some(0o600),
                modified: Some(SystemTime::UNIX_EPOCH),
                ..SetAttributes::default()
            };
            let refused = tree.set_attributes(&path("/link"), &both, false).await;
            assert_eq!(kind(refused), ErrorKind::Unsupported);
            let found = tree.metadata(&path("/link"), &StatOptions::no_follow()).await.unwrap();
            assert_ne!(found.modified, Some(SystemTime::UNIX_EPOCH), "where one is refused none is set");

            let times = SetAttributes { modified: Some(time), ..SetAttributes::default() };
            tree.set_attributes(&path("/link"), &times, false).await.unwrap();
            let found = tree.metadata(&path("/link"), &StatOptions::no_follow()).await.unwrap();
            assert_eq!(found.modified, Some(time));
        }
        let after = std::fs::metadata(scene.inside("file")).unwrap();
        assert_eq!((after.mode(), after.mtime_nsec()), (before.mode(), before.mtime_nsec()));
    }

    #[tokio::test]
    async fn an_owner_is_set_where_the_process_may() {
        let scene = Scene::new();
        scene.write("file", "");
        let tree = scene.tree(Links::Beneath);
        let wish = SetAttributes { user: Some(12_345), ..SetAttributes::default() };
        let answer = tree.set_attributes(&path("/file"), &wish, true).await;
        let owner = std::fs::metadata(scene.inside("file")).unwrap().uid();
        if rustix::process::geteuid().is_root() {
            answer.unwrap();
            assert_eq!(owner, 12_345);
        } else {
            assert_eq!(kind(answer), ErrorKind::PermissionDenied);
            assert_eq!(owner, rustix::process::geteuid().as_raw());
        }
        let nobody = SetAttributes { group: Some(u32::MAX), ..SetAttributes::default() };
        let answer = tree.set_attributes(&path("/file"), &nobody, true).await;
        assert_eq!(kind(answer), ErrorKind::InvalidInput);
    }
}

//! [`Metadata`], [`Permissions`] and [`FileTimes`]: the standard library's words for what a tree says of a file.

use std::io;
use std::time::SystemTime;

use crate::error::{Error, ErrorKind};
use crate::metadata::FileType;
use crate::options::SetAttributes;
use crate::path::VPath;

/// What Linux shows where a user or group has no number here (`/proc/sys/kernel/overflowuid`).
const UNKNOWN_ID: u32 = 65534;

/// Permission bits of a file that does not say, when somebody makes it writable or not: as files are made.
const UNKNOWN_BITS: u32 = 0o666;

/// Description of a file, folder or link, with the accessors of `std::fs::Metadata` and, by their names in
/// `std::os::unix::fs::MetadataExt`, what a tree knows of those.
///
/// Numbers that the source does not say have the stand-ins given below; [`Metadata::inner`] tells them apart.
#[derive(Clone, Debug)]
pub struct Metadata {
    inner: crate::Metadata,
}

impl Metadata {
    /// The tree's own description, in which the unknown stays unknown.
    pub fn inner(&self) -> &crate::Metadata {
        &self.inner
    }

    /// What it is.
    pub fn file_type(&self) -> FileType {
        self.inner.file_type
    }

    /// True for a folder.
    pub fn is_dir(&self) -> bool {
        self.inner.is_dir()
    }

    /// True for a file.
    pub fn is_file(&self) -> bool {
        self.inner.is_file()
    }

    /// True for a link that was not followed.
    pub fn is_symlink(&self) -> bool {
        self.inner.is_symlink()
    }

    /// Length in bytes; 0 where it is not known, see [`Metadata::size`].
    #[allow(clippy::len_without_is_empty)] // As in the standard library.
    pub fn len(&self) -> u64 {
        self.inner.len.unwrap_or(0)
    }

    /// Length in bytes, where it is known before the last byte is read.
    pub fn size(&self) -> Option<u64> {
        self.inner.len
    }

    /// The permissions.
    pub fn permissions(&self) -> Permissions {
        Permissions { mode: self.inner.mode.map(|_| self.mode()) }
    }

    /// When the content changed last.
    ///
    /// # Errors
    /// `Unsupported` where the source does not say; so for the other times.
    pub fn modified(&self) -> io::Result<SystemTime> {
        known(self.inner.modified, "modified")
    }

    /// When it was read last.
    ///
    /// # Errors
    /// As [`Metadata::modified`].
    pub fn accessed(&self) -> io::Result<SystemTime> {
        known(self.inner.accessed, "accessed")
    }

    /// When it was made.
    ///
    /// # Errors
    /// As [`Metadata::modified`].
    pub fn created(&self) -> io::Result<SystemTime> {
        known(self.inner.created, "created")
    }

    /// Bits for the type and for the permissions, as `st_mode` of stat(2). Those that are not known are 0.
    pub fn mode(&self) -> u32 {
        let of_type = match self.inner.file_type {
            FileType::File => libc::S_IFREG,
            FileType::Dir => libc::S_IFDIR,
            FileType::Symlink => libc::S_IFLNK,
            FileType::Other => 0,
        };
        of_type | self.inner.mode.unwrap_or(0)
    }

    /// The user who owns it; 65534 ("nobody") where that is not known.
    pub fn uid(&self) -> u32 {
        self.inner.owner.map_or(UNKNOWN_ID, |owner| owner.user)
    }

    /// The group that owns it; 65534 ("nogroup") where that is not known.
    pub fn gid(&self) -> u32 {
        self.inner.owner.map_or(UNKNOWN_ID, |owner| owner.group)
    }

    /// How many names lead to it; 1 where that is not known.
    pub fn nlink(&self) -> u64 {
        self.inner.links.unwrap_or(1)
    }
}

impl From<crate::Metadata> for Metadata {
    fn from(inner: crate::Metadata) -> Self {
        Self { inner }
    }
}

fn known(time: Option<SystemTime>, op: &'static str) -> io::Result<SystemTime> {
    time.ok_or_else(|| {
        let unknown = Error::new(ErrorKind::Unsupported, op, &VPath::root());
        unknown.with_detail("the source does not say when").into()
    })
}

/// Permissions of a file: Unix bits, or unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    mode: Option<u32>,
}

impl Permissions {
    /// Permissions with these bits.
    pub fn from_mode(mode: u32) -> Self {
        Self { mode: Some(mode) }
    }

    /// The bits, with those for the type where they come from [`Metadata`], as in the standard library; 0 where they
    /// are not known.
    pub fn mode(&self) -> u32 {
        self.mode.unwrap_or(0)
    }

    /// Sets the bits.
    pub fn set_mode(&mut self, mode: u32) {
        self.mode = Some(mode);
    }

    /// True where nobody may write. False where that is not known: nothing forbids it.
    pub fn readonly(&self) -> bool {
        self.mode.is_some_and(|mode| mode & 0o222 == 0)
    }

    /// Takes everybody's right to write, or gives it to everybody, as in the standard library.
    pub fn set_readonly(&mut self, readonly: bool) {
        let mode = self.mode.unwrap_or(UNKNOWN_BITS);
        self.mode = Some(if readonly { mode & !0o222 } else { mode | 0o222 });
    }

    pub(super) fn to_attributes(&self) -> io::Result<SetAttributes> {
        let Some(mode) = self.mode else {
            let unknown = Error::new(ErrorKind::Unsupported, "set_permissions", &VPath::root());
            return Err(unknown.with_detail("the permissions to be set are not known themselves").into());
        };
        Ok(SetAttributes { mode: Some(mode & 0o7777), ..SetAttributes::default() })
    }
}

impl From<std::fs::Permissions> for Permissions {
    fn from(permissions: std::fs::Permissions) -> Self {
        Self::from_mode(std::os::unix::fs::PermissionsExt::mode(&permissions))
    }
}

/// Times to set on a file; those that are not named stay.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileTimes {
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
}

impl FileTimes {
    /// Names no time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the time of the last reading.
    #[must_use]
    pub fn set_accessed(mut self, accessed: SystemTime) -> Self {
        self.accessed = Some(accessed);
        self
    }

    /// Names the time of the last change.
    #[must_use]
    pub fn set_modified(mut self, modified: SystemTime) -> Self {
        self.modified = Some(modified);
        self
    }

    pub(super) fn to_attributes(self) -> SetAttributes {
        SetAttributes { accessed: self.accessed, modified: self.modified, ..SetAttributes::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unknown_is_an_error_or_a_stand_in_that_can_be_told_apart() {
        let bare = Metadata::from(crate::Metadata::new(FileType::File));
        for time in [bare.modified(), bare.accessed(), bare.created()] {
            assert_eq!(time.unwrap_err().kind(), io::ErrorKind::Unsupported);
        }
        assert_eq!((bare.len(), bare.size()), (0, None));
        assert_eq!((bare.uid(), bare.gid(), bare.nlink()), (UNKNOWN_ID, UNKNOWN_ID, 1));
        assert_eq!(bare.permissions().mode(), 0);
        assert!(!bare.permissions().readonly());
        assert_eq!(bare.permissions().to_attributes().unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn bits_come_with_the_type_and_are_set_without_it() {
        let described = crate::Metadata { mode: Some(0o640), ..crate::Metadata::new(FileType::File) };
        let mut permissions = Metadata::from(described).permissions();
        assert_eq!(permissions.mode(), 0o100640);
        permissions.set_readonly(true);
        assert!(permissions.readonly());
        assert_eq!(permissions.to_attributes().unwrap().mode, Some(0o440));
        permissions.set_readonly(false);
        assert_eq!(permissions.mode() & 0o777, 0o662);
    }
}

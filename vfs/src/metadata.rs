//! What a tree says about a file or folder. What a source does not know stays `None` in every protocol: no 1970 dates,
//! no invented sizes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

/// Description of one file, folder or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub file_type: FileType,
    /// Length in bytes, exact. `None`: not known before the last byte is read.
    pub len: Option<u64>,
    /// When the content changed last.
    pub modified: Option<SystemTime>,
    /// When it was read last.
    pub accessed: Option<SystemTime>,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// When content or attributes changed last.
    pub changed: Option<SystemTime>,
    /// Permission bits, `0o7777` at most.
    pub mode: Option<u32>,
    /// Who owns it.
    pub owner: Option<Owner>,
    /// How many names lead to it.
    pub links: Option<u64>,
    /// Media type, where the source states one.
    pub content_type: Option<Arc<str>>,
    /// Changes whenever the content does.
    pub validator: Option<Validator>,
    /// Names the content across remounts and restarts.
    pub identity: Option<Identity>,
    /// What the source says about keeping its answer. `None`: nothing, as sources do that know no caches.
    pub caching: Option<Caching>,
    /// Bytes that may still be written where it lies, where [`StatOptions::room`](crate::StatOptions::room) asks for that and the
    /// source knows. Others may take them first.
    pub room: Option<u64>,
    /// How this description came about.
    pub provenance: Provenance,
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// A file that can be read from any offset.
    File,
    /// A folder.
    Dir,
    /// A symbolic link, not followed.
    Symlink,
    /// A device, FIFO or socket: shown, never opened.
    Other,
}

/// Numeric owner and group, as the source counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
}

/// An opaque text that changes when the content does (RFC 9110 §8.8.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Validator {
    /// Equal means the same bytes: ranges of two answers may be put together.
    Strong(Arc<str>),
    /// Equal means as good as the same: nothing may be put together.
    Weak(Arc<str>),
}

/// What content this is, in words that survive remount and restart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A file of a source, in the version that the validator names.
    Source {
        /// The source and the file in it; unique among all sources.
        name: Bytes,
        /// The version.
        validator: Option<Validator>,
    },
    /// A piece of another file: a member of an archive.
    Member {
        /// The file that holds it.
        outer: Arc<Identity>,
        /// Where it starts, in the (uncompressed) outer bytes.
        offset: u64,
        /// How long it is.
        len: u64,
    },
}

/// What a source says about keeping its answer in a cache that many share (RFC 9111 §3 and §4.2, in no protocol's words).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caching {
    /// It may be kept at all.
    pub storable: bool,
    /// How long it counts as fresh from now on, what it spent on the way deducted. `None`: the source leaves that to the
    /// cache.
    pub fresh_for: Option<Duration>,
    /// Once it is no longer fresh it must not be served without asking, not even where the source is down.
    pub must_revalidate: bool,
}

/// How a description came about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// How long ago the source said it. `None`: just now.
    pub age: Option<Duration>,
    /// What a cache had to do with it.
    pub cache: CacheStatus,
    /// Length or times are rounded: fit to be shown, not to be relied on.
    pub approximate: bool,
    /// May still change while the source is being read for the first time.
    pub provisional: bool,
}

/// What a cache had to do with an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheStatus {
    /// No cache was asked.
    #[default]
    None,
    /// Stored and fresh.
    Hit,
    /// Stored, past its time, served all the same.
    Stale,
    /// Stored, and the source said that it still holds.
    Revalidated,
    /// Fetched for this call.
    Miss,
}

impl Metadata {
    /// A description that knows the type and nothing else.
    pub const fn new(file_type: FileType) -> Self {
        Self {
            file_type,
            len: None,
            modified: None,
            accessed: None,
            created: None,
            changed: None,
            mode: None,
            owner: None,
            links: None,
            content_type: None,
            validator: None,
            identity: None,
            caching: None,
            room: None,
            provenance: Provenance {
                age: None,
                cache: CacheStatus::None,
                approximate: false,
                provisional: false,
            },
        }
    }

    /// True for a file.
    pub fn is_file(&self) -> bool {
        self.file_type == FileType::File
    }

    /// True for a folder.
    pub fn is_dir(&self) -> bool {
        self.file_type == FileType::Dir
    }

    /// True for a link that was not followed.
    pub fn is_symlink(&self) -> bool {
        self.file_type == FileType::Symlink
    }
}

impl Identity {
    /// True where both are one file, in whatever versions.
    pub fn is_same_file(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Source { name: ours, .. }, Self::Source { name: theirs, .. }) => ours == theirs,
            (
                Self::Member { outer: ours, offset, len },
                Self::Member { outer: theirs, offset: their_offset, len: their_len },
            ) => ours.is_same_file(theirs) && (offset, len) == (their_offset, their_len),
            _ => false,
        }
    }
}

impl FileType {
    /// True for a file.
    pub const fn is_file(self) -> bool {
        matches!(self, Self::File)
    }

    /// True for a folder.
    pub const fn is_dir(self) -> bool {
        matches!(self, Self::Dir)
    }

    /// True for a link that was not followed.
    pub const fn is_symlink(self) -> bool {
        matches!(self, Self::Symlink)
    }
}

impl Validator {
    /// The opaque text, without quotes.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Strong(text) | Self::Weak(text) => text,
        }
    }

    /// True where both are strong and equal (RFC 9110 §8.8.3.2, strong comparison).
    pub fn matches_strongly(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Strong(a), Self::Strong(b)) if a == b)
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Dir => "folder",
            Self::Symlink => "link",
            Self::Other => "special file",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stays_the_same_file_in_another_version() {
        let source = |name: &'static str, version: &str| Identity::Source {
            name: Bytes::from_static(name.as_bytes()),
            validator: Some(Validator::Weak(version.into())),
        };
        let member = |outer, offset| Identity::Member { outer: Arc::new(outer), offset, len: 7 };
        assert!(source("a", "1").is_same_file(&source("a", "2")));
        assert!(!source("a", "1").is_same_file(&source("b", "1")));
        assert!(member(source("a", "1"), 5).is_same_file(&member(source("a", "2"), 5)));
        assert!(!member(source("a", "1"), 5).is_same_file(&member(source("a", "1"), 6)));
        assert!(!member(source("a", "1"), 0).is_same_file(&source("a", "1")));
    }
}

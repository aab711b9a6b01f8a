//! What a caller may wish for in a call: one struct a call, each wish a field with a default.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::metadata::Validator;
use crate::path::VPath;

/// Wishes for [`metadata`](crate::FileSystem::metadata).
#[derive(Clone, Debug)]
pub struct StatOptions {
    /// Describe what a link leads to (default) or the link itself.
    pub follow: bool,
    /// How old the answer may be.
    pub freshness: Freshness,
    /// Say how much room there is, too: [`Metadata::room`](crate::Metadata::room). Default false, for it may cost a call more.
    pub room: bool,
    /// What the caller is after, where the source finds no file.
    pub sought: Sought,
}

/// Wishes for [`read_dir`](crate::FileSystem::read_dir).
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Bring each entry's metadata along where that costs no request an entry. Links are not followed.
    pub metadata: bool,
    /// With `metadata`: entries may come without, where the listing has a [`describer`](crate::DirStream::describer) that is
    /// asked for it afterwards. Names are there sooner then.
    pub later: bool,
    /// How old the answer may be.
    pub freshness: Freshness,
}

/// Wishes for [`open`](crate::FileSystem::open). The defaults open nothing: ask for reading, writing or appending.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Read.
    pub read: bool,
    /// Write anywhere, or at the next offset only where the tree cannot do more.
    pub write: bool,
    /// Write at the end, wherever that is when the write happens.
    pub append: bool,
    /// Cut an existing file to nothing.
    pub truncate: bool,
    /// Make the file where it is missing.
    pub create: bool,
    /// Make the file, and fail with `AlreadyExists` where anything has its name. Overrides `create` and `truncate`.
    pub create_new: bool,
    /// Permission bits of a file that is made. Default: `0o666` less what the process masks.
    pub mode: Option<u32>,
    /// When others see what is written.
    pub write_mode: WriteMode,
    /// Follow a link in the last place (default), or fail with `Loop` on it.
    pub follow: bool,
    /// How old the content may be.
    pub freshness: Freshness,
    /// What will be read, so that a remote source asks for no more.
    pub intent: Intent,
    /// What the caller is after, where the source finds no file.
    pub sought: Sought,
    /// Open this version only; else `Changed`.
    pub if_match: Option<Validator>,
    /// The version that the caller holds already. A source may then answer without content, and send that where it is read
    /// after all; which version was opened is for the file's own description to say.
    pub held: Option<Held>,
    /// Where a folder stands there, the page that its site makes of it, in this media type: one of
    /// [`Capabilities::pages`](crate::Capabilities::pages). Default: none, a folder is `IsADirectory`.
    pub page: Option<&'static str>,
}

/// A version that a caller holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What its source named it.
    pub validator: Validator,
    /// Length, where it is known.
    pub len: Option<u64>,
    /// When it changed last, where the source said so.
    pub modified: Option<SystemTime>,
}

/// When others see what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// At once, as in the standard library; what is written stays when the file is dropped.
    #[default]
    InPlace,
    /// All at once, at [`finish`](crate::File::finish): until then a hidden part file grows beside the target, and a
    /// drop without `finish` removes it and leaves the old file as it was. The file starts empty; `append` and reading
    /// are refused.
    Atomic,
}

/// How old an answer may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// As old as the layers in between hold for fresh.
    #[default]
    Any,
    /// The source is asked whether it still holds.
    Revalidate,
    /// The source is not asked at all; what is not stored is `Unavailable`.
    StoredOnly,
}

/// What a reader is going to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intent {
    /// All of it, from the start.
    #[default]
    Whole,
    /// Some range.
    Range,
    /// The description alone.
    Header,
}

/// What a caller is after. It decides how much a source has to find out where it finds no file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sought {
    /// Whatever stands there: `NotFound` means that nothing does, and that what lies above is a folder or nothing.
    #[default]
    Anything,
    /// A file: `NotFound` means that there is none. A source that would have to ask once more need not find out whether a
    /// folder stands there instead, or a file above.
    File,
}

/// Wishes for [`rename`](crate::FileSystem::rename).
#[derive(Clone, Copy, Debug, Default)]
pub struct RenameOptions {
    /// Fail with `AlreadyExists` instead of replacing the target.
    pub no_replace: bool,
}

/// Attributes to set; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttributes {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Time of the last change.
    pub modified: Option<SystemTime>,
    /// Time of the last reading.
    pub accessed: Option<SystemTime>,
    /// User.
    pub user: Option<u32>,
    /// Group.
    pub group: Option<u32>,
}

/// A range of bytes: from `start` to before `end`, or to the end of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// The byte after the last one. `None`: the end of the file.
    pub end: Option<u64>,
}

impl Default for StatOptions {
    fn default() -> Self {
        Self { follow: true, freshness: Freshness::Any, room: false, sought: Sought::Anything }
    }
}

impl StatOptions {
    /// Describes a link itself.
    pub fn no_follow() -> Self {
        Self { follow: false, ..Self::default() }
    }

    /// Asks about a file: where there is none, that is all that has to be found out.
    pub fn of_file() -> Self {
        Self { sought: Sought::File, ..Self::default() }
    }

    /// Asks how much room there is, too.
    pub fn with_room() -> Self {
        Self { room: true, ..Self::default() }
    }
}

impl ListOptions {
    /// With metadata where it is free.
    pub fn with_metadata() -> Self {
        Self { metadata: true, ..Self::default() }
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            mode: None,
            write_mode: WriteMode::InPlace,
            follow: true,
            freshness: Freshness::Any,
            intent: Intent::Whole,
            sought: Sought::Anything,
            if_match: None,
            held: None,
            page: None,
        }
    }
}

impl OpenOptions {
    /// Reading.
    pub fn reading() -> Self {
        Self { read: true, ..Self::default() }
    }

    /// Reading what has to be a file: where there is none, that is all that has to be found out.
    pub fn reading_file() -> Self {
        Self { sought: Sought::File, ..Self::reading() }
    }

    /// Writing a file anew, visible at once: create it or cut it to nothing.
    pub fn writing() -> Self {
        Self { write: true, create: true, truncate: true, ..Self::default() }
    }

    /// Replacing a file as a whole when it is complete.
    pub fn replacing() -> Self {
        Self { write_mode: WriteMode::Atomic, ..Self::writing() }
    }

    /// True where the file or its length may change through this opening.
    pub fn changes(&self) -> bool {
        self.write || self.append || self.truncate || self.create || self.create_new
    }

    /// Refuses what the standard library refuses: no access mode at all; truncating or creating without writing;
    /// truncating while appending, unless the file is new. `Atomic` takes no appending and no reading.
    ///
    /// # Errors
    /// `InvalidInput`, which names the combination.
    pub fn check(&self, path: &VPath) -> Result<()> {
        let refuse = |detail| Err(Error::new(ErrorKind::InvalidInput, "open", path).with_detail(detail));
        let writes = self.write || self.append;
        if !self.read && !writes {
            return refuse("neither reading nor writing was asked for");
        }
        if !writes && (self.truncate || self.create || self.create_new) {
            return refuse("creating or truncating needs writing");
        }
        if self.append && self.truncate && !self.create_new {
            return refuse("truncating and appending exclude each other");
        }
        if self.write_mode == WriteMode::Atomic && writes {
            if self.append || self.read {
                return refuse("an atomic write starts empty: it takes no appending and no reading");
            }
            if !(self.create_new || self.create && self.truncate) {
                return refuse(
                    "an atomic write replaces or creates: it needs create and truncate, or create_new",
                );
            }
        }
        Ok(())
    }
}

impl SetAttributes {
    /// True where nothing is to be set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl ByteRange {
    /// The whole file.
    pub const fn whole() -> Self {
        Self { start: 0, end: None }
    }

    /// `len` bytes from `start`.
    pub const fn at(start: u64, len: u64) -> Self {
        Self { start, end: Some(start.saturating_add(len)) }
    }

    /// From `start` to the end of the file.
    pub const fn from(start: u64) -> Self {
        Self { start, end: None }
    }

    /// Its length, where the end is stated.
    pub const fn len(&self) -> Option<u64> {
        match self.end {
            Some(end) => Some(end.saturating_sub(self.start)),
            None => None,
        }
    }

    /// True where the range states that it holds no byte.
    pub const fn is_empty(&self) -> bool {
        matches!(self.len(), Some(0))
    }
}

/// What a lock on an open file keeps away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Everybody else who locks.
    Exclusive,
    /// Those who lock exclusively.
    Shared,
    /// Nobody: gives the lock back.
    Unlock,
}

/// How long to wait for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockWait {
    /// Not at all: `Busy` where somebody holds it.
    Never,
    /// As long as it takes. A dropped future gives up waiting; the lock may still be taken and is then given back.
    Forever,
    /// At most this long, then `Busy`.
    AtMost(Duration),
}

/// Text of a symbolic link: stored as it is given.
pub type LinkTarget = Bytes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_of_the_standard_library_holds() {
        let base = OpenOptions::default();
        for (options, valid) in [
            (OpenOptions { ..base.clone() }, false),
            (OpenOptions { read: true, ..base.clone() }, true),
            (OpenOptions { read: true, create: true, ..base.clone() }, false),
            (OpenOptions { read: true, truncate: true, ..base.clone() }, false),
            (OpenOptions { read: true, create_new: true, ..base.clone() }, false),
            (OpenOptions { write: true, truncate: true, ..base.clone() }, true),
            (OpenOptions { append: true, truncate: true, ..base.clone() }, false),
            (OpenOptions { append: true, truncate: true, create_new: true, ..base.clone() }, true),
            (OpenOptions { append: true, create: true, ..base.clone() }, true),
            (OpenOptions::replacing(), true),
            (OpenOptions { append: true, ..OpenOptions::replacing() }, false),
            (OpenOptions { truncate: false, ..OpenOptions::replacing() }, false),
            (OpenOptions { create_new: true, ..OpenOptions::replacing() }, true),
        ] {
            assert_eq!(options.check(&VPath::root()).is_ok(), valid, "{options:?}");
        }
    }
}

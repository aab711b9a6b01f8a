//! One entry of an archive, as a container's reader hands it to the catalog.

use std::sync::Arc;

/// An entry, as its headers have it. Names are raw: where they lead is the catalog's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Where a link leads; empty for everything else.
    pub(super) link: Vec<u8>,
    /// The header's offset: no two entries share one.
    pub(super) header: u64,
    /// Where the stored bytes begin.
    pub(super) data: u64,
    /// Length of the content, holes included.
    pub(super) size: u64,
    /// Which pieces of the content are stored, where not all are.
    pub(super) sparse: Option<Arc<[Piece]>>,
    pub(super) mode: Option<u32>,
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
    /// Seconds since 1970 and nanoseconds.
    pub(super) modified: Option<(i64, u32)>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Dir,
    Symlink,
    HardLink,
    /// A device or FIFO.
    Other,
}

/// A stored piece of a file with holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Offset in the content.
    pub(super) at: u64,
    /// Offset in the stored bytes.
    pub(super) stored: u64,
    pub(super) len: u64,
}

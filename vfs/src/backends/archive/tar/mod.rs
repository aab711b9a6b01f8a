//! tar archives, read as a stream: v7, ustar, GNU and PAX, in one pass that keeps nothing but the entry at hand.
//!
//! [`Scanner`] is fed with bytes and says what it found; it reads nothing itself. Where readers of tar disagree, it stops
//! instead of guessing: an archive in which one program sees a file and another one that file's content as headers is
//! [damaged](Flaw) there, and what comes before stays readable.

mod header;
mod pax;
mod scanner;
mod sparse;
#[cfg(test)]
mod tests;

pub(super) use header::{BLOCK_BYTES, is_header};
pub(super) use scanner::Scanner;
pub(super) use sparse::Piece;

use std::sync::Arc;

use super::codec::Damage;

/// One entry, as its headers have it. Names are raw: where they lead is the catalog's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Where a link leads; empty for everything else.
    pub(super) link: Vec<u8>,
    /// The header block's offset: no two entries share one.
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

/// Where an archive stops making sense, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Offset in the (uncompressed) tar stream.
    pub(super) at: u64,
    pub(super) damage: Damage,
}

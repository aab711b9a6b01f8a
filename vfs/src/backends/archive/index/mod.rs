//! The persisted index: what a first pass found, kept in a file, so that the next mount needs none.
//!
//! One immutable file an archive, in a folder of indexes. It is written beside its name, synced and renamed, so it is
//! there as a whole or not at all. While a pass runs, a [journal](journal) holds what it found so far. An index is input
//! like any other: sums are checked, counts and offsets are bounded, and one that is damaged, of another version or of
//! another file is ignored and made anew. Which file it speaks of is [`source`]'s to say; that every byte read is the
//! one that the pass saw, is proven by the sum of its block.
//!
//! # Layout
//!
//! Numbers in the fixed parts are little-endian; those in sections are as in `wire`, seven bits a byte.
//!
//! ```text
//! magic         8   "vfsdidx\n"
//! version       4   2
//! states            the points' states, one behind the other; read one by one, when a read starts there
//! description       format, source, length of the content, where a scan can go on, what ended it, from where on a checksum speaks
//!                   against the content, what is odd, nodes, hidden entries
//! points            count; for each: input bits, output, gap before the state, its length; its CRC-32 in four bytes
//! sums              CRC-32 of each 64 KiB of content, four bytes each
//! ends              where each block of names ends, four bytes each
//! names             blocks of names, a zstd frame each; see `names`
//! places     5×20   offset, length and CRC-32 of each section from the description on
//! sum           4   CRC-32 of the places
//! version       4   2
//! magic         8   "vfsdidx\n"
//! ```

mod beside;
mod contents;
mod file;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod journal;
mod layout;
mod names;
mod source;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

pub(super) use contents::Contents;
pub(super) use journal::Journal;
pub(super) use names::{NameBlock, PackedNames};
pub(super) use store::{Finding, Keeping, Passed, Store};

use super::tar::Boundary;
use wire::Reader;

/// The layout's version. A file of another one is ignored.
const VERSION: u32 = 3;

/// Where indexes of archives are kept, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// Where. Default: nowhere.
    pub place: IndexPlace,
    /// A pass that took less leaves nothing behind. Default: 50 ms.
    pub worth: Duration,
    /// How often a pass under way writes down what it found. Default: 250 ms; what it found since then is what a pass
    /// that was killed has to find again.
    pub journal: Duration,
    /// Disk space of all indexes in the folder. Default: 4 GiB, which is the indexes of some 600 GB of tgz; behind it
    /// those go that were not used for the longest time.
    pub limit: u64,
}

/// Where indexes are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IndexPlace {
    /// In memory, while the archive is in use.
    #[default]
    Memory,
    /// In this folder of the host, which is made when the first index is written.
    Folder(PathBuf),
}

impl Default for IndexOptions {
    fn default() -> Self {
        let place = IndexPlace::default();
        Self { place, worth: Duration::from_millis(50), journal: Duration::from_millis(250), limit: 4 << 30 }
    }
}

fn read_boundary(reader: &mut Reader<'_>) -> Option<Boundary> {
    let at = reader.number().filter(|at| at >> 63 == 0)?;
    let (user, group) = reader.owner()?;
    Some(Boundary { at, user, group, modified: reader.time()? })
}

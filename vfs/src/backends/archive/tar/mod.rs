//! tar archives, read as a stream: v7, ustar, GNU and PAX, in one pass that keeps nothing but the entry at hand.
//!
//! [`Scanner`] is fed with bytes and says what it found; it reads nothing itself. Where readers of tar disagree, it stops
//! instead of guessing: an archive in which one program sees a file and another one that file's content as headers is
//! [damaged](Flaw) there, and what comes before stays readable.

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod header;
mod pax;
mod scanner;
mod shape;
mod sparse;
#[cfg(test)]
mod tests;

pub(super) use header::{BLOCK_BYTES, is_header};
pub(super) use scanner::{Boundary, Scanner};

use super::codec::Damage;

/// Where an archive stops making sense, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Offset in the (uncompressed) tar stream.
    pub(super) at: u64,
    pub(super) damage: Damage,
}

//! gzip (RFC 1952), entered in the middle: members one behind the other, checked as they end, and seek points about a
//! spacing apart.
//!
//! One pass decodes, verifies and finds the points; BGZF and other files of many members need nothing special, since a
//! member's header is a point that needs no window. Trailing zeros are padding. Other trailing bytes are no damage
//! either: what came before is whole, and [`Decoder::remark`] tells of them. The bytes of a member's magic are never
//! searched for.
//!
//! A point amid a member keeps the member's sums up to there. So a decoder that starts at one checks the member's end
//! like any other, which proves the whole member if the part before the point has been proven; whoever reads a part
//! only needs sums of the parts.

mod body;
mod decoder;
mod entry;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod header;
#[allow(unsafe_code)] // The C interface of zlib; the only one that can start amid a stream.
mod inflate;
mod sparse;
mod sums;
#[cfg(test)]
mod tests;

use decoder::GzipDecoder;
use entry::Entry;
use sparse::sparse_window;

use super::codec::{Codec, Damage, Decoder, SeekPoint};
use super::passed::senseless;

/// Output between two seek points, where nothing else is asked for. A read decodes half of it in vain on average, which
/// is less than a millisecond's work, and a file's points, packed, take about half a percent of its size.
pub(super) const SPACING_BYTES: u64 = 1 << 20;

/// What [`Codec::compact`] wants to see behind a point: enough for 32 KiB of whatever a compressor makes.
pub(super) const FOLLOWING_BYTES: usize = 64 * 1024;

/// The gzip codec.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gzip {
    framing: Framing,
    spacing: u64,
}

/// What is around the compressed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Members, each with header and sums.
    Gzip,
    /// Nothing: one deflate stream, as zip holds it. It has no sums that could be checked here.
    Bare,
}

impl Gzip {
    /// gzip with seek points `spacing` bytes of output apart; one comes up to a block later, or up to a spacing where
    /// blocks are that long. A decoder keeps 64 points at most until they are taken; a reader need not take any.
    pub(super) fn new(spacing: u64) -> Self {
        Self { framing: Framing::Gzip, spacing }
    }

    /// One deflate stream without a frame, as a member of a zip archive is; its sums are the caller's to check.
    pub(super) fn bare(spacing: u64) -> Self {
        Self { framing: Framing::Bare, spacing }
    }
}

impl Codec for Gzip {
    fn start(&self) -> Box<dyn Decoder> {
        Box::new(GzipDecoder::new(self.framing, self.spacing))
    }

    fn resume(&self, point: &SeekPoint) -> Result<Box<dyn Decoder>, Damage> {
        let entry = Entry::of(point)?;
        let decoder = GzipDecoder::resume(self.framing, self.spacing, point, &entry);
        Ok(Box::new(decoder.ok_or_else(|| senseless(point))?))
    }

    /// Drops from the point's window what nothing reaches back to, which takes [`FOLLOWING_BYTES`]. Where `following`
    /// gives less than 32 KiB of output and does not reach the end of the member, or is damaged, the window stays whole.
    /// Either way it is packed. About 0.4 ms of work.
    fn compact(&self, point: SeekPoint, following: &[u8]) -> SeekPoint {
        let Ok(Entry::Inside(mut inside)) = Entry::of(&point) else {
            return point;
        };
        let skipped = (point.input_bits % 8) as u8;
        if let Some(window) = sparse_window(&inside, skipped, following) {
            inside.window = window;
        }
        SeekPoint { state: Entry::Inside(inside).to_state(true), ..point }
    }
}

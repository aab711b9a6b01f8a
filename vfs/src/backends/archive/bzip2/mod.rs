//! bzip2, entered at its blocks: streams one behind the other, checked as they end, and a seek point a block.
//!
//! Blocks begin at any bit. Their magic of 48 bits is looked for in what is decoded anyway; it may stand within a
//! block by chance or malice, and is believed only where a block ends just there, checksum included. A block that is
//! entered in the middle of a stream gets a stream header put before it and is shifted to whole bytes.
//!
//! What follows the last stream is padding if it is zeros, and otherwise remarked on.

mod bits;
mod blocks;
mod decoder;
mod entry;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;

use decoder::Bzip2Decoder;
use entry::Entry;

use super::codec::{Codec, Damage, Decoder, SeekPoint};
use super::passed::senseless;
use super::steps::Stepped;

/// The bzip2 codec.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bzip2 {
    spacing: u64,
}

impl Bzip2 {
    /// bzip2 with seek points `spacing` bytes of output apart, at the blocks that are nearest to it. Blocks have 900 kB
    /// mostly, and whoever enters one decodes it whole. A decoder keeps 64 points at most until they are taken.
    pub(super) fn new(spacing: u64) -> Self {
        Self { spacing }
    }
}

impl Codec for Bzip2 {
    fn start(&self) -> Box<dyn Decoder> {
        Box::new(Stepped::new(Bzip2Decoder::new(self.spacing)))
    }

    /// A block's worth of numbers.
    fn decoder_bytes(&self) -> usize {
        4 << 20
    }

    fn resume(&self, point: &SeekPoint) -> Result<Box<dyn Decoder>, Damage> {
        let entry = Entry::parse(&point.state).ok_or_else(|| senseless(point))?;
        Ok(Box::new(Stepped::new(Bzip2Decoder::resume(self.spacing, point, entry))))
    }
}

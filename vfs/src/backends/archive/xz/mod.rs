//! xz, entered at its blocks: streams one behind the other, each with an index that names its blocks.
//!
//! The frame is read here (xz file format 1.2.1): headers, index, footer. So blocks are found without the index, on the
//! way, and with it, from the file's end, without a pass. What is in a block the library decodes and checks, filters
//! and all. A file of one block, as `xz` makes without `-T`, has one point.

mod block;
mod decoder;
mod entry;
mod frame;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod index;
mod survey;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

use decoder::XzDecoder;
use entry::Entry;

use super::codec::{Codec, Damage, Decoder, SeekPoint, Survey};
use super::passed::senseless;
use super::steps::Stepped;
use crate::error::Result;
use crate::file_system::File;

/// The largest dictionary that is decoded with. `xz -9` uses 64 MiB; what asks for more is damaged, or wants memory.
pub(super) const DICTIONARY_LIMIT_BYTES: u64 = 128 << 20;

/// The xz codec.
#[derive(Clone, Copy, Debug)]
pub(super) struct Xz {
    spacing: u64,
}

impl Xz {
    /// xz with seek points `spacing` bytes of output apart, at the blocks that are nearest to it. A decoder keeps 64
    /// points at most until they are taken.
    pub(super) fn new(spacing: u64) -> Self {
        Self { spacing }
    }
}

#[async_trait]
impl Codec for Xz {
    fn start(&self) -> Box<dyn Decoder> {
        Box::new(Stepped::new(XzDecoder::new(self.spacing)))
    }

    /// A dictionary as `xz -6` has it, or somewhat more.
    fn decoder_bytes(&self) -> usize {
        16 << 20
    }

    fn resume(&self, point: &SeekPoint) -> Result<Box<dyn Decoder>, Damage> {
        let entry = Entry::of(point).ok_or_else(|| senseless(point))?;
        Ok(Box::new(Stepped::new(XzDecoder::resume(self.spacing, point, entry)?)))
    }

    /// Reads the indexes from the file's end on. `None` where it ends otherwise, for a pass says more of such a file, and
    /// where the indexes are larger than a survey reads.
    async fn survey(&self, file: &dyn File) -> Result<Option<Survey>> {
        survey::survey(file, self.spacing).await
    }
}

//! zstd, entered at its frames: one behind the other, with what may be skipped between them.
//!
//! A frame says nothing of where others are, and none can be entered in the middle. Files that were made for random
//! access have a table of all frames behind the last (the seekable format of zstd's `contrib`); of others the blocks'
//! headers are walked over, as far as that is cheap. A file of one frame, as `zstd` makes, has one point.

mod decoder;
mod entry;
mod frame;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod seek_table;
mod survey;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

use decoder::ZstdDecoder;
use entry::Entry;

use super::codec::{Codec, Damage, Decoder, SeekPoint, Survey};
use super::passed::senseless;
use super::steps::Stepped;
use crate::error::Result;
use crate::file_system::File;

/// The largest window that is decoded with, as a power of two: 128 MiB. `zstd --ultra -22` uses as much; `--long=31`
/// asks for 2 GiB and is refused.
pub(super) const WINDOW_LOG_LIMIT: u32 = 27;

/// The zstd codec.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zstd {
    spacing: u64,
}

impl Zstd {
    /// zstd with seek points `spacing` bytes of output apart, at the frames that are nearest to it. A decoder keeps 64
    /// points at most until they are taken.
    pub(super) fn new(spacing: u64) -> Self {
        Self { spacing }
    }
}

#[async_trait]
impl Codec for Zstd {
    fn start(&self) -> Box<dyn Decoder> {
        Box::new(Stepped::new(ZstdDecoder::new(self.spacing)))
    }

    /// A window as the default levels have it, or somewhat more.
    fn decoder_bytes(&self) -> usize {
        9 << 20
    }

    fn resume(&self, point: &SeekPoint) -> Result<Box<dyn Decoder>, Damage> {
        let entry = Entry::of(point).ok_or_else(|| senseless(point))?;
        Ok(Box::new(Stepped::new(ZstdDecoder::resume(self.spacing, point, entry))))
    }

    /// Reads the seek table, or walks over the frames. `None` where neither tells all that must be known, or a walk
    /// would take too many reads: then a pass does.
    async fn survey(&self, file: &dyn File) -> Result<Option<Survey>> {
        survey::survey(file, self.spacing).await
    }
}

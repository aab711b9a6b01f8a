//! [`Cutter`]: output cut into blocks, with a sum of each.

use bytes::Bytes;
use crc32fast::Hasher;

use super::{BLOCK_BYTES, Sink};
use crate::backends::archive::codec::{Decoder, SeekPoint};

/// Cuts output into blocks, and sums each.
pub(super) struct Cutter {
    /// Where the next byte belongs.
    position: u64,
    /// Where the block under way begins.
    at: u64,
    block: Vec<u8>,
    left: usize,
    cuts: Vec<Cut>,
    learns: bool,
    /// The points passed, where they are to be kept.
    pub(super) points: Vec<SeekPoint>,
}

/// A block.
pub(super) struct Cut {
    pub(super) at: u64,
    pub(super) bytes: Bytes,
    pub(super) sum: u32,
}

impl Cutter {
    /// Wants `blocks` from `start` on, of output that begins at `position`.
    pub(super) fn new(start: u64, position: u64, blocks: usize, learns: bool) -> Self {
        let (block, cuts, points) = (Vec::new(), Vec::new(), Vec::new());
        Self { position, at: start, block, left: blocks, cuts, learns, points }
    }

    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// True where nothing of the first block is there.
    pub(super) fn is_before_end(&self) -> bool {
        self.cuts.is_empty()
    }

    fn cut(&mut self) {
        let bytes = Bytes::from(std::mem::take(&mut self.block));
        let mut sum = Hasher::new();
        sum.update(&bytes);
        let (at, len) = (self.at, bytes.len() as u64);
        self.at += len;
        self.left -= 1;
        self.cuts.push(Cut { at, bytes, sum: sum.finalize() });
    }

    /// All blocks; the last one may be short.
    pub(super) fn finish(mut self) -> Vec<Cut> {
        if !self.block.is_empty() {
            self.cut();
        }
        self.cuts
    }
}

impl Sink for Cutter {
    fn take(&mut self, output: &[u8]) {
        let before = usize::try_from(self.at - self.position.min(self.at)).unwrap_or(usize::MAX);
        let before = if self.block.is_empty() { before.min(output.len()) } else { 0 };
        self.position += output.len() as u64;
        let mut rest = &output[before..];
        while !rest.is_empty() && self.left > 0 {
            if self.block.capacity() == 0 {
                self.block.reserve_exact(BLOCK_BYTES);
            }
            let (taken, after) = rest.split_at(rest.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(taken);
            rest = after;
            if self.block.len() == BLOCK_BYTES {
                self.cut();
            }
        }
    }

    fn look(&mut self, decoder: &mut dyn Decoder) {
        let points = decoder.take_points();
        if self.learns {
            self.points.extend(points);
        }
    }
}

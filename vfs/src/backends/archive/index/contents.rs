//! [`Contents`]: what is known of a compressed file's content: where decoding can start, and the sum of each block.

use std::sync::Arc;

use bytes::Bytes;

use super::file::IndexFile;
use crate::backends::archive::codec::SeekPoint;
use crate::backends::archive::decoded::BLOCK_BYTES;
use crate::error::Result;

/// What a pass has found so far, or an index holds.
#[derive(Debug, Default)]
pub(in super::super) struct Contents {
    /// In order.
    points: Vec<Point>,
    /// CRC-32 of each block of [`BLOCK_BYTES`], from the first on.
    sums: Vec<u32>,
    /// Length of the content, once its end is known.
    pub(in super::super) len: Option<u64>,
    /// Bytes of the points' states that are in memory.
    held: usize,
    /// Where stored states lie.
    pub(super) file: Option<Arc<IndexFile>>,
    spoiled: bool,
}

/// A point, whose state may lie in the index file.
#[derive(Clone, Debug)]
pub(in super::super) struct Point {
    pub(super) input_bits: u64,
    pub(in super::super) output: u64,
    pub(super) state: State,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Held(Bytes),
    Stored(Stored),
}

/// A part of an index file, and its CRC-32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) at: u64,
    pub(super) len: usize,
    pub(super) sum: u32,
}

impl Contents {
    /// What an index holds.
    pub(super) fn stored(points: Vec<Point>, sums: Vec<u32>, len: Option<u64>, file: Arc<IndexFile>) -> Self {
        Self { points, sums, len, held: 0, file: Some(file), spoiled: false }
    }

    /// Adds a point; one that does not lie behind those known adds nothing.
    pub(in super::super) fn add_point(&mut self, point: SeekPoint) {
        if !self.is_ahead(point.output) {
            return;
        }
        self.held += point.state.len();
        let state = State::Held(point.state);
        self.points.push(Point { input_bits: point.input_bits, output: point.output, state });
    }

    /// True where `output` lies behind the points known.
    pub(in super::super) fn is_ahead(&self, output: u64) -> bool {
        self.points.last().is_none_or(|last| last.output < output)
    }

    /// Adds the sums of the blocks that follow.
    pub(in super::super) fn add_sums(&mut self, sums: &[u32]) {
        self.sums.extend_from_slice(sums);
    }

    /// Makes ready for a content that goes on where `len` was its end: the last block was a short one.
    pub(super) fn reopen(&mut self) {
        if let Some(len) = self.len.take() {
            self.sums.truncate(usize::try_from(len / BLOCK_BYTES as u64).unwrap_or(usize::MAX));
        }
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(super) fn sums(&self) -> &[u32] {
        &self.sums
    }

    /// How many blocks were summed.
    pub(in super::super) fn blocks(&self) -> u64 {
        self.sums.len() as u64
    }

    /// The sum of the block that begins at `at`.
    pub(in super::super) fn sum(&self, at: u64) -> Option<u32> {
        self.sums.get(usize::try_from(at / BLOCK_BYTES as u64).ok()?).copied()
    }

    /// The last point at or before `output`, and where its state may lie.
    pub(in super::super) fn point_before(&self, output: u64) -> Option<(Point, Option<Arc<IndexFile>>)> {
        let known = self.points.partition_point(|point| point.output <= output);
        known.checked_sub(1).map(|at| (self.points[at].clone(), self.file.clone()))
    }

    /// Where compressed input ends that is needed for the content up to `output`.
    pub(in super::super) fn input_behind(&self, output: u64) -> Option<u64> {
        let known = self.points.partition_point(|point| point.output < output);
        self.points.get(known).map(|point| point.input_bits / 8 + 1)
    }

    /// Forgets everything: the file is another one by now. The index goes from the disk too.
    pub(in super::super) fn spoil(&mut self) {
        let file = self.file.take();
        *self = Self { spoiled: true, ..Self::default() };
        if let Some(file) = file {
            file.remove();
        }
    }

    /// True once the file was found to be another one.
    pub(in super::super) fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    pub(in super::super) fn memory_bytes(&self) -> usize {
        self.points.capacity() * size_of::<Point>() + self.sums.capacity() * 4 + self.held
    }
}

impl Point {
    /// The whole of it.
    ///
    /// # Errors
    /// `Corrupt` where the index file does not hold it any more.
    pub(in super::super) async fn load(self, file: Option<Arc<IndexFile>>) -> Result<SeekPoint> {
        let state = match (self.state, file) {
            (State::Held(state), _) => state,
            (State::Stored(stored), Some(file)) => file.read(stored).await?,
            (State::Stored(_), None) => return Err(super::file::lost("its file is gone")),
        };
        Ok(SeekPoint { input_bits: self.input_bits, output: self.output, state })
    }
}

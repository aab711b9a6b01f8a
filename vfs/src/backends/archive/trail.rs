//! [`Trail`]: the compressed input that a pass has read last, for points that want to see what follows them.
//!
//! So nothing is read twice: a point waits until the pass has read on far enough.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::codec::SeekPoint;
use super::gzip::FOLLOWING_BYTES;

/// Input before what the decoder has taken that is kept: a point may lie a header's length back.
const MARGIN_BYTES: u64 = 64 * 1024;

/// Input, and the points in it.
pub(super) struct Trail {
    /// In order, one behind the other.
    pieces: VecDeque<Bytes>,
    /// Where the first piece begins, and the last one ends.
    start: u64,
    end: u64,
    is_whole: bool,
    waiting: VecDeque<SeekPoint>,
}

impl Trail {
    /// A trail of input from `start` on.
    pub(super) fn new(start: u64) -> Self {
        Self { pieces: VecDeque::new(), start, end: start, is_whole: false, waiting: VecDeque::new() }
    }

    /// Adds the input that follows; an empty piece is the end.
    pub(super) fn add(&mut self, input: Bytes) {
        self.end += input.len() as u64;
        self.is_whole |= input.is_empty();
        self.pieces.push_back(input);
    }

    /// Adds points that were found, of which the decoder has taken `taken` bytes of input.
    pub(super) fn wait(&mut self, points: Vec<SeekPoint>, taken: u64) {
        self.waiting.extend(points);
        let needed = self.waiting.front().map_or(taken, |first| taken.min(first.input_bits / 8));
        while let Some(first) = self.pieces.front()
            && self.start + first.len() as u64 + MARGIN_BYTES <= needed
        {
            self.start += first.len() as u64;
            self.pieces.pop_front();
        }
    }

    /// The points that need not wait any longer, and what follows each.
    pub(super) fn ripe(&mut self) -> Vec<(SeekPoint, Bytes)> {
        let is_ripe =
            |point: &SeekPoint| self.is_whole || point.input_bits / 8 + FOLLOWING_BYTES as u64 <= self.end;
        let count = self.waiting.iter().take_while(|point| is_ripe(point)).count();
        self.take(count)
    }

    /// All points that wait.
    pub(super) fn rest(&mut self) -> Vec<(SeekPoint, Bytes)> {
        self.take(self.waiting.len())
    }

    fn take(&mut self, count: usize) -> Vec<(SeekPoint, Bytes)> {
        let points: Vec<_> = self.waiting.drain(..count).collect();
        points
            .into_iter()
            .map(|point| {
                let following = self.following(point.input_bits / 8);
                (point, following)
            })
            .collect()
    }

    fn following(&self, from: u64) -> Bytes {
        let mut gathered = BytesMut::new();
        let Some(mut before) = from.checked_sub(self.start) else { return Bytes::new() };
        for piece in &self.pieces {
            let Some(rest) = usize::try_from(before).ok().and_then(|before| piece.get(before..)) else {
                before -= piece.len() as u64;
                continue;
            };
            before = 0;
            if gathered.is_empty() && rest.len() >= FOLLOWING_BYTES {
                return piece.slice_ref(&rest[..FOLLOWING_BYTES]);
            }
            let missing = FOLLOWING_BYTES - gathered.len();
            gathered.extend_from_slice(&rest[..rest.len().min(missing)]);
            if gathered.len() == FOLLOWING_BYTES {
                break;
            }
        }
        gathered.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(byte: u64) -> SeekPoint {
        SeekPoint { input_bits: byte * 8 + 3, output: byte, state: Bytes::new() }
    }

    #[test]
    fn a_point_gets_what_follows_it_as_soon_as_that_is_there() {
        let input: Vec<u8> = (0..600_000_u32).map(|at| (at / 3) as u8).collect();
        let (mut trail, mut found) = (Trail::new(1000), Vec::new());
        let mut points = vec![5000, 100_000, 131_000, 500_000, 590_000].into_iter().peekable();
        for (number, piece) in input[1000..].chunks(30_000).enumerate() {
            trail.add(Bytes::copy_from_slice(piece));
            let taken = 1000 + (number as u64 + 1) * 30_000;
            let here = std::iter::from_fn(|| points.next_if(|byte| *byte < taken)).map(point).collect();
            trail.wait(here, taken);
            found.extend(trail.ripe());
            assert!(trail.pieces.len() < 8, "{}", trail.pieces.len());
        }
        assert_eq!(found.len(), 4);
        trail.add(Bytes::new());
        found.extend(trail.ripe());
        for (point, following) in &found {
            let from = point.output as usize;
            assert!(following[..] == input[from..input.len().min(from + FOLLOWING_BYTES)], "{from}");
        }
        assert_eq!(found.len(), 5);
    }
}

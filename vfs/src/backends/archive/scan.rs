//! [`Scan`]: what a pass does with the output of a compressed tar, in the job that makes it: names, sums and points.

use std::mem;
use std::sync::Arc;

use crc32fast::Hasher;

use super::codec::{Decoder, SeekPoint};
use super::decoded::{BLOCK_BYTES, Sink};
use super::spool::Spool;
use super::tar::{Boundary, Scanner};

/// A scan under way.
pub(super) struct Scan {
    /// None where the content is no tar.
    pub(super) scanner: Option<Scanner>,
    spool: Option<Arc<Spool>>,
    /// The points passed since they were taken last.
    pub(super) points: Vec<SeekPoint>,
    sums: Sums,
    /// Where the next byte of output belongs.
    position: u64,
    /// What is odd about the compressed data.
    pub(super) remark: Option<String>,
}

/// Sums of whole blocks.
struct Sums {
    /// Where the next byte to be summed is.
    position: u64,
    block: Hasher,
    found: Vec<u32>,
}

impl Scan {
    /// A scan of a tar that goes on with `scanner`, or of something else, with so many blocks summed; all output goes into
    /// the spool, if there is one. The output that it is given begins at or before [`Scan::from`].
    pub(super) fn new(scanner: Option<Scanner>, blocks: u64, spool: Option<Arc<Spool>>) -> Self {
        let position = blocks * BLOCK_BYTES as u64;
        Self {
            scanner,
            spool,
            points: Vec::new(),
            sums: Sums { position, block: Hasher::new(), found: Vec::new() },
            position: 0,
            remark: None,
        }
    }

    /// The first byte of output that is needed.
    pub(super) fn from(&self) -> u64 {
        let scanned = self.scanner.as_ref().map_or(u64::MAX, Scanner::position);
        scanned.min(self.sums.position)
    }

    /// Says where the output begins.
    pub(super) fn begin(&mut self, position: u64) {
        self.position = position;
    }

    /// Says that the content ended well, after `len` bytes.
    pub(super) fn finish(&mut self, len: u64) {
        if len > self.sums.position - self.sums.position % BLOCK_BYTES as u64 {
            self.sums.cut();
        }
        if let Some(scanner) = &mut self.scanner {
            scanner.finish();
        }
    }

    /// Behind the last entry that was found.
    pub(super) fn boundary(&self) -> Boundary {
        self.scanner.as_ref().map_or_else(Boundary::default, Scanner::boundary)
    }

    /// The sums of the blocks that became whole since the last call.
    pub(super) fn take_sums(&mut self) -> Vec<u32> {
        mem::take(&mut self.sums.found)
    }
}

impl Sink for Scan {
    fn take(&mut self, output: &[u8]) {
        let at = self.position;
        self.position += output.len() as u64;
        if let Some(scanner) = &mut self.scanner {
            scanner.feed(behind(output, at, scanner.position()));
        }
        if let Some(spool) = &self.spool {
            spool.append(output);
        }
        self.sums.feed(behind(output, at, self.sums.position));
    }

    fn look(&mut self, decoder: &mut dyn Decoder) {
        self.points.append(&mut decoder.take_points());
        if self.remark.is_none() {
            self.remark = decoder.remark();
        }
    }
}

impl Sums {
    fn feed(&mut self, mut output: &[u8]) {
        while !output.is_empty() {
            let left = BLOCK_BYTES - (self.position % BLOCK_BYTES as u64) as usize;
            let (taken, rest) = output.split_at(output.len().min(left));
            self.block.update(taken);
            self.position += taken.len() as u64;
            if taken.len() == left {
                self.cut();
            }
            output = rest;
        }
    }

    fn cut(&mut self) {
        self.found.push(mem::take(&mut self.block).finalize());
    }
}

/// What of `output`, which begins at `at`, lies behind `from`.
fn behind(output: &[u8], at: u64, from: u64) -> &[u8] {
    let before = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX);
    &output[before.min(output.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_whole_blocks_and_of_the_rest_at_the_end() {
        let content: Vec<u8> = (0..3 * BLOCK_BYTES + 100).map(|at| (at / 7) as u8).collect();
        let wanted: Vec<_> = content.chunks(BLOCK_BYTES).map(crc32fast::hash).collect();
        for (blocks, from) in [(0, 0), (1, 0), (2, BLOCK_BYTES + 5)] {
            let mut scan = Scan::new(None, blocks, None);
            scan.begin(from as u64);
            content[from..].chunks(999).for_each(|piece| scan.take(piece));
            scan.finish(content.len() as u64);
            assert_eq!(scan.take_sums(), wanted[blocks as usize..], "{blocks} from {from}");
        }
    }

    #[test]
    fn a_content_that_ends_with_a_block_has_no_rest() {
        let mut scan = Scan::new(None, 0, None);
        scan.take(&vec![0; BLOCK_BYTES]);
        scan.finish(BLOCK_BYTES as u64);
        assert_eq!(scan.take_sums().len(), 1);
    }
}

//! The blocks of one stream: where each begins, and what it holds.

use std::mem;

use bzip2::{Decompress, Status};

use super::bits::{BLOCK_MAGIC, Bits, END_MAGIC, MAGIC_BITS};
use super::entry::Entry;
use crate::backends::archive::steps::{append, take};

/// Input that is searched in one step, and held until it is decoded.
const PIECE_BYTES: usize = 16 * 1024;

/// Bits of a magic and of the checksum behind it.
const HEAD_BITS: u64 = MAGIC_BITS + 32;

/// A stream on its way.
pub(super) struct Blocks {
    inner: Decompress,
    entry: Entry,
    bits: Bits,
    /// The first bit that the library has not got.
    fed: u64,
    /// What the library has got and not taken.
    feed: Vec<u8>,
    /// Between two blocks: the bit where a magic must be.
    between: Option<u64>,
    /// The magic that may end the block under way.
    magic: Option<u64>,
    /// Output of the block under way. A block has some, and gives none before its end was read.
    made: u64,
    /// The last step used up its room: output may be waiting.
    full: bool,
    /// No input follows.
    is_last: bool,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Another step.
    Step,
    /// A block begins at this bit, with these sums before it.
    Block(u64, Entry),
    /// Input: all is taken.
    Input,
    /// Room.
    Room,
    /// Nothing: the stream has ended.
    End,
}

impl Blocks {
    /// The blocks from `bit` on, where one begins or the stream ends.
    pub(super) fn new(bit: u64, entry: Entry) -> Self {
        Self {
            inner: Decompress::new(false),
            entry,
            bits: Bits::new(bit / 8),
            fed: bit,
            feed: vec![b'B', b'Z', b'h', entry.level],
            between: Some(bit),
            magic: None,
            made: 0,
            full: false,
            is_last: false,
        }
    }

    /// True where a block is under way, whose checksum is yet to be looked at.
    pub(super) fn is_amid(&self) -> bool {
        self.between.is_none()
    }

    /// Lets the rest be decoded: no input follows. False where that was known.
    pub(super) fn finish(&mut self) -> bool {
        !mem::replace(&mut self.is_last, true)
    }

    /// Takes some of `rest`, `input` bytes being taken before, or appends at most `room` bytes to `output`.
    ///
    /// # Errors
    /// What is wrong with the block under way.
    pub(super) fn step(
        &mut self,
        input: &mut u64,
        rest: &mut &[u8],
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Outcome, &'static str> {
        if let Some(bit) = self.between {
            return self.begin_block(bit, input, rest);
        }
        if self.full || !self.feed.is_empty() {
            return self.pump(output, room);
        }
        if let Some(magic) = self.magic.filter(|magic| *magic <= self.fed) {
            self.judge(magic);
            return Ok(Outcome::Step);
        }
        if self.magic.is_none() {
            self.take_piece(input, rest);
        }
        let searched = if self.is_last { self.bits.end() * 8 } else { self.bits.searched() };
        let until = self.magic.unwrap_or(searched);
        if until > self.fed {
            self.bits.shift(self.fed, until, &mut self.feed);
            self.fed += self.feed.len() as u64 * 8;
            return Ok(Outcome::Step);
        }
        Ok(if self.magic.is_some() { Outcome::Step } else { Outcome::Input })
    }

    /// Reads what stands between two blocks.
    fn begin_block(&mut self, bit: u64, input: &mut u64, rest: &mut &[u8]) -> Result<Outcome, &'static str> {
        let missing = head_end(bit).saturating_sub(self.bits.end());
        let len = rest.len().min(missing as usize);
        self.bits.push(take(input, rest, len));
        let Some(magic) = self.bits.read(bit, MAGIC_BITS) else {
            return Ok(Outcome::Input);
        };
        if magic != BLOCK_MAGIC && magic != END_MAGIC {
            return Err("neither a block nor an end is where one must be");
        }
        let Some(checksum) = self.bits.read(bit + MAGIC_BITS, HEAD_BITS - MAGIC_BITS) else {
            return Ok(Outcome::Input);
        };
        let checksum = checksum as u32;
        if magic == END_MAGIC {
            let fits = self.entry.combined == checksum;
            return if fits {
                Ok(Outcome::End)
            } else {
                Err("its blocks' checksums do not add up to its own")
            };
        }
        let before = self.entry;
        self.entry.add(checksum);
        self.made = 0;
        self.between = None;
        self.magic = None;
        self.bits.search_from(bit + MAGIC_BITS);
        Ok(Outcome::Block(bit, before))
    }

    /// Decides what `magic` is, now that all before it is decoded: either the block is out as well, or it is no magic.
    fn judge(&mut self, magic: u64) {
        if self.made > 0 {
            self.between = Some(magic);
        } else {
            self.magic = None;
            self.bits.search_from(magic + 1);
        }
    }

    /// Takes input up to the next magic, and with it what [`Blocks::begin_block`] reads. Nothing behind it is taken,
    /// for it may be behind the stream.
    fn take_piece(&mut self, input: &mut u64, rest: &mut &[u8]) {
        self.bits.forget_before(self.fed.min(self.bits.searched()));
        let piece = &rest[..rest.len().min(PIECE_BYTES)];
        self.bits.push(piece);
        self.magic = self.bits.find();
        let surplus = self.magic.map_or(0, |magic| self.bits.cut(head_end(magic)));
        take(input, rest, piece.len() - surplus);
    }

    /// Gives the library what is there for it, and takes what it has.
    fn pump(&mut self, output: &mut Vec<u8>, room: usize) -> Result<Outcome, &'static str> {
        let (inner, feed) = (&mut self.inner, &self.feed);
        let (taken, made) = (inner.total_in(), inner.total_out());
        let (full, status) = append(output, room, |spare| {
            let status = inner.decompress(feed, spare);
            ((inner.total_out() - made) as usize, status)
        });
        let (taken, made) = ((self.inner.total_in() - taken) as usize, self.inner.total_out() - made);
        let is_stuck = taken == 0 && made == 0 && !full && !self.feed.is_empty();
        if is_stuck || status != Ok(Status::Ok) {
            return Err("its data is no bzip2, or does not fit its checksum");
        }
        self.feed.drain(..taken);
        self.made += made;
        self.full = full;
        Ok(if full && made == room as u64 { Outcome::Room } else { Outcome::Step })
    }
}

/// The first byte behind a magic at `bit` and its checksum.
fn head_end(bit: u64) -> u64 {
    (bit + HEAD_BITS).div_ceil(8)
}

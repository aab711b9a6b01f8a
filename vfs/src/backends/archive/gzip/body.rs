//! The compressed part of a member, and the search in it for places to start from.
//!
//! A place lies between two blocks, the first that ends more than a spacing behind the last place: there a window is all
//! that must be kept. Blocks have no longest length, though. Where none ends for another spacing, a place is made
//! between two symbols; it keeps its block's header too, as zlib.h proposes for `inflatePrime` with negative bits. For
//! that the block's beginning must have been seen. Stopping at every block costs a tenth of the speed, so most of a
//! spacing is decoded without a stop, and blocks are watched where long ones are likely: from a member's start to its
//! first place, and as long as places come late. What is missed is the inside of one long block behind short ones.

use super::entry::{BLOCK_HEADER_BYTES, BlockHeader, Inside};
use super::inflate::{At, Inflate, Stop};
use super::sums::Sums;

/// The most that one step makes: it is summed while it is still in the processor's cache.
const STEP_BYTES: usize = 256 * 1024;

/// A deflate stream on its way, and the places passed.
pub(super) struct Body {
    inflate: Inflate,
    /// Bytes of output so far, from the start of the file.
    position: u64,
    spacing: u64,
    /// Output at the last place.
    last_place: u64,
    /// Whether each block's beginning is kept, also where no place is due.
    watched: bool,
    /// The beginning of the block under way, where blocks are watched.
    header: BlockHeader,
    last_byte: u8,
    /// Bits of `last_byte` that the stream has not taken: the lower ones here.
    held: u8,
    held_count: u8,
    /// The bits of the next byte that come before the point where decoding starts.
    skipped: u8,
    /// The last step used up its room: output may be waiting.
    full: bool,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Advance {
    /// Bytes of input that were taken.
    pub(super) consumed: usize,
    pub(super) outcome: Outcome,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Another step.
    Step,
    /// Another step, and here is a place to start from.
    Place(Place),
    /// Input: all is taken.
    Input,
    /// Room.
    Room,
    /// Nothing: the last block has ended.
    End,
}

/// A place to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Bits before the end of what was taken.
    pub(super) bits_back: u8,
    /// Whether a block is under way.
    pub(super) in_block: bool,
}

/// What one step feeds.
enum Feed {
    /// All there is.
    All,
    Byte,
    Bit,
    Nothing,
}

impl Body {
    /// A stream at its first bit; `position` bytes of output lie before it.
    pub(super) fn new(spacing: u64, position: u64) -> Self {
        Self::at(Inflate::new(), spacing, position)
    }

    /// A stream amid a member. The next byte of input holds the first bit, behind `skipped` others. None where `inside`
    /// makes no sense.
    pub(super) fn enter(spacing: u64, position: u64, skipped: u8, inside: &Inside) -> Option<Self> {
        let inflate = inside.enter(&inside.window)?;
        let header = inside.block.clone().unwrap_or(BlockHeader { bytes: Vec::new(), bit: skipped });
        Some(Self { skipped, header, ..Self::at(inflate, spacing, position) })
    }

    fn at(inflate: Inflate, spacing: u64, position: u64) -> Self {
        Self {
            inflate,
            position,
            spacing: spacing.max(1),
            last_place: position,
            watched: true,
            header: BlockHeader::default(),
            last_byte: 0,
            held: 0,
            held_count: 0,
            skipped: 0,
            full: false,
        }
    }

    /// Bytes of output so far, from the start of the file.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Begins a new member, and says whether its header is a place. It needs no window, so it may be early.
    pub(super) fn begin_member(&mut self) -> bool {
        self.inflate.reset();
        self.header = BlockHeader::default();
        self.watched = true;
        self.full = false;
        let is_place = self.position > self.last_place && self.position - self.last_place >= self.spacing / 2;
        if is_place {
            self.last_place = self.position;
        }
        is_place
    }

    /// What is needed to start at the place that the last step gave.
    pub(super) fn inside(&self, place: Place, sums: Sums) -> Inside {
        let block = place.in_block.then(|| self.header.clone());
        Inside { sums, block, window: self.inflate.window() }
    }

    /// Decodes some of `input` to the end of `output`, `room` bytes at most.
    ///
    /// # Errors
    /// What is wrong with the stream.
    pub(super) fn step(
        &mut self,
        mut input: &[u8],
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Advance, String> {
        let given = input.len();
        self.skip_bits(&mut input);
        let (feed, budget, stop) = self.plan(room);
        let fed = self.feed(&feed, &mut input);
        let len = output.len();
        let step = self.inflate.step(fed, output, budget, stop);
        // An error leaves its output too.
        let produced = output.len() - len;
        self.position += produced as u64;
        let step = step?;
        self.note(&fed[..step.consumed]);
        let input = &input[step.consumed..];
        self.full = produced == budget;
        let input_is_left = !input.is_empty() || self.held_count > 0;
        let outcome = match step.at {
            at if let Some(place) = self.place_after(at) => Outcome::Place(place),
            At::End => Outcome::End,
            At::Block | At::LastBlock => Outcome::Step,
            _ if self.full && budget == room => self.rest(input_is_left),
            _ if !self.full && !input_is_left => Outcome::Input,
            _ => Outcome::Step,
        };
        Ok(Advance { consumed: given - input.len(), outcome })
    }

    /// Takes the byte in which decoding starts, where it starts within one.
    fn skip_bits(&mut self, input: &mut &[u8]) {
        if self.skipped > 0 && self.hold_byte(input) {
            self.held >>= self.skipped;
            self.held_count -= self.skipped;
            self.skipped = 0;
        }
    }

    /// How much to feed, how many bytes to make, and where to stop. The plan depends on the output so far and on nothing
    /// else, so the places are the same however input and room are cut.
    fn plan(&self, room: usize) -> (Feed, usize, Stop) {
        let room = room.min(STEP_BYTES);
        let until = |end: u64| room.min(usize::try_from(end - self.position).unwrap_or(room));
        if self.is_late() {
            // All must be out that is in. Then bytes, since all before have been taken by the byte; behind the mark, bits:
            // symbols need not end where bytes do, not even once in a block.
            let feed = match (self.full, self.position > self.overdue()) {
                (true, _) => Feed::Nothing,
                (false, false) => Feed::Byte,
                (false, true) => Feed::Bit,
            };
            (feed, room, Stop::AtBlock)
        } else if !self.watched && self.position < self.due() {
            (Feed::All, until(self.due()), Stop::Never)
        } else if self.watched && self.position < self.overdue() {
            (Feed::All, until(self.overdue()), Stop::AtBlock)
        } else {
            (Feed::All, room, Stop::AtBlock)
        }
    }

    /// What of `input` to hand to the stream, behind bits that are handed to it here.
    fn feed<'a>(&mut self, feed: &Feed, input: &mut &'a [u8]) -> &'a [u8] {
        match feed {
            Feed::All => {
                self.add_held_bits(self.held_count);
                input
            }
            Feed::Byte => {
                self.add_held_bits(self.held_count);
                &input[..input.len().min(1)]
            }
            Feed::Bit => {
                if self.held_count > 0 || self.hold_byte(input) {
                    self.add_held_bits(1);
                }
                &[]
            }
            Feed::Nothing => &[],
        }
    }

    /// Takes a byte of `input`, if there is one, and keeps its bits back.
    fn hold_byte(&mut self, input: &mut &[u8]) -> bool {
        let Some((first, rest)) = input.split_first() else {
            return false;
        };
        self.note(&[*first]);
        (self.held, self.held_count) = (*first, 8);
        *input = rest;
        true
    }

    fn add_held_bits(&mut self, count: u8) {
        if count > 0 {
            self.inflate.add_bits(self.held, count);
            self.held = self.held.checked_shr(count.into()).unwrap_or(0);
            self.held_count -= count;
        }
    }

    /// Keeps the beginning of the block under way.
    fn note(&mut self, taken: &[u8]) {
        if let Some(byte) = taken.last() {
            self.last_byte = *byte;
        }
        let missing = BLOCK_HEADER_BYTES - self.header.bytes.len();
        self.header.bytes.extend_from_slice(&taken[..taken.len().min(missing)]);
    }

    /// The place where a step has ended, if it is one.
    fn place_after(&mut self, at: At) -> Option<Place> {
        let is_place = match at {
            At::Block => {
                self.begin_block();
                self.position > self.due()
            }
            At::LastBlock => {
                self.header = BlockHeader::default();
                false
            }
            // Between two symbols: all of the output is out, and the next one's first bits are missing.
            At::Anywhere if self.is_late() && !self.full => {
                self.position > self.overdue() && self.inflate.symbol_bits() == 0
            }
            _ => false,
        };
        if !is_place {
            return None;
        }
        self.watched = self.position > self.overdue();
        self.last_place = self.position;
        Some(Place { bits_back: self.spare_bits(), in_block: at != At::Block })
    }

    fn begin_block(&mut self) {
        let spare = self.spare_bits();
        self.header.bytes.clear();
        self.header.bit = (8 - spare) % 8;
        if spare > 0 {
            self.header.bytes.push(self.last_byte);
        }
    }

    /// Bits that were taken and are not decoded.
    fn spare_bits(&self) -> u8 {
        self.inflate.spare_bits() + self.held_count
    }

    /// What to wait for when the caller's room is used up.
    fn rest(&self, input_is_left: bool) -> Outcome {
        // A symbol that is decoded and is not out yet has bits. A stale count costs the caller one call in vain.
        let waits = input_is_left || self.inflate.symbol_bits() > 0;
        if waits { Outcome::Room } else { Outcome::Input }
    }

    /// The output behind which the next block's end is a place.
    fn due(&self) -> u64 {
        self.last_place.saturating_add(self.spacing)
    }

    /// The output behind which a symbol's end is a place.
    fn overdue(&self) -> u64 {
        self.due().saturating_add(self.spacing)
    }

    /// Whether the next symbol's end is a place: the block is a known one of symbols, and it is amid them, since it made
    /// output after the last place was due.
    fn is_late(&self) -> bool {
        self.watched && self.position >= self.overdue() && self.header.is_huffman()
    }
}

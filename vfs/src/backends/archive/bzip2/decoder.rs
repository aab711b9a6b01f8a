//! A bzip2 file from the first byte or a seek point to its end: the streams and what stands between them.

use super::blocks::{Blocks, Outcome};
use super::entry::{Entry, is_level};
use crate::backends::archive::codec::{Damage, Next, SeekPoint};
use crate::backends::archive::opening::{Format, Opened, Opening};
use crate::backends::archive::passed::Passed;
use crate::backends::archive::steps::Machine;

const FORMAT: Format = Format { name: "bzip2", magic: b"BZh", magic_bytes: 4, fits: is_magic };

/// The decoder of a [`Bzip2`](super::Bzip2).
pub(super) struct Bzip2Decoder {
    phase: Phase,
    /// Compressed bytes taken, from the start of the file.
    input: u64,
    /// Where the block under way begins, in bits, and where its content does.
    block: u64,
    content: u64,
    passed: Passed,
}

/// What the next byte belongs to.
enum Phase {
    Opening(Opening),
    Blocks(Box<Blocks>),
}

impl Bzip2Decoder {
    /// A decoder at the first byte.
    pub(super) fn new(spacing: u64) -> Self {
        Self::at(Phase::Opening(Opening::first()), spacing, 0, 0)
    }

    /// A decoder at `point`, which holds `entry`.
    pub(super) fn resume(spacing: u64, point: &SeekPoint, entry: Entry) -> Self {
        let blocks = Box::new(Blocks::new(point.input_bits, entry));
        Self::at(Phase::Blocks(blocks), spacing, point.input_bits, point.output)
    }

    fn at(phase: Phase, spacing: u64, bit: u64, output: u64) -> Self {
        let passed = Passed::new(spacing, output, None);
        Self { phase, input: bit / 8, block: bit, content: output, passed }
    }

    fn damage(&self, what: &str) -> Damage {
        Damage::new(format!("{}, is wrong: {what}", self.place()))
    }

    /// The place under way, for people.
    fn place(&self) -> String {
        let (byte, output) = (self.block / 8, self.passed.output());
        format!("the bzip2 block that begins in its byte {byte}, behind byte {output} of the content")
    }
}

impl Machine for Bzip2Decoder {
    fn advance(
        &mut self,
        rest: &mut &[u8],
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Option<Next>, Damage> {
        match &mut self.phase {
            Phase::Opening(opening) => match opening.take(&FORMAT, &mut self.input, rest)? {
                Opened::Input => return Ok(Some(Next::Input)),
                Opened::Stream(magic) => {
                    let entry = Entry { level: magic[FORMAT.magic.len()], combined: 0 };
                    self.block = self.input * 8;
                    self.phase = Phase::Blocks(Box::new(Blocks::new(self.block, entry)));
                }
                Opened::End => return Ok(Some(Next::End)),
            },
            Phase::Blocks(blocks) => {
                let len = output.len();
                let outcome = blocks.step(&mut self.input, rest, output, room);
                self.passed.add(output.len() - len);
                let is_amid = blocks.is_amid();
                let outcome = outcome.map_err(|what| match self.damage(what) {
                    damage if is_amid => damage.unproven(self.content),
                    damage => damage,
                });
                match outcome? {
                    Outcome::Step => {}
                    Outcome::Block(bit, entry) => {
                        (self.block, self.content) = (bit, self.passed.output());
                        self.passed.offer(bit, || entry.to_state());
                    }
                    Outcome::Input => return Ok(Some(Next::Input)),
                    Outcome::Room => return Ok(Some(Next::Room)),
                    Outcome::End => self.phase = Phase::Opening(Opening::another()),
                }
            }
        }
        Ok(None)
    }

    fn end_of_input(&mut self) -> Result<Option<Next>, Damage> {
        match &mut self.phase {
            Phase::Opening(opening) => opening.end(&FORMAT, self.input).map(|()| Some(Next::End)),
            Phase::Blocks(blocks) => {
                if blocks.finish() {
                    return Ok(None);
                }
                let what =
                    format!("it ends early, after {} bytes, in or right behind {}", self.input, self.place());
                Err(Damage::cut(what))
            }
        }
    }

    fn take_points(&mut self) -> Vec<SeekPoint> {
        self.passed.take_points()
    }

    fn remark(&self) -> Option<String> {
        if let Phase::Opening(opening) = &self.phase { opening.remark() } else { None }
    }
}

/// Whether a stream can begin with these bytes.
fn is_magic(head: &[u8]) -> bool {
    let fits = head.iter().zip(FORMAT.magic).all(|(byte, magic)| byte == magic);
    fits && head.get(FORMAT.magic.len()).is_none_or(|level| is_level(*level))
}

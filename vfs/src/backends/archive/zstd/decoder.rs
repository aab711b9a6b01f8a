//! A zstd file from the first byte or a seek point to its end: the frames, and what is skipped.

use std::io;

use zstd::stream::raw::{DParameter, Decoder as RawDecoder, Operation};

use super::WINDOW_LOG_LIMIT;
use super::entry::Entry;
use super::frame::{
    BLOCK_HEADER_BYTES, FrameHeader, HEADER_BYTES, MAGIC, SKIPPABLE_HEADER_BYTES, is_magic, is_skippable,
};
use crate::backends::archive::codec::{Damage, Next, SeekPoint};
use crate::backends::archive::opening::{Format, Opened, Opening};
use crate::backends::archive::passed::Passed;
use crate::backends::archive::steps::{Machine, append, gather, take};

const FORMAT: Format = Format { name: "zstd", magic: MAGIC, magic_bytes: MAGIC.len(), fits: is_magic };

/// What the library takes besides the window: tables, and a block of input and output.
const LIBRARY_BYTES: usize = 512 * 1024;

/// The decoder of a [`Zstd`](super::Zstd).
pub(super) struct ZstdDecoder {
    phase: Phase,
    /// Compressed bytes taken, from the start of the file.
    input: u64,
    /// Where the frame under way begins, and where its content does.
    frame: u64,
    content: u64,
    passed: Passed,
}

/// What the next byte belongs to.
enum Phase {
    Opening(Opening),
    Frame(Box<Frame>),
    /// A skippable frame's header.
    SkipHeader(Vec<u8>),
    /// So many bytes of a skippable frame.
    Skip(u64),
}

struct Frame {
    inner: RawDecoder<'static>,
    /// What the library has got and not taken: the magic.
    feed: Vec<u8>,
    /// How the frame begins, as far as its header may go.
    head: Vec<u8>,
    /// The last step used up its room: output may be waiting.
    full: bool,
    /// Bytes that the library asks for.
    wanted: usize,
}

/// What one step of a frame did.
enum Outcome {
    Step,
    Input,
    Room,
    End,
}

impl ZstdDecoder {
    /// A decoder at the first byte.
    pub(super) fn new(spacing: u64) -> Self {
        Self::at(Opening::first(), 0, Passed::new(spacing, 0, None))
    }

    /// A decoder at `point`, which holds `entry`.
    pub(super) fn resume(spacing: u64, point: &SeekPoint, entry: Entry) -> Self {
        let passed = Passed::new(spacing, point.output, entry.promise);
        Self::at(Opening::named(), point.input_bits / 8, passed)
    }

    fn at(opening: Opening, input: u64, passed: Passed) -> Self {
        let content = passed.output();
        Self { phase: Phase::Opening(opening), input, frame: input, content, passed }
    }

    fn begin_frame(&mut self, magic: Vec<u8>) -> Result<(), Damage> {
        (self.frame, self.content) = (self.input - magic.len() as u64, self.passed.output());
        if is_skippable(&magic) {
            self.phase = Phase::SkipHeader(magic);
            return Ok(());
        }
        self.passed.offer(self.frame * 8, || Entry::default().to_state());
        let inner = new_inner().map_err(|error| self.damage(&error.to_string()))?;
        self.phase = Phase::Frame(Box::new(Frame {
            inner,
            head: magic.clone(),
            feed: magic,
            full: false,
            wanted: MAGIC.len() + BLOCK_HEADER_BYTES,
        }));
        Ok(())
    }

    fn end_frame(&mut self) -> Result<(), Damage> {
        self.phase = Phase::Opening(Opening::another());
        self.passed.check(self.input)
    }

    fn frame_damage(&self, error: &io::Error) -> Damage {
        let what = error.to_string();
        let damage = self.damage(&refusal(&what));
        if what.contains("checksum") {
            damage.unproven(self.content)
        } else {
            damage.stumbled(self.content, self.passed.output())
        }
    }

    fn damage(&self, what: &str) -> Damage {
        let (place, output) = (self.place(), self.passed.output());
        Damage::new(format!("{place} is wrong: behind byte {output} of the content, {what}"))
    }

    /// The frame under way, for people.
    fn place(&self) -> String {
        format!("the zstd frame that begins at its byte {}", self.frame)
    }
}

impl Frame {
    /// Takes some of `rest`, and appends at most `room` bytes to `output`.
    fn step(
        &mut self,
        input: &mut u64,
        rest: &mut &[u8],
        output: &mut Vec<u8>,
        room: usize,
    ) -> io::Result<Outcome> {
        let is_fed = !self.feed.is_empty();
        let piece = if is_fed { &self.feed } else { *rest };
        // A block at a time, without the next one's header: what is made in a call that fails is lost.
        let most = self.wanted.checked_sub(BLOCK_HEADER_BYTES).filter(|most| *most > 0);
        let piece = &piece[..piece.len().min(most.unwrap_or(self.wanted.max(1)))];
        if piece.is_empty() && !self.full {
            return Ok(Outcome::Input);
        }
        // The library takes too many calls without room for a fault.
        if room == 0 && self.full {
            return Ok(Outcome::Room);
        }
        let before = output.len();
        let (full, status) = append(output, room, |spare| {
            let status = self.inner.run_on_buffers(piece, spare);
            (status.as_ref().map_or(0, |status| status.bytes_written), status)
        });
        let status = status?;
        if is_fed {
            self.feed.drain(..status.bytes_read);
        } else {
            let taken = take(input, rest, status.bytes_read);
            let missing = HEADER_BYTES - self.head.len();
            self.head.extend_from_slice(&taken[..taken.len().min(missing)]);
        }
        self.full = full;
        self.wanted = status.remaining;
        if status.remaining == 0 {
            return Ok(Outcome::End);
        }
        Ok(if full && output.len() - before == room { Outcome::Room } else { Outcome::Step })
    }
}

impl Machine for ZstdDecoder {
    fn advance(
        &mut self,
        rest: &mut &[u8],
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Option<Next>, Damage> {
        match &mut self.phase {
            Phase::Opening(opening) => match opening.take(&FORMAT, &mut self.input, rest)? {
                Opened::Input => return Ok(Some(Next::Input)),
                Opened::Stream(magic) => self.begin_frame(magic)?,
                Opened::End => return Ok(Some(Next::End)),
            },
            Phase::Frame(frame) => {
                let len = output.len();
                let outcome = frame.step(&mut self.input, rest, output, room);
                self.passed.add(output.len() - len);
                match outcome.map_err(|error| self.frame_damage(&error))? {
                    Outcome::Step => {}
                    Outcome::Input => return Ok(Some(Next::Input)),
                    Outcome::Room => return Ok(Some(Next::Room)),
                    Outcome::End => self.end_frame()?,
                }
            }
            Phase::SkipHeader(bytes) => {
                if !gather(bytes, SKIPPABLE_HEADER_BYTES, &mut self.input, rest) {
                    return Ok(Some(Next::Input));
                }
                let len = bytes.iter().skip(4).rev().fold(0, |all: u64, byte| all << 8 | u64::from(*byte));
                self.phase = Phase::Skip(len);
            }
            Phase::Skip(0) => self.end_frame()?,
            Phase::Skip(left) => {
                if rest.is_empty() {
                    return Ok(Some(Next::Input));
                }
                let len = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                take(&mut self.input, rest, len);
                *left -= len as u64;
            }
        }
        Ok(None)
    }

    fn end_of_input(&mut self) -> Result<Option<Next>, Damage> {
        match &mut self.phase {
            Phase::Opening(opening) => opening.end(&FORMAT, self.input).map(|()| Some(Next::End)),
            _ => {
                let what = format!("it ends early, after {} bytes, within {}", self.input, self.place());
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

    /// The window, and what the library has besides.
    fn memory_bytes(&self) -> Option<usize> {
        let Phase::Frame(frame) = &self.phase else { return Some(LIBRARY_BYTES) };
        let window = FrameHeader::parse(&frame.head)?.window.min(1 << WINDOW_LOG_LIMIT);
        Some(window as usize + LIBRARY_BYTES)
    }
}

fn new_inner() -> io::Result<RawDecoder<'static>> {
    let mut inner = RawDecoder::new()?;
    inner.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_LIMIT))?;
    Ok(inner)
}

/// Why the library goes no further, for people: its own words but for the one that names a limit of ours.
fn refusal(what: &str) -> String {
    if what.contains("requires too much memory") {
        let mib = (1_u64 << WINDOW_LOG_LIMIT) >> 20;
        return format!("its window is larger than {mib} MiB, which is refused");
    }
    format!("the decoder says: {what}")
}

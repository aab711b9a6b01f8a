//! An xz file from the first byte or a seek point to its end: streams, blocks and the indexes behind them.

use crc32fast::Hasher;
use liblzma::stream::{Action, Error, Status, Stream, TELL_UNSUPPORTED_CHECK};

use super::DICTIONARY_LIMIT_BYTES;
use super::block::{BlockWalk, MAX_HEADER_BYTES, dictionary};
use super::entry::Entry;
use super::frame::{Check, FRAME_BYTES, MAGIC, parse_flags, parse_footer, to_header};
use super::index::{Found, IndexReader, Record};
use crate::backends::archive::codec::{Damage, Next, SeekPoint};
use crate::backends::archive::opening::{Format, Opened, Opening};
use crate::backends::archive::passed::Passed;
use crate::backends::archive::steps::{Machine, append, gather, take};

const FORMAT: Format = Format { name: "xz", magic: MAGIC, magic_bytes: MAGIC.len(), fits: is_magic };

/// What the library may use: the dictionary and what is around it.
const MEMORY_LIMIT_BYTES: u64 = DICTIONARY_LIMIT_BYTES + (2 << 20);

/// What the library takes besides the dictionary.
const LIBRARY_BYTES: usize = 256 * 1024;

/// Compressed bytes that are given to the library at once; as many are looked through for the block's end before.
const PIECE_BYTES: usize = 64 * 1024;

/// The decoder of an [`Xz`](super::Xz).
pub(super) struct XzDecoder {
    phase: Phase,
    /// Compressed bytes taken, from the start of the file.
    input: u64,
    /// Where the stream under way begins; none where decoding started amid it.
    stream: Option<u64>,
    /// The library, at a block's beginning between two steps of a block.
    inner: Option<Inner>,
    passed: Passed,
    /// The stream's blocks so far, and what its index says of them.
    blocks: Tally,
    listed: Tally,
}

/// What the next byte belongs to.
enum Phase {
    Opening(Opening),
    /// The rest of a stream's header.
    Flags(Vec<u8>),
    /// A block's first byte, or the index's. The block must be there where a seek point names it.
    Between {
        is_named: bool,
    },
    Block(BlockWalk),
    Index(Box<IndexReader>),
    /// A stream's end, behind an index of so many bytes.
    Footer(Vec<u8>, u64),
}

struct Inner {
    stream: Stream,
    check: Check,
    /// The last step used up its room: output may be waiting.
    full: bool,
    /// Output where the block under way begins.
    output: u64,
    /// How that block begins, as far as its header may go.
    head: Vec<u8>,
}

/// A list of blocks, as far as it takes to compare two.
#[derive(Clone, Default)]
struct Tally {
    count: u64,
    sums: Hasher,
}

impl XzDecoder {
    /// A decoder at the first byte.
    pub(super) fn new(spacing: u64) -> Self {
        Self::at(Phase::Opening(Opening::first()), Passed::new(spacing, 0, None))
    }

    /// A decoder at `point`, which holds `entry`.
    pub(super) fn resume(spacing: u64, point: &SeekPoint, entry: Entry) -> Result<Self, Damage> {
        let passed = Passed::new(spacing, point.output, entry.promise);
        let mut decoder = Self::at(Phase::Between { is_named: true }, passed);
        decoder.input = point.input_bits / 8;
        decoder.stream = None;
        decoder.begin_stream(entry.check)?;
        Ok(decoder)
    }

    fn at(phase: Phase, passed: Passed) -> Self {
        Self {
            phase,
            input: 0,
            stream: Some(0),
            inner: None,
            passed,
            blocks: Tally::default(),
            listed: Tally::default(),
        }
    }

    /// Makes the library ready for blocks that are checked by `check`.
    fn begin_stream(&mut self, check: Check) -> Result<(), Damage> {
        let start = || {
            let mut stream = Stream::new_stream_decoder(MEMORY_LIMIT_BYTES, TELL_UNSUPPORTED_CHECK)?;
            let header = to_header(check);
            stream.process(&header, &mut [], Action::Run)?;
            Ok(stream)
        };
        let stream = start().map_err(|error| self.damage(refusal(error)))?;
        self.inner = Some(Inner { stream, check, full: false, output: 0, head: Vec::new() });
        (self.blocks, self.listed) = (Tally::default(), Tally::default());
        Ok(())
    }

    /// Begins with a block or the index.
    fn begin_part(&mut self, first: u8, is_named: bool) -> Result<(), Damage> {
        self.passed.check(self.input)?;
        if first == 0 {
            if is_named {
                return Err(self.damage("no block begins where its index has one"));
            }
            self.phase = Phase::Index(Box::new(IndexReader::new()));
            return Ok(());
        }
        let output = self.passed.output();
        let inner = self.inner.as_mut().expect("a stream was begun before its parts");
        inner.output = output;
        inner.head.clear();
        let entry = Entry { check: inner.check, promise: None };
        self.passed.offer(self.input * 8, || entry.to_state());
        self.phase = Phase::Block(BlockWalk::new(entry.check));
        Ok(())
    }

    fn step_block(
        &mut self,
        rest: &mut &[u8],
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Option<Next>, Damage> {
        let (Phase::Block(walk), Some(inner)) = (&mut self.phase, self.inner.as_mut()) else {
            return Ok(None);
        };
        if rest.is_empty() && !inner.full {
            return Ok(Some(Next::Input));
        }
        let piece = &rest[..rest.len().min(PIECE_BYTES)];
        // A copy looks ahead: how much the library takes is its own affair.
        let piece = &piece[..walk.clone().walk(piece)];
        let (len, taken) = (output.len(), inner.stream.total_in());
        let (full, status) = append(output, room, |spare| {
            let made = inner.stream.total_out();
            let status = inner.stream.process(piece, spare, Action::Run);
            ((inner.stream.total_out() - made) as usize, status)
        });
        let (taken, made) = ((inner.stream.total_in() - taken) as usize, output.len() - len);
        inner.full = full;
        self.passed.add(made);
        let gone = take(&mut self.input, rest, taken);
        walk.walk(gone);
        let missing = MAX_HEADER_BYTES - inner.head.len();
        inner.head.extend_from_slice(&gone[..gone.len().min(missing)]);
        let (is_done, content) = (walk.is_done(), inner.output);
        let is_stuck = taken == 0 && made == 0 && !full && !piece.is_empty();
        match status {
            Ok(Status::Ok | Status::MemNeeded) if !is_stuck => {}
            Ok(_) => return Err(self.damage("a block of it is not as long as it says")),
            // All of it is out: what is wrong is its checksum.
            Err(error) if is_done => return Err(self.block_damage(refusal(error)).unproven(content)),
            Err(error) => {
                return Err(self.block_damage(refusal(error)).stumbled(content, self.passed.output()));
            }
        }
        if is_done {
            self.end_block();
            return Ok(None);
        }
        Ok((full && made == room).then_some(Next::Room))
    }

    fn end_block(&mut self) {
        let (Phase::Block(walk), Some(inner)) = (&self.phase, self.inner.as_mut()) else {
            return;
        };
        inner.full = false;
        self.blocks.add(walk.padded(), self.passed.output() - inner.output);
        self.phase = Phase::Between { is_named: false };
    }

    fn read_index(&mut self, rest: &mut &[u8]) -> Result<Option<Next>, Damage> {
        let Phase::Index(reader) = &mut self.phase else {
            return Ok(None);
        };
        let read = reader.read(rest);
        let len = reader.len();
        let (taken, found) = read.map_err(|what| self.damage(what))?;
        take(&mut self.input, rest, taken);
        match found {
            Found::Nothing => return Ok(Some(Next::Input)),
            Found::Record(Record { unpadded, unpacked }) => {
                self.listed.add(unpadded.next_multiple_of(4), unpacked);
            }
            Found::End => {
                // Where decoding started amid the stream, part of the list is unknown.
                if self.stream.is_some() && !self.blocks.equals(&self.listed) {
                    return Err(self.damage("its index lists other blocks than it has"));
                }
                self.phase = Phase::Footer(Vec::with_capacity(FRAME_BYTES), len);
            }
        }
        Ok(None)
    }

    fn end_stream(&mut self) -> Result<(), Damage> {
        let (Phase::Footer(bytes, index_bytes), Some(inner)) = (&self.phase, &self.inner) else {
            return Ok(());
        };
        let index_bytes = *index_bytes;
        let bytes = bytes[..].try_into().expect("it was gathered to its length");
        let footer = parse_footer(bytes).map_err(|what| self.damage(what))?;
        if footer.check != inner.check || footer.index_bytes != index_bytes {
            return Err(self.damage("its end does not fit its beginning or its index"));
        }
        self.inner = None;
        self.phase = Phase::Opening(Opening::another());
        Ok(())
    }

    fn damage(&self, what: &str) -> Damage {
        Damage::new(format!("{} is wrong: {what}", self.place()))
    }

    fn block_damage(&self, what: &str) -> Damage {
        self.damage(&format!("behind byte {} of the content, {what}", self.passed.output()))
    }

    /// The stream under way, for people.
    fn place(&self) -> String {
        match self.stream {
            Some(at) => format!("the xz stream that begins at its byte {at}"),
            None => "an xz stream".to_owned(),
        }
    }
}

impl Machine for XzDecoder {
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
                    self.stream = Some(self.input - magic.len() as u64);
                    self.phase = Phase::Flags(Vec::new());
                }
                Opened::End => return Ok(Some(Next::End)),
            },
            Phase::Flags(bytes) => {
                if !gather(bytes, FRAME_BYTES - MAGIC.len(), &mut self.input, rest) {
                    return Ok(Some(Next::Input));
                }
                let check = parse_flags(bytes).map_err(|what| self.damage(what))?;
                self.begin_stream(check)?;
                self.phase = Phase::Between { is_named: false };
            }
            Phase::Between { is_named } => {
                let Some(first) = rest.first() else {
                    return Ok(Some(Next::Input));
                };
                let is_named = *is_named;
                self.begin_part(*first, is_named)?;
            }
            Phase::Block(_) => return self.step_block(rest, output, room),
            Phase::Index(_) => return self.read_index(rest),
            Phase::Footer(bytes, _) => {
                if !gather(bytes, FRAME_BYTES, &mut self.input, rest) {
                    return Ok(Some(Next::Input));
                }
                self.end_stream()?;
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

    /// The dictionary, which the library keeps from block to block, and what it has besides.
    fn memory_bytes(&self) -> Option<usize> {
        let Some(inner) = &self.inner else { return Some(LIBRARY_BYTES) };
        let dictionary = dictionary(&inner.head)?.min(DICTIONARY_LIMIT_BYTES);
        Some(dictionary as usize + LIBRARY_BYTES)
    }
}

impl Tally {
    fn add(&mut self, padded: u64, unpacked: u64) {
        self.count += 1;
        self.sums.update(&padded.to_le_bytes());
        self.sums.update(&unpacked.to_le_bytes());
    }

    fn equals(&self, other: &Self) -> bool {
        self.count == other.count && self.sums.clone().finalize() == other.sums.clone().finalize()
    }
}

/// Why the library goes no further, for people.
fn refusal(error: Error) -> &'static str {
    match error {
        Error::Options => "it uses filters or options that are not supported",
        Error::MemLimit => "its dictionary is larger than 128 MiB, which is refused",
        Error::Mem => "its dictionary finds no memory",
        Error::UnsupportedCheck | Error::NoCheck => "it is checked in a way that is not supported",
        Error::Data | Error::Format | Error::Program => "its data is no xz, or does not fit its checksum",
    }
}

/// Whether a stream can begin with these bytes.
fn is_magic(head: &[u8]) -> bool {
    head.iter().zip(MAGIC).all(|(byte, magic)| byte == magic)
}

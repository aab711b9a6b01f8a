//! Compressed streams that can be entered in the middle: what every codec of this room offers.
//!
//! A codec is push-driven: it gets compressed bytes that somebody else has read, makes a bounded piece of output and
//! gives the thread back. It knows no file, no lock and no channel, so it runs in a job.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::file_system::File;

/// A format of compressed stream.
#[async_trait]
pub(super) trait Codec: fmt::Debug + Send + Sync + 'static {
    /// A decoder at the first compressed byte.
    fn start(&self) -> Box<dyn Decoder>;

    /// A decoder at `point`, which this codec made in this process or an earlier one; a point that makes no sense is
    /// [`Damage`], because an index file is input too.
    fn resume(&self, point: &SeekPoint) -> Result<Box<dyn Decoder>, Damage>;

    /// Makes `point` small enough to be kept, where that takes work: `following` are the compressed bytes from the
    /// byte that holds the point's first bit. Runs in a job of its own, beside the pass. Default: it is small already.
    fn compact(&self, point: SeekPoint, _following: &[u8]) -> SeekPoint {
        point
    }

    /// What most of its decoders take in memory, about. Default: 64 KiB.
    fn decoder_bytes(&self) -> usize {
        64 * 1024
    }

    /// Reads the stream's own table of contents, where the format has one: then nothing needs a pass.
    /// `None` where this file has none; a table that contradicts itself is `Corrupt`.
    async fn survey(&self, _file: &dyn File) -> Result<Option<Survey>> {
        Ok(None)
    }
}

/// One decoding under way.
pub(super) trait Decoder: Send {
    /// Takes some of `input`, the compressed bytes that follow those taken before, and appends at most `room` bytes to
    /// `output`. `last` says that no input follows these bytes: a stream that goes on is then [`Damage`], cut short.
    /// After an error the decoder is done; what is in `output` by then was checked as far as the format can.
    fn decode(
        &mut self,
        input: &[u8],
        last: bool,
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Progress, Damage>;

    /// The points passed since the last call, in order; they are about a spacing apart, which the codec was made with.
    fn take_points(&mut self) -> Vec<SeekPoint> {
        Vec::new()
    }

    /// What it takes in memory now, where the stream itself says so. Default: as its codec says of most.
    fn memory_bytes(&self) -> Option<usize> {
        None
    }

    /// What is odd about a stream that has ended well, for people: bytes behind it that are not its own, for one. Its
    /// content is whole. Default: nothing is.
    fn remark(&self) -> Option<String> {
        None
    }
}

/// How far one call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Bytes of `input` that were taken.
    pub(super) consumed: usize,
    /// What comes next.
    pub(super) next: Next,
}

/// What a decoder needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// More input: all that was given is taken.
    Input,
    /// More room: there is output waiting.
    Room,
    /// Nothing: the stream has ended well, checksums included.
    End,
}

/// A place where decoding can start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeekPoint {
    /// The first bit of compressed input, counted from the start of the file.
    pub(super) input_bits: u64,
    /// The first byte of output.
    pub(super) output: u64,
    /// What the decoder must know besides, in the codec's own words.
    pub(super) state: Bytes,
}

/// A stream's own table of contents.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    /// Where decoding can start, from output 0 on, in order.
    pub(super) points: Vec<SeekPoint>,
    /// Length of the whole output.
    pub(super) len: u64,
}

/// What is wrong with a compressed stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// In words that follow "the archive is damaged: ".
    pub(super) what: String,
    /// The input ended early; nothing else is known to be wrong.
    pub(super) cut: bool,
    /// From this byte of output on, what was made may be wrong too. `None` where nothing speaks against it.
    pub(super) doubt: Option<u64>,
}

/// A wrong bit shows that much output behind itself at the most, as a rule: decoders stumble within a block or two of what
/// it made of the stream.
pub(super) const STUMBLING_BYTES: u64 = 1 << 20;

impl Damage {
    /// Something is wrong with the stream.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), cut: false, doubt: None }
    }

    /// The input ends early.
    pub(super) fn cut(what: impl Into<String>) -> Self {
        Self { cut: true, ..Self::new(what) }
    }

    /// The same; the output from `from` on was made, and does not fit its checksum.
    pub(super) fn unproven(self, from: u64) -> Self {
        Self { doubt: Some(from), ..self }
    }

    /// The same; the decoder stumbled `output` bytes into the content, in what is checked together from `from` on.
    pub(super) fn stumbled(self, from: u64, output: u64) -> Self {
        self.unproven(from.max(output.saturating_sub(STUMBLING_BYTES)))
    }
}

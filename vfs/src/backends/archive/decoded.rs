//! [`DecodedFile`]: what a compressed file holds, as a file that can be read at any offset.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Buf, Bytes};

use super::codec::{Codec, Damage, Decoder, Next, SeekPoint};
use super::gzip::FOLLOWING_BYTES;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::jobs::{self, PIECE_BYTES};
use crate::metadata::{FileType, Identity, Metadata};
use crate::path::VPath;

/// Output that is decoded and kept together.
const BLOCK_BYTES: usize = 64 * 1024;

/// Decoded blocks that one file keeps.
const KEPT_BLOCKS: usize = 64;

/// Decoders that rest until somebody reads on where they are. Each holds some 50 KiB and its input.
const RESTING_DECODERS: usize = 8;

/// What is read at once of the compressed file.
const INPUT_BYTES: usize = 256 * 1024;

/// A compressed file's content. Reads start at the nearest decoder that rests before the offset, or the nearest point.
pub(super) struct DecodedFile {
    outer: Arc<dyn File>,
    codec: Arc<dyn Codec>,
    /// No pass finds its points.
    learns: bool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// In order.
    points: Vec<SeekPoint>,
    /// The one that was used last is at the end, here and below.
    resting: VecDeque<Decoding>,
    blocks: VecDeque<(u64, Bytes)>,
    len: Option<u64>,
}

/// A decoder and the input that it has not taken yet.
pub(super) struct Decoding {
    decoder: Box<dyn Decoder>,
    input: Bytes,
    /// Where the input that follows begins.
    next_input: u64,
    is_last: bool,
    output: u64,
}

/// What a step gave.
pub(super) struct Step<T> {
    pub(super) decoding: Decoding,
    pub(super) made: T,
    pub(super) end: Option<Result<(), Damage>>,
}

impl DecodedFile {
    /// The content of `outer`, of which no point is known yet.
    pub(super) fn new(outer: Arc<dyn File>, codec: Arc<dyn Codec>) -> Self {
        Self { outer, codec, learns: false, kept: Mutex::default() }
    }

    /// A decoding from the first byte on, for a pass.
    pub(super) fn start(&self) -> Decoding {
        Decoding::new(self.codec.start(), 0, 0)
    }

    /// The same, for content that is read without a pass: points are kept as reads come by them, so that who goes back,
    /// or reads a later range, does not start over.
    pub(super) fn learning(outer: Arc<dyn File>, codec: Arc<dyn Codec>) -> Self {
        Self { learns: true, ..Self::new(outer, codec) }
    }

    /// Adds those of `points` that lie behind the ones known.
    pub(super) fn add_points(&self, points: Vec<SeekPoint>) {
        let known = &mut self.kept().points;
        for point in points {
            if known.last().is_none_or(|last| last.output < point.output) {
                known.push(point);
            }
        }
    }

    /// Reads input for the next piece, where none is at hand.
    pub(super) async fn fill(&self, decoding: &mut Decoding) -> Result<()> {
        if decoding.input.is_empty() && !decoding.is_last {
            decoding.input = self.outer.read_at(decoding.next_input, INPUT_BYTES).await?;
            decoding.next_input += decoding.input.len() as u64;
            decoding.is_last = decoding.input.is_empty();
        }
        Ok(())
    }

    /// Makes `point` small, beside the pass that found it.
    pub(super) async fn compact(&self, point: SeekPoint) -> Result<SeekPoint> {
        let following = self.outer.read_at(point.input_bits / 8, FOLLOWING_BYTES).await?;
        let codec = Arc::clone(&self.codec);
        jobs::cpu("read_at", move || codec.compact(point, &following)).await
    }

    /// The block that begins at `start`; shorter at the end of the content, or before damage.
    async fn block(&self, start: u64) -> Result<(Bytes, Option<Damage>)> {
        if let Some(block) = self.kept().block(start) {
            return Ok((block, None));
        }
        let mut decoding = self.decoding_for(start)?;
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        let mut end = None;
        while block.len() < BLOCK_BYTES && end.is_none() {
            let (is_before, left) = match start.checked_sub(decoding.output) {
                Some(before @ 1..) => (true, usize::try_from(before).unwrap_or(PIECE_BYTES)),
                _ => (false, BLOCK_BYTES - block.len()),
            };
            self.fill(&mut decoding).await?;
            let look = |output, decoder: &mut dyn Decoder| (output, decoder.take_points());
            let Step { made: (output, points), decoding: gone_on, end: found } =
                decoding.run(left.min(PIECE_BYTES), look).await?;
            if is_before && self.learns {
                self.learn(points).await?;
            }
            if !is_before {
                block.extend_from_slice(&output);
            }
            (decoding, end) = (gone_on, found);
        }
        let block = Bytes::from(block);
        let mut kept = self.kept();
        match end {
            None => kept.rest(decoding),
            Some(Ok(())) => kept.len = Some(decoding.output),
            Some(Err(damage)) => return Ok((block, Some(damage))),
        }
        kept.keep(start, block.clone());
        Ok((block, None))
    }

    /// Keeps what a read has come by on its way to where it wants to be.
    async fn learn(&self, points: Vec<SeekPoint>) -> Result<()> {
        let last = self.kept().points.last().map(|point| point.output);
        for point in points {
            if last.is_none_or(|last| last < point.output) {
                let point = self.compact(point).await?;
                self.add_points(vec![point]);
            }
        }
        Ok(())
    }

    /// The nearest place at or before `start` from which can be decoded.
    fn decoding_for(&self, start: u64) -> Result<Decoding> {
        let mut kept = self.kept();
        let known = kept.points.partition_point(|point| point.output <= start);
        let point = known.checked_sub(1).map(|at| kept.points[at].clone());
        let from = point.as_ref().map_or(0, |point| point.output);
        let near = |decoding: &Decoding| (from..=start).contains(&decoding.output);
        let nearest = (0..kept.resting.len())
            .filter(|at| near(&kept.resting[*at]))
            .max_by_key(|at| kept.resting[*at].output);
        if let Some(decoding) = nearest.and_then(|at| kept.resting.remove(at)) {
            return Ok(decoding);
        }
        drop(kept);
        let Some(point) = point else { return Ok(self.start()) };
        let decoder = self.codec.resume(&point).map_err(|damage| failure(&damage))?;
        Ok(Decoding::new(decoder, point.input_bits / 8, point.output))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn block(&mut self, start: u64) -> Option<Bytes> {
        let at = self.blocks.iter().position(|(at, _)| *at == start)?;
        let kept = self.blocks.remove(at)?;
        let block = kept.1.clone();
        self.blocks.push_back(kept);
        Some(block)
    }

    fn keep(&mut self, start: u64, block: Bytes) {
        if self.blocks.len() == KEPT_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back((start, block));
    }

    fn rest(&mut self, decoding: Decoding) {
        if self.resting.len() == RESTING_DECODERS {
            self.resting.pop_front();
        }
        self.resting.push_back(decoding);
    }
}

impl Decoding {
    /// Decodes at most `room` bytes more of the input at hand; `look` sees them in the job that made them. A dropped
    /// future leaves nothing behind: the decoding is gone.
    pub(super) async fn run<T: Send + 'static>(
        mut self,
        room: usize,
        look: impl FnOnce(Vec<u8>, &mut dyn Decoder) -> T + Send + 'static,
    ) -> Result<Step<T>> {
        let work = move || {
            let mut output = Vec::new();
            let end = match self.decoder.decode(&self.input, self.is_last, &mut output, room) {
                Ok(progress) => {
                    self.input.advance(progress.consumed);
                    (progress.next == Next::End).then_some(Ok(()))
                }
                Err(damage) => Some(Err(damage)),
            };
            self.output += output.len() as u64;
            let made = look(output, &mut *self.decoder);
            Step { decoding: self, made, end }
        };
        jobs::cpu("read_at", work).await
    }

    fn new(decoder: Box<dyn Decoder>, next_input: u64, output: u64) -> Self {
        Self { decoder, input: Bytes::new(), next_input, is_last: false, output }
    }

    /// How much was decoded up to here, from the start of the content.
    pub(super) fn output(&self) -> u64 {
        self.output
    }

    /// How much compressed input was taken, from the start of the file.
    pub(super) fn input(&self) -> u64 {
        self.next_input - self.input.len() as u64
    }
}

#[async_trait]
impl File for DecodedFile {
    /// The length is known once the end has been decoded.
    async fn metadata(&self) -> Result<Metadata> {
        Ok(Metadata { len: self.kept().len, ..Metadata::new(FileType::File) })
    }

    /// The compressed file's: what lies in it is named by its offset in the content.
    fn identity(&self) -> Option<Identity> {
        self.outer.identity()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let within = offset % BLOCK_BYTES as u64;
        let (block, damage) = self.block(offset - within).await?;
        let from = usize::try_from(within).unwrap_or(usize::MAX).min(block.len());
        if let Some(damage) = damage.filter(|_| from == block.len()) {
            return Err(failure(&damage));
        }
        Ok(block.slice(from..block.len().min(from.saturating_add(max))))
    }

    fn seek_cost(&self) -> SeekCost {
        SeekCost::Restart
    }
}

/// What a damaged stream is to a reader.
pub(super) fn failure(damage: &Damage) -> Error {
    let kind = if damage.cut { ErrorKind::Truncated } else { ErrorKind::Corrupt };
    let detail = format!("the archive is damaged: {}", damage.what);
    Error::new(kind, "read_at", &VPath::root()).with_detail(detail)
}

impl fmt::Debug for DecodedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodedFile")
            .field("outer", &self.outer)
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

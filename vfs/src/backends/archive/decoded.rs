//! [`DecodedFile`]: what a compressed file holds, as a file that can be read at any offset.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use crc32fast::Hasher;
use tokio::sync::watch;

use super::bounds::Bounds;
use super::budget::{Budget, Owner};
use super::codec::{Codec, Damage, Decoder, SeekPoint};
pub(super) use super::decoding::{Decoding, Sink, Step};
use super::gzip::FOLLOWING_BYTES;
use super::index::Contents;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::file_system::{File, SeekCost};
use crate::jobs::{self, PIECE_BYTES};
use crate::metadata::{FileType, Identity, Metadata};
use crate::path::VPath;

/// Output that is decoded, checked and kept together.
pub(super) const BLOCK_BYTES: usize = 64 * 1024;

/// Blocks that are decoded at once, at most, for somebody who reads on where the last reader stopped.
const BLOCKS_AHEAD: usize = 4;

/// Blocks that are decoded at once for somebody who begins to read: what a small range may lie in.
const BLOCKS_AT_FIRST: usize = 2;

/// Content that is decoded to get to a block without waiting for a pass that is on its way there.
const NEAR_BYTES: u64 = 256 * 1024;

/// What is read at once of the compressed file, where a read costs nothing to speak of.
const INPUT_BYTES: usize = 256 * 1024;

/// What is read at once where each read costs a request, unless it is known that less will do; and the most.
const REQUEST_BYTES: usize = 1 << 20;
const MAX_REQUEST_BYTES: u64 = 8 << 20;

/// A compressed file's content.
///
/// Reads start at the nearest decoder that rests before the offset, or the nearest point. A block that many want is
/// decoded once, by a task of its own, so it does not matter which of them goes on reading; it stops where none does.
/// Each block is checked against the sum that a pass found; one that differs is an error, and the index is dropped.
pub(super) struct DecodedFile {
    engine: Arc<Engine>,
}

struct Engine {
    outer: Arc<dyn File>,
    codec: Arc<dyn Codec>,
    owner: Owner,
    bounds: Bounds,
    /// No pass finds its points.
    learns: bool,
    contents: Mutex<Contents>,
    /// How much a pass that is under way has decoded; none where none is, or its source does not answer.
    front: watch::Sender<Option<u64>>,
    /// The blocks that are being decoded, by where they begin.
    flights: Mutex<HashMap<u64, watch::Sender<Option<Flown>>>>,
}

/// A block, and the damage behind it.
type Flown = Result<(Bytes, Option<Damage>)>;

impl DecodedFile {
    /// The content of `outer`, of which nothing is known yet; nobody reads beyond `bounds`.
    pub(super) fn new(
        outer: Arc<dyn File>,
        codec: Arc<dyn Codec>,
        budget: &Arc<Budget>,
        bounds: Bounds,
    ) -> Self {
        Self::of(outer, codec, budget, bounds, false)
    }

    /// The same, for content that is read without a pass: points are kept as reads come by them, so that who goes back,
    /// or reads a later range, does not start over. The codec bounds it.
    pub(super) fn learning(outer: Arc<dyn File>, codec: Arc<dyn Codec>, budget: &Arc<Budget>) -> Self {
        Self::of(outer, codec, budget, Bounds::default(), true)
    }

    fn of(
        outer: Arc<dyn File>,
        codec: Arc<dyn Codec>,
        budget: &Arc<Budget>,
        bounds: Bounds,
        learns: bool,
    ) -> Self {
        let (owner, contents, flights) = (budget.owner(), Mutex::default(), Mutex::default());
        let front = watch::Sender::default();
        Self { engine: Arc::new(Engine { outer, codec, owner, bounds, learns, contents, front, flights }) }
    }

    /// Length of the compressed file, where its source states one.
    pub(super) async fn outer_len(&self) -> Result<Option<u64>> {
        Ok(self.engine.outer.metadata().await?.len)
    }

    pub(super) fn outer(&self) -> &Arc<dyn File> {
        &self.engine.outer
    }

    /// A decoding from the last point at or before `output` on; from the first byte, where that is the content's.
    pub(super) async fn start_before(&self, output: u64) -> Result<Decoding> {
        match output {
            0 => Ok(Decoding::new(self.engine.codec.start(), 0, 0)),
            output => self.engine.resume(output).await,
        }
    }

    /// Hears from a pass how much it has decoded; `None` when it does not go on, or not now.
    pub(super) fn advance(&self, front: Option<u64>) {
        self.engine.front.send_replace(front);
    }

    /// Looks at what is known of the content.
    pub(super) fn contents<T>(&self, look: impl FnOnce(&Contents) -> T) -> T {
        look(&self.engine.contents())
    }

    /// Takes what a pass has found, or an index holds.
    pub(super) fn learn(&self, learn: impl FnOnce(&mut Contents)) {
        self.engine.learn(learn);
    }

    /// Makes `point` small, in a job of its own. `following` is compressed input from the point's first bit on.
    pub(super) async fn compact(&self, point: SeekPoint, following: Bytes) -> Result<SeekPoint> {
        self.engine.compact(point, following).await
    }
}

impl Engine {
    /// The block that begins at `start`; shorter at the end of the content, or before damage. So many `blocks` are wanted
    /// from there on.
    async fn block(self: &Arc<Self>, start: u64, blocks: usize) -> Flown {
        if let Some(block) = self.owner.block(start) {
            return Ok((block, None));
        }
        let mut flight = self.join(start, blocks);
        let flown = flight.wait_for(Option::is_some).await.ok().and_then(|flown| flown.clone());
        flown.unwrap_or_else(|| {
            let detail = "the task that decoded it ended early";
            Err(Error::new(ErrorKind::Internal, "read_at", &VPath::root()).with_detail(detail))
        })
    }

    /// Waits with those who want the same block; the first one has it decoded.
    fn join(self: &Arc<Self>, start: u64, blocks: usize) -> watch::Receiver<Option<Flown>> {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(&start) {
            return flight.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(start, sender);
        let blocks = blocks.clamp(1, BLOCKS_AT_FIRST);
        let flight = Flight { engine: Arc::clone(self), start, blocks, has_landed: false };
        tokio::spawn(flight.fly());
        receiver
    }

    /// Decodes `blocks` from `start` on, and a few more where somebody seems to read on. `is_wanted` says whether anybody
    /// still waits; `None` where nobody does.
    async fn decode(
        &self,
        start: u64,
        blocks: usize,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Option<(Bytes, Option<Damage>)>> {
        self.let_the_pass_come_near(start).await;
        let mut decoding = self.decoding_for(start).await?;
        let _in_use = self.owner.lend(self.codec.decoder_bytes() + INPUT_BYTES);
        let reads_on = decoding.output() == start && decoding.has_run();
        let blocks = if reads_on { decoding.widen(BLOCKS_AHEAD).max(blocks) } else { blocks };
        let last = start.saturating_add((blocks * BLOCK_BYTES) as u64);
        let mut cutter = Cutter::new(start, decoding.output(), blocks, self.learns);
        while (!cutter.is_full() || self.is_at_end(&decoding)) && is_wanted() {
            let max = self.input_bytes(&decoding, last);
            if let Err(error) = decoding.fill(&*self.outer, max).await {
                self.rest(decoding);
                return Err(error);
            }
            // At the content's end one byte more: it must not come, and the checksum must fit.
            let room = last.saturating_sub(decoding.output()).max(1);
            let room = usize::try_from(room).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let step = decoding.run(room, cutter).await?;
            (decoding, cutter) = (step.decoding, step.sink);
            self.come_by(std::mem::take(&mut cutter.points)).await?;
            match step.end {
                None => self.bounds.check_size(&decoding)?,
                Some(Ok(())) => {
                    let len = decoding.output();
                    drop(decoding);
                    return self
                        .land(cutter.finish(), start, Some(len), None)
                        .map(|block| Some((block, None)));
                }
                Some(Err(damage)) => {
                    // A pass came by here and found nothing wrong: so what is wrong is new.
                    if self.contents().sum(start).is_some() && cutter.is_before_end() {
                        return Err(self.refuse(&damage.what));
                    }
                    let block = self.land(cutter.finish(), start, None, damage.doubt)?;
                    return Ok(Some((block, Some(damage))));
                }
            }
        }
        let is_done = cutter.is_full();
        self.rest(decoding);
        if !is_done {
            return Ok(None);
        }
        self.land(cutter.finish(), start, None, None).map(|block| Some((block, None)))
    }

    /// Waits for a pass that is on its way to `start`, unless there is something near to begin with: it gets there as soon
    /// as anybody, and many who want what lies far ahead would each do its work again.
    async fn let_the_pass_come_near(&self, start: u64) {
        if self.front.borrow().is_none() {
            return;
        }
        let is_near = |from: u64| start.saturating_sub(from) <= NEAR_BYTES;
        let known = self.contents().point_before(start).map_or(0, |(point, _)| point.output);
        if is_near(known) || self.owner.rests_between(start.saturating_sub(NEAR_BYTES), start) {
            return;
        }
        let mut front = self.front.subscribe();
        // The sender is here, so there is no error.
        let _ = front.wait_for(|front| front.is_none_or(is_near)).await;
    }

    /// Whether all of the content is out, as far as is known, and its end has not been seen.
    fn is_at_end(&self, decoding: &Decoding) -> bool {
        self.contents().len == Some(decoding.output())
    }

    fn learn(&self, learn: impl FnOnce(&mut Contents)) {
        let mut contents = self.contents();
        learn(&mut contents);
        let bytes = contents.memory_bytes();
        drop(contents);
        self.owner.charge(bytes);
    }

    /// Keeps the points that a read has come by, where no pass finds them.
    async fn come_by(&self, points: Vec<SeekPoint>) -> Result<()> {
        for point in points {
            if self.contents().is_ahead(point.output) {
                let following = self.outer.read_at(point.input_bits / 8, FOLLOWING_BYTES).await?;
                let point = self.compact(point, following).await?;
                self.learn(|known| known.add_point(point));
            }
        }
        Ok(())
    }

    async fn compact(&self, point: SeekPoint, following: Bytes) -> Result<SeekPoint> {
        let codec = Arc::clone(&self.codec);
        jobs::cpu("read_at", move || codec.compact(point, &following)).await
    }

    /// Checks blocks and keeps those that are whole; gives the one at `start`. `len` is the content's, where its end was
    /// reached; from `doubt` on blocks are not kept, for they have failed a checksum.
    fn land(&self, cuts: Vec<Cut>, start: u64, len: Option<u64>, doubt: Option<u64>) -> Result<Bytes> {
        let mut wanted = Bytes::new();
        for Cut { at, bytes, sum } in cuts {
            let is_whole = bytes.len() == BLOCK_BYTES || len == Some(at + bytes.len() as u64);
            if is_whole && self.contents().sum(at).is_some_and(|known| known != sum) {
                return Err(self.refuse("its content is not what it was"));
            }
            if is_whole && doubt.is_none_or(|from| at < from) {
                self.owner.keep_block(at, bytes.clone());
            }
            if at == start {
                wanted = bytes;
            }
        }
        Ok(wanted)
    }

    /// The file is not what was indexed: says so, and forgets the index, here and on the disk.
    fn refuse(&self, what: &str) -> Error {
        tracing::warn!(%what, "an archive is not what was indexed; its index is dropped");
        self.contents().spoil();
        self.owner.clear();
        let detail = format!(
            "the archive is not what was indexed: {what}; its index is dropped, and made anew when it is entered next"
        );
        Error::new(ErrorKind::Corrupt, "read_at", &VPath::root()).with_detail(detail).with_retry(Retry::No)
    }

    /// How much compressed input to ask for: where that costs requests, all that is needed in one.
    fn input_bytes(&self, decoding: &Decoding, last: u64) -> usize {
        match self.outer.seek_cost() {
            SeekCost::Free => INPUT_BYTES,
            SeekCost::Request | SeekCost::Restart | SeekCost::Never => {
                let needed =
                    self.contents().input_behind(last).map(|end| end.saturating_sub(decoding.next_input()));
                let needed = needed.filter(|needed| *needed > 0).map(|needed| needed.min(MAX_REQUEST_BYTES));
                needed.map_or(REQUEST_BYTES, |needed| needed as usize)
            }
        }
    }

    /// The nearest place at or before `start` from which can be decoded.
    async fn decoding_for(&self, start: u64) -> Result<Decoding> {
        let from = self.contents().point_before(start).map_or(0, |(point, _)| point.output);
        match self.owner.take_resting(from, start) {
            Some(decoding) => Ok(decoding),
            None => self.resume(start).await,
        }
    }

    async fn resume(&self, start: u64) -> Result<Decoding> {
        let known = self.contents().point_before(start);
        let Some((point, file)) = known else {
            return Ok(Decoding::new(self.codec.start(), 0, 0));
        };
        let point = match point.load(file).await {
            Ok(point) => point,
            Err(error) => {
                self.contents().spoil();
                return Err(error);
            }
        };
        match self.codec.resume(&point) {
            Ok(decoder) => Ok(Decoding::new(decoder, point.input_bits / 8, point.output)),
            Err(damage) => Err(self.refuse(&damage.what)),
        }
    }

    fn rest(&self, mut decoding: Decoding) {
        decoding.shrink();
        let bytes = decoding.input_bytes() + self.codec.decoder_bytes();
        self.owner.rest(decoding, bytes);
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<u64, watch::Sender<Option<Flown>>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One block's way; its drop takes it off the board.
struct Flight {
    engine: Arc<Engine>,
    start: u64,
    blocks: usize,
    has_landed: bool,
}

impl Flight {
    async fn fly(mut self) {
        loop {
            let flown = self.engine.decode(self.start, self.blocks, || self.is_wanted()).await.transpose();
            if self.land(flown) {
                return;
            }
        }
    }

    /// Ends the flight with what has flown. False where nobody had waited, and somebody does by now.
    fn land(&mut self, flown: Option<Flown>) -> bool {
        // Under the lock: who joins finds what has flown, or begins anew.
        let mut flights = self.engine.flights();
        let is_wanted = flights.get(&self.start).is_some_and(|flight| flight.receiver_count() > 0);
        if flown.is_none() && is_wanted {
            return false;
        }
        let flight = flights.remove(&self.start);
        drop(flights);
        self.has_landed = true;
        if let (Some(flight), Some(flown)) = (flight, flown) {
            flight.send_replace(Some(flown));
        }
        true
    }

    fn is_wanted(&self) -> bool {
        self.engine.flights().get(&self.start).is_some_and(|flight| flight.receiver_count() > 0)
    }
}

impl Drop for Flight {
    /// A flight that was broken off leaves its place; one that has landed may have a successor there.
    fn drop(&mut self) {
        if !self.has_landed {
            self.engine.flights().remove(&self.start);
        }
    }
}

/// Cuts output into blocks, and sums each.
struct Cutter {
    /// Where the next byte belongs.
    position: u64,
    /// Where the block under way begins.
    at: u64,
    block: Vec<u8>,
    left: usize,
    cuts: Vec<Cut>,
    learns: bool,
    /// The points passed, where they are to be kept.
    points: Vec<SeekPoint>,
}

struct Cut {
    at: u64,
    bytes: Bytes,
    sum: u32,
}

impl Cutter {
    /// Wants `blocks` from `start` on, of output that begins at `position`.
    fn new(start: u64, position: u64, blocks: usize, learns: bool) -> Self {
        let (block, cuts, points) = (Vec::new(), Vec::new(), Vec::new());
        Self { position, at: start, block, left: blocks, cuts, learns, points }
    }

    fn is_full(&self) -> bool {
        self.left == 0
    }

    /// True where nothing of the first block is there.
    fn is_before_end(&self) -> bool {
        self.cuts.is_empty()
    }

    fn cut(&mut self) {
        let bytes = Bytes::from(std::mem::take(&mut self.block));
        let mut sum = Hasher::new();
        sum.update(&bytes);
        let (at, len) = (self.at, bytes.len() as u64);
        self.at += len;
        self.left -= 1;
        self.cuts.push(Cut { at, bytes, sum: sum.finalize() });
    }

    /// All blocks; the last one may be short.
    fn finish(mut self) -> Vec<Cut> {
        if !self.block.is_empty() {
            self.cut();
        }
        self.cuts
    }
}

impl Sink for Cutter {
    fn take(&mut self, output: &[u8]) {
        let before = usize::try_from(self.at - self.position.min(self.at)).unwrap_or(usize::MAX);
        let before = if self.block.is_empty() { before.min(output.len()) } else { 0 };
        self.position += output.len() as u64;
        let mut rest = &output[before..];
        while !rest.is_empty() && self.left > 0 {
            if self.block.capacity() == 0 {
                self.block.reserve_exact(BLOCK_BYTES);
            }
            let (taken, after) = rest.split_at(rest.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(taken);
            rest = after;
            if self.block.len() == BLOCK_BYTES {
                self.cut();
            }
        }
    }

    fn look(&mut self, decoder: &mut dyn Decoder) {
        let points = decoder.take_points();
        if self.learns {
            self.points.extend(points);
        }
    }
}

#[async_trait]
impl File for DecodedFile {
    /// The length is known once the end has been decoded.
    async fn metadata(&self) -> Result<Metadata> {
        Ok(Metadata { len: self.contents(|known| known.len), ..Metadata::new(FileType::File) })
    }

    /// The compressed file's: what lies in it is named by its offset in the content.
    fn identity(&self) -> Option<Identity> {
        self.engine.outer.identity()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        if max == 0 || self.contents(|known| known.len).is_some_and(|len| offset >= len) {
            return Ok(Bytes::new());
        }
        let within = offset % BLOCK_BYTES as u64;
        let blocks = (within as usize).saturating_add(max).div_ceil(BLOCK_BYTES);
        let (block, damage) = self.engine.block(offset - within, blocks).await?;
        let from = usize::try_from(within).unwrap_or(usize::MAX).min(block.len());
        let mut end = block.len();
        if let Some(damage) = damage {
            let until = offset - within + end as u64;
            let is_last = end < BLOCK_BYTES || self.contents(|known| known.len == Some(until));
            // What failed its checksum must not end well: its last byte stays away.
            if is_last && end > 0 && damage.doubt.is_some_and(|doubt| doubt <= offset) {
                end -= 1;
            }
            if from >= end {
                return Err(failure(&damage));
            }
        }
        Ok(block.slice(from..end.min(from.saturating_add(max))))
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
            .field("outer", &self.engine.outer)
            .field("codec", &self.engine.codec)
            .field("owner", &self.engine.owner)
            .finish_non_exhaustive()
    }
}

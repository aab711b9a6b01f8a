//! [`Engine`]: decodes blocks, each once however many want it, from the nearest place where decoding can begin.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::cutter::{Cut, Cutter};
use super::flight::Flight;
use super::{BLOCK_BYTES, Decoding};
use crate::backends::archive::bounds::Bounds;
use crate::backends::archive::budget::Owner;
use crate::backends::archive::codec::{Codec, Damage, SeekPoint};
use crate::backends::archive::gzip::FOLLOWING_BYTES;
use crate::backends::archive::index::Contents;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::file_system::{File, SeekCost};
use crate::jobs::{self, PIECE_BYTES};
use crate::path::VPath;

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

/// What decodes a file's content, whoever asks.
pub(super) struct Engine {
    pub(super) outer: Arc<dyn File>,
    pub(super) codec: Arc<dyn Codec>,
    pub(super) owner: Owner,
    bounds: Bounds,
    /// No pass finds its points.
    learns: bool,
    contents: Mutex<Contents>,
    /// How much a pass that is under way has decoded; none where none is, or its source does not answer.
    pub(super) front: watch::Sender<Option<u64>>,
    /// The blocks that are being decoded, by where they begin.
    flights: Mutex<HashMap<u64, watch::Sender<Option<Flown>>>>,
}

/// A block, and the damage behind it.
pub(super) type Flown = Result<(Bytes, Option<Damage>)>;

impl Engine {
    pub(super) fn new(
        outer: Arc<dyn File>,
        codec: Arc<dyn Codec>,
        owner: Owner,
        bounds: Bounds,
        learns: bool,
    ) -> Self {
        let (contents, front, flights) = (Mutex::default(), watch::Sender::default(), Mutex::default());
        Self { outer, codec, owner, bounds, learns, contents, front, flights }
    }

    /// The block that begins at `start`; shorter at the end of the content, or before damage. So many `blocks` are wanted
    /// from there on.
    pub(super) async fn block(self: &Arc<Self>, start: u64, blocks: usize) -> Flown {
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
        tokio::spawn(Flight::new(self, start, blocks).fly());
        receiver
    }

    /// Decodes `blocks` from `start` on, and a few more where somebody seems to read on. `is_wanted` says whether anybody
    /// still waits; `None` where nobody does.
    pub(super) async fn decode(
        &self,
        start: u64,
        blocks: usize,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Option<(Bytes, Option<Damage>)>> {
        self.let_the_pass_come_near(start).await;
        let mut decoding = self.decoding_for(start).await?;
        let mut in_use = self.owner.lend(self.bytes_of(&decoding));
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
            in_use.set(self.bytes_of(&decoding));
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

    pub(super) fn learn(&self, learn: impl FnOnce(&mut Contents)) {
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

    pub(super) async fn compact(&self, point: SeekPoint, following: Bytes) -> Result<SeekPoint> {
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

    pub(super) async fn resume(&self, start: u64) -> Result<Decoding> {
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
        let bytes = decoding.input_bytes() + self.decoder_bytes(&decoding);
        self.owner.rest(decoding, bytes);
    }

    fn decoder_bytes(&self, decoding: &Decoding) -> usize {
        decoding.decoder_bytes().unwrap_or(self.codec.decoder_bytes())
    }

    /// What a decoding takes while it runs.
    pub(super) fn bytes_of(&self, decoding: &Decoding) -> usize {
        self.decoder_bytes(decoding) + INPUT_BYTES
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn flights(&self) -> MutexGuard<'_, HashMap<u64, watch::Sender<Option<Flown>>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

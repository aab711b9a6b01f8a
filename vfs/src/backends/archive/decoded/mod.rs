//! [`DecodedFile`]: what a compressed file holds, as a file that can be read at any offset.

mod cutter;
mod engine;
mod flight;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use engine::Engine;

use super::bounds::Bounds;
use super::budget::{Budget, Loan};
use super::codec::{Codec, Damage, SeekPoint};
pub(super) use super::decoding::{Decoding, Sink, Step};
use super::index::Contents;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::metadata::{FileType, Identity, Metadata};
use crate::path::VPath;

/// Output that is decoded, checked and kept together.
pub(super) const BLOCK_BYTES: usize = 64 * 1024;

/// A compressed file's content.
///
/// Reads start at the nearest decoder that rests before the offset, or the nearest point. A block that many want is
/// decoded once, by a task of its own, so it does not matter which of them goes on reading; it stops where none does.
/// Each block is checked against the sum that a pass found; one that differs is an error, and the index is dropped.
pub(super) struct DecodedFile {
    engine: Arc<Engine>,
}

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
        Self { engine: Arc::new(Engine::new(outer, codec, budget.owner(), bounds, learns)) }
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

    /// Counts the memory of a pass's decoding.
    pub(super) fn lend(&self, decoding: &Decoding) -> Loan {
        self.engine.owner.lend(self.engine.bytes_of(decoding))
    }

    /// The same, as the pass goes on: a later part of a stream may need more.
    pub(super) fn adjust(&self, loan: &mut Loan, decoding: &Decoding) {
        loan.set(self.engine.bytes_of(decoding));
    }

    /// Waits until a pass may go on with its decoding, where that takes much memory.
    ///
    /// # Errors
    /// As [`Owner::turn`](super::budget::Owner::turn).
    pub(super) fn turn(
        &self,
        decoding: &Decoding,
    ) -> impl Future<Output = Result<Option<OwnedSemaphorePermit>>> + Send + use<'_> {
        self.engine.owner.turn(self.engine.bytes_of(decoding))
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

//! A pass through compressed data: it is decoded from the first byte to the last, and scanned where a tar is in it.

use std::mem;
use std::sync::LazyLock;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::ending::{ended, failure};
use super::{Pass, STREAMING_BYTES};
use crate::backends::archive::bounds::Bounds;
use crate::backends::archive::codec::{Damage, STUMBLING_BYTES, SeekPoint};
use crate::backends::archive::decoded::{DecodedFile, Decoding, Step, failure as damaged};
use crate::backends::archive::scan::Scan;
use crate::backends::archive::tar::{Flaw, Scanner};
use crate::backends::archive::trail::Trail;
use crate::error::Result;
use crate::file_system::SeekCost;
use crate::jobs::PIECE_BYTES;

/// What is read at once of a compressed file on the host.
const INPUT_BYTES: usize = 256 * 1024;

/// Pieces of first passes that are decoded at once, in the whole process: a core stays free for those who read.
static PASSES: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new(cores.saturating_sub(1).max(1))
});

impl Pass {
    /// Decodes and scans until the end, piece by piece; while one is decoded, the points of the last one are made small
    /// and the next input is read. `None`: nobody holds the archive any more.
    pub(super) async fn decode(
        &mut self,
        decoded: &DecodedFile,
        scanning: &mut Option<Scan>,
        bounds: Bounds,
    ) -> Result<Option<()>> {
        let Some(total) = self.retry(|| decoded.outer_len()).await? else { return Ok(None) };
        let Some(mut scan) = scanning.take() else { return Ok(None) };
        let mut decoding = decoded.start_before(scan.from()).await?;
        scan.begin(decoding.output());
        let piece = match decoded.outer().seek_cost() {
            SeekCost::Free => INPUT_BYTES,
            SeekCost::Request | SeekCost::Restart | SeekCost::Never => STREAMING_BYTES,
        };
        let mut trail = Trail::new(decoding.next_input());
        let (mut in_use, mut turn) = (decoded.lend(&decoding), None);
        let mut ahead: Option<Bytes> = None;
        self.begin(total);
        decoded.advance(Some(decoding.output()));
        loop {
            if turn.is_none() {
                turn = decoded.turn(&decoding).await?;
            }
            if decoding.wants_input() {
                let at = decoding.next_input();
                let input = match ahead.take() {
                    Some(input) => Some(input),
                    None => self.retry(|| decoded.outer().read_at(at, piece)).await?,
                };
                let Some(input) = input else { return Ok(None) };
                self.read += input.len() as u64;
                trail.add(input.clone());
                decoding.feed(input);
            }
            let Some(archive) = self.archive.upgrade() else { return Ok(None) };
            let next = decoding.next_input();
            let look_ahead = async {
                match ahead.take() {
                    None => decoded.outer().read_at(next, piece).await.ok(),
                    ahead => ahead,
                }
            };
            let running = run(decoding, scan);
            let (step, compacted, read) = tokio::join!(running, compact(decoded, trail.ripe()), look_ahead);
            let step = step?;
            ahead = read;
            (decoding, scan) = (step.decoding, step.sink);
            decoded.adjust(&mut in_use, &decoding);
            trail.wait(mem::take(&mut scan.points), decoding.input());
            self.keep(decoded, compacted?, &mut scan);
            decoded.advance(Some(decoding.output()));
            archive.passing.set_done(decoding.input());
            let published = scan.scanner.as_mut().map_or(Ok(()), |scanner| self.publish(&archive, scanner));
            if let Some(journal) = &mut self.journal {
                journal.write_in_time().await;
            }
            self.tell(&archive);
            let flaw = scan.scanner.as_ref().and_then(Scanner::flaw);
            if let Some(end) = &step.end {
                self.doubt = doubt(flaw, end.as_ref().err());
            }
            let outcome = match (published, flaw, step.end) {
                (Err(error), _, _) => Some(Err(error)),
                (Ok(()), Some(flaw), Some(_)) => Some(Err(failure(flaw))),
                (Ok(()), None, Some(Err(damage))) => Some(Err(damaged(&damage))),
                (Ok(()), None, Some(Ok(()))) => Some(Ok(())),
                // No name comes any more, but a checksum: it says what to think of what came before.
                (Ok(()), Some(flaw), None) => {
                    archive.growing.end(Err(failure(flaw)));
                    bounds.check(&decoding).err().map(|_| Err(failure(flaw)))
                }
                (Ok(()), None, None) => bounds.check(&decoding).err().map(Err),
            };
            drop(archive);
            if let Some(outcome) = outcome {
                let points = compact(decoded, trail.rest()).await?;
                let outcome = outcome.and_then(|()| {
                    let len = decoding.output();
                    scan.finish(len);
                    decoded.learn(|known| known.len = Some(len));
                    scan.scanner.as_ref().map_or(Ok(()), ended)
                });
                let of_tar = scan.scanner.as_ref().and_then(Scanner::remark).map(str::to_owned);
                self.remark = scan.remark.take().or(of_tar);
                self.keep(decoded, points, &mut scan);
                *scanning = Some(scan);
                return outcome.map(Some);
            }
        }
    }

    /// Takes what was found of the content.
    fn keep(&mut self, decoded: &DecodedFile, points: Vec<SeekPoint>, scan: &mut Scan) {
        let sums = scan.take_sums();
        if let Some(journal) = &mut self.journal {
            points.iter().for_each(|point| journal.add_point(point));
            journal.add_sums(&sums);
        }
        decoded.learn(|known| {
            points.into_iter().for_each(|point| known.add_point(point));
            known.add_sums(&sums);
        });
    }
}

/// Decodes and scans one piece in a job. The permit is taken when the input is there, so it waits for no source.
async fn run(decoding: Decoding, scan: Scan) -> Result<Step<Scan>> {
    let _permit = PASSES.acquire().await;
    decoding.run(PIECE_BYTES, scan).await
}

async fn compact(decoded: &DecodedFile, points: Vec<(SeekPoint, Bytes)>) -> Result<Vec<SeekPoint>> {
    let mut compacted = Vec::with_capacity(points.len());
    for (point, following) in points {
        compacted.push(decoded.compact(point, following).await?);
    }
    Ok(compacted)
}

/// From where on content is not to be believed, after a scan that came to `flaw` and a decoder that came to `damage`.
fn doubt(flaw: Option<&Flaw>, damage: Option<&Damage>) -> Option<u64> {
    let damage = damage?;
    // Where the scan stumbled, the fault is near, and not somewhere before.
    let near = flaw.map(|flaw| flaw.at.saturating_sub(STUMBLING_BYTES));
    match (damage.doubt, near) {
        (Some(from), near) => Some(from.max(near.unwrap_or(0))),
        (None, near) if damage.cut => near,
        (None, _) => None,
    }
}

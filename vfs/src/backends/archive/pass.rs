//! The first pass: reads an archive from its first byte to its last and fills its catalog.
//!
//! A pass is a task of its own, so it does not matter who asked first. It goes on when that client leaves, and it stops
//! between two pieces where nobody holds the archive's tree any more.

use std::mem;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::codec::{Decoder, SeekPoint};
use super::decoded::{DecodedFile, Decoding, Step, failure as damaged};
use super::fs::{Archive, Contents};
use super::packing::Unpacked;
use super::spool::Spool;
use super::tar::{BLOCK_BYTES, Flaw, Scanner};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::jobs::PIECE_BYTES;
use crate::path::VPath;

/// What is read at once of a tar that can be jumped in: a header and what most small files hold, so that one read serves
/// them both and a large file costs no more than its header.
const JUMPING_BYTES: usize = 4 * 1024;

/// What is read at once of a tar in which a jump costs a request: jumps pay from about this length on.
const STREAMING_BYTES: usize = 1 << 20;

/// Content below which nobody looks at the ratio: a small archive of zeros does no harm.
const FREE_BYTES: u64 = 10 << 20;

/// Pieces of first passes that are decoded at once, in the whole process: a core stays free for those who read.
static PASSES: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new(cores.saturating_sub(1).max(1))
});

/// Reads a plain tar.
pub(super) async fn scan_tar(file: Arc<dyn File>, archive: Weak<Archive>) {
    let scanned = scan(&*file, &archive).await;
    if let (Some(archive), Some(outcome)) = (archive.upgrade(), scanned.transpose()) {
        conclude(&archive, outcome);
    }
}

/// What a pass through compressed data may cost; more is taken for a bomb.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Content that a compressed byte may stand for, once [`FREE_BYTES`] have come.
    pub(super) ratio: u64,
    /// Time of one core.
    pub(super) work: Duration,
}

/// Reads a compressed tar, and finds the points where reading can start.
pub(super) async fn scan_unpacked(unpacked: Unpacked, bounds: Bounds, archive: Weak<Archive>) {
    through(unpacked, Some(Scanner::default()), bounds, &archive).await;
}

/// Reads a compressed file for its length, and for the points where reading can start.
pub(super) async fn measure(unpacked: Unpacked, bounds: Bounds, archive: Weak<Archive>) {
    through(unpacked, None, bounds, &archive).await;
}

async fn through(unpacked: Unpacked, scanner: Option<Scanner>, bounds: Bounds, archive: &Weak<Archive>) {
    let spool = unpacked.spool;
    let sink = Sink { scanner, spool: spool.clone() };
    let decoded = decode(&unpacked.decoded, sink, bounds, archive).await;
    match (&spool, &decoded) {
        (Some(spool), Ok(None)) => spool.give_up(),
        (Some(spool), Ok(Some(_))) => spool.end(Ok(())),
        (Some(spool), Err(error)) => spool.end(Err(error.clone())),
        (None, _) => {}
    }
    if let (Some(archive), Some(outcome)) = (archive.upgrade(), decoded.transpose()) {
        match &archive.content {
            Contents::Bare(bare) => bare.measured(outcome.inspect_err(told).ok()),
            Contents::Pieces(_) | Contents::Zipped(_) => conclude(&archive, outcome.map(drop)),
        }
    }
}

/// A bare member's readers come to the damage, or the bound, themselves. The log hears of it now.
fn told(error: &Error) {
    tracing::warn!(%error, "a compressed file could not be read through");
}

/// What becomes of the content that a pass decodes.
#[derive(Default)]
struct Sink {
    scanner: Option<Scanner>,
    spool: Option<Arc<Spool>>,
}

impl Sink {
    fn take(&mut self, content: &[u8]) {
        if let Some(scanner) = &mut self.scanner {
            scanner.feed(content);
        }
        if let Some(spool) = &self.spool {
            spool.append(content);
        }
    }
}

/// Decodes and scans until the end, piece by piece, and gives the content's length; while one piece is decoded, the
/// points of the last one are made small. `None`: nobody holds the archive any more.
async fn decode(
    decoded: &DecodedFile,
    mut sink: Sink,
    bounds: Bounds,
    archive: &Weak<Archive>,
) -> Result<Option<u64>> {
    let mut decoding = decoded.start();
    let (mut found, mut worked) = (Vec::new(), Duration::ZERO);
    loop {
        let Some(archive) = archive.upgrade() else { return Ok(None) };
        decoded.fill(&mut decoding).await?;
        let working = piece(decoding, mem::take(&mut sink));
        let (step, compacted) = tokio::join!(working, compact(decoded, mem::take(&mut found)));
        decoded.add_points(compacted?);
        let Step { made: (kept, points, took), decoding: gone_on, end } = step?;
        (sink, found, decoding) = (kept, points, gone_on);
        worked += took;
        if let Some(scanner) = &mut sink.scanner {
            publish(&archive, scanner)?;
            if let Some(flaw) = scanner.flaw() {
                return Err(failure(flaw));
            }
        }
        match end {
            Some(Err(damage)) => return Err(damaged(&damage)),
            Some(Ok(())) => break,
            None => expect_no_bomb(&decoding, worked, bounds)?,
        }
    }
    decoded.add_points(compact(decoded, found).await?);
    if let Some(scanner) = &mut sink.scanner {
        scanner.finish();
        ended(scanner)?;
    }
    Ok(Some(decoding.output()))
}

/// Decodes and scans one piece in a job, and says how long that took. The permit is taken when the input is there, so it
/// waits for no source.
async fn piece(decoding: Decoding, mut sink: Sink) -> Result<Step<(Sink, Vec<SeekPoint>, Duration)>> {
    let _permit = PASSES.acquire().await;
    let begun = Instant::now();
    let look = move |output: Vec<u8>, decoder: &mut dyn Decoder| {
        sink.take(&output);
        if let Some(remark) = decoder.remark() {
            tracing::info!("a compressed archive: {remark}");
        }
        (sink, decoder.take_points(), begun.elapsed())
    };
    decoding.run(PIECE_BYTES, look).await
}

async fn compact(decoded: &DecodedFile, points: Vec<SeekPoint>) -> Result<Vec<SeekPoint>> {
    let mut compacted = Vec::with_capacity(points.len());
    for point in points {
        compacted.push(decoded.compact(point).await?);
    }
    Ok(compacted)
}

fn expect_no_bomb(decoding: &Decoding, worked: Duration, bounds: Bounds) -> Result<()> {
    let (output, input) = (decoding.output(), decoding.input());
    let detail = if output > FREE_BYTES && output / bounds.ratio.max(1) > input {
        let ratio = bounds.ratio;
        format!("{input} compressed bytes grew to {output}, more than {ratio} for one")
    } else if worked > bounds.work {
        format!("reading {input} compressed bytes of it took more than {} s", bounds.work.as_secs())
    } else {
        return Ok(());
    };
    let detail = format!("{detail}: it is not read on; what came before is served");
    Err(Error::new(ErrorKind::LimitExceeded, "read", &VPath::root()).with_detail(detail))
}

/// Scans until the end. `None`: nobody holds the archive any more.
async fn scan(file: &dyn File, archive: &Weak<Archive>) -> Result<Option<()>> {
    let piece = match file.seek_cost() {
        SeekCost::Free => JUMPING_BYTES,
        SeekCost::Request | SeekCost::Restart | SeekCost::Never => STREAMING_BYTES,
    };
    let len = file.metadata().await?.len;
    let mut scanner = Scanner::default();
    while !scanner.is_done() {
        let Some(archive) = archive.upgrade() else { return Ok(None) };
        jump(&mut scanner, len);
        let bytes = file.read_at(scanner.position(), piece).await?;
        if bytes.is_empty() {
            scanner.finish();
            publish(&archive, &mut scanner)?;
            break;
        }
        scanner.feed(&bytes);
        publish(&archive, &mut scanner)?;
        // A warm file never makes this task wait, and others want the thread too.
        tokio::task::coop::consume_budget().await;
    }
    ended(&scanner).map(Some)
}

/// Passes over what need not be read, as far as the file is known to go: a body that ends behind the file is cut.
fn jump(scanner: &mut Scanner, len: Option<u64>) {
    let left = len.map_or(0, |len| len.saturating_sub(scanner.position()));
    let skippable = scanner.skippable();
    if skippable >= BLOCK_BYTES as u64 {
        scanner.skip(skippable.min(left));
    }
}

/// Ends the pass, and tells the log what a listing cannot show.
fn conclude(archive: &Archive, outcome: Result<()>) {
    let (names, hidden) = archive.growing.read(|catalog| (catalog.len(), catalog.hidden()));
    match &outcome {
        Ok(()) => tracing::debug!(names, hidden, "an archive was read through"),
        Err(error) => tracing::warn!(names, hidden, %error, "an archive could not be read through"),
    }
    archive.growing.end(outcome);
}

fn publish(archive: &Archive, scanner: &mut Scanner) -> Result<()> {
    archive.growing.append(&scanner.take_entries()).map_err(|_| {
        let detail =
            format!("the archive holds more names than fit into memory, from byte {} on", scanner.position());
        Error::new(ErrorKind::LimitExceeded, "read", &VPath::root()).with_detail(detail)
    })
}

/// What the scanner says of an archive that it is through with.
pub(super) fn ended(scanner: &Scanner) -> Result<()> {
    if let Some(remark) = scanner.remark() {
        tracing::info!("a tar: {remark}");
    }
    scanner.flaw().map_or(Ok(()), |flaw| Err(failure(flaw)))
}

fn failure(flaw: &Flaw) -> Error {
    let kind = if flaw.damage.cut { ErrorKind::Truncated } else { ErrorKind::Corrupt };
    let detail = format!(
        "the archive is damaged at byte {} of the tar: {}; what comes before is served",
        flaw.at, flaw.damage.what
    );
    Error::new(kind, "read", &VPath::root()).with_detail(detail)
}

//! The first pass: reads an archive from its first byte to its last and fills its catalog.
//!
//! A pass is a task of its own, so it does not matter who asked first. It goes on when that client leaves, and it stops
//! between two pieces where nobody holds the archive's tree any more.

use std::mem;
use std::sync::{Arc, LazyLock, Weak};

use tokio::sync::Semaphore;

use super::codec::{Decoder, SeekPoint};
use super::decoded::{DecodedFile, Decoding, Step, failure as damaged};
use super::fs::Archive;
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

/// Content that a compressed byte may stand for, once [`FREE_BYTES`] have come: more is taken for a bomb.
const MAX_RATIO: u64 = 200;

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

/// Reads a compressed tar, and finds the points where reading can start.
pub(super) async fn scan_decoded(decoded: Arc<DecodedFile>, archive: Weak<Archive>) {
    let scanned = decode(&decoded, &archive).await;
    if let (Some(archive), Some(outcome)) = (archive.upgrade(), scanned.transpose()) {
        conclude(&archive, outcome);
    }
}

/// Decodes and scans until the end, piece by piece; while one is decoded, the points of the last one are made small.
/// `None`: nobody holds the archive any more.
async fn decode(decoded: &DecodedFile, archive: &Weak<Archive>) -> Result<Option<()>> {
    let (mut decoding, mut scanner) = (decoded.start(), Scanner::default());
    let mut found = Vec::new();
    let total = decoded.outer_len().await?;
    if let Some(archive) = archive.upgrade() {
        archive.passing.set_total(total);
    }
    loop {
        let Some(archive) = archive.upgrade() else { return Ok(None) };
        decoded.fill(&mut decoding).await?;
        let scanning = piece(decoding, mem::take(&mut scanner));
        let (step, compacted) = tokio::join!(scanning, compact(decoded, mem::take(&mut found)));
        decoded.add_points(compacted?);
        let step = step?;
        (scanner, found) = step.made;
        decoding = step.decoding;
        archive.passing.set_done(decoding.input());
        publish(&archive, &mut scanner)?;
        if let Some(flaw) = scanner.flaw() {
            return Err(failure(flaw));
        }
        match step.end {
            Some(Err(damage)) => return Err(damaged(&damage)),
            Some(Ok(())) => break,
            None => expect_no_bomb(&decoding)?,
        }
    }
    decoded.add_points(compact(decoded, found).await?);
    scanner.finish();
    ended(&scanner).map(Some)
}

/// Decodes and scans one piece in a job. The permit is taken when the input is there, so it waits for no source.
async fn piece(decoding: Decoding, mut scanner: Scanner) -> Result<Step<(Scanner, Vec<SeekPoint>)>> {
    let _permit = PASSES.acquire().await;
    let scan = move |output: Vec<u8>, decoder: &mut dyn Decoder| {
        scanner.feed(&output);
        if let Some(remark) = decoder.remark() {
            tracing::info!("a compressed archive: {remark}");
        }
        (scanner, decoder.take_points())
    };
    decoding.run(PIECE_BYTES, scan).await
}

async fn compact(decoded: &DecodedFile, points: Vec<SeekPoint>) -> Result<Vec<SeekPoint>> {
    let mut compacted = Vec::with_capacity(points.len());
    for point in points {
        compacted.push(decoded.compact(point).await?);
    }
    Ok(compacted)
}

fn expect_no_bomb(decoding: &Decoding) -> Result<()> {
    let (output, input) = (decoding.output(), decoding.input());
    if output <= FREE_BYTES || output / MAX_RATIO <= input {
        return Ok(());
    }
    let detail = format!(
        "{input} compressed bytes grew to {output}, more than {MAX_RATIO} for one: it is not read on; what came \
         before is served"
    );
    Err(Error::new(ErrorKind::LimitExceeded, "read", &VPath::root()).with_detail(detail))
}

/// Scans until the end. `None`: nobody holds the archive any more.
async fn scan(file: &dyn File, archive: &Weak<Archive>) -> Result<Option<()>> {
    let piece = match file.seek_cost() {
        SeekCost::Free => JUMPING_BYTES,
        SeekCost::Request | SeekCost::Restart | SeekCost::Never => STREAMING_BYTES,
    };
    let len = file.metadata().await?.len;
    if let Some(archive) = archive.upgrade() {
        archive.passing.set_total(len);
    }
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
        archive.passing.set_done(scanner.position());
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

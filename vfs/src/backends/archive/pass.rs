//! The first pass: reads an archive from its first byte to its last and fills its catalog.
//!
//! A pass is a task of its own, so it does not matter who asked first. It goes on when that client leaves, and it stops
//! between two pieces where nobody holds the archive's tree any more. Where an index is there, there is no pass; where a
//! part of one is, the pass goes on behind it. A source that does not answer for a while is asked again: what was found
//! by then is served meanwhile.

use std::future::poll_fn;
use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::codec::SeekPoint;
use super::decoded::{DecodedFile, Decoding, Step, failure as damaged};
use super::fs::{Archive, Contents as Held};
use super::growing::Names;
use super::gzip::SPACING_BYTES;
use super::index::{Contents, Finding, Journal, Keeping, Passed, Store};
use super::packing::{Packing, Unpacked};
use super::scan::Scan;
use super::tar::{BLOCK_BYTES, Boundary, Flaw, Scanner};
use super::trail::Trail;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::jobs::PIECE_BYTES;
use crate::path::VPath;

/// What is read at once of a tar that can be jumped in: a header and what most small files hold, so that one read serves
/// them both and a large file costs no more than its header.
const JUMPING_BYTES: usize = 4 * 1024;

/// What is read at once where a jump costs a request: jumps pay from about this length on.
const STREAMING_BYTES: usize = 1 << 20;

/// What is read at once of a compressed file on the host.
const INPUT_BYTES: usize = 256 * 1024;

/// Content below which nobody looks at the ratio: a small archive of zeros does no harm.
const FREE_BYTES: u64 = 10 << 20;

/// Reads of a tar that can be jumped in whose entries are published together, unless they take longer than that: waking
/// those who wait costs as much as scanning an entry.
const READS_TOGETHER: usize = 64;
const TIME_TOGETHER: Duration = Duration::from_millis(2);

/// How long a pass waits before it asks a source again that did not answer; twice as long each time, up to the most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often the log hears of a long pass.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Pieces of first passes that are decoded at once, in the whole process: a core stays free for those who read.
static PASSES: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new(cores.saturating_sub(1).max(1))
});

/// What a pass through compressed data may cost; more is taken for a bomb.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Content that a compressed byte may stand for, once [`FREE_BYTES`] have come.
    pub(super) ratio: u64,
    /// Time of one core.
    pub(super) work: Duration,
    /// Bytes of content.
    pub(super) content: u64,
}

/// Reads a plain tar, unless an index of it is there.
pub(super) async fn scan_tar(file: Arc<dyn File>, archive: Weak<Archive>, store: Arc<Store>, names: usize) {
    let keeping = store.keeping("tar".to_owned(), &file, names).await;
    let mut pass = Pass::new(None, archive, store, keeping);
    let boundary = match pass.find().await {
        Found::Whole => return,
        Found::Part(boundary) => boundary,
    };
    let mut scanner = Scanner::resume(boundary);
    let scanned = pass.scan(&*file, &mut scanner).await;
    pass.conclude(scanned, scanner.boundary(), Some(scanner.boundary().at)).await;
}

/// Reads a compressed tar, and finds the points where reading can start, unless an index of it is there.
pub(super) async fn scan_unpacked(
    unpacked: Unpacked,
    packing: Packing,
    bounds: Bounds,
    archive: Weak<Archive>,
    store: Arc<Store>,
    names: usize,
) {
    through(unpacked, &format!("tar in {}", packing.as_str()), true, bounds, archive, store, names).await;
}

/// Reads a compressed file for its length, and for the points where reading can start, unless an index of it is there.
pub(super) async fn measure(
    unpacked: Unpacked,
    packing: Packing,
    bounds: Bounds,
    archive: Weak<Archive>,
    store: Arc<Store>,
) {
    through(unpacked, packing.as_str(), false, bounds, archive, store, 1).await;
}

async fn through(
    unpacked: Unpacked,
    format: &str,
    is_tar: bool,
    bounds: Bounds,
    archive: Weak<Archive>,
    store: Arc<Store>,
    names: usize,
) {
    let Unpacked { decoded, spool, len: _ } = unpacked;
    // What can be read from a spool only has to be decoded again each time.
    let keeping = match &spool {
        Some(_) => None,
        None => store.keeping(format!("{format}, {SPACING_BYTES}"), decoded.outer(), names).await,
    };
    let mut pass = Pass::new(Some(Arc::clone(&decoded)), archive, store, keeping);
    let boundary = match pass.find().await {
        Found::Whole => return,
        Found::Part(boundary) => boundary,
    };
    let scanner = is_tar.then(|| Scanner::resume(boundary));
    let mut scan = Some(Scan::new(scanner, decoded.contents(Contents::blocks), spool.clone()));
    let scanned = pass.decode(&decoded, &mut scan, bounds).await;
    match (&spool, &scanned) {
        (Some(spool), Ok(None)) => spool.give_up(),
        (Some(spool), Ok(Some(()))) => spool.end(Ok(())),
        (Some(spool), Err(error)) => spool.end(Err(error.clone())),
        (None, _) => {}
    }
    // What was found last is lost with a job that panicked, and with nothing else.
    let boundary = scan.map_or(boundary, |scan| scan.boundary());
    pass.conclude(scanned, boundary, None).await;
}

/// A pass under way.
struct Pass {
    decoded: Option<Arc<DecodedFile>>,
    archive: Weak<Archive>,
    store: Arc<Store>,
    keeping: Option<Keeping>,
    journal: Option<Journal>,
    begun: Instant,
    logged: Instant,
    /// Bytes of the archive's file that were read.
    read: u64,
}

/// Where a pass begins.
enum Found {
    /// Nowhere: all is known.
    Whole,
    /// There.
    Part(Boundary),
}

impl Pass {
    fn new(
        decoded: Option<Arc<DecodedFile>>,
        archive: Weak<Archive>,
        store: Arc<Store>,
        keeping: Option<Keeping>,
    ) -> Self {
        let begun = Instant::now();
        Self { decoded, archive, store, keeping, journal: None, begun, logged: begun, read: 0 }
    }

    /// Takes what there is of an index.
    async fn find(&mut self) -> Found {
        let finding = match &self.keeping {
            Some(keeping) => keeping.find().await,
            None => Finding::Nothing,
        };
        let Some(archive) = self.archive.upgrade() else { return Found::Whole };
        match finding {
            Finding::Nothing => {
                self.journal = self.keeping.as_ref().map(|keeping| keeping.begin_journal(self.begun));
                Found::Part(Boundary::default())
            }
            Finding::Whole { contents, names, outcome } => {
                if let Some(decoded) = &self.decoded {
                    decoded.learn(|known| *known = *contents);
                }
                if let Some(names) = names {
                    archive.growing.adopt(Names::Packed(names));
                }
                tracing::debug!(path = %archive.path, "an archive's index was found");
                self.end(&archive, outcome);
                Found::Whole
            }
            Finding::Part { contents, catalog, boundary, journal } => {
                tracing::info!(path = %archive.path, from = boundary.at, "reading of an archive goes on where it ended");
                if let Some(decoded) = &self.decoded {
                    decoded.learn(|known| *known = *contents);
                }
                if !archive.is_bare() {
                    archive.growing.adopt(Names::Gathered(Arc::from(catalog)));
                }
                self.journal = journal.map(|journal| *journal);
                Found::Part(boundary)
            }
        }
    }

    /// Decodes and scans until the end, piece by piece; while one is decoded, the points of the last one are made small
    /// and the next input is read. `None`: nobody holds the archive any more.
    async fn decode(
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
        let mut ahead: Option<Bytes> = None;
        self.begin(total);
        loop {
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
            trail.wait(mem::take(&mut scan.points), decoding.input());
            self.keep(decoded, compacted?, &mut scan);
            archive.passing.set_done(decoding.input());
            let published = scan.scanner.as_mut().map_or(Ok(()), |scanner| self.publish(&archive, scanner));
            if let Some(journal) = &mut self.journal {
                journal.write_in_time().await;
            }
            self.tell(&archive);
            let flaw = scan.scanner.as_ref().and_then(Scanner::flaw);
            let outcome = match (published, flaw, step.end) {
                (Err(error), _, _) => Some(Err(error)),
                (Ok(()), Some(flaw), _) => Some(Err(failure(flaw))),
                (Ok(()), None, Some(Err(damage))) => Some(Err(damaged(&damage))),
                (Ok(()), None, Some(Ok(()))) => Some(Ok(())),
                (Ok(()), None, None) => check(&decoding, bounds).err().map(Err),
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

    /// Takes the entries that were found.
    fn publish(&mut self, archive: &Archive, scanner: &mut Scanner) -> Result<()> {
        let entries = scanner.take_entries();
        if let Some(journal) = &mut self.journal {
            journal.add_entries(&entries, scanner.boundary());
        }
        let added = archive.growing.append(&entries);
        archive.charge();
        added.map_err(|_| {
            let detail = format!(
                "the archive holds more names than fit into memory, from byte {} on",
                scanner.position()
            );
            Error::new(ErrorKind::LimitExceeded, "read", &VPath::root()).with_detail(detail)
        })
    }

    /// Scans until the end. `None`: nobody holds the archive any more.
    async fn scan(&mut self, file: &dyn File, scanner: &mut Scanner) -> Result<Option<()>> {
        let (piece, together) = match file.seek_cost() {
            SeekCost::Free => (JUMPING_BYTES, READS_TOGETHER),
            SeekCost::Request | SeekCost::Restart | SeekCost::Never => (STREAMING_BYTES, 1),
        };
        let Some(metadata) = self.retry(|| file.metadata()).await? else { return Ok(None) };
        self.begin(metadata.len);
        let (mut reads, mut published) = (0, Instant::now());
        while !scanner.is_done() {
            jump(scanner, metadata.len);
            let at = scanner.position();
            let mut reading = file.read_at(at, piece);
            let read = match poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
                Poll::Ready(read) => read,
                // Who waits for what was seen so far need not wait for this.
                Poll::Pending => {
                    if reads > 0
                        && let Some(archive) = self.archive.upgrade()
                    {
                        (reads, published) = (0, Instant::now());
                        self.publish(&archive, scanner)?;
                    }
                    reading.await
                }
            };
            let read = match read {
                Ok(bytes) => Some(bytes),
                Err(_) => self.retry(|| file.read_at(at, piece)).await?,
            };
            let (Some(bytes), Some(archive)) = (read, self.archive.upgrade()) else { return Ok(None) };
            if bytes.is_empty() {
                scanner.finish();
                self.publish(&archive, scanner)?;
                break;
            }
            self.read += bytes.len() as u64;
            scanner.feed(&bytes);
            archive.passing.set_done(scanner.position());
            reads += 1;
            if reads < together && !scanner.is_done() && published.elapsed() < TIME_TOGETHER {
                continue;
            }
            (reads, published) = (0, Instant::now());
            self.publish(&archive, scanner)?;
            if let Some(journal) = &mut self.journal {
                journal.write_in_time().await;
            }
            self.tell(&archive);
            drop(archive);
            // A warm file never makes this task wait, and others want the thread too.
            tokio::task::coop::consume_budget().await;
        }
        ended(scanner).map(Some)
    }

    /// Asks until there is an answer, or nobody holds the archive any more: then `None`. Meanwhile, who waits for a name
    /// hears what is wrong.
    ///
    /// # Errors
    /// What asking again does not mend.
    async fn retry<T, F: Future<Output = Result<T>>>(&self, mut ask: impl FnMut() -> F) -> Result<Option<T>> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(error) if may_pass(&error) => error,
                Err(error) => return Err(error),
            };
            match self.archive.upgrade() {
                Some(archive) => {
                    tracing::info!(path = %archive.path, %error, "an archive's source does not answer; it is asked again");
                    archive.growing.stall(error);
                }
                None => return Ok(None),
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    fn begin(&mut self, total: Option<u64>) {
        if let Some(archive) = self.archive.upgrade() {
            archive.passing.set_total(total);
            tracing::info!(path = %archive.path, bytes = total, "an archive is read through");
        }
    }

    /// Tells the log of a long pass, now and then.
    fn tell(&mut self, archive: &Archive) {
        if self.logged.elapsed() >= LOG_INTERVAL {
            self.logged = Instant::now();
            let progress = archive.progress();
            let (done, total, names) = (progress.done, progress.total, progress.names);
            tracing::info!(path = %archive.path, done, total, names, "an archive is being read");
        }
    }
}

impl Pass {
    /// Ends the pass, keeps what it found, and tells the log what a listing cannot show.
    async fn conclude(mut self, scanned: Result<Option<()>>, boundary: Boundary, prefix: Option<u64>) {
        let (Some(archive), Some(outcome)) = (self.archive.upgrade(), scanned.transpose()) else { return };
        let (path, took, read) = (&archive.path, self.begun.elapsed(), self.read);
        let (names, hidden) = archive.growing.read(|names| (names.len(), names.hidden()));
        match &outcome {
            Ok(()) => tracing::info!(%path, names, hidden, read, ?took, "an archive was read through"),
            Err(error) => {
                tracing::warn!(%path, names, hidden, read, ?took, %error, "an archive could not be read through")
            }
        }
        self.end(&archive, outcome.clone());
        let is_worth = took >= self.store.options().worth;
        // A bound may be another one next time.
        let is_kept = is_worth && outcome.as_ref().map_or_else(is_damage, |()| true);
        if let Some(keeping) = self.keeping.take().filter(|_| is_kept) {
            let catalog = archive.growing.gathered().filter(|_| !archive.is_bare());
            let passed = Passed { boundary, prefix, outcome, catalog, ..self.found() };
            match keeping.save(passed).await {
                Ok(contents) => {
                    self.trade(contents);
                    archive.is_kept.store(!archive.is_bare(), Ordering::Relaxed);
                }
                Err(error) => tracing::warn!(%path, %error, "an archive's index could not be kept"),
            }
            keeping.end_journal().await;
        }
    }

    /// Tells who waits for names, or for a length.
    fn end(&self, archive: &Archive, outcome: Result<()>) {
        match &archive.content {
            // Its readers come to the damage, or the bound, themselves.
            Held::Bare(bare) => {
                let len = self.decoded.as_ref().and_then(|decoded| decoded.contents(|known| known.len));
                bare.measured(outcome.ok().and(len));
            }
            Held::Pieces(_) | Held::Zipped(_) => archive.growing.end(outcome),
        }
    }

    /// What was found of the content.
    fn found(&self) -> Passed {
        let found = self.decoded.as_ref().map(|decoded| decoded.contents(Passed::of));
        found.unwrap_or_default()
    }

    /// Lets go of what the index holds by now.
    fn trade(&self, contents: Contents) {
        if let Some(decoded) = &self.decoded {
            decoded.learn(|known| {
                // In between it may have turned out that the file is another one.
                if !known.is_spoiled() {
                    *known = contents;
                }
            });
        }
    }
}

impl Drop for Pass {
    /// However it ended, nobody needs to wait for it any more.
    fn drop(&mut self) {
        if let Some(archive) = self.archive.upgrade() {
            archive.passing.settle();
        }
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

/// Refuses bombs, and what takes too long.
fn check(decoding: &Decoding, bounds: Bounds) -> Result<()> {
    let (output, input) = (decoding.output(), decoding.input());
    let detail = if output > FREE_BYTES && output / bounds.ratio.max(1) > input {
        let ratio = bounds.ratio;
        format!("{input} compressed bytes grew to {output}, more than {ratio} for one")
    } else if output > bounds.content {
        format!("it holds more than {} bytes", bounds.content)
    } else if decoding.spent() > bounds.work {
        format!("reading {input} compressed bytes of it took more than {} s", bounds.work.as_secs())
    } else {
        return Ok(());
    };
    let detail = format!("{detail}: it is not read on; what came before is served");
    Err(Error::new(ErrorKind::LimitExceeded, "read", &VPath::root()).with_detail(detail))
}

/// Whether asking again may mend it.
fn may_pass(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::TimedOut
            | ErrorKind::Unavailable
            | ErrorKind::Busy
            | ErrorKind::NotYet
            | ErrorKind::Internal
    )
}

/// Whether it will be the same next time.
fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated)
}

/// Passes over what need not be read, as far as the file is known to go: a body that ends behind the file is cut.
fn jump(scanner: &mut Scanner, len: Option<u64>) {
    let left = len.map_or(0, |len| len.saturating_sub(scanner.position()));
    let skippable = scanner.skippable();
    if skippable >= BLOCK_BYTES as u64 {
        scanner.skip(skippable.min(left));
    }
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

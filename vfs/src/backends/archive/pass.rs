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

use super::bounds::Bounds;
use super::codec::{Damage, STUMBLING_BYTES, SeekPoint};
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

/// What is looked at behind the end of a tar; writers fill up their last record with zeros.
const TAIL_BYTES: u64 = 1 << 20;

/// What is read at once of a compressed file on the host.
const INPUT_BYTES: usize = 256 * 1024;

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

/// How a tar is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tar {
    /// Names that are taken of it.
    pub(super) names: usize,
    /// Blocks of zeros are passed over.
    pub(super) ignores_zeros: bool,
}

impl Tar {
    fn scanner(self, boundary: Boundary) -> Scanner {
        Scanner::resume(boundary).ignoring_zeros(self.ignores_zeros)
    }

    /// Its name in an index, which fits one way of looking only.
    fn format(self) -> &'static str {
        if self.ignores_zeros { "tars" } else { "tar" }
    }
}

/// Reads a plain tar, unless an index of it is there.
pub(super) async fn scan_tar(file: Arc<dyn File>, archive: Weak<Archive>, store: Arc<Store>, tar: Tar) {
    let keeping = store.keeping(tar.format().to_owned(), &file, tar.names).await;
    let mut pass = Pass::new(None, archive, store, keeping);
    let boundary = match pass.find().await {
        Found::Whole => return,
        Found::Part(boundary) => boundary,
    };
    let mut scanner = tar.scanner(boundary);
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
    tar: Tar,
) {
    let format = format!("{} in {}", tar.format(), packing.as_str());
    through(unpacked, &format, Some(tar), bounds, archive, store).await;
}

/// Reads a compressed file for its length, and for the points where reading can start, unless an index of it is there.
pub(super) async fn measure(
    unpacked: Unpacked,
    packing: Packing,
    bounds: Bounds,
    archive: Weak<Archive>,
    store: Arc<Store>,
) {
    through(unpacked, packing.as_str(), None, bounds, archive, store).await;
}

async fn through(
    unpacked: Unpacked,
    format: &str,
    tar: Option<Tar>,
    bounds: Bounds,
    archive: Weak<Archive>,
    store: Arc<Store>,
) {
    let names = tar.map_or(1, |tar| tar.names);
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
    let scanner = tar.map(|tar| tar.scanner(boundary));
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
    /// From there on a checksum speaks against the content.
    doubt: Option<u64>,
    /// What is odd about an archive that ended well.
    remark: Option<String>,
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
        Self {
            decoded,
            archive,
            store,
            keeping,
            journal: None,
            begun,
            logged: begun,
            read: 0,
            doubt: None,
            remark: None,
        }
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
            Finding::Whole { contents, names, outcome, doubt, remark } => {
                if let Some(decoded) = &self.decoded {
                    decoded.learn(|known| *known = *contents);
                }
                if let Some(names) = names {
                    archive.growing.adopt(Names::Packed(names));
                }
                tracing::debug!(path = %archive.path, "an archive's index was found");
                (self.doubt, self.remark) = (doubt, remark);
                self.keeping.iter().for_each(|keeping| archive.passing.keep(keeping.index_path()));
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
                self.journal = Some(*journal);
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
        decoded.advance(Some(decoding.output()));
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
        self.look_behind(file, scanner).await;
        ended(scanner).map(Some)
    }

    /// Looks for what lies behind the end of a tar. What cannot be read there is none of its business.
    async fn look_behind(&mut self, file: &dyn File, scanner: &mut Scanner) {
        let until = scanner.position() + TAIL_BYTES;
        while scanner.remark().is_none() && scanner.position() < until {
            match file.read_at(scanner.position(), STREAMING_BYTES).await {
                Ok(bytes) if !bytes.is_empty() => scanner.feed(&bytes),
                _ => break,
            }
        }
        self.remark = scanner.remark().map(str::to_owned);
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
                    self.decoded.iter().for_each(|decoded| decoded.advance(None));
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
        self.decoded.iter().for_each(|decoded| decoded.advance(None));
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
                    archive.passing.keep(keeping.index_path());
                    archive.is_kept.store(!archive.is_bare(), Ordering::Relaxed);
                }
                Err(error) => tracing::warn!(%path, %error, "an archive's index could not be kept"),
            }
            keeping.end_journal().await;
        }
    }

    /// Tells who waits for names, or for a length.
    fn end(&self, archive: &Archive, outcome: Result<()>) {
        if let Some(remark) = &self.remark {
            tracing::warn!(path = %archive.path, "an archive is whole, but {remark}");
        }
        archive.passing.judge(outcome.clone(), self.doubt, self.remark.clone());
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
        Passed { doubt: self.doubt, remark: self.remark.clone(), ..found.unwrap_or_default() }
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
        self.decoded.iter().for_each(|decoded| decoded.advance(None));
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

/// Whether asking again may mend it.
fn may_pass(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::TimedOut
            | ErrorKind::Unavailable
            | ErrorKind::BadAnswer
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

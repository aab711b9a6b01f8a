//! The first pass: reads an archive from its first byte to its last and fills its catalog.
//!
//! A pass is a task of its own, so it does not matter who asked first. It goes on when that client leaves, and it stops
//! between two pieces where nobody holds the archive's tree any more. Where an index is there, there is no pass; where a
//! part of one is, the pass goes on behind it. A source that does not answer for a while is asked again: what was found
//! by then is served meanwhile.

mod ending;
mod packed;
mod plain;

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::bounds::Bounds;
use super::decoded::DecodedFile;
use super::fs::Archive;
use super::growing::Names;
use super::gzip::SPACING_BYTES;
use super::index::{Contents, Finding, Journal, Keeping, Store};
use super::packing::{Packing, Unpacked};
use super::scan::Scan;
use super::tar::{Boundary, Scanner};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::path::VPath;

/// What is read at once where a jump costs a request: jumps pay from about this length on.
const STREAMING_BYTES: usize = 1 << 20;

/// How long a pass waits before it asks a source again that did not answer; twice as long each time, up to the most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often the log hears of a long pass.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// How a tar is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tar {
    /// Names that are taken of it.
    pub(super) names: usize,
    /// Blocks of zeros are passed over.
    pub(super) ignores_zeros: bool,
    /// What is damaged is passed over.
    pub(super) resyncs: bool,
}

impl Tar {
    fn scanner(self, boundary: Boundary) -> Scanner {
        Scanner::resume(boundary).ignoring_zeros(self.ignores_zeros).resyncing(self.resyncs)
    }

    /// Its name in an index, which fits one way of looking only.
    fn format(self) -> &'static str {
        match (self.ignores_zeros, self.resyncs) {
            (false, false) => "tar",
            (true, false) => "tars",
            (false, true) => "resynced tar",
            (true, true) => "resynced tars",
        }
    }
}

/// Reads a plain tar, unless an index of it is there.
pub(super) async fn scan_tar(file: Arc<dyn File>, archive: Weak<Archive>, store: Arc<Store>, tar: Tar) {
    let keeping = store.keeping(tar.format().to_owned(), &file, tar.names).await;
    let mut pass = Pass::new(None, archive, store, keeping);
    pass.quiet = plain::quiet(&*file);
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
    /// So long nothing is journalled.
    quiet: Duration,
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
            quiet: Duration::ZERO,
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
                self.journal =
                    self.keeping.as_ref().map(|keeping| keeping.begin_journal(self.begun + self.quiet));
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

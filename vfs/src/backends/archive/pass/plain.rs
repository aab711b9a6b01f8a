//! A pass through a plain tar: from header to header, with jumps over what lies between where jumps cost nothing.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::ending::ended;
use super::{Pass, STREAMING_BYTES};
use crate::backends::archive::tar::{BLOCK_BYTES, Scanner};
use crate::error::Result;
use crate::file_system::{File, SeekCost};

/// What is read at once of a tar that can be jumped in, where files are large: a header and what a small one holds, so that
/// a large one costs no more than its header.
const JUMPING_BYTES: usize = 4 * 1024;

/// The same where files are small: as many headers as local files read without a detour. A read costs as much as
/// copying some 12 KiB.
const RUN_BYTES: usize = 32 * 1024;

/// Headers that are nearer to each other than this are read in runs.
const NEAR_BYTES: u64 = 12 * 1024;

/// One large file says no more about the next ones than this.
const MOST_APART_BYTES: u64 = 64 * 1024;

/// So long a scan that jumps is not journalled: most are through by then, and the rest repeat a second of work.
const QUIET: Duration = Duration::from_secs(1);

/// What is looked at behind the end of a tar; writers fill up their last record with zeros.
const TAIL_BYTES: u64 = 1 << 20;

/// Reads of a tar that can be jumped in whose entries are published together, unless they take longer than that: waking
/// those who wait costs as much as scanning an entry.
const READS_TOGETHER: usize = 64;
const TIME_TOGETHER: Duration = Duration::from_millis(2);

impl Pass {
    /// Scans until the end. `None`: nobody holds the archive any more.
    pub(super) async fn scan(&mut self, file: &dyn File, scanner: &mut Scanner) -> Result<Option<()>> {
        let (mut stride, together) = match file.seek_cost() {
            SeekCost::Free => (Stride::jumping(), READS_TOGETHER),
            SeekCost::Request | SeekCost::Restart | SeekCost::Never => (Stride::streaming(), 1),
        };
        let Some(metadata) = self.retry(|| file.metadata()).await? else { return Ok(None) };
        self.begin(metadata.len);
        let (mut reads, mut published) = (0, Instant::now());
        while !scanner.is_done() {
            jump(scanner, metadata.len);
            let (at, piece) = (scanner.position(), stride.piece(scanner));
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
        // Behind a flaw nothing is looked at, so nothing would be gone through.
        while scanner.flaw().is_none() && scanner.remark().is_none() && scanner.position() < until {
            match file.read_at(scanner.position(), STREAMING_BYTES).await {
                Ok(bytes) if !bytes.is_empty() => scanner.feed(&bytes),
                _ => break,
            }
        }
        self.remark = scanner.remark().map(str::to_owned);
    }
}

/// Passes over what need not be read, as far as the file is known to go: a body that ends behind the file is cut.
fn jump(scanner: &mut Scanner, len: Option<u64>) {
    let left = len.map_or(0, |len| len.saturating_sub(scanner.position()));
    let skippable = scanner.skippable();
    if skippable >= BLOCK_BYTES as u64 {
        scanner.skip(skippable.min(left));
    }
}

/// How long a scan of `file` goes unjournalled.
pub(super) fn quiet(file: &dyn File) -> Duration {
    if file.seek_cost() == SeekCost::Free { QUIET } else { Duration::ZERO }
}

/// How much to read at once, by how far headers were apart lately.
struct Stride {
    jumps: bool,
    /// From one header to the next, about.
    apart: u64,
    /// Where the last read began, and how many headers had come by then.
    last: (u64, u64),
}

impl Stride {
    /// For a file in which a read costs the same anywhere.
    fn jumping() -> Self {
        Self { jumps: true, apart: 0, last: (0, 0) }
    }

    /// For a file in which a jump costs as much as a good deal of content.
    fn streaming() -> Self {
        Self { jumps: false, ..Self::jumping() }
    }

    /// What to read next, where `scanner` stands.
    fn piece(&mut self, scanner: &Scanner) -> usize {
        if !self.jumps {
            return STREAMING_BYTES;
        }
        let (at, headers) = (scanner.position(), scanner.headers());
        let passed = (headers - self.last.1).max(1);
        let apart = (at.saturating_sub(self.last.0) / passed).min(MOST_APART_BYTES);
        // Three parts of what was known, and one of what is new.
        self.apart = (self.apart * 3 + apart) / 4;
        self.last = (at, headers);
        if self.apart < NEAR_BYTES { RUN_BYTES } else { JUMPING_BYTES }
    }
}

//! The first pass: reads an archive from its first byte to its last and fills its catalog.
//!
//! A pass is a task of its own, so it does not matter who asked first. It goes on when that client leaves, and it stops
//! between two pieces where nobody holds the archive's tree any more.

use std::sync::{Arc, Weak};

use super::fs::Archive;
use super::tar::{BLOCK_BYTES, Flaw, Scanner};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::path::VPath;

/// What is read at once of a tar that can be jumped in: a header and what most small files hold, so that one read serves
/// them both and a large file costs no more than its header.
const JUMPING_BYTES: usize = 4 * 1024;

/// What is read at once of a tar in which a jump costs a request: jumps pay from about this length on.
const STREAMING_BYTES: usize = 1 << 20;

/// Reads a plain tar.
pub(super) async fn scan_tar(file: Arc<dyn File>, archive: Weak<Archive>) {
    let scanned = scan(&*file, &archive).await;
    if let (Some(archive), Some(outcome)) = (archive.upgrade(), scanned.transpose()) {
        archive.growing.end(outcome);
    }
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

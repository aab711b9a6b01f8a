//! What a pass leaves behind: the word for those who wait, the index, and the log's last line.

use std::sync::atomic::Ordering;

use super::Pass;
use crate::backends::archive::fs::{Archive, Contents as Held};
use crate::backends::archive::index::{Contents, Passed};
use crate::backends::archive::tar::{Boundary, Flaw, Scanner};
use crate::error::{Error, ErrorKind, Result};
use crate::path::VPath;

impl Pass {
    /// Ends the pass, keeps what it found, and tells the log what a listing cannot show.
    pub(super) async fn conclude(
        mut self,
        scanned: Result<Option<()>>,
        boundary: Boundary,
        prefix: Option<u64>,
    ) {
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
    pub(super) fn end(&self, archive: &Archive, outcome: Result<()>) {
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

/// Whether it will be the same next time.
fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated)
}

/// What the scanner says of an archive that it is through with.
pub(super) fn ended(scanner: &Scanner) -> Result<()> {
    scanner.flaw().map_or(Ok(()), |flaw| Err(failure(flaw)))
}

pub(super) fn failure(flaw: &Flaw) -> Error {
    let kind = if flaw.damage.cut { ErrorKind::Truncated } else { ErrorKind::Corrupt };
    let detail = format!(
        "the archive is damaged at byte {} of the tar: {}; what comes before is served",
        flaw.at, flaw.damage.what
    );
    Error::new(kind, "read", &VPath::root()).with_detail(detail)
}

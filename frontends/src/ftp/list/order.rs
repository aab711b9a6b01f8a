//! A folder's entries by time, for `LIST -t`: the one listing that has to know a folder whole before its first row.

use std::cmp::Reverse;
use std::task::{Context, Poll, ready};

use vfs::{DirEntry, DirStream, Error, ErrorKind, Result, VPath};

/// Entries of a folder that are sorted; a larger one is refused, and listed without `-t`. They take some 400 bytes each.
const MAX_SORTED: usize = 100_000;

/// A folder that is being gathered.
#[derive(Debug)]
pub(super) struct Gathering {
    entries: Vec<DirEntry>,
    reversed: bool,
}

impl Gathering {
    pub(super) fn new(reversed: bool) -> Self {
        Self { entries: Vec::new(), reversed }
    }

    /// Polls for all entries of `source`, the newest first; of the same time by name. What has no time is the oldest.
    pub(super) fn poll_sorted(
        &mut self,
        source: &mut DirStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Vec<DirEntry>>> {
        while let Some(batch) = ready!(source.poll_next(cx)) {
            self.entries.extend(batch?);
            if self.entries.len() > MAX_SORTED {
                return Poll::Ready(Err(Error::new(ErrorKind::LimitExceeded, "read_dir", &VPath::root())));
            }
        }
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_by(|one, other| key(one).cmp(&key(other)));
        if self.reversed {
            entries.reverse();
        }
        Poll::Ready(Ok(entries))
    }
}

fn key(entry: &DirEntry) -> impl Ord + '_ {
    (Reverse(entry.metadata.as_ref().and_then(|metadata| metadata.modified)), &entry.name)
}

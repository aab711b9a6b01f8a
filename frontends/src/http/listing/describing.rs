//! [`Describing`]: what is said of rows, asked for while the rows before them are written.
//!
//! Names are in order long before sizes and times are known of all of them. So a page begins with the names, and a few
//! groups of rows are asked about ahead, each in a job of its own.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use vfs::{Describe, DirEntry, DirStream, ErrorKind, Metadata};

use super::rows::Rows;

/// Rows that are asked about at once.
const GROUP: usize = 512;

/// Groups that are asked about ahead of what is written.
const AHEAD: usize = 4;

/// Asks about rows in their order, or about batches as they come.
pub(super) struct Describing {
    /// `None` where entries come with all that is known of them.
    describer: Option<Arc<dyn Describe>>,
    /// Under way, the next ones first.
    asked: VecDeque<Asked>,
    /// The first row that was not asked about.
    next: usize,
    /// Rows of the group that came last, which have gone since they were listed.
    gone: Vec<usize>,
    /// The first row behind that group.
    known: usize,
    /// The batch whose entries are asked about.
    batch: Vec<DirEntry>,
}

type Answer = vfs::Result<Vec<Result<Metadata, ErrorKind>>>;

struct Asked {
    rows: Vec<usize>,
    /// The first row behind them.
    end: usize,
    answer: Pin<Box<dyn Future<Output = Answer> + Send>>,
    /// It is here, and those before it are not.
    early: Option<Answer>,
}

impl Describing {
    pub(super) fn new(describer: Option<Arc<dyn Describe>>) -> Self {
        Self { describer, asked: VecDeque::new(), next: 0, gone: Vec::new(), known: 0, batch: Vec::new() }
    }

    /// Waits until all is known of the row `at` that there is; false where it is not there any more.
    pub(super) fn poll(
        &mut self,
        rows: &mut Rows,
        at: usize,
        cx: &mut Context<'_>,
    ) -> Poll<vfs::Result<bool>> {
        if self.describer.is_none() || (at < self.known && self.gone.is_empty()) || at >= rows.len() {
            return Poll::Ready(Ok(true));
        }
        while at >= self.known {
            self.ask_ahead(rows);
            let Some(asked) = poll_all(&mut self.asked, cx) else { return Poll::Pending };
            self.known = asked.end;
            self.gone.clear();
            for (row, found) in asked.rows.iter().zip(asked.early.transpose()?.unwrap_or_default()) {
                match found {
                    Ok(metadata) => rows.describe(*row, &metadata),
                    Err(ErrorKind::NotFound) => self.gone.push(*row),
                    // A name that cannot be asked about is still a name.
                    Err(_) => {}
                }
            }
        }
        Poll::Ready(Ok(self.gone.binary_search(&at).is_err()))
    }

    fn ask_ahead(&mut self, rows: &Rows) {
        let Some(describer) = &self.describer else { return };
        while self.asked.len() < AHEAD && self.next < rows.len() {
            let end = (self.next + GROUP).min(rows.len());
            let unknown = (self.next..end).filter_map(|at| Some((at, rows.get(at)?)));
            let unknown = unknown.filter(|(_, (_, row))| !row.is_described());
            let (asked, names): (Vec<_>, Vec<_>) =
                unknown.map(|(at, (name, _))| (at, Bytes::copy_from_slice(name))).unzip();
            self.asked.push_back(Asked::new(describer, asked, end, names));
            self.next = end;
        }
    }

    /// The next batch of `entries`, described.
    pub(super) fn poll_batch(
        &mut self,
        entries: &mut DirStream,
        cx: &mut Context<'_>,
    ) -> Poll<Option<vfs::Result<Vec<DirEntry>>>> {
        let Some(describer) = &self.describer else { return entries.poll_next(cx) };
        if self.asked.is_empty() {
            self.batch = match ready!(entries.poll_next(cx)) {
                Some(Ok(batch)) => batch,
                other => return Poll::Ready(other),
            };
            let unknown = self.batch.iter().enumerate().filter(|(_, entry)| entry.metadata.is_none());
            let (asked, names) = unknown.map(|(at, entry)| (at, entry.name.clone())).unzip();
            self.asked.push_back(Asked::new(describer, asked, self.batch.len(), names));
        }
        let Some(asked) = poll_all(&mut self.asked, cx) else { return Poll::Pending };
        let found = match asked.early.transpose() {
            Ok(found) => found.unwrap_or_default(),
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        let mut gone = Vec::new();
        for (at, found) in asked.rows.into_iter().zip(found) {
            match found {
                Ok(metadata) => self.batch[at].metadata = Some(metadata),
                Err(ErrorKind::NotFound) => gone.push(at),
                Err(_) => {}
            }
        }
        let mut at = 0;
        self.batch.retain(|_| {
            at += 1;
            gone.binary_search(&(at - 1)).is_err()
        });
        Poll::Ready(Some(Ok(std::mem::take(&mut self.batch))))
    }
}

impl Asked {
    fn new(describer: &Arc<dyn Describe>, rows: Vec<usize>, end: usize, names: Vec<Bytes>) -> Self {
        let describer = Arc::clone(describer);
        let answer =
            async move { if names.is_empty() { Ok(Vec::new()) } else { describer.describe(names).await } };
        Self { rows, end, answer: Box::pin(answer), early: None }
    }
}

/// Has all of them go on; gives the first one with its answer when that is here.
fn poll_all(asked: &mut VecDeque<Asked>, cx: &mut Context<'_>) -> Option<Asked> {
    for asked in asked.iter_mut().filter(|asked| asked.early.is_none()) {
        if let Poll::Ready(answer) = asked.answer.as_mut().poll(cx) {
            asked.early = Some(answer);
        }
    }
    asked.front()?.early.as_ref()?;
    asked.pop_front()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use async_trait::async_trait;
    use vfs::{Error, FileType};

    use super::super::rows::Order;
    use super::*;

    /// Files are as long as their names; those that begin with `-` have gone, of those with `?` nothing can be said.
    struct Tells;

    #[async_trait]
    impl Describe for Tells {
        async fn describe(&self, names: Vec<Bytes>) -> Answer {
            if names.iter().any(|name| name == "broken") {
                return Err(Error::new(ErrorKind::Unavailable, "read_dir", &vfs::VPath::root()));
            }
            let one = |name: &Bytes| match name.first() {
                Some(b'-') => Err(ErrorKind::NotFound),
                Some(b'?') => Err(ErrorKind::PermissionDenied),
                _ => Ok(Metadata { len: Some(name.len() as u64), ..Metadata::new(FileType::File) }),
            };
            tokio::task::yield_now().await;
            Ok(names.iter().map(one).collect())
        }
    }

    fn entries(count: usize) -> Vec<DirEntry> {
        let name = |at| match at % 10 {
            0 => format!("-{at}"),
            1 => format!("?{at}"),
            _ => format!("{at}"),
        };
        (0..count).map(|at| DirEntry::new(name(at), Some(FileType::File))).collect()
    }

    #[tokio::test]
    async fn rows_are_described_in_their_order_and_what_has_gone_is_told() {
        let mut rows = Rows::new(Order::default());
        rows.extend(&entries(3 * GROUP + 7));
        let mut rows = rows.sorted();
        let mut describing = Describing::new(Some(Arc::new(Tells)));
        for at in 0..rows.len() {
            let is_there = poll_fn(|cx| describing.poll(&mut rows, at, cx)).await.unwrap();
            let (name, row) = rows.get(at).unwrap();
            let len = (name[0] != b'-' && name[0] != b'?').then_some(name.len() as u64);
            assert_eq!((is_there, row.len()), (name[0] != b'-', len), "{}", name.escape_ascii());
        }
        assert!(describing.asked.is_empty());
    }

    #[tokio::test]
    async fn batches_are_described_as_they_come() {
        let mut listing = DirStream::ready(entries(1000));
        let mut describing = Describing::new(Some(Arc::new(Tells)));
        let mut found = Vec::new();
        while let Some(batch) = poll_fn(|cx| describing.poll_batch(&mut listing, cx)).await {
            found.extend(batch.unwrap());
        }
        assert_eq!(found.len(), 900);
        assert_eq!(found.iter().filter(|entry| entry.metadata.is_none()).count(), 100);
        let mut broken = DirStream::ready(vec![DirEntry::new("broken", None)]);
        let refused = poll_fn(|cx| describing.poll_batch(&mut broken, cx)).await;
        assert_eq!(refused.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

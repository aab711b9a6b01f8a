//! [`Describing`]: what is said of rows, asked for while the rows before them are written.
//!
//! Names are in order long before sizes and times are known of all of them. So a page begins with the names, and a few
//! groups of rows are asked about ahead, each in a job of its own. [`Batches`] does the same for entries that are written
//! in the tree's order, one batch at a time.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use vfs::{Describe, DirEntry, DirStream, ErrorKind, Metadata};

use super::rows::Rows;

/// Rows that are asked about at once.
const GROUP: usize = 512;

/// Groups that are asked about ahead of what is written.
const AHEAD: usize = 4;

/// Asks about rows in their order.
pub(super) struct Describing {
    /// `None` where entries come with all that is known of them.
    questions: Option<Questions>,
    /// The first row that was not asked about.
    next: usize,
    /// Rows of the group that came last, which have gone since they were listed.
    gone: Vec<usize>,
    /// The first row behind that group.
    known: usize,
}

/// Asks about the entries of a listing, batch by batch.
pub(super) struct Batches {
    /// `None` where entries come with all that is known of them.
    questions: Option<Questions>,
    /// The batch that is asked about.
    batch: Vec<DirEntry>,
}

impl Describing {
    pub(super) fn new(describer: Option<Arc<dyn Describe>>) -> Self {
        Self { questions: describer.map(Questions::new), next: 0, gone: Vec::new(), known: 0 }
    }

    /// Waits until all is known of the row `at` that there is; false where it is not there any more.
    pub(super) fn poll(
        &mut self,
        rows: &mut Rows,
        at: usize,
        cx: &mut Context<'_>,
    ) -> Poll<vfs::Result<bool>> {
        let Some(questions) = &mut self.questions else { return Poll::Ready(Ok(true)) };
        while at >= self.known && at < rows.len() {
            while questions.asked.len() < AHEAD && self.next < rows.len() {
                self.next = questions.ask_about(rows, self.next);
            }
            let (end, answers) = ready!(questions.poll_next(cx))?;
            self.known = end;
            self.gone = note(answers, |row, metadata| rows.describe(row, &metadata));
        }
        Poll::Ready(Ok(self.gone.binary_search(&at).is_err()))
    }
}

impl Batches {
    pub(super) fn new(describer: Option<Arc<dyn Describe>>) -> Self {
        Self { questions: describer.map(Questions::new), batch: Vec::new() }
    }

    /// The next batch of `entries`, described.
    pub(super) fn poll_next(
        &mut self,
        entries: &mut DirStream,
        cx: &mut Context<'_>,
    ) -> Poll<Option<vfs::Result<Vec<DirEntry>>>> {
        let Some(questions) = &mut self.questions else { return entries.poll_next(cx) };
        if questions.asked.is_empty() {
            self.batch = match ready!(entries.poll_next(cx)) {
                Some(Ok(batch)) => batch,
                other => return Poll::Ready(other),
            };
            let unknown = self.batch.iter().enumerate().filter(|(_, entry)| entry.metadata.is_none());
            let (places, names) = unknown.map(|(at, entry)| (at, entry.name.clone())).unzip();
            questions.ask(places, self.batch.len(), names);
        }
        let answers = match ready!(questions.poll_next(cx)) {
            Ok((_, answers)) => answers,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        let mut batch = std::mem::take(&mut self.batch);
        let gone = note(answers, |at, metadata| batch[at].metadata = Some(metadata));
        let mut places = 0..;
        batch.retain(|_| places.next().is_some_and(|at| gone.binary_search(&at).is_err()));
        Poll::Ready(Some(Ok(batch)))
    }
}

/// Takes what was found where it belongs; gives the places of what has gone, in order.
fn note(answers: Answers, mut describe: impl FnMut(usize, Metadata)) -> Vec<usize> {
    let mut gone = Vec::new();
    for (at, found) in answers {
        match found {
            Ok(metadata) => describe(at, metadata),
            Err(ErrorKind::NotFound) => gone.push(at),
            // A name that cannot be asked about is still a name.
            Err(_) => {}
        }
    }
    gone
}

type Found = vfs::Result<Vec<Result<Metadata, ErrorKind>>>;

/// What is known now, by place.
type Answers = Vec<(usize, Result<Metadata, ErrorKind>)>;

/// Questions that are under way.
struct Questions {
    describer: Arc<dyn Describe>,
    /// In the order in which they were asked.
    asked: VecDeque<Asked>,
}

struct Asked {
    /// What it is about.
    places: Vec<usize>,
    /// The first place behind.
    end: usize,
    finding: Pin<Box<dyn Future<Output = Found> + Send>>,
    /// It is here, and those before it are not.
    early: Option<Found>,
}

impl Questions {
    fn new(describer: Arc<dyn Describe>) -> Self {
        Self { describer, asked: VecDeque::new() }
    }

    /// Asks about the group of rows from `start` on; gives the first row behind it.
    fn ask_about(&mut self, rows: &Rows, start: usize) -> usize {
        let end = (start + GROUP).min(rows.len());
        let rows = (start..end).filter_map(|at| Some((at, rows.get(at)?)));
        let unknown: Vec<_> = rows.filter(|(_, (_, row))| !row.is_described()).collect();
        // The names of a group share one piece of memory.
        let mut all = BytesMut::with_capacity(unknown.iter().map(|(_, (name, _))| name.len()).sum());
        unknown.iter().for_each(|(_, (name, _))| all.extend_from_slice(name));
        let mut all = all.freeze();
        let names = unknown.iter().map(|(_, (name, _))| all.split_to(name.len())).collect();
        self.ask(unknown.iter().map(|(at, _)| *at).collect(), end, names);
        end
    }

    fn ask(&mut self, places: Vec<usize>, end: usize, names: Vec<Bytes>) {
        let describer = Arc::clone(&self.describer);
        let finding =
            async move { if names.is_empty() { Ok(Vec::new()) } else { describer.describe(names).await } };
        self.asked.push_back(Asked { places, end, finding: Box::pin(finding), early: None });
    }

    /// Has all of them go on; gives what the first one was about, up to where, and what was found.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<vfs::Result<(usize, Answers)>> {
        for asked in self.asked.iter_mut().filter(|asked| asked.early.is_none()) {
            if let Poll::Ready(found) = asked.finding.as_mut().poll(cx) {
                asked.early = Some(found);
            }
        }
        let Some(asked) = self.asked.pop_front_if(|asked| asked.early.is_some()) else {
            return Poll::Pending;
        };
        let found = asked.early.transpose()?.unwrap_or_default();
        Poll::Ready(Ok((asked.end, asked.places.into_iter().zip(found).collect())))
    }
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
        async fn describe(&self, names: Vec<Bytes>) -> Found {
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
        assert!(describing.questions.unwrap().asked.is_empty());
    }

    #[tokio::test]
    async fn batches_are_described_as_they_come() {
        let mut listing = DirStream::ready(entries(1000));
        let mut batches = Batches::new(Some(Arc::new(Tells)));
        let mut found = Vec::new();
        while let Some(batch) = poll_fn(|cx| batches.poll_next(&mut listing, cx)).await {
            found.extend(batch.unwrap());
        }
        assert_eq!(found.len(), 900);
        assert_eq!(found.iter().filter(|entry| entry.metadata.is_none()).count(), 100);
        let mut broken = DirStream::ready(vec![DirEntry::new("broken", None)]);
        let refused = poll_fn(|cx| batches.poll_next(&mut broken, cx)).await;
        assert_eq!(refused.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

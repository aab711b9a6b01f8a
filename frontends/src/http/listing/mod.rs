//! A folder as a page: a producer that makes its rows while they are sent.
//!
//! For people there is a page; for programs a JSON array in nginx's words, and an object a line.

mod describing;
mod objects;
mod page;
mod rows;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};
use vfs::producer::{Chunk, Hint, Producer, Readiness};
use vfs::{Describe, DirEntry, DirStream, Error, VPath, jobs};

use self::describing::{Batches, Describing};
use self::objects::write_object;
pub(super) use self::page::policy;
use self::page::{Shown, break_note, foot, head, next};
use self::rows::{Order, Row, Rows};
use super::wire::{Format, View};

/// Entries that are sorted inline; more are sorted in a job.
const SORTED_INLINE: usize = 4096;

/// How long a page that waits for an archive's first pass holds back what it could show in order; then it shows what it
/// has, and the rest as it comes.
const PROVISIONAL_PATIENCE: Duration = Duration::from_millis(10);

/// Bytes of a page that are made at once.
const PIECE_BYTES: usize = 32 * 1024;

/// The listing of one folder. It holds the entries that it sorts, about 32 bytes and the name each.
pub(super) struct Listing {
    entries: DirStream,
    view: View,
    order: Order,
    uploads: Uploads,
    stage: Stage,
    rows: Writer,
    /// Goes out at once: a large folder takes a while to be gathered.
    head: Option<String>,
    /// What was written and not given yet.
    text: String,
    /// Why the entries end early; told after those that came.
    broken: Option<Error>,
    /// When what may still change is held back no longer.
    patience: Option<Pin<Box<Sleep>>>,
}

/// Whether a folder takes uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uploads {
    /// It takes none.
    Refused,
    /// It takes them.
    Taken,
    /// It takes them and shows nothing of what it holds: a drop box.
    Unseen,
}

enum Stage {
    /// Entries are gathered.
    Gather(Rows),
    /// They are being sorted.
    Sort(Pin<Box<dyn Future<Output = vfs::Result<Rows>> + Send>>),
    /// They are written, from this one on, as they are described.
    Write(Box<Described>),
    /// What was too much to be sorted is written as it comes.
    WriteOn(Box<Batches>),
    /// All is written that came before an error; it follows when that has left.
    Break(Error),
    Ended,
}

/// Rows in order that are described while they are written.
struct Described {
    rows: Rows,
    /// The next one to be written.
    at: usize,
    describing: Describing,
}

/// How rows are written.
struct Writer {
    format: Format,
    page: page::Writer,
    count: usize,
}

impl Listing {
    /// The folder `path` with these entries; a page has a place for uploads where these are taken.
    pub(super) fn new(path: &VPath, entries: DirStream, view: View, uploads: Uploads) -> Self {
        let head = match view.format {
            Format::Html => Some(head(path, &view)),
            Format::Json => Some("[".to_owned()),
            Format::Ndjson => None,
        };
        let order = Order::of(&view);
        let rows = Writer { format: view.format, page: page::Writer::new(path), count: 0 };
        let stage = Stage::Gather(Rows::new(order.clone()));
        Self {
            entries,
            view,
            order,
            uploads,
            stage,
            rows,
            head,
            text: String::new(),
            broken: None,
            patience: None,
        }
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        match &self.stage {
            Stage::Gather(rows) => rows.len(),
            Stage::Write(described) => described.rows.len(),
            Stage::Sort(_) | Stage::WriteOn(_) | Stage::Break(_) | Stage::Ended => 0,
        }
    }

    /// Goes on by one step.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<vfs::Result<()>> {
        match &mut self.stage {
            Stage::Gather(rows) => {
                let ended = match self.entries.poll_next(cx) {
                    Poll::Ready(Some(Ok(batch))) => {
                        rows.extend(&batch);
                        false
                    }
                    Poll::Ready(Some(Err(error))) => {
                        self.broken = Some(error);
                        true
                    }
                    Poll::Ready(None) => true,
                    Poll::Pending if rows.may_begin() => {
                        let patience =
                            self.patience.get_or_insert_with(|| Box::pin(sleep(PROVISIONAL_PATIENCE)));
                        ready!(patience.as_mut().poll(cx));
                        true
                    }
                    Poll::Pending => return Poll::Pending,
                };
                if ended || rows.is_full() {
                    self.stage = sort(std::mem::take(rows), self.entries.describer());
                }
            }
            Stage::Sort(sorting) => {
                let rows = ready!(sorting.as_mut().poll(cx))?;
                self.stage = written(rows, self.entries.describer());
            }
            Stage::Write(described) => {
                let Described { rows, at, describing } = &mut **described;
                let is_there = ready!(describing.poll(rows, *at, cx))?;
                match rows.get(*at) {
                    Some((name, row)) => {
                        if is_there {
                            self.rows.write(&mut self.text, name, row);
                        }
                        *at += 1;
                    }
                    None if rows.has_more() && self.broken.is_none() => {
                        let last = rows.get(rows.len().saturating_sub(1));
                        let next = last.map(|(name, row)| next(&self.view, &self.order, name, row));
                        self.end(next);
                    }
                    None => {
                        self.stage = Stage::WriteOn(Box::new(Batches::new(self.entries.describer())));
                    }
                }
            }
            Stage::WriteOn(_) if self.broken.is_some() => self.write_break(),
            Stage::WriteOn(batches) => match ready!(batches.poll_next(&mut self.entries, cx)) {
                Some(Ok(batch)) => self.write_on(&batch),
                Some(Err(error)) => self.broken = Some(error),
                None => self.end(None),
            },
            Stage::Break(_) | Stage::Ended => {}
        }
        Poll::Ready(Ok(()))
    }

    fn write_on(&mut self, batch: &[DirEntry]) {
        for entry in batch {
            let row = Row::new(entry, 0);
            if self.order.takes(&entry.name, &row) {
                self.rows.write(&mut self.text, &entry.name, &row);
            }
        }
    }

    /// Says on the page why it breaks off; objects just stop short of their end.
    fn write_break(&mut self) {
        let Some(error) = self.broken.take() else { return };
        if self.view.format == Format::Html {
            self.text.push_str(&break_note(&error));
        }
        self.stage = Stage::Break(error);
    }

    fn end(&mut self, next: Option<String>) {
        match self.view.format {
            Format::Html => {
                let shown = Shown { count: self.rows.count, next };
                self.text.push_str(&foot(&self.view, &shown, self.uploads));
            }
            Format::Json => self.text.push_str("\n]\n"),
            Format::Ndjson => {}
        }
        self.stage = Stage::Ended;
    }
}

impl Producer for Listing {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<Chunk>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Chunk::from(head))));
        }
        self.text.reserve(PIECE_BYTES + PIECE_BYTES / 8);
        while self.text.len() < PIECE_BYTES {
            match self.poll_step(cx) {
                Poll::Ready(Ok(())) if matches!(self.stage, Stage::Ended | Stage::Break(_)) => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.text.clear();
                    self.stage = Stage::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending if self.text.is_empty() => {
                    // Who waits holds nothing.
                    self.text = String::new();
                    return Poll::Pending;
                }
                // What there is can go out while the rest is waited for.
                Poll::Pending => break,
            }
        }
        if self.text.is_empty()
            && let Stage::Break(error) = std::mem::replace(&mut self.stage, Stage::Ended)
        {
            return Poll::Ready(Some(Err(error)));
        }
        let text = std::mem::take(&mut self.text);
        Poll::Ready((!text.is_empty()).then(|| Ok(Chunk::from(text))))
    }

    fn hint(&self) -> Hint {
        match (&self.stage, &self.head) {
            (_, Some(_)) => Hint { readiness: Readiness::Now, remaining: None },
            (Stage::Ended, None) => Hint::END,
            (_, None) => Hint::UNKNOWN,
        }
    }
}

fn sort(rows: Rows, describer: Option<Arc<dyn Describe>>) -> Stage {
    if rows.len() <= SORTED_INLINE {
        return written(rows.sorted(), describer);
    }
    Stage::Sort(Box::pin(jobs::cpu("read_dir", move || rows.sorted())))
}

fn written(rows: Rows, describer: Option<Arc<dyn Describe>>) -> Stage {
    Stage::Write(Box::new(Described { rows, at: 0, describing: Describing::new(describer) }))
}

impl Writer {
    fn write(&mut self, text: &mut String, name: &[u8], row: &Row) {
        let is_first = self.count == 0;
        self.count += 1;
        match self.format {
            Format::Html => self.page.write_row(text, name, row),
            Format::Json => {
                text.push_str(if is_first { "\n" } else { ",\n" });
                write_object(text, name, row);
            }
            Format::Ndjson => {
                write_object(text, name, row);
                text.push('\n');
            }
        }
    }
}

fn write(text: &mut String, arguments: fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes all that is written to it");
}

//! [`Batches`]: the rows of a folder, read ahead of who lists it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::error::Fault;
use super::folder::Rows;
use super::listing::Row;
use super::site::{Again, Site};
use super::wire::Wire;
use crate::backends::remote::Seen;
use crate::error::{ErrorKind, Result};
use crate::file_system::{DirEntry, DirStream};
use crate::path::VPath;

/// Batches of a listing that are read ahead.
const BATCHES_AHEAD: usize = 2;

/// The rows of a listing, and how it ended.
pub(super) struct Batches {
    batches: Receiver<Vec<Row>>,
    /// `None`: its end was told.
    listing: Option<tokio::task::JoinHandle<Result<(), Fault>>>,
    /// What was waited for before the listing was given out.
    first: Option<Option<Vec<Row>>>,
}

impl Batches {
    /// Begins to list `folder`, and waits for the first rows or an empty folder's end.
    ///
    /// # Errors
    /// Why nothing can be told of it.
    pub(super) async fn start(site: &Arc<Site>, folder: Vec<u8>) -> Result<Self, Fault> {
        let (output, batches) = channel(BATCHES_AHEAD);
        let site = Arc::clone(site);
        let told = Arc::<Mutex<Seen>>::default();
        let listing = tokio::spawn(async move {
            site.attempt(Again::Yes, move |wire| {
                let (folder, output, told) = (folder.clone(), output.clone(), Arc::clone(&told));
                Box::pin(async move { list(wire, &folder, output, &told).await })
            })
            .await
        });
        let mut batches = Self { batches, listing: Some(listing), first: None };
        batches.first = Some(poll_fn(|cx| batches.poll_rows(cx)).await.transpose()?);
        Ok(batches)
    }

    /// As the stream of the folder `path`, each row made an entry by `entry`.
    pub(super) fn into_entries(
        self,
        path: &VPath,
        entry: impl Fn(Row) -> DirEntry + Send + 'static,
    ) -> DirStream {
        DirStream::new(Entries { batches: self, entry: Box::new(entry), path: path.clone() })
    }

    fn poll_rows(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<Row>, Fault>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(first.map(Ok));
        }
        if let Some(batch) = std::task::ready!(self.batches.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(batch)));
        }
        let Some(listing) = self.listing.as_mut() else { return Poll::Ready(None) };
        let ended = std::task::ready!(Pin::new(listing).poll(cx));
        self.listing = None;
        Poll::Ready(match ended {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => Some(Err(fault)),
            Err(_) => Some(Err(Fault::lost(ErrorKind::Internal, "the listing's task failed"))),
        })
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        if let Some(listing) = &self.listing {
            // Only the waiting ends: a connection that lists already gets in step by itself.
            listing.abort();
        }
    }
}

/// The entries that rows stand for.
struct Entries {
    batches: Batches,
    entry: Box<dyn Fn(Row) -> DirEntry + Send>,
    path: VPath,
}

impl Stream for Entries {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = std::task::ready!(self.batches.poll_rows(cx));
        Poll::Ready(batch.map(|rows| match rows {
            Ok(rows) => Ok(rows.into_iter().map(&self.entry).collect()),
            Err(fault) => Err(fault.into_error("read_dir", &self.path)),
        }))
    }
}

/// Reads the rows of a folder into `output`, until its end or until nobody wants them. What `told` holds was told already,
/// before the listing broke off.
async fn list(
    wire: &mut Wire,
    folder: &[u8],
    output: Sender<Vec<Row>>,
    told: &Mutex<Seen>,
) -> Result<(), Fault> {
    let mut rows = Rows::start(wire, folder).await?.without(std::mem::take(&mut *lock(told)));
    loop {
        match rows.next(wire).await {
            Ok(None) => return Ok(()),
            Ok(Some(batch)) => {
                if output.send(batch).await.is_err() {
                    rows.leave(wire).await;
                    return Ok(());
                }
            }
            Err(fault) => {
                *lock(told) = rows.into_seen();
                return Err(fault);
            }
        }
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

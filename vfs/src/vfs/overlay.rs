//! Listings of folders that mounts lie in: what the tree lists, with what the table knows laid over it.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use super::mount::Mount;
use super::table::Node;
use crate::error::Result;
use crate::file_system::{DirEntry, DirStream};
use crate::metadata::{FileType, Metadata};

/// What the table puts into one folder's listing. No mount is asked for it.
#[derive(Debug)]
pub(super) struct Overlay {
    mounts: Vec<DirEntry>,
    /// Folders that only lead to mounts. The tree's own entry is better where it is a folder too.
    leading: BTreeSet<Bytes>,
    metadata: bool,
}

impl Overlay {
    /// What lies one step below `node`; `metadata` as in [`ListOptions`](crate::ListOptions).
    pub(super) fn of(node: &Node<Arc<Mount>>, metadata: bool) -> Self {
        let mut overlay = Self { mounts: Vec::new(), leading: BTreeSet::new(), metadata };
        for (name, child) in node.children() {
            match child.mount() {
                Some(mount) => {
                    let entry =
                        DirEntry { mount: Some(mount.availability()), ..overlay.folder(name.clone()) };
                    overlay.mounts.push(entry);
                }
                None => {
                    overlay.leading.insert(name.clone());
                }
            }
        }
        overlay
    }

    /// The overlay alone: the folder is in no tree.
    pub(super) fn alone(mut self) -> DirStream {
        let leading = std::mem::take(&mut self.leading);
        let mut entries = std::mem::take(&mut self.mounts);
        entries.extend(leading.into_iter().map(|name| self.folder(name)));
        DirStream::ready(entries)
    }

    /// The overlay first, then what `inner` lists under other names.
    pub(super) fn over(self, inner: DirStream) -> DirStream {
        if self.mounts.is_empty() && self.leading.is_empty() {
            return inner;
        }
        let names = self.mounts.iter().map(|entry| entry.name.clone()).collect();
        let describer = inner.describer();
        DirStream::new(Overlaid { overlay: self, names, inner, ended: false }).with_describer(describer)
    }

    fn folder(&self, name: Bytes) -> DirEntry {
        let metadata = self.metadata.then(|| Metadata::new(FileType::Dir));
        DirEntry { metadata, ..DirEntry::new(name, Some(FileType::Dir)) }
    }
}

struct Overlaid {
    overlay: Overlay,
    names: BTreeSet<Bytes>,
    inner: DirStream,
    ended: bool,
}

impl Overlaid {
    /// True for an entry of the tree that is to be seen.
    fn shows(&mut self, entry: &DirEntry) -> bool {
        if self.names.contains(&entry.name) {
            return false;
        }
        if self.overlay.leading.contains(&entry.name) {
            if !entry.is_dir() {
                return false;
            }
            self.overlay.leading.remove(&entry.name);
        }
        true
    }

    fn next_of_table(&mut self) -> Vec<DirEntry> {
        let rest = self.overlay.mounts.split_off(self.overlay.mounts.len().min(DirStream::BATCH));
        std::mem::replace(&mut self.overlay.mounts, rest)
    }
}

impl Stream for Overlaid {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if !this.overlay.mounts.is_empty() {
            return Poll::Ready(Some(Ok(this.next_of_table())));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        match ready!(this.inner.poll_next(cx)) {
            Some(Ok(mut batch)) => {
                batch.retain(|entry| this.shows(entry));
                Poll::Ready(Some(Ok(batch)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                // What only leads to mounts and was not among the tree's folders comes last.
                this.ended = true;
                let leading = std::mem::take(&mut this.overlay.leading);
                this.overlay.mounts = leading.into_iter().map(|name| this.overlay.folder(name)).collect();
                Poll::Ready((!this.overlay.mounts.is_empty()).then(|| Ok(this.next_of_table())))
            }
        }
    }
}

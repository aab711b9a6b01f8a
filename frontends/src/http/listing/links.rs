//! [`follow_links`]: a listing says of a link what it leads to, as programs that read it take a name for what they get there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use vfs::{DirEntry, DirStream, FileSystem, FileType, StatOptions, VPath};

/// Links of one listing that are asked where they lead; more stay links without a size and a time.
const LINKS: usize = 10_000;

/// `entries` of `folder`, whose links are described by what they lead to. Only links are asked about, one after another.
/// Those that lead nowhere, or where the asker may not go, stay as they are.
pub(in crate::http) fn follow_links(
    entries: DirStream,
    tree: &Arc<dyn FileSystem>,
    folder: &VPath,
) -> DirStream {
    let describer = entries.describer();
    let (tree, folder) = (Arc::clone(tree), folder.clone());
    DirStream::new(Following { entries, tree, folder, left: LINKS, asking: None }).with_describer(describer)
}

struct Following {
    entries: DirStream,
    tree: Arc<dyn FileSystem>,
    folder: VPath,
    /// Links that may still be asked about.
    left: usize,
    asking: Option<Pin<Box<dyn Future<Output = Vec<DirEntry>> + Send>>>,
}

impl Stream for Following {
    type Item = vfs::Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.asking.is_none() {
            let batch = match ready!(this.entries.poll_next(cx)) {
                Some(Ok(batch)) => batch,
                other => return Poll::Ready(other),
            };
            let links = batch.iter().filter(|entry| is_link(entry)).count().min(this.left);
            if links == 0 {
                return Poll::Ready(Some(Ok(batch)));
            }
            this.left -= links;
            this.asking = Some(Box::pin(followed(Arc::clone(&this.tree), this.folder.clone(), batch, links)));
        }
        let Some(asking) = &mut this.asking else { return Poll::Ready(None) };
        let batch = ready!(asking.as_mut().poll(cx));
        this.asking = None;
        Poll::Ready(Some(Ok(batch)))
    }
}

fn is_link(entry: &DirEntry) -> bool {
    entry.file_type == Some(FileType::Symlink)
}

async fn followed(
    tree: Arc<dyn FileSystem>,
    folder: VPath,
    mut batch: Vec<DirEntry>,
    links: usize,
) -> Vec<DirEntry> {
    for entry in batch.iter_mut().filter(|entry| is_link(entry)).take(links) {
        let Ok(path) = folder.child(entry.name.clone()) else { continue };
        if let Ok(found) = tree.metadata(&path, &StatOptions::default()).await {
            entry.file_type = Some(found.file_type);
            entry.metadata = Some(found);
        }
    }
    batch
}

//! The folders within a folder, for `LIST -R`: one is open at a time, and of the others the paths are kept.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use vfs::path::printed_name;
use vfs::{DirEntry, DirStream, Error, ErrorKind, FileSystem, FileType, ListOptions, Result, VPath};

/// Folders that wait to be listed. Past that the listing breaks off.
const MAX_WAITING: usize = 10_000;

/// What is still to be listed. Links are not followed, and archives are files.
pub(super) struct Descent {
    view: Arc<dyn FileSystem>,
    options: ListOptions,
    /// The next one is the last.
    waiting: Vec<Within>,
    /// Folders of the one that is being listed.
    found: Vec<Within>,
    opening: Option<(Within, Opening)>,
}

type Opening = Pin<Box<dyn Future<Output = Result<DirStream>> + Send>>;

/// A folder, and how the client would write it.
#[derive(Clone, Debug)]
pub(super) struct Within {
    pub(super) path: VPath,
    pub(super) shown: Vec<u8>,
}

impl Descent {
    pub(super) fn new(view: Arc<dyn FileSystem>, options: ListOptions) -> Self {
        Self { view, options, waiting: Vec::new(), found: Vec::new(), opening: None }
    }

    /// Remembers an entry of `folder`, if it is one to go into.
    pub(super) fn note(&mut self, folder: &Within, entry: &DirEntry) {
        if entry.file_type != Some(FileType::Dir) {
            return;
        }
        if let Ok(path) = folder.path.child(entry.name.clone()) {
            let mut shown = folder.shown.clone();
            if !shown.is_empty() && !shown.ends_with(b"/") {
                shown.push(b'/');
            }
            shown.extend_from_slice(&printed_name(&entry.name));
            self.found.push(Within { path, shown });
        }
    }

    /// Polls for the next folder; `None` where there is none left. One that may not be listed, or has gone, is passed over.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(Within, DirStream)>>> {
        self.waiting.extend(self.found.drain(..).rev());
        if self.waiting.len() > MAX_WAITING {
            return Poll::Ready(Some(Err(Error::new(ErrorKind::LimitExceeded, "read_dir", &VPath::root()))));
        }
        loop {
            if let Some((_, opening)) = &mut self.opening {
                let opened = ready!(opening.as_mut().poll(cx));
                let Some((folder, _)) = self.opening.take() else { return Poll::Ready(None) };
                match opened {
                    Ok(entries) => return Poll::Ready(Some(Ok((folder, entries)))),
                    Err(error) if is_passed_over(error.kind()) => {}
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            }
            let Some(folder) = self.waiting.pop() else { return Poll::Ready(None) };
            let (view, options, path) = (Arc::clone(&self.view), self.options.clone(), folder.path.clone());
            self.opening = Some((folder, Box::pin(async move { view.read_dir(&path, &options).await })));
        }
    }
}

/// Anything else would make a part pass for the whole.
fn is_passed_over(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PermissionDenied | ErrorKind::NotFound | ErrorKind::NotADirectory)
}

impl fmt::Debug for Descent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descent").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

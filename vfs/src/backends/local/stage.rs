//! How far the writing through one opening is: [`Stage`].
//!
//! It lies behind a lock of tokio's: who takes it waits outside of the pool and brings the guard into the job. So a job
//! that goes on without its caller still counts, and whoever comes next waits for its end or sees what came of it.

use std::sync::Arc;

use rustix::io::Errno;
use tokio::sync::RwLock;

use super::error::Fault;
use super::writing::Part;
use crate::producer::SpanFile;

/// How far the writing through one opening is.
#[derive(Debug)]
pub(super) enum Stage {
    /// It goes on; an atomic one has its part file.
    Open(Option<Part>),
    /// It was finished, and this came of it.
    Ended(Result<(), Fault>),
}

impl Stage {
    /// A beginning, to be shared with jobs.
    pub(super) fn open(part: Option<Part>) -> Arc<RwLock<Self>> {
        Arc::new(RwLock::new(Self::Open(part)))
    }

    /// True where writing goes on.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// The part file that is not published yet.
    pub(super) fn part(&self) -> Option<&Part> {
        match self {
            Self::Open(part) => part.as_ref(),
            Self::Ended(_) => None,
        }
    }

    /// Ends it, once: a later call hears what the first one did. A failure is final, because the system tells it once:
    /// after fdatasync(2) has failed another one succeeds and the content is lost all the same. `flush` brings out what
    /// the file system would otherwise say too late; it, and a part file, are for jobs only.
    pub(super) fn end(&mut self, file: &SpanFile, flush: bool) -> Result<(), Fault> {
        let flushed = match self {
            Self::Ended(ended) => return *ended,
            Self::Open(_) if flush => flush_content(file),
            Self::Open(_) => Ok(()),
        };
        let ended = match (flushed, self.part()) {
            (Ok(()), Some(part)) => part.publish(file),
            (flushed, _) => flushed.map_err(Fault::from),
        };
        // A part file that was not published goes here.
        *self = Self::Ended(ended);
        ended
    }
}

fn flush_content(file: &SpanFile) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| rustix::fs::fdatasync(file))
}

#[cfg(test)]
mod tests {
    use crate::backends::local::Links;
    use crate::backends::local::testing::{Scene, hang, path, poll_once, read};
    use crate::file_system::FileSystem;
    use crate::options::{OpenOptions, SetAttributes};

    #[test]
    fn finish_waits_for_jobs_whose_callers_have_gone() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let scene = Scene::new();
        let tree = scene.tree(Links::Beneath);
        let attributes = SetAttributes { mode: Some(0o600), ..SetAttributes::default() };
        for options in [OpenOptions::writing(), OpenOptions::replacing()] {
            for (change, changed) in [("write_at", "late"), ("set_len", "o"), ("set_attributes", "old")] {
                runtime.block_on(async {
                    let file = tree.open(&path("/file"), &options).await.unwrap();
                    file.write_at(0, "old".into()).await.unwrap();
                    let (release, busy) = std::sync::mpsc::channel::<()>();
                    let busy = tokio::task::spawn_blocking(move || busy.recv().is_err());
                    let dropped = match change {
                        "write_at" => poll_once(file.write_at(0, "late".into())).await,
                        "set_len" => poll_once(file.set_len(1)).await,
                        _ => poll_once(file.set_attributes(&attributes)).await,
                    };
                    assert!(dropped.is_none());
                    assert!(poll_once(file.finish()).await.is_none(), "{change} is still to come");
                    drop(release);
                    assert!(busy.await.unwrap());
                    file.finish().await.unwrap();
                    assert_eq!(read(&tree, "/file").await.unwrap(), changed, "{change}");
                });
            }
        }
    }

    #[tokio::test]
    async fn a_finish_that_was_dropped_before_it_began_can_be_called_again() {
        let scene = Scene::new();
        let tree = scene.tree(Links::Beneath);
        for options in [OpenOptions::replacing(), OpenOptions::writing()] {
            let file = tree.open(&path("/file"), &options).await.unwrap();
            file.write_at(0, "new".into()).await.unwrap();
            let busy = hang(&tree).await;
            poll_once(file.finish()).await;
            drop(busy);
            file.finish().await.unwrap();
            assert_eq!(read(&tree, "/file").await.unwrap(), "new");
            assert_eq!(scene.names(), ["file"]);
        }
    }
}

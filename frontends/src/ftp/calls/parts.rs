//! Uploads that grow out of sight ([`PartialUploads::Hide`](crate::ftp::PartialUploads::Hide)): under a name of
//! [`unfinished`] uploads beside the file that they are to become, until they are whole. Sessions see their tree without such
//! names; here alone the tree beneath is asked.

use std::sync::Arc;

use vfs::unfinished;
use vfs::{Error, ErrorKind, File, FileSystem, Lock, LockWait, OpenOptions, RenameOptions, VPath};

use super::storing::{Ending, Target};
use super::{Ask, Failure};

/// The tree with what grows out of sight in it, for those who write that.
#[derive(Clone, Debug)]
pub(in crate::ftp) struct Backstage(Arc<dyn FileSystem>);

/// What is left to be done with a file that is whole: it gets its name.
#[derive(Debug)]
pub(in crate::ftp) struct Publication {
    stage: Backstage,
    from: VPath,
    to: VPath,
}

impl Publication {
    /// Gives the file its name. Nobody had it when the upload began: what has taken it since then stays.
    pub(super) async fn publish(self) -> vfs::Result<()> {
        self.stage.0.rename(&self.from, &self.to, &RenameOptions { no_replace: true }).await
    }
}

/// An upload as far as it came.
struct Part {
    file: Arc<dyn File>,
    len: u64,
    publication: Publication,
}

impl Part {
    /// Goes on at `offset`.
    fn at(self, offset: u64) -> Target {
        let cut = (offset < self.len).then_some(offset);
        Target { file: self.file, offset, cut, ending: Ending::OutOfSight(self.publication) }
    }
}

impl Backstage {
    /// What lies behind a view.
    pub(in crate::ftp) fn new(tree: Arc<dyn FileSystem>) -> Self {
        Self(tree)
    }

    /// How far the upload has come that is to be `path`, where there is one.
    pub(super) async fn len(&self, path: &VPath) -> Option<u64> {
        let found = super::standing(&*self.0, &part_of(path)?, false).await.ok()??;
        found.len.filter(|_| found.is_file())
    }
}

impl Ask {
    /// Begins an upload anew, under a name that nobody has. `None` where the path is none for a file: who opens it hears why.
    pub(super) async fn begin_part(&self, stage: &Backstage) -> Result<Option<Target>, Failure> {
        match part_of(&self.path) {
            Some(from) => Ok(Some(self.open_part(stage, from, true).await?.at(0))),
            None => Ok(None),
        }
    }

    /// Goes on in an upload, at `offset` or else at its end. `None` where there is nothing to go on in.
    pub(super) async fn resume_part(
        &self,
        stage: &Backstage,
        offset: Option<u64>,
    ) -> Result<Option<Target>, Failure> {
        let Some(from) = part_of(&self.path) else { return Ok(None) };
        let part = match self.open_part(stage, from, false).await {
            Err(Failure::Tree(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
            part => part?,
        };
        match offset.unwrap_or(part.len) {
            offset if offset > part.len => Err(Failure::RestartPastEnd),
            offset => Ok(Some(part.at(offset))),
        }
    }

    /// The upload, for this session alone: two that write into it at once would spoil it, so the second is told `Busy`.
    async fn open_part(&self, stage: &Backstage, from: VPath, create: bool) -> Result<Part, Failure> {
        let options = OpenOptions { write: true, create, follow: false, ..OpenOptions::default() };
        let open = async {
            let file = stage.0.open(&from, &options).await?;
            file.lock(Lock::Exclusive, LockWait::Never).await?;
            let found = file.metadata().await?;
            // Whoever held the lock may have published it meanwhile: then it is one no more.
            let named = super::standing(&*stage.0, &from, false).await?;
            match named.is_some_and(|named| super::may_be_same(&found, &named)) {
                true => Ok((file, found.len.unwrap_or(0))),
                false => Err(Error::new(ErrorKind::Busy, "open", &self.path)),
            }
        };
        let (file, len) =
            open.await.map_err(|error| Failure::Tree(error.readdressed(|_| self.path.clone())))?;
        let publication = Publication { stage: stage.clone(), from, to: self.path.clone() };
        Ok(Part { file, len, publication })
    }
}

/// Where the beginning of a file is kept; `None` where the path leads to no file, or to what is such a beginning itself.
fn part_of(path: &VPath) -> Option<VPath> {
    let name = path.file_name().filter(|name| name.markers().is_empty())?;
    if unfinished::is_unfinished(name.name()) {
        return None;
    }
    path.parent()?.child(unfinished::name_of(name.name())).ok()
}

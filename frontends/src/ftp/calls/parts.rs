//! Uploads that grow out of sight ([`PartialUploads::Hide`](crate::ftp::PartialUploads::Hide)): `.NAME.part` beside the file that
//! they are to become, until they are whole.

use std::sync::Arc;

use vfs::{
    Error, ErrorKind, File, FileSystem, Lock, LockWait, OpenOptions, RenameOptions, StatOptions, VPath,
};

use super::{Ask, Failure};

/// What is left to be done with a file that is whole: it gets its name.
#[derive(Debug)]
pub(in crate::ftp) struct Publication {
    view: Arc<dyn FileSystem>,
    from: VPath,
    to: VPath,
}

impl Publication {
    /// Gives the file its name, in place of what has it.
    pub(in crate::ftp) async fn publish(self) -> vfs::Result<()> {
        self.view.rename(&self.from, &self.to, &RenameOptions::default()).await
    }
}

/// A part and where it goes on.
pub(super) struct Part {
    pub(super) file: Arc<dyn File>,
    pub(super) offset: u64,
    pub(super) publication: Publication,
}

impl Ask {
    /// Begins the part anew, where the file may take its place later.
    pub(super) async fn begin_part(&self) -> Result<Part, Failure> {
        if self.stat().await.is_ok_and(|found| found.is_dir()) {
            return Err(Failure::Tree(Error::new(ErrorKind::IsADirectory, "open", &self.path)));
        }
        // A file that is open elsewhere is cut once it is ours, and not before.
        let part = self.open_part(true).await?;
        part.file.set_len(0).await.map_err(Failure::Tree)?;
        Ok(Part { offset: 0, ..part })
    }

    /// Goes on in the part, at `offset` or else at its end. `None` where there is nothing to go on in: the file itself is
    /// there, or no part of it.
    pub(super) async fn resume_part(&self, offset: Option<u64>) -> Result<Option<Part>, Failure> {
        if self.stat().await.is_ok() {
            return Ok(None);
        }
        let part = match self.open_part(false).await {
            Err(Failure::Tree(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
            part => part?,
        };
        match offset {
            Some(offset) if offset > part.offset => Err(Failure::RestartPastEnd),
            Some(offset) if offset < part.offset => {
                part.file.set_len(offset).await.map_err(Failure::Tree)?;
                Ok(Some(Part { offset, ..part }))
            }
            _ => Ok(Some(part)),
        }
    }

    /// How far the part has come, where there is one.
    pub(super) async fn part_len(&self) -> Option<u64> {
        let part = part_of(&self.path)?;
        let found = self.view.metadata(&part, &StatOptions::no_follow()).await.ok()?;
        found.len.filter(|_| found.is_file())
    }

    /// The part, for this upload alone: two that write into it at once would spoil it, so the second is told `Busy`.
    async fn open_part(&self, create: bool) -> Result<Part, Failure> {
        let no_file = || Failure::Tree(Error::new(ErrorKind::IsADirectory, "open", &self.path));
        let from = part_of(&self.path).ok_or_else(no_file)?;
        let options = OpenOptions { write: true, create, follow: false, ..OpenOptions::default() };
        let open = async {
            let file = self.view.open(&from, &options).await?;
            file.lock(Lock::Exclusive, LockWait::Never).await?;
            let found = file.metadata().await?;
            // Whoever held the lock may have published it meanwhile: then it is a part no more.
            let named = self.view.metadata(&from, &StatOptions::no_follow()).await;
            let is_named = named.is_ok_and(|named| match (&found.identity, &named.identity) {
                (Some(ours), Some(theirs)) => ours.is_same_file(theirs),
                _ => true,
            });
            match is_named {
                true => Ok((file, found.len.unwrap_or(0))),
                false => Err(Error::new(ErrorKind::Busy, "open", &self.path)),
            }
        };
        let (file, offset) = open.await.map_err(Failure::Tree)?;
        let publication = Publication { view: Arc::clone(&self.view), from, to: self.path.clone() };
        Ok(Part { file, offset, publication })
    }
}

/// Where the beginning of a file is kept; `None` where the path leads to no file.
fn part_of(path: &VPath) -> Option<VPath> {
    let name = path.file_name().filter(|name| name.markers().is_empty())?;
    path.parent()?.child([b".", &name.name()[..], b".part"].concat()).ok()
}

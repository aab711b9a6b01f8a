//! [`WholeFiles`]: a tree without the uploads in it that are not whole.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem};
use crate::metadata::Metadata;
use crate::options::{LinkTarget, ListOptions, OpenOptions, RenameOptions, SetAttributes, StatOptions};
use crate::path::VPath;
use crate::unfinished::is_unfinished;

/// Leaves out what has a name of [`unfinished`](crate::unfinished) uploads: it is not listed, and `NotFound` for every call,
/// also for one that would make it. All else passes. A folder that holds one is not empty.
#[derive(Debug)]
pub struct WholeFiles {
    inner: Arc<dyn FileSystem>,
}

impl WholeFiles {
    /// Shows `inner` without such uploads.
    pub fn new(inner: Arc<dyn FileSystem>) -> Self {
        Self { inner }
    }
}

/// Refuses a path through a name that is not shown.
fn shown<'a>(op: &'static str, path: &'a VPath) -> Result<&'a VPath> {
    match path.segments().iter().any(|segment| is_unfinished(segment.name())) {
        true => Err(Error::new(ErrorKind::NotFound, op, path)),
        false => Ok(path),
    }
}

#[async_trait]
impl FileSystem for WholeFiles {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        self.inner.capabilities(path)
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        self.inner.metadata(shown("metadata", path)?, options).await
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let listing = self.inner.read_dir(shown("read_dir", path)?, options).await?;
        Ok(listing.map(|batch| {
            let mut batch = batch?;
            batch.retain(|entry| !is_unfinished(&entry.name));
            Ok(batch)
        }))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        self.inner.open(shown("open", path)?, options).await
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        self.inner.create_dir(shown("create_dir", path)?).await
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        self.inner.remove_dir(shown("remove_dir", path)?).await
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        self.inner.remove_file(shown("remove_file", path)?).await
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        self.inner.rename(shown("rename", from)?, shown("rename", to)?, options).await
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        // Through a link it would be in sight under another name.
        let names_one = target.split(|byte| *byte == b'/').any(is_unfinished);
        let path = shown("symlink", path)?;
        if names_one {
            return Err(Error::new(ErrorKind::PermissionDenied, "symlink", path));
        }
        self.inner.symlink(target, path).await
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        self.inner.hard_link(shown("hard_link", original)?, shown("hard_link", link)?).await
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        self.inner.read_link(shown("read_link", path)?).await
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        self.inner.set_attributes(shown("set_attributes", path)?, attributes, follow).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, path};

    const UPLOAD: &str = "/d/.new.vfsd-upload";

    #[tokio::test]
    async fn an_upload_is_neither_listed_nor_found_nor_made() {
        let fake = Fake::with(&[("/d/f", "text"), (UPLOAD, "half")]);
        let tree = WholeFiles::new(fake.clone().shared());
        let listing = tree.read_dir(&path("/d"), &ListOptions::default()).await.unwrap();
        let names: Vec<_> = listing.collect(9).await.unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["f"]);

        let (asked, upload, other) = (fake.calls(), path(UPLOAD), path("/d/f"));
        for refused in [
            tree.metadata(&upload, &StatOptions::default()).await.map(drop),
            tree.open(&upload, &OpenOptions::reading()).await.map(drop),
            tree.open(&upload, &OpenOptions::writing()).await.map(drop),
            tree.open(&path("/.a.vfsd-upload/b"), &OpenOptions::writing()).await.map(drop),
            tree.read_dir(&upload, &ListOptions::default()).await.map(drop),
            tree.create_dir(&upload).await,
            tree.remove_file(&upload).await,
            tree.remove_dir(&upload).await,
            tree.rename(&upload, &other, &RenameOptions::default()).await,
            tree.rename(&other, &upload, &RenameOptions::default()).await,
            tree.symlink(&LinkTarget::from("f"), &upload).await,
            tree.hard_link(&upload, &path("/d/g")).await,
            tree.hard_link(&other, &upload).await,
            tree.read_link(&upload).await.map(drop),
            tree.set_attributes(&upload, &SetAttributes::default(), true).await,
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
        }
        let linked = tree.symlink(&LinkTarget::from("d/.new.vfsd-upload"), &path("/link")).await;
        assert_eq!(linked.unwrap_err().kind(), ErrorKind::PermissionDenied);
        assert_eq!(fake.calls(), asked);
        assert!(tree.open(&other, &OpenOptions::reading()).await.is_ok());
    }
}

//! [`DirBuilder`]: how folders are made.

use std::io;
use std::path::Path;

use super::default;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::FileSystem;
use crate::options::{SetAttributes, StatOptions};
use crate::path::VPath;

/// How folders are made: one or all that are missing, with which permission bits.
#[derive(Clone, Debug, Default)]
pub struct DirBuilder {
    recursive: bool,
    mode: Option<u32>,
}

impl DirBuilder {
    /// One folder, with the tree's usual bits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes missing folders above it too, and is content where it exists. Default: off.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// Permission bits of the folders that are made, less what the process masks. Default: `0o777`.
    ///
    /// They are set after the folder is made: for a moment it has the usual ones.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = Some(mode);
        self
    }

    /// Makes the folder `path` in the default tree; [`Fs::create_dir_with`](super::Fs::create_dir_with) makes it in another.
    ///
    /// # Errors
    /// As [`Fs::create_dir_with`](super::Fs::create_dir_with).
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        default::current()?.create_dir_with(path, self).await
    }

    pub(super) fn is_recursive(&self) -> bool {
        self.recursive
    }

    pub(super) async fn create_in(&self, tree: &dyn FileSystem, path: &VPath) -> Result<()> {
        if self.mode.is_some() && !tree.capabilities(path).modes {
            let refused = Error::new(ErrorKind::Unsupported, "create_dir", path);
            return Err(refused.with_detail("this tree keeps no permission bits"));
        }
        if self.recursive { self.create_all(tree, path).await } else { self.create_one(tree, path).await }
    }

    /// From `path` upwards until a folder can be made or is there, then down again. Each step is one call that others
    /// may make at the same time: who comes second finds a folder and is content.
    async fn create_all(&self, tree: &dyn FileSystem, path: &VPath) -> Result<()> {
        let depth = path.segments().len();
        let mut made = depth;
        while self.create_or_find(tree, &path.prefix(made)).await? == Step::ParentMissing {
            made -= 1;
        }
        for count in made + 1..=depth {
            let folder = path.prefix(count);
            if self.create_or_find(tree, &folder).await? == Step::ParentMissing {
                let gone = Error::new(ErrorKind::NotFound, "create_dir", &folder);
                return Err(gone.with_detail("somebody removed the folder above meanwhile"));
            }
        }
        Ok(())
    }

    async fn create_or_find(&self, tree: &dyn FileSystem, path: &VPath) -> Result<Step> {
        match self.create_one(tree, path).await {
            Ok(()) => Ok(Step::Done),
            Err(error) => match error.kind() {
                ErrorKind::NotFound if !path.is_root() => Ok(Step::ParentMissing),
                // A tree that takes no changes says so before it looks.
                ErrorKind::AlreadyExists | ErrorKind::ReadOnly if is_dir(tree, path).await => Ok(Step::Done),
                _ => Err(error),
            },
        }
    }

    async fn create_one(&self, tree: &dyn FileSystem, path: &VPath) -> Result<()> {
        tree.create_dir(path).await?;
        let Some(wanted) = self.mode else { return Ok(()) };
        // mkdir(2) takes the mask off; the folder was made with 0o777, so its own bits show what the mask leaves.
        let left = tree.metadata(path, &StatOptions::no_follow()).await?.mode.unwrap_or(0o777);
        let mode = Some(wanted & (left | 0o1000));
        tree.set_attributes(path, &SetAttributes { mode, ..SetAttributes::default() }, false).await
    }
}

/// What came of making one folder.
#[derive(PartialEq, Eq)]
enum Step {
    /// It is there.
    Done,
    /// The one above it is to be made first.
    ParentMissing,
}

async fn is_dir(tree: &dyn FileSystem, path: &VPath) -> bool {
    tree.metadata(path, &StatOptions::default()).await.is_ok_and(|found| found.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Fs;
    use crate::fs::testing::tree;

    #[tokio::test]
    async fn missing_folders_are_made_and_files_are_not_walked_through() {
        let fs = Fs::new(tree());
        fs.create_dir_all("/a/b/c").await.unwrap();
        fs.create_dir_all("/a/b/c").await.unwrap();
        fs.create_dir_all("/").await.unwrap();
        fs.create_dir_all("").await.unwrap();
        fs.write("/a/f", "").await.unwrap();
        for (path, kind) in [
            ("/a/f", io::ErrorKind::AlreadyExists),
            ("/a/f/g", io::ErrorKind::NotADirectory),
            ("/a/f/g/h", io::ErrorKind::NotADirectory),
        ] {
            assert_eq!(fs.create_dir_all(path).await.unwrap_err().kind(), kind, "{path}");
        }
        assert_eq!(fs.create_dir("/x/y").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs.create_dir("/a").await.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_may_make_the_same_folders_at_once() {
        let fs = Fs::new(tree());
        for round in 0..20 {
            let path = format!("/{round}/a/b/c/d");
            let calls: Vec<_> = (0..8)
                .map(|_| {
                    let (fs, path) = (fs.clone(), path.clone());
                    tokio::spawn(async move { fs.create_dir_all(path).await })
                })
                .collect();
            for call in calls {
                call.await.unwrap().unwrap();
            }
            assert!(fs.metadata(&path).await.unwrap().is_dir());
        }
    }

    #[tokio::test]
    async fn bits_are_those_that_mkdir_would_give() {
        let tree = tree();
        let fs = Fs::new(tree);
        fs.create_dir("/usual").await.unwrap();
        let left = fs.metadata("/usual").await.unwrap().mode();
        fs.create_dir_with("/a/b", DirBuilder::new().recursive(true).mode(0o757)).await.unwrap();
        for path in ["/a", "/a/b"] {
            assert_eq!(fs.metadata(path).await.unwrap().mode() & 0o777, 0o757 & left, "{path}");
        }
    }
}

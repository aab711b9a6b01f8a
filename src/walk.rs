//! Walking a tree from a folder down, entry by entry: links are shown and never followed.

use std::sync::Arc;

use vfs::{DirEntry, Error, ErrorKind, FileSystem, FileType, StatOptions, VPath};

use crate::listing::{Listing, Wish};

/// Folders inside one another that are walked at most; each holds one listing open.
const MAX_DEPTH: usize = 256;

/// A walk. Memory is one listing a level, however many entries the tree has.
#[derive(Debug)]
pub(crate) struct Walk {
    tree: Arc<dyn FileSystem>,
    wish: Wish,
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    path: VPath,
    listing: Listing,
}

/// What a walk comes across.
#[derive(Debug)]
pub(crate) enum Step {
    /// An entry. [`Walk::enter`] it where its own entries are wanted next.
    Found(Box<Found>),
    /// The end of a folder that was entered.
    Left(VPath),
}

/// One entry of a walk.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where it is.
    pub(crate) path: VPath,
    /// What it is, asked for where the listing did not say.
    pub(crate) file_type: FileType,
    /// As it was listed.
    pub(crate) entry: DirEntry,
}

impl Walk {
    /// A walk that is nowhere yet.
    pub(crate) fn new(tree: &Arc<dyn FileSystem>, wish: Wish) -> Self {
        Self { tree: Arc::clone(tree), wish, levels: Vec::new() }
    }

    /// Goes into the folder `path`: its entries come next.
    ///
    /// # Errors
    /// What listing it says; `LimitExceeded` where folders lie too deep inside one another.
    pub(crate) async fn enter(&mut self, path: &VPath) -> vfs::Result<()> {
        if self.levels.len() >= MAX_DEPTH {
            let detail = format!("folders are walked {MAX_DEPTH} deep: start further down");
            return Err(Error::new(ErrorKind::LimitExceeded, "read_dir", path).with_detail(detail));
        }
        let listing = Listing::open(&*self.tree, path, self.wish).await?;
        self.levels.push(Level { path: path.clone(), listing });
        Ok(())
    }

    /// The next step; `None` when the first folder has been left. After an error the walk goes on behind it.
    pub(crate) async fn next(&mut self) -> Option<vfs::Result<Step>> {
        let level = self.levels.last_mut()?;
        match level.listing.next().await {
            Some(Ok(entry)) => {
                let (tree, folder) = (Arc::clone(&self.tree), level.path.clone());
                Some(found(&*tree, folder, entry).await.map(|found| Step::Found(Box::new(found))))
            }
            Some(Err(error)) => Some(Err(error)),
            None => self.levels.pop().map(|level| Ok(Step::Left(level.path))),
        }
    }

    /// How many folders the walk is in.
    pub(crate) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// True where the innermost folder has no entry left.
    pub(crate) async fn is_at_last(&mut self) -> bool {
        match self.levels.last_mut() {
            Some(level) => level.listing.is_at_end().await,
            None => true,
        }
    }
}

async fn found(tree: &dyn FileSystem, folder: VPath, entry: DirEntry) -> vfs::Result<Found> {
    let path = folder.child(entry.name.clone()).map_err(|error| {
        Error::from(error).readdressed(|_| folder).with_detail("the folder lists a name that is none")
    })?;
    let file_type = match entry.file_type {
        Some(file_type) => file_type,
        None => tree.metadata(&path, &StatOptions::no_follow()).await?.file_type,
    };
    Ok(Found { path, file_type, entry })
}

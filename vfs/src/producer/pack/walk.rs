//! [`Walk`]: what a folder holds, one entry after another, folders before what is in them.

use std::sync::Arc;
use std::vec;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{DirEntry, DirStream, File, FileSystem};
use crate::metadata::{FileType, Metadata};
use crate::options::{ListOptions, OpenOptions, StatOptions};
use crate::path::VPath;

/// Folders inside of one another; each holds a listing open.
const LEVELS: usize = 128;

/// A walk through a folder.
pub(super) struct Walk {
    tree: Arc<dyn FileSystem>,
    levels: Vec<Level>,
    /// The folder itself, which comes first.
    top: Option<(VPath, Vec<u8>)>,
}

struct Level {
    path: VPath,
    /// Its name in the archive, with its slash.
    name: Vec<u8>,
    entries: DirStream,
    batch: vec::IntoIter<DirEntry>,
}

/// One entry of an archive.
pub(super) struct Item {
    /// The whole name in the archive; a folder's ends in `/`.
    pub(super) name: Vec<u8>,
    pub(super) metadata: Metadata,
    pub(super) content: Content,
}

/// What an entry holds.
pub(super) enum Content {
    Folder,
    File(Arc<dyn File>),
    /// Where it leads.
    Link(Bytes),
}

impl Walk {
    pub(super) fn new(tree: Arc<dyn FileSystem>, path: &VPath, entries: DirStream) -> Self {
        let mut name = path.file_name().map_or_else(Vec::new, |segment| segment.name().to_vec());
        let mut top = None;
        if !name.is_empty() {
            name.push(b'/');
            top = Some((path.clone(), name.clone()));
        }
        let level = Level { path: path.clone(), name, entries, batch: Vec::new().into_iter() };
        Self { tree, levels: vec![level], top }
    }

    /// The next entry; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Item>> {
        if let Some((path, name)) = self.top.take() {
            let metadata = self.tree.metadata(&path, &StatOptions::default()).await?;
            return Ok(Some(Item { name, metadata, content: Content::Folder }));
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(entry) = level.batch.next() else {
                match level.entries.next().await {
                    Some(batch) => level.batch = batch?.into_iter(),
                    None => drop(self.levels.pop()),
                }
                continue;
            };
            let path = level.path.child(entry.name.clone())?;
            let name = [&level.name[..], &entry.name].concat();
            match self.look(entry, path, name).await {
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                found => return found,
            }
        }
        Ok(None)
    }

    /// `None` for what has no place in an archive.
    async fn look(&mut self, entry: DirEntry, path: VPath, mut name: Vec<u8>) -> Result<Option<Item>> {
        let metadata = match entry.metadata {
            Some(metadata) => metadata,
            None => self.tree.metadata(&path, &StatOptions::no_follow()).await?,
        };
        let item = match metadata.file_type {
            FileType::Dir => {
                self.enter(path, &mut name).await?;
                Item { name, metadata, content: Content::Folder }
            }
            FileType::File => {
                let file = self.tree.open(&path, &OpenOptions::reading()).await?;
                let metadata = match file.opened_as() {
                    Some(metadata) => metadata,
                    None => file.metadata().await?,
                };
                Item { name, metadata, content: Content::File(file) }
            }
            FileType::Symlink => {
                let target = self.tree.read_link(&path).await?;
                Item { name, metadata, content: Content::Link(target) }
            }
            FileType::Other => return Ok(None),
        };
        Ok(Some(item))
    }

    async fn enter(&mut self, path: VPath, name: &mut Vec<u8>) -> Result<()> {
        if self.levels.len() >= LEVELS {
            let detail = format!("folders lie deeper than {LEVELS} levels");
            return Err(Error::new(ErrorKind::LimitExceeded, "pack", &path).with_detail(detail));
        }
        let entries = self.tree.read_dir(&path, &ListOptions::with_metadata()).await?;
        name.push(b'/');
        self.levels.push(Level { path, name: name.clone(), entries, batch: Vec::new().into_iter() });
        Ok(())
    }
}

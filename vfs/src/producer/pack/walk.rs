//! [`Walk`]: what a folder holds, one entry after another, folders before what is in them.

use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;
use std::vec;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{DirEntry, DirStream, File, FileSystem};
use crate::metadata::{FileType, Metadata};
use crate::options::{ListOptions, OpenOptions, StatOptions};
use crate::path::{VPath, escaped};

/// Folders inside of one another; each holds a listing open.
const LEVELS: usize = 128;

/// How the text is named that says what was left out; where something is named so already, with more dashes.
const NOTE: &[u8] = b"NOT-IN-THIS-ARCHIVE";

/// Bytes of names in that text; what does not fit is counted.
const NOTE_BYTES: usize = 64 * 1024;

/// A walk through a folder.
pub(super) struct Walk {
    tree: Arc<dyn FileSystem>,
    levels: Vec<Level>,
    /// The folder itself, which comes first.
    top: Option<(VPath, Vec<u8>)>,
    /// How everything that is packed is named, up to the first slash and with it.
    prefix: Vec<u8>,
    left_out: LeftOut,
}

/// What may not be read.
#[derive(Default)]
struct LeftOut {
    count: usize,
    /// Some of their names, a line each.
    names: String,
    /// How long the longest name is that stands beside the note and begins as its own.
    longest: usize,
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
    /// A text of ours.
    Note(Bytes),
}

impl Walk {
    pub(super) fn new(tree: Arc<dyn FileSystem>, path: &VPath, entries: DirStream) -> Self {
        let mut name = path.file_name().map_or_else(Vec::new, |segment| segment.name().to_vec());
        let mut top = None;
        if !name.is_empty() {
            name.push(b'/');
            top = Some((path.clone(), name.clone()));
        }
        let prefix = name.clone();
        let level = Level { path: path.clone(), name, entries, batch: Vec::new().into_iter() };
        Self { tree, levels: vec![level], top, prefix, left_out: LeftOut::default() }
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
            if level.name == self.prefix && entry.name.starts_with(NOTE) {
                self.left_out.longest = self.left_out.longest.max(entry.name.len());
            }
            match self.look(entry, path, name.clone()).await {
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.kind() == ErrorKind::PermissionDenied => self.left_out.add(&name),
                found => return found,
            }
        }
        Ok(self.left_out.take_note(&self.prefix))
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

impl LeftOut {
    fn add(&mut self, name: &[u8]) {
        self.count += 1;
        if self.names.len() + name.len() < NOTE_BYTES {
            // A String takes all that is written to it.
            let _ = writeln!(self.names, "{}", escaped(name));
        }
    }

    /// What is said of them at the archive's end, once.
    fn take_note(&mut self, prefix: &[u8]) -> Option<Item> {
        let Self { count, names, longest } = std::mem::take(self);
        if count == 0 {
            return None;
        }
        let text =
            format!("{count} entries are not in this archive, because they may not be read:\n\n{names}");
        let more = count - names.lines().count();
        let text = if more > 0 { format!("{text}and {more} more\n") } else { text };
        let dashes = vec![b'-'; longest.saturating_sub(NOTE.len())];
        let name = [prefix, NOTE, &dashes, b".txt"].concat();
        let mut metadata = Metadata::new(FileType::File);
        metadata.len = Some(text.len() as u64);
        metadata.modified = Some(SystemTime::now());
        Some(Item { name, metadata, content: Content::Note(text.into()) })
    }
}

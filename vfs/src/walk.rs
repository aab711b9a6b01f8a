//! Functions over whole subtrees of any tree. They follow no link and stay inside one mount.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{DirEntry, FileSystem};
use crate::jobs::Disk;
use crate::metadata::{FileType, Metadata};
use crate::options::{ByteRange, Freshness, ListOptions, OpenOptions, StatOptions};
use crate::path::VPath;
use crate::producer::{self, Chunk, ProducerExt};

/// Removes the folder `path` with everything in it, and a link at `path` itself. Links are removed, never followed; what
/// vanishes meanwhile counts as removed.
///
/// A mount point at or below `path` is `Busy`. The first call asks for the folder itself, which the namespace refuses at
/// once where anything is mounted below, so then nothing was removed. What is mounted later, while this works, is left
/// alone; what was removed until then is gone. The same holds for every other error and for a dropped future.
///
/// Memory grows with the depth, not with the number of entries. Types are looked at and acted on in two calls: who swaps
/// a folder for a link in that moment has what the link leads to emptied, so trees that others change at the same time in
/// bad faith are not for this function.
///
/// # Errors
/// `NotADirectory` where `path` is a file; else the first error of the tree.
pub async fn remove_dir_all(tree: &dyn FileSystem, path: &VPath) -> Result<()> {
    match tree.remove_dir(path).await {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            let found = tree.metadata(path, &StatOptions::no_follow()).await?;
            return if found.is_symlink() { tree.remove_file(path).await } else { Err(error) };
        }
        other => return other,
    }
    let mut levels = vec![Level::list(tree, path.clone()).await?];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.folders.pop() {
            let child = unless_gone(Level::list(tree, level.path.child(name)?).await)?;
            level.progressed |= child.is_some();
            levels.extend(child);
        } else if level.unseen && level.progressed {
            *level = Level::list(tree, level.path.clone()).await?;
        } else {
            let removed = tree.remove_dir(&level.path).await;
            levels.pop();
            // Below the top somebody else may have been faster, and that is what was asked for.
            if levels.is_empty() { removed? } else { unless_gone(removed).map(drop)? }
        }
    }
    Ok(())
}

/// Refuses to copy the file `from`, which `described` describes, onto itself: by another name, or through a link. Writing
/// the target would empty the source.
///
/// # Errors
/// `InvalidInput`. A target that cannot be described is none of this function's business.
pub async fn check_copy(tree: &dyn FileSystem, from: &VPath, described: &Metadata, to: &VPath) -> Result<()> {
    let there = tree.metadata(to, &StatOptions::default()).await.ok().and_then(|there| there.identity);
    let is_itself = match (&there, &described.identity) {
        (Some(there), Some(here)) => there.is_same_file(here),
        _ => false,
    };
    if from == to || is_itself {
        let detail = format!("it is the same file as {from}");
        return Err(Error::new(ErrorKind::InvalidInput, "copy", to).with_detail(detail));
    }
    Ok(())
}

/// Copies the file `from` to `to`; what it leads to, where it is a link. The old file stays until the copy is whole, and a
/// dropped future leaves it. Permission bits go along where they are known.
///
/// # Errors
/// As [`check_copy`], and those of the trees; `AlreadyExists` where `overwrites` is false and anything is at `to`.
pub async fn copy_file(
    tree: &dyn FileSystem,
    from: &VPath,
    to: &VPath,
    overwrites: bool,
    disk: &Disk,
) -> Result<()> {
    let source = tree.open(from, &OpenOptions::reading()).await?;
    let described = source.metadata().await?;
    check_copy(tree, from, &described, to).await?;
    let mode = described.mode.map(|mode| mode & 0o777);
    let options = OpenOptions { mode, create_new: !overwrites, ..OpenOptions::replacing() };
    let target = tree.open(to, &options).await?;
    let range = ByteRange { start: 0, end: described.len };
    let mut pieces = producer::of(source, range).lower(disk).peeked();
    let mut offset = 0;
    while let Some(piece) = pieces.more().await {
        let Chunk::Bytes(bytes) = piece? else {
            return Err(Error::new(ErrorKind::Internal, "copy", from));
        };
        let count = bytes.len() as u64;
        target.write_at(offset, bytes).await?;
        offset += count;
    }
    target.finish().await
}

/// Copies what is at `from`, with everything in it, to `to`, where nothing is. Links are copied, never followed; devices,
/// FIFOs and sockets are left out. An error or a dropped future leaves what was copied until then.
///
/// Memory grows with the folders that wait to be copied.
///
/// # Errors
/// `InvalidInput` where `to` lies inside of `from`; else the first error of the trees.
pub async fn copy_all(tree: &dyn FileSystem, from: &VPath, to: &VPath, disk: &Disk) -> Result<()> {
    if to.is_covered_by(from) {
        let detail = format!("it lies inside of {from}");
        return Err(Error::new(ErrorKind::InvalidInput, "copy", to).with_detail(detail));
    }
    let found = tree.metadata(from, &StatOptions::no_follow()).await?;
    let mut folders = Vec::new();
    copy_one(tree, found.file_type, (from.clone(), to.clone()), &mut folders, disk).await?;
    while let Some((from, to)) = folders.pop() {
        let mut listing = tree.read_dir(&from, &ListOptions::default()).await?;
        while let Some(batch) = listing.next().await {
            for entry in batch? {
                let pair = (from.child(entry.name.clone())?, to.child(entry.name.clone())?);
                let file_type = match entry.file_type {
                    Some(known) => known,
                    None => tree.metadata(&pair.0, &StatOptions::no_follow()).await?.file_type,
                };
                copy_one(tree, file_type, pair, &mut folders, disk).await?;
            }
        }
    }
    Ok(())
}

async fn copy_one(
    tree: &dyn FileSystem,
    file_type: FileType,
    (from, to): (VPath, VPath),
    folders: &mut Vec<(VPath, VPath)>,
    disk: &Disk,
) -> Result<()> {
    match file_type {
        FileType::File => copy_file(tree, &from, &to, true, disk).await,
        FileType::Symlink => tree.symlink(&tree.read_link(&from).await?, &to).await,
        FileType::Dir => {
            tree.create_dir(&to).await?;
            folders.push((from, to));
            Ok(())
        }
        FileType::Other => Ok(()),
    }
}

/// A folder that is being emptied.
struct Level {
    path: VPath,
    /// The folders of the batch that was seen last; a batch bounds them, so memory is bounded by the depth.
    folders: Vec<Bytes>,
    /// The listing was left for those folders, before its end.
    unseen: bool,
    /// Something was removed since, so that another listing brings news. A listing from a stale store does not.
    progressed: bool,
}

impl Level {
    /// Lists `path` until a batch with folders comes, removing files and links on the way.
    async fn list(tree: &dyn FileSystem, path: VPath) -> Result<Self> {
        let options = ListOptions { freshness: Freshness::Revalidate, ..ListOptions::default() };
        let mut listing = tree.read_dir(&path, &options).await?;
        let mut level = Self { path, folders: Vec::new(), unseen: true, progressed: false };
        while level.folders.is_empty() {
            let Some(batch) = listing.next().await else {
                level.unseen = false;
                break;
            };
            for entry in batch? {
                level.take(tree, entry).await?;
            }
        }
        Ok(level)
    }

    /// Removes an entry, or remembers it where it is a folder.
    async fn take(&mut self, tree: &dyn FileSystem, entry: DirEntry) -> Result<()> {
        let path = self.path.child(entry.name.clone())?;
        match file_type(tree, &path, &entry).await? {
            Some(FileType::Dir) => self.folders.push(entry.name),
            Some(_) => self.progressed |= unless_gone(tree.remove_file(&path).await)?.is_some(),
            None => {}
        }
        Ok(())
    }
}

/// What an entry is, itself; `None` where it has gone.
async fn file_type(tree: &dyn FileSystem, path: &VPath, entry: &DirEntry) -> Result<Option<FileType>> {
    if entry.mount.is_some() {
        let detail = "a mount point is not removed with the folder around it: unmount it first";
        return Err(Error::new(ErrorKind::Busy, "remove_dir_all", path).with_detail(detail));
    }
    match entry.file_type {
        Some(known) => Ok(Some(known)),
        None => {
            let found = tree.metadata(path, &StatOptions::no_follow()).await;
            Ok(unless_gone(found)?.map(|metadata| metadata.file_type))
        }
    }
}

/// Missing is as good as removed.
fn unless_gone<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::backends::memory::MemoryFs;
    use crate::file_system::DirStream;
    use crate::fs::Fs;
    use crate::registry::Registry;
    use crate::vfs::{MountOptions, Vfs};

    #[tokio::test]
    async fn all_goes_but_what_links_lead_to() {
        let fs = Fs::new(Arc::new(MemoryFs::new()));
        fs.create_dir_all("/keep/in").await.unwrap();
        fs.create_dir_all("/gone/a/b/c").await.unwrap();
        fs.symlink("../keep", "/gone/link").await.unwrap();
        // More folders than a batch holds, so that the listing is left and taken up again.
        for number in 0..DirStream::BATCH + 3 {
            fs.create_dir(format!("/gone/{number}")).await.unwrap();
            fs.write(format!("/gone/{number}/file"), "x").await.unwrap();
        }
        fs.remove_dir_all("/gone").await.unwrap();
        assert!(!fs.exists("/gone").await.unwrap());
        assert!(fs.exists("/keep/in").await.unwrap());

        fs.symlink("keep", "/link").await.unwrap();
        fs.remove_dir_all("/link").await.unwrap();
        assert_eq!(fs.symlink_metadata("/link").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(fs.exists("/keep/in").await.unwrap());
    }

    #[tokio::test]
    async fn a_copy_of_a_folder_has_all_that_is_in_it() {
        let fs = Fs::new(Arc::new(MemoryFs::new()));
        fs.create_dir_all("/a/b/c").await.unwrap();
        fs.write("/a/b/file", "content").await.unwrap();
        fs.symlink("../nowhere", "/a/link").await.unwrap();
        let path = |text| VPath::parse(text).unwrap();
        let copy = async |from, to| copy_all(&**fs.tree(), &path(from), &path(to), &Disk::new()).await;
        copy("/a", "/copy").await.unwrap();
        assert_eq!(fs.read("/copy/b/file").await.unwrap(), b"content");
        assert!(fs.metadata("/copy/b/c").await.unwrap().is_dir());
        assert!(fs.symlink_metadata("/copy/link").await.unwrap().is_symlink());
        assert_eq!(copy("/a", "/a/b/in").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(copy("/a", "/copy").await.unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(copy("/none", "/x").await.unwrap_err().kind(), ErrorKind::NotFound);
        copy("/a/b/file", "/single").await.unwrap();
        assert_eq!(fs.read("/single").await.unwrap(), b"content");
    }

    #[tokio::test]
    async fn a_file_is_no_folder_and_a_missing_one_is_missing() {
        let fs = Fs::new(Arc::new(MemoryFs::new()));
        fs.write("/f", "").await.unwrap();
        assert_eq!(fs.remove_dir_all("/f").await.unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(fs.remove_dir_all("/none").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(fs.exists("/f").await.unwrap());
    }

    #[tokio::test]
    async fn a_mount_below_keeps_everything_around_it() {
        let vfs = Vfs::new(Registry::empty());
        for at in ["/", "/d/mount"] {
            let options = MountOptions { writable: true, ..MountOptions::default() };
            vfs.mount(&VPath::parse(at).unwrap(), Arc::new(MemoryFs::new()), options).unwrap();
        }
        let fs = Fs::new(vfs);
        fs.create_dir_all("/d/mount/in").await.unwrap();
        fs.create_dir("/d/other").await.unwrap_err();
        let error = fs.remove_dir_all("/d").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert!(fs.exists("/d/mount/in").await.unwrap());
        // A mount point below its own root is an entry like any other to the walk, and is refused by name.
        let error = walk_over_entries(&fs).await;
        assert_eq!((error.kind(), error.path().to_string()), (ErrorKind::Busy, "/d/mount".to_owned()));
    }

    async fn walk_over_entries(fs: &Fs) -> Error {
        Level::list(&**fs.tree(), VPath::parse("/d").unwrap()).await.err().unwrap()
    }
}

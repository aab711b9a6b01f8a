//! Removes a folder with all that is in it, over any tree: no link is followed, no mount point crossed.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{DirEntry, FileSystem};
use crate::metadata::FileType;
use crate::options::{Freshness, ListOptions, StatOptions};
use crate::path::VPath;

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

pub(super) async fn remove_dir_all(tree: &dyn FileSystem, path: &VPath) -> Result<()> {
    if tree.metadata(path, &StatOptions::no_follow()).await?.is_symlink() {
        return tree.remove_file(path).await;
    }
    let mut levels = vec![list(tree, path.clone()).await?];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.folders.pop() {
            let child = unless_gone(list(tree, level.path.child(name)?).await)?;
            level.progressed |= child.is_some();
            levels.extend(child);
        } else if level.unseen && level.progressed {
            *level = list(tree, level.path.clone()).await?;
        } else {
            let removed = tree.remove_dir(&level.path).await;
            levels.pop();
            // Below the top somebody else may have been faster, and that is what was asked for.
            if levels.is_empty() { removed? } else { unless_gone(removed).map(drop)? }
        }
    }
    Ok(())
}

/// Lists `path` until a batch with folders comes, removing files and links on the way.
async fn list(tree: &dyn FileSystem, path: VPath) -> Result<Level> {
    let options = ListOptions { metadata: false, freshness: Freshness::Revalidate };
    let mut listing = tree.read_dir(&path, &options).await?;
    let mut level = Level { path, folders: Vec::new(), unseen: true, progressed: false };
    while level.folders.is_empty() {
        let Some(batch) = listing.next().await else {
            level.unseen = false;
            break;
        };
        for entry in batch? {
            take(tree, &mut level, entry).await?;
        }
    }
    Ok(level)
}

/// Removes an entry, or remembers it where it is a folder.
async fn take(tree: &dyn FileSystem, level: &mut Level, entry: DirEntry) -> Result<()> {
    let path = level.path.child(entry.name.clone())?;
    if entry.mount.is_some() {
        let mount = Error::new(ErrorKind::Busy, "remove_dir_all", &path);
        return Err(
            mount.with_detail("a mount point is not removed with the folder around it: unmount it first")
        );
    }
    let file_type = match entry.file_type {
        Some(known) => Some(known),
        None => {
            unless_gone(tree.metadata(&path, &StatOptions::no_follow()).await)?.map(|found| found.file_type)
        }
    };
    match file_type {
        Some(FileType::Dir) => level.folders.push(entry.name),
        Some(_) => level.progressed |= unless_gone(tree.remove_file(&path).await)?.is_some(),
        None => {}
    }
    Ok(())
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

    use crate::file_system::DirStream;
    use crate::fs::Fs;
    use crate::fs::testing::HostTree;
    use crate::path::VPath;

    #[tokio::test]
    async fn all_goes_but_what_links_lead_to() {
        let fs = Fs::new(HostTree::shared());
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
    async fn a_file_is_no_folder_and_a_missing_one_is_missing() {
        let fs = Fs::new(HostTree::shared());
        fs.write("/f", "").await.unwrap();
        assert_eq!(fs.remove_dir_all("/f").await.unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(fs.remove_dir_all("/none").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(fs.exists("/f").await.unwrap());
    }

    #[tokio::test]
    async fn a_mount_point_inside_is_left_alone() {
        let mount = VPath::parse("/d/mount").unwrap();
        let fs = Fs::new(Arc::new(HostTree::new().with_mount(mount)));
        fs.create_dir_all("/d/mount/in").await.unwrap();
        let error = fs.remove_dir_all("/d").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert!(error.to_string().contains("/d/mount"), "{error}");
        assert!(fs.exists("/d/mount/in").await.unwrap());
    }
}

//! Functions over whole subtrees of any tree. They follow no link and stay inside one mount.

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{DirEntry, FileSystem};
use crate::metadata::FileType;
use crate::options::{ListOptions, StatOptions};
use crate::path::VPath;

/// Removes the folder `path` with everything in it. Links are removed, never followed; what vanishes meanwhile counts
/// as removed.
///
/// A mount point at or below `path` is `Busy`. The first call asks for the folder itself, which the namespace refuses at
/// once where anything is mounted below, so then nothing was removed. What is mounted later, while this works, is left
/// alone; what was removed until then is gone. The same holds for every other error and for a dropped future.
///
/// Memory grows with the number of folders in one folder, times the depth. Types are looked at and acted on in two calls:
/// who swaps a folder for a link in that moment has what the link leads to emptied, so trees that others change at the
/// same time in bad faith are not for this function.
///
/// # Errors
/// `NotADirectory` where `path` is a file or a link; else the first error of the tree.
pub async fn remove_dir_all(tree: &dyn FileSystem, path: &VPath) -> Result<()> {
    match tree.remove_dir(path).await {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
        other => return other,
    }
    let mut open = vec![Folder { path: path.clone(), children: empty(tree, path).await? }];
    while let Some(folder) = open.last_mut() {
        match folder.children.pop() {
            Some(child) => {
                let children = unless_gone(empty(tree, &child).await)?.unwrap_or_default();
                open.push(Folder { path: child, children });
            }
            None => {
                unless_gone(tree.remove_dir(&folder.path).await)?;
                open.pop();
            }
        }
    }
    Ok(())
}

/// A folder on the way down, and the folders in it that are still to be removed.
struct Folder {
    path: VPath,
    children: Vec<VPath>,
}

/// Removes what is in `folder` and is no folder itself; gives the folders back.
async fn empty(tree: &dyn FileSystem, folder: &VPath) -> Result<Vec<VPath>> {
    let mut folders = Vec::new();
    let mut listing = tree.read_dir(folder, &ListOptions::default()).await?;
    while let Some(batch) = listing.next().await {
        for entry in batch? {
            let path = folder.child(entry.name.clone())?;
            match file_type(tree, &path, &entry).await? {
                Some(FileType::Dir) => folders.push(path),
                Some(_) => {
                    unless_gone(tree.remove_file(&path).await)?;
                }
                None => {}
            }
        }
    }
    Ok(folders)
}

/// What an entry is, itself; `None` where it has gone.
async fn file_type(tree: &dyn FileSystem, path: &VPath, entry: &DirEntry) -> Result<Option<FileType>> {
    if entry.mount.is_some() {
        let detail = "something is mounted here: unmount it first";
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

fn unless_gone<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, path};

    #[tokio::test]
    async fn a_folder_goes_with_all_that_is_in_it_and_links_are_not_followed() {
        let fake = Fake::with(&[("/d/a/b/f", ""), ("/d/g", ""), ("/d/e/h", ""), ("/out/kept", "1")]);
        fake.link("/d/a/l", "../../out");
        remove_dir_all(&fake, &path("/d")).await.unwrap();
        let left = fake.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
        let left: Vec<_> = left.collect(9).await.unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(left, ["out"]);
        assert_eq!(fake.content("/out/kept").unwrap(), "1");
    }

    #[tokio::test]
    async fn files_links_and_nothing_are_refused() {
        let fake = Fake::with(&[("/f", ""), ("/d/kept", "")]);
        fake.link("/l", "d");
        for (text, kind) in [
            ("/f", ErrorKind::NotADirectory),
            ("/l", ErrorKind::NotADirectory),
            ("/none", ErrorKind::NotFound),
        ] {
            assert_eq!(remove_dir_all(&fake, &path(text)).await.unwrap_err().kind(), kind, "{text}");
        }
        assert!(fake.content("/d/kept").is_some());
    }
}

//! The tree over the door: each call finds its place in `lookup.rs` and makes one or two calls on the host there.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::error::Fault;
use super::file::LocalFile;
use super::listing::{Batches, Scan};
use super::lookup::Root;
use super::{LocalFs, attributes, opening, status, writing};
use crate::error::{Error, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem, Writes};
use crate::metadata::Metadata;
use crate::options::{LinkTarget, ListOptions, OpenOptions, RenameOptions, SetAttributes, StatOptions};
use crate::path::VPath;

/// Permission bits of a new folder; the process's mask comes off.
const NEW_FOLDER_MODE: u32 = 0o777;

#[async_trait]
impl FileSystem for LocalFs {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities {
            writes: if self.writable { Writes::Anywhere } else { Writes::None },
            symlinks: true,
            hard_links: true,
            modes: self.writable,
            times: self.writable,
        }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let nofollow = if options.follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        self.quick("metadata", path, move |root, path, wait| {
            let found = root.find(path, OFlags::PATH | nofollow, Mode::empty(), wait)?;
            Ok(status::describe(&status::of(found)?))
        })
        .await
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let metadata = options.metadata;
        let first = self.job("read_dir", path, move |root, path| Scan::open(root, path, metadata)?.batch());
        Ok(DirStream::new(Batches::after(first.await?, self.disk.clone(), path.clone())))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        options.check(path)?;
        if options.changes() && !self.writable {
            return Err(Fault::ReadOnly.at("open", path));
        }
        let wishes = options.clone();
        let open = move |root: &Root, path: &VPath, wait| {
            let opened = opening::open(root, path, &wishes, wait)?;
            Ok((root.is_near(&opened.status), opened))
        };
        let (near, opened) = self.quick("open", path, open).await?;
        Ok(Arc::new(LocalFile::new(opened, options, self.writable, near, self.disk.clone())))
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        self.change("create_dir", path, |root, path| {
            let (folder, name) = named(root, path, Errno::EXIST)?;
            Ok(rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(NEW_FOLDER_MODE))?)
        })
        .await
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        self.change("remove_file", path, |root, path| {
            let (folder, name) = named(root, path, Errno::ISDIR)?;
            Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
        })
        .await
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        self.change("remove_dir", path, |root, path| {
            let (folder, name) = named(root, path, Errno::BUSY)?;
            Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
        })
        .await
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        let (target, no_replace) = (to.clone(), options.no_replace);
        let renamed = self.change("rename", from, move |root, from| {
            let (old_folder, old) = named(root, from, Errno::BUSY)?;
            let (new_folder, new) = named(root, &target, Errno::BUSY)?;
            if no_replace {
                writing::rename_to_free(&old_folder, old, &new_folder, new)?;
            } else {
                rustix::fs::renameat(old_folder, old, new_folder, new)?;
            }
            Ok(())
        });
        renamed.await.map_err(|error| with_other(error, "to", to))
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        let target = target.clone();
        self.change("symlink", path, move |root, path| {
            let (folder, name) = named(root, path, Errno::EXIST)?;
            Ok(rustix::fs::symlinkat(&target[..], folder, name)?)
        })
        .await
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        let other = original.clone();
        let linked = self.change("hard_link", link, move |root, link| {
            let (old_folder, old) = named(root, &other, Errno::PERM)?;
            let (new_folder, new) = named(root, link, Errno::EXIST)?;
            Ok(rustix::fs::linkat(old_folder, old, new_folder, new, AtFlags::empty())?)
        });
        linked.await.map_err(|error| with_other(error, "of", original))
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        self.job("read_link", path, |root, path| {
            let (folder, name) = named(root, path, Errno::INVAL)?;
            Ok(Bytes::from(rustix::fs::readlinkat(folder, name, Vec::new())?.into_bytes()))
        })
        .await
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        let attributes = *attributes;
        self.change("set_attributes", path, move |root, path| {
            attributes::set(root, path, &attributes, follow)
        })
        .await
    }
}

/// The folder that holds `path`, and its name there; the root, which has none, is refused as the system would.
fn named<'p>(root: &Root, path: &'p VPath, of_root: Errno) -> Result<(OwnedFd, &'p [u8]), Fault> {
    root.parent(path)?.ok_or(Fault::System(of_root))
}

/// Names the second path of a call that has two.
fn with_other(error: Error, word: &str, other: &VPath) -> Error {
    match error.detail() {
        Some(_) => error,
        None => error.with_detail(format!("{word} {other}")),
    }
}

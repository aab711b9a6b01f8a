//! The tree over the door: each call finds its place in `lookup.rs` and makes one or two calls on the host there.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::error::Fault;
use super::file::LocalFile;
use super::listing::{Batches, Describer, Scan};
use super::lookup::Root;
use super::{LocalFs, Wait, attributes, opening, status, writing};
use crate::error::{Error, Result};
use crate::file_system::{Capabilities, Describe, DirStream, File, FileSystem, Writes};
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
            pages: &[],
        }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let nofollow = if options.follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        if options.room && self.writable {
            // Unlike a status it is never at hand on file systems that ask a server.
            let describe = move |root: &Root, path: &VPath| {
                let found = root.find(path, OFlags::PATH | nofollow, Mode::empty(), Wait::Allowed)?;
                let room = status::room(&found);
                Ok(Metadata { room, ..status::describe(&status::of(found)?, SystemTime::now()) })
            };
            return self.job("metadata", path, describe).await;
        }
        self.quick("metadata", path, move |root, path, wait| {
            let found = root.find(path, OFlags::PATH | nofollow, Mode::empty(), wait)?;
            Ok(status::describe(&status::of(found)?, SystemTime::now()))
        })
        .await
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let (metadata, later) = (options.metadata && !options.later, options.metadata && options.later);
        let first = self.job("read_dir", path, move |root, path| {
            let scan = Scan::open(root, path, metadata)?;
            if later { Ok((Some(scan.folder()?), scan.ahead().read()?)) } else { Ok((None, scan.read()?)) }
        });
        let (folder, scanned) = first.await?;
        let describer = folder.map(|folder| -> Arc<dyn Describe> {
            Arc::new(Describer::new(folder, self.disk.clone(), path.clone()))
        });
        let batches = Batches::after(scanned, self.disk.clone(), path.clone());
        Ok(DirStream::new(batches).with_describer(describer))
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType};

    use super::*;
    use crate::backends::local::testing::{Scene, failure, kind, path, read};
    use crate::backends::local::{Links, LocalOptions};
    use crate::error::ErrorKind;

    fn scene() -> Scene {
        let scene = Scene::new();
        scene.write("file", "content");
        std::fs::create_dir(scene.inside("empty")).unwrap();
        std::fs::create_dir(scene.inside("full")).unwrap();
        scene.write("full/file", "inner");
        scene.link("link", "file");
        scene.link("folder-link", "full");
        scene
    }

    #[tokio::test]
    async fn room_is_told_where_it_is_asked_for_and_may_be_used() {
        let scene = scene();
        for tree in scene.doors(Links::Beneath) {
            for text in ["/", "/file", "/full"] {
                let found = tree.metadata(&path(text), &StatOptions::default()).await.unwrap();
                assert_eq!(found.room, None, "{text}");
                let found = tree.metadata(&path(text), &StatOptions::with_room()).await.unwrap();
                let most = rustix::fs::statvfs(scene.inside("file")).unwrap();
                assert!(found.room.is_some_and(|room| room <= most.f_blocks * most.f_frsize), "{text}");
            }
            let missing = tree.metadata(&path("/none"), &StatOptions::with_room()).await;
            assert_eq!(kind(missing), ErrorKind::NotFound);
        }
    }

    #[tokio::test]
    async fn what_is_neither_file_nor_folder_is_refused_and_not_waited_for() {
        let scene = Scene::new();
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, scene.inside("fifo"), FileType::Fifo, mode, 0).unwrap();
        let _socket = UnixListener::bind(scene.inside("socket")).unwrap();
        scene.link("link", "fifo");
        for tree in scene.doors(Links::Beneath) {
            for text in ["/fifo", "/socket", "/link"] {
                for options in [OpenOptions::reading(), OpenOptions::writing(), OpenOptions::replacing()] {
                    let refused = tree.open(&path(text), &options).await;
                    assert_eq!(kind(refused), ErrorKind::PermissionDenied, "{text} {options:?}");
                }
            }
        }
        let devices = LocalFs::open("/dev").unwrap();
        let refused = failure(devices.open(&path("/null"), &OpenOptions::reading()).await);
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        assert!(refused.detail().is_some_and(|detail| detail.contains("device")));
    }

    #[tokio::test]
    async fn every_refusal_is_the_one_of_the_host() {
        let scene = scene();
        let replace = RenameOptions::default();
        for tree in scene.doors(Links::Beneath) {
            let open = async |text: &str, options| tree.open(&path(text), &options).await.map(drop);
            let create_new = OpenOptions { create_new: true, ..OpenOptions::writing() };
            let no_follow = OpenOptions { follow: false, ..OpenOptions::reading() };
            let update = OpenOptions { write: true, ..OpenOptions::default() };
            for (refused, refusal) in [
                (open("/full", OpenOptions::reading()).await, ErrorKind::IsADirectory),
                (open("/folder-link", OpenOptions::writing()).await, ErrorKind::IsADirectory),
                (open("/", OpenOptions::reading()).await, ErrorKind::IsADirectory),
                (open("/", OpenOptions::writing()).await, ErrorKind::IsADirectory),
                (open("/", create_new.clone()).await, ErrorKind::AlreadyExists),
                (open("/full", create_new.clone()).await, ErrorKind::AlreadyExists),
                (open("/link", create_new).await, ErrorKind::AlreadyExists),
                (open("/link", no_follow).await, ErrorKind::Loop),
                (open("/missing", update).await, ErrorKind::NotFound),
                (open("/missing/x", OpenOptions::writing()).await, ErrorKind::NotFound),
                (open("/file", OpenOptions::default()).await, ErrorKind::InvalidInput),
                (tree.create_dir(&path("/")).await, ErrorKind::AlreadyExists),
                (tree.create_dir(&path("/link")).await, ErrorKind::AlreadyExists),
                (tree.create_dir(&path("/missing/x")).await, ErrorKind::NotFound),
                (tree.create_dir(&path("/file/x")).await, ErrorKind::NotADirectory),
                (tree.remove_file(&path("/")).await, ErrorKind::IsADirectory),
                (tree.remove_file(&path("/empty")).await, ErrorKind::IsADirectory),
                (tree.remove_file(&path("/missing")).await, ErrorKind::NotFound),
                (tree.remove_dir(&path("/")).await, ErrorKind::Busy),
                (tree.remove_dir(&path("/file")).await, ErrorKind::NotADirectory),
                (tree.remove_dir(&path("/folder-link")).await, ErrorKind::NotADirectory),
                (tree.remove_dir(&path("/full")).await, ErrorKind::DirectoryNotEmpty),
                (tree.rename(&path("/file"), &path("/full"), &replace).await, ErrorKind::IsADirectory),
                (tree.rename(&path("/empty"), &path("/file"), &replace).await, ErrorKind::NotADirectory),
                (tree.rename(&path("/empty"), &path("/full"), &replace).await, ErrorKind::DirectoryNotEmpty),
                (tree.rename(&path("/full"), &path("/full/x"), &replace).await, ErrorKind::InvalidInput),
                (tree.rename(&path("/missing"), &path("/x"), &replace).await, ErrorKind::NotFound),
                (tree.rename(&path("/"), &path("/x"), &replace).await, ErrorKind::Busy),
                (
                    tree.rename(&path("/file"), &path("/link"), &RenameOptions { no_replace: true }).await,
                    ErrorKind::AlreadyExists,
                ),
                (
                    tree.rename(&path("/full"), &path("/full/x"), &RenameOptions { no_replace: true }).await,
                    ErrorKind::InvalidInput,
                ),
                (tree.symlink(&"x".into(), &path("/file")).await, ErrorKind::AlreadyExists),
                (tree.symlink(&Bytes::new(), &path("/new")).await, ErrorKind::NotFound),
                (tree.symlink(&"a\0b".into(), &path("/new")).await, ErrorKind::InvalidInput),
                (tree.hard_link(&path("/full"), &path("/new")).await, ErrorKind::PermissionDenied),
                (tree.hard_link(&path("/file"), &path("/link")).await, ErrorKind::AlreadyExists),
                (tree.read_link(&path("/file")).await.map(drop), ErrorKind::InvalidInput),
                (tree.read_link(&path("/")).await.map(drop), ErrorKind::InvalidInput),
                (tree.read_link(&path("/missing")).await.map(drop), ErrorKind::NotFound),
            ] {
                let error = failure(refused);
                assert_eq!(error.kind(), refusal, "{error}");
            }
        }
        assert_eq!(scene.names(), ["empty", "file", "folder-link", "full", "link"]);
    }

    #[tokio::test]
    async fn changes_happen_on_the_host() {
        for walking in [false, true] {
            let scene = scene();
            let tree = if walking { scene.walking(Links::Beneath) } else { scene.tree(Links::Beneath) };
            let replace = RenameOptions::default();
            tree.create_dir(&path("/new")).await.unwrap();
            tree.rename(&path("/new"), &path("/empty"), &replace).await.unwrap();
            tree.remove_dir(&path("/empty")).await.unwrap();
            tree.symlink(&"../up \u{e9}".into(), &path("/text")).await.unwrap();
            assert_eq!(tree.read_link(&path("/text")).await.unwrap(), "../up \u{e9}");
            tree.hard_link(&path("/link"), &path("/second-link")).await.unwrap();
            assert_eq!(tree.read_link(&path("/second-link")).await.unwrap(), "file");
            tree.remove_file(&path("/link")).await.unwrap();
            tree.hard_link(&path("/file"), &path("/full/second")).await.unwrap();
            tree.rename(&path("/file"), &path("/full/file"), &replace).await.unwrap();
            tree.rename(&path("/full/file"), &path("/full/file"), &replace).await.unwrap();
            assert_eq!(read(&tree, "/full/file").await.unwrap(), "content");
            assert_eq!(scene.names(), ["folder-link", "full", "second-link", "text"]);
        }
    }

    #[tokio::test]
    async fn a_read_only_tree_refuses_every_change_and_stays_as_it_was() {
        let scene = scene();
        let tree = LocalFs::open(scene.inside("")).unwrap();
        let (file, new) = (path("/file"), path("/new"));
        let open = async |options| tree.open(&file, &options).await.map(drop);
        for refused in [
            open(OpenOptions::writing()).await,
            open(OpenOptions::replacing()).await,
            open(OpenOptions { append: true, ..OpenOptions::default() }).await,
            tree.create_dir(&new).await,
            tree.remove_file(&file).await,
            tree.remove_dir(&path("/empty")).await,
            tree.rename(&file, &new, &RenameOptions::default()).await,
            tree.symlink(&"x".into(), &new).await,
            tree.hard_link(&file, &new).await,
            tree.set_attributes(&file, &SetAttributes { mode: Some(0), ..Default::default() }, true).await,
        ] {
            assert_eq!(kind(refused), ErrorKind::ReadOnly);
        }
        assert_eq!(tree.capabilities(&file).writes, Writes::None);
        assert_eq!(scene.names(), ["empty", "file", "folder-link", "full", "link"]);
        assert_eq!(read(&tree, "/file").await.unwrap(), "content");
    }

    #[tokio::test]
    async fn a_version_is_opened_as_long_as_it_is_there() {
        let scene = scene();
        let tree = scene.tree(Links::Beneath);
        let found = tree.metadata(&path("/file"), &StatOptions::default()).await.unwrap();
        let options = OpenOptions { if_match: found.validator, ..OpenOptions::reading() };
        tree.open(&path("/file"), &options).await.unwrap();
        scene.write("file", "longer content");
        assert_eq!(kind(tree.open(&path("/file"), &options).await), ErrorKind::Changed);
        let writing = OpenOptions { if_match: options.if_match, ..OpenOptions::writing() };
        assert_eq!(kind(tree.open(&path("/file"), &writing).await), ErrorKind::Changed);
        assert_eq!(read(&tree, "/file").await.unwrap(), "longer content");
    }

    #[tokio::test]
    async fn the_whole_host_is_a_tree_with_its_own_links() {
        let scene = scene();
        let folder = scene.inside("");
        symlink(&folder, scene.outside("absolute")).unwrap();
        let options = LocalOptions { links: Links::ReRooted, ..LocalOptions::default() };
        let host = LocalFs::open_with("/", &options).unwrap();
        let text = scene.outside("absolute/link");
        assert_eq!(read(&host, text.to_str().unwrap()).await.unwrap(), "content");
    }

    #[test]
    fn a_folder_that_cannot_be_shown_is_named() {
        let scene = scene();
        for (name, refusal) in [("missing", ErrorKind::NotFound), ("file", ErrorKind::NotADirectory)] {
            let refused = failure(LocalFs::open(scene.inside(name)));
            assert_eq!(refused.kind(), refusal);
            assert!(refused.to_string().contains(scene.inside(name).to_str().unwrap()), "{refused}");
        }
    }
}

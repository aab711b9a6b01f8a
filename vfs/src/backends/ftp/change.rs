//! What changes the tree: folders, names, attributes, and files that are opened for writing.

use std::sync::Arc;

use bytes::Bytes;

use super::data::Use;
use super::error::Fault;
use super::folder::Rows;
use super::fs::FtpFs;
use super::listing::{Facts, stamp};
use super::reply::Reply;
use super::site::Again;
use super::upload::{Mode, Upload, rename, store};
use super::wire::Wire;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::metadata::FileType;
use crate::options::{OpenOptions, RenameOptions, SetAttributes, WriteMode};
use crate::path::VPath;

impl FtpFs {
    pub(super) fn check_writable(&self, op: &'static str, path: &VPath) -> Result<()> {
        match self.is_writable() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::ReadOnly, op, path)),
        }
    }

    /// Opens `path` for writing. In place the file is made, or cut, here and now.
    pub(super) async fn open_to_write(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        const OP: &str = "open";
        let target = self.names().to_wire(path, OP)?;
        let is_atomic = options.write_mode == WriteMode::Atomic;
        let _turn = match options.create_new && !is_atomic {
            true => Some(self.site().exclusive.lock().await),
            false => None,
        };
        let found = self.found(path, OP).await?;
        let kind = match &found {
            Some(_) if options.create_new => Some(ErrorKind::AlreadyExists),
            Some(facts) if facts.file_type == FileType::Dir => Some(ErrorKind::IsADirectory),
            Some(facts) if facts.file_type == FileType::Other => Some(ErrorKind::PermissionDenied),
            None if !options.create && !options.create_new => Some(ErrorKind::NotFound),
            _ => None,
        };
        if let Some(kind) = kind {
            return Err(Error::new(kind, OP, path));
        }
        let is_empty = found.as_ref().is_none_or(|facts| facts.len == Some(0));
        let restarts = options.truncate || options.create_new;
        if options.read || !is_atomic && !options.append && !restarts && !is_empty {
            let detail = "an FTP site takes a file from its start, or at its end by appending";
            return Err(Error::new(ErrorKind::Unsupported, OP, path).with_detail(detail));
        }
        if !is_atomic && (found.is_none() || restarts && !options.append) {
            let place = target.clone();
            self.site()
                .run(OP, path, Again::No, move |wire| {
                    let place = place.clone();
                    Box::pin(async move { store(wire, &place, Use::Store, Bytes::new(), None).await })
                })
                .await?;
            self.changes().note(path);
            if let Some(bits) = options.mode.filter(|_| found.is_none()) {
                // A site without SITE CHMOD gives what it gives to every file.
                let _ = self.command(&format!("SITE CHMOD {bits:03o}"), path, OP, &[200, 250]).await;
            }
        }
        let mode = match options {
            options if is_atomic => Mode::Atomic { exclusive: options.create_new },
            OpenOptions { append: true, .. } => Mode::Append,
            _ => Mode::InPlace,
        };
        let (site, changes) = (Arc::clone(self.site()), Arc::clone(self.changes()));
        Ok(Arc::new(Upload::new(site, changes, path, target, mode)))
    }

    pub(super) async fn make_folder(&self, path: &VPath) -> Result<()> {
        const OP: &str = "create_dir";
        if self.found(path, OP).await?.is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, OP, path));
        }
        self.command("MKD", path, OP, &[200, 250, 257]).await.map_err(|error| match error.kind() {
            // It was missing, and its folder is there.
            ErrorKind::NotFound => Error::new(ErrorKind::PermissionDenied, OP, path).with_source(error),
            _ => error,
        })
    }

    pub(super) async fn remove(&self, path: &VPath) -> Result<()> {
        const OP: &str = "remove_file";
        if self.facts(path, false, OP).await?.file_type == FileType::Dir {
            return Err(Error::new(ErrorKind::IsADirectory, OP, path));
        }
        self.command("DELE", path, OP, &[200, 250]).await?;
        self.changes().note(path);
        Ok(())
    }

    pub(super) async fn remove_folder(&self, path: &VPath) -> Result<()> {
        const OP: &str = "remove_dir";
        if path.is_root() {
            return Err(Error::new(ErrorKind::InvalidInput, OP, path).with_detail("the root stays"));
        }
        if self.facts(path, false, OP).await?.file_type != FileType::Dir {
            return Err(Error::new(ErrorKind::NotADirectory, OP, path));
        }
        let removed = self.command("RMD", path, OP, &[200, 250]).await;
        match removed {
            Err(_) if self.holds_something(path, OP).await => {
                Err(Error::new(ErrorKind::DirectoryNotEmpty, OP, path))
            }
            removed => removed,
        }
    }

    pub(super) async fn move_to(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        const OP: &str = "rename";
        let refuse = |kind| Err(Error::new(kind, OP, from));
        if from.is_root() || to.is_root() {
            return refuse(ErrorKind::InvalidInput);
        }
        let moved = self.facts(from, false, OP).await?;
        if from == to {
            return if options.no_replace { refuse(ErrorKind::AlreadyExists) } else { Ok(()) };
        }
        let is_folder = moved.file_type == FileType::Dir;
        if is_folder && to.starts_with(from) {
            return refuse(ErrorKind::InvalidInput);
        }
        let _turn = if options.no_replace { Some(self.site().exclusive.lock().await) } else { None };
        match self.found(to, OP).await?.map(|facts| facts.file_type == FileType::Dir) {
            Some(_) if options.no_replace => return refuse(ErrorKind::AlreadyExists),
            Some(true) if !is_folder => return refuse(ErrorKind::IsADirectory),
            Some(false) if is_folder => return refuse(ErrorKind::NotADirectory),
            Some(true) if self.holds_something(to, OP).await => return refuse(ErrorKind::DirectoryNotEmpty),
            _ => {}
        }
        let (place, target) = (self.names().to_wire(from, OP)?, self.names().to_wire(to, OP)?);
        self.site()
            .run(OP, from, Again::No, move |wire| {
                let (place, target) = (place.clone(), target.clone());
                Box::pin(async move { rename(wire, &place, &target).await })
            })
            .await?;
        self.changes().note(from);
        self.changes().note(to);
        Ok(())
    }

    /// MFMT for the time, SITE CHMOD for the mode; nothing where one of the wishes cannot be had.
    pub(super) async fn set(&self, path: &VPath, wishes: &SetAttributes) -> Result<()> {
        const OP: &str = "set_attributes";
        self.facts(path, true, OP).await?;
        let unsupported = |detail| Err(Error::new(ErrorKind::Unsupported, OP, path).with_detail(detail));
        if wishes.accessed.is_some() || wishes.user.is_some() || wishes.group.is_some() {
            return unsupported(
                "an FTP site sets the time of the last change and the mode, and nothing else",
            );
        }
        let has_mfmt = self.site().lore().features().is_some_and(|features| features.mfmt);
        if wishes.modified.is_some() && !has_mfmt {
            return unsupported("the site does not set times: it has no MFMT");
        }
        let stamped = wishes.modified.map(stamp);
        if stamped == Some(None) {
            return Err(Error::new(ErrorKind::InvalidInput, OP, path).with_detail("a year has four digits"));
        }
        // The mode first: it may be what a site does not know.
        if let Some(mode) = wishes.mode {
            self.command(&format!("SITE CHMOD {mode:03o}"), path, OP, &[200, 250]).await?;
        }
        if let Some(stamp) = stamped.flatten() {
            self.command(&format!("MFMT {stamp}"), path, OP, &[213, 250]).await?;
        }
        Ok(())
    }

    /// What stands at `path`, where something does. A missing folder above it is an error all the same.
    async fn found(&self, path: &VPath, op: &'static str) -> Result<Option<Facts>> {
        match self.facts(path, false, op).await {
            Ok(facts) => Ok(Some(facts)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let Some(parent) = path.parent().filter(|parent| !parent.is_root()) else { return Ok(None) };
                match self.facts(&parent, true, op).await {
                    Ok(facts) if facts.file_type == FileType::Dir => Ok(None),
                    Ok(_) => Err(Error::new(ErrorKind::NotADirectory, op, path)),
                    Err(above) => Err(above.readdressed(|_| path.clone())),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn command(&self, verb: &str, path: &VPath, op: &'static str, codes: &'static [u16]) -> Result<()> {
        let (verb, target) = (verb.to_owned(), self.names().to_wire(path, op)?);
        self.site()
            .run(op, path, Again::No, move |wire| {
                let (verb, target) = (verb.clone(), target.clone());
                Box::pin(async move { wire.expect_of(&verb, &target, codes).await })
            })
            .await
            .map(|_: Reply| ())
    }

    async fn holds_something(&self, path: &VPath, op: &'static str) -> bool {
        let Ok(folder) = self.names().to_wire(path, op) else { return false };
        let looked = self.site().attempt(Again::Yes, move |wire| {
            let folder = folder.clone();
            Box::pin(async move { has_rows(wire, &folder).await })
        });
        looked.await.unwrap_or(false)
    }
}

async fn has_rows(wire: &mut Wire, folder: &[u8]) -> Result<bool, Fault> {
    let mut rows = Rows::start(wire, folder).await?;
    let found = rows.next(wire).await?.is_some();
    if found {
        rows.leave(wire).await;
    }
    Ok(found)
}

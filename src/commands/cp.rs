//! `vfsd cp`: copies files, links and whole folders, also from one mount to another.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use clap::Args;
use vfs::fs::Fs;
use vfs::{
    Error, ErrorKind, FileSystem, FileType, LinkTarget, Metadata, OpenOptions, SetAttributes, StatOptions,
    VPath,
};

use crate::cli::Over;
use crate::console::Console;
use crate::content::Content;
use crate::failure::Failure;
use crate::listing::{Order, Wish};
use crate::namespace::{Host, Operand};
use crate::progress::Progress;
use crate::signals::Signals;
use crate::walk::{Found, Step, Walk};

/// Permission bits that a copy keeps. Set-user-ID and its kin belong to the file that somebody gave them to.
const KEPT_MODE: u32 = 0o777;

/// Arguments of `vfsd cp`.
#[derive(Args, Clone, Debug)]
pub struct Cp {
    #[command(flatten)]
    over: Over,
    /// Copy folders with all that is in them; links are copied as links
    #[arg(short, long)]
    recursive: bool,
    /// What to copy
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<OsString>,
    /// Where to: an existing folder, or the copy's own path
    #[arg(value_name = "TARGET")]
    target: OsString,
}

/// Copies. Each file appears as a whole or not at all. What cannot be copied is complained about, and the rest follows. A
/// signal counts as a failure; what was copied before stays.
///
/// # Errors
/// [`Failure::Operation`] where nothing can be copied, with the reason; [`Failure::Interrupted`].
pub async fn run(arguments: &Cp, console: &mut Console) -> Result<(), Failure> {
    // Taken before anything is written: an interrupted copy drops its future, and that removes the part file.
    let mut signals = Signals::take()?;
    tokio::select! {
        copied = copy_all(arguments, console) => copied,
        _ = signals.next() => Err(Failure::Interrupted),
    }
}

async fn copy_all(arguments: &Cp, console: &mut Console) -> Result<(), Failure> {
    let host = Host::writable(&arguments.over).await?;
    let sources = host.operands(&arguments.sources)?;
    let target = host.operand(&arguments.target)?;
    let mut copier = Copier { tree: Arc::clone(host.tree()), recursive: arguments.recursive, console };
    let into_folder = copier.is_folder(target.path()).await?;
    if sources.len() > 1 && !into_folder {
        let error = Error::new(ErrorKind::NotADirectory, "copy", target.path());
        return Err(error.with_detail("several sources need a folder to go to: create it first").into());
    }
    let mut copies = BTreeMap::new();
    for source in &sources {
        let target = if into_folder { inside(target.path(), source)? } else { target.path().clone() };
        if let Some(first) = copies.insert(target, source.path()) {
            let detail = format!("{first} has the same name, and one copy would replace the other");
            return Err(Error::new(ErrorKind::InvalidInput, "copy", source.path())
                .with_detail(detail)
                .into());
        }
    }
    for (target, source) in &copies {
        if let Err(error) = copier.copy(source, target).await {
            copier.console.complain(error);
        }
    }
    Ok(())
}

/// Where `source` goes in `folder`: under its own name, without the markers that enter it.
fn inside(folder: &VPath, source: &Operand) -> vfs::Result<VPath> {
    match source.path().file_name() {
        Some(segment) => Ok(folder.child(segment.name().clone())?),
        None => Err(Error::new(ErrorKind::InvalidInput, "copy", source.path()).with_detail(
            "the root has no name that its copy could have: name a target that does not exist yet",
        )),
    }
}

struct Copier<'a> {
    tree: Arc<dyn FileSystem>,
    recursive: bool,
    /// Hears of what cannot be copied.
    console: &'a mut Console,
}

impl Copier<'_> {
    async fn is_folder(&self, path: &VPath) -> vfs::Result<bool> {
        match self.tree.metadata(path, &StatOptions::default()).await {
            Ok(about) => Ok(about.is_dir()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Copies one source of the command line. A link there is followed unless folders are copied too.
    async fn copy(&mut self, source: &VPath, target: &VPath) -> vfs::Result<()> {
        let stat = StatOptions { follow: !self.recursive, ..StatOptions::default() };
        let about = self.tree.metadata(source, &stat).await?;
        match about.file_type {
            FileType::Dir if !self.recursive => Err(Error::new(ErrorKind::IsADirectory, "copy", source)
                .with_detail("add -r to copy folders with all that is in them")),
            FileType::Dir => self.copy_folder(source, &about, target).await,
            FileType::File => self.copy_file(source, target).await,
            FileType::Symlink => self.copy_link(source, target).await,
            FileType::Other => Err(special(source)),
        }
    }

    /// Copies a folder with all that is in it; says of each entry that cannot be copied why, and goes on.
    ///
    /// # Errors
    /// Where the folder itself cannot be listed, or made.
    async fn copy_folder(&mut self, source: &VPath, about: &Metadata, target: &VPath) -> vfs::Result<()> {
        if self.resolved(target).await?.is_covered_by(&self.resolved(source).await?) {
            let detail = format!("a folder cannot be copied into itself, to {target}");
            return Err(Error::new(ErrorKind::InvalidInput, "copy", source).with_detail(detail));
        }
        let wish = Wish { order: Order::AsListed, hidden: true, metadata: true };
        let mut walk = Walk::new(&self.tree, wish);
        // What each folder that the walk is in gets when it is left: only then is nothing created in it any more.
        let mut pending = vec![self.create_folder(target, Some(about)).await?];
        walk.enter(source).await?;
        while let Some(step) = walk.next().await {
            let done = match step {
                Ok(Step::Found(found)) => {
                    let to = counterpart(&found.path, source, target);
                    if found.file_type == FileType::Dir {
                        self.enter_folder(&found, &to, &mut walk, &mut pending).await
                    } else {
                        self.copy_entry(&found, &to).await
                    }
                }
                Ok(Step::Left(path)) => match pending.pop().flatten() {
                    Some(attributes) => {
                        let left = counterpart(&path, source, target);
                        self.tree.set_attributes(&left, &attributes, false).await
                    }
                    None => Ok(()),
                },
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                self.console.complain(error);
            }
        }
        Ok(())
    }

    /// Makes the folder `to` for the one that the walk has come to, and goes into that.
    async fn enter_folder(
        &self,
        found: &Found,
        to: &VPath,
        walk: &mut Walk,
        pending: &mut Vec<Option<SetAttributes>>,
    ) -> vfs::Result<()> {
        let attributes = self.create_folder(to, found.entry.metadata.as_ref()).await?;
        walk.enter(&found.path).await?;
        pending.push(attributes);
        Ok(())
    }

    /// `path` without links, as far as it exists.
    async fn resolved(&self, path: &VPath) -> vfs::Result<VPath> {
        let tree = Fs::new(Arc::clone(&self.tree));
        let mut standing = path.clone();
        loop {
            let text = standing.to_bytes();
            if let Ok(resolved) = tree.canonicalize(OsStr::from_bytes(&text)).await {
                let rest = path.strip_prefix(&standing).unwrap_or_default();
                return Ok(VPath::parse(resolved.as_os_str().as_bytes())?.append(&rest));
            }
            match standing.parent() {
                Some(parent) => standing = parent,
                None => return Ok(path.clone()),
            }
        }
    }

    async fn copy_entry(&self, found: &Found, target: &VPath) -> vfs::Result<()> {
        match found.file_type {
            FileType::Symlink => self.copy_link(&found.path, target).await,
            FileType::Other => Err(special(&found.path)),
            FileType::File | FileType::Dir => self.copy_file(&found.path, target).await,
        }
    }

    /// Creates the folder `target`; gives what is to be set on it in the end. A folder that is there keeps its own.
    async fn create_folder(
        &self,
        target: &VPath,
        about: Option<&Metadata>,
    ) -> vfs::Result<Option<SetAttributes>> {
        match self.tree.create_dir(target).await {
            Ok(()) => {
                let attributes = about.map(|about| self.kept(about, target));
                Ok(attributes.filter(|attributes| !attributes.is_empty()))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                match self.tree.metadata(target, &StatOptions::no_follow()).await?.file_type {
                    FileType::Dir => Ok(None),
                    other => {
                        Err(error
                            .with_detail(format!("a {other} is in the way of the folder: remove it first")))
                    }
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Copies a file's bytes, then its mode and times, and only then shows it under its name.
    async fn copy_file(&self, source: &VPath, target: &VPath) -> vfs::Result<()> {
        let from = self.tree.open(source, &OpenOptions::reading()).await?;
        let about = from.metadata().await?;
        vfs::walk::check_copy(&*self.tree, source, &about, target).await?;
        let mode = about.mode.map(|mode| mode & KEPT_MODE);
        let to = self.tree.open(target, &OpenOptions { mode, ..OpenOptions::replacing() }).await?;
        let mut content = Content::whole(from, source).await?;
        let progress = Progress::of(source, about.len);
        let mut offset = 0;
        while let Some(piece) = content.next().await {
            let piece = piece?;
            let len = piece.len() as u64;
            to.write_at(offset, piece).await?;
            offset += len;
            progress.advance(len);
        }
        let attributes = self.kept(&about, target);
        if !attributes.is_empty() {
            to.set_attributes(&attributes).await?;
        }
        to.finish().await
    }

    async fn copy_link(&self, source: &VPath, target: &VPath) -> vfs::Result<()> {
        let text: LinkTarget = self.tree.read_link(source).await?;
        self.tree.symlink(&text, target).await.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => error.with_detail("it is in the way of a link: remove it first"),
            _ => error,
        })
    }

    /// What both sides can keep of a description. Rounded times are for people to read, not to be handed on.
    fn kept(&self, about: &Metadata, target: &VPath) -> SetAttributes {
        let able = self.tree.capabilities(target);
        SetAttributes {
            mode: about.mode.map(|mode| mode & KEPT_MODE).filter(|_| able.modes),
            modified: about.modified.filter(|_| able.times && !about.provenance.approximate),
            ..SetAttributes::default()
        }
    }
}

/// Where the copy of `path` goes, which lies below `source`.
fn counterpart(path: &VPath, source: &VPath, target: &VPath) -> VPath {
    target.append(&path.strip_prefix(source).unwrap_or_default())
}

fn special(path: &VPath) -> Error {
    Error::new(ErrorKind::InvalidInput, "copy", path)
        .with_detail("it is a device, FIFO or socket, which hold no bytes to copy: leave it out")
}

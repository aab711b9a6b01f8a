//! `vfsd cp`: copies files, links and whole folders, also from one mount to another.

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
use crate::content::Content;
use crate::failure::Failure;
use crate::listing::{Order, Wish};
use crate::namespace::{Host, Operand};
use crate::progress::Progress;
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

/// Copies, and stops at the first thing that fails. Each file appears as a whole or not at all; what was copied before
/// stays. Ctrl-C counts as a failure.
///
/// # Errors
/// [`Failure::Operation`] with the path that failed; [`Failure::Interrupted`].
pub async fn run(arguments: &Cp) -> Result<(), Failure> {
    // Taken before anything is written: an interrupted copy drops its future, and that removes the part file.
    let interrupted = tokio::signal::ctrl_c();
    tokio::select! {
        copied = copy_all(arguments) => copied,
        _ = interrupted => Err(Failure::Interrupted),
    }
}

async fn copy_all(arguments: &Cp) -> Result<(), Failure> {
    let host = Host::writable(&arguments.over).await?;
    let sources = host.operands(&arguments.sources)?;
    let target = host.operand(&arguments.target)?;
    let copier = Copier { tree: Arc::clone(host.tree()), recursive: arguments.recursive };
    let into_folder = copier.is_folder(target.path()).await?;
    if sources.len() > 1 && !into_folder {
        let error = Error::new(ErrorKind::NotADirectory, "copy", target.path());
        return Err(error.with_detail("several sources need a folder to go to: create it first").into());
    }
    for source in sources {
        let target = if into_folder { inside(target.path(), &source)? } else { target.path().clone() };
        copier.copy(source.path(), &target).await?;
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

struct Copier {
    tree: Arc<dyn FileSystem>,
    recursive: bool,
}

impl Copier {
    async fn is_folder(&self, path: &VPath) -> vfs::Result<bool> {
        match self.tree.metadata(path, &StatOptions::default()).await {
            Ok(about) => Ok(about.is_dir()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Copies one source of the command line. A link there is followed unless folders are copied too.
    async fn copy(&self, source: &VPath, target: &VPath) -> vfs::Result<()> {
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

    async fn copy_folder(&self, source: &VPath, about: &Metadata, target: &VPath) -> vfs::Result<()> {
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
            match step? {
                Step::Found(found) => {
                    let to = counterpart(&found.path, source, target);
                    if found.file_type == FileType::Dir {
                        pending.push(self.create_folder(&to, found.entry.metadata.as_ref()).await?);
                        walk.enter(&found.path).await?;
                    } else {
                        self.copy_entry(&found, &to).await?;
                    }
                }
                Step::Left(path) => {
                    if let Some(attributes) = pending.pop().flatten() {
                        let left = counterpart(&path, source, target);
                        self.tree.set_attributes(&left, &attributes, false).await?;
                    }
                }
            }
        }
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
        self.refuse_itself(source, &about, target).await?;
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

    /// Copying a file onto itself would at best do nothing.
    async fn refuse_itself(&self, source: &VPath, about: &Metadata, target: &VPath) -> vfs::Result<()> {
        let there = self.tree.metadata(target, &StatOptions::default()).await.ok();
        let is_itself =
            there.is_some_and(|there| there.identity.is_some() && there.identity == about.identity);
        if source == target || is_itself {
            let detail = format!("it is the same file as {source}");
            return Err(Error::new(ErrorKind::InvalidInput, "copy", target).with_detail(detail));
        }
        Ok(())
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

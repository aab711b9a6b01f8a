//! `vfsd ls`: names in a folder, one a line.

use std::ffi::OsString;
use std::fmt::Write;

use bytes::Bytes;
use clap::Args;
use vfs::path::printed_name;
use vfs::{Availability, DirEntry, FileType, Metadata, StatOptions, VPath};

use crate::cli::Over;
use crate::console::Console;
use crate::failure::Failure;
use crate::listing::{Listing, Order, Wish};
use crate::namespace::{Host, Operand};
use crate::units::{mode_text, moment_text};

/// Arguments of `vfsd ls`.
#[derive(Args, Clone, Debug)]
pub struct Ls {
    #[command(flatten)]
    over: Over,
    /// With type and mode, owner, length and time of the last change; ? for what is not known
    #[arg(short, long)]
    long: bool,
    /// Names that start with a dot, too
    #[arg(short, long)]
    all: bool,
    /// Folders to list, and files to name
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<OsString>,
}

/// Lists the paths: files first, then folder by folder. One that cannot be listed is complained about, and the others
/// follow.
///
/// # Errors
/// [`Failure::Reported`] where any could not be listed; what writing says.
pub async fn run(arguments: &Ls, console: &mut Console) -> Result<(), Failure> {
    let host = Host::open(&arguments.over).await?;
    let operands = host.operands(&arguments.paths)?;
    let lister = Lister { host: &host, long: arguments.long, hidden: arguments.all };
    let several = operands.len() > 1;
    let mut folders = Vec::new();
    let mut separate = false;
    for operand in operands {
        match lister.named(&operand).await {
            Ok(None) => folders.push(operand),
            Ok(Some(row)) => {
                lister.show(&row, console).await?;
                separate = true;
            }
            Err(error) => console.complain(error),
        }
    }
    for folder in folders {
        if separate {
            console.line("")?;
        }
        if several {
            let title = console.shown(folder.shown(folder.path())).into_owned();
            console.line([&title, &b":"[..]].concat())?;
        }
        lister.list(folder.path(), console).await?;
        separate = several;
    }
    Ok(())
}

struct Lister<'a> {
    host: &'a Host,
    long: bool,
    hidden: bool,
}

/// One line of the listing.
struct Row {
    path: VPath,
    name: Vec<u8>,
    file_type: Option<FileType>,
    metadata: Option<Metadata>,
    mount: Option<Availability>,
}

impl Lister<'_> {
    /// The line of a path that was named; `None` for a folder, or a link to one: that is listed.
    async fn named(&self, operand: &Operand) -> vfs::Result<Option<Row>> {
        let tree = self.host.tree();
        let metadata = tree.metadata(operand.path(), &StatOptions::no_follow()).await?;
        let is_folder = metadata.is_dir()
            || metadata.is_symlink()
                && tree.metadata(operand.path(), &StatOptions::default()).await.is_ok_and(|to| to.is_dir());
        if is_folder {
            return Ok(None);
        }
        Ok(Some(Row {
            path: operand.path().clone(),
            name: operand.shown(operand.path()),
            file_type: Some(metadata.file_type),
            metadata: Some(metadata),
            mount: None,
        }))
    }

    async fn list(&self, folder: &VPath, console: &mut Console) -> Result<(), Failure> {
        let wish = Wish { order: Order::ByName, hidden: self.hidden, metadata: self.long };
        let mut listing = match Listing::open(&**self.host.tree(), folder, wish).await {
            Ok(listing) => listing,
            Err(error) => {
                console.complain(error);
                return Ok(());
            }
        };
        while let Some(entry) = listing.next().await {
            match entry.and_then(|entry| Row::of(folder, entry)) {
                Ok(row) => self.show(&row, console).await?,
                Err(error) => console.complain(error),
            }
        }
        Ok(())
    }

    async fn show(&self, row: &Row, console: &mut Console) -> Result<(), Failure> {
        let mut line = Vec::new();
        if self.long {
            line.extend_from_slice(row.description().as_bytes());
        }
        line.extend_from_slice(&console.shown(&row.name));
        if self.long
            && let Some(target) = self.target(row).await
        {
            line.extend_from_slice(b" -> ");
            line.extend_from_slice(&console.shown(&target[..]));
        }
        if row.mount == Some(Availability::Unavailable) {
            line.extend_from_slice(b" (unavailable)");
        }
        console.line(line)
    }

    /// Where a link leads.
    async fn target(&self, row: &Row) -> Option<Bytes> {
        match row.file_type {
            Some(FileType::Symlink) => self.host.tree().read_link(&row.path).await.ok(),
            _ => None,
        }
    }
}

impl Row {
    fn of(folder: &VPath, entry: DirEntry) -> vfs::Result<Self> {
        Ok(Self {
            path: folder.child(entry.name.clone())?,
            name: printed_name(&entry.name).into_owned(),
            file_type: entry.metadata.as_ref().map(|about| about.file_type).or(entry.file_type),
            metadata: entry.metadata,
            mount: entry.mount,
        })
    }

    /// What stands before the name in a long listing.
    fn description(&self) -> String {
        let about = self.metadata.as_ref();
        let mut text = match self.file_type {
            Some(file_type) => mode_text(file_type, about.and_then(|about| about.mode)),
            None => "??????????".to_owned(),
        };
        let owner = about.and_then(|about| about.owner);
        let owner = owner.map_or("?".to_owned(), |owner| format!("{}:{}", owner.user, owner.group));
        let len = about.and_then(|about| about.len).map_or("?".to_owned(), |len| len.to_string());
        let modified = about.and_then(|about| about.modified).map_or("?".to_owned(), moment_text);
        // Writing into a string does not fail.
        let _ = write!(text, " {owner:>11} {len:>13} {modified:>20} ");
        text
    }
}

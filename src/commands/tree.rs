//! `vfsd tree`: folders with all that is in them, drawn.

use std::ffi::OsString;
use std::sync::Arc;

use clap::Args;
use vfs::path::printed_name;
use vfs::{FileSystem, FileType, VPath};

use crate::cli::Over;
use crate::console::Console;
use crate::failure::Failure;
use crate::listing::{Order, Wish};
use crate::namespace::{Host, Operand};
use crate::walk::{Found, Step, Walk};

/// Arguments of `vfsd tree`.
#[derive(Args, Clone, Debug)]
pub struct Tree {
    #[command(flatten)]
    over: Over,
    /// Draw at most this many levels
    #[arg(short, long, value_name = "LEVELS", value_parser = clap::value_parser!(u16).range(1..))]
    depth: Option<u16>,
    /// Draw names that start with a dot, too
    #[arg(short, long)]
    all: bool,
    /// Folders to draw; without one the current folder
    #[arg(value_name = "FOLDER", default_value = ".")]
    folders: Vec<OsString>,
}

/// What was drawn.
#[derive(Default)]
struct Count {
    folders: u64,
    others: u64,
}

/// Draws the folders. One that cannot be listed is complained about, and the drawing goes on behind it.
///
/// # Errors
/// [`Failure::Reported`] where anything was complained about; what writing says.
pub async fn run(arguments: &Tree, console: &mut Console) -> Result<(), Failure> {
    let host = Host::open(&arguments.over).await?;
    let mut count = Count::default();
    for operand in host.operands(&arguments.folders)? {
        draw(&host, &operand, arguments, &mut count, console).await?;
    }
    console.line(format!("{} folders, {} files and links", count.folders, count.others))
}

async fn draw(
    host: &Host,
    top: &Operand,
    arguments: &Tree,
    count: &mut Count,
    console: &mut Console,
) -> Result<(), Failure> {
    let wish = Wish { order: Order::ByName, hidden: arguments.all, metadata: false };
    let mut walk = Walk::new(host.tree(), wish);
    if let Err(error) = walk.enter(top.path()).await {
        console.complain(error);
        return Ok(());
    }
    let shown = console.shown(top.shown(top.path())).into_owned();
    console.line(shown)?;
    let deepest = arguments.depth.map_or(usize::MAX, usize::from);
    // For each folder that the walk is in but the first: whether it was the last entry of its own folder.
    let mut lasts = Vec::new();
    while let Some(step) = walk.next().await {
        match step {
            Ok(Step::Found(found)) => {
                let last = walk.is_at_last().await;
                line(host.tree(), &found, &lasts, last, console).await?;
                count.add(found.file_type);
                if found.file_type == FileType::Dir && walk.depth() < deepest {
                    match walk.enter(&found.path).await {
                        Ok(()) => lasts.push(last),
                        Err(error) => console.complain(error),
                    }
                }
            }
            Ok(Step::Left(_)) => drop(lasts.pop()),
            Err(error) => console.complain(error),
        }
    }
    Ok(())
}

async fn line(
    tree: &Arc<dyn FileSystem>,
    found: &Found,
    lasts: &[bool],
    last: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let mut line = Vec::new();
    for ended in lasts {
        line.extend_from_slice(if *ended { "    " } else { "│   " }.as_bytes());
    }
    line.extend_from_slice(if last { "└── " } else { "├── " }.as_bytes());
    line.extend_from_slice(&console.shown(printed_name(&found.entry.name)));
    if found.file_type == FileType::Symlink {
        line.extend_from_slice(b" -> ");
        line.extend_from_slice(&console.shown(target(tree, &found.path).await));
    }
    console.line(line)
}

/// The text of a link, or `?` where it cannot be had.
async fn target(tree: &Arc<dyn FileSystem>, path: &VPath) -> Vec<u8> {
    tree.read_link(path).await.map_or_else(|_| b"?".to_vec(), |target| target.to_vec())
}

impl Count {
    fn add(&mut self, file_type: FileType) {
        match file_type {
            FileType::Dir => self.folders += 1,
            _ => self.others += 1,
        }
    }
}

//! `vfsd find`: every path below a folder that fits, as soon as it is found.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::{Args, ValueEnum};
use vfs::{FileType, StatOptions, VPath};

use crate::cli::Over;
use crate::console::Console;
use crate::failure::Failure;
use crate::glob::Glob;
use crate::listing::{Order, Wish};
use crate::namespace::{Host, Operand};
use crate::walk::{Step, Walk};

/// Arguments of `vfsd find`.
#[derive(Args, Clone, Debug)]
pub struct Find {
    #[command(flatten)]
    over: Over,
    /// Only names that fit GLOB: * ? [a-z] [!a-z] \x
    #[arg(long, value_name = "GLOB", value_parser = clap::builder::OsStringValueParser::new())]
    name: Option<OsString>,
    /// Only files, folders or links
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<Kind>,
    /// End each path with a zero byte instead of a line end, for xargs -0
    #[arg(short = '0', long)]
    null: bool,
    /// Where to start
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<OsString>,
}

/// What `--type` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Files
    F,
    /// Folders
    D,
    /// Links
    L,
}

/// What is looked for.
struct Wanted {
    name: Option<Glob>,
    file_type: Option<FileType>,
    end: &'static [u8],
}

/// Writes each path that fits. A folder that cannot be listed is complained about, and the search goes on behind it.
///
/// # Errors
/// [`Failure::Usage`] for a broken pattern, [`Failure::Reported`] where anything was complained about.
pub async fn run(arguments: &Find, console: &mut Console) -> Result<(), Failure> {
    let wanted = Wanted::try_from(arguments)?;
    let host = Host::open(&arguments.over).await?;
    for operand in host.operands(&arguments.paths)? {
        search(&host, &operand, &wanted, console).await?;
    }
    Ok(())
}

async fn search(host: &Host, top: &Operand, wanted: &Wanted, console: &mut Console) -> Result<(), Failure> {
    let about = match host.tree().metadata(top.path(), &StatOptions::no_follow()).await {
        Ok(about) => about,
        Err(error) => {
            console.complain(error);
            return Ok(());
        }
    };
    let mut walk = Walk::new(host.tree(), Wish { order: Order::AsListed, hidden: true, metadata: false });
    let name = top.path().file_name().map_or(&b"/"[..], |segment| segment.name());
    wanted.show(top, top.path(), name, about.file_type, console)?;
    if about.is_dir()
        && let Err(error) = walk.enter(top.path()).await
    {
        console.complain(error);
    }
    while let Some(step) = walk.next().await {
        let found = match step {
            Ok(Step::Found(found)) => found,
            Ok(Step::Left(_)) => continue,
            Err(error) => {
                console.complain(error);
                continue;
            }
        };
        wanted.show(top, &found.path, &found.entry.name, found.file_type, console)?;
        if found.file_type == FileType::Dir
            && let Err(error) = walk.enter(&found.path).await
        {
            console.complain(error);
        }
    }
    Ok(())
}

impl TryFrom<&Find> for Wanted {
    type Error = Failure;

    fn try_from(arguments: &Find) -> Result<Self, Failure> {
        let parse = |pattern: &OsStr| {
            let pattern = pattern.as_bytes();
            let refused = |says| Failure::Usage(format!("--name {}: {says}", vfs::path::escaped(pattern)));
            Glob::parse(pattern).map_err(refused)
        };
        Ok(Self {
            name: arguments.name.as_deref().map(parse).transpose()?,
            file_type: arguments.kind.map(|kind| match kind {
                Kind::F => FileType::File,
                Kind::D => FileType::Dir,
                Kind::L => FileType::Symlink,
            }),
            end: if arguments.null { b"\0" } else { b"\n" },
        })
    }
}

impl Wanted {
    fn show(
        &self,
        top: &Operand,
        path: &VPath,
        name: &[u8],
        file_type: FileType,
        console: &mut Console,
    ) -> Result<(), Failure> {
        let fits = self.name.as_ref().is_none_or(|glob| glob.matches(name))
            && self.file_type.is_none_or(|wanted| wanted == file_type);
        if !fits {
            return Ok(());
        }
        let shown = console.shown(top.shown(path)).into_owned();
        console.record(&shown, self.end)
    }
}

//! `vfsd stat`: all that is known about a path. What is not known says so.

use std::ffi::OsString;
use std::fmt::Display;

use clap::Args;
use vfs::path::escaped;
use vfs::{CacheStatus, Identity, Metadata, Provenance, StatOptions, Validator};

use crate::cli::Over;
use crate::console::Console;
use crate::failure::Failure;
use crate::namespace::{Host, Operand};
use crate::units::{duration_text, mode_text, moment_text};

/// What stands for everything that a source does not say.
const UNKNOWN: &str = "unknown";

/// Arguments of `vfsd stat`.
#[derive(Args, Clone, Debug)]
pub struct Stat {
    #[command(flatten)]
    over: Over,
    /// Describe what a link leads to instead of the link
    #[arg(short = 'L', long)]
    follow: bool,
    /// What to describe
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<OsString>,
}

/// Describes the paths. One that cannot be described is complained about, and the others follow.
///
/// # Errors
/// [`Failure::Reported`] where any could not be described; what writing says.
pub async fn run(arguments: &Stat, console: &mut Console) -> Result<(), Failure> {
    let host = Host::open(&arguments.over).await?;
    for (index, operand) in host.operands(&arguments.paths)?.into_iter().enumerate() {
        match describe(&host, &operand, arguments.follow).await {
            Ok(lines) => {
                if index > 0 {
                    console.line("")?;
                }
                for (name, value) in lines {
                    console.line(format!("{:<14}{value}", format!("{name}:")))?;
                }
            }
            Err(error) => console.complain(error),
        }
    }
    Ok(())
}

async fn describe(host: &Host, operand: &Operand, follow: bool) -> vfs::Result<Vec<(&'static str, String)>> {
    let (tree, path) = (host.tree(), operand.path());
    let about = tree.metadata(path, &StatOptions { follow, ..StatOptions::default() }).await?;
    let mut lines = vec![("path", path.to_string()), ("type", about.file_type.to_string())];
    if about.is_symlink() {
        lines.push(("leads to", escaped(&tree.read_link(path).await?).to_string()));
    }
    lines.extend(attributes(&about));
    lines.push(("source", provenance_text(&about.provenance)));
    Ok(lines)
}

fn attributes(about: &Metadata) -> [(&'static str, String); 11] {
    let mode = about.mode.map(|mode| format!("{mode:04o} {}", mode_text(about.file_type, about.mode)));
    let owner = about.owner.map(|owner| format!("user {}, group {}", owner.user, owner.group));
    [
        ("length", known(about.len.map(|len| format!("{len} bytes")))),
        ("mode", known(mode)),
        ("owner", known(owner)),
        ("names", known(about.links)),
        ("modified", known(about.modified.map(moment_text))),
        ("accessed", known(about.accessed.map(moment_text))),
        ("changed", known(about.changed.map(moment_text))),
        ("created", known(about.created.map(moment_text))),
        ("media type", known(about.content_type.as_deref().map(|text| escaped(text.as_bytes()).to_string()))),
        ("validator", known(about.validator.as_ref().map(validator_text))),
        ("identity", known(about.identity.as_ref().map(identity_text))),
    ]
}

fn known(value: Option<impl Display>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}

fn validator_text(validator: &Validator) -> String {
    let strength = match validator {
        Validator::Strong(_) => "strong",
        Validator::Weak(_) => "weak",
    };
    format!("{strength} \"{}\"", escaped(validator.as_str().as_bytes()))
}

fn identity_text(identity: &Identity) -> String {
    match identity {
        Identity::Source { name, .. } => escaped(name).to_string(),
        Identity::Member { outer, offset, len } => {
            format!("{len} bytes at {offset} of {}", identity_text(outer))
        }
    }
}

fn provenance_text(provenance: &Provenance) -> String {
    let mut text = match provenance.cache {
        CacheStatus::None | CacheStatus::Miss => "asked now",
        CacheStatus::Hit => "stored",
        CacheStatus::Stale => "stored, past its time",
        CacheStatus::Revalidated => "stored, still valid",
    }
    .to_owned();
    if let Some(age) = provenance.age {
        text.push_str(&format!(", {} old", duration_text(age)));
    }
    if provenance.approximate {
        text.push_str(", rounded");
    }
    if provenance.provisional {
        text.push_str(", may still change");
    }
    text
}

//! The command line: what can be typed. Each command's own arguments stand beside what it does.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{cat, check, cp, find, index, ls, mirror, passwd, serve, stat, tree};
use crate::config::Remote;
use crate::failure::Failure;

/// One tree of files, filled from many places, shown through many protocols
#[derive(Clone, Debug, Parser)]
#[command(name = "vfsd", version, arg_required_else_help = false, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What a command line asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// Do something.
    Do(Box<Command>),
    /// Show this text: `--help`, `--version`.
    Show(String),
}

/// What the program does.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show a tree over HTTP and FTP until SIGTERM or Ctrl-C
    Serve(Box<serve::Serve>),
    /// List folders
    Ls(ls::Ls),
    /// Write files to standard output
    Cat(cat::Cat),
    /// Say all that is known about files and folders
    Stat(stat::Stat),
    /// Draw folders with all that is in them
    Tree(tree::Tree),
    /// Copy files, links and whole folders
    Cp(cp::Cp),
    /// Find files by name and type
    Find(find::Find),
    /// Read archives through ahead of time
    Index(index::Index),
    /// Look at and change what a running server keeps of remote mounts
    Mirror(mirror::Mirror),
    /// Say what is wrong in a configuration, or what it would serve
    Check(check::Check),
    /// Hash a password, for --user and the configuration
    Passwd(passwd::Passwd),
}

/// What every command has that works on the host's tree.
#[derive(Args, Clone, Debug, Default)]
pub struct Over {
    /// Lay SOURCE over the host's tree at AT: a folder, an archive, memory: (repeatable)
    #[arg(long = "mount", value_name = "AT=SOURCE")]
    pub mounts: Vec<OsString>,
    /// Go on behind the zeros that end a tar, as for tar --ignore-zeros
    #[arg(long)]
    pub(crate) ignore_zeros: bool,
    /// Pass over what is damaged in a tar, and go on at its next header
    #[arg(long)]
    pub(crate) resync: bool,
    #[command(flatten)]
    pub(crate) sites: Sites,
}

/// How sites are asked that the command line names. A configuration says more.
#[derive(Args, Clone, Debug, Default)]
pub struct Sites {
    /// Trust the certificate authorities in FILE (PEM) too, for https: sites named here
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Dial private addresses too, for sites named here; without, only those that their URLs name themselves
    #[arg(long)]
    allow_private: bool,
}

impl Sites {
    /// As a mount's wishes.
    pub(crate) fn wishes(&self) -> Remote {
        Remote { authorities: self.ca.clone(), allow_private: self.allow_private, ..Remote::default() }
    }
}

impl Request {
    /// Parses a command line, its first word the program's own name.
    ///
    /// # Errors
    /// [`Failure::Usage`].
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        match Cli::try_parse_from(arguments) {
            Ok(cli) => Ok(Self::Do(Box::new(cli.command))),
            Err(told) if !told.use_stderr() => Ok(Self::Show(told.render().to_string())),
            Err(refused) => Err(Failure::Usage(refusal_text(&refused))),
        }
    }
}

/// A refused command line in one line, with clap's tip where it has one.
fn refusal_text(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let said = rendered.split("Usage:").next().unwrap_or_default();
    let said = said.strip_prefix("error:").unwrap_or(said).split("For more information").next();
    let lines = said.unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("; ").replace(":; ", ": ");
    format!("{text}; see --help")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}

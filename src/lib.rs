//! The program `vfsd` as a library: its command line, its configuration and what its commands do.
//!
//! [`Request`] is what was typed, [`run`] does it, [`Console`] takes what comes of it, [`Failure`] says how it ended. The tree
//! itself is in `vfs`, the protocols are in `frontends`; this crate alone knows both, and the operator.

mod cache;
pub mod cli;
pub mod commands;
pub mod config;
mod console;
mod content;
mod control;
mod failure;
mod glob;
mod journal;
mod listing;
mod logging;
mod memory;
mod metrics;
mod namespace;
mod notify;
mod progress;
mod server;
mod signals;
mod units;
mod walk;

pub use self::cache::Cache;
use self::cli::Command;
pub use self::cli::Request;
pub use self::console::Console;
pub use self::failure::Failure;
pub use self::memory::bound_heaps;

/// Does what the command line asks for. Dropping the future stops it; nothing is left half written.
///
/// # Errors
/// How it ended, where that was not well.
pub async fn run(request: &Request, console: &mut Console) -> Result<(), Failure> {
    match request {
        Request::Show(text) => console.bytes(text.as_bytes())?,
        Request::Do(command) => obey(command, console).await?,
    }
    console.end()
}

async fn obey(command: &Command, console: &mut Console) -> Result<(), Failure> {
    match command {
        Command::Serve(arguments) => commands::serve::run(arguments, console).await,
        Command::Ls(arguments) => commands::ls::run(arguments, console).await,
        Command::Cat(arguments) => commands::cat::run(arguments, console).await,
        Command::Stat(arguments) => commands::stat::run(arguments, console).await,
        Command::Tree(arguments) => commands::tree::run(arguments, console).await,
        Command::Cp(arguments) => commands::cp::run(arguments, console).await,
        Command::Find(arguments) => commands::find::run(arguments, console).await,
        Command::Passwd(arguments) => commands::passwd::run(arguments, console),
        Command::Mirror(arguments) => commands::mirror::run(arguments, console).await,
        Command::Index(arguments) => commands::index::run(arguments, console).await,
        Command::Check(arguments) => commands::check::run(arguments, console).await,
    }
}

//! `vfsd check`: says what is wrong in a configuration, or what it would serve.

use std::path::PathBuf;

use clap::Args;

use crate::cache::Cache;
use crate::config::Config;
use crate::console::Console;
use crate::failure::Failure;
use crate::namespace::{self, Sources};

/// Arguments of `vfsd check`.
#[derive(Args, Clone, Debug)]
pub struct Check {
    /// The configuration to look at
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Reads the configuration, opens its sources once, and writes what would be served. Listens nowhere.
///
/// # Errors
/// [`Failure::Usage`] with file, line, key and cure.
pub async fn run(arguments: &Check, console: &mut Console) -> Result<(), Failure> {
    let config = Config::load(&arguments.file)?;
    let space =
        namespace::served(&config.mounts, &Sources::looking(&Cache::usual(), config.archives)).await?;
    namespace::guarded(&space, &config.rights)?;
    console.line(config.to_string())
}

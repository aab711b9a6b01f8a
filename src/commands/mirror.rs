//! `vfsd mirror`: what is kept of remote mounts by a server that runs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::Args;

use crate::console::Console;
use crate::control::{self, Verb};
use crate::failure::Failure;

/// Arguments of `vfsd mirror`.
#[derive(Args, Clone, Debug)]
pub struct Mirror {
    /// The server's control socket [default: $XDG_RUNTIME_DIR/vfsd.sock]
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// What to do
    #[arg(value_enum)]
    verb: Verb,
    /// Where, in the tree that the server shows; status without any tells of all
    #[arg(value_name = "PATH", required_if_eq_any = [("verb", "purge"), ("verb", "refresh"), ("verb", "pin"), ("verb", "unpin"), ("verb", "warm")])]
    paths: Vec<OsString>,
}

/// Asks the server and writes what it answers, line by line.
///
/// # Errors
/// [`Failure::Usage`] where no socket is known; [`Failure::Operation`] with what the server could not do.
pub async fn run(arguments: &Mirror, console: &mut Console) -> Result<(), Failure> {
    let place = arguments.control.clone().or_else(control::usual_place).ok_or_else(|| {
        Failure::Usage("no control socket is known here: name the server's with --control PATH".to_owned())
    })?;
    let mut words = vec![&b"mirror"[..], arguments.verb.word().as_bytes()];
    words.extend(arguments.paths.iter().map(|path| path.as_bytes()));
    control::ask(&place, &words, |line| {
        console.line(line)?;
        console.flush()
    })
    .await
}

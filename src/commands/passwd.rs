//! `vfsd passwd`: hashes a password for `--user` and `[[user]]`.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use frontends::auth::Hash;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::console::Console;
use crate::failure::Failure;

/// Longest password that is taken, in bytes.
const MAX_BYTES: usize = 1024;

/// Arguments of `vfsd passwd`.
#[derive(Args, Clone, Debug)]
pub struct Passwd {
    /// Write NAME:HASH, as --user and htpasswd files have it
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Reads a password, one line of standard input, and writes its Argon2id hash. On a terminal it is asked for twice and not
/// shown.
///
/// # Errors
/// [`Failure::Usage`] for a name that nobody can have, and an empty or too long password.
pub fn run(arguments: &Passwd, console: &mut Console) -> Result<(), Failure> {
    if let Some(name) = &arguments.name {
        frontends::auth::check_name(name).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    }
    let password = if io::stdin().is_terminal() { ask(console)? } else { read_line()? };
    if password.is_empty() || password.len() > MAX_BYTES {
        return Err(Failure::Usage(format!("a password has 1 to {MAX_BYTES} bytes: send it on one line")));
    }
    let hash = Hash::of(&password).map_err(|error| Failure::Operation(format!("not hashed: {error}")))?;
    match &arguments.name {
        Some(name) => console.line(format!("{name}:{}", hash.text())),
        None => console.line(hash.text()),
    }
}

fn ask(console: &mut Console) -> Result<String, Failure> {
    let _silent = Silent::begin();
    console.note("Password:");
    let first = read_line()?;
    console.note("Again:");
    if read_line()? != first {
        return Err(Failure::Usage("the two differ: try again".to_owned()));
    }
    Ok(first)
}

fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::Operation(format!("read standard input: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that does not show what is typed; its drop brings back how it was.
struct Silent(Option<Termios>);

impl Silent {
    fn begin() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            // Where it cannot be, the password is seen by who types it.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &silent);
        }
        Self(before)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

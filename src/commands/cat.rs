//! `vfsd cat`: files, one after the other, byte for byte.

use std::ffi::OsString;

use clap::Args;
use vfs::{ByteRange, Intent, OpenOptions};

use crate::cli::Over;
use crate::console::Console;
use crate::content::Content;
use crate::failure::Failure;
use crate::namespace::{Host, Operand};

/// Arguments of `vfsd cat`.
#[derive(Args, Clone, Debug)]
pub struct Cat {
    #[command(flatten)]
    over: Over,
    /// Bytes FIRST to LAST of each file only, counted from 0; without LAST to the end
    #[arg(long, value_name = "FIRST-[LAST]", value_parser = parse_range)]
    range: Option<ByteRange>,
    /// Files to write
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
}

/// Writes the files. One that cannot be read is complained about, and the others follow.
///
/// # Errors
/// [`Failure::Reported`] where any could not be read; what writing says.
pub async fn run(arguments: &Cat, console: &mut Console) -> Result<(), Failure> {
    let host = Host::open(&arguments.over).await?;
    for operand in host.operands(&arguments.files)? {
        match open(&host, &operand, arguments.range).await {
            Ok(content) => write(content, console).await?,
            Err(error) => console.complain(error),
        }
    }
    Ok(())
}

async fn open(host: &Host, operand: &Operand, range: Option<ByteRange>) -> vfs::Result<Content> {
    let intent = if range.is_some() { Intent::Range } else { Intent::Whole };
    let options = OpenOptions { intent, ..OpenOptions::reading() };
    let file = host.tree().open(operand.path(), &options).await?;
    match range {
        Some(range) => Content::range(file, range, operand.path()).await,
        None => Content::whole(file, operand.path()).await,
    }
}

async fn write(mut content: Content, console: &mut Console) -> Result<(), Failure> {
    while let Some(piece) = content.next().await {
        match piece {
            Ok(bytes) => console.bytes(&bytes)?,
            Err(error) => console.complain(error),
        }
    }
    console.flush()
}

fn parse_range(text: &str) -> Result<ByteRange, String> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let start = first.parse().ok()?;
        match last {
            "" => Some(ByteRange::from(start)),
            last => last
                .parse()
                .ok()
                .filter(|last| *last >= start)
                .map(|last: u64| ByteRange { start, end: Some(last.saturating_add(1)) }),
        }
    });
    range.ok_or_else(|| "write FIRST-LAST or FIRST-, as in 100-199".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_count_from_zero_and_include_their_last_byte() {
        assert_eq!(parse_range("100-199"), Ok(ByteRange::at(100, 100)));
        assert_eq!(parse_range("0-0"), Ok(ByteRange::at(0, 1)));
        assert_eq!(parse_range("5-"), Ok(ByteRange::from(5)));
        for text in ["", "-", "-5", "5", "9-2", "a-b", "1-2-3"] {
            assert!(parse_range(text).is_err(), "{text}");
        }
    }
}

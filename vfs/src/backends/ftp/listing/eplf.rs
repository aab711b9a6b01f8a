//! Easily Parsed List Format: `+facts,<tab>name` (D. J. Bernstein, <https://cr.yp.to/ftp/list/eplf.html>).

use bytes::Bytes;

use super::date::{Clock, time_of};
use super::tokens::number;
use super::{Facts, Row};
use crate::metadata::FileType;

/// Reads one row. Its times are exact and in UTC.
pub(super) fn row(line: &[u8], _clock: &Clock) -> Option<Row> {
    let line = line.strip_prefix(b"+")?;
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let name = &line[tab + 1..];
    let mut facts = Facts::new(FileType::Other);
    for fact in line[..tab].split(|byte| *byte == b',') {
        match fact.split_first() {
            Some((b'/', [])) => facts.file_type = FileType::Dir,
            Some((b'r', [])) => facts.file_type = FileType::File,
            Some((b's', len)) => facts.len = number(len),
            Some((b'm', seconds)) => {
                let seconds = number(seconds).and_then(|seconds| i64::try_from(seconds).ok());
                facts.modified = seconds.and_then(time_of);
            }
            Some((b'i', unique)) => facts.unique = Some(Bytes::copy_from_slice(unique)),
            _ => {}
        }
    }
    if facts.file_type != FileType::File {
        facts.len = None;
    }
    (!name.is_empty()).then(|| Row { name: Bytes::copy_from_slice(name), facts })
}

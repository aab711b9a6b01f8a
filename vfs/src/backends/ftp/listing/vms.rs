//! Rows of VMS: `NAME.EXT;VERSION`, the length in blocks, the date. A length in blocks is no length.

use bytes::Bytes;

use super::date::{self, Clock, Written};
use super::tokens::{Token, tokens};
use super::{Facts, Row};
use crate::metadata::FileType;

/// Reads one row. The newest version of a file stands first, under its name alone.
pub(super) fn row(line: &[u8], clock: &Clock) -> Option<Row> {
    let columns = tokens(line, 5);
    let [name, rest @ ..] = columns.as_slice() else { return None };
    let name = without_version(name.text)?;
    if rest.is_empty() {
        return None;
    }
    let modified = moment(rest).and_then(|written| clock.moment(&written));
    let is_error = rest[0].text.starts_with(b"%");
    if modified.is_none() && !is_error {
        return None;
    }
    let (name, file_type) = match name.strip_suffix(b".DIR") {
        Some(folder) if !folder.is_empty() => (folder, FileType::Dir),
        _ => (name, FileType::File),
    };
    let facts = Facts { modified, approximate: true, ..Facts::new(file_type) };
    Some(Row { name: Bytes::copy_from_slice(name), facts })
}

/// True where a line is a name whose columns follow on the next line.
pub(super) fn is_name_alone(line: &[u8]) -> bool {
    let columns = tokens(line, 2);
    matches!(columns.as_slice(), [name] if without_version(name.text).is_some())
}

fn without_version(text: &[u8]) -> Option<&[u8]> {
    let at = text.iter().rposition(|byte| *byte == b';')?;
    let version = &text[at + 1..];
    let is_version = !version.is_empty() && version.iter().all(u8::is_ascii_digit);
    (is_version && at > 0).then(|| &text[..at])
}

/// `29-FEB-2024 10:11[:12]`, after the length in blocks where there is one.
fn moment(columns: &[Token<'_>]) -> Option<Written> {
    columns.windows(2).take(2).find_map(|pair| {
        let mut parts = pair[0].text.split(|byte| *byte == b'-');
        let (day, month) = (date::day(parts.next()?)?, date::month(parts.next()?)?);
        let year = date::year(&Token { text: parts.next()?, end: 0 })?;
        let second_of_day = date::time_of_day(pair[1].text)?;
        Some(Written { year: Some(year), month, day, second_of_day })
    })
}

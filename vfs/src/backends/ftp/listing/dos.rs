//! Rows of `dir`, as IIS and its kin show them.

use bytes::Bytes;

use super::date::{self, Clock, Written};
use super::tokens::{number, tokens};
use super::{Facts, Row};
use crate::metadata::FileType;

/// Reads one row: date, time, length or a kind in brackets, name.
pub(super) fn row(line: &[u8], clock: &Clock) -> Option<Row> {
    let columns = tokens(line, 3);
    let [day, time, what] = columns.as_slice() else { return None };
    let (year, month, day) = date::iso_date(day.text).or_else(|| american(day.text))?;
    let second_of_day = date::time_of_day(time.text)?;
    let (file_type, len) = match what.text {
        b"<DIR>" | b"<JUNCTION>" | b"<SYMLINKD>" => (FileType::Dir, None),
        b"<SYMLINK>" => (FileType::File, None),
        text => (FileType::File, Some(number(text)?)),
    };
    // The columns are as wide as they need to be, so that blanks at a name's start cannot be told from the columns'.
    let name = line[what.end..].trim_ascii_start();
    let modified = clock.moment(&Written { year: Some(year), month, day, second_of_day })?;
    let facts = Facts { len, modified: Some(modified), approximate: true, ..Facts::new(file_type) };
    (!name.is_empty()).then(|| Row { name: Bytes::copy_from_slice(name), facts })
}

/// `MM-DD-YY`, or with four digits of the year. Two digits from 70 on are of the last century.
fn american(text: &[u8]) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(|byte| *byte == b'-' || *byte == b'/');
    let (month, day, year) = (date::day(parts.next()?)?, date::day(parts.next()?)?, parts.next()?);
    let is_valid = matches!(year.len(), 2 | 4) && parts.next().is_none();
    let number = i64::try_from(number(year).filter(|_| is_valid)?).ok()?;
    let year = match year.len() {
        4 => number,
        _ if number < 70 => 2000 + number,
        _ => 1900 + number,
    };
    Some((year, month, day))
}

//! Rows of NetWare: `d [R----F--] owner length date name`.

use bytes::Bytes;

use super::date::{self, Clock, Written};
use super::tokens::{number, tokens};
use super::{Facts, Row};
use crate::metadata::FileType;

/// Reads one row.
pub(super) fn row(line: &[u8], clock: &Clock) -> Option<Row> {
    let columns = tokens(line, 7);
    let [kind, rights, _owner, len, month, day, when] = columns.as_slice() else { return None };
    let file_type = match kind.text {
        b"d" => FileType::Dir,
        b"-" => FileType::File,
        _ => return None,
    };
    if !rights.text.starts_with(b"[") || !rights.text.ends_with(b"]") {
        return None;
    }
    let len = number(len.text)?;
    let (year, second_of_day) = match date::time_of_day(when.text) {
        Some(second_of_day) => (None, second_of_day),
        None => (Some(date::year(when)?), 0),
    };
    let written = Written { year, month: date::month(month.text)?, day: date::day(day.text)?, second_of_day };
    let name = line[when.end..].trim_ascii_start();
    let facts = Facts {
        len: Some(len).filter(|_| file_type == FileType::File),
        modified: Some(clock.moment(&written)?),
        approximate: true,
        ..Facts::new(file_type)
    };
    (!name.is_empty()).then(|| Row { name: Bytes::copy_from_slice(name), facts })
}

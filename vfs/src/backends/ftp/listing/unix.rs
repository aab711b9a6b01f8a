//! Rows of `ls -l`, with and without a group, with major and minor numbers, in several writings of the date.

use bytes::Bytes;

use super::date::{self, Clock, Written};
use super::tokens::{Token, name_after, number, tokens};
use super::{Facts, Row};
use crate::metadata::FileType;

/// Words before the name at most: owners and groups may be of several.
const COLUMNS: usize = 14;

/// Reads one row.
pub(super) fn row(line: &[u8], clock: &Clock) -> Option<Row> {
    let columns = tokens(line, COLUMNS);
    let (file_type, mode) = permissions(columns.first()?.text)?;
    (2..columns.len()).find_map(|at| {
        let (moment, end) = moment(&columns[at..])?;
        let size = number(columns[at - 1].text)?;
        let is_device = columns[at - 2].text.ends_with(b",");
        let modified = match moment {
            Moment::Local(written) => clock.moment(&written)?,
            Moment::Exact(seconds) => date::time_of(seconds)?,
        };
        let (name, target) = split_link(name_after(line, end)?, file_type)?;
        let len = Some(size).filter(|_| file_type == FileType::File && !is_device);
        let facts = Facts {
            len,
            mode: Some(mode),
            modified: Some(modified),
            target,
            approximate: true,
            ..Facts::new(file_type)
        };
        Some(Row { name, facts })
    })
}

enum Moment {
    /// In the site's zone.
    Local(Written),
    /// With its own zone.
    Exact(i64),
}

/// Reads the date that `columns` start with, and where it ends.
fn moment(columns: &[Token<'_>]) -> Option<(Moment, usize)> {
    let [first, second, ..] = columns else { return None };
    if let Some((year, month, day)) = date::iso_date(first.text) {
        let second_of_day = date::time_of_day(second.text)?;
        let written = Written { year: Some(year), month, day, second_of_day };
        let zone = columns.get(2).filter(|_| second.text.len() > 5).and_then(|token| zone(token.text));
        return Some(match zone {
            Some(zone) => {
                let utc = Clock::new(0, 0).moment(&written)?;
                let since = utc.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?.as_secs();
                (Moment::Exact(i64::try_from(since).ok()? - zone), columns[2].end)
            }
            None => (Moment::Local(written), second.end),
        });
    }
    let third = columns.get(2)?;
    let (month, day) = match (date::month(first.text), date::month(second.text)) {
        (Some(month), _) => (month, date::day(second.text)?),
        (None, Some(month)) => (month, date::day(first.text)?),
        (None, None) => return None,
    };
    let (year, second_of_day) = match date::time_of_day(third.text) {
        Some(second_of_day) => (None, second_of_day),
        None => (Some(date::year(third)?), 0),
    };
    Some((Moment::Local(Written { year, month, day, second_of_day }), third.end))
}

/// `+hhmm`, in seconds.
fn zone(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text.split_first()? {
        (b'+', digits) => (1, digits),
        (b'-', digits) => (-1, digits),
        _ => return None,
    };
    let minutes = number(digits).filter(|_| digits.len() == 4)?;
    let minutes = i64::try_from(minutes / 100 * 60 + minutes % 100).ok()?;
    Some(sign * minutes * 60)
}

/// `drwxr-xr-x`, and a sign for lists of rights or attributes after it.
fn permissions(text: &[u8]) -> Option<(FileType, u32)> {
    let bits = text.get(1..10).filter(|_| text.len() <= 11)?;
    let file_type = match text[0] {
        b'-' => FileType::File,
        b'd' => FileType::Dir,
        b'l' => FileType::Symlink,
        b'b' | b'c' | b'p' | b's' | b'D' | b'n' | b'C' => FileType::Other,
        _ => return None,
    };
    let mut mode = 0;
    for (at, byte) in bits.iter().enumerate() {
        let special = 0o4000 >> (at / 3);
        mode |= match (at % 3, byte) {
            (_, b'-') => 0,
            (0, b'r') | (1, b'w') | (2, b'x') => 0o400 >> at,
            (2, b's' | b't') => 0o400 >> at | special,
            (2, b'S' | b'T' | b'l' | b'L') => special,
            _ => return None,
        };
    }
    Some((file_type, mode))
}

/// A link's row has its target after an arrow.
fn split_link(name: &[u8], file_type: FileType) -> Option<(Bytes, Option<Bytes>)> {
    const ARROW: &[u8] = b" -> ";
    let arrow = name.windows(ARROW.len()).position(|window| window == ARROW);
    let (name, target) = match arrow.filter(|_| file_type == FileType::Symlink) {
        Some(at) => (&name[..at], Some(Bytes::copy_from_slice(&name[at + ARROW.len()..]))),
        None => (name, None),
    };
    (!name.is_empty()).then(|| (Bytes::copy_from_slice(name), target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_bits() {
        for (text, expected) in [
            ("-rw-r--r--", Some((FileType::File, 0o644))),
            ("drwxrwxrwt", Some((FileType::Dir, 0o1777))),
            ("-rwsr-Sr-x+", Some((FileType::File, 0o6745))),
            ("lrwxrwxrwx.", Some((FileType::Symlink, 0o777))),
            ("srw-------", Some((FileType::Other, 0o600))),
            ("-rw-r--r", None),
            ("-rw-r--z--", None),
            ("xrw-r--r--", None),
        ] {
            assert_eq!(permissions(text.as_bytes()), expected, "{text}");
        }
    }
}

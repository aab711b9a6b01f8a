//! Times and sizes as servers write them for people. Without a zone a time is taken for UTC and is not exact.

use std::time::{Duration, UNIX_EPOCH};

use super::row::{Size, Time};

/// Words of one row that are looked at, at most.
const WORDS: usize = 64;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// What the text of a row tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) modified: Option<Time>,
    pub(super) size: Option<Size>,
    /// It says `<dir>`.
    pub(super) is_dir: bool,
}

/// Reads a row's text: the first time in it, and the size right behind that or right before.
pub(super) fn told(text: &str) -> Told {
    let words: Vec<&str> = text.split_ascii_whitespace().take(WORDS).collect();
    let is_dir = words.iter().any(|word| word.eq_ignore_ascii_case("<dir>"));
    let found = (0..words.len()).find_map(|at| time_at(&words[at..]).map(|(time, len)| (at, time, len)));
    let (modified, size) = match found {
        Some((at, time, len)) => {
            let behind = words.get(at + len..).and_then(size_at);
            (time, behind.or_else(|| size_before(&words[..at])))
        }
        None => (None, size_at(&words)),
    };
    Told { modified, size, is_dir }
}

/// A number, with its unit in the same word or the next.
pub(super) fn size_at(words: &[&str]) -> Option<Size> {
    let word = words.first()?;
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit() || ".,".contains(c)).len();
    let (number, unit) = word.split_at(digits);
    let next = words.get(1).copied().unwrap_or_default();
    let unit = if unit.is_empty() && is_unit(next) { next } else { unit };
    let plain = || number.parse().ok().map(Size::Exact);
    match &unit.to_ascii_lowercase()[..] {
        "" => plain(),
        "b" | "byte" | "bytes" => match number.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => {
                whole.parse().ok().map(Size::Exact)
            }
            _ => plain(),
        },
        _ if is_unit(unit) && number.starts_with(|c: char| c.is_ascii_digit()) => Some(Size::Rounded),
        _ => None,
    }
}

fn size_before(words: &[&str]) -> Option<Size> {
    let last = words.len().checked_sub(1)?;
    if is_unit(words[last]) { size_at(&words[last.checked_sub(1)?..]) } else { size_at(&words[last..]) }
}

fn is_unit(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let prefix = word.trim_end_matches("bytes").trim_end_matches("byte").trim_end_matches('b');
    let prefix = prefix.trim_end_matches('i');
    word == "b" || word == "bytes" || word == "byte" || matches!(prefix, "k" | "m" | "g" | "t" | "p" | "e")
}

/// A time at the start of `words`, and how many of them it takes. A time without a year is known only as such.
fn time_at(words: &[&str]) -> Option<(Option<Time>, usize)> {
    let first = words.first()?;
    if let Some(at) = rfc3339(first) {
        return Some((Some(at), 1));
    }
    if let Some(at) = words.get(..6).and_then(|words| httpdate::parse_http_date(&words.join(" ")).ok()) {
        return Some((Some(Time { at, is_exact: true }), 6));
    }
    if let Some(date) = date(first) {
        return Some(match words.get(1).and_then(|word| clock(word)) {
            Some(seconds) => {
                let (seconds, taken) = half_day(seconds, words.get(2).copied());
                (at(date, seconds), 2 + taken)
            }
            None => (at(date, 0), 1),
        });
    }
    // "Nov 20 07:18", as ls prints what is not old.
    let is_short = month(first).is_some()
        && words.get(1)?.parse::<u32>().is_ok()
        && words.get(2).and_then(|word| clock(word)).is_some();
    is_short.then_some((None, 3))
}

fn half_day(seconds: u64, word: Option<&str>) -> (u64, usize) {
    const HALF: u64 = 12 * 3600;
    match word.map(str::to_ascii_lowercase).as_deref() {
        Some("am") => (seconds % HALF, 1),
        Some("pm") => (seconds % HALF + HALF, 1),
        _ => (seconds, 0),
    }
}

fn at((year, month, day): (i64, u32, u32), seconds: u64) -> Option<Time> {
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(unix_day(year, month, day)? * 86400 + seconds))?;
    Some(Time { at, is_exact: false })
}

/// `20-Nov-2026`, `2026-11-20`, `2026-Nov-20`, `11/20/2026`.
fn date(word: &str) -> Option<(i64, u32, u32)> {
    let parts: Vec<&str> = word.split(['-', '/']).collect();
    let [a, b, c] = parts[..] else { return None };
    let number = |text: &str| text.parse::<u32>().ok();
    match (a.len(), c.len()) {
        (4, 1..=2) => Some((a.parse().ok()?, month(b).or_else(|| number(b))?, number(c)?)),
        (1..=2, 4) if word.contains('/') => Some((c.parse().ok()?, number(a)?, number(b)?)),
        (1..=2, 4) => Some((c.parse().ok()?, month(b)?, number(a)?)),
        _ => None,
    }
}

/// `07:18` and `07:18:00`, in seconds.
fn clock(word: &str) -> Option<u64> {
    let parts: Vec<u64> = word.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    (hours < 24 && minutes < 60 && seconds < 61).then_some(hours * 3600 + minutes * 60 + seconds)
}

fn month(word: &str) -> Option<u32> {
    let word = word.get(..3)?.to_ascii_lowercase();
    MONTHS.iter().position(|month| *month == word).map(|at| at as u32 + 1)
}

/// RFC 3339: `2026-11-20T07:18:00.123Z`, or with an offset.
pub(super) fn rfc3339(text: &str) -> Option<Time> {
    let (day, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone_at);
    let seconds = clock(time.split('.').next()?)?;
    let Time { at, .. } = at(date(day)?, seconds)?;
    let at = match zone.as_bytes().first()? {
        b'Z' | b'z' => at,
        b'+' => at.checked_sub(Duration::from_secs(clock(&zone[1..])?))?,
        _ => at.checked_add(Duration::from_secs(clock(&zone[1..])?))?,
    };
    Some(Time { at, is_exact: true })
}

/// Milliseconds since 1970.
pub(super) fn unix_millis(text: &str) -> Option<Time> {
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(text.parse().ok()?))?;
    Some(Time { at, is_exact: true })
}

/// A time in any of the ways.
pub(super) fn any_time(text: &str) -> Option<Time> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(WORDS).collect();
    rfc3339(text).or_else(|| time_at(&words)?.0)
}

/// Days from 1970 to a date of the Gregorian calendar; nothing before.
fn unix_day(year: i64, month: u32, day: u32) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years start in March, so that the leap day is their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + i64::from((153 * month + 2) / 5 + day) - 1;
    u64::try_from(days - 719_468).ok()
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn rows_tell_times_and_sizes() {
        const MINUTE: u64 = 1_709_210_040; // 2024-02-29 12:34 UTC
        let exact = |bytes| Some(Size::Exact(bytes));
        for (text, seconds_then, size) in [
            ("29-Feb-2024 12:34                1234", Some(MINUTE), exact(1234)),
            ("29-Feb-2024 12:34                   -", Some(MINUTE), None),
            ("29-Feb-2024 12:34   5M", Some(MINUTE), Some(Size::Rounded)),
            ("2024-02-29 12:34  1.2K  a file of 7", Some(MINUTE), Some(Size::Rounded)),
            ("2024-Feb-29 12:34:56 0.1K", Some(MINUTE + 56), Some(Size::Rounded)),
            ("2/29/2024 12:34 PM 77 ", Some(MINUTE), exact(77)),
            ("2/29/2024 12:34 AM <dir>", Some(MINUTE - 12 * 3600), None),
            ("Thu, 29 Feb 2024 12:34:00 GMT", Some(MINUTE), None),
            ("1.2 kb Thu, 29 Feb 2024 12:34:00 GMT", Some(MINUTE), Some(Size::Rounded)),
            ("-rw-r--r--  root root  Nov 20 07:18  4882 kB", None, Some(Size::Rounded)),
            ("2.00 B", None, exact(2)),
            ("12 bytes", None, exact(12)),
            ("2024-02-30T12:34:00Z", Some(MINUTE + 86400), None),
            ("2024-02-29T13:34:00+01:00", Some(MINUTE), None),
            ("2024-02-29T12:34:00.123456Z", Some(MINUTE), None),
            ("99-Foo-2024 12:34", None, None),
            ("31-Dec-1969 23:59 5", None, exact(5)),
            ("", None, None),
            ("18446744073709551616", None, None),
            ("-5", None, None),
        ] {
            let told = told(text);
            assert_eq!(
                told.modified.map(|time| time.at.duration_since(UNIX_EPOCH).unwrap().as_secs()),
                seconds_then,
                "{text}"
            );
            assert_eq!(told.size, size, "{text}");
        }
        assert!(told("<DIR>").is_dir);
    }

    #[test]
    fn only_a_stated_zone_makes_a_time_exact() {
        for (text, is_exact) in [
            ("29-Feb-2024 12:34", false),
            ("2024-02-29T12:34:00Z", true),
            ("Thu, 29 Feb 2024 12:34:00 GMT", true),
        ] {
            assert_eq!(any_time(text).unwrap().is_exact, is_exact, "{text}");
        }
    }
}

//! Moments of listings: with and without a year, in the site's own zone.

use std::time::{Duration, SystemTime};

use super::tokens::{Token, number};
use crate::calendar::{self, Date};

const DAY: i64 = 24 * 60 * 60;

/// A listing without years shows the last half year or so; clocks differ by a day at most.
const AHEAD: i64 = DAY;

const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// What time it is, and what the site's clock is ahead of UTC by.
#[derive(Clone, Copy, Debug)]
pub(in crate::backends::ftp) struct Clock {
    now: i64,
    zone_seconds: i64,
}

/// A moment as written: in the site's zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) year: Option<i64>,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) second_of_day: i64,
}

impl Clock {
    /// `now` in seconds since 1970.
    pub(in crate::backends::ftp) fn new(now: i64, zone_minutes: i32) -> Self {
        Self { now, zone_seconds: i64::from(zone_minutes) * 60 }
    }

    /// What the system's clock says.
    pub(in crate::backends::ftp) fn system(zone_minutes: i32) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::new(i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 2), zone_minutes)
    }

    /// The moment that was written. Without a year it is the last such moment, as seen from tomorrow. `None` where the
    /// calendar has none.
    pub(super) fn moment(&self, written: &Written) -> Option<SystemTime> {
        let seconds = match written.year {
            Some(year) => self.seconds(written, year)?,
            None => {
                let this = civil_year(self.now.saturating_add(self.zone_seconds)) + 1;
                // Eight years hold a 29 February, 1900 and its kin aside.
                (this - 8..=this)
                    .rev()
                    .filter_map(|year| self.seconds(written, year))
                    .find(|seconds| *seconds <= self.now.saturating_add(AHEAD))?
            }
        };
        time_of(seconds)
    }

    fn seconds(&self, written: &Written, year: i64) -> Option<i64> {
        let days = days_of(year, written.month, written.day)?;
        Some(days * DAY + written.second_of_day - self.zone_seconds)
    }
}

/// The moment since 1970 in seconds.
pub(super) fn time_of(seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    match seconds < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(distance),
        false => SystemTime::UNIX_EPOCH.checked_add(distance),
    }
}

/// Reads `YYYYMMDDhhmmss[.fff]`, in UTC (RFC 3659 §2.3). Some write `19100` for 2000: the year is counted from 1900 there.
pub(in crate::backends::ftp) fn stamped(text: &[u8]) -> Option<SystemTime> {
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b""[..]),
    };
    let (year, rest) = match whole.len() {
        14 => (part(whole, 0, 4)?, &whole[4..]),
        15 if whole.starts_with(b"191") => (1900 + part(whole, 2, 5)?, &whole[5..]),
        _ => return None,
    };
    let (hour, minute, second) = (part(rest, 4, 6)?, part(rest, 6, 8)?, part(rest, 8, 10)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_of(year, part(rest, 0, 2)?, part(rest, 2, 4)?)?;
    let time = time_of(days * DAY + hour * 3600 + minute * 60 + second.min(59))?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanos =
        (0..9).fold(0_u32, |sum, at| sum * 10 + u32::from(fraction.get(at).map_or(0, |byte| byte - b'0')));
    time.checked_add(Duration::from_nanos(nanos.into()))
}

/// Writes `YYYYMMDDhhmmss`, in UTC. `None` for years that four digits cannot show.
pub(in crate::backends::ftp) fn stamp(time: SystemTime) -> Option<String> {
    let seconds = calendar::seconds(time);
    let Date { year, month, day } = Date::after_epoch(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    (1..=9999).contains(&year).then(|| {
        format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)
    })
}

/// The number of a month by its English name, long or short.
pub(super) fn month(text: &[u8]) -> Option<i64> {
    let short = text.get(..3)?.to_ascii_lowercase();
    let is_word = text.len() <= 9 && text.iter().all(u8::is_ascii_alphabetic);
    let found = MONTHS.iter().position(|month| *month == short).filter(|_| is_word)?;
    i64::try_from(found).ok().map(|found| found + 1)
}

/// `hh:mm[:ss[.fff]]`, with AM or PM at its end where one is.
pub(super) fn time_of_day(text: &[u8]) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let (digits, half) = match lower.strip_suffix(b"m") {
        Some(rest) => (rest.get(..rest.len().checked_sub(1)?)?, rest.last().copied()),
        None => (&lower[..], None),
    };
    let mut parts = digits.split(|byte| *byte == b':');
    let (hour, minute) = (small(parts.next()?)?, small(parts.next()?)?);
    let second = match parts.next() {
        Some(text) => small(text.split(|byte| *byte == b'.').next()?)?,
        None => 0,
    };
    let hour = match half {
        Some(b'a') if hour <= 12 => hour % 12,
        Some(b'p') if hour <= 12 => hour % 12 + 12,
        Some(_) => return None,
        None => hour,
    };
    let is_valid = parts.next().is_none() && hour < 24 && minute < 60 && second < 61;
    is_valid.then_some(hour * 3600 + minute * 60 + second.min(59))
}

/// `YYYY-MM-DD`.
pub(super) fn iso_date(text: &[u8]) -> Option<(i64, i64, i64)> {
    let is_dashed = text.len() == 10 && text[4] == b'-' && text[7] == b'-';
    is_dashed.then(|| Some((part(text, 0, 4)?, part(text, 5, 7)?, part(text, 8, 10)?))).flatten()
}

/// A day of the month.
pub(super) fn day(text: &[u8]) -> Option<i64> {
    small(text).filter(|day| (1..=31).contains(day))
}

/// A year of four digits.
pub(super) fn year(token: &Token<'_>) -> Option<i64> {
    (token.text.len() == 4).then(|| part(token.text, 0, 4)).flatten().filter(|year| *year >= 1900)
}

/// A number of one or two digits.
fn small(text: &[u8]) -> Option<i64> {
    let is_plain = (1..=2).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    number(text).filter(|_| is_plain).and_then(|number| i64::try_from(number).ok())
}

fn part(text: &[u8], from: usize, to: usize) -> Option<i64> {
    let digits = text.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    number(digits).and_then(|number| i64::try_from(number).ok())
}

/// Days since 1970 of a day that the calendar has.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let date = Date { year, month: u8::try_from(month).ok()?, day: u8::try_from(day).ok()? };
    let days = date.days();
    (Date::after_epoch(days) == date).then_some(days)
}

fn civil_year(seconds: i64) -> i64 {
    Date::after_epoch(seconds.div_euclid(DAY)).year
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_go_both_ways() {
        for (text, seconds) in [
            ("19700101000000", 0),
            ("20240229101112", 1_709_201_472),
            ("19991231235959", 946_684_799),
            ("19691231235959", -1),
        ] {
            let time = stamped(text.as_bytes()).unwrap();
            assert_eq!(Some(time), time_of(seconds), "{text}");
            assert_eq!(stamp(time).as_deref(), Some(text));
        }
        let exact = stamped(b"20240229101112.5").unwrap();
        assert_eq!(exact.duration_since(time_of(1_709_201_472).unwrap()).unwrap().as_millis(), 500);
        assert_eq!(stamped(b"191240229101112"), stamped(b"20240229101112"));
        for text in ["20230229000000", "20240229250000", "2024", "2024022910111x", "20240229101112.x", ""] {
            assert_eq!(stamped(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_of_day_are_read() {
        for (text, seconds) in [
            ("00:00", Some(0)),
            ("12:00AM", Some(0)),
            ("12:30pm", Some(45_000)),
            ("1:00PM", Some(46_800)),
            ("23:59:59.123", Some(86_399)),
            ("24:00", None),
            ("13:00PM", None),
            ("m", None),
            ("10", None),
            ("10:11:12:13", None),
        ] {
            assert_eq!(time_of_day(text.as_bytes()), seconds, "{text}");
        }
    }
}

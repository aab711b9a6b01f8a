//! Moments as FTP and logs write them: in UTC, names of the C locale. Pure.

use std::fmt;
use std::time::{Duration, SystemTime};

use vfs::calendar::{self, Date};

/// How long a date shows its time of day instead of its year, as `ls` has it: half a year.
const RECENT: Duration = Duration::from_secs(180 * 24 * 60 * 60);

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A second in UTC, in the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    year: u16,
    month: u8,
    day: u8,
    second_of_day: u32,
}

impl Moment {
    /// `None` for years that four digits cannot show: to a listing such a time is unknown.
    pub(crate) fn of(time: SystemTime) -> Option<Self> {
        let seconds = calendar::seconds(time);
        let Date { year, month, day } = Date::after_epoch(seconds.div_euclid(DAY_SECONDS));
        let second_of_day = u32::try_from(seconds.rem_euclid(DAY_SECONDS)).ok()?;
        let year = u16::try_from(year).ok().filter(|year| (1..=9999).contains(year))?;
        Some(Self { year, month, day, second_of_day })
    }

    /// Reads `YYYYMMDDhhmmss`, and fractions after a dot, which are dropped; a second 60 is that of a leap second and
    /// counts as 59. `None` for any other text, and for dates that no calendar has.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (digits, fraction) = match text.iter().position(|byte| *byte == b'.') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let are_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        if digits.len() != 14 || !are_digits(digits) || !fraction.is_none_or(are_digits) {
            return None;
        }
        let number =
            |from, to| digits[from..to].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        let (year, month, day) = (number(0, 4), number(4, 6), number(6, 8));
        let (hour, minute, second) = (number(8, 10), number(10, 12), number(12, 14));
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let moment = Self {
            year: u16::try_from(year).ok().filter(|year| *year > 0)?,
            month: u8::try_from(month).ok().filter(|month| (1..=12).contains(month))?,
            day: u8::try_from(day).ok()?,
            second_of_day: hour * 3600 + minute * 60 + second.min(59),
        };
        // A day that the month does not have would be one of the next month.
        (Date::after_epoch(moment.date().days()) == moment.date()).then_some(moment)
    }

    /// The moment as the system counts it.
    pub(crate) fn time(self) -> SystemTime {
        let seconds = self.date().days() * DAY_SECONDS + i64::from(self.second_of_day);
        let distance = Duration::from_secs(seconds.unsigned_abs());
        match seconds < 0 {
            true => SystemTime::UNIX_EPOCH - distance,
            false => SystemTime::UNIX_EPOCH + distance,
        }
    }

    fn date(self) -> Date {
        Date { year: self.year.into(), month: self.month, day: self.day }
    }

    /// `20/Nov/2026:09:15:00 +0000`, as the Common Log Format has it.
    pub(crate) fn common(self) -> String {
        let Self { year, day, .. } = self;
        format!("{day:02}/{}/{year:04}:{} +0000", self.month_name(), self.clock())
    }

    /// `2026-11-20T09:15:00Z` (RFC 3339 §5.6).
    pub(crate) fn rfc3339(self) -> String {
        let Self { year, month, day, .. } = self;
        format!("{year:04}-{month:02}-{day:02}T{}Z", self.clock())
    }

    /// `Fri Nov 20 09:15:00 2026`, as asctime(3) has it.
    pub(crate) fn asctime(self) -> String {
        // 1970-01-01 was a Thursday.
        let weekday = usize::try_from((self.date().days() + 4).rem_euclid(7)).map_or("", |day| WEEKDAYS[day]);
        format!("{weekday} {} {:2} {} {:04}", self.month_name(), self.day, self.clock(), self.year)
    }

    fn month_name(self) -> &'static str {
        MONTHS[usize::from(self.month) - 1]
    }

    fn clock(self) -> String {
        let second = self.second_of_day;
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }

    /// `YYYYMMDDhhmmss` (RFC 3659 §2.3).
    pub(crate) fn stamp(self) -> impl fmt::Display {
        Stamp(self)
    }

    /// Twelve columns as `ls -l` has them: `Nov 20 09:15`, or `Nov 20  2024` where the moment is older than 180 days
    /// before `now`, or after it.
    pub(crate) fn column(self, time: SystemTime, now: SystemTime) -> impl fmt::Display {
        let recent = now.duration_since(time).is_ok_and(|age| age < RECENT);
        Column { moment: self, recent }
    }
}

struct Stamp(Moment);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { year, month, day, second_of_day: second } = self.0;
        let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}{month:02}{day:02}{hours:02}{minutes:02}{seconds:02}")
    }
}

struct Column {
    moment: Moment,
    recent: bool,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { year, month, day, second_of_day: second } = self.moment;
        write!(f, "{} {day:2} ", MONTHS[usize::from(month) - 1])?;
        match self.recent {
            true => write!(f, "{:02}:{:02}", second / 3600, second / 60 % 60),
            false => write!(f, "{year:5}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> SystemTime {
        let distance = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
    }

    #[test]
    fn moments_are_stamped_in_utc() {
        for (seconds, stamp) in [
            (0, "19700101000000"),
            (-1, "19691231235959"),
            (951_782_400, "20000229000000"),
            (1_709_164_800, "20240229000000"),
            (4_107_542_399, "21000228235959"),
            (4_107_542_400, "21000301000000"),
            (253_402_300_799, "99991231235959"),
            (-62_135_596_800, "00010101000000"),
        ] {
            assert_eq!(Moment::of(at(seconds)).unwrap().stamp().to_string(), stamp, "{seconds}");
        }
        assert_eq!(Moment::of(at(253_402_300_800)), None);
        assert_eq!(Moment::of(at(-62_135_596_801)), None);
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1);
        assert_eq!(Moment::of(before).unwrap().stamp().to_string(), "19691231235959");
    }

    #[test]
    fn stamps_are_read_back() {
        for seconds in [0, -1, 951_782_400, 1_709_164_800, 4_107_542_399, 253_402_300_799, -62_135_596_800] {
            let stamp = Moment::of(at(seconds)).unwrap().stamp().to_string();
            assert_eq!(Moment::parse(stamp.as_bytes()).map(Moment::time), Some(at(seconds)), "{stamp}");
        }
        assert_eq!(Moment::parse(b"19700101000060.25").map(Moment::time), Some(at(59)));
        for wrong in [
            "",
            "1970010100000",
            "197001010000000",
            "19700101000000.",
            "19700101000000.x",
            "1970010100000x",
            "19700001000000",
            "19701301000000",
            "19700100000000",
            "19700230000000",
            "20230229000000",
            "19700101240000",
            "19700101006000",
            "19700101000061",
            "00000101000000",
        ] {
            assert_eq!(Moment::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn old_and_future_dates_show_their_year() {
        let now = 1_763_630_100; // 2025-11-20 09:15:00
        for (seconds, column) in [
            (now, "Nov 20 09:15"),
            (now - 60, "Nov 20 09:14"),
            (now - 179 * DAY_SECONDS, "May 25 09:15"),
            (now - 180 * DAY_SECONDS, "May 24  2025"),
            (now + 1, "Nov 20  2025"),
            (0, "Jan  1  1970"),
        ] {
            let moment = Moment::of(at(seconds)).unwrap();
            assert_eq!(moment.column(at(seconds), at(now)).to_string(), column);
        }
    }
}

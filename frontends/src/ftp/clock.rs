//! Moments as FTP writes them: in UTC, month names of the C locale. Pure.

use std::fmt;
use std::time::{Duration, SystemTime};

/// How long a date shows its time of day instead of its year, as `ls` has it: half a year.
const RECENT: Duration = Duration::from_secs(180 * 24 * 60 * 60);

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A second in UTC, in the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    year: u16,
    month: u8,
    day: u8,
    second_of_day: u32,
}

impl Moment {
    /// `None` for years that four digits cannot show: to a listing such a time is unknown.
    pub(super) fn of(time: SystemTime) -> Option<Self> {
        let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).ok()?,
            // A fraction before a full second belongs to the second below.
            Err(before) => -i64::try_from(before.duration().as_nanos().div_ceil(1_000_000_000)).ok()?,
        };
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_SECONDS));
        let second_of_day = u32::try_from(seconds.rem_euclid(DAY_SECONDS)).ok()?;
        let year = u16::try_from(year).ok().filter(|year| (1..=9999).contains(year))?;
        Some(Self { year, month, day, second_of_day })
    }

    /// `YYYYMMDDhhmmss` (RFC 3659 §2.3).
    pub(super) fn stamp(self) -> impl fmt::Display {
        Stamp(self)
    }

    /// Twelve columns as `ls -l` has them: `Nov 20 09:15`, or `Nov 20  2024` where the moment is older than 180 days
    /// before `now`, or after it.
    pub(super) fn column(self, time: SystemTime, now: SystemTime) -> impl fmt::Display {
        let recent = now.duration_since(time).is_ok_and(|age| age < RECENT);
        Column { moment: self, recent }
    }
}

/// The Gregorian date of a day counted from 1970-01-01, by eras of 400 years that start in March: then the leap day is
/// the last of a year.
fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    // Both are small by construction: 1 to 12 and 1 to 31.
    (year, month as u8, day as u8)
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

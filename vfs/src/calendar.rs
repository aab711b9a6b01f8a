//! Days and dates of the proleptic Gregorian calendar, in UTC: for whoever writes a time in a form of its own. Pure.

use std::time::{SystemTime, UNIX_EPOCH};

/// Days in an era of 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;

/// Days from the first day of March in the year 0 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// A day. Months and days of the month count from 1; the year before 1 is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// The year.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day of the month, 1 to 31.
    pub day: u8,
}

// Years start in March here, so that the leap day is the last day of a year; eras are 400 years.
impl Date {
    /// The date so many days after 1970-01-01, or before it.
    pub fn after_epoch(days: i64) -> Self {
        let days = days.saturating_add(EPOCH_DAYS);
        let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        // Both are small by construction: 1 to 12 and 1 to 31.
        Self { year, month: month as u8, day: day as u8 }
    }

    /// Days since 1970-01-01: the reverse of [`Date::after_epoch`]. A day that the month does not have is one of the next.
    pub fn days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = self.year - i64::from(month <= 2);
        let month_from_march = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH_DAYS
    }
}

/// Whole seconds since 1970, negative before it. A part of a second belongs to the second that it lies in.
pub fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            -i64::try_from(before.duration().as_nanos().div_ceil(1_000_000_000)).unwrap_or(i64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_are_dates_and_dates_are_days() {
        for (days, year, month, day) in [
            (0, 1970, 1, 1),
            (-1, 1969, 12, 31),
            (11_016, 2000, 2, 29),
            (47_540, 2100, 2, 28),
            (47_541, 2100, 3, 1),
            (-719_162, 1, 1, 1),
            (-719_468, 0, 3, 1),
            (2_932_896, 9999, 12, 31),
        ] {
            let date = Date { year, month, day };
            assert_eq!(Date::after_epoch(days), date);
            assert_eq!(date.days(), days);
        }
        assert_eq!(
            Date { year: 2023, month: 2, day: 29 }.days(),
            Date { year: 2023, month: 3, day: 1 }.days()
        );
    }

    #[test]
    fn seconds_are_counted_downwards_before_the_epoch() {
        assert_eq!(seconds(UNIX_EPOCH + Duration::from_millis(1999)), 1);
        assert_eq!(seconds(UNIX_EPOCH - Duration::from_millis(1)), -1);
        assert_eq!(seconds(UNIX_EPOCH - Duration::from_secs(1)), -1);
    }

    proptest::proptest! {
        #[test]
        fn every_day_comes_back(days in -10_000_000_i64..10_000_000) {
            proptest::prop_assert_eq!(Date::after_epoch(days).days(), days);
            proptest::prop_assert!(Date::after_epoch(days) < Date::after_epoch(days + 1));
        }
    }
}

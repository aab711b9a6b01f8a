//! HTTP dates (RFC 9110 §5.6.7), to and from times in whole seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// First second that an HTTP date cannot write: its year has four digits (9999-12-31T23:59:59Z, one more).
const END_OF_DATES: u64 = 253_402_300_800;

/// `time` as an HTTP date; `None` before 1970 and after 9999, which none can write.
pub(in crate::http) fn http_date(time: SystemTime) -> Option<String> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    (since.as_secs() < END_OF_DATES).then(|| httpdate::fmt_http_date(time))
}

/// `time` as a listing shows it: `06-Nov-1994 08:49`, UTC.
pub(in crate::http) fn listing_date(time: SystemTime) -> Option<String> {
    // An IMF-fixdate has every part at a fixed place: `Sun, 06 Nov 1994 08:49:37 GMT`.
    let date = http_date(time)?;
    Some(format!("{}-{}-{} {}", date.get(5..7)?, date.get(8..11)?, date.get(12..16)?, date.get(17..22)?))
}

/// The time of an HTTP date, in any of its three forms.
pub(super) fn parse_http_date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?.trim()).ok()
}

/// `time` without its fraction, as a date can write it; what lies before 1970 is 1970.
pub(super) fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_dates_where_they_can() {
        let at = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        for (time, date) in [
            (at(784_111_777), Some("Sun, 06 Nov 1994 08:49:37 GMT")),
            (at(0), Some("Thu, 01 Jan 1970 00:00:00 GMT")),
            (at(END_OF_DATES - 1), Some("Fri, 31 Dec 9999 23:59:59 GMT")),
            (at(END_OF_DATES), None),
            (UNIX_EPOCH - Duration::from_nanos(1), None),
        ] {
            assert_eq!(http_date(time).as_deref(), date);
        }
        assert_eq!(listing_date(at(784_111_777)).unwrap(), "06-Nov-1994 08:49");
    }

    #[test]
    fn all_three_forms_are_read() {
        for date in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            let time = parse_http_date(date.as_bytes()).unwrap();
            assert_eq!(time, UNIX_EPOCH + Duration::from_secs(784_111_777), "{date}");
        }
        for junk in ["", "yesterday", "Sun, 06 Nov 1994 08:49:37", "784111777"] {
            assert!(parse_http_date(junk.as_bytes()).is_none(), "{junk}");
        }
    }
}

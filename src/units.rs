//! Values as people write and read them: spans of time, moments, permission bits.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use vfs::FileType;
use vfs::calendar::{self, Date};

/// Units of time with their length in milliseconds, longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Longest span of time that is taken. Longer ones are a slip of the pen.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// Parses a whole number with one unit: `500ms`, `30s`, `5m`, `2h`, `1d`.
///
/// # Errors
/// A sentence that says what to write instead; also for zero and for more than a year.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let length = UNITS.iter().find(|(name, _)| *name == unit.trim_start()).map(|(_, length)| *length);
    let (Ok(number), Some(length)) = (number.parse::<u64>(), length) else {
        return Err(format!(
            "\"{text}\" is no time: write a number and a unit, as in 500ms, 30s, 5m, 2h, 1d"
        ));
    };
    match Duration::from_millis(number.saturating_mul(length)) {
        Duration::ZERO => Err("a time of zero would end everything at once: write at least 1ms".to_owned()),
        duration if duration > LONGEST => {
            Err(format!("\"{text}\" is longer than a year: write 365d at most"))
        }
        duration => Ok(duration),
    }
}

/// Units of size with their length in bytes.
const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Parses bytes a second: `500KiB`, `10MiB`, `1GB`.
///
/// # Errors
/// A sentence that says what to write instead; also for zero.
pub(crate) fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    bytes_of(text).and_then(NonZeroU64::new).ok_or_else(|| {
        format!("\"{text}\" is no number of bytes a second: write a number and a unit, as in 500KiB, 10MiB")
    })
}

/// Parses a number of bytes: `512MiB`, `10GiB`, `0B`.
///
/// # Errors
/// A sentence that says what to write instead.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    bytes_of(text)
        .ok_or_else(|| format!("\"{text}\" is no size: write a number and a unit, as in 512MiB, 10GiB"))
}

fn bytes_of(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, length) = SIZES.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*length)
}

/// The shortest text that parses back to `duration`; what is finer than a millisecond is left out.
pub(crate) fn duration_text(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, length) =
        UNITS.into_iter().find(|(_, length)| milliseconds.is_multiple_of(*length)).unwrap_or(("ms", 1));
    format!("{}{unit}", milliseconds / length)
}

/// A moment in UTC to the second, as RFC 3339 §5.6 writes it with a space: `2026-08-01 12:00:05Z`.
/// Moments before 1970 are moments like any other.
pub(crate) fn moment_text(moment: SystemTime) -> String {
    let seconds = calendar::seconds(moment);
    let Date { year, month, day } = Date::after_epoch(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Type and permission bits as ls(1) writes them: `drwxr-xr-x`. Unknown bits are `?`.
pub(crate) fn mode_text(file_type: FileType, mode: Option<u32>) -> String {
    let mut text = String::from(match file_type {
        FileType::File => "-",
        FileType::Dir => "d",
        FileType::Symlink => "l",
        // A device, FIFO or socket: which one is not told.
        FileType::Other => "?",
    });
    let Some(mode) = mode else {
        text.push_str("?????????");
        return text;
    };
    // Three times read, write, execute; the last letter also tells setuid, setgid and sticky.
    for (shift, special, letters) in [(6, 0o4000, "sS"), (3, 0o2000, "sS"), (0, 0o1000, "tT")] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push_str(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => &letters[..1],
            (true, false) => &letters[1..],
            (false, true) => "x",
            (false, false) => "-",
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn times_parse_and_print() {
        for (text, seconds, printed) in [
            ("30s", 30, "30s"),
            ("5m", 300, "5m"),
            ("90 s", 90, "90s"),
            ("120s", 120, "2m"),
            ("1d", 86_400, "1d"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!((duration.as_secs(), duration_text(duration).as_str()), (seconds, printed), "{text}");
        }
        assert_eq!(duration_text(parse_duration("1500ms").unwrap()), "1500ms");
    }

    #[test]
    fn a_time_without_a_unit_is_refused_with_a_cure() {
        for text in ["", "5", "m", "5 minutes", "-5s", "1.5h", "99999999999999999999s"] {
            assert!(parse_duration(text).unwrap_err().contains("30s, 5m"), "{text}");
        }
        for text in ["0s", "366d", "18446744073709551615d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_before_and_after_the_epoch() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_785_585_605, "2026-08-01 12:00:05Z"),
            (4_107_542_400, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(moment_text(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
        for (milliseconds, text) in [(1, "1969-12-31 23:59:59Z"), (86_400_000, "1969-12-31 00:00:00Z")] {
            assert_eq!(moment_text(UNIX_EPOCH - Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn modes_read_as_ls_shows_them() {
        for (file_type, mode, text) in [
            (FileType::File, Some(0o644), "-rw-r--r--"),
            (FileType::Dir, Some(0o1777), "drwxrwxrwt"),
            (FileType::File, Some(0o4755), "-rwsr-xr-x"),
            (FileType::File, Some(0o2644), "-rw-r-Sr--"),
            (FileType::Symlink, None, "l?????????"),
        ] {
            assert_eq!(mode_text(file_type, mode), text);
        }
    }
}

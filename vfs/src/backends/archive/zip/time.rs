//! When a zip member was changed: of the four ways to say it, the finest that is there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::fields::{Fields, extras};

/// NTFS times: 100 ns since 1601 (APPNOTE 4.5.5).
const NTFS: u16 = 0x000a;
/// Extended timestamp: seconds since 1970, signed (Info-ZIP's extrafld.txt).
const EXTENDED: u16 = 0x5455;
/// Info-ZIP's first Unix field: seconds since 1970, access before modification.
const UNIX: u16 = 0x5855;

/// From 1601 to 1970, in units of 100 ns.
const NTFS_EPOCH: u64 = 116_444_736_000_000_000;

/// The time in `extra`, else the DOS time. `None` where neither makes sense.
pub(super) fn modified(date: u16, time: u16, extra: &[u8]) -> Option<SystemTime> {
    let of = |tag: u16| extras(extra).find(|(found, _)| *found == tag).map(|(_, content)| content);
    of(NTFS)
        .and_then(ntfs)
        .or_else(|| of(EXTENDED).and_then(|content| extended(content, date)))
        .or_else(|| of(UNIX).and_then(unix))
        .or_else(|| dos(date, time))
}

fn ntfs(content: &[u8]) -> Option<SystemTime> {
    let mut fields = Fields(content.get(4..)?);
    let (tag, len) = (fields.u16()?, fields.u16()?);
    if tag != 1 || len < 24 {
        return None;
    }
    let ticks = fields.u64()?;
    if ticks == 0 {
        return None;
    }
    match ticks.checked_sub(NTFS_EPOCH) {
        Some(after) => UNIX_EPOCH.checked_add(of_ticks(after)),
        None => UNIX_EPOCH.checked_sub(of_ticks(NTFS_EPOCH - ticks)),
    }
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::new(ticks / 10_000_000, (ticks % 10_000_000) as u32 * 100)
}

/// The number is signed, and some writers let it run on beyond 2038 all the same: then the DOS date says so.
fn extended(content: &[u8], date: u16) -> Option<SystemTime> {
    let (flags, rest) = content.split_first()?;
    if flags & 1 == 0 {
        return None;
    }
    let seconds = Fields(rest).u32()?;
    let is_late = 1980 + (date >> 9) >= 2038;
    at_seconds(if is_late { seconds.into() } else { seconds.cast_signed().into() })
}

fn unix(content: &[u8]) -> Option<SystemTime> {
    let mut fields = Fields(content);
    fields.u32()?;
    at_seconds(fields.u32()?.cast_signed().into())
}

/// A DOS time has steps of two seconds and no zone; it is taken for UTC.
fn dos(date: u16, time: u16) -> Option<SystemTime> {
    let (year, month, day) = (1980 + i64::from(date >> 9), i64::from(date >> 5 & 15), i64::from(date & 31));
    let (hour, minute, second) = (i64::from(time >> 11), i64::from(time >> 5 & 63), i64::from(time & 31) * 2);
    let is_time = hour < 24 && minute < 60 && second < 60;
    if !is_time || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    at_seconds(days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The civil calendar, with years that begin in March so that the leap day is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

fn at_seconds(seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(tag: u16, content: &[u8]) -> Vec<u8> {
        [&tag.to_le_bytes()[..], &(content.len() as u16).to_le_bytes(), content].concat()
    }

    #[test]
    fn the_finest_time_wins() {
        let dos = (44 << 9 | 2 << 5 | 29, 12 << 11 | 34 << 5 | 28);
        let extended = field(EXTENDED, &[&[1][..], &1_000_000_000_u32.to_le_bytes()].concat());
        let before_1970 = field(EXTENDED, &[&[3][..], &(-1_i32).to_le_bytes()].concat());
        let late = field(EXTENDED, &[&[1][..], &2_200_000_000_u32.to_le_bytes()].concat());
        let unix = field(UNIX, &[7_u32.to_le_bytes(), 9_u32.to_le_bytes()].concat());
        let ticks = NTFS_EPOCH + 15_000_000;
        let ntfs_content = [&[0, 0, 0, 0, 1, 0, 24, 0][..], &ticks.to_le_bytes(), &[0; 16]].concat();
        let ntfs = field(NTFS, &ntfs_content);
        let at = |seconds: f64| Some(UNIX_EPOCH + Duration::from_secs_f64(seconds));
        for (name, (date, time), extra, expected) in [
            ("DOS, on a leap day", dos, Vec::new(), at(1_709_210_096.0)),
            ("extended", dos, extended.clone(), at(1_000_000_000.0)),
            ("before 1970", dos, before_1970, Some(UNIX_EPOCH - Duration::from_secs(1))),
            ("beyond 2038", (60 << 9 | 2 << 5 | 1, 0), late, at(2_200_000_000.0)),
            ("old Unix", dos, unix, at(9.0)),
            ("NTFS before extended", dos, [extended.clone(), ntfs.clone()].concat(), at(1.5)),
            ("cut NTFS gives way", dos, [extended, field(NTFS, &ntfs_content[..9])].concat(), at(1e9)),
            ("extended without its time", dos, field(EXTENDED, &[0]), at(1_709_210_096.0)),
            ("no date", (0, 0), Vec::new(), None),
            ("25 o'clock", (dos.0, 25 << 11), Vec::new(), None),
        ] {
            assert_eq!(modified(date, time, &extra), expected, "{name}");
        }
    }
}

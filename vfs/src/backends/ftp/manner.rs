//! [`NameEncoding`] and [`TimeZone`]: what a site does in its own way and says nowhere.

use std::str::FromStr;

use encoding_rs::Encoding;

/// What a site writes names in, where that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameEncoding(pub(super) &'static Encoding);

/// What a site's clock is ahead of UTC by, where LIST tells times. Default: not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeZone {
    pub(super) minutes: i32,
}

impl FromStr for NameEncoding {
    type Err = &'static str;

    /// Reads a label of the Encoding Standard. Commands are ASCII, so the encoding must hold that.
    fn from_str(label: &str) -> Result<Self, Self::Err> {
        let found = Encoding::for_label(label.as_bytes()).filter(|found| found.is_ascii_compatible());
        found.map(Self).ok_or("an encoding is a name like latin1, windows-1252 or gbk")
    }
}

impl FromStr for TimeZone {
    type Err = &'static str;

    /// Reads `+02:00`, `-0530`, `+02` or `UTC`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        minutes_of(text).map(|minutes| Self { minutes }).ok_or("a time zone is written +02:00, -0530 or UTC")
    }
}

fn minutes_of(text: &str) -> Option<i32> {
    if text.eq_ignore_ascii_case("utc") || text == "Z" {
        return Some(0);
    }
    // A + in a query may have become a space on its way here.
    let (sign, digits) = match text.split_at_checked(1)? {
        ("-", digits) => (-1, digits),
        ("+" | " ", digits) => (1, digits),
        _ => return None,
    };
    let digits = match digits.split_once(':') {
        Some((hours, minutes)) if hours.len() == 2 && minutes.len() == 2 => format!("{hours}{minutes}"),
        Some(_) => return None,
        None => digits.to_owned(),
    };
    let is_valid = matches!(digits.len(), 2 | 4) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let hours: i32 = digits.get(..2).filter(|_| is_valid)?.parse().ok()?;
    let minutes: i32 = digits.get(2..).filter(|rest| !rest.is_empty()).map_or(Ok(0), str::parse).ok()?;
    (hours <= 15 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_minutes_ahead_of_utc() {
        for (text, minutes) in [
            ("UTC", Some(0)),
            ("+02:00", Some(120)),
            (" 02:00", Some(120)),
            ("-0530", Some(-330)),
            ("+09", Some(540)),
            ("+99", None),
            ("+1:0", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(minutes_of(text), minutes, "{text}");
        }
    }
}

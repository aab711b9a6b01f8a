//! The `Content-Range` of a request: where the part that is sent belongs (RFC 9110 §14.4, §14.5).

/// A part of a file that is sent on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Placed {
    /// Its first byte in the file.
    pub(in crate::http) start: u64,
    /// How many bytes it has.
    pub(in crate::http) len: u64,
    /// The file's length, where it is said.
    pub(in crate::http) total: Option<u64>,
}

impl Placed {
    /// Parses `bytes FIRST-LAST/TOTAL`, where TOTAL may be `*`.
    pub(in crate::http) fn parse(value: &[u8]) -> Option<Self> {
        let (unit, rest) = std::str::from_utf8(value).ok()?.trim().split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (range, total) = rest.trim().split_once('/')?;
        let (start, last) = range.split_once('-')?;
        let (start, last) = (number(start)?, number(last)?);
        let total = if total == "*" { None } else { Some(number(total)?) };
        let end =
            last.checked_add(1).filter(|end| start < *end && total.is_none_or(|total| *end <= total))?;
        Some(Self { start, len: end - start, total })
    }

    /// The byte after its last one.
    pub(in crate::http) fn end(&self) -> u64 {
        self.start + self.len
    }
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_a_place() {
        let placed = |start, len, total| Some(Placed { start, len, total });
        for (value, expected) in [
            ("bytes 0-9/10", placed(0, 10, Some(10))),
            ("bytes 5-9/*", placed(5, 5, None)),
            ("BYTES 0-0/100", placed(0, 1, Some(100))),
            ("bytes 0-10/10", None),
            ("bytes 5-4/10", None),
            ("bytes */10", None),
            ("bytes=0-9/10", None),
            ("items 0-9/10", None),
            ("bytes +0-9/10", None),
            ("bytes 0-18446744073709551615/*", None),
            ("bytes 0-9", None),
            ("", None),
        ] {
            assert_eq!(Placed::parse(value.as_bytes()), expected, "{value}");
        }
    }
}

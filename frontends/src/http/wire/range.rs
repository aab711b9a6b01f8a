//! The `Range` field (RFC 9110 §14): one range of bytes, or nothing that binds us.

use vfs::ByteRange;

/// One range, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum RangeSpec {
    /// `bytes=5-`
    From(u64),
    /// `bytes=5-9`, the last byte included.
    Between(u64, u64),
    /// `bytes=-5`
    Last(u64),
}

/// What a range means for a content of a known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Part {
    /// These bytes, at least one.
    Some(ByteRange),
    /// The whole: the range was asked of an empty content, of which no byte can be named.
    Whole,
    /// No byte at all.
    Unsatisfiable,
}

/// Reads a `Range` value. `None` where it is to be ignored: an unknown unit, a syntax error, or several ranges, which
/// a server need not serve (RFC 9110 §14.2) and which are answered with the whole.
pub(in crate::http) fn parse_range(value: &[u8]) -> Option<RangeSpec> {
    let at = value.iter().position(|byte| *byte == b'=')?;
    let (unit, set) = (&value[..at], &value[at + 1..]);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    // A list may hold empty elements (RFC 9110 §5.6.1.2).
    let mut ranges =
        set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|range| !range.is_empty());
    let range = ranges.next()?;
    if ranges.next().is_some() {
        return None;
    }
    let dash = range.iter().position(|byte| *byte == b'-')?;
    match (&range[..dash], &range[dash + 1..]) {
        (b"", suffix) => number(suffix).map(RangeSpec::Last),
        (first, b"") => number(first).map(RangeSpec::From),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(RangeSpec::Between(first, last))
        }
    }
}

/// Digits and nothing else. A number too large for us is the largest: past the end of every file.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(text.iter().fold(0, append))
}

impl RangeSpec {
    /// The range within `len` bytes.
    pub(in crate::http) fn within(self, len: u64) -> Part {
        let (start, end) = match self {
            Self::From(first) => (first, len),
            Self::Between(first, last) => (first, last.saturating_add(1).min(len)),
            Self::Last(0) => return Part::Unsatisfiable,
            Self::Last(_) if len == 0 => return Part::Whole,
            Self::Last(count) => (len.saturating_sub(count), len),
        };
        if start >= len {
            return Part::Unsatisfiable;
        }
        Part::Some(ByteRange { start, end: Some(end) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some(start: u64, end: u64) -> Option<Part> {
        Some(Part::Some(ByteRange { start, end: Some(end) }))
    }

    #[test]
    fn ranges_of_ten_bytes() {
        for (value, part) in [
            ("bytes=0-0", some(0, 1)),
            ("bytes=0-9", some(0, 10)),
            ("bytes=5-", some(5, 10)),
            ("bytes=-3", some(7, 10)),
            ("bytes=-30", some(0, 10)),
            ("bytes=8-99", some(8, 10)),
            ("bytes=8-99999999999999999999", some(8, 10)),
            ("BYTES=0-0", some(0, 1)),
            ("Bytes=0-0", some(0, 1)),
            ("bytes= 2-3 ,", some(2, 4)),
            ("bytes=,2-3", some(2, 4)),
            ("bytes=10-", Some(Part::Unsatisfiable)),
            ("bytes=10-20", Some(Part::Unsatisfiable)),
            ("bytes=99999999999999999999-", Some(Part::Unsatisfiable)),
            ("bytes=18446744073709551615-18446744073709551615", Some(Part::Unsatisfiable)),
            ("bytes=-0", Some(Part::Unsatisfiable)),
            // To be ignored.
            ("bytes=0-0,2-3", None),
            ("items=0-0", None),
            ("bytes=5-2", None),
            ("bytes=", None),
            ("bytes=,", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("bytes=0x1-2", None),
            ("bytes=1 -2", None),
            ("bytes=--1", None),
            ("bytes = 0-1", None),
            ("bytes", None),
            ("0-1", None),
            ("", None),
        ] {
            assert_eq!(parse_range(value.as_bytes()).map(|range| range.within(10)), part, "{value:?}");
        }
    }

    #[test]
    fn an_empty_content_has_no_byte_to_name() {
        for (value, part) in [
            ("bytes=0-0", Part::Unsatisfiable),
            ("bytes=0-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=-1", Part::Whole),
        ] {
            assert_eq!(parse_range(value.as_bytes()).unwrap().within(0), part, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_any_part_lies_within(
            value in "(bytes=)?[-0-9, =a\u{e9}]{0,40}",
            len in any::<u64>(),
        ) {
            if let Some(Part::Some(range)) = parse_range(value.as_bytes()).map(|range| range.within(len)) {
                prop_assert!(range.start < range.end.unwrap() && range.end.unwrap() <= len);
            }
        }
    }
}

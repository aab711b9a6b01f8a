//! The `Range` field (RFC 9110 §14): ranges of bytes, or nothing that binds us.

use vfs::ByteRange;

/// Ranges in one field. A field with more is ignored, which costs its sender the whole and us nothing more than that.
const RANGES: usize = 100;

/// Parts in one answer. Where more are left after joining, the whole is sent.
const PARTS: usize = 16;

/// Parts that lie no further apart are one: the head of another would be longer than the bytes between.
const GAP_BYTES: u64 = 128;

/// The ranges of one field, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct Ranges(Vec<RangeSpec>);

/// One range, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RangeSpec {
    /// `bytes=5-`
    From(u64),
    /// `bytes=5-9`, the last byte included.
    Between(u64, u64),
    /// `bytes=-5`
    Last(u64),
}

/// What ranges mean for a content of a known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum Selection {
    /// These bytes, at least one.
    Part(ByteRange),
    /// These pieces, two at least, none of them empty, in the order that was asked for as far as they did not overlap.
    Parts(Vec<ByteRange>),
    /// The whole: a suffix was asked of an empty content, of which no byte can be named, or the parts would be too many,
    /// or more than the whole (RFC 9110 §14.2, §17.15).
    Whole,
    /// No byte at all.
    Unsatisfiable,
}

/// Reads a `Range` value. `None` where it is to be ignored: an unknown unit, a syntax error, or too many ranges.
pub(in crate::http) fn parse_ranges(value: &[u8]) -> Option<Ranges> {
    let at = value.iter().position(|byte| *byte == b'=')?;
    let (unit, set) = (&value[..at], &value[at + 1..]);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut ranges = Vec::new();
    // A list may hold empty elements (RFC 9110 §5.6.1.2).
    for range in set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|range| !range.is_empty()) {
        if ranges.len() == RANGES {
            return None;
        }
        ranges.push(parse_range(range)?);
    }
    (!ranges.is_empty()).then_some(Ranges(ranges))
}

fn parse_range(range: &[u8]) -> Option<RangeSpec> {
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

impl Ranges {
    /// The ranges within `len` bytes.
    pub(in crate::http) fn within(&self, len: u64) -> Selection {
        let is_suffix = |range: &RangeSpec| matches!(range, RangeSpec::Last(1..));
        if len == 0 && self.0.iter().any(is_suffix) {
            return Selection::Whole;
        }
        let pieces: Vec<_> = self.0.iter().filter_map(|range| range.within(len)).collect();
        let pieces = joined(pieces);
        match *pieces {
            [] => Selection::Unsatisfiable,
            [(start, end)] => Selection::Part(ByteRange { start, end: Some(end) }),
            _ if pieces.len() > PARTS => Selection::Whole,
            _ if pieces.iter().map(|(start, end)| end - start).sum::<u64>() > len => Selection::Whole,
            _ => {
                let part = |(start, end)| ByteRange { start, end: Some(end) };
                Selection::Parts(pieces.into_iter().map(part).collect())
            }
        }
    }
}

impl RangeSpec {
    /// Its first byte and the one after its last; `None` where it names none.
    fn within(self, len: u64) -> Option<(u64, u64)> {
        let (start, end) = match self {
            Self::From(first) => (first, len),
            Self::Between(first, last) => (first, last.saturating_add(1).min(len)),
            Self::Last(count) => (len.saturating_sub(count), len),
        };
        (start < end).then_some((start, end))
    }
}

/// The pieces as they are where they lie apart; else in the order of the content, those that overlap or nearly touch as
/// one (RFC 9110 §15.3.7.2).
fn joined(pieces: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let mut sorted = pieces.clone();
    sorted.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (start, end) in sorted {
        match joined.last_mut() {
            Some(last) if start <= last.1.saturating_add(GAP_BYTES) => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    if joined.len() == pieces.len() { pieces } else { joined }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(start: u64, end: u64) -> Option<Selection> {
        Some(Selection::Part(ByteRange { start, end: Some(end) }))
    }

    fn parts(parts: &[(u64, u64)]) -> Option<Selection> {
        let part = |(start, end): &(u64, u64)| ByteRange { start: *start, end: Some(*end) };
        Some(Selection::Parts(parts.iter().map(part).collect()))
    }

    fn select(value: &str, len: u64) -> Option<Selection> {
        parse_ranges(value.as_bytes()).map(|ranges| ranges.within(len))
    }

    #[test]
    fn ranges_of_ten_bytes() {
        use Selection::Unsatisfiable;
        for (value, selection) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-9", part(0, 10)),
            ("bytes=5-", part(5, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-30", part(0, 10)),
            ("bytes=8-99", part(8, 10)),
            ("bytes=8-99999999999999999999", part(8, 10)),
            ("BYTES=0-0", part(0, 1)),
            ("Bytes=0-0", part(0, 1)),
            ("bytes= 2-3 ,", part(2, 4)),
            ("bytes=,2-3", part(2, 4)),
            ("bytes=10-", Some(Unsatisfiable)),
            ("bytes=10-20", Some(Unsatisfiable)),
            ("bytes=99999999999999999999-", Some(Unsatisfiable)),
            ("bytes=18446744073709551615-18446744073709551615", Some(Unsatisfiable)),
            ("bytes=-0", Some(Unsatisfiable)),
            // Joined: the head of a second part would be longer than what lies between.
            ("bytes=0-0,2-3", part(0, 4)),
            ("bytes=8-,0-1", part(0, 10)),
            // What is not there is left out.
            ("bytes=2-3,20-", part(2, 4)),
            ("bytes=20-,30-", Some(Unsatisfiable)),
            // To be ignored.
            ("bytes=0-0,5-2", None),
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
            assert_eq!(select(value, 10), selection, "{value:?}");
        }
    }

    #[test]
    fn several_ranges_of_ten_thousand_bytes() {
        for (value, selection) in [
            ("bytes=0-99,1000-1099", parts(&[(0, 100), (1000, 1100)])),
            ("bytes=1000-1099,0-99", parts(&[(1000, 1100), (0, 100)])),
            ("bytes=0-99,-100", parts(&[(0, 100), (9900, 10_000)])),
            ("bytes=0-99,100-199", part(0, 200)),
            ("bytes=5000-5999,0-99,5500-6999", parts(&[(0, 100), (5000, 7000)])),
            ("bytes=0-,0-,0-,0-", part(0, 10_000)),
        ] {
            assert_eq!(select(value, 10_000), selection, "{value:?}");
        }
        let apart =
            |count: u64| -> String { (0..count).map(|number| format!("{0}-{0},", number * 500)).collect() };
        let Some(Selection::Parts(most)) = select(&format!("bytes={}", apart(16)), 10_000) else { panic!() };
        assert_eq!(most.len(), PARTS);
        assert_eq!(select(&format!("bytes={}", apart(17)), 10_000), Some(Selection::Whole));
        assert_eq!(select(&format!("bytes={}", apart(101)), 1_000_000), None);
    }

    #[test]
    fn an_empty_content_has_no_byte_to_name() {
        for (value, selection) in [
            ("bytes=0-0", Selection::Unsatisfiable),
            ("bytes=0-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=-1", Selection::Whole),
        ] {
            assert_eq!(select(value, 0), Some(selection), "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_parts_lie_within_and_are_no_more_than_the_whole(
            value in "(bytes=)?[-0-9, =a\u{e9}]{0,40}",
            len in prop_oneof![0..3000_u64, any::<u64>()],
        ) {
            let pieces = match select(&value, len) {
                Some(Selection::Part(part)) => vec![part],
                Some(Selection::Parts(parts)) => parts,
                _ => Vec::new(),
            };
            let mut sum = 0_u64;
            for piece in pieces {
                let end = piece.end.unwrap();
                prop_assert!(piece.start < end && end <= len);
                sum += end - piece.start;
            }
            prop_assert!(sum <= len);
        }
    }
}

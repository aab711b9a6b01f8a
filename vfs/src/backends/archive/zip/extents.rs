//! Which members of a zip archive lie in one another: a bomb says the same bytes many times, and no honest writer does.

/// Bytes by which two members may overlap; some writers count two too many.
const TOLERANCE_BYTES: u64 = 2;

/// The bytes that one member takes at the least: its local header may be longer than is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The starts of those that overlap another one, or reach beyond `limit`, in order; usually none. Two that are equal are
/// one: a second record of the same member.
pub(super) fn overlapping(mut extents: Vec<Extent>, limit: u64) -> Vec<u64> {
    extents.sort_unstable();
    extents.dedup();
    let mut starts = Vec::new();
    // The one that reaches furthest of those before.
    let mut furthest: Option<Extent> = None;
    for extent in extents {
        if let Some(before) = furthest
            && before.end > extent.start.saturating_add(TOLERANCE_BYTES)
        {
            starts.extend([before.start, extent.start]);
        }
        if extent.end > limit {
            starts.push(extent.start);
        }
        if furthest.is_none_or(|before| before.end < extent.end) {
            furthest = Some(extent);
        }
    }
    starts.sort_unstable();
    starts.dedup();
    starts.shrink_to_fit();
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_found() {
        for (name, extents, expected) in [
            ("none", &[][..], &[][..]),
            ("one behind the other", &[(0, 40), (40, 80), (90, 100)], &[]),
            ("in any order", &[(90, 100), (0, 40), (40, 80)], &[]),
            ("by two bytes", &[(0, 42), (40, 80)], &[]),
            ("by three bytes", &[(0, 43), (40, 80)], &[0, 40]),
            ("a second record", &[(0, 40), (0, 40)], &[]),
            ("the same start, another end", &[(0, 40), (0, 50), (50, 60)], &[0]),
            ("quoted", &[(0, 100), (31, 100), (62, 100)], &[0, 31, 62]),
            ("far inside", &[(0, 90), (10, 20), (30, 40), (90, 95)], &[0, 10, 30]),
            ("beyond the limit", &[(0, 40), (40, 101)], &[40]),
            (
                "two members up to the end of numbers",
                &[(0, u64::MAX), (u64::MAX - 1, u64::MAX)],
                &[0, u64::MAX - 1],
            ),
        ] {
            let extents = extents.iter().map(|(start, end)| Extent { start: *start, end: *end }).collect();
            assert_eq!(overlapping(extents, 100), expected, "{name}");
        }
    }
}

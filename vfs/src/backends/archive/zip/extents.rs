//! Which members of a zip archive lie in one another: a bomb says the same bytes many times, and no honest writer does.

/// Bytes by which two members may overlap; some writers count two too many.
const TOLERANCE_BYTES: u64 = 2;

/// The bytes that one member takes at the least: its local header may be longer than is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The name's length and checksum.
    pub(super) name: (u16, u32),
}

/// Where members begin, and which of them lie in one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extents {
    /// The first byte of each, in order.
    starts: Box<[u64]>,
    /// Those that overlap another one, or reach beyond all of them, in order; usually none.
    refused: Box<[u64]>,
}

impl Extents {
    /// Sorts `extents`, which must not reach beyond `limit`. Two that are equal are one: a second record of the same member.
    pub(super) fn new(mut extents: Vec<Extent>, limit: u64) -> Self {
        extents.sort_unstable();
        extents.dedup();
        let refused = overlapping(&extents, limit).into();
        Self { starts: extents.iter().map(|extent| extent.start).collect(), refused }
    }

    /// Whether the member that begins at `start` is one of those that lie in one another.
    pub(super) fn is_refused(&self, start: u64) -> bool {
        self.refused.binary_search(&start).is_ok()
    }

    /// Whether the member from `start` on, which turned out to end at `end`, reaches into the next one.
    pub(super) fn reaches_next(&self, start: u64, end: u64) -> bool {
        let next = self.starts.get(self.starts.partition_point(|other| *other <= start));
        next.is_some_and(|next| end > next.saturating_add(TOLERANCE_BYTES))
    }

    /// How many are refused.
    pub(super) fn refused(&self) -> usize {
        self.refused.len()
    }
}

fn overlapping(extents: &[Extent], limit: u64) -> Vec<u64> {
    let mut starts = Vec::new();
    // The one that reaches furthest of those before.
    let mut furthest: Option<Extent> = None;
    for &extent in extents {
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
            let extents =
                extents.iter().map(|(start, end)| Extent { start: *start, end: *end, name: (1, 1) });
            assert_eq!(*Extents::new(extents.collect(), 100).refused, *expected, "{name}");
        }
    }

    #[test]
    fn one_place_has_one_name() {
        let extent = |name| Extent { start: 7, end: 40, name };
        let refused = |names: [(u16, u32); 2]| Extents::new(names.map(extent).into(), 100).is_refused(7);
        assert_eq!((refused([(1, 1), (1, 1)]), refused([(1, 1), (1, 2)])), (false, true));
    }

    #[test]
    fn what_ends_later_than_the_directory_lets_think_reaches_the_next() {
        let extents = [(0, 40), (50, 80)].map(|(start, end)| Extent { start, end, name: (1, 1) });
        let extents = Extents::new(extents.into(), 100);
        for (start, end, expected) in [(0, 50, false), (0, 52, false), (0, 53, true), (50, 100, false)] {
            assert_eq!(extents.reaches_next(start, end), expected, "{start} {end}");
        }
    }
}

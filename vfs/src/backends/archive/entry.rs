//! One entry of an archive, as a container's reader hands it to the catalog.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// An entry, as its headers have it. Names are raw: where they lead is the catalog's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Where a link leads; empty for everything else.
    pub(super) link: Vec<u8>,
    /// The header's offset: no two entries share one.
    pub(super) header: u64,
    /// Where the stored bytes begin.
    pub(super) data: u64,
    /// Length of the content, holes included.
    pub(super) size: u64,
    /// Which pieces of the content are stored, where not all are.
    pub(super) sparse: Option<Arc<[Piece]>>,
    pub(super) mode: Option<u32>,
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
    /// Seconds since 1970 and nanoseconds.
    pub(super) modified: Option<(i64, u32)>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Dir,
    Symlink,
    HardLink,
    /// A device or FIFO.
    Other,
}

/// A stored piece of a file with holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Offset in the content.
    pub(super) at: u64,
    /// Offset in the stored bytes.
    pub(super) stored: u64,
    pub(super) len: u64,
}

/// Seconds since 1970, rounded down, and the nanoseconds behind them.
pub(super) fn seconds(time: SystemTime) -> Option<(i64, u32)> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Some((i64::try_from(after.as_secs()).ok()?, after.subsec_nanos())),
        Err(before) => {
            let before = before.duration();
            let (whole, nanos) = (i64::try_from(before.as_secs()).ok()?, before.subsec_nanos());
            Some(if nanos == 0 { (-whole, 0) } else { (-whole - 1, 1_000_000_000 - nanos) })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_before_1970_are_rounded_down() {
        let at = |seconds: f64| match seconds < 0.0 {
            true => UNIX_EPOCH - Duration::from_secs_f64(-seconds),
            false => UNIX_EPOCH + Duration::from_secs_f64(seconds),
        };
        for (time, expected) in
            [(0.0, (0, 0)), (1.5, (1, 500_000_000)), (-1.0, (-1, 0)), (-1.25, (-2, 750_000_000))]
        {
            assert_eq!(seconds(at(time)), Some(expected), "{time}");
        }
    }
}

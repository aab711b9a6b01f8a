//! [`Seen`]: the names that a listing has told already, without keeping them.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Bytes of all names of one folder at most: a listing without an end stops here, whoever keeps its names.
const NAMES_BYTES: u64 = 128 << 20;

/// Names that were told, as 64-bit hashes under a key of this listing's own.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    hashes: HashSet<u64>,
    key: RandomState,
    bytes: u64,
}

/// What a folder has more of than is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Entries(usize),
    Bytes(u64),
}

impl Seen {
    /// True where `name` was not told before; it is from now on.
    pub(crate) fn is_new(&mut self, name: &[u8]) -> bool {
        let is_new = self.hashes.insert(self.key.hash_one(name));
        if is_new {
            self.bytes += name.len() as u64;
        }
        is_new
    }

    /// The limit that was passed, where a folder may have `entries`.
    pub(crate) fn exceeds(&self, entries: usize) -> Option<Limit> {
        match self {
            _ if self.hashes.len() > entries => Some(Limit::Entries(entries)),
            _ if self.bytes > NAMES_BYTES => Some(Limit::Bytes(NAMES_BYTES)),
            _ => None,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(entries) => write!(f, "{entries} entries"),
            Self::Bytes(bytes) => write!(f, "{bytes} bytes of names"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_once_and_bounded_in_number_and_bytes() {
        let mut seen = Seen::default();
        assert!(seen.is_new(b"a") && !seen.is_new(b"a") && seen.is_new(b"b"));
        assert_eq!((seen.exceeds(2), seen.exceeds(1)), (None, Some(Limit::Entries(1))));
        let mut seen = Seen { bytes: NAMES_BYTES - 1, ..Seen::default() };
        assert!(seen.is_new(b"a") && !seen.is_new(b"a"));
        assert_eq!(seen.exceeds(10), None);
        assert!(seen.is_new(b"b"));
        assert_eq!(seen.exceeds(10), Some(Limit::Bytes(NAMES_BYTES)));
    }
}

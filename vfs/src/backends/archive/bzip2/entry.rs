//! What a seek point keeps: how large the stream's blocks may be, and the checksums of those before it.

use bytes::Bytes;

/// What is needed to enter a stream at a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The digit in the stream's header.
    pub(super) level: u8,
    /// The checksums of the blocks before it, combined.
    pub(super) combined: u32,
}

impl Entry {
    pub(super) fn to_state(self) -> Bytes {
        let [a, b, c, d] = self.combined.to_be_bytes();
        Bytes::copy_from_slice(&[self.level, a, b, c, d])
    }

    pub(super) fn parse(state: &[u8]) -> Option<Self> {
        let &[level, a, b, c, d] = state else {
            return None;
        };
        let combined = u32::from_be_bytes([a, b, c, d]);
        is_level(level).then_some(Self { level, combined })
    }

    /// Counts a block in.
    pub(super) fn add(&mut self, checksum: u32) {
        self.combined = self.combined.rotate_left(1) ^ checksum;
    }
}

/// Whether a stream's header may have this digit: hundreds of kilobytes in a block.
pub(super) fn is_level(byte: u8) -> bool {
    (b'1'..=b'9').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let entry = Entry { level: b'9', combined: 0x0102_0304 };
        assert_eq!(Entry::parse(&entry.to_state()), Some(entry));
    }

    #[test]
    fn a_state_that_makes_no_sense_is_none() {
        for state in [&b""[..], b"9", b"0\0\0\0\0", b":\0\0\0\0", b"9\0\0\0", b"9\0\0\0\0\0"] {
            assert_eq!(Entry::parse(state), None, "{state:?}");
        }
    }
}

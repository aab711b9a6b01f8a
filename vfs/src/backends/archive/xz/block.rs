//! A block's length, found by its own structure: the library decodes it, but does not say where it ends; and what its
//! header says of the dictionary.

use super::frame::Check;

/// A walk over one block (xz file format §3).
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockWalk {
    part: Part,
    /// Bytes walked over.
    walked: u64,
    check: Check,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The length of the header.
    Size,
    /// So many bytes before the next chunk.
    Skip(u64),
    /// A chunk's first byte.
    Control,
    /// More bytes of a chunk's header: how many are missing, how many of them stand behind the length, the length yet.
    Length { missing: u8, behind: u8, len: u16 },
    /// So many bytes of padding and check.
    Tail(u64),
    /// No chunk that LZMA2 knows: the library refuses it, wherever that ends.
    Unknown,
}

impl BlockWalk {
    pub(super) fn new(check: Check) -> Self {
        Self { part: Part::Size, walked: 0, check }
    }

    /// Walks over `bytes`, to the end of the block at most, and says how far it came.
    pub(super) fn walk(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !self.is_done() && !rest.is_empty() {
            let len = self.step(rest);
            self.walked += len as u64;
            rest = &rest[len..];
            // Padding to four bytes: header, data and padding together are a multiple of four.
            if let Part::Tail(u64::MAX) = self.part {
                self.part = Part::Tail(self.walked.next_multiple_of(4) - self.walked + self.check.len());
            }
        }
        bytes.len() - rest.len()
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.part, Part::Tail(0))
    }

    /// Bytes of the whole block, padding included.
    pub(super) fn padded(&self) -> u64 {
        self.walked
    }

    /// Takes one byte, or all that can be skipped.
    fn step(&mut self, rest: &[u8]) -> usize {
        let byte = rest[0];
        let mut taken = 1;
        self.part = match self.part {
            Part::Size => Part::Skip(u64::from(byte) * 4 + 3),
            Part::Skip(left) | Part::Tail(left) => {
                taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - taken as u64;
                match self.part {
                    Part::Tail(_) => Part::Tail(left),
                    _ if left == 0 => Part::Control,
                    _ => Part::Skip(left),
                }
            }
            Part::Control => match byte {
                0 => Part::Tail(u64::MAX),
                1 | 2 => Part::Length { missing: 2, behind: 0, len: 0 },
                // Two bytes of the unpacked length come first; they are pushed out of `len` by the next two.
                0x80..0xc0 => Part::Length { missing: 4, behind: 0, len: 0 },
                0xc0.. => Part::Length { missing: 4, behind: 1, len: 0 },
                _ => Part::Unknown,
            },
            Part::Length { missing, behind, len } => {
                let len = len << 8 | u16::from(byte);
                match missing {
                    1 => Part::Skip(u64::from(len) + 1 + u64::from(behind)),
                    _ => Part::Length { missing: missing - 1, behind, len },
                }
            }
            Part::Unknown => {
                taken = rest.len();
                Part::Unknown
            }
        };
        taken
    }
}

/// Longest header of a block (§3.1.1).
pub(super) const MAX_HEADER_BYTES: usize = 1024;

/// LZMA2 (§5.3.1).
const LZMA2: u64 = 0x21;

/// Bytes of the dictionary that a block's header asks for; `bytes` begin with the header. None where they are too few,
/// or make no sense.
pub(super) fn dictionary(bytes: &[u8]) -> Option<u64> {
    let header = bytes.get(..usize::from(*bytes.first()?) * 4 + 4)?;
    let flags = *header.get(1)?;
    let mut rest = &header[2..];
    for _ in 0..(flags >> 6 & 1) + (flags >> 7) {
        number(&mut rest)?;
    }
    for _ in 0..=flags & 3 {
        let (id, len) = (number(&mut rest)?, number(&mut rest)?);
        let (properties, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
        if id == LZMA2 {
            let bits = properties.first().filter(|bits| **bits <= 40)?;
            // The largest would be 4 GiB, and is a byte less.
            return Some(((2 | u64::from(bits & 1)) << (bits / 2 + 11)).min(u32::MAX.into()));
        }
        rest = after;
    }
    None
}

/// A number of the format (§1.2).
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..9 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << (at * 7);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_are_found_behind_lengths_and_other_filters() {
        for (header, expected) in [
            (&[2, 0x00, 0x21, 1, 22, 0, 0, 0, 0, 0, 0, 0][..], Some(8 << 20)),
            (&[3, 0xc0, 0x80, 1, 0x80, 0x80, 2, 0x21, 1, 28, 0, 0, 0, 0, 0, 0], Some(64 << 20)),
            (&[2, 0x01, 4, 0, 0x21, 1, 40, 0, 0, 0, 0, 0], Some(u32::MAX.into())),
            (&[2, 0x00, 0x21, 1, 41, 0, 0, 0, 0, 0, 0, 0], None),
            (&[2, 0x00, 0x21, 1, 22, 0, 0, 0], None),
            (&[0, 0x00, 0x21, 1], None),
            (&[1, 0x00, 3, 200, 0, 0, 0, 0], None),
            (&[], None),
        ] {
            assert_eq!(dictionary(header), expected, "{header:?}");
        }
    }
}

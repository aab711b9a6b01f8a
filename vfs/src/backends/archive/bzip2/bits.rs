//! Compressed bytes on their way to the library: the search for magics at any bit, and the shift to whole bytes.

/// Bits of a block's magic.
pub(super) const MAGIC_BITS: u64 = 48;

/// What a block begins with: the digits of pi.
pub(super) const BLOCK_MAGIC: u64 = 0x3141_5926_5359;

/// What a stream ends with: the digits of its root.
pub(super) const END_MAGIC: u64 = 0x1772_4538_5090;

/// A magic at any bit lies within so many bytes.
const SPAN_BYTES: usize = 7;

/// For each value of a byte, at which of the eight bits a magic may begin three bytes before it.
const STARTS: [u8; 256] = starts();

/// Bytes that were taken and are needed still. Positions are bits from the start of the file.
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// Where `bytes` begins, in bytes.
    at: u64,
    /// No magic begins before this bit, but those that were found.
    searched: u64,
}

impl Bits {
    /// Nothing yet, from byte `at` on.
    pub(super) fn new(at: u64) -> Self {
        Self { bytes: Vec::new(), at, searched: at * 8 }
    }

    /// Where the next byte belongs, in bytes.
    pub(super) fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes back what was pushed from byte `end` on, and says how much it was.
    pub(super) fn cut(&mut self, end: u64) -> usize {
        let surplus = self.end().saturating_sub(end) as usize;
        self.bytes.truncate(self.bytes.len() - surplus);
        surplus
    }

    /// No magic begins before this bit, but those that were found.
    pub(super) fn searched(&self) -> u64 {
        self.searched
    }

    /// Goes on with the search at this bit.
    pub(super) fn search_from(&mut self, bit: u64) {
        self.searched = bit;
    }

    /// The next magic of either kind.
    pub(super) fn find(&mut self) -> Option<u64> {
        let mut index = (self.searched / 8 - self.at) as usize;
        let mut allowed = u8::MAX << (self.searched % 8);
        while index + SPAN_BYTES <= self.bytes.len() {
            let starts = STARTS[usize::from(self.bytes[index + 3])] & allowed;
            if starts != 0 {
                let bit = (self.at + index as u64) * 8;
                let mut candidates = (0..8).filter(|start| starts >> start & 1 == 1).map(|start| bit + start);
                let found = candidates.find(|bit| {
                    self.read(*bit, MAGIC_BITS).is_some_and(|bits| bits == BLOCK_MAGIC || bits == END_MAGIC)
                });
                if let Some(found) = found {
                    self.searched = found + 1;
                    return Some(found);
                }
            }
            allowed = u8::MAX;
            index += 1;
            self.searched = (self.at + index as u64) * 8;
        }
        None
    }

    /// Reads `count` bits, 56 at most, from `bit` on; none where they are not all there.
    pub(super) fn read(&self, bit: u64, count: u64) -> Option<u64> {
        let first = (bit / 8).checked_sub(self.at)? as usize;
        let skipped = bit % 8;
        let len = (skipped + count).div_ceil(8) as usize;
        let bytes = self.bytes.get(first..first + len)?;
        let all = bytes.iter().fold(0, |all: u64, byte| all << 8 | u64::from(*byte));
        Some(all >> (len as u64 * 8 - skipped - count) & ((1 << count) - 1))
    }

    /// Appends the bytes that begin at `from` to `shifted`, until one begins at `until` or later. Behind the end of what
    /// was taken are zeros.
    pub(super) fn shift(&self, from: u64, until: u64, shifted: &mut Vec<u8>) {
        let first = (from / 8 - self.at) as usize;
        let len = until.saturating_sub(from).div_ceil(8) as usize;
        let bytes = &self.bytes[first..];
        let shift = from % 8;
        if shift == 0 {
            return shifted.extend_from_slice(&bytes[..len]);
        }
        let next = bytes[1..].iter().chain([&0]);
        let both = bytes.iter().zip(next).take(len);
        shifted.extend(both.map(|(byte, next)| byte << shift | next >> (8 - shift)));
    }

    /// Forgets the bytes before the one that holds `bit`.
    pub(super) fn forget_before(&mut self, bit: u64) {
        let len = (bit / 8).saturating_sub(self.at).min(self.bytes.len() as u64);
        self.bytes.drain(..len as usize);
        self.at += len;
    }
}

const fn starts() -> [u8; 256] {
    let mut table = [0; 256];
    let mut start = 0;
    while start < 8 {
        // The bits 24 - start to 31 - start of a magic are the third byte behind the one where it begins.
        table[(BLOCK_MAGIC >> (16 + start)) as usize & 0xff] |= 1 << start;
        table[(END_MAGIC >> (16 + start)) as usize & 0xff] |= 1 << start;
        start += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `magic` behind `before` bits that are set.
    fn bytes(magic: u64, before: u32) -> Vec<u8> {
        let ones = (1_u128 << before) - 1;
        let all = (ones << 48 | u128::from(magic)) << (128 - 48 - before);
        all.to_be_bytes().to_vec()
    }

    #[test]
    fn a_magic_is_found_at_every_bit_and_however_it_comes() {
        for magic in [BLOCK_MAGIC, END_MAGIC] {
            for before in 0..64 {
                for cut in 0..16 {
                    let bytes = bytes(magic, before);
                    let mut bits = Bits::new(1000);
                    bits.push(&bytes[..cut]);
                    let first = bits.find();
                    bits.push(&bytes[cut..]);
                    let found = first.or_else(|| bits.find());
                    assert_eq!(found, Some(8000 + u64::from(before)), "{before}, {cut}");
                    assert_eq!(bits.read(8000 + u64::from(before), MAGIC_BITS), Some(magic));
                    assert_eq!(bits.find(), None);
                }
            }
        }
    }

    #[test]
    fn bits_are_shifted_to_bytes() {
        let mut bits = Bits::new(2);
        bits.push(&[0b0001_0010, 0b0011_0100, 0b0101_0110]);
        for (from, until, expected) in [
            (16, 40, vec![0x12, 0x34, 0x56]),
            (20, 36, vec![0x23, 0x45]),
            (20, 37, vec![0x23, 0x45, 0x60]),
            (24, 25, vec![0x34]),
            (24, 24, vec![]),
        ] {
            let mut shifted = Vec::new();
            bits.shift(from, until, &mut shifted);
            assert_eq!(shifted, expected, "{from}..{until}");
        }
        bits.forget_before(31);
        assert_eq!((bits.read(23, 1), bits.read(28, 8), bits.read(28, 16)), (None, Some(0x45), None));
    }
}

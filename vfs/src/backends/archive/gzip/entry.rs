//! What a decoder must know to start amid a gzip file, and how a seek point keeps it.
//!
//! Layout of a point's state, numbers little-endian:
//!
//! ```text
//! kind         1   0 a member's header follows, and that is all; 1 a block follows; 2 a symbol follows
//! sums         8   checksum and length of the member's content so far, as a footer has them
//! bit          1   kind 2: the bit of the next byte that the block's header begins at
//! header len   2   kind 2: bytes of the block's header
//! header           kind 2
//! window form  1   0 as it is; 1 a zstd frame
//! window           all the rest
//! ```

use bytes::Bytes;

use super::super::codec::{Damage, SeekPoint};
use super::super::passed::senseless;
use super::inflate::{At, Inflate, Stop, WINDOW_BYTES};
use super::sums::{FOOTER_BYTES, Sums};

/// The longest header of a block: 7 bits before it, 17 bits of counts, 19 lengths of 3 bits, and 316 lengths of at most
/// 7 bits (RFC 1951 §3.2.7; a repeat code takes more bits and stands for three lengths or more), in bytes.
pub(super) const BLOCK_HEADER_BYTES: usize = (7 + 17 + 19 * 3 + 316 * 7_usize).div_ceil(8);

/// Where counting stops: no file is that long, and sums with a read's length cannot overflow.
const POSITION_LIMIT: u64 = 1 << 62;

/// How hard zstd tries on a window: more gains next to nothing on so few bytes.
const ZSTD_LEVEL: i32 = 3;

const MEMBER: u8 = 0;
const BLOCK: u8 = 1;
const SYMBOL: u8 = 2;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// What a decoder starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing: a member's header follows.
    Member,
    /// The first part of a member.
    Inside(Inside),
}

/// What the first part of a member leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inside {
    /// Over the member's content so far.
    pub(super) sums: Sums,
    /// The block under way; none where a block follows.
    pub(super) block: Option<BlockHeader>,
    /// The content's end, as far as what follows may reach back.
    pub(super) window: Vec<u8>,
}

/// The compressed bytes that hold a block's header, and perhaps some that follow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// [`BLOCK_HEADER_BYTES`] at most.
    pub(super) bytes: Vec<u8>,
    /// The header's first bit in the first byte.
    pub(super) bit: u8,
}

impl Entry {
    /// What `point` holds.
    ///
    /// # Errors
    /// Damage where it does not make sense.
    pub(super) fn of(point: &SeekPoint) -> Result<Self, Damage> {
        if point.output > POSITION_LIMIT || point.input_bits > POSITION_LIMIT {
            return Err(senseless(point));
        }
        parse(&point.state).ok_or_else(|| senseless(point))
    }

    /// The state that keeps it; `pack` says to spend time on making the window small.
    pub(super) fn to_state(&self, pack: bool) -> Bytes {
        let Self::Inside(inside) = self else {
            return Bytes::from_static(&[MEMBER]);
        };
        let mut state = vec![if inside.block.is_some() { SYMBOL } else { BLOCK }];
        state.extend_from_slice(&inside.sums.to_bytes());
        if let Some(block) = &inside.block {
            state.push(block.bit);
            state.extend_from_slice(&(block.bytes.len() as u16).to_le_bytes());
            state.extend_from_slice(&block.bytes);
        }
        let packed = pack.then(|| zstd::bulk::compress(&inside.window, ZSTD_LEVEL).ok()).flatten();
        match packed.filter(|packed| packed.len() < inside.window.len()) {
            Some(packed) => {
                state.push(ZSTD);
                state.extend_from_slice(&packed);
            }
            None => {
                state.push(PLAIN);
                state.extend_from_slice(&inside.window);
            }
        }
        state.into()
    }
}

impl Inside {
    /// A stream that stands behind `window`, in the block under way. The next input is the point's first bit.
    /// None where the block's header is none.
    pub(super) fn enter(&self, window: &[u8]) -> Option<Inflate> {
        let mut inflate = Inflate::new();
        inflate.set_window(window);
        if let Some(block) = &self.block {
            let (first, rest) = block.bytes.split_first().filter(|_| block.is_huffman())?;
            inflate.add_bits(first >> block.bit, 8 - block.bit);
            let step = inflate.step(rest, &mut Vec::new(), 0, Stop::AtSymbols).ok()?;
            if step.at != At::Symbols {
                return None;
            }
            // What was fed beyond the header comes again as input.
            inflate.drop_bits();
        }
        Some(inflate)
    }
}

impl BlockHeader {
    /// True for a block of symbols; false for a stored one, and for one that is not there yet.
    pub(super) fn is_huffman(&self) -> bool {
        let byte = |at: usize| u16::from(self.bytes.get(at).copied().unwrap_or(0));
        // RFC 1951 §3.2.3: one bit says whether the block is the last, two give its type.
        let kind = (byte(0) | byte(1) << 8) >> (self.bit + 1) & 3;
        kind == 1 || kind == 2
    }
}

fn parse(state: &[u8]) -> Option<Entry> {
    let (&kind, rest) = state.split_first()?;
    if kind == MEMBER {
        return rest.is_empty().then_some(Entry::Member);
    }
    let (sums, rest) = rest.split_first_chunk::<FOOTER_BYTES>()?;
    let (block, rest) = match kind {
        BLOCK => (None, rest),
        SYMBOL => parse_block(rest).map(|(block, rest)| (Some(block), rest))?,
        _ => return None,
    };
    let window = match rest.split_first()? {
        (&PLAIN, window) => window.to_vec(),
        (&ZSTD, frame) => zstd::bulk::decompress(frame, WINDOW_BYTES).ok()?,
        _ => return None,
    };
    let fits = window.len() <= WINDOW_BYTES;
    fits.then_some(Entry::Inside(Inside { sums: Sums::from_bytes(*sums), block, window }))
}

fn parse_block(rest: &[u8]) -> Option<(BlockHeader, &[u8])> {
    let (&[bit, lower, upper], rest) = rest.split_first_chunk()?;
    let len = usize::from(u16::from_le_bytes([lower, upper]));
    let (bytes, rest) = rest.split_at_checked(len)?;
    let sensible = bit < 8 && len <= BLOCK_HEADER_BYTES;
    sensible.then(|| (BlockHeader { bytes: bytes.to_vec(), bit }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(block: Option<BlockHeader>, window: Vec<u8>) -> Entry {
        Entry::Inside(Inside { sums: Sums { crc: 0x0102_0304, len: u32::MAX }, block, window })
    }

    fn point(state: Bytes) -> SeekPoint {
        SeekPoint { input_bits: 85, output: 1 << 20, state }
    }

    #[test]
    fn what_is_kept_comes_back() {
        // A fixed block: not the last, type 1, from bit 6 on.
        let header = BlockHeader { bytes: vec![0b1000_0000, 0], bit: 6 };
        for entry in [
            Entry::Member,
            inside(None, Vec::new()),
            inside(None, vec![7; WINDOW_BYTES]),
            inside(Some(header), b"abc".to_vec()),
        ] {
            for pack in [false, true] {
                assert_eq!(Entry::of(&point(entry.to_state(pack))), Ok(entry.clone()));
            }
        }
    }

    #[test]
    fn a_state_that_makes_no_sense_is_damage() {
        let good = inside(None, vec![7; WINDOW_BYTES]).to_state(false);
        let long = [&good[..], b"x"].concat();
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
        for (name, state) in [
            ("empty", Vec::new()),
            ("unknown kind", vec![9; 40]),
            ("member with a tail", vec![MEMBER, 0]),
            ("cut in the sums", good[..5].to_vec()),
            ("cut before the window", good[..9].to_vec()),
            ("unknown window form", [&good[..9], &[7, 1, 2]].concat()),
            ("window too long", long),
            ("window that expands", [&good[..9], &[ZSTD], &bomb].concat()),
            ("window that is no frame", [&good[..9], &[ZSTD], b"abc"].concat()),
            ("header bit", [&[SYMBOL], &good[1..9], &[8, 1, 0, 4, PLAIN]].concat()),
            ("header longer than the state", [&[SYMBOL], &good[1..9], &[0, 200, 0, 4, PLAIN]].concat()),
        ] {
            let damage = Entry::of(&point(state.into())).unwrap_err();
            assert_eq!(damage.what, "its index has a seek point at byte 10 that makes no sense", "{name}");
        }
        let far = SeekPoint { output: u64::MAX, ..point(good) };
        assert!(Entry::of(&far).is_err());
    }
}

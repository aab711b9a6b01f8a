//! The headers of frames and blocks (RFC 8878 §3.1), as far as it takes to find the next ones.

/// What a frame begins with.
pub(super) const MAGIC: &[u8; 4] = b"\x28\xb5\x2f\xfd";

/// What a skippable frame begins with, but for the lower half of its first byte.
const SKIPPABLE_MAGIC: &[u8; 4] = b"\x50\x2a\x4d\x18";

/// Bytes of a skippable frame's header: magic and length.
pub(super) const SKIPPABLE_HEADER_BYTES: usize = 8;

/// Bytes of a frame's header, at most: magic, descriptor, window, dictionary, content size.
pub(super) const HEADER_BYTES: usize = 18;

/// Bytes of a block's header.
pub(super) const BLOCK_HEADER_BYTES: usize = 3;

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Bytes of the header.
    pub(super) len: u64,
    /// Bytes of output, where it says so.
    pub(super) content: Option<u64>,
    /// Bytes of output that what follows may refer to.
    pub(super) window: u64,
    /// Bytes of the checksum behind the last block.
    pub(super) checksum: u64,
}

/// What a block's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// Bytes of the block behind its header.
    pub(super) len: u64,
    pub(super) is_last: bool,
}

/// Whether a frame of either kind can begin with these bytes.
pub(super) fn is_magic(head: &[u8]) -> bool {
    head.iter().zip(MAGIC).all(|(byte, magic)| byte == magic) || is_skippable(head)
}

/// Whether a skippable frame can begin with these bytes.
pub(super) fn is_skippable(head: &[u8]) -> bool {
    let first = head.first().is_none_or(|byte| byte & 0xf0 == SKIPPABLE_MAGIC[0]);
    first && head.iter().zip(SKIPPABLE_MAGIC).skip(1).all(|(byte, magic)| byte == magic)
}

impl FrameHeader {
    /// Reads a frame's header, which `bytes` begin with. None where they do not.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (descriptor, rest) = rest.split_first()?;
        let is_single = descriptor & 0x20 != 0;
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let size_flag = descriptor >> 6;
        let size_bytes = if size_flag == 0 { usize::from(is_single) } else { 1 << size_flag };
        let skipped = usize::from(!is_single) + dictionary;
        let size = rest.get(skipped..skipped + size_bytes)?;
        let content = size.iter().rev().fold(0, |all: u64, byte| all << 8 | u64::from(*byte));
        // §3.1.1.1.4: the form of two bytes begins where that of one ends.
        let content = if size_bytes == 2 { content + 256 } else { content };
        // §3.1.1.1.2: a frame without the field has to be in memory as a whole.
        let window = if is_single { content } else { window_of(*rest.first()?) };
        Some(Self {
            len: (MAGIC.len() + 1 + skipped + size_bytes) as u64,
            content: (size_bytes > 0).then_some(content),
            window,
            checksum: u64::from(descriptor & 4),
        })
    }
}

/// The window that a descriptor stands for: a power of two and up to seven eighths more.
fn window_of(descriptor: u8) -> u64 {
    let base = 1_u64 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

impl BlockHeader {
    /// Reads a block's header. None where it is none.
    pub(super) fn parse(bytes: [u8; BLOCK_HEADER_BYTES]) -> Option<Self> {
        let [a, b, c] = bytes.map(u64::from);
        let size = (a | b << 8 | c << 16) >> 3;
        let len = match a >> 1 & 3 {
            0 | 2 => size,
            1 => 1,
            _ => return None,
        };
        Some(Self { len, is_last: a & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        for (rest, expected) in [
            (&b"\x00\x58"[..], Some((6, None, 0))),
            (b"\x04\x58", Some((6, None, 4))),
            (b"\x20\x07", Some((6, Some(7), 0))),
            (b"\x60\x01\x00", Some((7, Some(257), 0))),
            (b"\xa4\x01\x02\x00\x00", Some((9, Some(513), 4))),
            (b"\xc3\x58abcd\x01\0\0\0\0\0\0\0", Some((18, Some(1), 0))),
            (b"\xc3\x58abcd\x01\0\0\0\0\0\0", None),
            (b"", None),
        ] {
            let header = FrameHeader::parse(&[MAGIC, rest].concat());
            let found = header.map(|header| (header.len, header.content, header.checksum));
            assert_eq!(found, expected, "{rest:?}");
        }
        assert_eq!(FrameHeader::parse(b"\x28\xb5\x2f\xfc\0\0"), None);
        for (rest, window) in [
            (&b"\x00\x58"[..], 2 << 20),
            (b"\x00\x5b", (2 << 20) + 3 * (256 << 10)),
            (b"\x20\x07", 7),
            (b"\x00\xa8", 2 << 30),
        ] {
            assert_eq!(FrameHeader::parse(&[MAGIC, rest].concat()).map(|header| header.window), Some(window));
        }
    }

    #[test]
    fn block_headers_are_read() {
        for (bytes, expected) in [
            ([0b0000_0001, 0, 0], Some((0, true))),
            ([0b0100_0100, 1, 0], Some((0x28, false))),
            ([0b0100_0011, 1, 0], Some((1, true))),
            ([0b0000_0110, 0, 0], None),
        ] {
            let found = BlockHeader::parse(bytes).map(|block| (block.len, block.is_last));
            assert_eq!(found, expected, "{bytes:?}");
        }
    }
}

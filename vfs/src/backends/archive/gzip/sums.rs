//! Checksum and length of a member's content: what proves it, and what stands behind it (RFC 1952 §2.3).

use crc32fast::Hasher;

/// Bytes behind a member: checksum and length.
pub(super) const FOOTER_BYTES: usize = 8;

/// CRC-32 and length, modulo 2^32, of a member's content or of its first part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) crc: u32,
    pub(super) len: u32,
}

impl Sums {
    /// Reads them: from a member's last bytes, or from where [`Sums::to_bytes`] put them.
    pub(super) fn from_bytes(bytes: [u8; FOOTER_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self { crc: u32::from_le_bytes([a, b, c, d]), len: u32::from_le_bytes([e, f, g, h]) }
    }

    /// As they stand behind a member.
    pub(super) fn to_bytes(self) -> [u8; FOOTER_BYTES] {
        let ([a, b, c, d], [e, f, g, h]) = (self.crc.to_le_bytes(), self.len.to_le_bytes());
        [a, b, c, d, e, f, g, h]
    }
}

/// [`Sums`] on their way.
pub(super) struct RunningSums {
    crc: Hasher,
    len: u32,
}

impl RunningSums {
    pub(super) fn update(&mut self, content: &[u8]) {
        self.crc.update(content);
        self.len = self.len.wrapping_add(content.len() as u32);
    }

    pub(super) fn so_far(&self) -> Sums {
        Sums { crc: self.crc.clone().finalize(), len: self.len }
    }
}

impl From<Sums> for RunningSums {
    fn from(sums: Sums) -> Self {
        Self { crc: Hasher::new_with_initial(sums.crc), len: sums.len }
    }
}

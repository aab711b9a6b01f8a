//! The seek table: a skippable frame behind all others that lists them (zstd's `contrib/seekable_format`).

/// What the table ends with.
const MAGIC: u32 = 0x8f92_eab1;

/// Bytes of the table's end: number of frames, flags, magic.
pub(super) const FOOTER_BYTES: usize = 9;

/// The flag that says that each entry has a checksum.
const CHECKSUM_FLAG: u8 = 0x80;

/// The skippable frame that the table is.
const FRAME_MAGIC: u32 = 0x184d_2a5e;

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes of an entry.
    pub(super) entry_bytes: usize,
    /// Bytes of all entries.
    pub(super) entries_bytes: u64,
}

/// What a table says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) packed: u32,
    pub(super) unpacked: u32,
}

impl Layout {
    /// Reads a file's last bytes. None where there is no table.
    pub(super) fn parse(footer: [u8; FOOTER_BYTES]) -> Option<Self> {
        let [a, b, c, d, flags, magic @ ..] = footer;
        // The other bits are reserved or unused.
        if u32::from_le_bytes(magic) != MAGIC || flags & 0x7c != 0 {
            return None;
        }
        let entry_bytes = if flags & CHECKSUM_FLAG == 0 { 8 } else { 12 };
        let count = u64::from(u32::from_le_bytes([a, b, c, d]));
        Some(Self { entry_bytes, entries_bytes: count * entry_bytes as u64 })
    }

    /// Whether the frame that holds the table begins like this.
    pub(super) fn fits_header(&self, header: [u8; 8]) -> bool {
        let [a, b, c, d, len @ ..] = header;
        let expected = self.entries_bytes + FOOTER_BYTES as u64;
        u32::from_le_bytes([a, b, c, d]) == FRAME_MAGIC && u64::from(u32::from_le_bytes(len)) == expected
    }
}

impl Listed {
    /// Reads an entry; its checksum is not needed, for frames have their own.
    pub(super) fn parse(entry: &[u8]) -> Option<Self> {
        let (&[a, b, c, d, e, f, g, h], _) = entry.split_first_chunk()?;
        let (packed, unpacked) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        Some(Self { packed, unpacked })
    }
}

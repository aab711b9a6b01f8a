//! The frame of a stream: header and footer (xz file format §2.1), and the kinds of check.

/// What a file begins with.
pub(super) const MAGIC: &[u8; 6] = b"\xfd7zXZ\0";

/// What a stream ends with.
const FOOTER_MAGIC: &[u8; 2] = b"YZ";

/// Bytes of a stream's header, and of its footer.
pub(super) const FRAME_BYTES: usize = 12;

/// How the content of a stream's blocks is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Check(u8);

/// What a stream's end says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) check: Check,
    /// Bytes of the index before it.
    pub(super) index_bytes: u64,
}

impl Check {
    /// The check with this number, if the format has it.
    pub(super) fn new(id: u8) -> Option<Self> {
        (id < 16).then_some(Self(id))
    }

    pub(super) fn id(self) -> u8 {
        self.0
    }

    /// Bytes of it behind a block; §2.1.1.2.
    pub(super) fn len(self) -> u64 {
        const LENS: [u64; 16] = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
        LENS[usize::from(self.0)]
    }
}

/// A stream's header.
pub(super) fn to_header(check: Check) -> [u8; FRAME_BYTES] {
    let mut header = [0; FRAME_BYTES];
    header[..6].copy_from_slice(MAGIC);
    header[7] = check.0;
    let checksum = crc32fast::hash(&header[6..8]);
    header[8..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Reads a header from the byte behind its magic on.
pub(super) fn parse_flags(bytes: &[u8]) -> Result<Check, &'static str> {
    let &[zero, id, ref checksum @ ..] = bytes else {
        return Err("its header is short");
    };
    if crc32fast::hash(&[zero, id]).to_le_bytes() != checksum {
        return Err("its header does not fit its checksum");
    }
    Check::new(id).filter(|_| zero == 0).ok_or("its header holds flags that xz does not know")
}

/// Reads a footer.
pub(super) fn parse_footer(bytes: &[u8; FRAME_BYTES]) -> Result<Footer, &'static str> {
    let [checksum @ .., s0, s1, s2, s3, zero, id, y, z] = bytes;
    if [*y, *z] != *FOOTER_MAGIC {
        return Err("its end is none of an xz stream");
    }
    if crc32fast::hash(&[*s0, *s1, *s2, *s3, *zero, *id]).to_le_bytes() != *checksum {
        return Err("its end does not fit its checksum");
    }
    let check = Check::new(*id).filter(|_| *zero == 0);
    let check = check.ok_or("its end holds flags that xz does not know")?;
    let size = u32::from_le_bytes([*s0, *s1, *s2, *s3]);
    Ok(Footer { check, index_bytes: (u64::from(size) + 1) * 4 })
}

/// Whether what stands at a file's end is a footer's magic.
pub(super) fn ends_stream(bytes: &[u8]) -> bool {
    bytes.ends_with(FOOTER_MAGIC)
}

//! What stands before the compressed bytes of a gzip member (RFC 1952 §2.3), read as it comes.

use crc32fast::Hasher;

/// The first two bytes of every member.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Header bytes that every member has.
const FIXED_BYTES: u16 = 10;

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
/// RFC 1952 §2.3.1.2: a decoder must refuse what it does not know.
const RESERVED: u8 = 0xe0;

/// A member's header on its way in. It keeps no name, comment or extra field, so their lengths need no bound.
#[derive(Debug)]
pub(super) struct Header {
    field: Field,
    flags: u8,
    /// Over all header bytes; its lower half is the header's own checksum.
    sum: Hasher,
}

/// The field that the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// Byte so many of the fixed part.
    Fixed(u16),
    /// Length of the extra field: its first byte, then its second beside the first.
    ExtraLen(Option<u8>),
    /// So many bytes to go.
    Extra(u16),
    Name,
    Comment,
    /// The lower byte of the stored checksum, then the upper one beside it.
    Sum(Option<u8>),
    Done,
}

impl Header {
    /// A header whose magic has been read.
    pub(super) fn after_magic() -> Self {
        let mut sum = Hasher::new();
        sum.update(&MAGIC);
        Self { field: Field::Fixed(MAGIC.len() as u16), flags: 0, sum }
    }

    /// True when the compressed bytes come next.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.field, Field::Done)
    }

    /// Takes what belongs to the header and says how many bytes that are.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub(super) fn take(&mut self, input: &[u8]) -> Result<usize, String> {
        let mut taken = 0;
        while taken < input.len() && !self.is_done() {
            let rest = &input[taken..];
            let piece = match self.field {
                Field::Extra(left) => &rest[..rest.len().min(left.into())],
                Field::Name | Field::Comment => through_nul(rest),
                _ => &rest[..1],
            };
            let field = self.after(piece)?;
            if !matches!(self.field, Field::Sum(_)) {
                self.sum.update(piece);
            }
            self.field = self.present(field);
            taken += piece.len();
        }
        Ok(taken)
    }

    /// The field that follows once `piece`, which is not empty, is taken.
    fn after(&mut self, piece: &[u8]) -> Result<Field, String> {
        let byte = piece[piece.len() - 1];
        Ok(match self.field {
            Field::Fixed(2) if byte != 8 => {
                return Err(format!("compression method {byte} is none that gzip knows"));
            }
            Field::Fixed(3) if byte & RESERVED != 0 => {
                return Err(format!("its flags {byte:#04x} hold bits that gzip does not know"));
            }
            Field::Fixed(at) => {
                if at == 3 {
                    self.flags = byte;
                }
                if at + 1 < FIXED_BYTES { Field::Fixed(at + 1) } else { Field::ExtraLen(None) }
            }
            Field::ExtraLen(None) => Field::ExtraLen(Some(byte)),
            Field::ExtraLen(Some(lower)) => Field::Extra(u16::from_le_bytes([lower, byte])),
            Field::Extra(left) => Field::Extra(left - piece.len() as u16),
            Field::Name if byte == 0 => Field::Comment,
            Field::Comment if byte == 0 => Field::Sum(None),
            Field::Sum(None) => Field::Sum(Some(byte)),
            Field::Sum(Some(lower)) => {
                self.check(u16::from_le_bytes([lower, byte]))?;
                Field::Done
            }
            field @ (Field::Name | Field::Comment | Field::Done) => field,
        })
    }

    fn check(&self, stored: u16) -> Result<(), String> {
        let sum = self.sum.clone().finalize() as u16;
        if sum == stored {
            return Ok(());
        }
        Err(format!("its header's checksum is {sum:#06x}, and the header says {stored:#06x}"))
    }

    /// `field`, or the first behind it that this header has and that has bytes.
    fn present(&self, field: Field) -> Field {
        let has = |flag| self.flags & flag != 0;
        match field {
            Field::ExtraLen(None) if !has(FEXTRA) => self.present(Field::Extra(0)),
            Field::Extra(0) => self.present(Field::Name),
            Field::Name if !has(FNAME) => self.present(Field::Comment),
            Field::Comment if !has(FCOMMENT) => self.present(Field::Sum(None)),
            Field::Sum(None) if !has(FHCRC) => Field::Done,
            field => field,
        }
    }
}

/// The beginning of `bytes` up to and with the first NUL; all of it where there is none.
fn through_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).map_or(bytes.len(), |nul| nul + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header behind its magic, checksum included where the flags ask for it, and two bytes that are not its own.
    fn header(flags: u8, fields: &[u8]) -> Vec<u8> {
        let mut bytes = [&MAGIC, &[8, flags, 1, 2, 3, 4, 0, 255][..], fields].concat();
        if flags & FHCRC != 0 {
            bytes.extend_from_slice(&(crc32fast::hash(&bytes) as u16).to_le_bytes());
        }
        bytes.extend_from_slice(b"\x4b\x04");
        bytes.split_off(MAGIC.len())
    }

    #[test]
    fn every_field_is_read_to_its_end_however_it_is_cut() {
        for (flags, fields) in [
            (0, &b""[..]),
            (FHCRC, b""),
            (FEXTRA, b"\0\0"),
            (FEXTRA, b"\x06\0BC\x02\0\xff\xff"),
            (FNAME, b"a name\0"),
            (FNAME, b"\0"),
            (FCOMMENT, b"a comment\0"),
            (FEXTRA | FNAME | FCOMMENT | FHCRC | 1, b"\x03\0\0a\0name\0comment\0"),
        ] {
            let bytes = header(flags, fields);
            let len = bytes.len() - 2;
            for cut in 0..bytes.len() {
                let mut header = Header::after_magic();
                let first = header.take(&bytes[..cut]).unwrap();
                assert_eq!(header.is_done(), cut >= len, "{flags:#x} cut at {cut}");
                let second = header.take(&bytes[first..]).unwrap();
                assert_eq!((first + second, header.is_done()), (len, true), "{flags:#x} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_header_that_is_wrong_says_how() {
        let mut summed = header(FHCRC | FNAME, b"name\0");
        summed[9] ^= 1;
        for (bytes, expected) in [
            (b"\x07\0\0\0\0\0\0\0".to_vec(), "compression method 7 is none that gzip knows"),
            (b"\x08\x20\0\0\0\0\0\0".to_vec(), "its flags 0x20 hold bits that gzip does not know"),
            (summed, "its header's checksum is "),
        ] {
            let error = Header::after_magic().take(&bytes).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}

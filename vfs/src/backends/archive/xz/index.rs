//! A stream's index (xz file format §4), read in pieces of any size and never held.

use crc32fast::Hasher;

/// Bits of a number beyond which no index of a real file goes: sizes are 63 bits.
const NUMBER_BITS: u32 = 63;

/// An index on its way.
pub(super) struct IndexReader {
    part: Part,
    /// The number under way, and its bits yet.
    number: u64,
    bits: u32,
    /// Records to come.
    left: u64,
    checksum: Hasher,
    /// Bytes read.
    len: u64,
}

enum Part {
    Indicator,
    Count,
    Unpadded,
    Unpacked(u64),
    Padding,
    /// So many bytes of the checksum are read.
    Checksum(usize),
    Done,
}

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All bytes are taken.
    Nothing,
    /// A block.
    Record(Record),
    /// The index ends here, checksum included.
    End,
}

/// What an index says of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Its bytes without the padding.
    pub(super) unpadded: u64,
    /// Its bytes of output.
    pub(super) unpacked: u64,
}

impl Record {
    /// Its bytes in the file.
    pub(super) fn padded(self) -> u64 {
        self.unpadded.next_multiple_of(4)
    }
}

impl IndexReader {
    pub(super) fn new() -> Self {
        Self { part: Part::Indicator, number: 0, bits: 0, left: 0, checksum: Hasher::new(), len: 0 }
    }

    /// Bytes read.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads on to the next record or the end, and says how many of `bytes` that took.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, Found), &'static str> {
        for (index, byte) in bytes.iter().enumerate() {
            let found = self.read_byte(*byte)?;
            self.len += 1;
            if found != Found::Nothing {
                return Ok((index + 1, found));
            }
        }
        Ok((bytes.len(), Found::Nothing))
    }

    fn read_byte(&mut self, byte: u8) -> Result<Found, &'static str> {
        if !matches!(self.part, Part::Checksum(_)) {
            self.checksum.update(&[byte]);
        }
        match self.part {
            Part::Indicator if byte == 0 => self.part = Part::Count,
            Part::Indicator => return Err("its index does not begin like one"),
            Part::Count => {
                if let Some(count) = self.number(byte)? {
                    self.left = count;
                    self.begin_record();
                }
            }
            Part::Unpadded => {
                if let Some(unpadded) = self.number(byte)? {
                    // §4.3: no block is shorter than five bytes.
                    if !(5..=(1 << NUMBER_BITS) - 4).contains(&unpadded) {
                        return Err("its index has a block of no sensible size");
                    }
                    self.part = Part::Unpacked(unpadded);
                }
            }
            Part::Unpacked(unpadded) => {
                if let Some(unpacked) = self.number(byte)? {
                    self.left -= 1;
                    self.begin_record();
                    return Ok(Found::Record(Record { unpadded, unpacked }));
                }
            }
            Part::Padding if byte != 0 => return Err("its index is not padded with zeros"),
            Part::Padding => self.pad(1),
            Part::Checksum(have) => {
                let expected = self.checksum.clone().finalize().to_le_bytes();
                if expected[have] != byte {
                    return Err("its index does not fit its checksum");
                }
                self.part = if have == 3 { Part::Done } else { Part::Checksum(have + 1) };
                if have == 3 {
                    return Ok(Found::End);
                }
            }
            Part::Done => return Ok(Found::End),
        }
        Ok(Found::Nothing)
    }

    fn begin_record(&mut self) {
        self.part = Part::Unpadded;
        if self.left == 0 {
            self.pad(1);
        }
    }

    /// Goes on behind `taken` more bytes: with padding, or with the checksum where the length is a multiple of four.
    fn pad(&mut self, taken: u64) {
        let is_aligned = (self.len + taken).is_multiple_of(4);
        self.part = if is_aligned { Part::Checksum(0) } else { Part::Padding };
    }

    /// Takes seven bits of a number; gives it with its last byte (§1.2).
    fn number(&mut self, byte: u8) -> Result<Option<u64>, &'static str> {
        const TOO_LONG: &str = "its index has a number that is none";
        if self.bits >= NUMBER_BITS || (byte == 0 && self.bits > 0) {
            return Err(TOO_LONG);
        }
        self.number |= u64::from(byte & 0x7f) << self.bits;
        self.bits += 7;
        if byte & 0x80 != 0 {
            return Ok(None);
        }
        self.bits = 0;
        Ok(Some(std::mem::take(&mut self.number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(body: &[u8]) -> Vec<u8> {
        let mut index = body.to_vec();
        index.resize(index.len().next_multiple_of(4), 0);
        let checksum = crc32fast::hash(&index);
        [&index[..], &checksum.to_le_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Result<(Vec<Record>, u64), &'static str> {
        let mut reader = IndexReader::new();
        let mut records = Vec::new();
        for byte in bytes {
            match reader.read(&[*byte])?.1 {
                Found::Nothing => {}
                Found::Record(record) => records.push(record),
                Found::End => return Ok((records, reader.len())),
            }
        }
        Err("it goes on")
    }

    #[test]
    fn records_are_read() {
        let record = |unpadded, unpacked| Record { unpadded, unpacked };
        for (body, expected) in [
            (&b"\0\0"[..], vec![]),
            (b"\0\x01\x05\0", vec![record(5, 0)]),
            (b"\0\x02\x80\x01\x07\xff\xff\x01\x08", vec![record(128, 7), record(32767, 8)]),
        ] {
            let bytes = index(body);
            assert_eq!(read(&bytes), Ok((expected, bytes.len() as u64)));
        }
    }

    #[test]
    fn what_is_no_index_is_said() {
        for (bytes, expected) in [
            (index(b"\x01\0"), "its index does not begin like one"),
            (index(b"\0\x01\x04\0"), "its index has a block of no sensible size"),
            (index(b"\0\x80\0"), "its index has a number that is none"),
            (
                index(b"\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0"),
                "its index has a number that is none",
            ),
            (
                index(b"\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0"),
                "its index has a block of no sensible size",
            ),
            (index(b"\0\0\x01"), "its index is not padded with zeros"),
            (b"\0\0\0\0\0\0\0\0".to_vec(), "its index does not fit its checksum"),
            (b"\0\xff".to_vec(), "it goes on"),
        ] {
            assert_eq!(read(&bytes), Err(expected), "{bytes:?}");
        }
    }
}

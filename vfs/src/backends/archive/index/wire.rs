//! Numbers and texts as the index files have them. Reading is bounded: nothing is believed that the bytes at hand do not
//! bear out, and nothing is allocated by a number that the file states.

use crate::backends::archive::entry::{Entry, Kind, Piece};

/// Seven bits a byte, the lowest first; the last byte has its top bit clear.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Small numbers of both signs in few bytes.
pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, (number << 1 ^ number >> 63).cast_unsigned());
}

/// A length and as many bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A number or nothing.
pub(super) fn put_option(out: &mut Vec<u8>, number: Option<u64>) {
    match number {
        Some(number) => {
            out.push(1);
            put(out, number);
        }
        None => out.push(0),
    }
}

/// Reads what the functions above wrote; `None` where that makes no sense.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A number that fits into `T`.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    /// A count of things that take a byte at least, each.
    pub(super) fn count(&mut self) -> Option<usize> {
        let count = self.small()?;
        (count <= self.rest.len()).then_some(count)
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.small()?;
        self.take(len)
    }

    pub(super) fn option(&mut self) -> Option<Option<u64>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(self.number()?)),
            _ => None,
        }
    }

    fn small_option(&mut self) -> Option<Option<u32>> {
        self.option()?.map(u32::try_from).transpose().ok()
    }

    /// Seconds since 1970 and nanoseconds, or nothing.
    pub(super) fn time(&mut self) -> Option<Option<(i64, u32)>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some((self.signed()?, self.small().filter(|nanos| *nanos < 1_000_000_000)?))),
            _ => None,
        }
    }

    pub(super) fn owner(&mut self) -> Option<(Option<u32>, Option<u32>)> {
        Some((self.small_option()?, self.small_option()?))
    }

    /// Stored pieces in order, apart and inside of `size` bytes.
    pub(super) fn pieces(&mut self, size: u64) -> Option<Vec<Piece>> {
        let count = self.count()?;
        let mut pieces = Vec::new();
        let (mut content, mut taken) = (0_u64, 0_u64);
        for _ in 0..count {
            let at = content.checked_add(self.number()?)?;
            let len = self.number()?;
            content = at.checked_add(len).filter(|end| *end <= size)?;
            pieces.push(Piece { at, stored: taken, len });
            taken += len;
        }
        Some(pieces)
    }

    /// An entry as [`put_entry`] wrote it behind one named `before`.
    pub(super) fn entry(&mut self, before: &[u8]) -> Option<Entry> {
        let shared = usize::from(self.byte()?);
        let name = [before.get(..shared)?, self.bytes()?].concat();
        let kind = match self.byte()? {
            0 => Kind::File,
            1 => Kind::Dir,
            2 => Kind::Symlink,
            3 => Kind::HardLink,
            4 => Kind::Other,
            _ => return None,
        };
        let link = self.bytes()?.to_vec();
        let (header, data, size) = (self.number()?, self.number()?, self.number()?);
        data.checked_add(size)?;
        let sparse = match self.byte()? {
            0 => None,
            1 => Some(self.pieces(size)?.into()),
            _ => return None,
        };
        let mode = self.small_option()?;
        let (user, group) = self.owner()?;
        let modified = self.time()?;
        Some(Entry { name, kind, link, header, data, size, sparse, mode, user, group, modified })
    }
}

pub(super) fn put_time(out: &mut Vec<u8>, time: Option<(i64, u32)>) {
    match time {
        Some((seconds, nanos)) => {
            out.push(1);
            put_signed(out, seconds);
            put(out, nanos.into());
        }
        None => out.push(0),
    }
}

pub(super) fn put_pieces(out: &mut Vec<u8>, pieces: &[Piece]) {
    put(out, pieces.len() as u64);
    let mut content = 0;
    for piece in pieces {
        put(out, piece.at - content);
        put(out, piece.len);
        content = piece.at + piece.len;
    }
}

/// An entry that follows one named `before`: what both names begin with is not written again.
pub(super) fn put_entry(out: &mut Vec<u8>, before: &[u8], entry: &Entry) {
    let most = usize::from(u8::MAX);
    let shared = entry.name.iter().zip(before).take(most).take_while(|(one, other)| one == other).count();
    out.push(shared as u8);
    put_bytes(out, &entry.name[shared..]);
    out.push(match entry.kind {
        Kind::File => 0,
        Kind::Dir => 1,
        Kind::Symlink => 2,
        Kind::HardLink => 3,
        Kind::Other => 4,
    });
    put_bytes(out, &entry.link);
    for number in [entry.header, entry.data, entry.size] {
        put(out, number);
    }
    match &entry.sparse {
        Some(pieces) => {
            out.push(1);
            put_pieces(out, pieces);
        }
        None => out.push(0),
    }
    for number in [entry.mode, entry.user, entry.group] {
        put_option(out, number.map(u64::from));
    }
    put_time(out, entry.modified);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut out = Vec::new();
        let numbers = [0, 1, 127, 128, 300, 1 << 32, u64::MAX - 1, u64::MAX];
        numbers.iter().for_each(|number| put(&mut out, *number));
        let signed = [0, -1, 1, i64::MIN, i64::MAX];
        signed.iter().for_each(|number| put_signed(&mut out, *number));
        let mut reader = Reader::new(&out);
        assert!(numbers.iter().all(|number| reader.number() == Some(*number)));
        assert!(signed.iter().all(|number| reader.signed() == Some(*number)));
        assert!(reader.is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        for bytes in
            [&b""[..], &[0x80], &[0xff; 10], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]]
        {
            assert_eq!(Reader::new(bytes).number(), None, "{bytes:?}");
        }
        assert_eq!(Reader::new(&[5, 1, 2]).bytes(), None);
        assert_eq!(Reader::new(&[200, 1]).count(), None);
    }

    #[test]
    fn an_entry_comes_back() {
        let entry = Entry {
            name: b"a/b".to_vec(),
            kind: Kind::File,
            link: Vec::new(),
            header: 512,
            data: 1024,
            size: 100,
            sparse: Some([Piece { at: 3, stored: 0, len: 4 }, Piece { at: 90, stored: 4, len: 10 }].into()),
            mode: Some(0o644),
            user: None,
            group: Some(7),
            modified: Some((-1, 999_999_999)),
        };
        for before in [&b""[..], b"a/c", b"a/b", b"a/bc"] {
            let mut out = Vec::new();
            put_entry(&mut out, before, &entry);
            assert_eq!(Reader::new(&out).entry(before), Some(entry.clone()));
            for len in 0..out.len() {
                assert_eq!(Reader::new(&out[..len]).entry(before), None, "{len}");
            }
        }
        assert_eq!(Reader::new(&[1, 1, b'b', 0, 0]).entry(b""), None, "there is no name before");
    }
}

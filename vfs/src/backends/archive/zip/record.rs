//! One record of the central directory (APPNOTE 4.3.12): bytes to [`ZipEntry`], a pure function.

use std::time::SystemTime;

use super::fields::{Fields, extras};
use super::name::{StoredName, normalise};
use super::time;
use crate::metadata::FileType;

/// What a record begins with.
pub(super) const SIGNATURE: [u8; 4] = *b"PK\x01\x02";

/// Zip64 extended information (APPNOTE 4.5.3).
const ZIP64: u16 = 0x0001;

/// `version made by`: those whose external attributes hold a Unix mode.
const UNIX_HOSTS: [u8; 2] = [3, 19];

/// One member as the directory has it, which is the only truth about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backends::archive) struct ZipEntry {
    /// Names joined by `/`, below the archive's root; normal and never empty.
    pub(in crate::backends::archive) path: Vec<u8>,
    /// A folder by its slash or its mode, a link or a special file by its mode, else a file.
    pub(in crate::backends::archive) file_type: FileType,
    /// Permission bits, where a Unix wrote them.
    pub(in crate::backends::archive) mode: Option<u32>,
    /// When it was changed; a DOS time is taken for UTC.
    pub(in crate::backends::archive) modified: Option<SystemTime>,
    /// What it takes to open it.
    pub(in crate::backends::archive) member: Member,
}

/// What of a record it takes to open the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backends::archive) struct Member {
    /// Where its local header begins, in the file.
    pub(in crate::backends::archive) header: u64,
    /// Length of its content.
    pub(in crate::backends::archive) len: u64,
    pub(super) packed_len: u64,
    pub(super) crc: u32,
    pub(super) method: Method,
    pub(super) is_encrypted: bool,
    /// The stored name's length and checksum; the local header must have the same.
    pub(super) name: (u16, u32),
    pub(super) flaw: Option<Flaw>,
}

/// A member in a table: what its catalog does not know of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::backends::archive) struct Row {
    packed_len: u64,
    crc: u32,
    name_crc: u32,
    name_len: u16,
    method: Method,
    is_encrypted: bool,
    flaw: Option<Flaw>,
}

impl Member {
    pub(in crate::backends::archive) fn to_row(self) -> Row {
        let Self { packed_len, crc, method, is_encrypted, name: (name_len, name_crc), flaw, .. } = self;
        Row { packed_len, crc, name_crc, name_len, method, is_encrypted, flaw }
    }
}

impl Row {
    /// The member whose `header` and `len` the catalog knows.
    pub(in crate::backends::archive) fn to_member(self, header: u64, len: u64) -> Member {
        let Self { packed_len, crc, name_crc, name_len, method, is_encrypted, flaw } = self;
        Member { header, len, packed_len, crc, method, is_encrypted, name: (name_len, name_crc), flaw }
    }
}

/// How a member is packed: the number of APPNOTE 4.4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method(pub(super) u16);

impl Method {
    pub(super) const STORED: Self = Self(0);
    pub(super) const DEFLATE: Self = Self(8);
    pub(super) const BZIP2: Self = Self(12);
    pub(super) const ZSTD: Self = Self(93);
    pub(super) const XZ: Self = Self(95);
}

/// Why a member is listed and not readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Its zip64 field is too short, or there are two.
    Zip64,
    /// It lies on another disk of a set.
    OtherDisk,
    /// Its header does not lie before the directory.
    Outside,
}

/// What came off the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A member.
    Entry(ZipEntry),
    /// A record of the root itself, which nothing has to be told.
    Root,
    /// A record that no path leads to; its space is taken all the same.
    Hidden(Member),
    /// No record ends within the bytes.
    Incomplete,
    /// Something else is there.
    NoRecord,
}

/// Takes one record off the front of `bytes`; where that is not possible they stay as they are. `shift` is added to its
/// offset, and a header from `limit` on is a flaw.
pub(super) fn take(bytes: &mut &[u8], shift: u64, limit: u64) -> Taken {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Taken::NoRecord;
    }
    let mut fields = Fields(bytes);
    let Some(record) = Record::take(&mut fields) else { return Taken::Incomplete };
    *bytes = fields.0;
    record.resolve(shift, limit)
}

/// The fields as they are stored.
struct Record<'a> {
    host: u8,
    flags: u16,
    method: u16,
    time: u16,
    date: u16,
    crc: u32,
    packed_len: u32,
    len: u32,
    disk: u16,
    attributes: u32,
    offset: u32,
    name: &'a [u8],
    extra: &'a [u8],
}

impl<'a> Record<'a> {
    fn take(fields: &mut Fields<'a>) -> Option<Self> {
        fields.bytes(SIGNATURE.len())?;
        let [_, host] = fields.array()?;
        let _needed = fields.u16()?;
        let (flags, method, time, date) = (fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?);
        let (crc, packed_len, len) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name_len, extra_len, comment_len) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let disk = fields.u16()?;
        let _internal = fields.u16()?;
        let (attributes, offset) = (fields.u32()?, fields.u32()?);
        let name = fields.bytes(name_len.into())?;
        let extra = fields.bytes(extra_len.into())?;
        fields.bytes(comment_len.into())?;
        Some(Self {
            host,
            flags,
            method,
            time,
            date,
            crc,
            packed_len,
            len,
            disk,
            attributes,
            offset,
            name,
            extra,
        })
    }

    fn resolve(&self, shift: u64, limit: u64) -> Taken {
        let member = self.member(shift, limit);
        let is_utf8 = self.flags & 1 << 11 != 0;
        let stored = StoredName { bytes: self.name, is_utf8, host: self.host, extra: self.extra };
        let (path, ends_in_slash) = match normalise(&stored.decode()) {
            Ok((path, _)) if path.is_empty() => return Taken::Root,
            Ok(found) => found,
            Err(_) => return Taken::Hidden(member),
        };
        let mode = UNIX_HOSTS.contains(&self.host).then_some(self.attributes >> 16).filter(|mode| *mode != 0);
        Taken::Entry(ZipEntry {
            path,
            file_type: if ends_in_slash { FileType::Dir } else { mode.map_or(FileType::File, type_of) },
            mode: mode.map(|mode| mode & 0o7777),
            modified: time::modified(self.date, self.time, self.extra),
            member,
        })
    }

    fn member(&self, shift: u64, limit: u64) -> Member {
        let wide = self.wide();
        let (Wide { len, packed_len, offset, disk }, flaw) = match wide {
            Some(wide) => (wide, None),
            None => (self.narrow(), Some(Flaw::Zip64)),
        };
        // An offset beyond any file: `limit` is less, so it is a flaw.
        let header = offset.saturating_add(shift);
        Member {
            header,
            len,
            packed_len,
            crc: self.crc,
            method: Method(self.method),
            is_encrypted: self.flags & 1 != 0,
            // Names have 16 bits of length.
            name: (self.name.len() as u16, crc32fast::hash(self.name)),
            flaw: flaw
                .or_else(|| (disk != 0).then_some(Flaw::OtherDisk))
                .or_else(|| (header >= limit).then_some(Flaw::Outside)),
        }
    }

    fn narrow(&self) -> Wide {
        Wide {
            len: self.len.into(),
            packed_len: self.packed_len.into(),
            offset: self.offset.into(),
            disk: self.disk.into(),
        }
    }

    /// The numbers with those of the zip64 field in place of the ones that are all ones. None where there are two such
    /// fields, or one that is too short. Without one, a number of all ones is just that.
    fn wide(&self) -> Option<Wide> {
        let mut wide = self.narrow();
        let mut found = extras(self.extra).filter(|(tag, _)| *tag == ZIP64);
        let Some((_, content)) = found.next() else { return Some(wide) };
        if found.next().is_some() {
            return None;
        }
        let mut fields = Fields(content);
        // The order of APPNOTE 4.5.3.
        for (narrow, wide) in [
            (self.len, &mut wide.len),
            (self.packed_len, &mut wide.packed_len),
            (self.offset, &mut wide.offset),
        ] {
            if narrow == u32::MAX {
                *wide = fields.u64()?;
            }
        }
        if self.disk == u16::MAX {
            wide.disk = fields.u32()?;
        }
        Some(wide)
    }
}

/// The numbers in the width of zip64.
struct Wide {
    len: u64,
    packed_len: u64,
    offset: u64,
    disk: u32,
}

/// What a Unix mode says it is; one without a type is a file. So is a pipe: `zip archive -` packs what comes through one.
fn type_of(mode: u32) -> FileType {
    match mode & 0o170_000 {
        0 | 0o100_000 | 0o010_000 => FileType::File,
        0o040_000 => FileType::Dir,
        0o120_000 => FileType::Symlink,
        _ => FileType::Other,
    }
}

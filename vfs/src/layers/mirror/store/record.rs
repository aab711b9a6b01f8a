//! [`Record`]: what is kept about one path, and how it lies on the disk.
//!
//! Little-endian; a text is its length (u32) and its bytes; an optional value is 0, or 1 and the value.
//!
//! ```text
//! "vfsdmir1"   magic and version of the layout
//! u64          the run of the store that wrote it
//! text text    source, path as printed
//! u8           1 file, 2 folder, 3 missing, 4 listing, 5 no file and perhaps a folder
//! u64          generation: names the data file
//! i64 u32      when the source was asked last: seconds since 1970, nanoseconds
//! u8?          what the source says about keeping: bit 0 storable, bit 1 must revalidate; then u64? seconds fresh
//! u64?         length
//! (i64 u32)?   time of the last change
//! u32?         permission bits
//! text?        media type
//! (u8 text)?   validator: 1 strong, 2 weak
//! text?        the name of its identity
//! [u8; 32]?    SHA-256 of the whole, where it was seen to be what it must be
//! u32          blocks, each u32?: its CRC-32 where it is there
//! u32          CRC-32 of all that comes before
//! ```

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, Bytes};

use super::blocks::Blocks;
use crate::layers::mirror::sets::Digest;
use crate::metadata::{Caching, FileType, Identity, Metadata, Validator};
use crate::path::VPath;

const MAGIC: &[u8; 8] = b"vfsdmir1";

/// A record on the disk is no longer than this: a file of 8 TiB has one. What is longer is damaged.
pub(super) const MAX_BYTES: u64 = 160 << 20;

/// What is known about one path, as of the last time its source was asked.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::layers::mirror) struct Record {
    /// What the tree is a mirror of.
    pub(in crate::layers::mirror) source: Arc<str>,
    pub(in crate::layers::mirror) path: VPath,
    pub(in crate::layers::mirror) kind: Kind,
    /// When the source was asked last.
    pub(in crate::layers::mirror) asked: SystemTime,
    /// As the source described it; of a folder, a listing or nothing only what it says about keeping.
    pub(in crate::layers::mirror) metadata: Metadata,
    /// Names its bytes: another version has another.
    pub(in crate::layers::mirror) generation: u64,
    pub(in crate::layers::mirror) blocks: Blocks,
    /// What its bytes were seen to sum to.
    pub(in crate::layers::mirror) digest: Option<Digest>,
    /// The run of the store that wrote it: blocks of a run that did not end well are not believed unseen.
    pub(in crate::layers::mirror) run: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::layers::mirror) enum Kind {
    File,
    Folder,
    /// Neither a file nor a folder.
    Missing,
    /// No file; whether a folder was not asked.
    NoFile,
    /// The entries of a folder are its bytes.
    Listing,
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + 5 * self.blocks.sums().len());
        out.put_slice(MAGIC);
        out.put_u64_le(self.run);
        put_text(&mut out, self.source.as_bytes());
        put_text(&mut out, &self.path.to_bytes());
        out.put_u8(self.kind.code());
        out.put_u64_le(self.generation);
        put_time(&mut out, self.asked);
        let metadata = &self.metadata;
        put_option(&mut out, metadata.caching.as_ref(), |out, caching| {
            out.put_u8(u8::from(caching.storable) | u8::from(caching.must_revalidate) << 1);
            put_option(out, caching.fresh_for, |out, fresh| out.put_u64_le(fresh.as_secs()));
        });
        put_option(&mut out, self.blocks.len(), |out, len| out.put_u64_le(len));
        put_option(&mut out, metadata.modified, put_time);
        put_option(&mut out, metadata.mode, |out, mode| out.put_u32_le(mode));
        put_option(&mut out, metadata.content_type.as_ref(), |out, text| put_text(out, text.as_bytes()));
        put_option(&mut out, metadata.validator.as_ref(), |out, validator| {
            out.put_u8(match validator {
                Validator::Strong(_) => 1,
                Validator::Weak(_) => 2,
            });
            put_text(out, validator.as_str().as_bytes());
        });
        put_option(&mut out, name_of(metadata.identity.as_ref()), put_text);
        put_option(&mut out, self.digest, |out, digest| out.put_slice(&digest));
        let sums = self.blocks.sums();
        out.put_u32_le(u32::try_from(sums.len()).unwrap_or(u32::MAX));
        for sum in sums {
            put_option(&mut out, *sum, |out, sum| out.put_u32_le(sum));
        }
        out.put_u32_le(crc32fast::hash(&out));
        out
    }

    /// Reads a record; `None` where it is damaged, of another version, or makes no sense.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if crc32fast::hash(body).to_le_bytes() != sum {
            return None;
        }
        let mut rest = body.strip_prefix(MAGIC)?;
        let rest = &mut rest;
        let run = rest.try_get_u64_le().ok()?;
        let source = take_string(rest)?;
        let path = VPath::parse(take_text(rest)?).ok()?;
        let kind = Kind::of(rest.try_get_u8().ok()?)?;
        let generation = rest.try_get_u64_le().ok()?;
        let asked = take_time(rest)?;
        let mut metadata = Metadata::new(kind.file_type());
        metadata.caching = take_option(rest, |rest| {
            let flags = rest.try_get_u8().ok().filter(|flags| *flags <= 3)?;
            let fresh_for = take_option(rest, |rest| rest.try_get_u64_le().ok().map(Duration::from_secs))?;
            Some(Caching { storable: flags & 1 != 0, must_revalidate: flags & 2 != 0, fresh_for })
        })?;
        let len = take_option(rest, |rest| rest.try_get_u64_le().ok())?;
        metadata.len = len.filter(|_| kind == Kind::File);
        metadata.modified = take_option(rest, take_time)?;
        metadata.mode = take_option(rest, |rest| rest.try_get_u32_le().ok())?;
        metadata.content_type = take_option(rest, take_string)?;
        metadata.validator = take_option(rest, |rest| match rest.try_get_u8().ok()? {
            1 => take_string(rest).map(Validator::Strong),
            2 => take_string(rest).map(Validator::Weak),
            _ => None,
        })?;
        let name = take_option(rest, |rest| take_text(rest).map(Bytes::copy_from_slice))?;
        metadata.identity = name.map(|name| Identity::Source { name, validator: metadata.validator.clone() });
        let digest = take_option(rest, |rest| {
            let (digest, behind) = rest.split_first_chunk()?;
            *rest = behind;
            Some(*digest)
        })?;
        let count = rest.try_get_u32_le().ok()? as usize;
        // Each takes a byte at least.
        if count > rest.len() {
            return None;
        }
        let mut sums = Vec::with_capacity(count);
        for _ in 0..count {
            sums.push(take_option(rest, |rest| rest.try_get_u32_le().ok())?);
        }
        let blocks = Blocks::stored(len, sums)?;
        rest.is_empty().then_some(Self {
            source,
            path,
            kind,
            asked,
            metadata,
            generation,
            blocks,
            digest,
            run,
        })
    }
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Folder => 2,
            Self::Missing => 3,
            Self::Listing => 4,
            Self::NoFile => 5,
        }
    }

    fn of(code: u8) -> Option<Self> {
        let all = [Self::File, Self::Folder, Self::Missing, Self::Listing, Self::NoFile];
        all.into_iter().find(|kind| kind.code() == code)
    }

    /// True where there is nothing to be read.
    pub(in crate::layers::mirror) const fn is_nothing(self) -> bool {
        matches!(self, Self::Missing | Self::NoFile)
    }

    const fn file_type(self) -> FileType {
        match self {
            Self::File | Self::Missing | Self::NoFile => FileType::File,
            Self::Folder | Self::Listing => FileType::Dir,
        }
    }
}

fn name_of(identity: Option<&Identity>) -> Option<&[u8]> {
    match identity? {
        Identity::Source { name, .. } => Some(name),
        Identity::Member { .. } => None,
    }
}

fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.put_u8(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

/// The outer `None`: it makes no sense.
fn take_option<T>(rest: &mut &[u8], take: impl FnOnce(&mut &[u8]) -> Option<T>) -> Option<Option<T>> {
    match rest.try_get_u8().ok()? {
        0 => Some(None),
        1 => take(rest).map(Some),
        _ => None,
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text);
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = rest.try_get_u32_le().ok()? as usize;
    let (text, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(text)
}

fn take_string(rest: &mut &[u8]) -> Option<Arc<str>> {
    std::str::from_utf8(take_text(rest)?).ok().map(Arc::from)
}

/// The nanoseconds count forwards also where the seconds lie before 1970.
fn put_time(out: &mut Vec<u8>, time: SystemTime) {
    let seconds = |whole: u64| i64::try_from(whole).unwrap_or(i64::MAX);
    let (secs, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => (seconds(since.as_secs()), since.subsec_nanos()),
        Err(before) => match (before.duration().as_secs(), before.duration().subsec_nanos()) {
            (secs, 0) => (-seconds(secs), 0),
            (secs, nanos) => (-seconds(secs) - 1, 1_000_000_000 - nanos),
        },
    };
    out.put_i64_le(secs);
    out.put_u32_le(nanos);
}

fn take_time(rest: &mut &[u8]) -> Option<SystemTime> {
    let (secs, nanos) = (rest.try_get_i64_le().ok()?, rest.try_get_u32_le().ok()?);
    if nanos >= 1_000_000_000 {
        return None;
    }
    let whole = Duration::from_secs(secs.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let time = if secs < 0 { epoch.checked_sub(whole)? } else { epoch.checked_add(whole)? };
    time.checked_add(Duration::from_nanos(nanos.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::mirror::store::blocks::BLOCK_BYTES;

    fn record() -> Record {
        let mut metadata = Metadata::new(FileType::File);
        metadata.len = Some(3 * BLOCK_BYTES - 7);
        metadata.modified = Some(SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5));
        metadata.mode = Some(0o644);
        metadata.content_type = Some("text/plain".into());
        metadata.validator = Some(Validator::Strong("5f-2a".into()));
        metadata.identity = Some(Identity::Source {
            name: Bytes::from_static(b"http://h/a"),
            validator: metadata.validator.clone(),
        });
        metadata.caching = Some(Caching {
            storable: true,
            fresh_for: Some(Duration::from_secs(60)),
            must_revalidate: false,
        });
        let mut blocks = Blocks::none_of(metadata.len);
        blocks.add(2, 77);
        Record {
            source: "http://h/".into(),
            path: VPath::parse("/a b/c").unwrap(),
            kind: Kind::File,
            asked: SystemTime::UNIX_EPOCH + Duration::new(1_700_000_001, 0),
            metadata,
            generation: 0xdead_beef,
            blocks,
            digest: Some([7; 32]),
            run: 3,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let full = record();
        assert_eq!(Record::decode(&full.encode()), Some(full.clone()));
        for kind in [Kind::Folder, Kind::Missing, Kind::Listing, Kind::NoFile] {
            let bare = Record {
                kind,
                metadata: Metadata::new(kind.file_type()),
                blocks: Blocks::default(),
                ..full.clone()
            };
            assert_eq!(Record::decode(&bare.encode()), Some(bare), "{kind:?}");
        }
    }

    #[test]
    fn a_damaged_record_is_none() {
        let bytes = record().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            assert_eq!(Record::decode(&damaged), None, "byte {at}");
            assert_eq!(Record::decode(&bytes[..at]), None, "cut at {at}");
        }
    }

    /// A checksum that somebody has made to fit does not make sense of nonsense.
    #[test]
    fn a_forged_record_is_none_and_takes_no_memory() {
        let bytes = record().encode();
        let body = &bytes[..bytes.len() - 4];
        for at in 8..body.len() {
            for value in [0, 1, 2, 0x7f, 0xff] {
                let mut forged = body.to_vec();
                forged[at] = value;
                let sum = crc32fast::hash(&forged);
                forged.put_u32_le(sum);
                if let Some(read) = Record::decode(&forged) {
                    assert_eq!(read.encode(), forged, "byte {at} as {value}");
                }
            }
        }
    }
}

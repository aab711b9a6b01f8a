//! Listings as bytes, and back: how a folder's entries lie in the store.
//!
//! One entry after the other, each with its length in bytes (u32) before it: the name's length (u16) and bytes, the type (0
//! unknown, 1 file, 2 folder, 3 link, 4 other), a byte of flags (1 described, 2 with a length, 4 with a time, 8 approximate, 16
//! with permission bits, 32 with a strong, 64 with a weak validator), then what the flags have: the length (u64), the time
//! (u64 seconds and u32 nanoseconds since 1970), the bits (u32), the validator's length (u16) and bytes. Little-endian.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_core::Stream;

use super::file::ReadThrough;
use super::object::Object;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{DirEntry, DirStream};
use crate::metadata::{FileType, Metadata, Validator};
use crate::options::ByteRange;
use crate::path::VPath;
use crate::producer::{Chunk, Hint, Lower, Producer, ProducerExt};

/// An entry is no longer than this: a name takes 64 KiB at most.
const ENTRY_BYTES: usize = 72 * 1024;

/// A validator that is longer is left out.
const VALIDATOR_BYTES: usize = 4096;

const DESCRIBED: u8 = 1;
const WITH_LEN: u8 = 2;
const WITH_TIME: u8 = 4;
const APPROXIMATE: u8 = 8;
const WITH_MODE: u8 = 16;
const STRONG: u8 = 32;
const WEAK: u8 = 64;

/// A listing that comes from the source, as the bytes that are kept.
pub(super) struct Encoded(pub(super) DirStream);

impl Producer for Encoded {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        loop {
            let Some(batch) = ready!(self.0.poll_next(cx)) else { return Poll::Ready(None) };
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            let mut out = Vec::new();
            batch.iter().for_each(|entry| encode(entry, &mut out));
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(out.into())));
            }
        }
    }

    fn hint(&self) -> Hint {
        Hint::UNKNOWN
    }
}

fn encode(entry: &DirEntry, out: &mut Vec<u8>) {
    // No source has longer names; one that invents them is not believed.
    let Ok(name_len) = u16::try_from(entry.name.len()) else { return };
    let described = entry.metadata.as_ref();
    let len = described.and_then(|metadata| metadata.len);
    let modified = described
        .and_then(|metadata| metadata.modified)
        .and_then(|modified| modified.duration_since(SystemTime::UNIX_EPOCH).ok());
    let mode = described.and_then(|metadata| metadata.mode);
    let validator = described.and_then(|metadata| metadata.validator.as_ref());
    let validator = validator.filter(|validator| validator.as_str().len() <= VALIDATOR_BYTES);
    let flags = [
        (described.is_some(), DESCRIBED),
        (len.is_some(), WITH_LEN),
        (modified.is_some(), WITH_TIME),
        (described.is_some_and(|metadata| metadata.provenance.approximate), APPROXIMATE),
        (mode.is_some(), WITH_MODE),
        (matches!(validator, Some(Validator::Strong(_))), STRONG),
        (matches!(validator, Some(Validator::Weak(_))), WEAK),
    ];
    let flags = flags.into_iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag);
    let start = out.len();
    out.put_u32_le(0);
    out.put_u16_le(name_len);
    out.put_slice(&entry.name);
    out.put_u8(match entry.file_type {
        None => 0,
        Some(FileType::File) => 1,
        Some(FileType::Dir) => 2,
        Some(FileType::Symlink) => 3,
        Some(FileType::Other) => 4,
    });
    out.put_u8(flags);
    len.into_iter().for_each(|len| out.put_u64_le(len));
    if let Some(since) = modified {
        out.put_u64_le(since.as_secs());
        out.put_u32_le(since.subsec_nanos());
    }
    mode.into_iter().for_each(|mode| out.put_u32_le(mode));
    if let Some(validator) = validator.map(Validator::as_str) {
        out.put_u16_le(u16::try_from(validator.len()).unwrap_or_default());
        out.put_slice(validator.as_bytes());
    }
    let taken = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&taken.to_le_bytes());
}

fn decode(mut bytes: &[u8], with_metadata: bool) -> Option<DirEntry> {
    let rest = &mut bytes;
    let name_len = rest.try_get_u16_le().ok()?;
    let (name, behind) = rest.split_at_checked(name_len.into())?;
    *rest = behind;
    let file_type = match rest.try_get_u8().ok()? {
        0 => None,
        1 => Some(FileType::File),
        2 => Some(FileType::Dir),
        3 => Some(FileType::Symlink),
        4 => Some(FileType::Other),
        _ => return None,
    };
    let flags = rest.try_get_u8().ok()?;
    let mut metadata = Metadata::new(file_type.unwrap_or(FileType::File));
    if flags & WITH_LEN != 0 {
        metadata.len = Some(rest.try_get_u64_le().ok()?);
    }
    if flags & WITH_TIME != 0 {
        let (secs, nanos) = (rest.try_get_u64_le().ok()?, rest.try_get_u32_le().ok()?);
        let since = Duration::from_secs(secs).checked_add(Duration::from_nanos(nanos.into()))?;
        metadata.modified = SystemTime::UNIX_EPOCH.checked_add(since);
    }
    if flags & WITH_MODE != 0 {
        metadata.mode = Some(rest.try_get_u32_le().ok()?);
    }
    if flags & (STRONG | WEAK) != 0 {
        let len = rest.try_get_u16_le().ok()?;
        let (text, behind) = rest.split_at_checked(len.into())?;
        *rest = behind;
        let text = std::str::from_utf8(text).ok()?.into();
        let is_strong = flags & STRONG != 0;
        metadata.validator = Some(if is_strong { Validator::Strong(text) } else { Validator::Weak(text) });
    }
    metadata.provenance.approximate = flags & APPROXIMATE != 0;
    let is_described = flags & DESCRIBED != 0 && with_metadata;
    let entry = DirEntry::new(Bytes::copy_from_slice(name), file_type);
    rest.is_empty().then(|| DirEntry { metadata: is_described.then_some(metadata), ..entry })
}

/// The entries that `object` keeps, as they come.
pub(super) fn entries(object: &Arc<Object>, path: &VPath, with_metadata: bool) -> DirStream {
    let bytes = ReadThrough::new(object, ByteRange::whole()).lower(object.store.disk());
    DirStream::new(Entries {
        bytes,
        path: path.clone(),
        with_metadata,
        rest: BytesMut::new(),
        ready: VecDeque::new(),
    })
}

/// The entries of which the first batch was taken already.
pub(super) fn begun(first: Option<Result<Vec<DirEntry>>>, rest: DirStream) -> DirStream {
    DirStream::new(Begun { first, rest })
}

struct Begun {
    first: Option<Result<Vec<DirEntry>>>,
    rest: DirStream,
}

impl Stream for Begun {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.first.take() {
            None => self.rest.poll_next(cx),
            first => Poll::Ready(first),
        }
    }
}

struct Entries {
    bytes: Lower<ReadThrough>,
    path: VPath,
    with_metadata: bool,
    rest: BytesMut,
    ready: VecDeque<DirEntry>,
}

impl Entries {
    /// Takes the entries that are whole.
    fn take_whole(&mut self) -> Result<()> {
        while let Some(len) =
            self.rest.get(..4).map(|len| u32::from_le_bytes([len[0], len[1], len[2], len[3]]))
        {
            let len = len as usize;
            if len > ENTRY_BYTES {
                return Err(self.damaged());
            }
            if self.rest.len() < 4 + len {
                break;
            }
            let entry = self.rest.split_to(4 + len);
            let entry = decode(&entry[4..], self.with_metadata).ok_or_else(|| self.damaged())?;
            self.ready.push_back(entry);
        }
        Ok(())
    }

    fn damaged(&self) -> Error {
        Error::new(ErrorKind::Corrupt, "read_dir", &self.path)
            .with_detail("the kept listing is damaged: purge it")
    }
}

impl Stream for Entries {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while this.ready.is_empty() {
            match ready!(this.bytes.poll_more(cx)) {
                Some(Ok(Chunk::Bytes(bytes))) => this.rest.extend_from_slice(&bytes),
                Some(Ok(Chunk::Span(_))) => return Poll::Ready(Some(Err(this.damaged()))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.readdressed(|_| this.path.clone())))),
                None if this.rest.is_empty() => return Poll::Ready(None),
                None => {
                    this.rest.clear();
                    return Poll::Ready(Some(Err(this.damaged())));
                }
            }
            if let Err(error) = this.take_whole() {
                return Poll::Ready(Some(Err(error)));
            }
        }
        let count = this.ready.len().min(DirStream::BATCH);
        Poll::Ready(Some(Ok(this.ready.drain(..count).collect())))
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Encoded").field(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 7);
        let described = |len, modified, approximate| {
            let mut metadata = Metadata { len, modified, ..Metadata::new(FileType::File) };
            metadata.provenance.approximate = approximate;
            metadata.mode = len.map(|_| 0o640);
            metadata.validator = modified.map(|_| Validator::Strong("5-a".into()));
            Some(metadata)
        };
        for (name, file_type, metadata) in [
            (&b"plain"[..], Some(FileType::File), described(Some(7), Some(at), false)),
            (b"about", Some(FileType::File), described(Some(7), None, true)),
            (b"odd \xff\n", Some(FileType::Dir), None),
            (b"", None, None),
        ] {
            let entry = DirEntry { metadata: metadata.clone(), ..DirEntry::new(name.to_vec(), file_type) };
            let mut bytes = Vec::new();
            encode(&entry, &mut bytes);
            let read = decode(&bytes[4..], true).unwrap();
            assert_eq!((&read.name[..], read.file_type, read.metadata), (name, file_type, metadata));
            assert_eq!(decode(&bytes[4..], false).unwrap().metadata, None);
            for cut in 4..bytes.len() {
                assert!(decode(&bytes[4..cut], true).is_none(), "cut at {cut}");
            }
        }
    }
}

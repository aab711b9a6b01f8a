//! Members of an archive: how they are described, and read.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use super::catalog::{Member, Shape};
use super::entry::Piece;
use super::fs::Archive;
use super::proven::Proven;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::metadata::{FileType, Identity, Metadata, Owner, Provenance, Validator};
use crate::options::ByteRange;
use crate::path::VPath;
use crate::producer::{self, Producer};

/// The most that is read at once of a hole.
const HOLE_BYTES: usize = 64 * 1024;

/// What an archive's members have from their archive.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    identity: Option<Arc<Identity>>,
    /// The archive's version in a few digits; none where nobody could say when it changes.
    mark: Option<u64>,
}

impl Origin {
    /// Members of the archive with this identity.
    pub(super) fn new(identity: Option<Identity>) -> Self {
        let mark = identity.as_ref().and_then(|identity| {
            let mut mark = Mark::new();
            mark.take_identity(identity).then_some(mark.0)
        });
        Self { identity: identity.map(Arc::new), mark }
    }

    /// What content `len` bytes at `offset` of the (uncompressed) archive are.
    pub(super) fn identity_of(&self, offset: u64, len: u64) -> Option<Identity> {
        self.identity.clone().map(|outer| Identity::Member { outer, offset, len })
    }

    /// Changes with the archive and with any of `numbers`.
    pub(super) fn validator_of(&self, numbers: &[u64]) -> Option<Validator> {
        let mut text = format!("{:016x}", self.mark?);
        for number in numbers {
            text.push_str(&format!("-{number:x}"));
        }
        Some(Validator::Strong(text.into()))
    }
}

/// FNV-1a, which is the same in every process. Nothing rests on it but that versions of one file differ.
struct Mark(u64);

impl Mark {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&(bytes.len() as u64).to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// False where the identity names no version.
    fn take_identity(&mut self, identity: &Identity) -> bool {
        match identity {
            Identity::Source { name, validator } => {
                self.take(name);
                let Some(validator) = validator else { return false };
                self.take(validator.as_str().as_bytes());
                true
            }
            Identity::Member { outer, offset, len } => {
                self.take(&offset.to_le_bytes());
                self.take(&len.to_le_bytes());
                self.take_identity(outer)
            }
        }
    }
}

impl Member {
    /// The member as a caller sees it.
    pub(super) fn metadata(&self, origin: &Origin, provisional: bool) -> Metadata {
        let file_type = match self.shape {
            Shape::File | Shape::Broken => FileType::File,
            Shape::Dir => FileType::Dir,
            Shape::Symlink => FileType::Symlink,
            Shape::Other => FileType::Other,
        };
        let is_file = self.shape == Shape::File;
        let (seconds, nanos) = self.modified.unwrap_or_default();
        let numbers = [self.header, self.size, seconds.cast_unsigned(), u64::from(nanos)];
        Metadata {
            len: match self.shape {
                Shape::File => Some(self.size),
                Shape::Symlink => self.link.as_ref().map(|link| link.len() as u64),
                Shape::Dir | Shape::Other | Shape::Broken => None,
            },
            modified: self.modified.and_then(|(seconds, nanos)| time(seconds, nanos)),
            mode: self.mode,
            owner: self.owner.map(|(user, group)| Owner { user, group }),
            validator: if is_file { origin.validator_of(&numbers) } else { None },
            identity: if is_file { origin.identity_of(self.data, self.size) } else { None },
            provenance: Provenance { provisional, ..Provenance::default() },
            ..Metadata::new(file_type)
        }
    }
}

fn time(seconds: i64, nanos: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
        _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
    };
    time?.checked_add(Duration::from_nanos(u64::from(nanos)))
}

/// An open member: a region of its archive's bytes, with holes perhaps.
#[derive(Debug)]
pub(super) struct MemberFile {
    source: Arc<dyn File>,
    data: u64,
    size: u64,
    pieces: Option<Arc<[Piece]>>,
    metadata: Metadata,
    /// Keeps the archive's first pass going, which may have to come to this member yet, and knows what it found.
    archive: Option<Arc<Archive>>,
}

impl MemberFile {
    /// A member of what `source` reads.
    pub(super) fn new(source: Arc<dyn File>, member: &Member, metadata: Metadata) -> Self {
        let (data, size, pieces) = (member.data, member.size, member.pieces.clone());
        Self { source, data, size, pieces, metadata, archive: None }
    }

    /// The same; as long as it is open, `archive` is held.
    pub(super) fn keeping(self, archive: Arc<Archive>) -> Self {
        Self { archive: Some(archive), ..self }
    }

    /// Some bytes from `offset` on, whatever speaks against them.
    async fn read(&self, offset: u64, max: usize) -> Result<Bytes> {
        let max = clamp(self.size.saturating_sub(offset), max);
        if max == 0 {
            return Ok(Bytes::new());
        }
        let Some(pieces) = &self.pieces else { return self.read_stored(offset, max).await };
        match stored_at(pieces, offset, self.size) {
            Stored::Here { at, len } => self.read_stored(at, clamp(len, max)).await,
            Stored::Hole { len } => Ok(vec![0; clamp(len, max).min(HOLE_BYTES)].into()),
        }
    }

    /// Where what is stored of its first `len` bytes ends in the archive's content.
    fn end_of(&self, len: u64) -> u64 {
        let stored = match &self.pieces {
            None => len,
            Some(pieces) => pieces.last().map_or(0, |last| last.stored + last.len),
        };
        self.data.saturating_add(stored)
    }

    /// At most `max` stored bytes; fewer than one is a member that is cut.
    async fn read_stored(&self, offset: u64, max: usize) -> Result<Bytes> {
        let bytes = self.source.read_at(self.data + offset, max).await?;
        if bytes.is_empty() {
            let detail =
                format!("the archive ends within the file, at byte {offset} of what is stored of it");
            return Err(Error::new(ErrorKind::Truncated, "read_at", &VPath::root()).with_detail(detail));
        }
        Ok(bytes)
    }
}

#[async_trait]
impl File for MemberFile {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(self.metadata.clone())
    }

    fn identity(&self) -> Option<Identity> {
        self.metadata.identity.clone()
    }

    /// The last byte does not come where the archive's checksum speaks against the member.
    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let bytes = self.read(offset, max).await?;
        if bytes.is_empty() || offset + (bytes.len() as u64) < self.size {
            return Ok(bytes);
        }
        let doubt = match &self.archive {
            Some(archive) => archive.doubt(self.end_of(self.size)).await,
            None => None,
        };
        match (bytes.len(), doubt) {
            (_, None) => Ok(bytes),
            (1, Some(doubt)) => Err(doubt),
            (len, Some(_)) => Ok(bytes.slice(..len - 1)),
        }
    }

    /// The archive's own way, so that a member of a plain tar of the host leaves it without being read. Of a compressed
    /// one, whatever range it is ends in an error where the archive's checksum speaks against it.
    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        let end = range.end.unwrap_or(self.size);
        if end > self.size || range.start >= end {
            return None;
        }
        let region = ByteRange { start: self.data + range.start, end: Some(self.data + end) };
        if self.pieces.is_none()
            && let Some(native) = Arc::clone(&self.source).native(region)
        {
            return Some(native);
        }
        let archive = self.archive.clone().filter(|archive| archive.decoded.is_some())?;
        let proven_to = self.end_of(end);
        let range = ByteRange { start: range.start, end: Some(end) };
        let inner = producer::of(Arc::new(Unproven(self)), range);
        Some(Box::new(Proven::new(inner, archive, proven_to)))
    }

    fn seek_cost(&self) -> SeekCost {
        self.source.seek_cost()
    }
}

/// A member's bytes, whatever speaks against them.
#[derive(Debug)]
struct Unproven(Arc<MemberFile>);

#[async_trait]
impl File for Unproven {
    async fn metadata(&self) -> Result<Metadata> {
        self.0.metadata().await
    }

    fn identity(&self) -> Option<Identity> {
        self.0.identity()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        self.0.read(offset, max).await
    }
}

enum Stored {
    Here { at: u64, len: u64 },
    Hole { len: u64 },
}

fn stored_at(pieces: &[Piece], offset: u64, size: u64) -> Stored {
    let next = pieces.partition_point(|piece| piece.at <= offset);
    if let Some(piece) = next.checked_sub(1).map(|at| pieces[at])
        && offset - piece.at < piece.len
    {
        let passed = offset - piece.at;
        return Stored::Here { at: piece.stored + passed, len: piece.len - passed };
    }
    Stored::Hole { len: pieces.get(next).map_or(size, |piece| piece.at) - offset }
}

fn clamp(left: u64, max: usize) -> usize {
    usize::try_from(left).unwrap_or(max).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::archive::trial::stored;

    fn member(data: u64, size: u64, pieces: Option<Vec<Piece>>) -> Member {
        let pieces = pieces.map(Into::into);
        Member {
            shape: Shape::File,
            header: 0,
            data,
            size,
            pieces,
            link: None,
            mode: None,
            owner: None,
            modified: None,
        }
    }

    async fn read_from(file: &MemberFile, mut offset: u64) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let bytes = file.read_at(offset, 7).await?;
            if bytes.is_empty() {
                return Ok(content);
            }
            offset += bytes.len() as u64;
            content.extend_from_slice(&bytes);
        }
    }

    #[tokio::test]
    async fn holes_read_as_zeros_from_any_offset() {
        let pieces = vec![Piece { at: 4, stored: 0, len: 3 }, Piece { at: 20, stored: 3, len: 2 }];
        let member = member(2, 30, Some(pieces));
        let file = MemberFile::new(stored(&b"..abcde"[..]), &member, Metadata::new(FileType::File));
        let mut whole = [0; 30];
        whole[4..7].copy_from_slice(b"abc");
        whole[20..22].copy_from_slice(b"de");
        for offset in 0..32 {
            let wanted = whole.get(offset as usize..).unwrap_or_default();
            assert_eq!(read_from(&file, offset).await.unwrap(), wanted, "{offset}");
        }
    }

    #[tokio::test]
    async fn a_member_that_is_cut_ends_in_an_error_and_not_short() {
        let file = MemberFile::new(stored(&b"abcde"[..]), &member(2, 9, None), Metadata::new(FileType::File));
        assert_eq!(read_from(&file, 0).await.unwrap_err().kind(), ErrorKind::Truncated);
    }

    #[test]
    fn a_validator_changes_with_the_archive_and_the_member_and_survives_restarts() {
        let archive = |version: &str| {
            let validator = Some(Validator::Strong(version.into()));
            Origin::new(Some(Identity::Source { name: Bytes::from_static(b"a.tar"), validator }))
        };
        let of = |version: &str, numbers: &[u64]| archive(version).validator_of(numbers).unwrap();
        assert_eq!(of("1", &[5, 6]).as_str(), "3b9adb598f050402-5-6");
        assert_ne!(of("1", &[5, 6]), of("2", &[5, 6]));
        assert_ne!(of("1", &[5, 6]), of("1", &[5, 7]));
        let unversioned = Identity::Source { name: Bytes::from_static(b"a.tar"), validator: None };
        assert_eq!(Origin::new(Some(unversioned)).validator_of(&[1]), None);
    }
}

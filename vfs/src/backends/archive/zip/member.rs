//! Opening a member of a zip archive: the local header is checked against the directory, then the content is found.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::directory::{LOCAL_LEN, failure, read_exactly, read_up_to};
use super::extents::Extents;
use super::fields::Fields;
use super::record::{Flaw, Member, Method};
use super::verified::Verified;
use crate::backends::archive::bzip2::Bzip2;
use crate::backends::archive::codec::{Codec, Next};
use crate::backends::archive::gzip::{Gzip, SPACING_BYTES};
use crate::backends::archive::xz::Xz;
use crate::backends::archive::zstd::Zstd;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::jobs::{self, PIECE_BYTES};
use crate::options::ByteRange;

/// Members up to this length are decoded as a whole when they are opened, and checked before their first byte is served.
pub(super) const WHOLE_BYTES: u64 = PIECE_BYTES as u64;

/// What is read beyond a small member's content, for its local header's extra fields: most have less, so that one read
/// gives header and content together.
const EXTRA_BYTES: u64 = 512;

/// Up to here, unpacking is not worth a job: it takes some 50 µs.
const INLINE_BYTES: u64 = 16 * 1024;

/// Deflate makes at most so many bytes of one (258 of two bits, and a symbol of one bit is the least), and of a block's
/// few bits none; a member that promises more lies.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// Longest text of a link; what Linux takes.
const MAX_LINK_BYTES: u64 = 4096;

const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";

/// An archive whose directory has been read. Opening members is all it does; it keeps no member.
#[derive(Clone)]
pub(in crate::backends::archive) struct Zip {
    file: Arc<dyn File>,
    /// Where the directory begins: no member reaches further.
    directory: u64,
    extents: Arc<Extents>,
}

/// How a member's content is had.
#[derive(Clone, Debug)]
pub(in crate::backends::archive) enum Content {
    /// All of it, checked.
    Whole(Bytes),
    /// It lies in the archive as it is, at this range. Its checksum is not looked at, so that it can leave unread.
    Stored(ByteRange),
    /// It is packed in this range of the archive; seek points count from the range's start. The codec checks length and
    /// checksum when it decodes all of it.
    Packed(Arc<dyn Codec>, ByteRange),
}

impl Zip {
    pub(super) fn new(file: Arc<dyn File>, directory: u64, extents: Extents) -> Self {
        Self { file, directory, extents: Arc::new(extents) }
    }

    /// The content of `member`. One read, two where the local header is longer than most; a small member comes whole.
    ///
    /// # Errors
    /// `PermissionDenied` for an encrypted member, `Unsupported` for a method that nobody here knows; `Corrupt` where
    /// the directory and the local header contradict each other, the member overlaps another one, or, for a small one,
    /// its content is not what the directory says. Other members are not touched by that.
    pub(in crate::backends::archive) async fn open(&self, member: &Member) -> Result<Content> {
        self.check(member)?;
        let local = self.read_local(member).await?;
        let data = self.data_range(member, &local)?;
        if is_whole(member) {
            let at = (data.start - member.header) as usize;
            let packed = self.complete(&local, member, at).await?;
            return unpack(*member, packed).await.map(Content::Whole);
        }
        Ok(match member.method {
            Method::STORED => Content::Stored(data),
            _ => Content::Packed(known_codec(member)?, data),
        })
    }

    /// The text of the link `member`, which is its content.
    ///
    /// # Errors
    /// As [`Zip::open`]; `Corrupt` where the text is empty or longer than a path can be.
    pub(in crate::backends::archive) async fn read_link(&self, member: &Member) -> Result<Bytes> {
        if member.len > MAX_LINK_BYTES || member.packed_len > WHOLE_BYTES {
            return Err(damaged(&format!("the text of a link is {} bytes long", member.len)));
        }
        match self.open(member).await? {
            Content::Whole(text) if !text.is_empty() => Ok(text),
            _ => Err(damaged("the text of a link is empty")),
        }
    }

    /// Refuses what the directory alone shows to be unreadable.
    fn check(&self, member: &Member) -> Result<()> {
        if let Some(flaw) = member.flaw {
            return Err(match flaw {
                Flaw::Zip64 => damaged("the directory's zip64 field of this member makes no sense"),
                Flaw::Outside => damaged("the directory places this member behind the archive's members"),
                Flaw::OtherDisk => failure(ErrorKind::Unsupported)
                    .with_detail("this member lies in another file of a split archive"),
            });
        }
        if member.is_encrypted {
            let what = "this member is encrypted; encrypted members are listed and cannot be read";
            return Err(failure(ErrorKind::PermissionDenied).with_detail(what));
        }
        if self.extents.is_refused(member.header) {
            return Err(damaged("this member overlaps another one, or the archive's directory"));
        }
        match member.method {
            Method::STORED if member.packed_len != member.len => {
                Err(damaged("this member is stored, and its two lengths differ"))
            }
            Method::DEFLATE if member.len > member.packed_len.saturating_mul(MAX_DEFLATE_RATIO) => {
                let (packed, len) = (member.packed_len, member.len);
                Err(damaged(&format!(
                    "{packed} bytes of deflate cannot hold the {len} bytes that are stated"
                )))
            }
            method if method == Method::STORED || codec(member).is_some() => Ok(()),
            method => Err(unsupported(method)),
        }
    }

    /// The local header and, of a small member, what most likely is all of its content.
    async fn read_local(&self, member: &Member) -> Result<Bytes> {
        let header = LOCAL_LEN + u64::from(member.name.0);
        let wished = if is_whole(member) { header + EXTRA_BYTES + member.packed_len } else { header };
        // A member ends before the directory, so this is not short for a file that is as it was.
        let room = self.directory.saturating_sub(member.header);
        let bytes = read_up_to(&*self.file, member.header, wished.min(room) as usize).await?;
        if (bytes.len() as u64) < header {
            return Err(damaged("this member's local header reaches into the directory"));
        }
        Ok(bytes)
    }

    /// Where the content lies, after the local header, `local`, has been found to be this member's.
    fn data_range(&self, member: &Member, local: &[u8]) -> Result<ByteRange> {
        let Some(header) = LocalHeader::parse(local) else {
            return Err(damaged("no local header is where the directory places this member"));
        };
        let contradiction =
            |what| Err(damaged(&format!("directory and local header of this member disagree on its {what}")));
        if (header.name.len() as u16, crc32fast::hash(header.name)) != member.name {
            return contradiction("name");
        }
        if header.method != member.method {
            return contradiction("method");
        }
        if header.is_encrypted != member.is_encrypted {
            return contradiction("encryption");
        }
        let start = member.header + LOCAL_LEN + u64::from(member.name.0) + header.extra_len;
        let range = ByteRange::at(start, member.packed_len);
        if range.end.is_none_or(|end| end > self.directory) {
            return Err(damaged("this member reaches into the archive's directory"));
        }
        // The directory does not say how long local headers are: here it turns out.
        if range.end.is_some_and(|end| self.extents.reaches_next(member.header, end)) {
            return Err(damaged("this member overlaps another one"));
        }
        Ok(range)
    }

    /// The packed bytes of a small member, from `at` bytes behind its header's start; most are in `local` already.
    async fn complete(&self, local: &Bytes, member: &Member, at: usize) -> Result<Bytes> {
        let len = member.packed_len as usize;
        match local.get(at..at + len) {
            Some(_) => Ok(local.slice(at..at + len)),
            None => read_exactly(&*self.file, member.header + at as u64, len).await,
        }
    }
}

impl fmt::Debug for Zip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zip")
            .field("directory", &self.directory)
            .field("refused", &self.extents.refused())
            .finish()
    }
}

impl Method {
    /// The name of the method, for people.
    fn name(self) -> String {
        let name = match self.0 {
            1 => "shrink",
            6 => "implode",
            9 => "deflate64",
            14 => "lzma",
            96 => "jpeg",
            97 => "wavpack",
            98 => "ppmd",
            other => return format!("method {other}"),
        };
        name.to_owned()
    }
}

/// What of a local header is looked at (APPNOTE 4.3.7); its sizes may stand behind the content, so they are not.
struct LocalHeader<'a> {
    is_encrypted: bool,
    method: Method,
    name: &'a [u8],
    extra_len: u64,
}

impl<'a> LocalHeader<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes.strip_prefix(LOCAL_SIGNATURE)?);
        let _needed = fields.u16()?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        // Time, date, checksum, two lengths.
        fields.bytes(16)?;
        let (name_len, extra_len) = (fields.u16()?, fields.u16()?);
        // A name that is longer than the directory's was not read whole. It is another one in any case.
        let name = fields.bytes(name_len.into()).unwrap_or_default();
        let is_encrypted = flags & 1 != 0;
        Some(Self { is_encrypted, method: Method(method), name, extra_len: extra_len.into() })
    }
}

/// Whether `member` is small enough to be decoded at once, packed as well as unpacked.
fn is_whole(member: &Member) -> bool {
    member.len <= WHOLE_BYTES && member.packed_len <= WHOLE_BYTES
}

/// Decodes and checks a small member, in a job where that is worth one.
async fn unpack(member: Member, packed: Bytes) -> Result<Bytes> {
    if member.len + member.packed_len <= INLINE_BYTES {
        return unpack_now(&member, packed);
    }
    jobs::cpu("open", move || unpack_now(&member, packed)).await?
}

fn unpack_now(member: &Member, packed: Bytes) -> Result<Bytes> {
    if member.method != Method::STORED {
        return decode(&*known_codec(member)?, &packed, member.len as usize);
    }
    let (found, stated) = (crc32fast::hash(&packed), member.crc);
    if found != stated {
        let what = format!("this member's checksum is {found:#010x}, and its directory says {stated:#010x}");
        return Err(damaged(&what));
    }
    Ok(packed)
}

/// The codec of a packed member; none for a method that nobody here knows.
fn codec(member: &Member) -> Option<Arc<dyn Codec>> {
    let inner: Arc<dyn Codec> = match member.method {
        Method::DEFLATE => Arc::new(Gzip::bare(SPACING_BYTES)),
        Method::BZIP2 => Arc::new(Bzip2::new(SPACING_BYTES)),
        Method::ZSTD => Arc::new(Zstd::new(SPACING_BYTES)),
        Method::XZ => Arc::new(Xz::new(SPACING_BYTES)),
        _ => return None,
    };
    Some(Arc::new(Verified::new(inner, member.len, member.crc)))
}

fn known_codec(member: &Member) -> Result<Arc<dyn Codec>> {
    codec(member).ok_or_else(|| unsupported(member.method))
}

fn unsupported(method: Method) -> Error {
    let what = format!("this member is packed by {}, which is not known here", method.name());
    failure(ErrorKind::Unsupported).with_detail(what)
}

/// Decodes all of a small member; `len` is at most a piece, so it may be allocated.
fn decode(codec: &dyn Codec, packed: &[u8], len: usize) -> Result<Bytes> {
    let mut decoder = codec.start();
    let mut output = Vec::with_capacity(len);
    let mut rest = packed;
    loop {
        // One byte of room is always left, so a call never ends for want of it.
        let room = len + 1 - output.len();
        let progress = decoder.decode(rest, true, &mut output, room).map_err(|damage| {
            let kind = if damage.cut { ErrorKind::Truncated } else { ErrorKind::Corrupt };
            failure(kind).with_detail(format!("this member is damaged: {}", damage.what))
        })?;
        if progress.next == Next::End {
            return Ok(output.into());
        }
        rest = &rest[progress.consumed..];
    }
}

fn damaged(what: &str) -> Error {
    failure(ErrorKind::Corrupt).with_detail(format!("the archive is damaged: {what}"))
}

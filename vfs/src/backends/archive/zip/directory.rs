//! The central directory of a zip archive: found at the end of any [`File`], read as it is consumed, a batch at a time.
//!
//! The directory is the only truth about what the archive holds. Two requests read it, or one where it is small: the
//! file's end, then the directory as one stream. Memory is a batch and 16 bytes a record, whatever counts are stated.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::ending::{self, Ending, Fault, TAIL_BYTES};
use super::extents::{Extent, Extents};
use super::member::Zip;
use super::record::{self, Member, SIGNATURE, Taken, ZipEntry};
use crate::backends::archive::foreign;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::jobs::{self, Disk};
use crate::options::ByteRange;
use crate::path::VPath;
use crate::producer::{self, Chunk, Lower, Peeked, Producer, ProducerExt};

/// What is parsed at once; one record may take more. Its members take five times as much while they wait to be listed.
const BATCH_BYTES: usize = 128 * 1024;

/// Up to here, parsing is not worth a job: it takes some 20 µs.
const INLINE_BYTES: usize = 16 * 1024;

/// The most records that one archive may have; more are [`ErrorKind::LimitExceeded`].
const MAX_RECORDS: u64 = 4 << 20;

/// A local header without name and extra fields.
pub(super) const LOCAL_LEN: u64 = 30;

/// A directory that is being read. A dropped call leaves it unusable.
pub(in crate::backends::archive) struct Directory {
    file: Arc<dyn File>,
    ending: Ending,
    /// What is left of it in the file; none where the file's end held all.
    stream: Option<Peeked<Lower<Box<dyn Producer>>>>,
    /// Read, and not parsed yet.
    pending: BytesMut,
    /// Where `pending` begins, in the file.
    position: u64,
    extents: Vec<Extent>,
    records: u64,
    notes: Notes,
}

/// What is odd about an archive whose members can be read all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::backends::archive) struct Notes {
    /// Where the directory is damaged, in words that follow "the archive is damaged: ". What came before is served.
    pub(in crate::backends::archive) damage: Option<String>,
    /// Records that no path leads to: their names climb out of the archive, hold a NUL or are too long.
    pub(in crate::backends::archive) hidden: u64,
}

impl Directory {
    /// Finds the directory of `file`.
    ///
    /// # Errors
    /// `InvalidInput` for a file of another format, naming it; `Corrupt` for records at the end that contradict each
    /// other or are missing; `Unsupported` for one file of a set, and for a file whose length is not known.
    pub(in crate::backends::archive) async fn find(file: Arc<dyn File>) -> Result<Self> {
        let Some(len) = file.metadata().await?.len else {
            let what = "a zip archive is read from its end, and the length of this file is not known";
            return Err(failure(ErrorKind::Unsupported).with_detail(what));
        };
        let tail_start = len.saturating_sub(TAIL_BYTES as u64);
        let tail = read_exactly(&*file, tail_start, (len - tail_start) as usize).await?;
        let ending = match ending::find(&tail, tail_start) {
            Ok(endings) => choose(&*file, &endings).await?,
            Err(fault) => return Err(explain(&*file, fault).await?),
        };
        let (pending, stream) = match ending.start.checked_sub(tail_start) {
            Some(at) => (BytesMut::from(&tail[at as usize..(ending.end - tail_start) as usize]), None),
            None => {
                let range = ByteRange { start: ending.start, end: Some(ending.end) };
                let stream = producer::of(Arc::clone(&file), range).lower(&Disk::new()).peeked();
                (BytesMut::new(), Some(stream))
            }
        };
        let (position, notes) = (ending.start, Notes::default());
        Ok(Self { file, ending, stream, pending, position, extents: Vec::new(), records: 0, notes })
    }

    /// The next members, in the directory's order; of two with one path the later one counts. `None` at the end, or
    /// behind the last record before damage, which [`Directory::finish`] tells.
    ///
    /// # Errors
    /// What reading the file says; `Corrupt` where the directory does not begin with a record; `LimitExceeded` past
    /// 4 Mi records.
    pub(in crate::backends::archive) async fn next(&mut self) -> Result<Option<Vec<ZipEntry>>> {
        while self.notes.damage.is_none() {
            let is_last = self.gather().await?;
            if self.pending.is_empty() {
                break;
            }
            let batch = self.parse_pending(is_last).await?;
            let entries = self.accept(batch)?;
            if !entries.is_empty() {
                return Ok(Some(entries));
            }
        }
        Ok(None)
    }

    /// The archive, for opening members, and what is odd about it. For a directory that was read to its end.
    ///
    /// # Errors
    /// `Internal` where the runtime is going down.
    pub(in crate::backends::archive) async fn finish(mut self) -> Result<(Zip, Notes)> {
        if self.notes.damage.is_none() && !self.ending.has(self.records) {
            let (found, stated) = (self.records, self.ending.records());
            let what = format!("its directory holds {found} records, and its end record says {stated}");
            self.notes.damage = Some(what);
        }
        let (extents, limit) = (self.extents, self.ending.start);
        let extents = jobs::cpu("enter", move || Extents::new(extents, limit)).await?;
        Ok((Zip::new(self.file, self.ending.start, extents), self.notes))
    }

    /// Reads up to a batch. True where nothing follows it.
    async fn gather(&mut self) -> Result<bool> {
        let Some(stream) = &mut self.stream else { return Ok(true) };
        while self.pending.len() < BATCH_BYTES {
            match stream.more().await {
                Some(Ok(Chunk::Bytes(bytes))) => self.pending.extend_from_slice(&bytes),
                Some(Ok(Chunk::Span(_))) => unreachable!("`lower` gives bytes only"),
                Some(Err(error)) => return Err(error),
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    async fn parse_pending(&mut self, is_last: bool) -> Result<Batch> {
        let (bytes, ending, position) = (self.pending.split().freeze(), self.ending, self.position);
        let batch = if bytes.len() <= INLINE_BYTES {
            Batch::parse(&bytes, ending, position, is_last)
        } else {
            let bytes = bytes.clone();
            jobs::cpu("enter", move || Batch::parse(&bytes, ending, position, is_last)).await?
        };
        self.pending.extend_from_slice(&bytes[batch.consumed..]);
        self.position += batch.consumed as u64;
        Ok(batch)
    }

    fn accept(&mut self, batch: Batch) -> Result<Vec<ZipEntry>> {
        if let Some(what) = &batch.damage
            && self.records + batch.records == 0
        {
            return Err(failure(ErrorKind::Corrupt).with_detail(format!("the archive is damaged: {what}")));
        }
        self.records += batch.records;
        if self.records > MAX_RECORDS {
            let what = format!("the archive holds more than {MAX_RECORDS} members");
            return Err(failure(ErrorKind::LimitExceeded).with_detail(what));
        }
        self.extents.extend(batch.extents);
        self.notes.hidden += batch.hidden;
        self.notes.damage = batch.damage;
        Ok(batch.entries)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("ending", &self.ending)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

/// What a piece of the directory holds.
#[derive(Debug, Default)]
struct Batch {
    entries: Vec<ZipEntry>,
    extents: Vec<Extent>,
    /// Bytes that are done with; what is left is the beginning of a record.
    consumed: usize,
    records: u64,
    hidden: u64,
    damage: Option<String>,
}

impl Batch {
    /// Parses `bytes`, which lie at `position` in the file; `is_last` says that the directory ends with them.
    fn parse(bytes: &[u8], ending: Ending, position: u64, is_last: bool) -> Self {
        let mut batch = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = position + (bytes.len() - rest.len()) as u64;
            match record::take(&mut rest, ending.shift, ending.start) {
                Taken::Entry(entry) => {
                    batch.extents.extend(extent_of(&entry.member));
                    batch.entries.push(entry);
                }
                Taken::Root => {}
                Taken::Hidden(member) => {
                    batch.extents.extend(extent_of(&member));
                    batch.hidden += 1;
                }
                Taken::Incomplete if !is_last => break,
                Taken::Incomplete => {
                    batch.damage = Some(format!("its directory ends within the record at its byte {at}"));
                    break;
                }
                Taken::NoRecord => {
                    batch.damage = Some(format!("no record of its directory begins at its byte {at}"));
                    break;
                }
            }
            batch.records += 1;
        }
        batch.consumed = bytes.len() - rest.len();
        batch
    }
}

/// What `member` takes at the least. None where the directory contradicts itself about it.
fn extent_of(member: &Member) -> Option<Extent> {
    let len = (LOCAL_LEN + u64::from(member.name.0)).saturating_add(member.packed_len);
    member.flaw.is_none().then(|| Extent {
        start: member.header,
        end: member.header.saturating_add(len),
        name: member.name,
    })
}

/// The first of `endings` that leads to a directory. A single one is not asked: reading on will tell.
async fn choose(file: &dyn File, endings: &[Ending]) -> Result<Ending> {
    let (last, others) = endings.split_last().expect("an archive has an ending, or `find` fails");
    for ending in others {
        let is_empty = ending.start == ending.end;
        if is_empty || read_exactly(file, ending.start, SIGNATURE.len()).await?[..] == SIGNATURE {
            return Ok(*ending);
        }
    }
    Ok(*last)
}

/// What `fault` means for a file, from how the file begins.
async fn explain(file: &dyn File, fault: Fault) -> Result<Error> {
    let (kind, what) = match fault {
        Fault::Contradiction(what) => (ErrorKind::Corrupt, format!("the archive is damaged: {what}")),
        Fault::OneOfSeveral => {
            (ErrorKind::Unsupported, "it is one file of a zip archive that was split into several".to_owned())
        }
        Fault::Missing => {
            let head = read_up_to(file, 0, foreign::FOREIGN_BYTES).await?;
            if head.starts_with(b"PK\x03\x04") {
                let what = "the archive is damaged: it begins like a zip archive, and no end record is at its end; \
                    it was cut short, or something was appended";
                (ErrorKind::Corrupt, what.to_owned())
            } else {
                let what = foreign::known(&head).unwrap_or("something else");
                (ErrorKind::InvalidInput, format!("it is no zip archive but {what}"))
            }
        }
    };
    Ok(failure(kind).with_detail(what))
}

/// The `len` bytes at `offset`.
pub(super) async fn read_exactly(file: &dyn File, offset: u64, len: usize) -> Result<Bytes> {
    let bytes = read_up_to(file, offset, len).await?;
    if bytes.len() < len {
        let what =
            format!("the archive ends at {}, within what was there before", offset + bytes.len() as u64);
        return Err(failure(ErrorKind::Truncated).with_detail(what));
    }
    Ok(bytes)
}

/// The bytes at `offset`, fewer than `len` only where the file ends. `len` is a bounded one of ours.
pub(super) async fn read_up_to(file: &dyn File, offset: u64, len: usize) -> Result<Bytes> {
    let first = file.read_at(offset, len).await?;
    if first.len() == len || first.is_empty() {
        return Ok(first);
    }
    let mut all = BytesMut::with_capacity(len);
    all.extend_from_slice(&first);
    while all.len() < len {
        let more = file.read_at(offset + all.len() as u64, len - all.len()).await?;
        if more.is_empty() {
            break;
        }
        all.extend_from_slice(&more);
    }
    Ok(all.freeze())
}

/// An open file does not know its path: the namespace adds it on the way up.
pub(super) fn failure(kind: ErrorKind) -> Error {
    Error::new(kind, "enter", &VPath::root())
}

//! zip (APPNOTE 6.3): an entry's head, its content, its lengths; and a directory of all at the end.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::walk::{Content, Item, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::jobs::{self, Disk};
use crate::metadata::Metadata;
use crate::options::ByteRange;
use crate::path::VPath;
use crate::producer::compress::{Encoder, Then};
use crate::producer::{self, Chunk, Output, ProducerExt};

/// How much the directory at the end may grow to; about 600,000 entries.
const DIRECTORY_BYTES: usize = 64 << 20;

/// Deflate's level: what is packed on the fly is packed for one reader.
const LEVEL: u32 = 3;

/// Files from this length on get 64-bit lengths; Deflate may make them a little longer than they were.
const LARGE: u64 = 0xffff_ffff - (16 << 20);

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// The lengths follow the content.
const LENGTHS_FOLLOW: u16 = 1 << 3;

/// The name is UTF-8.
const UTF_8: u16 = 1 << 11;

/// Packs what `walk` finds.
pub(super) async fn write(mut walk: Walk, disk: &Disk, output: &mut Output) -> Result<()> {
    let mut archive = Archive { offset: 0, count: 0, directory: Vec::new() };
    while let Some(item) = walk.next().await? {
        archive.write_item(item, disk, output).await?;
        if archive.directory.len() > DIRECTORY_BYTES {
            let detail = "it holds too many files for a zip: take a tar";
            return Err(Error::new(ErrorKind::LimitExceeded, "pack", &VPath::root()).with_detail(detail));
        }
    }
    archive.end(output).await
}

/// An archive that grows.
struct Archive {
    offset: u64,
    count: u64,
    directory: Vec<u8>,
}

/// What both heads of an entry say.
struct Entry {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    second: Option<i64>,
    mode: u32,
    is_large: bool,
    offset: u64,
}

/// A content's lengths and checksum.
#[derive(Clone, Copy, Default)]
struct Lengths {
    crc: u32,
    packed: u64,
    content: u64,
}

impl Archive {
    async fn write_item(&mut self, item: Item, disk: &Disk, output: &mut Output) -> Result<()> {
        let Item { name, metadata, content } = item;
        match content {
            Content::Folder => {
                let entry = self.entry(name, &metadata, 0o040_000, 0o755);
                self.write_whole(entry, Bytes::new(), output).await
            }
            Content::Note(text) => {
                let entry = self.entry(name, &metadata, 0o100_000, 0o644);
                self.write_whole(entry, text, output).await
            }
            Content::Link(target) => {
                let entry = self.entry(name, &metadata, 0o120_000, 0o777);
                self.write_whole(entry, target, output).await
            }
            Content::File(file) => {
                let mut entry = self.entry(name, &metadata, 0o100_000, 0o644);
                entry.flags |= LENGTHS_FOLLOW;
                entry.method = DEFLATED;
                entry.is_large = metadata.len.is_none_or(|len| len >= LARGE);
                self.write_file(entry, file, metadata.len, disk, output).await
            }
        }
    }

    fn entry(&self, name: Vec<u8>, metadata: &Metadata, kind: u32, usual: u32) -> Entry {
        let flags = if std::str::from_utf8(&name).is_ok() { UTF_8 } else { 0 };
        let mode = kind | metadata.mode.unwrap_or(usual) & 0o7777;
        let second = metadata.modified.map(seconds);
        Entry { name, flags, method: STORED, second, mode, is_large: false, offset: self.offset }
    }

    async fn write_whole(&mut self, entry: Entry, content: Bytes, output: &mut Output) -> Result<()> {
        let len = content.len() as u64;
        let lengths = Lengths { crc: crc32fast::hash(&content), packed: len, content: len };
        self.send(entry.head(lengths), output).await?;
        self.send(content, output).await?;
        self.enter(&entry, lengths);
        Ok(())
    }

    async fn write_file(
        &mut self,
        entry: Entry,
        file: Arc<dyn File>,
        len: Option<u64>,
        disk: &Disk,
        output: &mut Output,
    ) -> Result<()> {
        self.send(entry.head(Lengths::default()), output).await?;
        let range = ByteRange { start: 0, end: len };
        let mut pieces = producer::of(file, range).lower(disk).peeked();
        let mut lengths = Lengths::default();
        let mut state = Some((Encoder::deflate(LEVEL), crc32fast::Hasher::new()));
        while let Some((encoder, mut crc)) = state.take() {
            let piece = match pieces.more().await.transpose()? {
                Some(Chunk::Bytes(bytes)) => Some(bytes),
                Some(Chunk::Span(_)) => return Err(failure()),
                None => None,
            };
            lengths.content += piece.as_ref().map_or(0, |piece| piece.len() as u64);
            let worked = jobs::cpu("pack", move || {
                let then = if piece.is_some() { Then::GoOn } else { Then::Finish };
                crc.update(piece.as_deref().unwrap_or_default());
                encoder.work(piece.as_slice(), then).map(|(encoder, bytes)| (encoder, bytes, crc))
            });
            let (encoder, bytes, crc) = worked.await?.map_err(|error| failure().with_source(error))?;
            lengths.packed += bytes.len() as u64;
            self.send(bytes, output).await?;
            match encoder {
                Some(encoder) => state = Some((encoder, crc)),
                None => lengths.crc = crc.finalize(),
            }
        }
        // Without this a file that became shorter would look whole.
        if len.is_some_and(|len| len != lengths.content) {
            return Err(Error::new(ErrorKind::Truncated, "pack", &VPath::root()));
        }
        self.send(entry.descriptor(lengths), output).await?;
        self.enter(&entry, lengths);
        Ok(())
    }

    async fn send(&mut self, bytes: impl Into<Bytes>, output: &mut Output) -> Result<()> {
        let bytes = bytes.into();
        self.offset += bytes.len() as u64;
        output.send(bytes).await
    }

    fn enter(&mut self, entry: &Entry, lengths: Lengths) {
        self.count += 1;
        entry.write_directory(lengths, &mut self.directory);
    }

    /// The directory, and where it is.
    async fn end(mut self, output: &mut Output) -> Result<()> {
        let (start, len, count) = (self.offset, self.directory.len() as u64, self.count);
        let directory = std::mem::take(&mut self.directory);
        self.send(directory, output).await?;
        let mut end = Vec::new();
        if count >= 0xffff || start >= 0xffff_ffff || len >= 0xffff_ffff {
            let at = self.offset;
            put32(&mut end, 0x0606_4b50);
            put64(&mut end, 44);
            put16(&mut end, 3 << 8 | 45);
            put16(&mut end, 45);
            put64(&mut end, 0);
            for number in [count, count, len, start] {
                put64(&mut end, number);
            }
            put32(&mut end, 0x0706_4b50);
            put32(&mut end, 0);
            put64(&mut end, at);
            put32(&mut end, 1);
        }
        put32(&mut end, 0x0605_4b50);
        put32(&mut end, 0);
        put16(&mut end, u16::try_from(count).unwrap_or(u16::MAX));
        put16(&mut end, u16::try_from(count).unwrap_or(u16::MAX));
        put32(&mut end, capped(len));
        put32(&mut end, capped(start));
        put16(&mut end, 0);
        self.send(end, output).await
    }
}

impl Entry {
    /// What comes before the content (APPNOTE §4.3.7).
    fn head(&self, lengths: Lengths) -> Vec<u8> {
        let mut extra = self.time_extra();
        if self.is_large {
            put16(&mut extra, 1);
            put16(&mut extra, 16);
            put64(&mut extra, lengths.content);
            put64(&mut extra, lengths.packed);
        }
        let mut head = Vec::new();
        put32(&mut head, 0x0403_4b50);
        self.put_common(&mut head, lengths, self.is_large);
        put16(&mut head, short(self.name.len()));
        put16(&mut head, short(extra.len()));
        head.extend_from_slice(&self.name);
        head.extend_from_slice(&extra);
        head
    }

    /// What comes after a content whose lengths were not known (APPNOTE §4.3.9).
    fn descriptor(&self, lengths: Lengths) -> Vec<u8> {
        let mut text = Vec::new();
        put32(&mut text, 0x0807_4b50);
        put32(&mut text, lengths.crc);
        for number in [lengths.packed, lengths.content] {
            if self.is_large {
                put64(&mut text, number);
            } else {
                put32(&mut text, capped(number));
            }
        }
        text
    }

    /// Its line in the directory (APPNOTE §4.3.12).
    fn write_directory(&self, lengths: Lengths, directory: &mut Vec<u8>) {
        let mut extra = self.time_extra();
        let far = self.offset >= 0xffff_ffff;
        if self.is_large || far {
            put16(&mut extra, 1);
            put16(&mut extra, if self.is_large { 16 } else { 0 } + if far { 8 } else { 0 });
            if self.is_large {
                put64(&mut extra, lengths.content);
                put64(&mut extra, lengths.packed);
            }
            if far {
                put64(&mut extra, self.offset);
            }
        }
        put32(directory, 0x0201_4b50);
        put16(directory, 3 << 8 | 63);
        self.put_common(directory, lengths, self.is_large);
        put16(directory, short(self.name.len()));
        put16(directory, short(extra.len()));
        put16(directory, 0);
        put16(directory, 0);
        put16(directory, 0);
        let is_dir = self.name.ends_with(b"/");
        put32(directory, self.mode << 16 | if is_dir { 0x10 } else { 0 });
        put32(directory, capped(self.offset));
        directory.extend_from_slice(&self.name);
        directory.extend_from_slice(&extra);
    }

    /// What the two heads have in common, from the version needed to the lengths.
    fn put_common(&self, head: &mut Vec<u8>, lengths: Lengths, is_large: bool) {
        put16(head, if is_large { 45 } else { 20 });
        put16(head, self.flags);
        put16(head, self.method);
        let (date, time) = self.second.and_then(dos_time).unwrap_or((0x21, 0));
        put16(head, time);
        put16(head, date);
        put32(head, lengths.crc);
        put32(head, if is_large { u32::MAX } else { capped(lengths.packed) });
        put32(head, if is_large { u32::MAX } else { capped(lengths.content) });
    }

    /// The second of the last change in UTC, which DOS's date leaves open (Info-ZIP, extended timestamp).
    fn time_extra(&self) -> Vec<u8> {
        let mut extra = Vec::new();
        if let Some(second) = self.second.and_then(|second| i32::try_from(second).ok()) {
            put16(&mut extra, 0x5455);
            put16(&mut extra, 5);
            extra.push(1);
            put32(&mut extra, second.cast_unsigned());
        }
        extra
    }
}

/// Date and time as DOS has them, of 1980 and later.
fn dos_time(second: i64) -> Option<(u16, u16)> {
    let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(second).ok()?);
    if second >= 4_354_819_200 {
        return None;
    }
    // Every part has a fixed place: `Sun, 06 Nov 1994 08:49:37 GMT`.
    let date = httpdate::fmt_http_date(time);
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<u16>().ok();
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|month| date.get(8..11) == Some(month))?;
    let year = number(12, 16)?.checked_sub(1980)?;
    let day = year << 9 | (short(month) + 1) << 5 | number(5, 7)?;
    Some((day, number(17, 19)? << 11 | number(20, 22)? << 5 | (number(23, 25)? / 2)))
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn failure() -> Error {
    Error::new(ErrorKind::Internal, "pack", &VPath::root())
}

/// A number that fits, or the one that says: look in the extra field.
fn capped(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A length that fits: names are shorter than a path's text.
fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

fn put16(text: &mut Vec<u8>, number: u16) {
    text.extend_from_slice(&number.to_le_bytes());
}

fn put32(text: &mut Vec<u8>, number: u32) {
    text.extend_from_slice(&number.to_le_bytes());
}

fn put64(text: &mut Vec<u8>, number: u64) {
    text.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_dos_has_them() {
        for (second, expected) in [
            (784_111_777, Some((14 << 9 | 11 << 5 | 6, 8 << 11 | 49 << 5 | 18))),
            (315_532_800, Some((1 << 5 | 1, 0))),
            (315_532_799, None),
            (-1, None),
            (i64::MAX, None),
        ] {
            assert_eq!(dos_time(second), expected, "{second}");
        }
    }
}

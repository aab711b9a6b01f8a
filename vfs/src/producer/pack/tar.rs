//! tar as POSIX.1-2017 has it (pax, "pax Interchange Format"): a block of 512 bytes before each entry, and records before
//! that where a block cannot say it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::walk::{Content, Item, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::jobs::Disk;
use crate::metadata::Metadata;
use crate::options::ByteRange;
use crate::path::VPath;
use crate::producer::{self, Chunk, Output, ProducerExt};

const BLOCK: usize = 512;

/// What a reader may take in at once: the archive's length is a multiple of it, as GNU tar makes it.
const RECORD: u64 = 10_240;

/// The largest number that eleven octal digits hold.
const OCTAL_11: u64 = 0o777_7777_7777;

/// A file whose length is not known beforehand is held, up to this.
const HELD_BYTES: u64 = 8 << 20;

/// Packs what `walk` finds.
pub(super) async fn write(mut walk: Walk, disk: &Disk, output: &mut Output) -> Result<()> {
    let mut written = 0;
    while let Some(item) = walk.next().await? {
        written += write_item(item, disk, output).await?;
    }
    // Two blocks of zeros are the end; the rest fills the record.
    let end = 2 * BLOCK as u64;
    let fill = (written + end).next_multiple_of(RECORD) - written;
    output.send(zeros(fill)).await
}

async fn write_item(item: Item, disk: &Disk, output: &mut Output) -> Result<u64> {
    let Item { name, metadata, content } = item;
    let heads = |kind, link: &[u8], len| Entry { kind, name: &name, link, len, metadata: &metadata }.heads();
    match content {
        Content::Folder => send_heads(heads(b'5', b"", 0), output).await,
        Content::Note(text) => {
            let len = text.len() as u64;
            let written = send_heads(heads(b'0', b"", len), output).await?;
            output.send(text).await?;
            Ok(written + len + pad(len, output).await?)
        }
        Content::Link(target) => send_heads(heads(b'2', &target, 0), output).await,
        Content::File(file) => match metadata.len {
            Some(len) => {
                let written = send_heads(heads(b'0', b"", len), output).await?;
                let mut content = producer::of(file, ByteRange::at(0, len)).exact_length(len).peeked();
                while let Some(chunk) = content.more().await {
                    output.send(chunk?).await?;
                }
                Ok(written + len + pad(len, output).await?)
            }
            None => {
                let held = hold(file, disk).await?;
                let len = held.len() as u64;
                let written = send_heads(heads(b'0', b"", len), output).await?;
                output.send(held).await?;
                Ok(written + len + pad(len, output).await?)
            }
        },
    }
}

async fn send_heads(heads: Vec<u8>, output: &mut Output) -> Result<u64> {
    let count = heads.len() as u64;
    output.send(heads).await?;
    Ok(count)
}

/// Fills the last block of a content.
async fn pad(len: u64, output: &mut Output) -> Result<u64> {
    let fill = len.next_multiple_of(BLOCK as u64) - len;
    output.send(zeros(fill)).await?;
    Ok(fill)
}

/// All of a file that does not say how long it is.
async fn hold(file: Arc<dyn File>, disk: &Disk) -> Result<Vec<u8>> {
    let mut pieces = producer::of(file, ByteRange::whole()).lower(disk).peeked();
    let mut held = Vec::new();
    while let Some(piece) = pieces.more().await {
        if let Chunk::Bytes(bytes) = piece? {
            held.extend_from_slice(&bytes);
        }
        if held.len() as u64 > HELD_BYTES {
            let detail = "a file of unknown length is too long to be packed: take it by itself";
            return Err(Error::new(ErrorKind::LimitExceeded, "pack", &VPath::root()).with_detail(detail));
        }
    }
    Ok(held)
}

/// What is said of one entry.
struct Entry<'a> {
    kind: u8,
    name: &'a [u8],
    link: &'a [u8],
    len: u64,
    metadata: &'a Metadata,
}

impl Entry<'_> {
    /// The blocks that come before its content.
    fn heads(&self) -> Vec<u8> {
        let second = self.metadata.modified.map_or(0, seconds);
        let records = self.records(second);
        let mut heads = Vec::new();
        if !records.is_empty() {
            let len = records.len() as u64;
            let name = [&b"PaxHeaders/"[..], &self.name[..self.name.len().min(80)]].concat();
            heads.extend_from_slice(&block(b'x', &name, b"", len, 0o644, 0));
            heads.extend_from_slice(&records);
            heads.extend_from_slice(&zeros(len.next_multiple_of(BLOCK as u64) - len));
        }
        let usual = if self.kind == b'5' { 0o755 } else { 0o644 };
        let mode = self.metadata.mode.unwrap_or(usual) & 0o7777;
        let second = u64::try_from(second).unwrap_or(0).min(OCTAL_11);
        let len = self.len.min(OCTAL_11);
        heads.extend_from_slice(&block(self.kind, self.name, self.link, len, mode, second));
        heads
    }

    /// Records for what the block has no room for.
    fn records(&self, second: i64) -> Vec<u8> {
        let mut records = Vec::new();
        let long = |text: &[u8]| text.len() > 100;
        let is_text = |text: &[u8]| std::str::from_utf8(text).is_ok();
        if long(self.name) && !is_text(self.name) || long(self.link) && !is_text(self.link) {
            // Values are UTF-8 unless this says that they are bytes.
            record(&mut records, "hdrcharset", b"BINARY");
        }
        if long(self.name) {
            record(&mut records, "path", self.name);
        }
        if long(self.link) {
            record(&mut records, "linkpath", self.link);
        }
        if self.len > OCTAL_11 {
            record(&mut records, "size", self.len.to_string().as_bytes());
        }
        if u64::try_from(second).map_or(true, |second| second > OCTAL_11) {
            record(&mut records, "mtime", second.to_string().as_bytes());
        }
        records
    }
}

/// `LENGTH KEY=VALUE LF`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    records.extend_from_slice(format!("{len} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn block(kind: u8, name: &[u8], link: &[u8], len: u64, mode: u32, second: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, &name[..name.len().min(100)]);
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{len:011o}").as_bytes());
    put(136, format!("{second:011o}").as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, &link[..link.len().min(100)]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn zeros(count: u64) -> Vec<u8> {
    vec![0; usize::try_from(count).unwrap_or(0)]
}

fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        // The second that it lies in.
        Err(before) => {
            let before = before.duration();
            -i64::try_from(before.as_secs() + u64::from(before.subsec_nanos() > 0)).unwrap_or(i64::MAX)
        }
    }
}

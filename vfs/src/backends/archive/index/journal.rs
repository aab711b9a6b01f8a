//! [`Journal`]: what a pass has found so far, so that one that was killed goes on where it was.
//!
//! Frames are added at the end as the pass goes. Each has a length, a CRC-32 and a zstd frame; one that was cut or does
//! not fit its sum ends the journal, and what comes before is used. It is not synced: what a killed process wrote stays,
//! and a machine that crashed reads the archive again. Once the index is there, the journal goes.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::contents::Contents;
use super::names::{pack_frame, unpack_frame};
use super::source::Source;
use super::store::Keeping;
use super::wire::{Reader, put, put_bytes, put_entry, put_option, put_time};
use super::{IndexOptions, VERSION, read_boundary};
use crate::backends::archive::catalog::Catalog;
use crate::backends::archive::codec::SeekPoint;
use crate::backends::archive::entry::Entry;
use crate::backends::archive::tar::Boundary;
use crate::jobs::Disk;

const MAGIC: &[u8; 8] = b"vfsdjnl\n";

/// A frame holds that many bytes at least before it is written ahead of its time: some 250,000 names.
const FRAME_BYTES: usize = 16 << 20;

/// A frame unpacked, at most: what is found in one step of a pass may come on top.
const MAX_FRAME_BYTES: usize = 64 << 20;

/// Head of a frame: length and sum.
const HEAD_BYTES: usize = 8;

/// How hard zstd tries: names in headers shrink easily, and points are packed already.
const ZSTD_LEVEL: i32 = 1;

/// A journal that is written.
#[derive(Debug)]
pub(in super::super) struct Journal {
    file: Option<File>,
    /// Makes the file.
    keeping: Option<Keeping>,
    disk: Disk,
    interval: Duration,
    /// When the next frame is due.
    due: Instant,
    found: Found,
    boundary: Boundary,
}

/// What was found since the last frame.
#[derive(Debug, Default)]
struct Found {
    bytes: Vec<u8>,
    items: u64,
    /// The last entry's name.
    name: Vec<u8>,
}

/// What a journal holds.
pub(super) struct Replayed {
    pub(super) contents: Contents,
    pub(super) catalog: Catalog,
    pub(super) boundary: Boundary,
    /// Where frames end that can be used.
    pub(super) end: u64,
}

const POINT: u8 = 1;
const SUMS: u8 = 2;
const ENTRY: u8 = 3;

impl Journal {
    /// A journal that goes on in `file`, at its end, or in one that `keeping` makes.
    pub(super) fn new(
        file: Option<File>,
        keeping: Option<Keeping>,
        begun: Instant,
        disk: &Disk,
        options: &IndexOptions,
    ) -> Self {
        let (found, boundary, interval) = (Found::default(), Boundary::default(), options.journal);
        let due = begun + options.worth.max(interval);
        Self { file, keeping, disk: disk.clone(), interval, due, found, boundary }
    }

    pub(in super::super) fn add_point(&mut self, point: &SeekPoint) {
        let out = self.found.item(POINT);
        put(out, point.input_bits);
        put(out, point.output);
        put_bytes(out, &point.state);
    }

    pub(in super::super) fn add_sums(&mut self, sums: &[u32]) {
        if !sums.is_empty() {
            let out = self.found.item(SUMS);
            put(out, sums.len() as u64);
            sums.iter().for_each(|sum| out.extend_from_slice(&sum.to_le_bytes()));
        }
    }

    /// Takes the entries before `boundary`.
    pub(in super::super) fn add_entries(&mut self, entries: &[Entry], boundary: Boundary) {
        entries.iter().for_each(|entry| self.found.add(entry));
        self.boundary = boundary;
    }

    /// Writes a frame where one is due. A disk that takes no more ends the journal, and nothing else.
    pub(in super::super) async fn write_in_time(&mut self) {
        let now = Instant::now();
        if self.found.items == 0 || now < self.due && self.found.bytes.len() < FRAME_BYTES {
            return;
        }
        self.due = now + self.interval;
        let found = std::mem::take(&mut self.found);
        if let Some(keeping) = self.keeping.take() {
            self.file = keeping.create_journal().await;
        }
        let Some(mut file) = self.file.take() else { return };
        let boundary = self.boundary;
        let write = move || {
            let frame = found.to_frame(boundary);
            file.write_all(&frame).map(|()| file)
        };
        match self.disk.run("write_at", write).await {
            Ok(Ok(file)) => self.file = Some(file),
            Ok(Err(error)) => tracing::warn!(%error, "the journal of an archive's index ends early"),
            Err(error) => tracing::warn!(%error, "the journal of an archive's index ends early"),
        }
    }
}

impl Found {
    fn add(&mut self, entry: &Entry) {
        self.items += 1;
        self.bytes.push(ENTRY);
        put_entry(&mut self.bytes, &self.name, entry);
        self.name.clone_from(&entry.name);
    }

    fn item(&mut self, kind: u8) -> &mut Vec<u8> {
        self.items += 1;
        self.bytes.push(kind);
        &mut self.bytes
    }

    fn to_frame(&self, boundary: Boundary) -> Vec<u8> {
        let mut raw = Vec::with_capacity(self.bytes.len() + 64);
        write_boundary(&mut raw, boundary);
        raw.extend_from_slice(&self.bytes);
        let packed = pack_frame(&raw, ZSTD_LEVEL);
        let mut frame = (packed.len() as u32).to_le_bytes().to_vec();
        frame.extend_from_slice(&crc32fast::hash(&packed).to_le_bytes());
        frame.extend_from_slice(&packed);
        frame
    }
}

/// Begins a journal at `path`. `None` where another process writes it.
pub(super) fn create(path: &Path, format: &str, source: &Source) -> std::io::Result<Option<File>> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    if file.try_lock().is_err() {
        return Ok(None);
    }
    file.set_len(0)?;
    let mut head = Vec::new();
    put_bytes(&mut head, format.as_bytes());
    source.write(&mut head);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
    bytes.extend_from_slice(&head);
    file.write_all(&bytes)?;
    Ok(Some(file))
}

/// Opens the journal at `path`, and says whose it is; it stands behind its head. `None` where there is none that is
/// whole, or another process writes it.
pub(super) fn open(path: &PathBuf, format: &str) -> Option<(File, Source)> {
    let mut file = File::options().read(true).write(true).open(path).ok()?;
    file.try_lock().ok()?;
    let mut fixed = [0; 20];
    file.read_exact(&mut fixed).ok()?;
    let word = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let fits =
        fixed.starts_with(MAGIC) && word(8) == VERSION && u64::from(word(12)) <= file.metadata().ok()?.len();
    let mut head = vec![0; fits.then_some(word(12) as usize)?];
    file.read_exact(&mut head).ok()?;
    let mut reader = Reader::new(&head);
    let fits = crc32fast::hash(&head) == word(16) && reader.bytes()? == format.as_bytes();
    fits.then_some((file, Source::read(&mut reader)?))
}

/// Adds what the frames of a journal hold that stands behind its head to what is `known`, and leaves it behind the last one
/// that is good.
pub(super) fn replay(file: &mut File, known: Replayed) -> std::io::Result<Replayed> {
    let mut replayed = Replayed { end: file.stream_position()?, ..known };
    while let Some((raw, len)) = next_frame(file, replayed.end)? {
        if replayed.take(&raw).is_none() {
            break;
        }
        replayed.end += len;
    }
    file.set_len(replayed.end)?;
    file.seek(SeekFrom::Start(replayed.end))?;
    Ok(replayed)
}

/// The next frame unpacked, and its length.
fn next_frame(file: &mut File, at: u64) -> std::io::Result<Option<(Vec<u8>, u64)>> {
    let left = file.metadata()?.len().saturating_sub(at);
    let mut head = [0; HEAD_BYTES];
    if left < HEAD_BYTES as u64 {
        return Ok(None);
    }
    file.read_exact(&mut head)?;
    let [a, b, c, d, e, f, g, h] = head;
    let (len, sum) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let whole = HEAD_BYTES as u64 + u64::from(len);
    if whole > left {
        return Ok(None);
    }
    let mut packed = vec![0; len as usize];
    file.read_exact(&mut packed)?;
    if crc32fast::hash(&packed) != sum {
        return Ok(None);
    }
    Ok(unpack_frame(&packed, MAX_FRAME_BYTES).map(|raw| (raw, whole)))
}

impl Replayed {
    /// Nothing yet, for at most `names` names.
    pub(super) fn nothing(names: usize) -> Self {
        let (contents, catalog) = (Contents::default(), Catalog::new(names));
        Self { contents, catalog, boundary: Boundary::default(), end: 0 }
    }

    /// Takes a frame. `None` where it makes no sense; what it said before that stays.
    pub(super) fn take(&mut self, raw: &[u8]) -> Option<()> {
        let mut reader = Reader::new(raw);
        let boundary = read_boundary(&mut reader)?;
        let mut name = Vec::new();
        while !reader.is_empty() {
            match reader.byte()? {
                POINT => {
                    let (input_bits, output) = (reader.number()?, reader.number()?);
                    let state = bytes::Bytes::copy_from_slice(reader.bytes()?);
                    self.contents.add_point(SeekPoint { input_bits, output, state });
                }
                SUMS => {
                    let count = reader.count()?;
                    let sums = reader.take(count.checked_mul(4)?)?;
                    let sums: Vec<_> = sums
                        .chunks_exact(4)
                        .map(|sum| u32::from_le_bytes([sum[0], sum[1], sum[2], sum[3]]))
                        .collect();
                    self.contents.add_sums(&sums);
                }
                ENTRY => {
                    let entry = reader.entry(&name)?;
                    self.catalog.add(&entry).ok()?;
                    name = entry.name;
                }
                _ => return None,
            }
        }
        self.boundary = boundary;
        Some(())
    }
}

pub(super) fn write_boundary(out: &mut Vec<u8>, boundary: Boundary) {
    put(out, boundary.at);
    put_option(out, boundary.user.map(u64::from));
    put_option(out, boundary.group.map(u64::from));
    put_time(out, boundary.modified);
}

/// Takes a journal from the disk.
pub(super) fn remove(path: &Path) {
    // Mostly there is none.
    let _ = fs::remove_file(path);
}

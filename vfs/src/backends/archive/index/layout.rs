//! The bytes of an index file: sections, and a footer that says where they are. See [`super`] for the layout.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::VERSION;
use super::contents::{Point, State, Stored};
use super::journal::write_boundary;
use super::read_boundary;
use super::source::Source;
use super::wire::{Reader, put, put_bytes, put_option};
use crate::backends::archive::decoded::BLOCK_BYTES;
use crate::backends::archive::tar::Boundary;
use crate::error::{Error, ErrorKind};
use crate::path::VPath;

pub(super) const MAGIC: &[u8; 8] = b"vfsdidx\n";

/// Magic and version.
pub(super) const HEAD_BYTES: usize = 12;

/// Sections that are loaded at once, in the order of the file: description, points, sums, ends of blocks, blocks.
pub(super) const SECTIONS: usize = 5;

/// A section's place in the footer: offset, length, sum.
const PLACE_BYTES: usize = 20;

/// Places, their sum, version, magic.
pub(super) const FOOTER_BYTES: usize = SECTIONS * PLACE_BYTES + 4 + HEAD_BYTES;

/// Bytes that are loaded of an index, at most: what an archive of the most names takes is less.
const MAX_LOADED_BYTES: u64 = 1 << 30;

/// A state of a point, at most: a window and what is around it.
const MAX_STATE_BYTES: usize = 1 << 20;

/// What an index says of its archive.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) format: String,
    pub(super) source: Source,
    /// Length of the content, where the archive is compressed and was read to its end.
    pub(super) len: Option<u64>,
    /// Where a scan can go on.
    pub(super) boundary: Boundary,
    /// What ended the pass early.
    pub(super) broken: Option<(ErrorKind, String)>,
    /// From where on a checksum speaks against the content.
    pub(super) doubt: Option<u64>,
    /// What is odd about an archive that is whole.
    pub(super) remark: Option<String>,
    /// 0 where the index is of no tree.
    pub(super) nodes: u32,
    pub(super) hidden: u64,
}

/// Where a section lies, and its sum.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) sum: u32,
}

pub(super) fn head() -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_le_bytes()].concat()
}

pub(super) fn footer(places: &[Place; SECTIONS]) -> Vec<u8> {
    let mut out = Vec::with_capacity(FOOTER_BYTES);
    for place in places {
        out.extend_from_slice(&place.at.to_le_bytes());
        out.extend_from_slice(&place.len.to_le_bytes());
        out.extend_from_slice(&place.sum.to_le_bytes());
    }
    let sum = crc32fast::hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(MAGIC);
    out
}

/// Reads and checks the sections that are loaded at once. `None` where the file is no index of this version.
pub(super) fn load(file: &File) -> io::Result<Option<[Vec<u8>; SECTIONS]>> {
    let len = file.metadata()?.len();
    let Some(end) = len.checked_sub(FOOTER_BYTES as u64).filter(|end| *end >= HEAD_BYTES as u64) else {
        return Ok(None);
    };
    let mut bytes = vec![0; FOOTER_BYTES];
    file.read_exact_at(&mut bytes[..HEAD_BYTES], 0)?;
    if bytes[..HEAD_BYTES] != head() {
        return Ok(None);
    }
    file.read_exact_at(&mut bytes, end)?;
    let Some(places) = read_footer(&bytes, end) else { return Ok(None) };
    let mut sections: [Vec<u8>; SECTIONS] = Default::default();
    for (section, place) in sections.iter_mut().zip(places) {
        section.resize(place.len as usize, 0);
        file.read_exact_at(section, place.at)?;
        if crc32fast::hash(section) != place.sum {
            return Ok(None);
        }
    }
    Ok(Some(sections))
}

/// A whole index in memory, its sections checked.
pub(super) struct Parts<'a> {
    bytes: &'a [u8],
    places: [Place; SECTIONS],
}

impl<'a> Parts<'a> {
    /// `None` where `bytes` are no index of this version.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.len().checked_sub(FOOTER_BYTES)?;
        let places = read_footer(&bytes[end..], end as u64).filter(|_| bytes.starts_with(&head()))?;
        let parts = Self { bytes, places };
        let fits = places.iter().all(|place| crc32fast::hash(parts.section(place)) == place.sum);
        fits.then_some(parts)
    }

    pub(super) fn about(&self) -> &'a [u8] {
        self.section(&self.places[0])
    }

    /// The same index with another description; where states lie stays the same, for they come first.
    pub(super) fn with_about(&self, about: &[u8]) -> Vec<u8> {
        let mut out = self.bytes[..self.places[0].at as usize].to_vec();
        let mut places = self.places;
        for (number, place) in places.iter_mut().enumerate() {
            let section = if number == 0 { about } else { self.section(&self.places[number]) };
            let (at, len) = (out.len() as u64, section.len() as u64);
            *place = Place { at, len, sum: crc32fast::hash(section) };
            out.extend_from_slice(section);
        }
        out.extend_from_slice(&footer(&places));
        out
    }

    fn section(&self, place: &Place) -> &'a [u8] {
        &self.bytes[place.at as usize..(place.at + place.len) as usize]
    }
}

/// The places of the sections, which end before `end`.
pub(super) fn read_footer(bytes: &[u8], end: u64) -> Option<[Place; SECTIONS]> {
    let (places, rest) = bytes.split_at_checked(SECTIONS * PLACE_BYTES)?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (version, magic) = rest.split_first_chunk::<4>()?;
    let fits = u32::from_le_bytes(*sum) == crc32fast::hash(places)
        && u32::from_le_bytes(*version) == VERSION
        && magic == MAGIC;
    let mut found = [Place::default(); SECTIONS];
    let mut all = 0_u64;
    for (place, bytes) in found.iter_mut().zip(places.chunks_exact(PLACE_BYTES)) {
        let (at, rest) = bytes.split_first_chunk()?;
        let (len, sum) = rest.split_first_chunk()?;
        let (at, len) = (u64::from_le_bytes(*at), u64::from_le_bytes(*len));
        at.checked_add(len).filter(|last| *last <= end)?;
        all = all.checked_add(len).filter(|all| *all <= MAX_LOADED_BYTES)?;
        *place = Place { at, len, sum: u32::from_le_bytes(sum.try_into().ok()?) };
    }
    fits.then_some(found)
}

pub(super) fn write_about(about: &About) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, about.format.as_bytes());
    about.source.write(&mut out);
    put_option(&mut out, about.len);
    write_boundary(&mut out, about.boundary);
    match &about.broken {
        None => out.push(0),
        Some((kind, detail)) => {
            out.push(if *kind == ErrorKind::Truncated { 1 } else { 2 });
            put_bytes(&mut out, detail.as_bytes());
        }
    }
    put_option(&mut out, about.doubt);
    put_bytes(&mut out, about.remark.as_deref().unwrap_or_default().as_bytes());
    put(&mut out, about.nodes.into());
    put(&mut out, about.hidden);
    out
}

pub(super) fn read_about(bytes: &[u8]) -> Option<About> {
    let mut reader = Reader::new(bytes);
    let format = String::from_utf8(reader.bytes()?.to_vec()).ok()?;
    let source = Source::read(&mut reader)?;
    let len = reader.option()?;
    let boundary = read_boundary(&mut reader)?;
    let kind = match reader.byte()? {
        0 => None,
        1 => Some(ErrorKind::Truncated),
        2 => Some(ErrorKind::Corrupt),
        _ => return None,
    };
    let broken = match kind {
        None => None,
        Some(kind) => Some((kind, String::from_utf8(reader.bytes()?.to_vec()).ok()?)),
    };
    let doubt = reader.option()?;
    let remark = String::from_utf8(reader.bytes()?.to_vec()).ok()?;
    let remark = Some(remark).filter(|remark| !remark.is_empty());
    let (nodes, hidden) = (reader.small()?, reader.number()?);
    reader.is_empty().then_some(About { format, source, len, boundary, broken, doubt, remark, nodes, hidden })
}

impl About {
    /// How the pass ended.
    pub(super) fn outcome(&self) -> crate::error::Result<()> {
        self.broken.as_ref().map_or(Ok(()), |(kind, detail)| {
            Err(Error::new(*kind, "read", &VPath::root()).with_detail(detail.clone()))
        })
    }
}

/// Points, in order; `states` says where each one's state was put.
pub(super) fn write_points(points: &[Point], states: &[Stored]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, points.len() as u64);
    let (mut input, mut output, mut end) = (0, 0, HEAD_BYTES as u64);
    for (point, stored) in points.iter().zip(states) {
        put(&mut out, point.input_bits - input);
        put(&mut out, point.output - output);
        put(&mut out, stored.at - end);
        put(&mut out, stored.len as u64);
        out.extend_from_slice(&stored.sum.to_le_bytes());
        (input, output, end) = (point.input_bits, point.output, stored.at + stored.len as u64);
    }
    out
}

pub(super) fn read_points(bytes: &[u8]) -> Option<Vec<Point>> {
    let mut reader = Reader::new(bytes);
    let count = reader.count()?;
    let mut points = Vec::new();
    let (mut input, mut output, mut end) = (0_u64, 0_u64, HEAD_BYTES as u64);
    for number in 0..count {
        input = input.checked_add(reader.number()?)?;
        let ahead = reader.number()?;
        // Two points of one place would make the nearest one a matter of luck.
        if ahead == 0 && number > 0 {
            return None;
        }
        output = output.checked_add(ahead)?;
        let at = end.checked_add(reader.number()?)?;
        let len = reader.small().filter(|len| *len <= MAX_STATE_BYTES)?;
        let sum = u32::from_le_bytes(reader.take(4)?.try_into().ok()?);
        end = at.checked_add(len as u64)?;
        points.push(Point { input_bits: input, output, state: State::Stored(Stored { at, len, sum }) });
    }
    reader.is_empty().then_some(points)
}

pub(super) fn write_words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(super) fn read_words(bytes: &[u8]) -> Option<Vec<u32>> {
    let words = bytes.chunks_exact(4);
    let fits = words.remainder().is_empty();
    fits.then(|| words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
}

/// Whether there are as many sums as the content has blocks.
pub(super) fn sums_fit(sums: &[u32], len: Option<u64>) -> bool {
    len.is_none_or(|len| len.div_ceil(BLOCK_BYTES as u64) == sums.len() as u64)
}

//! Files with holes: GNU's old map in the header (type `S`), and PAX 0.0, 0.1 and 1.0 (GNU tar manual, "Storing Sparse
//! Files"). A map is checked once; holes are never made into bytes before somebody reads them.

use std::sync::Arc;

use super::header::{Block, number};
use super::pax::decimal;
use crate::backends::archive::entry::Piece;

/// Longest map, as stored. Longer ones end the archive.
pub(super) const MAX_MAP_BYTES: usize = 1 << 20;

/// What PAX records say about holes.
#[derive(Clone, Debug, Default)]
pub(super) struct PaxSparse {
    /// The file's own name: the entry's is an invention.
    pub(super) name: Option<Vec<u8>>,
    size: Option<u64>,
    major: Option<u64>,
    /// Offsets and lengths in turn, from 0.0 and 0.1.
    numbers: Vec<u64>,
    is_listed: bool,
}

/// Where an entry's map is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Map {
    /// It has no holes.
    None,
    /// In the records.
    Here(Vec<u64>, u64),
    /// 1.0: at the head of the stored bytes, for a file of this size.
    InBody(u64),
}

impl PaxSparse {
    /// Takes the record `GNU.sparse.KEY`.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        match key {
            b"name" if value.contains(&0) => return Err("a sparse file's name holds a NUL".to_owned()),
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(decimal(key, value)?),
            b"major" => self.major = Some(decimal(key, value)?),
            b"numblocks" => self.is_listed = true,
            b"offset" | b"numbytes" => {
                // They come in pairs, the offset first.
                if (self.numbers.len() % 2 == 1) != (key == b"numbytes") {
                    return Err("a sparse map's numbers are out of order".to_owned());
                }
                self.numbers.push(decimal(key, value)?);
            }
            b"map" => {
                self.is_listed = true;
                let numbers = value.split(|byte| *byte == b',').filter(|number| !number.is_empty());
                self.numbers = numbers.map(|number| decimal(key, number)).collect::<Result<_, _>>()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Where the map is.
    pub(super) fn map(&self) -> Result<Map, String> {
        match (self.major, self.size) {
            (None | Some(0), None) if !self.is_listed => Ok(Map::None),
            (Some(1), Some(size)) => Ok(Map::InBody(size)),
            (None | Some(0), Some(size)) if self.is_listed => Ok(Map::Here(self.numbers.clone(), size)),
            (Some(2..), _) => Err("a sparse file's format is unknown".to_owned()),
            _ => Err("a sparse file's map is incomplete".to_owned()),
        }
    }
}

/// The map of 1.0, from as many blocks as were gathered: a count, then offsets and lengths, a line each.
/// `None`: it goes on in the next block.
pub(super) fn read_map(text: &[u8]) -> Result<Option<Vec<u64>>, String> {
    let Some(end) = text.iter().rposition(|byte| *byte == b'\n') else { return Ok(None) };
    let mut lines = text[..end].split(|byte| *byte == b'\n').map(|line| decimal(b"map", line));
    let count = lines.next().ok_or("a sparse map is empty")??;
    // Each number takes two bytes at least, so an absurd count never gets here in whole.
    let count = usize::try_from(count).ok().and_then(|count| count.checked_mul(2));
    let count = count.filter(|count| *count <= MAX_MAP_BYTES).ok_or("a sparse map is too long")?;
    let mut numbers = Vec::new();
    for number in lines.take(count) {
        numbers.push(number?);
    }
    Ok((numbers.len() == count).then_some(numbers))
}

/// The pairs of an old map: four in a header from byte 386, 21 in an extension from 0. An empty pair ends it.
pub(super) fn read_old(block: &Block, from: usize, pairs: usize, into: &mut Vec<u64>) -> Result<(), String> {
    for field in block[from..from + 24 * pairs].chunks_exact(12) {
        if into.len().is_multiple_of(2) && field[0] == 0 {
            return Ok(());
        }
        let value = number(field).map_err(|what| format!("a sparse map's number {what}"))?;
        into.push(u64::try_from(value).map_err(|_| "a sparse map's number is negative".to_owned())?);
    }
    Ok(())
}

/// Pieces in order, apart, inside of the file, and as many bytes as are stored.
pub(super) fn pieces(numbers: &[u64], size: u64, stored: u64) -> Result<Arc<[Piece]>, String> {
    if !numbers.len().is_multiple_of(2) {
        return Err("a sparse map's last piece has no length".to_owned());
    }
    let mut pieces = Vec::with_capacity(numbers.len() / 2);
    let (mut content, mut taken) = (0_u64, 0_u64);
    for pair in numbers.chunks_exact(2) {
        let (at, len) = (pair[0], pair[1]);
        let end = at.checked_add(len).filter(|end| *end <= size);
        let end = end.ok_or("a sparse map leads beyond the file")?;
        if at < content {
            return Err("a sparse map's pieces overlap or are out of order".to_owned());
        }
        if len > 0 {
            pieces.push(Piece { at, stored: taken, len });
        }
        (content, taken) = (end, taken + len);
    }
    if taken != stored {
        return Err(format!("a sparse map counts {taken} bytes, and {stored} are stored"));
    }
    Ok(pieces.into())
}

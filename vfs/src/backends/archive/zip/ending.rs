//! The records at the end of a zip archive, which say where its directory lies (APPNOTE 4.3.14 to 4.3.16): pure
//! functions over the archive's last bytes.

use super::fields::Fields;

/// As much of an archive's end as is looked at: the end record with the longest comment, the records of zip64 before it,
/// and, in most archives, the whole directory, so that one read does.
pub(super) const TAIL_BYTES: usize = 128 * 1024;

/// End records that are looked at; an archive whose comment holds more is up to no good.
const MAX_CANDIDATES: usize = 8;

const END: &[u8] = b"PK\x05\x06";
const END_LEN: usize = 22;
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_LEN: usize = 20;
const END64: &[u8] = b"PK\x06\x06";
const END64_LEN: usize = 56;

/// Where the directory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Its first byte, in the file.
    pub(super) start: u64,
    /// The byte behind its last one.
    pub(super) end: u64,
    /// What stands before the archive, such as an unpacking program: every offset in the archive is less by it.
    pub(super) shift: u64,
    records: u64,
    is_wide: bool,
}

/// Why an end record leads to no directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is none that ends, with its comment, where the file does.
    Missing,
    /// It contradicts itself, or what is before it; in words that follow "the archive is damaged: ".
    Contradiction(&'static str),
    /// It is the last of several files.
    OneOfSeveral,
}

impl Ending {
    /// Whether `count` records are what the end record states, as far as it can: without zip64, modulo 2^16.
    pub(super) fn has(&self, count: u64) -> bool {
        if self.is_wide { self.records == count } else { self.records == count & 0xffff }
    }

    /// What the end record states.
    pub(super) fn records(&self) -> u64 {
        self.records
    }
}

/// The endings in `tail`, the file's bytes from `tail_start` on, the last one first; never none.
///
/// An end record counts where it ends, with its comment, exactly at the end of the file. A comment can hold such a
/// record too, which then comes first: the caller takes the first that leads to a directory.
///
/// # Errors
/// The fault of the last end record, where none makes sense.
pub(super) fn find(tail: &[u8], tail_start: u64) -> Result<Vec<Ending>, Fault> {
    let mut found = Vec::new();
    let mut fault = None;
    let ends = (0..(tail.len() + 1).saturating_sub(END_LEN)).rev();
    for at in ends.filter(|at| is_end(&tail[*at..])).take(MAX_CANDIDATES) {
        match read(tail, tail_start, at) {
            Ok(ending) => found.push(ending),
            Err(wrong) => fault = fault.or(Some(wrong)),
        }
    }
    if found.is_empty() { Err(fault.unwrap_or(Fault::Missing)) } else { Ok(found) }
}

/// Whether `bytes` are an end record and its comment, and nothing else.
fn is_end(bytes: &[u8]) -> bool {
    bytes.starts_with(END)
        && Fields(&bytes[END_LEN - 2..]).u16().is_some_and(|len| END_LEN + usize::from(len) == bytes.len())
}

/// The numbers of an end record, of either width.
#[derive(Clone, Copy)]
struct Numbers {
    disk: u32,
    directory_disk: u32,
    records_here: u64,
    records: u64,
    len: u64,
    offset: u64,
}

impl Numbers {
    fn of_narrow(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.get(END.len()..)?);
        Some(Self {
            disk: fields.u16()?.into(),
            directory_disk: fields.u16()?.into(),
            records_here: fields.u16()?.into(),
            records: fields.u16()?.into(),
            len: fields.u32()?.into(),
            offset: fields.u32()?.into(),
        })
    }

    fn of_wide(bytes: &[u8]) -> Option<Self> {
        // Signature, own length, and the two versions.
        let mut fields = Fields(bytes.get(END64.len() + 8 + 4..)?);
        Some(Self {
            disk: fields.u32()?,
            directory_disk: fields.u32()?,
            records_here: fields.u64()?,
            records: fields.u64()?,
            len: fields.u64()?,
            offset: fields.u64()?,
        })
    }

    /// Whether the narrow record says the same as `wide`, or refers to it, number by number.
    fn agrees_with(&self, wide: &Self) -> bool {
        let half = |narrow: u64, wide: u64| narrow == wide || narrow == 0xffff;
        let word = |narrow: u64, wide: u64| narrow == wide || narrow == 0xffff_ffff;
        half(self.disk.into(), wide.disk.into())
            && half(self.directory_disk.into(), wide.directory_disk.into())
            && half(self.records_here, wide.records_here)
            && half(self.records, wide.records)
            && word(self.len, wide.len)
            && word(self.offset, wide.offset)
    }
}

fn read(tail: &[u8], tail_start: u64, at: usize) -> Result<Ending, Fault> {
    let contradiction = |what| Err(Fault::Contradiction(what));
    let Some(narrow) = Numbers::of_narrow(&tail[at..]) else { return Err(Fault::Missing) };
    let locator = at.checked_sub(LOCATOR_LEN).filter(|locator| tail[*locator..].starts_with(LOCATOR));
    let (numbers, end, record_shift) = match locator {
        None => (narrow, at, None),
        Some(locator) => {
            let wide = find_wide(tail, tail_start, locator)?;
            if !narrow.agrees_with(&wide.numbers) {
                return contradiction("its two end records, of zip and of zip64, contradict each other");
            }
            (wide.numbers, wide.at, Some(wide.shift))
        }
    };
    if numbers.disk != 0 || numbers.directory_disk != 0 {
        return Err(Fault::OneOfSeveral);
    }
    if numbers.records_here != numbers.records {
        return contradiction("its end record has two counts of records, and they differ");
    }
    let end = tail_start + end as u64;
    let Some(start) = end.checked_sub(numbers.len) else {
        return contradiction("its directory would be longer than what is before its end record");
    };
    let Some(shift) = start.checked_sub(numbers.offset) else {
        return contradiction("its directory does not reach up to its end record");
    };
    if record_shift.is_some_and(|record_shift| record_shift != shift) {
        return contradiction("its end records disagree on where it begins");
    }
    Ok(Ending { start, end, shift, records: numbers.records, is_wide: locator.is_some() })
}

/// The end record of zip64.
struct WideEnd {
    numbers: Numbers,
    /// Where it begins, in the tail.
    at: usize,
    /// How much further on it lies than the locator says.
    shift: u64,
}

/// The record that the locator at `locator` names: where it says, or directly before it, where something stands before
/// the archive. Either way the record must end at the locator.
fn find_wide(tail: &[u8], tail_start: u64, locator: usize) -> Result<WideEnd, Fault> {
    let mut fields = Fields(&tail[locator + LOCATOR.len()..]);
    let (Some(disk), Some(stated), Some(disks)) = (fields.u32(), fields.u64(), fields.u32()) else {
        return Err(Fault::Missing);
    };
    if disk != 0 || disks > 1 {
        return Err(Fault::OneOfSeveral);
    }
    let in_tail = stated.checked_sub(tail_start).and_then(|at| usize::try_from(at).ok());
    let places = [in_tail, locator.checked_sub(END64_LEN)];
    let found = places.into_iter().flatten().find(|at| *at < locator && ends_at(&tail[*at..], locator - at));
    let record = found.and_then(|at| {
        let shift = (tail_start + at as u64).checked_sub(stated)?;
        Some(WideEnd { numbers: Numbers::of_wide(&tail[at..])?, at, shift })
    });
    record.ok_or(Fault::Contradiction("its end record of zip64 is not where it is said to be"))
}

/// Whether `bytes` begin with an end record of zip64 that is `len` long.
fn ends_at(bytes: &[u8], len: usize) -> bool {
    // APPNOTE 4.3.14.1: the length does not count itself and the signature.
    len >= END64_LEN
        && bytes.starts_with(END64)
        && Fields(&bytes[END64.len()..]).u64().is_some_and(|stated| stated == (len - 12) as u64)
}

//! Zip archives by hand: every field can be made to lie.

use std::io::Write;

/// A member, as its two headers state it.
#[derive(Clone, Debug)]
pub(in crate::backends::archive) struct Entry {
    pub(in crate::backends::archive) name: Vec<u8>,
    /// The name in the local header, where it is another one.
    pub(in crate::backends::archive) local_name: Option<Vec<u8>>,
    pub(in crate::backends::archive) method: u16,
    pub(in crate::backends::archive) local_method: Option<u16>,
    pub(in crate::backends::archive) flags: u16,
    pub(in crate::backends::archive) local_flags: Option<u16>,
    pub(in crate::backends::archive) host: u8,
    pub(in crate::backends::archive) attributes: u32,
    pub(in crate::backends::archive) disk: u16,
    pub(in crate::backends::archive) crc: u32,
    pub(in crate::backends::archive) len: u32,
    pub(in crate::backends::archive) packed_len: u32,
    pub(in crate::backends::archive) packed: Vec<u8>,
    pub(in crate::backends::archive) extra: Vec<u8>,
    pub(in crate::backends::archive) local_extra: Vec<u8>,
    /// What the directory says about its place, where that is not the truth.
    pub(in crate::backends::archive) offset: Option<u32>,
}

impl Entry {
    /// A stored file from Unix, mode 0644.
    pub(in crate::backends::archive) fn stored(name: impl Into<Vec<u8>>, content: &[u8]) -> Self {
        Self::packed(name, 0, content, content.to_vec())
    }

    /// The same, deflated.
    pub(in crate::backends::archive) fn deflated(name: impl Into<Vec<u8>>, content: &[u8]) -> Self {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        Self::packed(name, 8, content, encoder.finish().unwrap())
    }

    fn packed(name: impl Into<Vec<u8>>, method: u16, content: &[u8], packed: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            local_name: None,
            method,
            local_method: None,
            flags: 0,
            local_flags: None,
            host: 3,
            attributes: 0o100_644 << 16,
            disk: 0,
            crc: crc32fast::hash(content),
            len: content.len() as u32,
            packed_len: packed.len() as u32,
            packed,
            extra: Vec::new(),
            local_extra: Vec::new(),
            offset: None,
        }
    }

    fn local(&self) -> Vec<u8> {
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let mut bytes = b"PK\x03\x04\x14\0".to_vec();
        halves(
            &mut bytes,
            &[self.local_flags.unwrap_or(self.flags), self.local_method.unwrap_or(self.method)],
        );
        halves(&mut bytes, &[0, 0]);
        words(&mut bytes, &[self.crc, self.packed_len, self.len]);
        halves(&mut bytes, &[name.len() as u16, self.local_extra.len() as u16]);
        [&bytes, &name[..], &self.local_extra, &self.packed].concat()
    }

    fn record(&self, offset: u32) -> Vec<u8> {
        let mut bytes = b"PK\x01\x02".to_vec();
        bytes.extend([20, self.host, 20, 0]);
        halves(&mut bytes, &[self.flags, self.method, 12 << 11, 44 << 9 | 2 << 5 | 29]);
        words(&mut bytes, &[self.crc, self.packed_len, self.len]);
        halves(&mut bytes, &[self.name.len() as u16, self.extra.len() as u16, 0, self.disk, 0]);
        words(&mut bytes, &[self.attributes, self.offset.unwrap_or(offset)]);
        [&bytes, &self.name[..], &self.extra].concat()
    }
}

/// An archive, and what its end states where that is not the truth.
#[derive(Clone, Debug, Default)]
pub(in crate::backends::archive) struct Archive {
    pub(in crate::backends::archive) prefix: Vec<u8>,
    pub(in crate::backends::archive) entries: Vec<Entry>,
    pub(in crate::backends::archive) comment: Vec<u8>,
    /// With the records of zip64; the end record then refers to them.
    pub(in crate::backends::archive) zip64: bool,
    /// Changes the end record.
    pub(in crate::backends::archive) end: EndLies,
    /// Changes the zip64 end record.
    pub(in crate::backends::archive) end64: EndLies,
}

/// Numbers that an end record states instead of the true ones.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::backends::archive) struct EndLies {
    pub(in crate::backends::archive) disk: Option<u16>,
    pub(in crate::backends::archive) records: Option<u64>,
    pub(in crate::backends::archive) records_here: Option<u64>,
    pub(in crate::backends::archive) len: Option<u64>,
    pub(in crate::backends::archive) offset: Option<u64>,
}

impl Archive {
    pub(in crate::backends::archive) fn of(entries: impl Into<Vec<Entry>>) -> Self {
        Self { entries: entries.into(), ..Self::default() }
    }

    /// The bytes of the archive. Offsets do not count the prefix.
    pub(in crate::backends::archive) fn build(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        let mut directory = Vec::new();
        for entry in &self.entries {
            directory.extend(entry.record(archive.len() as u32));
            archive.extend(entry.local());
        }
        let start = archive.len() as u64;
        archive.extend(&directory);
        let (count, len) = (self.entries.len() as u64, directory.len() as u64);
        if self.zip64 {
            let at = archive.len() as u64;
            archive.extend(end64(self.end64, count, len, start));
            archive.extend(b"PK\x06\x07\0\0\0\0");
            archive.extend(at.to_le_bytes());
            archive.extend(1_u32.to_le_bytes());
        }
        let (count, len, start) =
            if self.zip64 { (0xffff, 0xffff_ffff, 0xffff_ffff) } else { (count, len, start) };
        archive.extend(end(self.end, count, len, start, &self.comment));
        [&self.prefix[..], &archive].concat()
    }
}

/// An end record with its comment.
pub(in crate::backends::archive) fn end(
    lies: EndLies,
    count: u64,
    len: u64,
    start: u64,
    comment: &[u8],
) -> Vec<u8> {
    let mut bytes = b"PK\x05\x06".to_vec();
    let records = lies.records.unwrap_or(count) as u16;
    let disk = lies.disk.unwrap_or(0);
    halves(&mut bytes, &[disk, disk, lies.records_here.map_or(records, |here| here as u16), records]);
    words(&mut bytes, &[lies.len.unwrap_or(len) as u32, lies.offset.unwrap_or(start) as u32]);
    halves(&mut bytes, &[comment.len() as u16]);
    [&bytes, comment].concat()
}

fn end64(lies: EndLies, count: u64, len: u64, start: u64) -> Vec<u8> {
    let mut bytes = b"PK\x06\x06".to_vec();
    bytes.extend(44_u64.to_le_bytes());
    bytes.extend([45, 3, 45, 0]);
    words(&mut bytes, &[lies.disk.unwrap_or(0).into(); 2]);
    let records = lies.records.unwrap_or(count);
    for number in
        [lies.records_here.unwrap_or(records), records, lies.len.unwrap_or(len), lies.offset.unwrap_or(start)]
    {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

/// An extra field.
pub(in crate::backends::archive) fn extra(tag: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    halves(&mut bytes, &[tag, content.len() as u16]);
    [&bytes, content].concat()
}

fn halves(bytes: &mut Vec<u8>, numbers: &[u16]) {
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn words(bytes: &mut Vec<u8>, numbers: &[u32]) {
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

//! The zstd codec against frames of the library's own encoder, cut, damaged and put together.

mod chunks;
mod damage;
mod points;

use super::super::trial::Random;
use super::{Codec, Zstd};

/// One frame that says how long its content is, and its checksum.
fn pack(plain: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor.include_checksum(true).unwrap();
    compressor.compress(plain).unwrap()
}

/// One frame that does not say how long its content is.
fn pack_stream(plain: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(plain, 3).unwrap()
}

/// A frame that is skipped.
fn skippable(content: &[u8]) -> Vec<u8> {
    [b"\x53\x2a\x4d\x18", &(content.len() as u32).to_le_bytes()[..], content].concat()
}

/// The seek table of frames with these lengths, packed and unpacked; entries have checksums or not.
fn seek_table(frames: &[(usize, usize)], checksums: bool) -> Vec<u8> {
    let mut entries = Vec::new();
    for (packed, unpacked) in frames {
        entries.extend_from_slice(&(*packed as u32).to_le_bytes());
        entries.extend_from_slice(&(*unpacked as u32).to_le_bytes());
        if checksums {
            entries.extend_from_slice(b"sums");
        }
    }
    let len = entries.len() as u32 + 9;
    let footer = [&(frames.len() as u32).to_le_bytes()[..], &[u8::from(checksums) << 7]].concat();
    let magics: [&[u8]; 2] = [b"\x5e\x2a\x4d\x18", b"\xb1\xea\x92\x8f"];
    [magics[0], &len.to_le_bytes(), &entries, &footer, magics[1]].concat()
}

/// Words and noise.
fn mixed(random: &mut Random, len: usize) -> Vec<u8> {
    let mut plain = Vec::with_capacity(len);
    while plain.len() < len {
        match random.below(8) {
            0 => plain.extend((0..random.below(600)).map(|_| random.next() as u8)),
            _ => {
                plain.extend_from_slice([&b"the "[..], b"archive ", b"holds ", b"a file\n"][random.below(4)])
            }
        }
    }
    plain.truncate(len);
    plain
}

/// Four frames, one of them empty, with skippable ones and padding; and their content.
fn frames() -> (Vec<u8>, Vec<u8>) {
    let mut random = Random(1);
    let parts: Vec<_> = [70_000, 400_000, 0, 3].map(|len| mixed(&mut random, len)).into();
    let packed: Vec<_> = parts.iter().map(|part| pack(part)).collect();
    let skipped = [skippable(b"skipped"), skippable(b"")].concat();
    let file = [&skipped[..], &packed[0], &packed[1], &skipped, &packed[2], &packed[3]].concat();
    (file, parts.concat())
}

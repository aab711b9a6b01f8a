//! What the tests of all codecs need: a run that holds a decoder to the contract, and random numbers.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::codec::{Codec, Damage, Decoder, Next, SeekPoint, Survey};
use crate::error::Result;
use crate::file_system::File;
use crate::metadata::{FileType, Identity, Metadata, Validator};

/// Room where a test does not say: the points of so much output are fewer than a decoder keeps.
const ROOM_BYTES: usize = 16 * 1024;

/// What decoding gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) output: Vec<u8>,
    pub(super) points: Vec<SeekPoint>,
    pub(super) end: std::result::Result<(), Damage>,
    pub(super) remark: Option<String>,
}

/// Decodes `input` in one go.
pub(super) fn decode(codec: &dyn Codec, input: &[u8]) -> Decoded {
    run(codec.start(), input, || (usize::MAX, ROOM_BYTES))
}

/// Decodes from `point` on, of the whole file `input`.
pub(super) fn resume(codec: &dyn Codec, input: &[u8], point: &SeekPoint) -> Decoded {
    let first = (point.input_bits / 8) as usize;
    run(codec.resume(point).unwrap(), &input[first..], || (usize::MAX, ROOM_BYTES))
}

/// Decodes with the pieces of input and the rooms that `cut` gives, and checks the contract on the way.
pub(super) fn run(
    mut decoder: Box<dyn Decoder>,
    mut input: &[u8],
    mut cut: impl FnMut() -> (usize, usize),
) -> Decoded {
    let mut decoded = Decoded { output: Vec::new(), points: Vec::new(), end: Ok(()), remark: None };
    loop {
        let (piece, room) = cut();
        let (given, last) = if piece < input.len() { (&input[..piece], false) } else { (input, true) };
        let before = decoded.output.len();
        let progress = decoder.decode(given, last, &mut decoded.output, room);
        assert!(decoded.output.len() - before <= room, "more output than room");
        decoded.points.extend(decoder.take_points());
        match progress {
            Ok(progress) => {
                input = &input[progress.consumed..];
                match progress.next {
                    Next::Input => assert!(progress.consumed == given.len() && !last, "input was left"),
                    Next::Room => assert_eq!(decoded.output.len() - before, room, "room was left"),
                    Next::End => {
                        decoded.remark = decoder.remark();
                        return decoded;
                    }
                }
            }
            Err(damage) => {
                let again = decoder.decode(input, true, &mut decoded.output, room).unwrap_err();
                assert_eq!(again, damage, "the damage stays");
                decoded.end = Err(damage);
                return decoded;
            }
        }
    }
}

/// What a small `file` holds, decoded in one go; with every cut of its input, small pieces and small rooms it is the same.
pub(super) fn decode_cut(codec: &dyn Codec, file: &[u8]) -> Decoded {
    let expected = decode(codec, file);
    for cut in 0..file.len() {
        let mut pieces = [cut, usize::MAX].into_iter();
        let found = run(codec.start(), file, || (pieces.next().unwrap_or(usize::MAX), 1 << 20));
        assert_eq!(found, expected, "cut at {cut}");
    }
    for piece in [1, 2, 3, 5, 64, usize::MAX] {
        for room in [1, 2, 3, 5, 64, 1 << 20] {
            assert_eq!(run(codec.start(), file, || (piece, room)), expected, "{piece}, {room}");
        }
    }
    expected
}

/// The same for larger pieces and rooms, and a longer file.
pub(super) fn decode_coarsely_cut(codec: &dyn Codec, file: &[u8]) -> Decoded {
    let expected = decode(codec, file);
    for (piece, room) in [(1, 500), (70, 1000), (1000, 333), (usize::MAX, 100_000)] {
        assert!(run(codec.start(), file, || (piece, room)) == expected, "{piece}, {room}");
    }
    expected
}

/// Numbers that look random, from a seed (splitmix64).
#[derive(Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Output that is looked at of bytes that may be a bomb.
const FUZZ_BYTES: usize = 256 * 1024;

/// Takes `data` for a file. Checks that each point leads to the bytes that the pass gave.
pub(super) fn check_file(codec: &dyn Codec, data: &[u8]) {
    let mut decoder = codec.start();
    let mut output = Vec::new();
    let _ = decoder.decode(data, true, &mut output, FUZZ_BYTES);
    for point in decoder.take_points() {
        let mut resumed = codec.resume(&point).unwrap();
        let mut again = Vec::new();
        let following = &data[(point.input_bits / 8) as usize..];
        let _ = resumed.decode(following, true, &mut again, output.len() - point.output as usize);
        assert!(again == output[point.output as usize..], "other bytes from {}", point.output);
    }
}

/// Lets `decoder` have `data`, and checks that it stays in its room.
pub(super) fn check_bounds(mut decoder: Box<dyn Decoder>, data: &[u8]) {
    let mut output = Vec::new();
    let _ = decoder.decode(data, false, &mut output, FUZZ_BYTES);
    assert!(output.len() <= FUZZ_BYTES);
}

/// Surveys `data` as a file, if it can be, and lets each point have what follows it.
pub(super) fn check_survey(codec: &dyn Codec, data: &[u8]) {
    let Ok(Some(found)) = survey(codec, data) else {
        return;
    };
    assert!(found.points.is_sorted_by_key(|point| (point.input_bits, point.output)), "points out of order");
    for point in found.points.iter().take(8) {
        let following = &data[(point.input_bits / 8) as usize..];
        check_bounds(codec.resume(point).unwrap(), following);
    }
}

/// What `codec` finds in the table of contents of a file that holds `data`.
pub(super) fn survey(codec: &dyn Codec, data: &[u8]) -> Result<Option<Survey>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(codec.survey(&Held(data.to_vec())))
}

/// A file in memory, in the version that its content is.
pub(super) fn stored(content: impl Into<Bytes>) -> Arc<dyn File> {
    Arc::new(Stored(content.into()))
}

#[derive(Debug)]
struct Stored(Bytes);

#[async_trait]
impl File for Stored {
    async fn metadata(&self) -> Result<Metadata> {
        let identity = self.identity();
        Ok(Metadata { len: Some(self.0.len() as u64), identity, ..Metadata::new(FileType::File) })
    }

    fn identity(&self) -> Option<Identity> {
        let sum = crc32fast::hash(&self.0).to_string();
        Some(Identity::Source {
            name: Bytes::from_static(b"stored"),
            validator: Some(Validator::Strong(sum.into())),
        })
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let start = self.0.len().min(offset as usize);
        Ok(self.0.slice(start..self.0.len().min(start.saturating_add(max))))
    }
}

/// A file that is read in short pieces.
#[derive(Debug)]
pub(super) struct Held(pub(super) Vec<u8>);

#[async_trait]
impl File for Held {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(Metadata { len: Some(self.0.len() as u64), ..Metadata::new(FileType::File) })
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let rest = &self.0[self.0.len().min(offset as usize)..];
        Ok(Bytes::copy_from_slice(&rest[..rest.len().min(max).min(1000)]))
    }
}

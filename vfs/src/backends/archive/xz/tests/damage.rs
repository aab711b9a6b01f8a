//! What is wrong with a file is said, and nothing wrong passes.

use liblzma::stream::{Check, Filters, LzmaOptions};
use proptest::prelude::*;

use super::super::super::trial::{Random, decode, resume, run};
use super::super::fuzz::fuzz;
use super::{Codec, Xz, mixed, pack, pack_with};

const CONTENT: &[u8] = b"what a short and simple content";

#[test]
fn damage_is_named_and_what_came_before_it_is_out() {
    let file = pack(&[CONTENT], Check::Crc32);
    let at_0 = "the xz stream that begins at its byte 0 is wrong: ";
    let with = |at: usize, byte: u8| {
        let mut file = file.clone();
        file[at] = byte;
        file
    };
    let end = file.len();
    let huge = pack_with(&[CONTENT], Check::Crc32, Filters::new().lzma2(&dictionary(192 << 20)));
    for (name, input, expected, output) in [
        ("flags", with(7, 0x11), format!("{at_0}its header does not fit its checksum"), 0),
        ("block header", with(13, 0xff), format!("{at_0}behind byte 0 of the content, its data is no xz"), 0),
        (
            "check",
            with(end - 24, !file[end - 24]),
            format!("{at_0}behind byte 31 of the content, its data"),
            31,
        ),
        ("index", with(end - 13, !file[end - 13]), format!("{at_0}its index does not fit its checksum"), 31),
        ("end", with(end - 1, b'z'), format!("{at_0}its end is none of an xz stream"), 31),
        ("index size", with(end - 8, 7), format!("{at_0}its end does not fit its checksum"), 31),
        (
            "dictionary",
            huge,
            format!("{at_0}behind byte 0 of the content, its dictionary is larger than 128"),
            0,
        ),
        ("bzip2", b"BZh91AY".to_vec(), "it is no xz stream but a bzip2 stream".to_owned(), 0),
    ] {
        let found = decode(&Xz::new(1), &input);
        let damage = found.end.unwrap_err();
        assert!(damage.what.starts_with(&expected), "{name}: {damage:?}");
        assert!(!damage.cut, "{name}");
        assert_eq!(found.output, CONTENT[..output], "{name}");
        for (piece, room) in [(1, 1), (1, 100), (100, 1), (3, 2)] {
            let again = run(Xz::new(1).start(), &input, || (piece, room));
            assert_eq!((again.end, again.output), (Err(damage.clone()), found.output.clone()), "{name}");
        }
    }
}

fn dictionary(bytes: u32) -> LzmaOptions {
    let mut options = LzmaOptions::new_preset(0).unwrap();
    options.dict_size(bytes);
    options
}

#[test]
fn a_large_dictionary_is_decoded_with() {
    let file = pack_with(&[CONTENT], Check::Crc32, Filters::new().lzma2(&dictionary(128 << 20)));
    assert_eq!(decode(&Xz::new(1), &file).end, Ok(()));
}

#[test]
fn a_decoder_says_what_its_dictionary_takes() {
    for mib in [1, 128] {
        let file = pack_with(&[CONTENT], Check::Crc32, Filters::new().lzma2(&dictionary(mib << 20)));
        let mut decoder = Xz::new(1).start();
        // A stream's and a block's header, and the first of the block.
        decoder.decode(&file[..12 + 12 + 3], false, &mut Vec::new(), 1 << 20).unwrap();
        assert_eq!(decoder.memory_bytes().map(|bytes| bytes >> 20), Some(mib as usize));
    }
}

#[test]
fn an_index_of_other_blocks_is_damage() {
    let (one, other) = (pack(&[CONTENT], Check::Crc32), pack(&[b"short"], Check::Crc32));
    // The block of one, the index and end of the other; both ends are 12 bytes behind 8 or 12 of index.
    let mixed = [&one[..one.len() - 20], &other[other.len() - 20..]].concat();
    let damage = decode(&Xz::new(1), &mixed).end.unwrap_err();
    assert!(damage.what.contains("its index "), "{damage:?}");
}

#[test]
fn a_file_cut_anywhere_is_cut() {
    let file = pack(&[CONTENT], Check::Crc64);
    let two = [&file[..], &file].concat();
    for len in 0..two.len() {
        let found = decode(&Xz::new(1), &two[..len]);
        assert!([CONTENT, CONTENT].concat().starts_with(&found.output), "at {len}");
        match len.checked_sub(file.len()) {
            Some(0) => assert_eq!((found.end, found.remark), (Ok(()), None)),
            Some(1..=5) => assert_eq!((found.end, found.remark.is_some()), (Ok(()), true), "at {len}"),
            _ => assert!(found.end.unwrap_err().cut, "at {len}"),
        }
    }
    assert_eq!(decode(&Xz::new(1), b"").end.unwrap_err().what, "it is empty");
}

#[test]
fn no_bit_that_turns_goes_by() {
    let file = pack(&[CONTENT, b"more"], Check::Sha256);
    for bit in 0..file.len() * 8 {
        let mut file = file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&Xz::new(1), &file).end.is_err(), "bit {bit}");
    }
}

#[test]
fn what_follows_the_last_stream_is_told_and_harms_nothing() {
    let file = pack(&[CONTENT], Check::Crc32);
    for (tail, at) in [(&b"garbage"[..], 0), (b"\0\0\0garbage", 3), (b"\xfd7z", 0)] {
        let found = decode(&Xz::new(1), &[&file, tail].concat());
        let from = file.len() + at;
        let remark = format!("what follows the last xz stream, from its byte {from} on, is no xz");
        assert_eq!((&found.output[..], found.end, found.remark), (CONTENT, Ok(()), Some(remark)), "{tail:?}");
    }
}

#[test]
fn a_point_where_no_block_begins_is_damage() {
    let file = pack(&[CONTENT, b"more"], Check::Crc32);
    let mut point = decode(&Xz::new(1), &file).points[0].clone();
    point.input_bits += 8;
    assert!(resume(&Xz::new(1), &file, &point).end.is_err());
    point.input_bits = (file.len() as u64 - 24) * 8;
    assert_eq!(file[file.len() - 24], 0);
    let damage = resume(&Xz::new(1), &file, &point).end.unwrap_err();
    assert_eq!(damage.what, "an xz stream is wrong: no block begins where its index has one");
    point.state = b"\xff".as_slice().into();
    assert!(Xz::new(1).resume(&point).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_streams_are_borne(seed: u64) {
        let mut random = Random(seed);
        let len = 1 + random.below(50_000);
        let plain = mixed(&mut random, len);
        let parts: Vec<_> = plain.chunks(20_000).collect();
        let mut file = pack(&parts, Check::Crc32);
        for _ in 0..random.below(4) {
            let at = random.below(file.len());
            file[at] = random.next() as u8;
        }
        if random.below(2) == 0 {
            file.truncate(file.len() - random.below(file.len()) / 2);
        }
        fuzz(&file);
    }

    #[test]
    fn any_bytes_are_borne(data: Vec<u8>) {
        fuzz(&data);
        fuzz(&[b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36", &data[..]].concat());
    }
}

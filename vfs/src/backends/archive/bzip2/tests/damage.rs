//! What is wrong with a file is said, and nothing wrong passes.

use proptest::prelude::*;

use super::super::super::trial::{Random, decode, resume, run};
use super::super::fuzz::fuzz;
use super::{Bzip2, Codec, mixed, pack};

const CONTENT: &[u8] = b"what a short and simple content";

#[test]
fn damage_is_named_and_what_came_before_it_is_out() {
    let file = pack(CONTENT);
    let block = "the bzip2 block that begins in its byte 4, behind byte ";
    let with = |at: usize, byte: u8| {
        let mut file = file.clone();
        file[at] = byte;
        file
    };
    let long = pack(&mixed(&mut Random(4), 250_000));
    let first = decode(&Bzip2::new(1), &long).points[0].clone();
    let mut broken = long.clone();
    broken[first.input_bits as usize / 8 + 1000] ^= 4;
    for (name, input, expected, output) in [
        ("level", with(3, b'0'), "it is no bzip2 stream: it begins with the bytes 42 5a 68 30".to_owned(), 0),
        ("block magic", with(5, 0), format!("{block}0 of the content, is wrong: neither a block nor"), 0),
        ("block checksum", with(10, !file[10]), format!("{block}31 of the content, is wrong: its data"), 31),
        (
            "second block",
            broken,
            format!("the bzip2 block that begins in its byte {}", first.input_bits / 8),
            first.output as usize,
        ),
        ("gzip", b"\x1f\x8b\x08\0".to_vec(), "it is no bzip2 stream but a gzip stream".to_owned(), 0),
    ] {
        let found = decode(&Bzip2::new(1), &input);
        let damage = found.end.unwrap_err();
        assert!(damage.what.starts_with(&expected), "{name}: {damage:?}");
        assert!(!damage.cut, "{name}");
        assert!(found.output.len() >= output, "{name}");
        for (piece, room) in [(1, 100), (100, 1000), (3, 2)] {
            let again = run(Bzip2::new(1).start(), &input, || (piece, room));
            assert_eq!(again.end, Err(damage.clone()), "{name}");
            assert!(again.output == found.output, "{name}");
        }
    }
}

#[test]
fn a_streams_checksum_is_verified_from_a_point_too() {
    let plain = mixed(&mut Random(5), 250_000);
    let mut file = pack(&plain);
    let point = decode(&Bzip2::new(1), &file).points[1].clone();
    let at = file.len() - 2;
    file[at] ^= 0x10;
    let whole = decode(&Bzip2::new(1), &file).end.unwrap_err();
    let part = resume(&Bzip2::new(1), &file, &point).end.unwrap_err();
    for damage in [whole, part] {
        assert!(damage.what.ends_with("its blocks' checksums do not add up to its own"), "{damage:?}");
    }
}

#[test]
fn a_file_cut_anywhere_is_cut() {
    let file = pack(CONTENT);
    let two = [&file[..], &file].concat();
    for len in 0..two.len() {
        let found = decode(&Bzip2::new(1), &two[..len]);
        assert!([CONTENT, CONTENT].concat().starts_with(&found.output), "at {len}");
        match len.checked_sub(file.len()) {
            Some(0) => assert_eq!((found.end, found.remark), (Ok(()), None)),
            Some(1..=3) => assert_eq!((found.end, found.remark.is_some()), (Ok(()), true), "at {len}"),
            _ => assert!(found.end.unwrap_err().cut, "at {len}"),
        }
    }
    assert_eq!(decode(&Bzip2::new(1), b"").end.unwrap_err().what, "it is empty");
}

#[test]
fn no_bit_that_turns_changes_the_content_unseen() {
    let file = pack(CONTENT);
    for bit in 0..file.len() * 8 {
        let mut file = file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        let found = decode(&Bzip2::new(1), &file);
        // Some bits mean nothing for so little content: the block's size, randomising, codes that are not used.
        assert!(found.end.is_err() || found.output == CONTENT, "bit {bit}");
    }
}

#[test]
fn what_follows_the_last_stream_is_told_and_harms_nothing() {
    let file = pack(CONTENT);
    for (tail, at) in [(&b"garbage"[..], 0), (b"\0\0\0garbage", 3), (b"BZ", 0), (b"BZh0", 0)] {
        let found = decode(&Bzip2::new(1), &[&file, tail].concat());
        let from = file.len() + at;
        let remark = format!("what follows the last bzip2 stream, from its byte {from} on, is no bzip2");
        assert_eq!((&found.output[..], found.end, found.remark), (CONTENT, Ok(()), Some(remark)), "{tail:?}");
    }
    assert_eq!(decode(&Bzip2::new(1), &[&file[..], &[0; 100]].concat()).remark, None);
}

#[test]
fn a_point_where_no_block_begins_is_damage() {
    let file = pack(&mixed(&mut Random(6), 250_000));
    let mut point = decode(&Bzip2::new(1), &file).points[0].clone();
    point.input_bits += 1;
    let damage = resume(&Bzip2::new(1), &file, &point).end.unwrap_err();
    assert!(damage.what.ends_with("neither a block nor an end is where one must be"), "{damage:?}");
    point.state = b"senseless".as_slice().into();
    assert!(Bzip2::new(1).resume(&point).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_streams_are_borne(seed: u64) {
        let mut random = Random(seed);
        let len = random.below(120_000);
        let mut file = pack(&mixed(&mut random, len));
        for _ in 0..random.below(4) {
            let at = random.below(file.len());
            file[at] = random.next() as u8;
        }
        file.truncate(file.len() - random.below(file.len()) / 2);
        fuzz(&file);
    }

    #[test]
    fn any_bytes_are_borne(data: Vec<u8>) {
        fuzz(&data);
        fuzz(&[b"BZh91AY&SY", &data[..]].concat());
    }
}

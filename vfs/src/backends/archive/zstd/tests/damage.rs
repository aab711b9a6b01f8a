//! What is wrong with a file is said, and nothing wrong passes.

use proptest::prelude::*;

use super::super::super::trial::{Random, decode, resume, run};
use super::super::fuzz::fuzz;
use super::{Codec, Zstd, mixed, pack, pack_stream, skippable};

const CONTENT: &[u8] = b"what a short and simple content";

/// A frame with a window of so many bytes, as its descriptor says it, and one empty block.
fn windowed(descriptor: u8) -> Vec<u8> {
    [&b"\x28\xb5\x2f\xfd\0"[..], &[descriptor], b"\x01\0\0"].concat()
}

#[test]
fn damage_is_named_and_what_came_before_it_is_out() {
    let file = pack(CONTENT);
    let at_0 = "the zstd frame that begins at its byte 0 is wrong: behind byte ";
    let end = file.len();
    let mut sum = file.clone();
    sum[end - 1] ^= 1;
    let second = format!("the zstd frame that begins at its byte {end} is wrong: behind byte 31");
    for (name, input, expected, output) in [
        ("checksum", sum, format!("{at_0}31 of the content, the decoder says: "), 31),
        (
            "descriptor",
            b"\x28\xb5\x2f\xfd\x08\x58\x01\0\0".to_vec(),
            format!("{at_0}0 of the content, the "),
            0,
        ),
        (
            "block type",
            b"\x28\xb5\x2f\xfd\0\x58\x07\0\0".to_vec(),
            format!("{at_0}0 of the content, the "),
            0,
        ),
        // RFC 8878 §3.1.1.1.2: 2^(10 + 18).
        (
            "window",
            windowed(18 << 3),
            format!("{at_0}0 of the content, its window is larger than 128 MiB"),
            0,
        ),
        ("second frame", [&file[..], b"\x28\xb5\x2f\xfd\x08\x58\x01\0\0"].concat(), second, 31),
        ("gzip", b"\x1f\x8b\x08\0".to_vec(), "it is no zstd stream but a gzip stream".to_owned(), 0),
    ] {
        let found = decode(&Zstd::new(1), &input);
        let damage = found.end.unwrap_err();
        assert!(damage.what.starts_with(&expected), "{name}: {damage:?}");
        assert!(!damage.cut, "{name}");
        assert_eq!(found.output, CONTENT[..output], "{name}");
        for (piece, room) in [(1, 1), (1, 100), (100, 1), (3, 2)] {
            let again = run(Zstd::new(1).start(), &input, || (piece, room));
            assert_eq!((again.end, again.output), (Err(damage.clone()), found.output.clone()), "{name}");
        }
    }
}

#[test]
fn a_large_window_is_decoded_with() {
    assert_eq!(decode(&Zstd::new(1), &windowed(17 << 3)).end, Ok(()));
}

#[test]
fn a_decoder_says_what_its_window_takes() {
    for (descriptor, mib) in [(11 << 3, 2), (17 << 3, 128)] {
        let mut decoder = Zstd::new(1).start();
        decoder.decode(&windowed(descriptor)[..6], false, &mut Vec::new(), 1 << 20).unwrap();
        assert_eq!(decoder.memory_bytes().map(|bytes| bytes >> 20), Some(mib));
    }
}

#[test]
fn a_file_cut_anywhere_is_cut() {
    let file = [pack(CONTENT), skippable(b"skipped")].concat();
    let first = pack(CONTENT).len();
    let two = [&file[..], &file].concat();
    for len in 0..two.len() {
        let found = decode(&Zstd::new(1), &two[..len]);
        assert!([CONTENT, CONTENT].concat().starts_with(&found.output), "at {len}");
        let begun = [first, file.len(), file.len() + first]
            .into_iter()
            .find_map(|end| len.checked_sub(end).filter(|begun| *begun < 4));
        match begun {
            Some(begun) => assert_eq!((found.end, found.remark.is_some()), (Ok(()), begun > 0), "at {len}"),
            None => assert!(found.end.unwrap_err().cut, "at {len}"),
        }
    }
    assert_eq!(decode(&Zstd::new(1), b"").end.unwrap_err().what, "it is empty");
}

#[test]
fn no_bit_that_turns_changes_the_content_unseen() {
    let file = pack(CONTENT);
    for bit in 0..file.len() * 8 {
        let mut file = file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        let found = decode(&Zstd::new(1), &file);
        // Some bits of the header mean nothing for so little content.
        assert!(found.end.is_err() || found.remark.is_some() || found.output == CONTENT, "bit {bit}");
    }
}

#[test]
fn what_follows_the_last_frame_is_told_and_harms_nothing() {
    let file = pack(CONTENT);
    for (tail, at) in [(&b"garbage"[..], 0), (b"\0\0\0garbage", 3), (b"\x28\xb5", 0)] {
        let found = decode(&Zstd::new(1), &[&file, tail].concat());
        let from = file.len() + at;
        let remark = format!("what follows the last zstd stream, from its byte {from} on, is no zstd");
        assert_eq!((&found.output[..], found.end, found.remark), (CONTENT, Ok(()), Some(remark)), "{tail:?}");
    }
}

#[test]
fn a_frame_that_expands_enormously_stays_in_its_room() {
    let plain = vec![0; 20 << 20];
    let file = pack_stream(&plain);
    assert!(file.len() < 4000);
    let found = run(Zstd::new(1).start(), &file, || (usize::MAX, 60_000));
    assert!(found.output == plain && found.end.is_ok());
}

#[test]
fn a_point_where_no_frame_begins_is_damage() {
    let first = pack(CONTENT);
    let file = [&first[..], &first].concat();
    let mut point = decode(&Zstd::new(1), &file).points[0].clone();
    point.input_bits += 8;
    let damage = resume(&Zstd::new(1), &file, &point).end.unwrap_err();
    let at = first.len() + 1;
    assert_eq!(damage.what, format!("no zstd stream begins at its byte {at}, where its index has one"));
    point.state = b"\x09".as_slice().into();
    assert!(Zstd::new(1).resume(&point).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_frames_are_borne(seed: u64) {
        let mut random = Random(seed);
        let len = 1 + random.below(100_000);
        let plain = mixed(&mut random, len);
        let mut file: Vec<u8> = plain.chunks(20_000).flat_map(pack).collect();
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
        fuzz(&[b"\x28\xb5\x2f\xfd", &data[..]].concat());
        fuzz(&[&data[..], b"\xb1\xea\x92\x8f"].concat());
    }
}

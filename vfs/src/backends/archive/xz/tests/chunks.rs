//! However input and room are cut, the bytes and the points are the same.

use liblzma::stream::{Check, Filters, LzmaOptions};
use proptest::prelude::*;

use super::super::super::trial::{Random, decode, decode_coarsely_cut, decode_cut, run};
use super::{Codec, Xz, mixed, pack, pack_with, streams};

#[test]
fn every_cut_of_a_small_file_gives_the_same() {
    let file = [pack(&[b"one one one", b"two"], Check::Crc32), pack(&[b"three"], Check::Crc64)].concat();
    let codec = Xz::new(1);
    let expected = decode_cut(&codec, &file);
    assert_eq!((&expected.output[..], &expected.end), (&b"one one onetwothree"[..], &Ok(())));
    assert_eq!(expected.points.len(), 2);
    let mut rooms = [0, 0, 1].into_iter().cycle();
    assert_eq!(run(codec.start(), &file, || (1, rooms.next().unwrap_or(0))), expected);
}

#[test]
fn blocks_of_many_chunks_are_cut_anywhere() {
    let (file, plain) = streams();
    let expected = decode_coarsely_cut(&Xz::new(1), &file);
    assert!(expected.output == plain, "other bytes than were packed");
    assert_eq!((&expected.end, expected.points.len()), (&Ok(()), 3));
}

#[test]
fn filters_before_lzma2_are_undone() {
    let options = LzmaOptions::new_preset(0).unwrap();
    let plain = mixed(&mut Random(7), 50_000);
    let file = pack_with(&[&plain], Check::Crc32, Filters::new().x86().lzma2(&options));
    let found = decode(&Xz::new(1), &file);
    assert_eq!(found.end, Ok(()));
    assert!(found.output == plain, "other bytes than were packed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn random_cuts_of_random_streams_give_the_same(seed: u64, most in 500_usize..40_000) {
        let mut random = Random(seed);
        let len = random.below(300_000);
        let plain = mixed(&mut random, len);
        let parts: Vec<_> = plain.chunks(1 + random.below(200_000)).collect();
        let file = pack(&parts, Check::Crc64);
        let expected = decode(&Xz::new(1), &file);
        prop_assert!(expected.output == plain, "other bytes than were packed");
        let found = run(Xz::new(1).start(), &file, || (1 + random.below(most), random.below(most)));
        prop_assert!(found == expected, "{} points, not {}", found.points.len(), expected.points.len());
    }
}

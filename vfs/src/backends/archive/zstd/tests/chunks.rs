//! However input and room are cut, the bytes and the points are the same.

use proptest::prelude::*;

use super::super::super::trial::{Random, decode, decode_coarsely_cut, decode_cut, run};
use super::{Codec, Zstd, frames, mixed, pack, pack_stream, skippable};

#[test]
fn every_cut_of_a_small_file_gives_the_same() {
    let file =
        [pack(b"one one one"), skippable(b"no"), pack_stream(b"two"), vec![0; 3], pack(b"three")].concat();
    let codec = Zstd::new(1);
    let expected = decode_cut(&codec, &file);
    assert_eq!((&expected.output[..], &expected.end), (&b"one one onetwothree"[..], &Ok(())));
    assert_eq!(expected.points.len(), 2);
    let mut calls = 0;
    let rare = || {
        calls += 1;
        (1, usize::from(calls % 40 == 0))
    };
    assert_eq!(run(codec.start(), &file, rare), expected);
}

#[test]
fn frames_of_many_blocks_are_cut_anywhere() {
    let (file, plain) = frames();
    let expected = decode_coarsely_cut(&Zstd::new(1), &file);
    assert!(expected.output == plain, "other bytes than were packed");
    assert_eq!((&expected.end, expected.points.len()), (&Ok(()), 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn random_cuts_of_random_frames_give_the_same(seed: u64, most in 500_usize..40_000) {
        let mut random = Random(seed);
        let len = random.below(300_000);
        let plain = mixed(&mut random, len);
        let file: Vec<u8> = plain.chunks(1 + random.below(200_000)).flat_map(pack).collect();
        prop_assume!(!file.is_empty());
        let expected = decode(&Zstd::new(1), &file);
        prop_assert!(expected.output == plain, "other bytes than were packed");
        let found = run(Zstd::new(1).start(), &file, || (1 + random.below(most), random.below(most)));
        prop_assert!(found == expected, "{} points, not {}", found.points.len(), expected.points.len());
    }
}

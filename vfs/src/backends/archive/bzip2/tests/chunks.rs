//! However input and room are cut, the bytes and the points are the same.

use proptest::prelude::*;

use super::super::super::trial::{Random, decode, decode_coarsely_cut, decode_cut, run};
use super::{Bzip2, Codec, mixed, pack, streams};

#[test]
fn every_cut_of_a_small_file_gives_the_same() {
    let plain = b"one one one".as_slice();
    let file = [pack(plain), pack(b""), pack(b"two")].concat();
    let codec = Bzip2::new(1);
    let expected = decode_cut(&codec, &file);
    assert_eq!((&expected.output[..], &expected.end), (&b"one one onetwo"[..], &Ok(())));
    assert_eq!(expected.points.len(), 1);
    let mut rooms = [0, 0, 1].into_iter().cycle();
    assert_eq!(run(codec.start(), &file, || (1, rooms.next().unwrap_or(0))), expected);
}

#[test]
fn blocks_are_cut_anywhere() {
    let (file, plain) = streams();
    let codec = Bzip2::new(1);
    let expected = decode_coarsely_cut(&codec, &file);
    assert!(expected.output == plain, "other bytes than were packed");
    assert_eq!((&expected.end, expected.points.len()), (&Ok(()), 3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn random_cuts_of_random_streams_give_the_same(seed: u64, most in 500_usize..40_000) {
        let mut random = Random(seed);
        let len = random.below(300_000);
        let plain = mixed(&mut random, len);
        let file = pack(&plain);
        let expected = decode(&Bzip2::new(1), &file);
        prop_assert!(expected.output == plain, "other bytes than were packed");
        let found = run(Bzip2::new(1).start(), &file, || (1 + random.below(most), random.below(most)));
        prop_assert!(found == expected, "{} points, not {}", found.points.len(), expected.points.len());
    }
}

//! However input and room are cut, the bytes and the points are the same.

use proptest::prelude::*;

use super::streams::{Kind, Maker, Token};
use super::{Codec, Gzip, Random, decode, run};
use crate::backends::archive::codec::Next;
use crate::backends::archive::trial::decode_cut;

/// Three members: names and an extra field, stored and fixed and dynamic blocks, one empty member, padding.
fn small() -> Maker {
    let mut maker = Maker::default();
    maker.gzip.extend_from_slice(b"\x1f\x8b\x08\x0c\0\0\0\0\0\xff\x02\0abname\0");
    maker.stored(b"hello ", false);
    maker.block(Kind::Fixed, [Token::Literal(b'x'), Token::Match(5, 1), Token::Match(3, 12)], true);
    maker.end_member();
    maker.begin_member();
    maker.block(Kind::Fixed, [], true);
    maker.end_member();
    maker.gzip.extend_from_slice(&[0; 3]);
    maker.begin_member();
    maker.block(Kind::Dynamic, [Token::Literal(b'y'), Token::Match(258, 1)], false);
    maker.block(Kind::Fixed, [Token::Match(4, 200)], true);
    maker.end_member();
    maker.gzip.extend_from_slice(&[0; 5]);
    maker
}

#[test]
fn every_cut_of_a_small_file_gives_the_same() {
    let maker = small();
    for spacing in [1, 7, 100] {
        let codec = Gzip::new(spacing);
        let expected = decode_cut(&codec, &maker.gzip);
        assert_eq!((&expected.output, &expected.end), (&maker.plain, &Ok(())));
        assert!(!expected.points.is_empty());
    }
}

#[test]
fn no_room_takes_no_more_than_it_must() {
    let maker = small();
    let mut rooms = [0, 0, 1].into_iter().cycle();
    let found = run(Gzip::new(7).start(), &maker.gzip, || (usize::MAX, rooms.next().unwrap_or(0)));
    assert_eq!(found, decode(Gzip::new(7), &maker.gzip));
}

#[test]
fn output_is_appended() {
    let mut output = b"before ".to_vec();
    let progress = Gzip::new(1 << 20).start().decode(&small().gzip, true, &mut output, 6).unwrap();
    assert_eq!((&output[..], progress.next), (&b"before hello "[..], Next::Room));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_cuts_of_random_streams_give_the_same(seed: u64, spacing in 512_u64..20_000, most in 500_usize..40_000) {
        let mut random = Random(seed);
        let maker = Maker::random(&mut random);
        let codec = Gzip::new(spacing);
        let expected = decode(codec, &maker.gzip);
        prop_assert!(expected.output == maker.plain, "other bytes than were made");
        prop_assert_eq!(&expected.end, &Ok(()));
        for _ in 0..4 {
            let mut cuts = random.clone();
            random.next();
            let found = run(codec.start(), &maker.gzip, || (1 + cuts.below(most), cuts.below(most)));
            prop_assert!(found == expected, "{} points, not {}", found.points.len(), expected.points.len());
        }
    }
}

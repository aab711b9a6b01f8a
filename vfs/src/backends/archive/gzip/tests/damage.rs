//! What is wrong with a file is said, and nothing wrong passes.

use proptest::prelude::*;

use super::streams::{Kind, Maker, Token};
use super::{Codec, Gzip, Random, SeekPoint, decode, run};
use crate::backends::archive::gzip::fuzz::fuzz;

/// One member of three blocks, 12 bytes of content.
fn sample() -> Maker {
    let mut maker = Maker::default();
    maker.begin_member();
    maker.stored(b"abc", false);
    maker.block(Kind::Fixed, [Token::Literal(b'd'), Token::Match(4, 2)], false);
    maker.block(Kind::Fixed, b"tail".map(Token::Literal), true);
    maker.end_member();
    maker
}

#[test]
fn damage_is_named_and_what_came_before_it_is_out() {
    let sample = sample();
    let (gzip, end) = (&sample.gzip[..], sample.gzip.len());
    let at_0 = "the gzip member that begins at its byte 0 is wrong: ";
    let with = |at: usize, byte: u8| {
        let mut gzip = gzip.to_vec();
        gzip[at] = byte;
        gzip
    };
    let behind_abc = |block: &[u8]| [&gzip[..18], block].concat();
    for (name, input, expected, output) in [
        ("method", with(2, 7), format!("{at_0}compression method 7 is none that gzip knows"), 0),
        ("flags", with(3, 0x80), format!("{at_0}its flags 0x80 hold bits that gzip does not know"), 0),
        ("checksum", with(end - 8, gzip[end - 8] ^ 1), format!("{at_0}its content's checksum is 0x"), 12),
        (
            "length",
            with(end - 4, 13),
            format!("{at_0}it holds 12 bytes, modulo 2^32, and its end says 13"),
            12,
        ),
        (
            "block type",
            behind_abc(&[0b111, 0]),
            format!("{at_0}behind byte 3 of the content, invalid block type"),
            3,
        ),
        (
            "stored length",
            with(13, 0),
            format!("{at_0}behind byte 0 of the content, invalid stored block lengths"),
            0,
        ),
        (
            // A fixed block: length 3, from 4 back.
            "reference before the start",
            behind_abc(&[0b0000_0011, 0b0110_0010, 0, 0]),
            format!("{at_0}behind byte 3 of the content, invalid distance too far back"),
            3,
        ),
        (
            "a second member",
            [gzip, b"\x1f\x8b\x09"].concat(),
            format!("the gzip member that begins at its byte {end} is wrong: compression method 9 is none"),
            12,
        ),
        ("zip", b"PK\x03\x04\x14\0".to_vec(), "it is no gzip stream but a zip archive".to_owned(), 0),
        (
            "half a magic",
            b"\x1f\x9d\x90".to_vec(),
            "it is no gzip stream but a stream of the comp".to_owned(),
            0,
        ),
    ] {
        let found = decode(Gzip::new(1), &input);
        let damage = found.end.unwrap_err();
        assert!(damage.what.starts_with(&expected), "{name}: {damage:?}");
        assert!(!damage.cut, "{name}");
        assert_eq!(found.output, sample.plain[..output], "{name}");
        for (piece, room) in [(1, 1), (1, 100), (100, 1), (3, 2)] {
            let again = run(Gzip::new(1).start(), &input, || (piece, room));
            assert_eq!((again.end, again.output), (Err(damage.clone()), found.output.clone()), "{name}");
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_cut() {
    let sample = sample();
    let two = [&sample.gzip[..], &sample.gzip].concat();
    for len in 0..two.len() {
        let found = decode(Gzip::new(1 << 20), &two[..len]);
        let plain = [&sample.plain[..], &sample.plain].concat();
        assert!(plain.starts_with(&found.output), "at {len}");
        if len == sample.gzip.len() {
            assert_eq!((found.end, found.remark), (Ok(()), None));
        } else if len == sample.gzip.len() + 1 {
            assert_eq!((found.end, found.remark.is_some()), (Ok(()), true));
        } else {
            let damage = found.end.unwrap_err();
            assert!(damage.cut, "at {len}: {damage:?}");
        }
    }
    let cut = decode(Gzip::new(1 << 20), &two[..sample.gzip.len() + 5]).end.unwrap_err();
    let (first, len) = (sample.gzip.len(), sample.gzip.len() + 5);
    let expected =
        format!("it ends early, after {len} bytes, within the gzip member that begins at its byte {first}");
    assert_eq!(cut.what, expected);
    assert_eq!(decode(Gzip::new(1), b"").end.unwrap_err().what, "it is empty");
}

#[test]
fn no_bit_that_turns_goes_by() {
    let sample = sample();
    for bit in 0..sample.gzip.len() * 8 {
        let mut gzip = sample.gzip.clone();
        gzip[bit / 8] ^= 1 << (bit % 8);
        let found = decode(Gzip::new(1), &gzip);
        // Bytes 4 to 9 and the lowest flag mean nothing for the content, and two bytes end in padding.
        let is_free = bit == 3 * 8
            || (4 * 8..10 * 8).contains(&bit)
            || (10 * 8 + 3..11 * 8).contains(&bit)
            || (sample.last_bit..sample.gzip.len() * 8 - 64).contains(&bit);
        assert_eq!(found.end.is_ok() && found.output == sample.plain, is_free, "bit {bit}");
    }
}

#[test]
fn a_point_where_no_member_begins_is_damage() {
    let sample = sample();
    let two = [&sample.gzip[..], &sample.gzip].concat();
    let point = decode(Gzip::new(1), &two).points.into_iter().rfind(|point| point.state.len() == 1).unwrap();
    assert_eq!(point.input_bits, sample.gzip.len() as u64 * 8);
    let decoder = Gzip::new(1).resume(&point).unwrap();
    let damage = run(decoder, &sample.gzip[1..], || (1, 1)).end.unwrap_err();
    let expected =
        format!("no gzip member begins at its byte {}, where its index has one", sample.gzip.len());
    assert_eq!(damage.what, expected);
    // A member begins at a whole byte, and a bare stream has none.
    assert!(Gzip::new(1).resume(&SeekPoint { input_bits: 9, ..point.clone() }).is_err());
    assert!(Gzip::bare(1).resume(&point).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damaged_streams_are_borne(seed: u64) {
        let mut random = Random(seed);
        let maker = Maker::random(&mut random);
        let mut gzip = maker.gzip;
        for _ in 0..random.below(4) {
            let at = random.below(gzip.len());
            gzip[at] = random.next() as u8;
        }
        gzip.truncate(gzip.len() - random.below(gzip.len()) / 2);
        fuzz(&gzip);
        let states = decode(Gzip::new(3_000), &gzip).points;
        for point in states.iter().take(4) {
            let mut state = point.state.to_vec();
            let at = random.below(state.len().min(60));
            state[at] = random.next() as u8;
            fuzz(&state);
        }
    }

    #[test]
    fn any_bytes_are_borne(data: Vec<u8>) {
        fuzz(&data);
        fuzz(&[b"\x1f\x8b\x08\0\0\0\0\0\0\xff", &data[..]].concat());
    }
}

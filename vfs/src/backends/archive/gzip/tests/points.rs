//! Decoding from any point, packed or not, gives what follows it, to the byte.

use std::io::Write;
use std::iter::repeat_n;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::streams::{Kind, Maker, Token};
use super::{Codec, Decoded, FOLLOWING_BYTES, Gzip, Random, SeekPoint, decode, resume};

/// Decodes `gzip`, then from each of its points, as they come and compacted. Gives the points, compacted.
fn check_points(codec: Gzip, gzip: &[u8], plain: &[u8]) -> Vec<SeekPoint> {
    let Decoded { output, points, end, .. } = decode(codec, gzip);
    assert!(output == plain, "other bytes than were packed");
    assert_eq!(end, Ok(()));
    assert!(points.is_sorted_by_key(|point| point.input_bits), "points out of order");
    let compacted: Vec<_> = points.iter().map(|point| compact(codec, gzip, point, FOLLOWING_BYTES)).collect();
    let short = points.iter().map(|point| compact(codec, gzip, point, 700));
    for point in points.iter().cloned().chain(compacted.iter().cloned()).chain(short) {
        let found = resume(codec, gzip, &point);
        assert_eq!(found.end, Ok(()), "from {}", point.output);
        assert!(found.output == plain[point.output as usize..], "other bytes from {}", point.output);
    }
    compacted
}

fn compact(codec: Gzip, gzip: &[u8], point: &SeekPoint, following: usize) -> SeekPoint {
    let rest = &gzip[(point.input_bits / 8) as usize..];
    codec.compact(point.clone(), &rest[..rest.len().min(following)])
}

/// The furthest that two points, or the last one and the end, are apart.
fn widest(points: &[SeekPoint], len: usize) -> u64 {
    let at = [0].into_iter().chain(points.iter().map(|point| point.output)).chain([len as u64]);
    at.clone().zip(at.skip(1)).map(|(from, to)| to - from).max().unwrap_or(0)
}

fn pack(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Words, numbers, noise and runs, a bit like the files of a tar.
fn mixed(random: &mut Random, len: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    while plain.len() < len {
        let run = 1 + random.below(3_000);
        match random.below(4) {
            0 => plain.extend((0..run).map(|_| random.next() as u8)),
            1 => plain.extend(repeat_n(random.next() as u8, run)),
            2 => plain.extend((0..run / 8).flat_map(|_| format!("{:x} ", random.below(4_000)).into_bytes())),
            _ if !plain.is_empty() => plain.extend_from_within(random.below(plain.len())..),
            _ => {}
        }
        plain.truncate(len);
    }
    plain
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_streams_resume(seed: u64, spacing in 512_u64..20_000) {
        let maker = Maker::random(&mut Random(seed));
        check_points(Gzip::new(spacing), &maker.gzip, &maker.plain);
    }

    #[test]
    fn streams_of_a_real_compressor_resume(seed: u64, level in 0_u32..10, len in 1_usize..400_000, spacing in 4_000_u64..60_000) {
        let plain = mixed(&mut Random(seed), len);
        check_points(Gzip::new(spacing), &pack(&plain, level), &plain);
    }
}

#[test]
fn a_block_without_end_has_points_too() {
    for kind in [Kind::Fixed, Kind::Dynamic] {
        let mut random = Random(7);
        let mut maker = Maker::default();
        maker.begin_member();
        maker.stored(b"short", false);
        maker.block(kind, (0..100_000).map(|_| Token::Literal(random.next() as u8 & 63)), true);
        maker.end_member();
        let points = check_points(Gzip::new(10_000), &maker.gzip, &maker.plain);
        // One spacing until a block should end, one until a symbol must, and what one byte may still give.
        assert!(widest(&points, maker.plain.len()) <= 2 * 10_000 + 8 * 258);
    }
}

#[test]
fn only_the_first_long_block_behind_short_ones_has_no_points_inside() {
    let mut maker = Maker::default();
    maker.begin_member();
    for _ in 0..4 {
        maker.block(Kind::Fixed, repeat_n(Token::Literal(b'a'), 3_000), false);
    }
    for last in [false, true] {
        maker.block(Kind::Dynamic, repeat_n(Token::Literal(b'b'), 60_000), last);
    }
    maker.end_member();
    let points = check_points(Gzip::new(5_000), &maker.gzip, &maker.plain);
    let inside = |from, to| points.iter().filter(|point| (from..to).contains(&point.output)).count();
    assert_eq!(inside(12_001, 72_000), 0);
    assert!(inside(72_001, 132_000) >= 5);
}

#[test]
fn a_long_run_has_points_that_keep_a_byte_or_two() {
    let plain = vec![b'z'; 3 << 20];
    let points = check_points(Gzip::new(1 << 18), &pack(&plain, 6), &plain);
    assert_eq!(points.len(), 5);
    assert!(points.iter().all(|point| point.state.len() < 400), "{points:?}");
}

#[test]
fn far_references_survive_compaction_and_the_rest_goes() {
    let mut random = Random(3);
    let noise: Vec<u8> = (0..32 << 10).map(|_| random.next() as u8).collect();
    let mut maker = Maker::default();
    maker.begin_member();
    maker.stored(&noise, false);
    // The window's first bytes, its last ones, and nothing of the rest.
    maker.block(Kind::Fixed, [Token::Match(5, 32 << 10), Token::Match(4, 6), Token::Literal(b'.')], false);
    maker.stored(&noise, false);
    maker.stored(&noise, true);
    maker.end_member();
    let codec = Gzip::new(32_000);
    let points = check_points(codec, &maker.gzip, &maker.plain);
    assert_eq!(points[0].output, 32 << 10);
    assert!(points[0].state.len() < 64, "{} bytes", points[0].state.len());
    // The second point is followed by stored bytes: its window goes whole.
    assert_eq!(points[1].state.len(), 10);
}

#[test]
fn a_window_that_cannot_be_judged_stays_whole() {
    let mut random = Random(5);
    let plain: Vec<u8> = (0..200_000).map(|_| random.next() as u8).collect();
    let gzip = pack(&plain, 6);
    let codec = Gzip::new(70_000);
    let points = decode(codec, &gzip).points;
    let point = points[0].clone();
    assert_eq!(point.state.len(), 10 + (32 << 10));
    assert!(compact(codec, &gzip, &point, 30_000).state.len() > 32 << 10);
    assert!(compact(codec, &gzip, &point, FOLLOWING_BYTES).state.len() < 100);
    let damaged = vec![0xff; FOLLOWING_BYTES];
    assert!(codec.compact(point, &damaged).state.len() > 32 << 10);
}

#[test]
fn compaction_is_done_once() {
    let plain = mixed(&mut Random(11), 300_000);
    let (codec, gzip) = (Gzip::new(50_000), pack(&plain, 6));
    for point in check_points(codec, &gzip, &plain) {
        assert_eq!(compact(codec, &gzip, &point, FOLLOWING_BYTES), point);
    }
}

#[test]
fn members_are_points_without_a_window() {
    let mut random = Random(9);
    let blocks: Vec<_> = (0..20).map(|_| mixed(&mut random, 65_280)).collect();
    let gzip: Vec<u8> = blocks.iter().flat_map(|block| pack(block, 1)).collect();
    let points = check_points(Gzip::new(130_560), &gzip, &blocks.concat());
    assert_eq!(points.len(), 19);
    assert!(points.iter().all(|point| point.state.len() == 1 && point.output % 65_280 == 0));
}

#[test]
fn a_resumed_decoder_finds_the_points_that_remain() {
    // Blocks shorter than the spacing: with longer ones a resumed decoder may find more.
    let plain = mixed(&mut Random(13), 2_000_000);
    let (codec, gzip) = (Gzip::new(250_000), pack(&plain, 6));
    let points = decode(codec, &gzip).points;
    assert!(points.len() >= 5);
    for (at, point) in points.iter().enumerate() {
        assert_eq!(resume(codec, &gzip, point).points, points[at + 1..], "from {}", point.output);
    }
}

#[test]
fn a_member_resumed_amid_is_verified_to_its_end() {
    let plain = mixed(&mut Random(17), 100_000);
    let (codec, mut gzip) = (Gzip::new(10_000), pack(&plain, 6));
    let points = decode(codec, &gzip).points;
    let sum = gzip.len() - 8;
    gzip[sum] ^= 1;
    let found = resume(codec, &gzip, &points[1]);
    let damage = found.end.unwrap_err();
    assert!(damage.what.starts_with("a gzip member is wrong: its content's checksum is 0x"), "{damage:?}");
    assert!(found.output == plain[points[1].output as usize..]);
}

#[test]
fn points_that_nobody_takes_are_bounded() {
    let plain = mixed(&mut Random(19), 300_000);
    let gzip = pack(&plain, 0);
    let mut decoder = Gzip::new(100).start();
    let mut output = Vec::new();
    decoder.decode(&gzip, true, &mut output, usize::MAX).unwrap();
    assert!(output == plain);
    assert!(decoder.take_points().len() <= 64);
}

#[test]
fn a_bare_stream_resumes_as_well() {
    let plain = mixed(&mut Random(23), 300_000);
    let gzip = pack(&plain, 6);
    // The encoder's header has ten bytes.
    let bare = &gzip[10..gzip.len() - 8];
    let points = check_points(Gzip::bare(30_000), bare, &plain);
    assert!(points.len() >= 4);
    let cut = decode(Gzip::bare(30_000), &bare[..bare.len() - 1]).end.unwrap_err();
    assert!(cut.cut && cut.what.ends_with("within its deflate stream"), "{cut:?}");
}

//! Decoding from any point gives what follows it, whether a pass found the point or the index named it.

use liblzma::stream::Check;

use super::super::super::codec::SeekPoint;
use super::super::super::trial::{Random, decode, resume, survey};
use super::super::entry::Entry;
use super::{Xz, mixed, pack, streams};
use crate::ErrorKind;

#[test]
fn every_block_is_a_point_and_leads_to_its_bytes() {
    let (file, plain) = streams();
    let points = decode(&Xz::new(1), &file).points;
    assert_eq!(points.len(), 3);
    for (at, point) in points.iter().enumerate() {
        let found = resume(&Xz::new(1), &file, point);
        assert_eq!((found.end, &found.points[..]), (Ok(()), &points[at + 1..]), "from {}", point.output);
        assert!(found.output == plain[point.output as usize..], "other bytes from {}", point.output);
    }
}

#[test]
fn the_index_names_the_same_points() {
    let (file, plain) = streams();
    for padding in [0, 4, 5_000] {
        let file = [&file[..], &vec![0; padding]].concat();
        let found = survey(&Xz::new(1), &file).unwrap().unwrap();
        assert_eq!(found.len, plain.len() as u64);
        let passed = decode(&Xz::new(1), &file).points;
        assert_eq!((found.points[0].input_bits, found.points[0].output), (12 * 8, 0));
        let at = |point: &SeekPoint| (point.input_bits, point.output);
        assert!(found.points[1..].iter().map(at).eq(passed.iter().map(at)));
        for point in &found.points {
            let found = resume(&Xz::new(1), &file, point);
            assert_eq!(found.end, Ok(()));
            assert!(found.output == plain[point.output as usize..], "other bytes from {}", point.output);
        }
    }
}

#[test]
fn blocks_share_a_point_up_to_the_spacing() {
    let plain = mixed(&mut Random(2), 100_000);
    let parts: Vec<_> = plain.chunks(1_000).collect();
    let file = pack(&parts, Check::Crc32);
    let found = survey(&Xz::new(20_000), &file).unwrap().unwrap();
    assert_eq!(found.points.len(), 10);
    for point in found.points.iter().chain(&decode(&Xz::new(20_000), &file).points) {
        assert_eq!(point.output % 10_000, 0);
        assert!(resume(&Xz::new(1), &file, point).output == plain[point.output as usize..]);
    }
}

#[test]
fn a_single_block_is_one_point_and_an_empty_file_none() {
    let file = pack(&[b"content"], Check::Crc32);
    let found = survey(&Xz::new(1), &file).unwrap().unwrap();
    assert_eq!((found.points.len(), found.len), (1, 7));
    let found = survey(&Xz::new(1), &pack(&[], Check::Crc32)).unwrap().unwrap();
    assert_eq!((found.points.len(), found.len), (0, 0));
}

#[test]
fn what_a_survey_cannot_tell_a_pass_must() {
    let file = pack(&[b"content"], Check::Crc32);
    for (name, file) in [
        ("empty", vec![]),
        ("cut", file[..file.len() - 1].to_vec()),
        ("nothing but zeros", vec![0; 3000]),
        ("garbage behind", [&file[..], b"garbage"].concat()),
        ("short", b"YZ".to_vec()),
    ] {
        assert!(survey(&Xz::new(1), &file).unwrap().is_none(), "{name}");
    }
}

#[test]
fn an_index_that_contradicts_the_file_is_corrupt() {
    let file = pack(&[b"content", b"more"], Check::Crc32);
    for back in [1, 5, 8, 12, 13, 16, 18, 20] {
        let mut file = file.clone();
        let at = file.len() - back;
        file[at] ^= 1;
        match survey(&Xz::new(1), &file) {
            // Without its magic the end is none.
            Ok(found) => assert!(back <= 2 && found.is_none(), "{back}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{back}"),
        }
    }
    let error = survey(&Xz::new(1), &file[1..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_promise_that_is_not_kept_is_damage() {
    let file = pack(&[&[b'a'; 5000], &[b'b'; 5000]], Check::Crc32);
    let mut point = survey(&Xz::new(1), &file).unwrap().unwrap().points[0].clone();
    for change in [-1_i64, 1] {
        let mut entry = Entry::of(&point).unwrap();
        entry.promise.as_mut().unwrap().output = (5000 + change) as u64;
        point.state = entry.to_state();
        let damage = resume(&Xz::new(1), &file, &point).end.unwrap_err();
        assert!(damage.what.starts_with("its table of contents has "), "{damage:?}");
    }
}

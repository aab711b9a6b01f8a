//! Decoding from any point gives what follows it, whether a pass found the point, a walk or the seek table.

use super::super::super::codec::SeekPoint;
use super::super::super::trial::{Random, decode, resume, survey};
use super::super::entry::Entry;
use super::{Zstd, frames, mixed, pack, pack_stream, seek_table};

#[test]
fn every_frame_is_a_point_and_leads_to_its_bytes() {
    let (file, plain) = frames();
    let points = decode(&Zstd::new(1), &file).points;
    assert_eq!(points.len(), 2);
    for (at, point) in points.iter().enumerate() {
        let found = resume(&Zstd::new(1), &file, point);
        assert_eq!((found.end, &found.points[..]), (Ok(()), &points[at + 1..]), "from {}", point.output);
        assert!(found.output == plain[point.output as usize..], "other bytes from {}", point.output);
    }
}

#[test]
fn a_walk_and_a_seek_table_find_the_frames() {
    let plain = mixed(&mut Random(2), 400_000);
    let parts: Vec<_> = plain.chunks(50_000).collect();
    let packed: Vec<_> = parts.iter().map(|part| pack(part)).collect();
    let lens: Vec<_> = packed.iter().zip(&parts).map(|(packed, part)| (packed.len(), part.len())).collect();
    let expected: Vec<_> = (0..8).map(|at| at * 50_000).collect();
    for (name, table) in [
        ("walk", vec![]),
        ("table", seek_table(&lens, false)),
        ("table with checksums", seek_table(&lens, true)),
        ("table of too few", seek_table(&lens[1..], true)),
    ] {
        let file = [packed.concat(), table].concat();
        let found = survey(&Zstd::new(1), &file).unwrap().unwrap();
        assert_eq!(found.len, plain.len() as u64, "{name}");
        let at: Vec<_> = found.points.iter().map(|point| point.output).collect();
        assert_eq!(at, expected, "{name}");
        for point in &found.points {
            let found = resume(&Zstd::new(1), &file, point);
            assert_eq!(found.end, Ok(()), "{name}");
            assert!(
                found.output == plain[point.output as usize..],
                "{name}: other bytes from {}",
                point.output
            );
        }
    }
}

#[test]
fn a_seek_table_is_read_where_a_walk_is_not_possible() {
    let packed = [pack_stream(b"first"), pack_stream(b"second")];
    let lens = [(packed[0].len(), 5), (packed[1].len(), 6)];
    assert!(survey(&Zstd::new(1), &packed.concat()).unwrap().is_none());
    let file = [packed.concat(), seek_table(&lens, false)].concat();
    let found = survey(&Zstd::new(1), &file).unwrap().unwrap();
    assert_eq!((found.points.len(), found.len), (2, 11));
}

#[test]
fn a_single_frame_is_one_point() {
    let plain = mixed(&mut Random(3), 400_000);
    let found = survey(&Zstd::new(1), &pack(&plain)).unwrap().unwrap();
    let at: Vec<_> = found.points.iter().map(|point: &SeekPoint| (point.input_bits, point.output)).collect();
    assert_eq!((at, found.len), (vec![(0, 0)], 400_000));
}

#[test]
fn what_a_survey_cannot_tell_a_pass_must() {
    let frame = pack(b"content");
    let blocks = mixed(&mut Random(4), 200 << 20 >> 6);
    for (name, file) in [
        ("empty", vec![]),
        ("cut", frame[..frame.len() - 5].to_vec()),
        ("garbage behind", [&frame[..], b"garbage"].concat()),
        ("padding behind", [&frame[..], &[0; 8]].concat()),
        ("cut amid blocks", pack(&blocks)[..100_000].to_vec()),
    ] {
        assert!(survey(&Zstd::new(1), &file).unwrap().is_none(), "{name}");
    }
}

#[test]
fn a_promise_that_is_not_kept_is_damage() {
    let packed = [pack(b"first"), pack(b"second")];
    let lens = [(packed[0].len(), 6), (packed[1].len(), 5)];
    let file = [packed.concat(), seek_table(&lens, false)].concat();
    let point = survey(&Zstd::new(1), &file).unwrap().unwrap().points[0].clone();
    let damage = resume(&Zstd::new(1), &file, &point).end.unwrap_err();
    assert!(damage.what.starts_with("its table of contents has 6 bytes"), "{damage:?}");
    assert!(Entry::of(&point).unwrap().promise.is_some());
}

//! Decoding from any point gives what follows it, to the byte.

use super::super::super::trial::{Decoded, Random, decode, resume, run};
use super::super::bits::BLOCK_MAGIC;
use super::super::blocks::{Blocks, Outcome};
use super::super::entry::Entry;
use super::{Bzip2, Codec, mixed, pack, streams};

#[test]
fn every_block_is_a_point_and_leads_to_its_bytes() {
    let (file, plain) = streams();
    let codec = Bzip2::new(1);
    let Decoded { points, .. } = decode(&codec, &file);
    assert!(points.iter().any(|point| point.input_bits % 8 != 0), "no block begins amid a byte");
    for (at, point) in points.iter().enumerate() {
        let found = resume(&codec, &file, point);
        assert_eq!((found.end, &found.points[..]), (Ok(()), &points[at + 1..]), "from {}", point.output);
        assert!(found.output == plain[point.output as usize..], "other bytes from {}", point.output);
    }
}

#[test]
fn points_are_about_a_spacing_apart() {
    let plain = mixed(&mut Random(2), 1_000_000);
    let file = pack(&plain);
    let codec = Bzip2::new(400_000);
    let points = decode(&codec, &file).points;
    assert!((2..=4).contains(&points.len()), "{points:?}");
    assert!(resume(&codec, &file, &points[1]).output == plain[points[1].output as usize..]);
}

#[test]
fn a_block_that_expands_enormously_stays_in_its_room() {
    let plain = vec![b'z'; 20 << 20];
    let file = pack(&plain);
    assert!(file.len() < 2000);
    let codec = Bzip2::new(1 << 20);
    let found = run(codec.start(), &file, || (usize::MAX, 60_000));
    assert!(found.output == plain && found.end.is_ok());
    let point = found.points.first().unwrap();
    assert!(resume(&codec, &file, point).output == plain[point.output as usize..]);
}

#[test]
fn a_magic_amid_a_block_is_believed_by_nobody() {
    // The block's first half, then a magic: no block ends there, so decoding goes on to the true end, and finds the
    // checksum wrong.
    let plain = mixed(&mut Random(3), 60_000);
    let mut file = pack(&plain);
    let middle = file.len() / 2;
    file[middle..middle + 6].copy_from_slice(&BLOCK_MAGIC.to_be_bytes()[2..]);
    let mut blocks = Blocks::new(32, Entry { level: b'1', combined: 0 });
    let (mut input, mut rest, mut output) = (4, &file[4..], Vec::new());
    let mut begun = 0;
    let end = loop {
        match blocks.step(&mut input, &mut rest, &mut output, 1 << 20) {
            Ok(Outcome::Step) => {}
            Ok(Outcome::Block(..)) => begun += 1,
            end => break end,
        }
    };
    assert_eq!((begun, end), (1, Err("its data is no bzip2, or does not fit its checksum")));
    assert!(output.len() > 40_000, "{} bytes", output.len());
}

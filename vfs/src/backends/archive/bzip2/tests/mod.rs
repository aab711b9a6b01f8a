//! The bzip2 codec against streams of the library's own encoder, cut, damaged and put together.

mod chunks;
mod damage;
mod points;

use std::io::Write;

use bzip2::Compression;
use bzip2::write::BzEncoder;

use super::super::trial::Random;
use super::{Bzip2, Codec};

/// Blocks of 100 kB.
fn pack(plain: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::new(1));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Words, runs and noise.
fn mixed(random: &mut Random, len: usize) -> Vec<u8> {
    let mut plain = Vec::with_capacity(len);
    while plain.len() < len {
        match random.below(8) {
            0 => plain.extend(std::iter::repeat_n(random.next() as u8, random.below(30))),
            1 => plain.extend((0..random.below(60)).map(|_| random.next() as u8)),
            _ => {
                plain.extend_from_slice([&b"the "[..], b"archive ", b"holds ", b"a file\n"][random.below(4)])
            }
        }
    }
    plain.truncate(len);
    plain
}

/// Three streams, the second one empty, with padding behind the first; and their content.
fn streams() -> (Vec<u8>, Vec<u8>) {
    let mut random = Random(1);
    let (first, last) = (mixed(&mut random, 250_000), mixed(&mut random, 3_000));
    let file = [pack(&first), vec![0; 7], pack(b""), pack(&last)].concat();
    (file, [first, last].concat())
}

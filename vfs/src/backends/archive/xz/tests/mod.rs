//! The xz codec against streams of the library's own encoder, cut, damaged and put together.

mod chunks;
mod damage;
mod points;

use liblzma::stream::{Action, Check, Filters, LzmaOptions, Stream};

use super::super::trial::Random;
use super::{Codec, Xz};

/// One stream of a block per part, with a small dictionary.
fn pack(parts: &[&[u8]], check: Check) -> Vec<u8> {
    let mut options = LzmaOptions::new_preset(1).unwrap();
    options.dict_size(1 << 16);
    pack_with(parts, check, Filters::new().lzma2(&options))
}

fn pack_with(parts: &[&[u8]], check: Check, filters: &Filters) -> Vec<u8> {
    let mut encoder = Stream::new_stream_encoder(filters, check).unwrap();
    let mut file = Vec::with_capacity(1 << 20);
    for part in parts {
        let taken = encoder.total_in();
        encoder.process_vec(part, &mut file, Action::FullFlush).unwrap();
        assert_eq!(encoder.total_in() - taken, part.len() as u64);
    }
    encoder.process_vec(&[], &mut file, Action::Finish).unwrap();
    file
}

/// Words and noise.
fn mixed(random: &mut Random, len: usize) -> Vec<u8> {
    let mut plain = Vec::with_capacity(len);
    while plain.len() < len {
        match random.below(8) {
            0 => plain.extend((0..random.below(600)).map(|_| random.next() as u8)),
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
    let parts: Vec<_> = [70_000, 200_000, 3].map(|len| mixed(&mut random, len)).into();
    let last = mixed(&mut random, 5_000);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let file =
        [pack(&parts, Check::Crc64), vec![0; 8], pack(&[], Check::None), pack(&[&last], Check::Sha256)];
    (file.concat(), [parts.concat(), last].concat())
}

//! The gzip codec against streams of real compressors and of a made-up one that does all that deflate allows.

mod chunks;
mod damage;
mod points;
mod real;
mod streams;

use super::super::codec::{Codec, Damage, Decoder, Next, SeekPoint};
use super::{FOLLOWING_BYTES, Gzip};

/// Room where a test does not say: the points of so much output are fewer than a decoder keeps.
const ROOM_BYTES: usize = 16 * 1024;

/// What decoding gave.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    output: Vec<u8>,
    points: Vec<SeekPoint>,
    end: Result<(), Damage>,
    remark: Option<String>,
}

/// Decodes `input` in one go.
fn decode(codec: Gzip, input: &[u8]) -> Decoded {
    run(codec.start(), input, || (usize::MAX, ROOM_BYTES))
}

/// Decodes from `point` on, of the whole file `input`.
fn resume(codec: Gzip, input: &[u8], point: &SeekPoint) -> Decoded {
    let first = (point.input_bits / 8) as usize;
    run(codec.resume(point).unwrap(), &input[first..], || (usize::MAX, ROOM_BYTES))
}

/// Decodes with the pieces of input and the rooms that `cut` gives, and checks the contract on the way.
fn run(mut decoder: Box<dyn Decoder>, mut input: &[u8], mut cut: impl FnMut() -> (usize, usize)) -> Decoded {
    let mut decoded = Decoded { output: Vec::new(), points: Vec::new(), end: Ok(()), remark: None };
    loop {
        let (piece, room) = cut();
        let (given, last) = if piece < input.len() { (&input[..piece], false) } else { (input, true) };
        let before = decoded.output.len();
        let progress = decoder.decode(given, last, &mut decoded.output, room);
        assert!(decoded.output.len() - before <= room, "more output than room");
        decoded.points.extend(decoder.take_points());
        match progress {
            Ok(progress) => {
                input = &input[progress.consumed..];
                match progress.next {
                    Next::Input => assert!(progress.consumed == given.len() && !last, "input was left"),
                    Next::Room => assert_eq!(decoded.output.len() - before, room, "room was left"),
                    Next::End => {
                        decoded.remark = decoder.remark();
                        return decoded;
                    }
                }
            }
            Err(damage) => {
                let again = decoder.decode(input, true, &mut decoded.output, room).unwrap_err();
                assert_eq!(again, damage, "the damage stays");
                decoded.end = Err(damage);
                return decoded;
            }
        }
    }
}

/// Numbers that look random, from a seed (splitmix64).
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

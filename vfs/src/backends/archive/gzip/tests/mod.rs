//! The gzip codec against streams of real compressors and of a made-up one that does all that deflate allows.

mod chunks;
mod damage;
mod points;
mod real;
mod streams;

use super::super::codec::{Codec, SeekPoint};
use super::super::trial::{self, Decoded, Random, run};
use super::{FOLLOWING_BYTES, Gzip};

/// Decodes `input` in one go.
fn decode(codec: Gzip, input: &[u8]) -> Decoded {
    trial::decode(&codec, input)
}

/// Decodes from `point` on, of the whole file `input`.
fn resume(codec: Gzip, input: &[u8], point: &SeekPoint) -> Decoded {
    trial::resume(&codec, input, point)
}

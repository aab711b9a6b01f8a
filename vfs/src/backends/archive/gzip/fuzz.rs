//! Any bytes through the codec: nothing may panic, and no seek point may lead to other bytes than the pass that made it.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use super::super::codec::{Codec, SeekPoint};
use super::Gzip;

/// Output that is looked at.
const OUTPUT_BYTES: usize = 256 * 1024;

/// Takes `data` for a file, then for a seek point's state, and panics where something is wrong.
pub(in super::super) fn fuzz(data: &[u8]) {
    check_file(data);
    check_state(data);
}

fn check_file(data: &[u8]) {
    let codec = Gzip::new(1 + data.len() as u64 * 16);
    let mut decoder = codec.start();
    let mut output = Vec::new();
    let _ = decoder.decode(data, true, &mut output, OUTPUT_BYTES);
    for point in decoder.take_points() {
        let following = &data[(point.input_bits / 8) as usize..];
        for point in [codec.compact(point.clone(), following), point] {
            let mut resumed = codec.resume(&point).unwrap();
            let mut again = Vec::new();
            let _ = resumed.decode(following, true, &mut again, output.len() - point.output as usize);
            assert!(again == output[point.output as usize..], "other bytes from {}", point.output);
        }
    }
}

fn check_state(data: &[u8]) {
    let codec = Gzip::new(1000);
    let point = SeekPoint { input_bits: 3, output: 9, state: data.to_vec().into() };
    assert_eq!(codec.resume(&point).is_err(), codec.resume(&codec.compact(point.clone(), data)).is_err());
    if let Ok(mut decoder) = codec.resume(&point) {
        let mut output = Vec::new();
        let _ = decoder.decode(data, false, &mut output, OUTPUT_BYTES);
        assert!(output.len() <= OUTPUT_BYTES);
    }
}

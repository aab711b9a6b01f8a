//! Any bytes through the codec: nothing may panic, and no seek point may lead to other bytes than the pass that made it.

use super::super::codec::SeekPoint;
use super::super::trial;
use super::{Bzip2, Codec};

/// Takes `data` for a file, then for a seek point's state, and panics where something is wrong.
pub(in super::super) fn fuzz(data: &[u8]) {
    trial::check_file(&Bzip2::new(1), data);
    let point = SeekPoint { input_bits: 3, output: 9, state: data.iter().copied().take(5).collect() };
    if let Ok(decoder) = Bzip2::new(1).resume(&point) {
        trial::check_bounds(decoder, data);
    }
}

//! Any bytes through the codec: nothing may panic, and no seek point may lead to other bytes than the pass that made it.

use super::super::codec::{Codec, SeekPoint};
use super::super::trial;
use super::Xz;

/// Takes `data` for a file, then for a seek point's state and what follows it, and panics where something is wrong.
pub(in super::super) fn fuzz(data: &[u8]) {
    trial::check_file(&Xz::new(1), data);
    for len in [1, 17] {
        let point = SeekPoint { input_bits: 8, output: 0, state: data.iter().copied().take(len).collect() };
        if let Ok(decoder) = Xz::new(1).resume(&point) {
            trial::check_bounds(decoder, data);
        }
    }
    trial::check_survey(&Xz::new(1), data);
}

//! Windows without the bytes that nothing reaches back to: a tenth of them is ever referenced.
//!
//! Only the first 32 KiB behind a place can reach back into its window; so those are decoded three times, behind windows
//! that are made up: each byte the lower half of its own index, that half inverted, the upper half. An output byte that
//! differs between the first two came out of the window, and the first and third say from where.

use std::sync::LazyLock;

use super::entry::Inside;
use super::inflate::{At, Stop, WINDOW_BYTES};

/// The windows that are made up, of full length.
struct MadeUp {
    lower: Vec<u8>,
    inverted: Vec<u8>,
    upper: Vec<u8>,
}

static MADE_UP: LazyLock<MadeUp> = LazyLock::new(|| {
    let made_up = |byte: fn(usize) -> u8| (0..WINDOW_BYTES).map(byte).collect();
    MadeUp {
        lower: made_up(|at| at as u8),
        inverted: made_up(|at| !(at as u8)),
        upper: made_up(|at| (at >> 8) as u8),
    }
});

/// The window of `inside` with zeros for what is not referenced, and without the zeros at its start. `following` begins
/// with the byte that holds the place's first bit, behind `skipped` others.
///
/// None where `following` ends or goes wrong before the first 32 KiB of output, or the end of the stream.
pub(super) fn sparse_window(inside: &Inside, skipped: u8, following: &[u8]) -> Option<Vec<u8>> {
    let window = &inside.window;
    let decode = |made_up: &[u8]| decode_behind(inside, &made_up[..window.len()], skipped, following);
    let lower = decode(&MADE_UP.lower)?;
    let inverted = decode(&MADE_UP.inverted)?;
    let upper = decode(&MADE_UP.upper)?;
    let mut sparse = vec![0; window.len()];
    let mut first = window.len();
    for ((lower, inverted), upper) in lower.iter().zip(&inverted).zip(&upper) {
        if lower != inverted {
            let at = usize::from(u16::from_le_bytes([*lower, *upper]));
            sparse[at] = window[at];
            first = first.min(at);
        }
    }
    sparse.drain(..first);
    Some(sparse)
}

/// The first 32 KiB of output, or all where it ends earlier, behind `window`.
fn decode_behind(inside: &Inside, window: &[u8], skipped: u8, following: &[u8]) -> Option<Vec<u8>> {
    let mut inflate = inside.enter(window)?;
    let mut rest = following;
    if skipped > 0 {
        let (first, behind) = following.split_first()?;
        inflate.add_bits(first >> skipped, 8 - skipped);
        rest = behind;
    }
    let mut output = Vec::with_capacity(WINDOW_BYTES);
    let step = inflate.step(rest, &mut output, WINDOW_BYTES, Stop::Never).ok()?;
    (step.at == At::End || output.len() == WINDOW_BYTES).then_some(output)
}

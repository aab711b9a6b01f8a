//! What a seek point keeps: nothing but what a table of contents promised, for a frame needs nothing from before it.

use bytes::Bytes;

use crate::backends::archive::codec::SeekPoint;
use crate::backends::archive::passed::Promise;

/// Says in a state's first byte that the point is a frame's beginning.
const FRAME: u8 = 0;

/// What is needed to enter a file at a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) promise: Option<Promise>,
}

impl Entry {
    pub(super) fn to_state(self) -> Bytes {
        let promise = self.promise.map(Promise::to_bytes);
        [FRAME].into_iter().chain(promise.into_iter().flatten()).collect()
    }

    /// What `point` keeps; none where that makes no sense.
    pub(super) fn of(point: &SeekPoint) -> Option<Self> {
        let (&FRAME, promise) = point.state.split_first()? else {
            return None;
        };
        let promise = Promise::parse(promise)?;
        let is_ahead = promise
            .is_none_or(|promise| promise.output >= point.output && promise.input > point.input_bits / 8);
        (point.input_bits.is_multiple_of(8) && is_ahead).then_some(Self { promise })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_the_rest_is_none() {
        let point = |input_bits, state| SeekPoint { input_bits, output: 9, state };
        for promise in [None, Some(Promise { input: 20, output: 9 })] {
            let entry = Entry { promise };
            assert_eq!(Entry::of(&point(64, entry.to_state())), Some(entry));
            assert_eq!(Entry::of(&point(65, entry.to_state())), None);
        }
        for state in [&b""[..], b"\x01", b"\0abc", b"\0\0\0\0\0\0\0\0\0\xff\0\0\0\0\0\0\0"] {
            assert_eq!(Entry::of(&point(64, Bytes::copy_from_slice(state))), None, "{state:?}");
        }
    }
}

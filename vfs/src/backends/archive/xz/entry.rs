//! What a seek point keeps: how the stream's blocks are checked, and what an index promised.

use bytes::Bytes;

use super::frame::Check;
use crate::backends::archive::codec::SeekPoint;
use crate::backends::archive::passed::Promise;

/// What is needed to enter a stream at a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) check: Check,
    pub(super) promise: Option<Promise>,
}

impl Entry {
    pub(super) fn to_state(self) -> Bytes {
        let promise = self.promise.map(Promise::to_bytes);
        [self.check.id()].into_iter().chain(promise.into_iter().flatten()).collect()
    }

    /// What `point` keeps; none where that makes no sense.
    pub(super) fn of(point: &SeekPoint) -> Option<Self> {
        let (id, promise) = point.state.split_first()?;
        let entry = Self { check: Check::new(*id)?, promise: Promise::parse(promise)? };
        let is_ahead = entry
            .promise
            .is_none_or(|promise| promise.output >= point.output && promise.input > point.input_bits / 8);
        (point.input_bits.is_multiple_of(8) && is_ahead).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_the_rest_is_none() {
        let point = |input_bits, state| SeekPoint { input_bits, output: 9, state };
        let promise = Promise { input: 20, output: 9 };
        for promise in [None, Some(promise)] {
            let entry = Entry { check: Check::new(4).unwrap(), promise };
            assert_eq!(Entry::of(&point(64, entry.to_state())), Some(entry));
            assert_eq!(Entry::of(&point(65, entry.to_state())), None);
        }
        for state in [&b""[..], b"\x10", b"\x04abc", b"\x04\0\0\0\0\0\0\0\0\xff\0\0\0\0\0\0\0"] {
            assert_eq!(Entry::of(&point(64, Bytes::copy_from_slice(state))), None, "{state:?}");
        }
    }
}

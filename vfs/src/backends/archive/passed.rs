//! The output that a decoder has passed, the seek points on the way, and what a table of contents promised of it.

use std::mem;

use bytes::Bytes;

use super::codec::{Damage, SeekPoint};

/// Points that wait to be taken, at most; a reader that never takes them loses those that come then.
const WAITING_POINTS: usize = 64;

/// What a decoder has passed.
pub(super) struct Passed {
    spacing: u64,
    /// Bytes of output so far, from the start of the file.
    output: u64,
    /// Output at the last point.
    last_point: u64,
    waiting: Vec<SeekPoint>,
    promise: Option<Promise>,
}

/// What a table of contents says: where input and output will be when some boundary is reached. It is checked by
/// whoever reads from a point of that table, for no pass has done it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    /// Bytes from the start of the file.
    pub(super) input: u64,
    /// Bytes from the start of the output.
    pub(super) output: u64,
}

impl Passed {
    /// Nothing yet, behind `output` bytes.
    pub(super) fn new(spacing: u64, output: u64, promise: Option<Promise>) -> Self {
        Self { spacing: spacing.max(1), output, last_point: output, waiting: Vec::new(), promise }
    }

    /// Bytes of output so far, from the start of the file.
    pub(super) fn output(&self) -> u64 {
        self.output
    }

    pub(super) fn add(&mut self, len: usize) {
        self.output += len as u64;
    }

    /// Keeps a point at `input_bits` where one is due. Points are where the format has them, so half a spacing will do.
    pub(super) fn offer(&mut self, input_bits: u64, state: impl FnOnce() -> Bytes) {
        let since = self.output - self.last_point;
        if since == 0 || since < self.spacing / 2 {
            return;
        }
        self.last_point = self.output;
        if self.waiting.len() < WAITING_POINTS {
            self.waiting.push(SeekPoint { input_bits, output: self.output, state: state() });
        }
    }

    /// Checks the promise at a boundary, `input` bytes into the file.
    pub(super) fn check(&mut self, input: u64) -> Result<(), Damage> {
        let Some(promise) = self.promise.filter(|promise| promise.input <= input) else {
            return Ok(());
        };
        self.promise = None;
        if promise == (Promise { input, output: self.output }) {
            return Ok(());
        }
        let Promise { input: at, output } = promise;
        let what = format!(
            "its table of contents has {output} bytes of content before its byte {at}, and there are {} before its byte {input}",
            self.output
        );
        Err(Damage::new(what))
    }

    pub(super) fn take_points(&mut self) -> Vec<SeekPoint> {
        mem::take(&mut self.waiting)
    }
}

impl Promise {
    /// Bytes of a promise in a point's state.
    pub(super) const BYTES: usize = 16;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        (u128::from(self.input) | u128::from(self.output) << 64).to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self { input: both as u64, output: (both >> 64) as u64 }
    }

    /// Reads what a state ends with: a promise or nothing. None where it is neither.
    pub(super) fn parse(state: &[u8]) -> Option<Option<Self>> {
        if state.is_empty() {
            return Some(None);
        }
        state.try_into().ok().map(|bytes| Some(Self::from_bytes(bytes)))
    }
}

/// What is wrong with a point that cannot be entered.
pub(super) fn senseless(point: &SeekPoint) -> Damage {
    let byte = point.input_bits / 8;
    Damage::new(format!("its index has a seek point at byte {byte} that makes no sense"))
}

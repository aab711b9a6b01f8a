//! A decoder made of small steps: the loop around them, and what several codecs do in one.

use super::codec::{Damage, Decoder, Next, Progress, SeekPoint};

/// The most that one step makes: what follows it finds the output in the processor's cache.
const STEP_BYTES: usize = 64 * 1024;

/// What is written over.
static ZEROS: [u8; STEP_BYTES] = [0; STEP_BYTES];

/// A format, step by step. [`Stepped`] makes a decoder of it.
pub(super) trait Machine: Send {
    /// Goes on by one step: takes some of `rest`, appends at most `room` bytes. None says that it can go on at once.
    fn advance(
        &mut self,
        rest: &mut &[u8],
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Option<Next>, Damage>;

    /// What it means that no input follows where a step wanted some. None says that it can go on without.
    fn end_of_input(&mut self) -> Result<Option<Next>, Damage>;

    /// As in [`Decoder`].
    fn take_points(&mut self) -> Vec<SeekPoint>;

    /// As in [`Decoder`].
    fn remark(&self) -> Option<String>;

    /// As in [`Decoder`].
    fn memory_bytes(&self) -> Option<usize> {
        None
    }
}

/// The decoder that a [`Machine`] is.
pub(super) struct Stepped<M> {
    machine: M,
    failed: Option<Damage>,
}

impl<M: Machine> Stepped<M> {
    pub(super) fn new(machine: M) -> Self {
        Self { machine, failed: None }
    }

    fn go(
        &mut self,
        rest: &mut &[u8],
        last: bool,
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Next, Damage> {
        let limit = output.len().saturating_add(room);
        loop {
            let room = limit - output.len();
            let next = match self.machine.advance(rest, output, room)? {
                Some(Next::Input) if last => self.machine.end_of_input()?,
                next => next,
            };
            if let Some(next) = next {
                return Ok(next);
            }
        }
    }
}

impl<M: Machine> Decoder for Stepped<M> {
    fn decode(
        &mut self,
        input: &[u8],
        last: bool,
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Progress, Damage> {
        if let Some(damage) = &self.failed {
            return Err(damage.clone());
        }
        let mut rest = input;
        let next = self.go(&mut rest, last, output, room);
        let next = next.inspect_err(|damage| self.failed = Some(damage.clone()))?;
        Ok(Progress { consumed: input.len() - rest.len(), next })
    }

    fn take_points(&mut self) -> Vec<SeekPoint> {
        self.machine.take_points()
    }

    fn remark(&self) -> Option<String> {
        self.machine.remark()
    }

    fn memory_bytes(&self) -> Option<usize> {
        self.machine.memory_bytes()
    }
}

/// Takes the first `len` bytes of `rest` and counts them.
pub(super) fn take<'a>(input: &mut u64, rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(len);
    *input += len as u64;
    *rest = left;
    taken
}

/// Fills `bytes` up to `len` from `rest`, and says whether that did it.
pub(super) fn gather(bytes: &mut Vec<u8>, len: usize, input: &mut u64, rest: &mut &[u8]) -> bool {
    let missing = len.saturating_sub(bytes.len()).min(rest.len());
    bytes.extend_from_slice(take(input, rest, missing));
    bytes.len() >= len
}

/// Lets `fill` write behind the end of `output`, `room` bytes at most; it says how many it wrote. Gives what it gives,
/// and whether all that was offered was written: then more may be waiting.
pub(super) fn append<T>(
    output: &mut Vec<u8>,
    room: usize,
    fill: impl FnOnce(&mut [u8]) -> (usize, T),
) -> (bool, T) {
    let (len, offered) = (output.len(), room.min(STEP_BYTES));
    output.extend_from_slice(&ZEROS[..offered]);
    let (made, found) = fill(&mut output[len..]);
    output.truncate(len + made);
    (made == offered, found)
}

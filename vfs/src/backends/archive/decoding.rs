//! [`Decoding`]: a decoder with its input at hand, which goes on piece by piece in jobs.

use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::time::{ClockId, clock_gettime};

use super::codec::{Damage, Decoder, Next};
use crate::error::Result;
use crate::file_system::File;
use crate::jobs;

/// Output that is made and looked at together: it stays in the processor's cache meanwhile.
const STEP_BYTES: usize = 128 * 1024;

/// A decoder and the input that it has not taken yet.
pub(super) struct Decoding {
    decoder: Box<dyn Decoder>,
    input: Bytes,
    /// Bytes of the piece that it is the rest of, which stays in memory as a whole.
    fed: usize,
    /// Where the input that follows begins.
    next_input: u64,
    is_last: bool,
    output: u64,
    has_run: bool,
    /// Blocks that are made when it is read on from here.
    width: usize,
    /// Time of the processor.
    spent: Duration,
    /// Holds output between the decoder and who looks at it; empty between two runs.
    step: Vec<u8>,
}

/// Who looks at the output, in the job that makes it.
pub(super) trait Sink: Send + 'static {
    /// The next bytes.
    fn take(&mut self, output: &[u8]);

    /// The decoder, each time after what it made.
    fn look(&mut self, _decoder: &mut dyn Decoder) {}
}

/// What a run gave.
pub(super) struct Step<S> {
    pub(super) decoding: Decoding,
    pub(super) sink: S,
    pub(super) end: Option<std::result::Result<(), Damage>>,
}

impl Decoding {
    /// `decoder`, which stands behind `output` bytes and wants input from `next_input` on.
    pub(super) fn new(decoder: Box<dyn Decoder>, next_input: u64, output: u64) -> Self {
        let (input, step) = (Bytes::new(), Vec::new());
        Self {
            decoder,
            input,
            fed: 0,
            next_input,
            is_last: false,
            output,
            has_run: false,
            width: 1,
            spent: Duration::ZERO,
            step,
        }
    }

    /// Reads input, `max` bytes at most, where none is at hand. After an error it can be tried again.
    pub(super) async fn fill(&mut self, file: &dyn File, max: usize) -> Result<()> {
        if self.wants_input() {
            let input = file.read_at(self.next_input, max).await?;
            self.feed(input);
        }
        Ok(())
    }

    /// True where no input is at hand, and more may come.
    pub(super) fn wants_input(&self) -> bool {
        self.input.is_empty() && !self.is_last
    }

    /// Takes the input that follows; an empty piece is the end.
    pub(super) fn feed(&mut self, input: Bytes) {
        self.next_input += input.len() as u64;
        self.is_last = input.is_empty();
        self.fed = input.len();
        self.input = input;
    }

    /// Decodes at most `room` bytes more of the input at hand, in a job. A dropped future leaves nothing behind: the
    /// decoding is gone.
    pub(super) async fn run<S: Sink>(self, room: usize, sink: S) -> Result<Step<S>> {
        jobs::cpu("read_at", move || self.go(room, sink)).await
    }

    fn go<S: Sink>(mut self, room: usize, mut sink: S) -> Step<S> {
        let begun = clock_gettime(ClockId::ThreadCPUTime);
        let mut left = room;
        self.has_run = true;
        let end = loop {
            let decoded =
                self.decoder.decode(&self.input, self.is_last, &mut self.step, left.min(STEP_BYTES));
            self.output += self.step.len() as u64;
            left -= self.step.len();
            sink.take(&self.step);
            sink.look(&mut *self.decoder);
            self.step.clear();
            match decoded {
                Ok(progress) => {
                    self.input.advance(progress.consumed);
                    match progress.next {
                        Next::End => break Some(Ok(())),
                        Next::Input => break None,
                        Next::Room if left == 0 => break None,
                        Next::Room => {}
                    }
                }
                Err(damage) => break Some(Err(damage)),
            }
        };
        let spent = clock_gettime(ClockId::ThreadCPUTime) - begun;
        self.spent += Duration::try_from(spent).unwrap_or_default();
        Step { decoding: self, sink, end }
    }

    /// How much was decoded up to here, from the start of the content.
    pub(super) fn output(&self) -> u64 {
        self.output
    }

    /// How much compressed input was taken, from the start of the file.
    pub(super) fn input(&self) -> u64 {
        self.next_input - self.input.len() as u64
    }

    /// Where the input begins that is to be read next.
    pub(super) fn next_input(&self) -> u64 {
        self.next_input
    }

    /// What the input at hand takes in memory.
    pub(super) fn input_bytes(&self) -> usize {
        if self.input.is_empty() { 0 } else { self.fed }
    }

    /// What its decoder takes in memory, where it says so.
    pub(super) fn decoder_bytes(&self) -> Option<usize> {
        self.decoder.memory_bytes()
    }

    /// Time of the processor that its runs took.
    pub(super) fn spent(&self) -> Duration {
        self.spent
    }

    /// Gives back what is needed in a run only.
    pub(super) fn shrink(&mut self) {
        self.step = Vec::new();
        if self.input.is_empty() {
            // Nothing of a piece keeps all of it.
            self.input = Bytes::new();
        }
    }

    /// How many blocks to make for who reads on: twice as many each time, `most` at most, so that a read that only
    /// crosses into the next block costs no more than that block.
    pub(super) fn widen(&mut self, most: usize) -> usize {
        let width = self.width;
        self.width = most.min(width * 2);
        width
    }

    /// False for one that has only been set up.
    pub(super) fn has_run(&self) -> bool {
        self.has_run
    }
}

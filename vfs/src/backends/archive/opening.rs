//! Where a stream begins: its magic, or what is there instead.
//!
//! Files of several streams, one behind the other, are one stream to their readers. Zeros behind the last are padding.
//! Other bytes there are no damage either, for what came before is whole; the reader is told of them.

use super::codec::Damage;
use super::foreign::{self, FOREIGN_BYTES};
use super::steps::take;

/// How a format's streams begin.
pub(super) struct Format {
    /// Its name, to stand before "stream".
    pub(super) name: &'static str,
    /// How its files begin, for people.
    pub(super) magic: &'static [u8],
    /// Bytes of the magic that is looked for.
    pub(super) magic_bytes: usize,
    /// Whether a magic can begin with these bytes, as many or fewer.
    pub(super) fits: fn(&[u8]) -> bool,
}

/// The search for a magic that is under way, or has come to the end of the streams.
pub(super) struct Opening {
    must: Must,
    /// What was taken of it.
    head: Vec<u8>,
    is_over: bool,
    /// What is there behind the last stream, for people.
    remark: Option<String>,
}

/// What must, or may, follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    /// The file's first stream.
    First,
    /// The stream that a seek point names.
    Named,
    /// Another stream, padding, or whatever somebody appended.
    Another,
}

/// What was found.
pub(super) enum Opened {
    /// Nothing yet: all input is taken.
    Input,
    /// A stream, with this magic.
    Stream(Vec<u8>),
    /// No stream, and none will come.
    End,
}

impl Opening {
    pub(super) fn first() -> Self {
        Self::of(Must::First)
    }

    pub(super) fn named() -> Self {
        Self::of(Must::Named)
    }

    pub(super) fn another() -> Self {
        Self::of(Must::Another)
    }

    fn of(must: Must) -> Self {
        Self { must, head: Vec::new(), is_over: false, remark: None }
    }

    /// Takes some of `rest`; `input` bytes were taken before.
    pub(super) fn take(
        &mut self,
        format: &Format,
        input: &mut u64,
        rest: &mut &[u8],
    ) -> Result<Opened, Damage> {
        if self.is_over {
            return Ok(Opened::End);
        }
        if self.must == Must::Another && self.head.is_empty() {
            let zeros = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
            take(input, rest, zeros);
        }
        while self.head.len() < format.magic_bytes && (format.fits)(&self.head) {
            if rest.is_empty() {
                return Ok(Opened::Input);
            }
            self.head.extend_from_slice(take(input, rest, 1));
        }
        if (format.fits)(&self.head) {
            return Ok(Opened::Stream(std::mem::take(&mut self.head)));
        }
        let at = *input - self.head.len() as u64;
        match self.must {
            Must::First => {
                let len = rest.len().min(FOREIGN_BYTES - self.head.len());
                self.head.extend_from_slice(take(input, rest, len));
                if self.head.len() == FOREIGN_BYTES { Err(self.foreign(format)) } else { Ok(Opened::Input) }
            }
            Must::Named => Err(Damage::new(format!(
                "no {} stream begins at its byte {at}, where its index has one",
                format.name
            ))),
            Must::Another => {
                (self.is_over, self.remark) = (true, Some(remark(format, at)));
                Ok(Opened::End)
            }
        }
    }

    /// Takes it that no input follows the `input` bytes taken: the streams have ended, if they may.
    pub(super) fn end(&mut self, format: &Format, input: u64) -> Result<(), Damage> {
        let at = input - self.head.len() as u64;
        match self.must {
            _ if self.is_over => {}
            Must::Another if self.head.is_empty() => {}
            Must::Another => self.remark = Some(remark(format, at)),
            Must::First if input == 0 => return Err(Damage::cut("it is empty")),
            Must::First if !(format.fits)(&self.head) => return Err(self.foreign(format)),
            Must::First | Must::Named => {
                let what =
                    format!("it ends early, after {input} bytes, where a {} stream begins", format.name);
                return Err(Damage::cut(what));
            }
        }
        self.is_over = true;
        Ok(())
    }

    /// What is odd about the end, once it was found.
    pub(super) fn remark(&self) -> Option<String> {
        self.remark.clone()
    }

    fn foreign(&self, format: &Format) -> Damage {
        Damage::new(foreign::describe(format.name, format.magic, &self.head))
    }
}

fn remark(format: &Format, at: u64) -> String {
    format!("what follows the last {0} stream, from its byte {at} on, is no {0}", format.name)
}

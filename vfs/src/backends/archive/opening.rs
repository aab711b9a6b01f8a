//! Where a stream begins: its magic, or what is there instead.
//!
//! Files of several streams, one behind the other, are one stream to their readers. Zeros behind the last are padding.
//! Other bytes there are no damage either, for what came before is whole; the reader is told of them.

use super::codec::{Damage, Next};
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

/// The search for a magic that is under way.
pub(super) struct Opening {
    must: Must,
    /// What was taken of it.
    head: Vec<u8>,
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
    /// No stream: a remark on what is there.
    End(String),
}

impl Opening {
    pub(super) fn first() -> Self {
        Self { must: Must::First, head: Vec::new() }
    }

    pub(super) fn named() -> Self {
        Self { must: Must::Named, head: Vec::new() }
    }

    pub(super) fn another() -> Self {
        Self { must: Must::Another, head: Vec::new() }
    }

    /// Takes some of `rest`; `input` bytes were taken before.
    pub(super) fn take(
        &mut self,
        format: &Format,
        input: &mut u64,
        rest: &mut &[u8],
    ) -> Result<Opened, Damage> {
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
            Must::Another => Ok(Opened::End(remark(format, at))),
        }
    }

    /// What it means that no input follows the `input` bytes taken: an end, with or without a remark.
    pub(super) fn end(&self, format: &Format, input: u64) -> Result<(Next, Option<String>), Damage> {
        let at = input - self.head.len() as u64;
        match self.must {
            Must::Another if self.head.is_empty() => Ok((Next::End, None)),
            Must::Another => Ok((Next::End, Some(remark(format, at)))),
            Must::First if input == 0 => Err(Damage::cut("it is empty")),
            Must::First if !(format.fits)(&self.head) => Err(self.foreign(format)),
            Must::First | Must::Named => Err(Damage::cut(format!(
                "it ends early, after {input} bytes, where a {} stream begins",
                format.name
            ))),
        }
    }

    fn foreign(&self, format: &Format) -> Damage {
        Damage::new(foreign::describe(format.name, format.magic, &self.head))
    }
}

fn remark(format: &Format, at: u64) -> String {
    format!("what follows the last {0} stream, from its byte {at} on, is no {0}", format.name)
}

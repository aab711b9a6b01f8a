//! Where a command writes: results on one side, complaints on the other.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};

use vfs::path::escaped;

use crate::failure::Failure;

/// Output that is gathered before it is written, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// Standard output and standard error, or what stands in for them. Writing waits for whoever reads: a command has nothing
/// else to do meanwhile, and a server writes a few lines at its start.
pub struct Console {
    out: BufWriter<Box<dyn Write + Send>>,
    err: Box<dyn Write + Send>,
    /// People read the results: names are escaped, and every line is shown at once.
    terminal: bool,
    complaints: usize,
}

impl Console {
    /// The process's own.
    pub fn standard() -> Self {
        let terminal = io::stdout().is_terminal();
        Self { terminal, ..Self::new(io::stdout(), io::stderr()) }
    }

    /// Writes results to `out` and complaints to `err`, neither of them a terminal.
    pub fn new(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        let out: Box<dyn Write + Send> = Box::new(out);
        Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, out),
            err: Box::new(err),
            terminal: false,
            complaints: 0,
        }
    }

    /// Writes one line of results.
    ///
    /// # Errors
    /// [`Failure::ReaderGone`], or the operation that failed.
    pub fn line(&mut self, line: impl AsRef<[u8]>) -> Result<(), Failure> {
        self.record(line.as_ref(), b"\n")
    }

    /// Writes one result and what ends it.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub fn record(&mut self, record: &[u8], end: &[u8]) -> Result<(), Failure> {
        self.bytes(record)?;
        self.bytes(end)?;
        if self.terminal { self.flush() } else { Ok(()) }
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).map_err(|error| Failure::of_output(&error))
    }

    /// Hands on what was gathered.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::of_output(&error))
    }

    /// A name or path as it is shown: escaped on a terminal, byte for byte otherwise.
    pub fn shown<'a>(&self, name: impl Into<Cow<'a, [u8]>>) -> Cow<'a, [u8]> {
        let name = name.into();
        if self.terminal { Cow::Owned(escaped(&name).to_string().into_bytes()) } else { name }
    }

    /// Says what went wrong in one line; the command goes on and [`Console::end`] will fail.
    pub fn complain(&mut self, message: impl fmt::Display) {
        self.complaints += 1;
        // What stands before it belongs before it. A console that is gone has nobody to tell.
        let _ = self.out.flush();
        let _ = writeln!(self.err, "vfsd: {message}");
    }

    /// Says something for people, or for whoever waits for it, beside the results.
    pub fn note(&mut self, note: impl fmt::Display) {
        let _ = writeln!(self.err, "{note}");
    }

    /// Hands on what is left.
    ///
    /// # Errors
    /// As [`Console::line`]; [`Failure::Reported`] where anything was complained about.
    pub fn end(&mut self) -> Result<(), Failure> {
        self.flush()?;
        if self.complaints > 0 { Err(Failure::Reported) } else { Ok(()) }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

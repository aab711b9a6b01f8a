//! [`Rows`]: the entries of a folder, as they come over a data connection.

use bytes::BytesMut;

use super::data::{Data, Piece, Use};
use super::error::Fault;
use super::listing::{Clock, Line, Lines, Machine, Row, machine};
use super::upload::is_part;
use super::wire::Wire;
use crate::backends::remote::Seen;
use crate::error::ErrorKind;
use crate::file_system::DirStream;
use crate::path::VPath;

/// Longest row that is read.
const ROW_BYTES: usize = 8 * 1024;

/// Entries of one folder at most.
const ROWS: usize = 1_000_000;

/// How a folder is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// MLSD.
    Facts,
    /// LIST, with hidden entries.
    All,
    /// LIST.
    Plain,
}

/// A listing that is being read.
pub(super) struct Rows {
    /// `None`: it has ended.
    data: Option<Data>,
    folder: Vec<u8>,
    /// `None`: the rows are MLSD's.
    lines: Option<Lines>,
    rest: BytesMut,
    seen: Seen,
    question: Question,
    /// Rows that nobody understood.
    unknown: usize,
    is_at_end: bool,
    /// What comes is of use: the heading of another folder was not seen.
    understood: bool,
}

impl Rows {
    /// Makes `folder` the working folder and lists that: a path in the command itself would be a pattern to some sites,
    /// and options to others.
    pub(super) async fn start(wire: &mut Wire, folder: &[u8]) -> Result<Self, Fault> {
        if wire.lore().has_mlsd() {
            wire.expect_of("CWD", folder, &[200, 250]).await?;
            match Question::Facts.ask(wire).await {
                Ok(data) => return Ok(Self::new(Question::Facts, Some(data), folder, None)),
                Err(fault) if matches!(fault.code(), Some(500 | 502 | 504)) => wire.lore().no_mlsd.set(),
                Err(fault) => return Err(fault),
            }
        }
        Self::start_long(wire, folder).await
    }

    /// The same, by LIST.
    pub(super) async fn start_long(wire: &mut Wire, folder: &[u8]) -> Result<Self, Fault> {
        wire.expect_of("CWD", folder, &[200, 250]).await?;
        let lines = Lines::new(Clock::system(wire.zone_minutes()));
        let (question, data) = list(wire).await?;
        Ok(Self::new(question, data, folder, Some(lines)))
    }

    /// Leaves out the names in `seen`, which an earlier listing has told.
    pub(super) fn without(mut self, seen: Seen) -> Self {
        self.seen = seen;
        self
    }

    /// The names that were told, and those that were left out.
    pub(super) fn into_seen(self) -> Seen {
        self.seen
    }

    fn new(question: Question, data: Option<Data>, folder: &[u8], lines: Option<Lines>) -> Self {
        Self {
            data,
            question,
            folder: folder.to_vec(),
            lines,
            rest: BytesMut::new(),
            seen: Seen::default(),
            unknown: 0,
            is_at_end: false,
            understood: false,
        }
    }

    /// The next entries; `None` at an end that the site has confirmed.
    pub(super) async fn next(&mut self, wire: &mut Wire) -> Result<Option<Vec<Row>>, Fault> {
        let batch = self.pull(wire).await;
        match (batch, self.data.take()) {
            (Err(fault), Some(data)) => Err(wire.leave(data, fault).await),
            (batch, data) => {
                self.data = data;
                batch
            }
        }
    }

    async fn pull(&mut self, wire: &mut Wire) -> Result<Option<Vec<Row>>, Fault> {
        loop {
            let batch = self.take_rows()?;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
            let Some(data) = self.data.as_mut().filter(|_| !self.is_at_end) else {
                self.end(wire).await?;
                if self.is_doubtful(wire) {
                    self.ask_plainly(wire).await?;
                    continue;
                }
                return Ok(None);
            };
            match data.next(wire.stall()).await? {
                Piece::Bytes(bytes) => self.rest.extend_from_slice(&bytes),
                Piece::Cut => {
                    let detail = "the listing's data connection was cut, without a word of its end";
                    return Err(Fault::lost(ErrorKind::Truncated, detail));
                }
                Piece::End => {
                    self.is_at_end = true;
                    if !self.rest.is_empty() {
                        self.rest.extend_from_slice(b"\n");
                    }
                }
            }
        }
    }

    /// True where nothing at all was listed by a site that may look for something of the name `-a`: the others name the
    /// folder itself.
    fn is_doubtful(&self, wire: &Wire) -> bool {
        self.question == Question::All && !self.understood && !wire.lore().has_list_all.is_set()
    }

    /// Lists the same folder once more, without options.
    async fn ask_plainly(&mut self, wire: &mut Wire) -> Result<(), Fault> {
        (self.question, self.data) = list_plainly(wire).await?;
        self.is_at_end = false;
        Ok(())
    }

    /// Ends a listing that nobody reads on.
    pub(super) async fn leave(mut self, wire: &mut Wire) {
        if let Some(data) = self.data.take() {
            wire.abort(data).await;
        }
    }

    async fn end(&mut self, wire: &mut Wire) -> Result<(), Fault> {
        if let Some(data) = self.data.take() {
            wire.finish(data).await?;
        }
        if self.unknown > 0 && !self.understood {
            return Err(corrupt("the site's listing is in no format that is known here"));
        }
        match self.question {
            Question::All if self.understood => wire.lore().has_list_all.set(),
            Question::Plain if self.understood && !wire.lore().has_list_all.is_set() => {
                wire.lore().no_list_all.set()
            }
            _ => {}
        }
        Ok(())
    }

    /// The entries among the whole rows that have come, a batch at most.
    fn take_rows(&mut self) -> Result<Vec<Row>, Fault> {
        let mut batch = Vec::new();
        while batch.len() < DirStream::BATCH
            && let Some(end) = self.rest.iter().position(|byte| *byte == b'\n')
        {
            let line = self.rest.split_to(end + 1);
            let line = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
            if let Some(row) = self.read(line)?
                && is_name(&row.name)
                && self.seen.is_new(&row.name)
            {
                batch.push(row);
            }
        }
        if self.rest.len() > ROW_BYTES && batch.is_empty() {
            return Err(corrupt("the site's listing has a row without an end"));
        }
        if let Some(limit) = self.seen.exceeds(ROWS) {
            return Err(Fault::lost(ErrorKind::LimitExceeded, format!("the folder holds more than {limit}")));
        }
        Ok(batch)
    }

    fn read(&mut self, line: &[u8]) -> Result<Option<Row>, Fault> {
        let row = match &mut self.lines {
            None => match machine(line) {
                Some(Machine::Entry(row)) => Some(row),
                Some(Machine::Here(name)) => {
                    self.check_folder(&name)?;
                    self.understood = true;
                    None
                }
                Some(Machine::Above) => None,
                None => {
                    self.unknown += usize::from(!line.is_empty());
                    None
                }
            },
            Some(lines) => match lines.read(line) {
                Line::Entry(row) => Some(row),
                Line::Heading(name) => {
                    self.check_folder(&name)?;
                    None
                }
                Line::Nothing => None,
                Line::Unknown => {
                    self.unknown += 1;
                    None
                }
            },
        };
        self.understood |= row.is_some();
        Ok(row)
    }

    /// A site that names the folder it lists must name the one that was asked for; only a whole path says enough.
    fn check_folder(&self, name: &[u8]) -> Result<(), Fault> {
        let is_whole = name.starts_with(b"/") && !self.folder.is_empty();
        let fits = name == b"/" && self.folder.is_empty() || name.ends_with(&self.folder);
        if is_whole && !fits {
            return Err(corrupt("the site lists another folder than the one asked for"));
        }
        Ok(())
    }
}

impl Question {
    async fn ask(self, wire: &mut Wire) -> Result<Data, Fault> {
        let command = match self {
            Self::Facts => "MLSD",
            Self::All => "LIST -a",
            Self::Plain => "LIST",
        };
        wire.open(Use::List(command), b"", 0).await
    }
}

/// LIST, with hidden entries where the site knows how. `None`: the folder is empty, as some say with a refusal.
async fn list(wire: &mut Wire) -> Result<(Question, Option<Data>), Fault> {
    if !wire.lore().no_list_all.is_set() {
        match Question::All.ask(wire).await {
            Err(Fault::Refused(reply)) if reply.code >= 500 => wire.lore().no_list_all.set(),
            // Nothing is there, or nothing of the name `-a`.
            Err(Fault::Refused(reply)) if reply.code == 450 => {}
            opened => return opened.map(|data| (Question::All, Some(data))),
        }
    }
    list_plainly(wire).await
}

async fn list_plainly(wire: &mut Wire) -> Result<(Question, Option<Data>), Fault> {
    match Question::Plain.ask(wire).await {
        Err(Fault::Refused(reply)) if matches!(reply.code, 450 | 550) => Ok((Question::Plain, None)),
        opened => opened.map(|data| (Question::Plain, Some(data))),
    }
}

/// What cannot be one name in one folder is left out, whatever the site means by it.
fn is_name(name: &[u8]) -> bool {
    name != b"." && name != b".." && !is_part(name) && VPath::root().child(name.to_vec()).is_ok()
}

fn corrupt(detail: &'static str) -> Fault {
    Fault::lost(ErrorKind::Corrupt, detail)
}

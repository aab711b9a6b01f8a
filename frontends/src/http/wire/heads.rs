//! [`Heads`]: the stricter look at HTTP/1 message heads, before hyper's.
//!
//! hyper decides what a request is; this only refuses, and so needs to know where heads begin and end. What is
//! refused is what hyper takes or words otherwise: a version that is not spoken here, a line that ends without CR, a
//! body with two lengths, and one with codings other than one `chunked`. Each lets somebody before us see other messages than we do (RFC 9112 §11.2).

/// Bytes of one line that are kept while it is incomplete. hyper refuses a longer head of its own accord.
const LINE_BYTES: usize = 64 * 1024;

/// Follows the messages of one connection.
#[derive(Debug, Default)]
pub(in crate::http) struct Heads {
    place: Place,
    /// The beginning of a line that came in pieces.
    line: Vec<u8>,
    /// What the head says so far of the body's length.
    length: Option<u64>,
    is_chunked: bool,
}

/// Where in a message the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In the request line, or an empty line before it.
    #[default]
    Start,
    /// In a field's line.
    Field,
    /// In a body, with so many bytes left.
    Body(u64),
    /// In the line that states a chunk's size.
    ChunkSize,
    /// In a chunk, its CRLF included.
    Chunk(u64),
    /// In the lines after the last chunk.
    Trailer,
    /// After something that hyper is going to refuse: nothing more is looked at.
    Lost,
}

/// Why a connection is not read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Fault {
    /// A version other than HTTP/1.0 and HTTP/1.1 (RFC 9110 §15.6.6).
    Version,
    /// A line of a head ends with LF alone. RFC 9112 §2.2 lets a recipient take that; not all do, which is the danger.
    LoneLf,
    /// A body has a coding that is not known here, or several (RFC 9112 §6.1).
    Coding,
    /// A body has both `Content-Length` and `Transfer-Encoding` (RFC 9112 §6.1).
    TwoLengths,
}

impl Heads {
    /// Looks at the next bytes of the connection.
    ///
    /// # Errors
    /// The fault, and how many of the bytes come before the line that has it. Nothing after it is to be read.
    pub(in crate::http) fn admit(&mut self, bytes: &[u8]) -> Result<(), (usize, Fault)> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.place {
                Place::Lost => return Ok(()),
                Place::Body(left) | Place::Chunk(left) => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= count as u64;
                    at += count;
                    match self.place {
                        Place::Body(0) => self.place = Place::Start,
                        Place::Chunk(0) => self.place = Place::ChunkSize,
                        _ => {}
                    }
                }
                Place::Start | Place::Field | Place::ChunkSize | Place::Trailer => {
                    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                        self.keep(rest);
                        return Ok(());
                    };
                    self.take_line(&rest[..end]).map_err(|fault| (at, fault))?;
                    at += end + 1;
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.line.len() + piece.len() > LINE_BYTES {
            self.place = Place::Lost;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(piece);
        }
    }

    /// Takes the end of a line, without its LF.
    fn take_line(&mut self, end: &[u8]) -> Result<(), Fault> {
        if self.line.is_empty() {
            return self.read_line(end);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(end);
        self.read_line(&line)
    }

    fn read_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Some(line) = line.strip_suffix(b"\r") else {
            // In a body hyper reads the chunks, and refuses this.
            if let Place::Start | Place::Field = self.place {
                return Err(Fault::LoneLf);
            }
            self.place = Place::Lost;
            return Ok(());
        };
        match (self.place, line) {
            (Place::Start, b"") => {}
            (Place::Start, line) => {
                expect_version(line)?;
                (self.length, self.is_chunked) = (None, false);
                self.place = Place::Field;
            }
            (Place::Field, b"") => self.place = self.after_head()?,
            (Place::Field, line) => self.read_field(line)?,
            (Place::ChunkSize, line) => self.place = after_chunk_size(line),
            (Place::Trailer, b"") => self.place = Place::Start,
            (_, _) => {}
        }
        Ok(())
    }

    fn read_field(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(()) };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            // A length that is none is hyper's to refuse, and so are two.
            self.length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()).or(Some(0));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::Coding);
            }
            self.is_chunked = true;
        }
        Ok(())
    }

    fn after_head(&self) -> Result<Place, Fault> {
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(Fault::TwoLengths),
            (None, true) => Ok(Place::ChunkSize),
            (None | Some(0), false) => Ok(Place::Start),
            (Some(length), false) => Ok(Place::Body(length)),
        }
    }
}

/// Refuses a version that is one and is not ours; whatever is none is hyper's to refuse.
fn expect_version(line: &[u8]) -> Result<(), Fault> {
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or(line);
    match version {
        b"HTTP/1.0" | b"HTTP/1.1" => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Fault::Version)
        }
        _ => Ok(()),
    }
}

fn after_chunk_size(line: &[u8]) -> Place {
    let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next().unwrap_or(line);
    let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match size.map(|size| size.checked_add(2)) {
        Some(Some(2)) => Place::Trailer,
        Some(Some(with_end)) => Place::Chunk(with_end),
        Some(None) | None => Place::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each message is refused: the bytes before, and why.
    #[test]
    fn heads_are_looked_at_and_bodies_are_passed_over() {
        const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 13\r\n\r\n";
        const CHUNKS: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        let bad = "GET / HTTP/1.2\r\n";
        for (text, fault) in [
            (GET.repeat(3), None),
            (format!("\r\n\r\n{GET}"), None),
            ("GET /\r\n".into(), None),
            ("GET / http/1.1\r\n".into(), None),
            ("GET / HTTP/1.2\r\n".into(), Some(Fault::Version)),
            ("GET / HTTP/2.0\r\n".into(), Some(Fault::Version)),
            ("GET / HTTP/1.1\n".into(), Some(Fault::LoneLf)),
            ("\n".into(), Some(Fault::LoneLf)),
            ("GET / HTTP/1.1\r\nHost: x\n\r\n".into(), Some(Fault::LoneLf)),
            ("GET / HTTP/1.1\r\nHost: x\r\n\n".into(), Some(Fault::LoneLf)),
            // What is in a body is no head, and what follows it is one.
            (format!("{POST}GET / HTTP/1\n{GET}"), None),
            (format!("{POST}GET / HTTP/1\n{bad}"), Some(Fault::Version)),
            (format!("{CHUNKS}5;x=y\r\nGET\n\n\r\n0\r\nT: 1\r\n\r\n{GET}"), None),
            (format!("{CHUNKS}5\r\nGET\n\n\r\n0\r\nT: 1\r\n\r\n{bad}"), Some(Fault::Version)),
            // hyper ends the connection at these.
            (format!("{CHUNKS}5\nhello\r\n0\r\n\r\n{bad}"), None),
            (format!("{CHUNKS}0x5\r\nhello\r\n0\r\n\r\n{bad}"), None),
            (format!("{CHUNKS}ffffffffffffffff\r\n{bad}"), None),
            (
                "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
                Some(Fault::TwoLengths),
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\ncontent-LENGTH: 0\r\n\r\n".into(),
                Some(Fault::TwoLengths),
            ),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n".into(), Some(Fault::Coding)),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".into(),
                Some(Fault::Coding),
            ),
        ] {
            let whole = Heads::default().admit(text.as_bytes());
            assert_eq!(whole.map_err(|(_, fault)| fault).err(), fault, "{text:?}");
            let mut heads = Heads::default();
            let by_bytes = text.as_bytes().iter().find_map(|byte| heads.admit(&[*byte]).err());
            assert_eq!(by_bytes.map(|(_, fault)| fault), fault, "{text:?} byte by byte");
        }
        assert_eq!(
            Heads::default().admit(format!("{GET}{bad}").as_bytes()),
            Err((GET.len(), Fault::Version))
        );
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_ever() {
        let mut heads = Heads::default();
        for _ in 0..=LINE_BYTES {
            heads.admit(b"x").unwrap();
        }
        assert_eq!((heads.place, heads.line.capacity()), (Place::Lost, 0));
    }
}

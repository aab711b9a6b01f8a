//! [`Heads`]: the stricter look at HTTP/1 message heads, before hyper's.
//!
//! hyper decides what a request is; this only refuses, and so needs to know where heads begin and end. What is
//! refused is what hyper takes or words otherwise: a version that is not spoken here, a line that ends without CR, a
//! body with two lengths, and one with codings other than one `chunked`. Each lets somebody before us see other messages than we do (RFC 9112 §11.2).

/// Follows the messages of one connection. Where it cannot follow any longer, nothing more is read.
#[derive(Debug)]
pub(in crate::http) struct Heads {
    /// Bytes of one line that are kept while it is incomplete.
    line_bytes: usize,
    place: Place,
    /// The beginning of a line that came in pieces.
    line: Vec<u8>,
    /// What the head says so far of the body's length.
    length: Option<u64>,
    is_chunked: bool,
}

/// Where in a message the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the request line, or an empty line before it.
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
    /// A line has no end (RFC 6585 §5).
    LongLine,
    /// The framing of a body is broken (RFC 9112 §7.1): its request hears of it where it reads the body.
    Body,
    /// A body has both `Content-Length` and `Transfer-Encoding` (RFC 9112 §6.1).
    TwoLengths,
}

impl Heads {
    /// At the beginning of a connection, with lines of at most `line_bytes`.
    pub(in crate::http) fn new(line_bytes: usize) -> Self {
        Self { line_bytes, place: Place::Start, line: Vec::new(), length: None, is_chunked: false }
    }

    /// Looks at the next bytes of the connection.
    ///
    /// # Errors
    /// The fault, and how many of the bytes come before the line that has it. Nothing after it is to be read.
    pub(in crate::http) fn admit(&mut self, bytes: &[u8]) -> Result<(), (usize, Fault)> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.place {
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
                        return self.keep(rest).map_err(|fault| (at, self.placed(fault)));
                    };
                    self.take_line(&rest[..end]).map_err(|fault| (at, self.placed(fault)))?;
                    at += end + 1;
                }
            }
        }
        Ok(())
    }

    fn placed(&self, fault: Fault) -> Fault {
        if matches!(self.place, Place::ChunkSize | Place::Trailer) { Fault::Body } else { fault }
    }

    fn keep(&mut self, piece: &[u8]) -> Result<(), Fault> {
        if self.line.len() + piece.len() > self.line_bytes {
            return Err(Fault::LongLine);
        }
        self.line.extend_from_slice(piece);
        Ok(())
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
        // In the trailer hyper would take it for a part of a field, and what follows for the rest of the trailer.
        let Some(line) = line.strip_suffix(b"\r") else { return Err(Fault::LoneLf) };
        match (self.place, line) {
            (Place::Start, b"") => {}
            (Place::Start, line) => {
                expect_version(line)?;
                (self.length, self.is_chunked) = (None, false);
                self.place = Place::Field;
            }
            (Place::Field, b"") => self.place = self.after_head()?,
            (Place::Field, line) => self.read_field(line)?,
            (Place::ChunkSize, line) => self.place = after_chunk_size(line)?,
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

fn after_chunk_size(line: &[u8]) -> Result<Place, Fault> {
    let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next().unwrap_or(line);
    let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match size.and_then(|size| size.checked_add(2)) {
        Some(2) => Ok(Place::Trailer),
        Some(with_end) => Ok(Place::Chunk(with_end)),
        None => Err(Fault::Body),
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
            (format!("{CHUNKS}5\nhello\r\n0\r\n\r\n{bad}"), Some(Fault::Body)),
            (format!("{CHUNKS}0\r\nA: b\n\r\nC: d\r\n\r\n{bad}"), Some(Fault::Body)),
            (format!("{CHUNKS}0\r\nA: b\r\n\n{GET}"), Some(Fault::Body)),
            (format!("{CHUNKS}0x5\r\nhello\r\n0\r\n\r\n{bad}"), Some(Fault::Body)),
            (format!("{CHUNKS}ffffffffffffffff\r\n{bad}"), Some(Fault::Body)),
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
            let whole = Heads::new(1000).admit(text.as_bytes());
            assert_eq!(whole.map_err(|(_, fault)| fault).err(), fault, "{text:?}");
            let mut heads = Heads::new(1000);
            let by_bytes = text.as_bytes().iter().find_map(|byte| heads.admit(&[*byte]).err());
            assert_eq!(by_bytes.map(|(_, fault)| fault), fault, "{text:?} byte by byte");
        }
        assert_eq!(
            Heads::new(1000).admit(format!("{GET}{bad}").as_bytes()),
            Err((GET.len(), Fault::Version))
        );
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_ever() {
        let mut heads = Heads::new(1000);
        for _ in 0..1000 {
            heads.admit(b"x").unwrap();
        }
        assert_eq!(heads.admit(b"x"), Err((0, Fault::LongLine)));
    }
}

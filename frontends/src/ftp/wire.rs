//! Bytes ↔ lines and replies of a control connection (RFC 959 §4, §5; RFC 854). Pure: no socket, no tree.
//!
//! The control connection speaks Telnet: 0xFF starts a Telnet sequence and is doubled where it is meant, and a CR that
//! ends no line is followed by NUL. Clients send Telnet commands in front of a verb only (RFC 959 §4.1.3). lftp and others
//! double 0xFF in names, curl, ncftp and ftplib do not, and none of them says so: a name in which it stands alone, or an
//! odd number of times, comes from one that does not, and from then on it is itself both ways. Until then two are one; so
//! who does not double, and begins with a name that holds it twice in a row, gets the one that holds it once.
//! A wrong line is a [`Line`] like any other: nothing a peer sends is an error here.

use std::borrow::Cow;

/// Longest command line kept. Longer ones are read to their end, are [`Line::TooLong`], and the session goes on.
pub(super) const MAX_LINE_BYTES: usize = 8 * 1024;

const IAC: u8 = 0xFF;

/// One line from a peer, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// What the line says; it may hold any byte but LF.
    Text(Vec<u8>),
    /// It was longer than [`MAX_LINE_BYTES`] and is forgotten.
    TooLong,
}

/// Turns bytes into lines, across any split. It holds one unfinished line at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decoder {
    line: Vec<u8>,
    too_long: bool,
    /// The verb is over, and what follows is a name or the like.
    in_argument: bool,
    telnet: Telnet,
    /// The peer knows nothing of doubling.
    is_literal: bool,
    /// A CR came, and what follows decides what it was.
    after_cr: bool,
}

/// Where in a Telnet sequence the last byte left us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Telnet {
    #[default]
    Text,
    /// IAC came.
    Command,
    /// IAC and WILL, WONT, DO or DONT came; the option follows.
    Option,
}

impl Decoder {
    /// Takes bytes off the front of `input` up to the end of one line; `None` where `input` ends before it.
    pub(super) fn next_line(&mut self, input: &mut &[u8]) -> Option<Line> {
        while let Some((byte, rest)) = input.split_first() {
            *input = rest;
            if self.take(*byte) {
                self.after_cr = false;
                self.in_argument = false;
                let mut line = std::mem::take(&mut self.line);
                self.undouble_argument(&mut line);
                return Some(if std::mem::take(&mut self.too_long) {
                    Line::TooLong
                } else {
                    Line::Text(line)
                });
            }
        }
        None
    }

    /// True where no line has begun.
    pub(super) fn is_between_lines(&self) -> bool {
        *self == Self { is_literal: self.is_literal, ..Self::default() }
    }

    /// True where 0xFF is doubled both ways.
    pub(super) fn doubles(&self) -> bool {
        !self.is_literal
    }

    /// Makes one 0xFF of two behind the verb, for a peer that may double them.
    fn undouble_argument(&mut self, line: &mut Vec<u8>) {
        let verb = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let argument = &line[verb..];
        self.is_literal |=
            argument.chunk_by(|a, b| a == b).any(|run| run[0] == IAC && !run.len().is_multiple_of(2));
        if self.is_literal || !argument.contains(&IAC) {
            return;
        }
        let mut opens_pair = false;
        let meant = argument.iter().copied().filter(|byte| {
            opens_pair = *byte == IAC && !opens_pair;
            *byte != IAC || opens_pair
        });
        let meant: Vec<u8> = meant.collect();
        line.truncate(verb);
        line.extend(meant);
    }

    /// Takes one byte as it came; true at the end of a line.
    fn take(&mut self, byte: u8) -> bool {
        match (self.telnet, byte) {
            (Telnet::Text, IAC) if !self.in_argument => self.telnet = Telnet::Command,
            (Telnet::Text, byte) => return self.put(byte),
            (Telnet::Command, 251..=254) => self.telnet = Telnet::Option,
            (Telnet::Command, 240..=250) => self.telnet = Telnet::Text,
            (Telnet::Option, _) => self.telnet = Telnet::Text,
            (Telnet::Command, IAC) => {
                self.telnet = Telnet::Text;
                self.put(IAC);
            }
            // No Telnet command here: the peer knows nothing of doubling and meant the byte.
            (Telnet::Command, byte) => {
                self.telnet = Telnet::Text;
                self.put(IAC);
                return self.put(byte);
            }
        }
        false
    }

    /// Takes one byte free of Telnet; true at the end of a line.
    fn put(&mut self, byte: u8) -> bool {
        let after_cr = std::mem::take(&mut self.after_cr);
        match byte {
            b'\n' => return true,
            0 if after_cr => self.keep(b'\r'),
            _ => {
                if after_cr {
                    self.keep(b'\r');
                }
                match byte {
                    b'\r' => self.after_cr = true,
                    byte => self.keep(byte),
                }
            }
        }
        false
    }

    fn keep(&mut self, byte: u8) {
        self.in_argument |= byte == b' ';
        if self.too_long {
            return;
        }
        if self.line.len() < MAX_LINE_BYTES {
            self.line.push(byte);
        } else {
            self.too_long = true;
            self.line = Vec::new();
        }
    }
}

/// One answer: a code and what it says. More lines than one make it a multi-line reply (RFC 959 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// The three digits.
    pub(super) code: u16,
    /// The lines in between first and last; each goes out as it stands.
    pub(super) lines: Vec<Cow<'static, [u8]>>,
    /// The first line where there are several; unused in a reply of one line.
    pub(super) head: Cow<'static, [u8]>,
    /// The last line, or the only one.
    pub(super) text: Cow<'static, [u8]>,
}

impl Reply {
    /// A reply of one line.
    pub(super) fn new(code: u16, text: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { code, lines: Vec::new(), head: Cow::Borrowed(b""), text: text.into() }
    }

    /// A reply of one fixed line.
    pub(super) const fn fixed(code: u16, text: &'static str) -> Self {
        Self { code, lines: Vec::new(), head: Cow::Borrowed(b""), text: Cow::Borrowed(text.as_bytes()) }
    }

    /// A reply of several lines: `head`, `lines`, and `End`.
    pub(super) fn block(
        code: u16,
        head: impl Into<Cow<'static, [u8]>>,
        lines: Vec<Cow<'static, [u8]>>,
    ) -> Self {
        Self { code, lines, head: head.into(), text: Cow::Borrowed(b"End") }
    }

    /// Appends the reply's bytes to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if !self.lines.is_empty() {
            encode_head(self.code, &self.head, out);
            for line in &self.lines {
                encode_text(line, out);
                out.extend_from_slice(b"\r\n");
            }
        }
        encode_end(self.code, &self.text, out);
    }
}

/// Appends the first line of a multi-line reply.
pub(super) fn encode_head(code: u16, text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(code.to_string().as_bytes());
    out.push(b'-');
    encode_text(text, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends the last line of a reply, or its only one.
pub(super) fn encode_end(code: u16, text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(code.to_string().as_bytes());
    out.push(b' ');
    encode_text(text, out);
    out.extend_from_slice(b"\r\n");
}

/// `text` as Telnet has it: 0xFF twice.
pub(super) fn doubled(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        out.push(*byte);
        if *byte == IAC {
            out.push(IAC);
        }
    }
    out
}

/// Appends text to a line. No name can end the line: see [`one_line`].
fn encode_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&one_line(text));
}

/// `text` with CR, LF and NUL escaped, so that it stays within one line; all other bytes as they are.
pub(super) fn one_line(text: &[u8]) -> Cow<'_, [u8]> {
    let breaks = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
    if !text.iter().any(breaks) {
        return Cow::Borrowed(text);
    }
    let mut line = Vec::with_capacity(text.len() + 4);
    for byte in text {
        match byte {
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\n' => line.extend_from_slice(b"\\n"),
            0 => line.extend_from_slice(b"\\0"),
            byte => line.push(*byte),
        }
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(mut input: &[u8]) -> Vec<Line> {
        let mut decoder = Decoder::default();
        std::iter::from_fn(|| decoder.next_line(&mut input)).collect()
    }

    fn text(line: &[u8]) -> Line {
        Line::Text(line.to_vec())
    }

    #[test]
    fn lines_are_cut_out_of_telnet() {
        for (input, lines) in [
            (&b"NOOP\r\n"[..], vec![text(b"NOOP")]),
            (b"NOOP\nPWD\r\nrest", vec![text(b"NOOP"), text(b"PWD")]),
            (b"\r\n\n", vec![text(b""), text(b"")]),
            (b"a\r\0b\r\n", vec![text(b"a\rb")]),
            (b"a\rb\r\r\n", vec![text(b"a\rb\r")]),
            (b"a\0b\n", vec![text(b"a\0b")]),
            // The attention sequence before ABOR: IAC IP, IAC DM (RFC 959 §4.1.3).
            (b"\xff\xf4\xff\xf2ABOR\r\n", vec![text(b"ABOR")]),
            (b"\xff\xfb\x01\xff\xfd\x03A\n", vec![text(b"A")]),
            (b"\xff\xff.txt\n", vec![text(b"\xff.txt")]),
            (b"\xff.txt\n", vec![text(b"\xff.txt")]),
            (b"a\xff\r\n", vec![text(b"a\xff")]),
            (b"a\r\xff\xf1\n", vec![text(b"a")]),
            (b"RETR \xff\xf1x\xff\xff\xff\xfe\n", vec![text(b"RETR \xff\xf1x\xff\xff\xff\xfe")]),
            (b"RETR \xff\xff\n\xff\xf1NOOP\n", vec![text(b"RETR \xff"), text(b"NOOP")]),
            (b"RETR a\xff\xff\xff\xffb\xff\xff\n", vec![text(b"RETR a\xff\xffb\xff")]),
            // Who has once sent it alone means each of two.
            (b"DELE \xff\nDELE \xff\xff\n", vec![text(b"DELE \xff"), text(b"DELE \xff\xff")]),
            (b"RETR \xff\xffa\xff\n", vec![text(b"RETR \xff\xffa\xff")]),
        ] {
            assert_eq!(decode(input), lines, "{}", input.escape_ascii());
        }
    }

    #[test]
    fn a_line_without_bound_is_forgotten_and_the_next_one_is_read() {
        let mut decoder = Decoder::default();
        let flood = vec![b'A'; 1 << 16];
        for _ in 0..64 {
            assert_eq!(decoder.next_line(&mut &flood[..]), None);
            assert!(decoder.line.capacity() <= 2 * MAX_LINE_BYTES);
        }
        let mut rest = &b"\r\nNOOP\r\n"[..];
        assert_eq!(decoder.next_line(&mut rest), Some(Line::TooLong));
        assert_eq!(decoder.next_line(&mut rest), Some(text(b"NOOP")));
    }

    #[test]
    fn the_longest_line_passes() {
        let longest = vec![b'A'; MAX_LINE_BYTES];
        assert_eq!(decode(&[&longest[..], b"\r\n"].concat()), [text(&longest)]);
        assert_eq!(decode(&[&longest[..], b"A\r\n"].concat()), [Line::TooLong]);
    }

    #[test]
    fn replies_have_the_forms_of_the_rfc() {
        let block = Reply::block(211, &b"Features:"[..], vec![b" UTF8".into(), b" SIZE".into()]);
        for (reply, bytes) in [
            (Reply::fixed(200, "Done."), &b"200 Done.\r\n"[..]),
            (block, b"211-Features:\r\n UTF8\r\n SIZE\r\n211 End\r\n"),
            (Reply::new(257, &b"\"/a\r\n200 b\0\xff\""[..]), b"257 \"/a\\r\\n200 b\\0\xff\"\r\n"),
        ] {
            let mut out = Vec::new();
            reply.encode(&mut out);
            assert_eq!(out.escape_ascii().to_string(), bytes.escape_ascii().to_string());
        }
    }

    /// A line as a client sends it that knows Telnet.
    fn telnet(line: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for byte in line {
            match byte {
                b'\r' => bytes.extend_from_slice(b"\r\0"),
                &IAC => bytes.extend_from_slice(&[IAC, IAC]),
                byte => bytes.push(*byte),
            }
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    proptest! {
        #[test]
        fn what_a_client_sends_arrives_whatever_the_split(
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5),
            split in 1_usize..20,
        ) {
            let lines: Vec<Vec<u8>> =
                lines.into_iter().map(|line| line.into_iter().filter(|byte| *byte != b'\n').collect()).collect();
            let sent: Vec<u8> = lines.iter().flat_map(|line| telnet(line)).collect();
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for mut piece in sent.chunks(split) {
                while let Some(line) = decoder.next_line(&mut piece) {
                    got.push(line);
                }
            }
            prop_assert_eq!(got, lines.into_iter().map(Line::Text).collect::<Vec<_>>());
        }

        #[test]
        fn a_reply_of_one_line_is_one_line(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut out = Vec::new();
            Reply::new(550, text).encode(&mut out);
            prop_assert_eq!(decode(&out).len(), 1);
            prop_assert_eq!(out.iter().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)).count(), 2);
        }

        #[test]
        fn any_bytes_decode(input in prop::collection::vec(any::<u8>(), 0..200)) {
            for line in decode(&input) {
                prop_assert!(matches!(line, Line::Text(text) if !text.contains(&b'\n')));
            }
        }
    }
}

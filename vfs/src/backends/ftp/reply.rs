//! [`Reply`]: what a site says to a command.

use std::fmt;

use crate::path::escaped;

/// Bytes of a refusal that are shown.
const SHOWN_BYTES: usize = 200;

/// A reply: its code and all its lines.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    text: Vec<u8>,
}

impl Reply {
    /// Reads a whole reply, IACs undoubled (RFC 2640 §3.1 has names as bytes; RFC 854 has 255 doubled). The last line's
    /// code counts.
    pub(super) fn of(body: &[u8]) -> Self {
        let mut text = Vec::with_capacity(body.len());
        let mut was_iac = false;
        for byte in body.trim_ascii_end() {
            was_iac = *byte == 0xff && !was_iac;
            if !was_iac {
                text.push(*byte);
            }
        }
        if was_iac {
            text.push(0xff);
        }
        let last = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let digits = last.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
        Self { code, text }
    }

    /// Its lines, each without its end.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// What follows the code in the last line.
    pub(super) fn words(&self) -> &[u8] {
        self.lines().last().and_then(|line| line.get(4..)).unwrap_or_default()
    }

    /// The path of a 257, between quotes that are doubled inside (RFC 959 appendix II).
    pub(super) fn quoted(&self) -> Option<Vec<u8>> {
        let words = self.words();
        let start = words.iter().position(|byte| *byte == b'"').filter(|_| self.code == 257)? + 1;
        let mut path = Vec::new();
        let mut rest = words[start..].iter().peekable();
        while let Some(byte) = rest.next() {
            if *byte == b'"' && rest.next_if(|next| **next == b'"').is_none() {
                return path.starts_with(b"/").then_some(path);
            }
            path.push(*byte);
        }
        None
    }

    /// How many bytes a reply that begins a transfer says will come: `150 Opening … connection for x (1234 bytes).`
    pub(super) fn promised(&self) -> Option<u64> {
        let words = self.words();
        let end = words.windows(7).position(|word| word == b" bytes)")?;
        let start = words[..end].iter().rposition(|byte| *byte == b'(')? + 1;
        std::str::from_utf8(&words[start..end]).ok()?.parse().ok()
    }

    /// True where it is about a data connection, and so no answer to a command that has none.
    pub(super) fn is_of_transfer(&self) -> bool {
        matches!(self.code, 125 | 150 | 225 | 226 | 426)
    }

    /// True where the words tell that something is not there.
    pub(super) fn speaks_of_absence(&self) -> bool {
        self.contains_any(&["no such file"])
    }

    /// True where the words tell of missing rights.
    pub(super) fn speaks_of_rights(&self) -> bool {
        self.contains_any(&["denied", "not permitted", "permission", "not allowed", "forbidden"])
    }

    /// True where the words tell of too many connections.
    pub(super) fn speaks_of_numbers(&self) -> bool {
        self.contains_any(&["too many", "maximum number", "connections", "limit", "sessions"])
    }

    fn contains_any(&self, words: &[&str]) -> bool {
        let text = String::from_utf8_lossy(&self.text).to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.lines().last().unwrap_or_default();
        write!(f, "{}", escaped(&line[..line.len().min(SHOWN_BYTES)]))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_the_code_of_its_last_line() {
        for (text, code, words) in [
            (&b"200 Fine.\r\n"[..], 200, &b"Fine."[..]),
            (b"250-Facts:\r\n type=dir; x\r\n250 End\r\n", 250, b"End"),
            (b"230-Hello\r\n530 you\r\n230 in", 230, b"in"),
            (b"257 \"/a\xff\xffb\"", 257, b"\"/a\xffb\""),
            (b"garbage", 0, b"age"),
            (b"", 0, b""),
        ] {
            let reply = Reply::of(text);
            assert_eq!((reply.code, reply.words()), (code, words), "{text:?}");
        }
    }

    #[test]
    fn some_say_how_much_will_come() {
        for (text, promised) in [
            ("150 Opening BINARY mode data connection for f1 (1048576 bytes).", Some(1_048_576)),
            ("150-Hello\r\n150 (odd) name (7 bytes)", Some(7)),
            ("150 12.3 kbytes to download", None),
            ("150 f (many bytes)", None),
            ("150 f 7 bytes)", None),
            ("150 here it comes", None),
        ] {
            assert_eq!(Reply::of(text.as_bytes()).promised(), promised, "{text}");
        }
    }

    #[test]
    fn a_path_stands_between_quotes() {
        for (text, path) in [
            ("257 \"/\" is current", Some("/")),
            ("257 \"/a \"\"b\"\" c\"", Some("/a \"b\" c")),
            ("257 /a", None),
            ("257 \"/a", None),
            ("257 \"relative\"", None),
            ("200 \"/a\"", None),
        ] {
            assert_eq!(Reply::of(text.as_bytes()).quoted().as_deref(), path.map(str::as_bytes), "{text}");
        }
    }
}

//! TYPE A: lines of a file end with CRLF on the wire (RFC 959 §3.1.1.1), and with LF in the tree.

use vfs::jobs::Disk;
use vfs::producer::{Producer, ProducerExt};

/// `source` with each LF as CRLF. Lines that end with CRLF already stay as they are: a text from another system arrives
/// as it would in TYPE I.
pub(super) fn with_network_line_ends(source: Box<dyn Producer>, disk: &Disk) -> Box<dyn Producer> {
    Box::new(source.escape("\r\n", "\n", disk).escape("\n", "\r\n", disk))
}

/// The other way, for uploads: each CRLF becomes LF, across any split. A CR that ends no line stays.
#[derive(Debug, Default)]
pub(super) struct LocalLineEnds {
    /// A CR came last, and what follows decides what it was.
    after_cr: bool,
}

impl LocalLineEnds {
    /// The next bytes, converted.
    pub(super) fn convert(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 1);
        for byte in bytes {
            if std::mem::replace(&mut self.after_cr, *byte == b'\r') && *byte != b'\n' {
                out.push(b'\r');
            }
            if *byte != b'\r' {
                out.push(*byte);
            }
        }
        out
    }

    /// What is left at the end.
    pub(super) fn end(&mut self) -> &'static [u8] {
        if std::mem::take(&mut self.after_cr) { b"\r" } else { b"" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_local_wherever_the_pieces_are_cut() {
        for (sent, kept) in [
            ("", ""),
            ("a\r\nb\r\n", "a\nb\n"),
            ("\r\r\n\r", "\r\n\r"),
            ("a\rb\n", "a\rb\n"),
            ("\r\r\r", "\r\r\r"),
        ] {
            for cut in 0..=sent.len() {
                let mut ends = LocalLineEnds::default();
                let mut got = ends.convert(&sent.as_bytes()[..cut]);
                got.extend(ends.convert(&sent.as_bytes()[cut..]));
                got.extend(ends.end());
                assert_eq!(got, kept.as_bytes(), "{sent:?} cut at {cut}");
            }
        }
    }
}

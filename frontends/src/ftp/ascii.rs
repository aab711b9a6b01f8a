//! TYPE A: lines of a file end with CRLF on the wire (RFC 959 §3.1.1.1).

use vfs::jobs::Disk;
use vfs::producer::{Producer, ProducerExt};

/// `source` with each LF as CRLF. Lines that end with CRLF already stay as they are: a text from another system arrives
/// as it would in TYPE I.
pub(super) fn with_network_line_ends(source: Box<dyn Producer>, disk: &Disk) -> Box<dyn Producer> {
    Box::new(source.escape("\r\n", "\n", disk).escape("\n", "\r\n", disk))
}

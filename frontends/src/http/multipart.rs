//! Several ranges of one file in one answer: `multipart/byteranges` (RFC 9110 §14.6).

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use http::HeaderValue;
use vfs::producer::{self, Producer, chain, once};
use vfs::{ByteRange, File};

use super::status::content_range;

/// Parts, each with the head that goes before it.
pub(super) struct Multipart {
    boundary: String,
    parts: Vec<(Vec<u8>, ByteRange)>,
    end: String,
}

impl Multipart {
    /// The `ranges` of a content of `len` bytes and this type. Their ends are known.
    pub(super) fn new(ranges: &[ByteRange], len: u64, content_type: &HeaderValue) -> Self {
        // Nobody can know it before, so no content holds it but by a chance of one in 2^64.
        let boundary = format!("{:016x}", RandomState::new().hash_one(len));
        let part = |range: &ByteRange| {
            let mut head = format!("\r\n--{boundary}\r\nContent-Type: ").into_bytes();
            head.extend_from_slice(content_type.as_bytes());
            let place = content_range(*range, len);
            head.extend_from_slice(format!("\r\nContent-Range: {place}\r\n\r\n").as_bytes());
            (head, *range)
        };
        Self { parts: ranges.iter().map(part).collect(), end: format!("\r\n--{boundary}--\r\n"), boundary }
    }

    /// The type of the whole answer.
    pub(super) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// All parts of `file`, and their length with everything between.
    pub(super) fn produce(self, file: &Arc<dyn File>) -> (Box<dyn Producer>, u64) {
        let mut length = self.end.len() as u64;
        let mut pieces: Vec<Box<dyn Producer>> = Vec::new();
        for (head, range) in self.parts {
            length += head.len() as u64 + range.len().unwrap_or(0);
            pieces.push(Box::new(once(head)));
            pieces.push(producer::of(Arc::clone(file), range));
        }
        pieces.push(Box::new(once(self.end)));
        (Box::new(chain(pieces)), length)
    }
}

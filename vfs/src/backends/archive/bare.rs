//! [`Bare`]: a compressed file that is no archive, as a folder with one member.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use super::fs::Archive;
use super::packing::Packing;
use crate::error::Result;
use crate::file_system::{File, SeekCost};
use crate::metadata::{Identity, Metadata};
use crate::path::VPath;

/// How long a call waits for the length of a member whose pass is under way. Then it is not known.
const LEN_PATIENCE: Duration = Duration::from_millis(500);

/// Longest name that is taken from a gzip header, as NAME_MAX has it.
const MAX_NAME_BYTES: usize = 255;

/// What a compressed file's name ends in, and what takes its place in the member's name.
const SUFFIXES: [(&[u8], &[u8]); 10] = [
    (b".gz", b""),
    (b".bz2", b""),
    (b".xz", b""),
    (b".zst", b""),
    (b".tgz", b".tar"),
    (b".tbz", b".tar"),
    (b".tbz2", b".tar"),
    (b".txz", b".tar"),
    (b".tzst", b".tar"),
    (b".svgz", b".svg"),
];

/// The content of a compressed file. Its length is known when a pass has come to the end, or from a table of contents.
#[derive(Clone, Debug)]
pub(super) struct Bare {
    pub(super) source: Arc<dyn File>,
    len: watch::Sender<Len>,
}

/// What is known of the length of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Len {
    /// Nothing yet: a pass is on its way to the end.
    Coming,
    Known(u64),
    /// Nothing, and nothing will be: the pass has not come to an end.
    Unknown,
}

/// A bare member, open.
#[derive(Debug)]
pub(super) struct BareFile {
    bare: Bare,
    metadata: Metadata,
    /// Keeps the first pass going.
    _archive: Arc<Archive>,
}

impl Bare {
    /// The content of `source`; `len` where a table of contents says it.
    pub(super) fn new(source: Arc<dyn File>, len: Option<u64>) -> Self {
        Self { source, len: watch::Sender::new(len.map_or(Len::Coming, Len::Known)) }
    }

    /// The length, where it is known by now.
    pub(super) fn len(&self) -> Option<u64> {
        match *self.len.borrow() {
            Len::Known(len) => Some(len),
            Len::Coming | Len::Unknown => None,
        }
    }

    /// Waits a moment for the length: of most files it comes that fast.
    pub(super) async fn len_soon(&self) {
        let mut len = self.len.subscribe();
        drop(tokio::time::timeout(LEN_PATIENCE, len.wait_for(|len| *len != Len::Coming)).await);
    }

    /// Hears from the pass how long the content is, or that it has not come to the end.
    pub(super) fn measured(&self, found: Option<u64>) {
        self.len.send_if_modified(|len| {
            let is_news = *len == Len::Coming;
            if is_news {
                *len = found.map_or(Len::Unknown, Len::Known);
            }
            is_news
        });
    }

    /// The member that `metadata` describes; `archive` is held for as long as it is open.
    pub(super) fn open(&self, metadata: Metadata, archive: Arc<Archive>) -> BareFile {
        BareFile { bare: self.clone(), metadata, _archive: archive }
    }
}

#[async_trait]
impl File for BareFile {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(Metadata { len: self.bare.len(), ..self.metadata.clone() })
    }

    fn identity(&self) -> Option<Identity> {
        self.metadata.identity.clone()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        if max == 0 {
            return Ok(Bytes::new());
        }
        self.bare.source.read_at(offset, max).await
    }

    fn seek_cost(&self) -> SeekCost {
        self.bare.source.seek_cost()
    }
}

/// What the member of the file at `path`, which begins with `head`, is called: the file's name without the suffix; without
/// a suffix what the gzip header says, where that is a plain name; else the file's own name.
pub(super) fn name_of(path: &VPath, packing: Packing, head: &[u8]) -> Vec<u8> {
    let Some(segment) = path.segments().last() else { return b"content".to_vec() };
    let mut name = segment.name().to_vec();
    // A marker behind another one: the member of a member.
    for _ in segment.markers() {
        name = without_suffix(&name).unwrap_or(name);
    }
    without_suffix(&name)
        .or_else(|| if packing == Packing::Gzip { stated_name(head) } else { None })
        .unwrap_or(name)
}

fn without_suffix(name: &[u8]) -> Option<Vec<u8>> {
    SUFFIXES.iter().find_map(|(suffix, instead)| {
        let at = name.len().checked_sub(suffix.len()).filter(|at| *at > 0)?;
        name[at..].eq_ignore_ascii_case(suffix).then(|| [&name[..at], instead].concat())
    })
}

/// The name in a gzip header (RFC 1952 §2.3), where it is all in `head` and one that a file can have.
fn stated_name(head: &[u8]) -> Option<Vec<u8>> {
    const FEXTRA: u8 = 1 << 2;
    const FNAME: u8 = 1 << 3;
    let (fixed, mut rest) = head.split_first_chunk::<10>()?;
    if fixed[3] & FNAME == 0 {
        return None;
    }
    if fixed[3] & FEXTRA != 0 {
        let (len, extra) = rest.split_first_chunk::<2>()?;
        rest = extra.get(usize::from(u16::from_le_bytes(*len))..)?;
    }
    let name = &rest[..rest.iter().position(|byte| *byte == 0)?];
    let is_plain = !matches!(name, b"" | b"." | b"..") && name.len() <= MAX_NAME_BYTES;
    let is_safe = name.iter().all(|byte| *byte >= b' ' && !matches!(byte, b'/' | b'\\' | 0x7f));
    (is_plain && is_safe).then(|| name.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &[u8]) -> Vec<u8> {
        [&[0x1f, 0x8b, 8, 0b1100, 0, 0, 0, 0, 0, 3, 3, 0][..], b"xyz", name, b"\0"].concat()
    }

    #[test]
    fn a_member_is_called_as_its_file_without_the_suffix() {
        let none = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..];
        for (path, head, expected) in [
            ("/log/access.log.GZ", none, "access.log"),
            ("/x.tgz", none, "x.tar"),
            ("/.gz", none, ".gz"),
            ("/x.gz.bz2#bz2:", none, "x"),
            ("/plain", none, "plain"),
            ("/plain", &header(b"real.txt"), "real.txt"),
            ("/a.gz", &header(b"real.txt"), "a"),
            ("/plain", &header(b"../../etc/passwd"), "plain"),
            ("/plain", &header(b".."), "plain"),
            ("/plain", &header(b"a\\b"), "plain"),
            ("/plain", &header(b"a\x1b[m"), "plain"),
            ("/plain", &header(&[b'a'; 256]), "plain"),
            ("/plain", &header(b"cut")[..16], "plain"),
        ] {
            let name = name_of(&VPath::parse(path).unwrap(), Packing::Gzip, head);
            assert_eq!(String::from_utf8_lossy(&name), expected, "{path}");
        }
        let name = name_of(&VPath::parse("/plain").unwrap(), Packing::Xz, &header(b"real.txt"));
        assert_eq!(name, b"plain");
    }
}

//! What a file's first bytes say it is.

use bytes::{Bytes, BytesMut};

use super::foreign;
use super::packing::Packing;
use super::tar::{BLOCK_BYTES, is_header};
use crate::error::Result;
use crate::file_system::File;

/// A format that is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Format {
    Tar,
    Zip,
    Packed(Packing),
}

impl Format {
    /// The format of a file that begins with `head`, its first block.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Self::Packed(Packing::Gzip)),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Packed(Packing::Bzip2)),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Packed(Packing::Xz)),
            // A frame, or one that is to be skipped, as seekable files begin with.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Some(Self::Packed(Packing::Zstd))
            }
            // A file, or the end of an empty archive.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            _ if is_header(head) => Some(Self::Tar),
            // An empty tar.
            _ if head.len() == BLOCK_BYTES && head.iter().all(|byte| *byte == 0) => Some(Self::Tar),
            _ => None,
        }
    }

    /// Its name in a sentence.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Tar => "a tar",
            Self::Zip => "a zip archive",
            Self::Packed(packing) => packing.as_str(),
        }
    }
}

/// What a file is that begins with `head`, to stand in a sentence.
pub(super) fn name_of(head: &[u8]) -> &'static str {
    match Format::of(head) {
        Some(format) => format.as_str(),
        None if head.is_empty() => "nothing at all",
        None => foreign::known(head).unwrap_or("something that is not known here"),
    }
}

/// The first block of `file`; shorter where the file is.
pub(super) async fn head(file: &dyn File) -> Result<Bytes> {
    let mut head = BytesMut::new();
    while head.len() < BLOCK_BYTES {
        let bytes = file.read_at(head.len() as u64, BLOCK_BYTES - head.len()).await?;
        if bytes.is_empty() {
            break;
        }
        head.extend_from_slice(&bytes);
    }
    Ok(head.freeze())
}

//! [`Layout`]: how an archive is put together, which a scheme names and `auto` finds out.

use super::packing::Packing;
use super::sniff::Format;
use crate::path::Scheme;

/// How an archive is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Layout {
    /// A tar without compression.
    Tar,
    /// A zip archive.
    Zip,
    /// A tar under compression.
    PackedTar(Packing),
    /// One file under compression.
    Bare(Packing),
}

impl Layout {
    /// What `scheme` insists on; none for the one that looks, and for those that are reserved.
    pub(super) const fn named_by(scheme: Scheme) -> Option<Self> {
        Some(match scheme {
            Scheme::Tar => Self::Tar,
            Scheme::Zip => Self::Zip,
            Scheme::Tgz => Self::PackedTar(Packing::Gzip),
            Scheme::Tbz2 => Self::PackedTar(Packing::Bzip2),
            Scheme::Txz => Self::PackedTar(Packing::Xz),
            Scheme::Tzst => Self::PackedTar(Packing::Zstd),
            Scheme::Gz => Self::Bare(Packing::Gzip),
            Scheme::Bz2 => Self::Bare(Packing::Bzip2),
            Scheme::Xz => Self::Bare(Packing::Xz),
            Scheme::Zst => Self::Bare(Packing::Zstd),
            Scheme::Auto | Scheme::SevenZ | Scheme::Rar | Scheme::Iso | Scheme::Lz4 | Scheme::Lzma => {
                return None;
            }
        })
    }

    /// What its file begins with.
    pub(super) const fn outside(self) -> Format {
        match self {
            Self::Tar => Format::Tar,
            Self::Zip => Format::Zip,
            Self::PackedTar(packing) | Self::Bare(packing) => Format::Packed(packing),
        }
    }
}

//! The ways into archives.

use std::fmt;

/// A way into an archive, as it is written in a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// A tar archive.
    Tar,
    /// A tar archive under gzip.
    Tgz,
    /// A tar archive under bzip2.
    Tbz2,
    /// A tar archive under xz.
    Txz,
    /// A tar archive under Zstandard.
    Tzst,
    /// A zip archive.
    Zip,
    /// One member under gzip, named without the suffix.
    Gz,
    /// One member under bzip2.
    Bz2,
    /// One member under xz.
    Xz,
    /// One member under Zstandard.
    Zst,
    /// Whatever the magic bytes, then the name, say it is.
    Auto,
    /// Reserved: parses as a marker, opens nothing yet.
    SevenZ,
    /// Reserved: parses as a marker, opens nothing yet.
    Rar,
    /// Reserved: parses as a marker, opens nothing yet.
    Iso,
    /// Reserved: parses as a marker, opens nothing yet.
    Lz4,
    /// Reserved: parses as a marker, opens nothing yet.
    Lzma,
}

/// How the names of archives end.
const ARCHIVE_SUFFIXES: [(&str, Scheme); 11] = [
    (".tar", Scheme::Tar),
    (".tar.gz", Scheme::Tgz),
    (".tgz", Scheme::Tgz),
    (".tar.bz2", Scheme::Tbz2),
    (".tbz2", Scheme::Tbz2),
    (".tar.xz", Scheme::Txz),
    (".txz", Scheme::Txz),
    (".tar.zst", Scheme::Tzst),
    (".tzst", Scheme::Tzst),
    (".zip", Scheme::Zip),
    (".jar", Scheme::Zip),
];

impl Scheme {
    /// Every scheme, in the order of the grammar.
    pub const ALL: [Self; 16] = [
        Self::Tar,
        Self::Tgz,
        Self::Tbz2,
        Self::Txz,
        Self::Tzst,
        Self::Zip,
        Self::Gz,
        Self::Bz2,
        Self::Xz,
        Self::Zst,
        Self::Auto,
        Self::SevenZ,
        Self::Rar,
        Self::Iso,
        Self::Lz4,
        Self::Lzma,
    ];

    /// The word in the marker, in lower case as it must be written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Tgz => "tgz",
            Self::Tbz2 => "tbz2",
            Self::Txz => "txz",
            Self::Tzst => "tzst",
            Self::Zip => "zip",
            Self::Gz => "gz",
            Self::Bz2 => "bz2",
            Self::Xz => "xz",
            Self::Zst => "zst",
            Self::Auto => "auto",
            Self::SevenZ => "7z",
            Self::Rar => "rar",
            Self::Iso => "iso",
            Self::Lz4 => "lz4",
            Self::Lzma => "lzma",
        }
    }

    /// The archive that a file's name says it is, by its suffix in any case; nothing has looked at the file.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        let named = |suffix: &[u8]| {
            let start = name.len().checked_sub(suffix.len());
            start.is_some_and(|start| start > 0 && name[start..].eq_ignore_ascii_case(suffix))
        };
        ARCHIVE_SUFFIXES.iter().find(|(suffix, _)| named(suffix.as_bytes())).map(|(_, scheme)| *scheme)
    }

    pub(super) fn from_bytes(text: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str().as_bytes() == text)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_archives_say_what_is_in_them() {
        for (name, scheme) in [
            ("x.tar.gz", Some(Scheme::Tgz)),
            ("X.TGZ", Some(Scheme::Tgz)),
            ("x.y.tar.zst", Some(Scheme::Tzst)),
            ("x.tar", Some(Scheme::Tar)),
            ("x.zip", Some(Scheme::Zip)),
            ("x.gz", None),
            (".tar", None),
            ("tar", None),
            ("", None),
        ] {
            assert_eq!(Scheme::of_name(name.as_bytes()), scheme, "{name}");
        }
    }
}

//! [`Key`]: the name under which something is kept.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::layers::mirror::pages::MEDIA;
use crate::path::VPath;

/// 128 bits of SHA-256 over the source, the path and what is kept of it. Records hold the whole text, and one that holds
/// another is none: two texts with one key take turns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::layers::mirror) struct Key(u128);

/// What is kept of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::layers::mirror) enum Part {
    /// What stands there: a file with its bytes, a folder, or nothing.
    Entry,
    /// The folder's listing.
    Listing,
    /// The page that the folder's site makes of it, in this media type.
    Page(&'static str),
}

impl Part {
    /// All that may be kept of one path.
    pub(in crate::layers::mirror) fn all() -> impl Iterator<Item = Self> {
        [Self::Entry, Self::Listing].into_iter().chain(MEDIA.iter().map(|media| Self::Page(media)))
    }

    /// The media type of a page; `None` for what is none.
    pub(in crate::layers::mirror) const fn page(self) -> Option<&'static str> {
        match self {
            Self::Page(media) => Some(media),
            Self::Entry | Self::Listing => None,
        }
    }
}

impl Key {
    pub(in crate::layers::mirror) fn of(source: &str, path: &VPath, part: Part) -> Self {
        let (part, media) = match part {
            Part::Entry => (b'e', ""),
            Part::Listing => (b'l', ""),
            Part::Page(media) => (b'p', media),
        };
        let mut hash = Sha256::new();
        hash.update((source.len() as u64).to_le_bytes());
        hash.update(source);
        hash.update([part]);
        hash.update(media);
        hash.update(path.to_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        Self(u128::from_be_bytes(first))
    }

    /// Its first byte.
    pub(super) const fn first(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// Reads what [`Key`]'s `Display` prints.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u128::from_str_radix(text, 16).ok().filter(|_| valid).map(Self)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        let key = Key::of("http://h/", &VPath::parse("/a").unwrap(), Part::Entry);
        assert_eq!(Key::parse(&key.to_string()), Some(key));
        for text in ["", "12", "x0112233445566778899aabbccddeeff", "00112233445566778899AABBCCDDEEFF"] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
    }

    #[test]
    fn source_path_and_part_all_count() {
        let path = |text| VPath::parse(text).unwrap();
        let keys = [
            Key::of("http://h/", &path("/a"), Part::Entry),
            Key::of("http://h/", &path("/a"), Part::Listing),
            Key::of("http://h/", &path("/a"), Part::Page("text/html")),
            Key::of("http://h/", &path("/a"), Part::Page("application/json")),
            Key::of("http://h/", &path("/b"), Part::Entry),
            Key::of("http://g/", &path("/a"), Part::Entry),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{at}");
        }
    }
}

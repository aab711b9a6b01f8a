//! [`Pins`]: what stays however long it was not used.
//!
//! `FOLDER/v1/pins` holds source and path of each, every text with a NUL behind it. It is replaced as a whole.

use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::folder::{Folder, Room};
use crate::path::VPath;

/// Pins of one folder at most: each is compared with whatever is kept anew.
const PINS: usize = 1000;

/// Paths that stay, with all that lies below them.
#[derive(Debug)]
pub(in crate::layers::mirror) struct Pins(Mutex<Vec<(String, VPath)>>);

/// What their file is called.
const NAME: &str = "pins";

impl Pins {
    /// Reads them. What makes no sense is left out.
    ///
    /// # Errors
    /// Where the file is there and cannot be read: what is pinned would go.
    pub(super) fn open(folder: &Folder) -> io::Result<Self> {
        let mut text = Vec::new();
        if let Some(mut file) = folder.file(Room::Top, NAME)? {
            file.read_to_end(&mut text)?;
        }
        Ok(Self(Mutex::new(parse(&text))))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pins().is_empty()
    }

    /// True where `path` of `source` stays.
    pub(in crate::layers::mirror) fn hold(&self, source: &str, path: &VPath) -> bool {
        self.pins().iter().any(|(of, pin)| of == source && path.is_covered_by(pin))
    }

    /// What is pinned of `source`.
    pub(in crate::layers::mirror) fn of(&self, source: &str) -> Vec<VPath> {
        self.pins().iter().filter(|(of, _)| of == source).map(|(_, path)| path.clone()).collect()
    }

    /// Adds one, or takes it away. Blocks.
    pub(super) fn set(&self, folder: &Folder, source: &str, path: &VPath, is_pinned: bool) -> io::Result<()> {
        let mut pins = self.pins();
        let mut wanted = pins.clone();
        wanted.retain(|(of, pin)| !(of == source && pin == path));
        if is_pinned {
            if wanted.len() == PINS {
                return Err(io::Error::other(format!("{PINS} pins are there already: take some away")));
            }
            wanted.push((source.to_owned(), path.clone()));
        }
        folder.replace(Room::Top, NAME, &print(&wanted))?;
        *pins = wanted;
        Ok(())
    }

    fn pins(&self) -> MutexGuard<'_, Vec<(String, VPath)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(text: &[u8]) -> Vec<(String, VPath)> {
    let texts: Vec<_> = text.split(|sign| *sign == 0).collect();
    let pairs = texts.chunks_exact(2).filter_map(|pair| {
        Some((std::str::from_utf8(pair[0]).ok()?.to_owned(), VPath::parse(pair[1]).ok()?))
    });
    pairs.take(PINS).collect()
}

fn print(pins: &[(String, VPath)]) -> Vec<u8> {
    let texts = pins.iter().flat_map(|(source, path)| [source.as_bytes().to_vec(), path.to_bytes().to_vec()]);
    texts
        .flat_map(|mut text| {
            text.push(0);
            text
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::path;

    #[test]
    fn what_is_pinned_survives_and_covers_what_lies_below() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path().join("v1")).unwrap();
        let pins = Pins::open(&folder).unwrap();
        assert!(pins.is_empty());
        for at in ["/a b", "/odd\n/x"] {
            pins.set(&folder, "http://h/", &path(at), true).unwrap();
            pins.set(&folder, "http://h/", &path(at), true).unwrap();
        }
        let pins = Pins::open(&folder).unwrap();
        assert_eq!(pins.of("http://h/"), [path("/a b"), path("/odd\n/x")]);
        for (source, at, held) in [
            ("http://h/", "/a b", true),
            ("http://h/", "/a b/c/d", true),
            ("http://h/", "/odd\n/x/y", true),
            ("http://h/", "/odd\n", false),
            ("http://g/", "/a b", false),
        ] {
            assert_eq!(pins.hold(source, &path(at)), held, "{source} {at:?}");
        }
        pins.set(&folder, "http://h/", &path("/a b"), false).unwrap();
        assert_eq!(Pins::open(&folder).unwrap().of("http://h/"), [path("/odd\n/x")]);
    }

    #[test]
    fn nonsense_pins_nothing() {
        for text in [&b"\0"[..], b"\0\0\0", b"a", b"a\0relative\0", b"\xff\0/x\0"] {
            assert!(parse(text).iter().all(|(source, _)| source.is_empty()), "{text:?}");
        }
    }
}

//! One step of a path, and the grammar of its tail.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::{PathError, PathErrorKind, Scheme, escaped};

/// One step of a path: a literal name, and the archives entered through it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segment {
    pub(super) name: Bytes,
    pub(super) markers: Vec<Scheme>,
}

impl Segment {
    pub(super) fn literal(name: Bytes) -> Result<Self, PathError> {
        match &name[..] {
            b"" | b"." | b".." => Err(PathError::new(PathErrorKind::BadName, &name)),
            bytes if bytes.contains(&b'/') || bytes.contains(&0) => {
                Err(PathError::new(PathErrorKind::BadName, bytes))
            }
            _ => Ok(Self { name, markers: Vec::new() }),
        }
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, PathError> {
        let (name, markers) = split_markers(text);
        let bad_name = |_| {
            let kind = if name.is_empty() { PathErrorKind::NamelessMarker } else { PathErrorKind::BadName };
            PathError::new(kind, text)
        };
        let segment = Self::literal(Bytes::from(name.clone())).map_err(bad_name)?;
        Ok(Self { markers, ..segment })
    }

    /// The literal name, as the folder that holds it lists it.
    pub fn name(&self) -> &Bytes {
        &self.name
    }

    /// The archives entered through this name, outermost first.
    pub fn markers(&self) -> &[Scheme] {
        &self.markers
    }

    /// The printed form of this segment, markers included.
    pub fn printed(&self) -> Cow<'_, [u8]> {
        if self.markers.is_empty() {
            return printed_name(&self.name);
        }
        // The first marker's `#` would join a run at the end of the name, so that run is doubled (2j + 1 parses to j).
        let run = trailing_hashes(&self.name);
        let mut text = if run > 0 { self.name.to_vec() } else { printed_name(&self.name).into_owned() };
        text.resize(text.len() + run, b'#');
        for marker in &self.markers {
            text.push(b'#');
            text.extend_from_slice(marker.as_str().as_bytes());
            text.push(b':');
        }
        Cow::Owned(text)
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({})", escaped(&self.printed()))
    }
}

/// The printed form of a literal name: what a listing shows, so that it can be typed back as one segment.
/// Only a name that ends like a marker changes: its run of `#` is doubled.
pub fn printed_name(name: &[u8]) -> Cow<'_, [u8]> {
    match tail_marker(name) {
        None => Cow::Borrowed(name),
        Some((stem, run, _)) => {
            let mut text = name[..stem + run].to_vec();
            text.resize(stem + 2 * run, b'#');
            text.extend_from_slice(&name[stem + run..]);
            Cow::Owned(text)
        }
    }
}

/// Takes the markers off the end of a segment's text: the literal name, and the markers from left to right.
fn split_markers(text: &[u8]) -> (Vec<u8>, Vec<Scheme>) {
    let mut markers = Vec::new();
    let mut rest = text;
    while let Some((stem, run, scheme)) = tail_marker(rest) {
        if run % 2 == 0 {
            let mut name = rest[..stem + run / 2].to_vec();
            name.extend_from_slice(&rest[stem + run..]);
            markers.reverse();
            return (name, markers);
        }
        markers.push(scheme);
        rest = &rest[..stem + (run - 1) / 2];
    }
    markers.reverse();
    (rest.to_vec(), markers)
}

/// Finds `#…#scheme:` at the end: where the run of `#` starts, its length (one or more), and the scheme.
fn tail_marker(text: &[u8]) -> Option<(usize, usize, Scheme)> {
    let body = text.strip_suffix(b":")?;
    let start = body.iter().rposition(|byte| *byte == b'#')? + 1;
    let scheme = Scheme::from_bytes(&body[start..])?;
    let run = trailing_hashes(&body[..start]);
    Some((start - run, run, scheme))
}

fn trailing_hashes(text: &[u8]) -> usize {
    text.iter().rev().take_while(|byte| **byte == b'#').count()
}

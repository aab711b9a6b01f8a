//! Addresses inside the tree: [`VPath`], its [`Segment`]s and the marker grammar that leads into archives.
//!
//! Text becomes a `VPath` once, at the edge; inside, a path is always absolute and normal. Parsing does no I/O.
//!
//! ```text
//! vpath  = "/" [ seg *( "/" seg ) ] [ "/" ]
//! seg    = name                              an ordinary name
//!        | name 1*( "#" scheme ":" )         go inside: x.tar.gz#tgz: , x.tar.gz#gz:#tar:
//! ```
//!
//! A segment is decided by its tail alone: a run of k `#`, then a [`Scheme`], then `:`. With k odd the segment goes
//! inside and the name keeps (k−1)/2 of the `#`; with k even it is a literal name with k/2 of them.

mod error;
mod escape;
mod scheme;
mod segment;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

pub use self::error::{PathError, PathErrorKind};
pub use self::escape::escaped;
pub use self::scheme::Scheme;
pub use self::segment::{Segment, printed_name};

/// Longest path text that is parsed, in bytes. Longer ones are [`PathErrorKind::TooLong`].
pub const MAX_TEXT_BYTES: usize = 32 * 1024;

/// An absolute, normal path: a list of segments, free of `.`, `..`, empty names and NUL.
///
/// - Names are bytes; only `/` and NUL cannot occur in one.
/// - `parse(print(p)) == p`, and two different normal texts are two different paths.
/// - `..` is lexical, also across links and out of an archive: from `/a.tgz#tgz:` it leads to `/`.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VPath {
    /// Shared: a path is cloned far more often than it is changed.
    segments: Arc<Vec<Segment>>,
}

impl VPath {
    /// The path `/`.
    pub fn root() -> Self {
        Self { segments: Arc::default() }
    }

    /// Parses absolute text. Repeated and trailing slashes and `.` vanish; `..` is resolved lexically and stops at `/`.
    ///
    /// # Errors
    /// Relative text, NUL, an empty name before a marker, text over [`MAX_TEXT_BYTES`].
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let text = text.as_ref();
        if text.first() != Some(&b'/') {
            return Err(PathError::new(PathErrorKind::Relative, text));
        }
        Self::root().join(text)
    }

    /// Parses `text` relative to this path; absolute text starts anew, as `Path::join` has it.
    ///
    /// # Errors
    /// As [`VPath::parse`], relative text excepted.
    pub fn join(&self, text: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let text = text.as_ref();
        if text.len() > MAX_TEXT_BYTES {
            return Err(PathError::new(PathErrorKind::TooLong, text));
        }
        let mut path = if text.first() == Some(&b'/') { Self::root() } else { self.clone() };
        for segment in text.split(|byte| *byte == b'/') {
            path.join_segment(segment)?;
        }
        Ok(path)
    }

    /// Parses one segment and appends it: what a front end does with each part of a request that it has split itself.
    ///
    /// # Errors
    /// As [`VPath::join`], and a `/` inside the segment.
    pub fn join_segment(&mut self, text: &[u8]) -> Result<(), PathError> {
        match text {
            b"" | b"." => {}
            b".." => {
                Arc::make_mut(&mut self.segments).pop();
            }
            _ => Arc::make_mut(&mut self.segments).push(Segment::parse(text)?),
        }
        Ok(())
    }

    /// Appends a literal name without looking for markers, so that a listed name never becomes an address.
    ///
    /// # Errors
    /// An empty name, `.`, `..`, or a name with `/` or NUL.
    pub fn push_name(&mut self, name: impl Into<Bytes>) -> Result<(), PathError> {
        Arc::make_mut(&mut self.segments).push(Segment::literal(name.into())?);
        Ok(())
    }

    /// This path with one literal name more; see [`VPath::push_name`].
    pub fn child(&self, name: impl Into<Bytes>) -> Result<Self, PathError> {
        let mut path = self.clone();
        path.push_name(name)?;
        Ok(path)
    }

    /// The path of what lies inside the archive that this path names. `None` for the root, which is no file.
    pub fn entered(&self, scheme: Scheme) -> Option<Self> {
        let mut path = self.clone();
        Arc::make_mut(&mut path.segments).last_mut()?.markers.push(scheme);
        Some(path)
    }

    /// The path one segment up, `None` at the root. From an archive's root it is the folder that holds the archive.
    pub fn parent(&self) -> Option<Self> {
        let (_, parents) = self.segments.split_last()?;
        Some(Self { segments: Arc::new(parents.to_vec()) })
    }

    /// The last segment, `None` at the root.
    pub fn file_name(&self) -> Option<&Segment> {
        self.segments.last()
    }

    /// The segments from the root down.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// True for `/`.
    pub fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    /// How many archives the path goes into.
    pub fn archive_depth(&self) -> usize {
        self.segments.iter().map(|segment| segment.markers.len()).sum()
    }

    /// True where `prefix` is this path or one of its ancestors, segment by segment, markers included.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.segments.starts_with(&prefix.segments)
    }

    /// True where this path is `cover`, or lies below it, or lies inside the archive that `cover` names.
    pub fn is_covered_by(&self, cover: &Self) -> bool {
        let Some((last, parents)) = cover.segments.split_last() else { return true };
        self.segments.starts_with(parents)
            && self.segments.get(parents.len()).is_some_and(|segment| {
                segment.name == last.name && segment.markers.starts_with(&last.markers)
            })
    }

    /// The rest of this path below `prefix`, as a path of its own; `None` where it does not start with it.
    pub fn strip_prefix(&self, prefix: &Self) -> Option<Self> {
        let rest = self.segments.strip_prefix(prefix.segments.as_slice())?;
        Some(Self { segments: Arc::new(rest.to_vec()) })
    }

    /// The first `count` segments, as a path of its own.
    pub fn prefix(&self, count: usize) -> Self {
        Self { segments: Arc::new(self.segments[..count.min(self.segments.len())].to_vec()) }
    }

    /// `rest` addressed below this path: the reverse of [`VPath::strip_prefix`].
    pub fn append(&self, rest: &Self) -> Self {
        let mut segments = Vec::with_capacity(self.segments.len() + rest.segments.len());
        segments.extend_from_slice(&self.segments);
        segments.extend_from_slice(&rest.segments);
        Self { segments: Arc::new(segments) }
    }

    /// Splits at the first marker: the archive file's own path, the schemes that enter it, and the path inside.
    /// `None` where the path enters no archive.
    pub fn split_at_archive(&self) -> Option<(Self, Vec<Scheme>, Self)> {
        let at = self.segments.iter().position(|segment| !segment.markers.is_empty())?;
        let mut outer = self.segments[..=at].to_vec();
        let schemes = std::mem::take(&mut outer[at].markers);
        let inner = self.segments[at + 1..].to_vec();
        Some((Self { segments: Arc::new(outer) }, schemes, Self { segments: Arc::new(inner) }))
    }

    /// The printed form: the normal text that parses back to this path.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.is_root() {
            return b"/".to_vec();
        }
        let mut text = Vec::new();
        for segment in self.segments.iter() {
            text.push(b'/');
            text.extend_from_slice(&segment.printed());
        }
        text
    }
}

/// Shows the printed form for people: control characters and bytes that are no UTF-8 come escaped. It does not parse
/// back where anything was escaped; [`VPath::to_bytes`] does.
impl fmt::Display for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&escaped(&self.to_bytes()), f)
    }
}

impl fmt::Debug for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VPath({self})")
    }
}

impl FromStr for VPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    fn last(text: &str) -> (String, Vec<Scheme>) {
        let path = path(text);
        let segment = path.file_name().unwrap();
        (String::from_utf8(segment.name().to_vec()).unwrap(), segment.markers().to_vec())
    }

    #[test]
    fn tails_decide_what_a_segment_is() {
        use Scheme::{Auto, Gz, Rar, Tar, Tgz};
        for (text, name, markers) in [
            ("/x.tar.gz#tgz:", "x.tar.gz", vec![Tgz]),
            ("/x.tar.gz#gz:#tar:", "x.tar.gz", vec![Gz, Tar]),
            ("/x##tgz:", "x#tgz:", vec![]),
            ("/x####tgz:", "x##tgz:", vec![]),
            ("/odd###tgz:", "odd#", vec![Tgz]),
            ("/odd#####tgz:", "odd##", vec![Tgz]),
            ("/##tgz:", "#tgz:", vec![]),
            ("/###tgz:", "#", vec![Tgz]),
            ("/x##gz:#tar:", "x#gz:", vec![Tar]),
            ("/x#gz:##tar:", "x#gz:#tar:", vec![]),
            ("/x#gz:###tar:", "x#gz:#", vec![Tar]),
            ("/C#", "C#", vec![]),
            ("/a#b", "a#b", vec![]),
            ("/#1.txt", "#1.txt", vec![]),
            ("/a##b", "a##b", vec![]),
            ("/tgz:", "tgz:", vec![]),
            ("/x#TGZ:", "x#TGZ:", vec![]),
            ("/x#tgz", "x#tgz", vec![]),
            ("/x#nope:", "x#nope:", vec![]),
            ("/x#tgz:y", "x#tgz:y", vec![]),
            ("/x#rar:", "x", vec![Rar]),
            ("/x#auto:", "x", vec![Auto]),
        ] {
            assert_eq!(last(text), (name.to_owned(), markers), "{text}");
            assert_eq!(path(text).to_bytes(), text.as_bytes(), "{text} prints as it was");
        }
    }

    #[test]
    fn text_is_normalised_lexically() {
        for (text, normal) in [
            ("/", "/"),
            ("//", "/"),
            ("/a//b/./c/", "/a/b/c"),
            ("/a/../b", "/b"),
            ("/../../a", "/a"),
            ("/pub/x.tgz#tgz:/..", "/pub"),
            ("/pub/x.tgz#tgz:/d/..", "/pub/x.tgz#tgz:"),
            ("/pub/x.tgz#tgz:/../x.tgz", "/pub/x.tgz"),
        ] {
            assert_eq!(path(text), path(normal), "{text}");
            assert_eq!(path(text).to_bytes(), normal.as_bytes());
        }
    }

    #[test]
    fn wrong_text_is_refused_with_its_reason() {
        let long = format!("/{}", "a".repeat(MAX_TEXT_BYTES));
        for (text, kind) in [
            ("", PathErrorKind::Relative),
            ("a", PathErrorKind::Relative),
            ("/a\0b", PathErrorKind::BadName),
            ("/#tgz:", PathErrorKind::NamelessMarker),
            ("/a/#gz:#tar:", PathErrorKind::NamelessMarker),
            ("/..#tgz:", PathErrorKind::BadName),
            ("/.#tgz:", PathErrorKind::BadName),
            (&long, PathErrorKind::TooLong),
        ] {
            assert_eq!(VPath::parse(text).unwrap_err().kind(), kind, "{}", &text[..text.len().min(20)]);
        }
    }

    #[test]
    fn join_parses_and_push_name_does_not() {
        assert_eq!(path("/a").join("x#tgz:/b").unwrap(), path("/a/x#tgz:/b"));
        assert_eq!(path("/a").join("/b").unwrap(), path("/b"));
        assert_eq!(path("/a").join("../c").unwrap(), path("/c"));
        let child = path("/a").child("x#tgz:").unwrap();
        assert_eq!(child.archive_depth(), 0);
        assert_eq!(child.to_bytes(), b"/a/x##tgz:");
        for name in ["", ".", "..", "a/b", "a\0"] {
            assert!(path("/a").child(name.as_bytes().to_vec()).is_err(), "{name:?}");
        }
    }

    #[test]
    fn archives_split_at_the_first_marker() {
        let (outer, schemes, inner) = path("/p/a.tgz#gz:#tar:/b.zip#zip:/c").split_at_archive().unwrap();
        assert_eq!((outer, schemes), (path("/p/a.tgz"), vec![Scheme::Gz, Scheme::Tar]));
        assert_eq!(inner, path("/b.zip#zip:/c"));
        assert_eq!(path("/p/a.tgz").split_at_archive(), None);
    }

    #[test]
    fn a_cover_covers_what_lies_inside_a_file() {
        for (text, cover, covered) in [
            ("/a/b", "/", true),
            ("/a/b", "/a", true),
            ("/a", "/a", true),
            ("/ab", "/a", false),
            ("/a.tgz#tgz:/x", "/a.tgz", true),
            ("/a.tgz", "/a.tgz#tgz:", false),
            ("/a.tgz#tgz:/x", "/a.tgz#tgz:", true),
            ("/a", "/a/b", false),
        ] {
            assert_eq!(path(text).is_covered_by(&path(cover)), covered, "{text} under {cover}");
        }
    }

    /// Names built from the pieces that matter to the grammar, so that cases meet its corners.
    fn name() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"#".to_vec()),
            Just(b":".to_vec()),
            Just(b"tgz:".to_vec()),
            Just(b"#tar:".to_vec()),
            Just(b"gz".to_vec()),
            Just(b".".to_vec()),
            prop::collection::vec(1_u8.., 1..3),
        ];
        prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
    }

    fn any_path() -> impl Strategy<Value = VPath> {
        let markers = prop::collection::vec(prop::sample::select(Scheme::ALL.to_vec()), 0..3);
        prop::collection::vec((name(), markers), 0..4).prop_map(|steps| {
            let mut path = VPath::root();
            for (name, markers) in steps {
                if path.push_name(name).is_ok() {
                    for marker in markers {
                        path = path.entered(marker).unwrap();
                    }
                }
            }
            path
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn printed_paths_parse_back(path in any_path()) {
            prop_assert_eq!(VPath::parse(path.to_bytes()).unwrap(), path);
        }

        /// Normal text prints as itself, so two different normal texts cannot be one path.
        #[test]
        fn different_normal_texts_are_different_paths(a in name(), b in name()) {
            let text = |name: &[u8]| [b"/", name].concat();
            let normal = |name: &[u8]| !name.contains(&b'/') && name != b"." && name != b"..";
            prop_assume!(normal(&a) && normal(&b));
            if let (Ok(left), Ok(right)) = (VPath::parse(text(&a)), VPath::parse(text(&b))) {
                prop_assert_eq!(left.to_bytes(), text(&a));
                prop_assert_eq!(a == b, left == right);
            }
        }

        #[test]
        fn parsing_never_panics(text in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = VPath::parse(&text);
        }
    }
}

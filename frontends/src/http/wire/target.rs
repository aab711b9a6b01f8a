//! The request's target: from percent-encoded text to a path, once, and back.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use vfs::Aside;
use vfs::VPath;
use vfs::path::{MAX_TEXT_BYTES, PathError, PathErrorKind};

/// What is written as it is: RFC 3986's unreserved characters. All else is encoded, the colon of `a:b` too, which
/// would make a relative reference an absolute one.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a target names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct Target {
    /// The path.
    pub(in crate::http) path: VPath,
    /// It ends in `/`, so it can only name a folder, and names in its listing are relative to it.
    pub(in crate::http) is_folder: bool,
}

/// Why a target names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum BadTarget {
    /// It does not start with `/`.
    Relative,
    /// A `%` without two hexadecimal digits.
    Escape,
    /// An encoded `/` or NUL, which no name holds.
    Name,
    /// It is longer than any path.
    TooLong,
    /// A name that the server gives and takes away itself ([`Aside`]).
    Reserved,
    /// Its segments are no path.
    Path(PathError),
}

impl Target {
    /// Parses the path of a URL, without its query. It is split at `/` first and each segment is decoded once, so that
    /// nothing that was encoded can divide a name; then `..` is resolved and stops at the root.
    pub(in crate::http) fn parse(text: &str) -> Result<Self, BadTarget> {
        let rest = text.strip_prefix('/').ok_or(BadTarget::Relative)?;
        if text.len() > MAX_TEXT_BYTES {
            return Err(BadTarget::TooLong);
        }
        let mut target = Self { path: VPath::root(), is_folder: true };
        for segment in rest.split('/') {
            let name = decode(segment.as_bytes())?;
            target.path.join_segment(&name).map_err(BadTarget::from)?;
            target.is_folder = matches!(&name[..], b"" | b"." | b"..");
        }
        if Aside::is_on(&target.path) {
            return Err(BadTarget::Reserved);
        }
        Ok(target)
    }
}

fn decode(segment: &[u8]) -> Result<Vec<u8>, BadTarget> {
    let mut name = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            name.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or(BadTarget::Escape)?;
        rest = tail;
        match hex(digits[0])? << 4 | hex(digits[1])? {
            b'/' | 0 => return Err(BadTarget::Name),
            byte => name.push(byte),
        }
    }
    Ok(name)
}

fn hex(digit: u8) -> Result<u8, BadTarget> {
    char::from(digit).to_digit(16).map(|digit| digit as u8).ok_or(BadTarget::Escape)
}

impl From<PathError> for BadTarget {
    fn from(error: PathError) -> Self {
        match error.kind() {
            PathErrorKind::TooLong => Self::TooLong,
            PathErrorKind::Relative | PathErrorKind::BadName | PathErrorKind::NamelessMarker => {
                Self::Path(error)
            }
        }
    }
}

/// One printed segment as it stands in a URL.
pub(in crate::http) fn encode_segment(printed: &[u8]) -> percent_encoding::PercentEncode<'_> {
    percent_encode(printed, ENCODED)
}

/// The absolute path of a URL for `path`: one `/` at the start, and no byte that a header or a page could trip over.
pub(in crate::http) fn encode_path(path: &VPath) -> String {
    if path.is_root() {
        return "/".to_owned();
    }
    let mut text = String::new();
    for segment in path.segments() {
        text.push('/');
        text.extend(encode_segment(&segment.printed()));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn targets_are_split_then_decoded_once() {
        for (text, path, is_folder) in [
            ("/", "/", true),
            ("/a/b", "/a/b", false),
            ("/a/b/", "/a/b", true),
            ("//a//b", "/a/b", false),
            ("/a/.", "/a", true),
            ("/a/..", "/", true),
            ("/a/../b", "/b", false),
            ("/../../etc/passwd", "/etc/passwd", false),
            ("/%2e%2e/%2E%2E/etc/passwd", "/etc/passwd", false),
            ("/%252e%252e/x", "/%2e%2e/x", false),
            ("/a%252fb", "/a%2fb", false),
            ("/..%5c..%5cx", "/..\\..\\x", false),
            ("/a+b%20c", "/a+b c", false),
            ("/%E2%82%AC", "/\u{20ac}", false),
            ("/x.tgz%23tgz:/y", "/x.tgz#tgz:/y", false),
            ("/x.tgz%23tgz%3A/y", "/x.tgz#tgz:/y", false),
            ("/x%23%23tgz:", "/x##tgz:", false),
            ("/C:/x", "/C:/x", false),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(target, Target { path: VPath::parse(path).unwrap(), is_folder }, "{text}");
        }
        // Overlong UTF-8 is two odd bytes in a name, and no slash or dot.
        let overlong = Target::parse("/%c0%ae%c0%ae/%c0%af").unwrap().path;
        assert_eq!(overlong.to_bytes(), b"/\xc0\xae\xc0\xae/\xc0\xaf");
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for (text, error) in [
            ("", BadTarget::Relative),
            ("*", BadTarget::Relative),
            ("a", BadTarget::Relative),
            ("/%", BadTarget::Escape),
            ("/%4", BadTarget::Escape),
            ("/%zz", BadTarget::Escape),
            ("/%+1", BadTarget::Escape),
            ("/%4%31", BadTarget::Escape),
            ("/..%2fetc", BadTarget::Name),
            ("/..%2Fetc", BadTarget::Name),
            ("/a%00", BadTarget::Name),
        ] {
            assert_eq!(Target::parse(text), Err(error), "{text}");
        }
        assert!(matches!(Target::parse("/%23tgz:"), Err(BadTarget::Path(_))));
        assert_eq!(Target::parse(&"/a".repeat(MAX_TEXT_BYTES)), Err(BadTarget::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "/?([a./%#:]|%[0-9a-f]{2}|\\PC){0,40}") {
            let _ = Target::parse(&text);
        }

        #[test]
        fn a_path_that_is_written_is_read_again(
            names in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..8), 0..5),
        ) {
            let mut path = VPath::root();
            for name in names {
                let _ = path.push_name(name);
            }
            let text = encode_path(&path);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.starts_with("//"));
            prop_assert_eq!(Target::parse(&text).unwrap().path, path);
        }
    }
}

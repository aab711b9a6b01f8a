//! [`Pattern`]: which paths are meant.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use globset::{GlobBuilder, GlobMatcher};

use crate::path::VPath;

/// What stands for more than itself in a pattern.
const SIGNS: &[u8] = b"*?[{";

/// Paths, by their look. It is matched without the leading `/`: `*` and `?` stay within a name, `**` spans folders, `[a-z]`
/// and `{deb,udeb}` choose, `\` makes a sign an ordinary one. Case counts.
#[derive(Clone)]
pub struct Pattern(GlobMatcher);

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(String);

impl Pattern {
    /// Reads `text`; a leading `/` may be left out.
    ///
    /// # Errors
    /// Which bracket is not closed, and the like.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
        glob.map(|glob| Self(glob.compile_matcher())).map_err(|error| PatternError(error.to_string()))
    }

    /// True where `path` is meant.
    pub fn fits(&self, path: &VPath) -> bool {
        let text = path.to_bytes();
        self.0.is_match(OsStr::from_bytes(text.strip_prefix(b"/").unwrap_or(&text)))
    }

    /// True for a name in a pattern that stands for more than itself.
    pub fn is_open(name: &[u8]) -> bool {
        name.iter().any(|sign| SIGNS.contains(sign))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.0.glob().glob()).finish()
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PatternError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::path;

    #[test]
    fn a_pattern_stays_within_a_name_but_for_two_stars() {
        for (pattern, at, fits) in [
            ("*.txt", "/a.txt", true),
            ("/*.txt", "/a.txt", true),
            ("*.txt", "/sub/a.txt", false),
            ("**/*.txt", "/sub/deep/a.txt", true),
            ("**/*.txt", "/a.txt", true),
            ("dists/**", "/dists/s/main/Packages", true),
            ("*.{deb,udeb}", "/a.udeb", true),
            ("*.DEB", "/a.deb", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().fits(&path(at)), fits, "{pattern} {at}");
        }
        assert!(Pattern::parse("a[").is_err());
        assert!(Pattern::is_open(b"*.txt") && !Pattern::is_open(b"a.txt"));
    }
}

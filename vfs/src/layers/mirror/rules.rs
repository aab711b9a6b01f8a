//! [`Rules`]: which paths may be kept how long, whatever their source says.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};

use crate::path::VPath;

/// What a mirror does with the paths that a pattern covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// What the source says (RFC 9111), and where it says nothing a tenth of the file's age, a day at most.
    #[default]
    Respect,
    /// Its content never changes under its name: once kept it is never asked for again.
    Immutable,
    /// It may change at any time: it counts as fresh this long, whatever the source says.
    Volatile(Duration),
    /// It is passed through and never kept.
    Never,
}

/// Patterns with their rules. The first that matches decides; where none does, [`Rule::Respect`].
///
/// A pattern is matched with the path below the mount, without the leading `/`: `*` and `?` stay within a name, `**` spans
/// folders, `[a-z]` and `{deb,udeb}` choose. Case counts.
#[derive(Clone, Default)]
pub struct Rules {
    rules: Vec<(GlobMatcher, Rule)>,
}

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(String);

/// Rules that fit a kind of site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Every file as its source says.
    #[default]
    Generic,
    /// A Debian archive: packages and what lies under its hash never change, indices are asked for again.
    Apt,
    /// An index of Python packages, or the site where its files lie: files never change, pages are as their site says.
    Pip,
}

/// How long the indices of a preset count as fresh.
const INDEX_FRESH: Duration = Duration::from_secs(60);

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Generic, Self::Apt, Self::Pip];

    /// Its name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Apt => "apt",
            Self::Pip => "pip",
        }
    }

    /// Its patterns.
    const fn patterns(self) -> &'static [(&'static str, Rule)] {
        match self {
            Self::Generic => &[],
            Self::Pip => &[
                ("**/*.{whl,egg,zip,tgz,exe,rpm,msi,metadata,asc,sig}", Rule::Immutable),
                ("**/*.tar.{gz,bz2,xz,Z}", Rule::Immutable),
            ],
            Self::Apt => &[
                ("**/by-hash/*/*", Rule::Immutable),
                ("**/*.{deb,udeb,ddeb,dsc}", Rule::Immutable),
                ("**/pool/**/*.{gz,xz,bz2,zst,asc}", Rule::Immutable),
                ("**/dists/**", Rule::Volatile(INDEX_FRESH)),
                ("dists/**", Rule::Volatile(INDEX_FRESH)),
            ],
        }
    }
}

impl Rules {
    /// The rules of `preset`, behind those that are added.
    ///
    /// # Errors
    /// The first pattern of `first` that cannot be read.
    pub fn new<'a>(
        first: impl IntoIterator<Item = (&'a str, Rule)>,
        preset: Preset,
    ) -> Result<Self, PatternError> {
        let rules = first
            .into_iter()
            .chain(preset.patterns().iter().copied())
            .map(|(pattern, rule)| Ok((matcher(pattern)?, rule)))
            .collect::<Result<_, PatternError>>()?;
        Ok(Self { rules })
    }

    /// The rule for `path`.
    pub fn of(&self, path: &VPath) -> Rule {
        let text = path.to_bytes();
        let below = OsStr::from_bytes(text.strip_prefix(b"/").unwrap_or(&text));
        self.rules
            .iter()
            .find(|(pattern, _)| pattern.is_match(below))
            .map_or_else(Rule::default, |(_, rule)| *rule)
    }
}

fn matcher(pattern: &str) -> Result<GlobMatcher, PatternError> {
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| PatternError(error.to_string()))
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.rules.iter().map(|(pattern, rule)| (pattern.glob().glob(), rule))).finish()
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

    fn rule_of(rules: &Rules, path: &str) -> Rule {
        rules.of(&VPath::parse(path).unwrap())
    }

    #[test]
    fn the_presets_know_what_never_changes() {
        let apt = Rules::new([], Preset::Apt).unwrap();
        let index = Rule::Volatile(INDEX_FRESH);
        for (rules, path, rule) in [
            (&apt, "/dists/trixie/InRelease", index),
            (&apt, "/debian/dists/trixie/main/binary-amd64/Packages.xz", index),
            (&apt, "/dists/trixie/main/binary-amd64/by-hash/SHA256/00ff", Rule::Immutable),
            (&apt, "/pool/main/c/curl/curl_8.14.1-2_amd64.deb", Rule::Immutable),
            (&apt, "/pool/main/c/curl/curl_8.14.1.orig.tar.gz", Rule::Immutable),
            (&apt, "/README", Rule::Respect),
        ] {
            assert_eq!(rule_of(rules, path), rule, "{path}");
        }
    }

    #[test]
    fn the_first_pattern_that_matches_decides() {
        let own = [("/pool/**/broken_*.deb", Rule::Never), ("*.txt", Rule::Volatile(Duration::from_secs(5)))];
        let rules = Rules::new(own, Preset::Apt).unwrap();
        for (path, rule) in [
            ("/pool/main/b/broken_1.deb", Rule::Never),
            ("/pool/main/b/whole_1.deb", Rule::Immutable),
            ("/a.txt", Rule::Volatile(Duration::from_secs(5))),
            ("/sub/a.txt", Rule::Respect),
        ] {
            assert_eq!(rule_of(&rules, path), rule, "{path}");
        }
        assert!(Rules::new([("a[", Rule::Never)], Preset::Generic).is_err());
    }
}

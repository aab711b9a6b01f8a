//! [`Rules`]: which paths may be kept how long, whatever their source says.

use std::time::Duration;

use super::pattern::{Pattern, PatternError};
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

/// Patterns of paths below the mount, with their rules. The first that fits decides; where none does, [`Rule::Respect`].
#[derive(Clone, Debug, Default)]
pub struct Rules {
    own: Vec<(Pattern, Rule)>,
    preset: Vec<(Pattern, Rule)>,
}

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
        let read = |(pattern, rule)| Ok((Pattern::parse(pattern)?, rule));
        Ok(Self {
            own: first.into_iter().map(read).collect::<Result<_, _>>()?,
            preset: preset.patterns().iter().copied().map(read).collect::<Result<_, _>>()?,
        })
    }

    /// The rule for `path`.
    pub fn of(&self, path: &VPath) -> Rule {
        let mut all = self.own.iter().chain(&self.preset);
        let found = all.find(|(pattern, _)| pattern.fits(path));
        found.map_or_else(Rule::default, |(_, rule)| *rule)
    }

    /// True for what a page of HTML does not stand for: packages and indices of the preset, by their names.
    pub(super) fn is_no_page(&self, path: &VPath) -> bool {
        let is_page = path.file_name().is_some_and(|name| {
            let name = name.name().to_ascii_lowercase();
            PAGES.iter().any(|suffix| name.ends_with(suffix))
        });
        !is_page && self.preset.iter().any(|(pattern, _)| pattern.fits(path))
    }
}

/// What names of pages end in.
const PAGES: [&[u8]; 3] = [b".html", b".htm", b".xhtml"];

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
    fn what_a_preset_knows_is_no_page() {
        let rules = Rules::new([("**", Rule::Immutable)], Preset::Apt).unwrap();
        for (at, is_no_page) in [
            ("/pool/main/c/curl/curl_8.14.1-2_amd64.deb", true),
            ("/dists/trixie/InRelease", true),
            ("/dists/index.html", false),
            ("/README", false),
        ] {
            assert_eq!(rules.is_no_page(&VPath::parse(at).unwrap()), is_no_page, "{at}");
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

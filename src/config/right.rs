//! `[[right]]`: what may be done with a path and with what lies below it.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use vfs::VPath;
use vfs::layers::Access;

use super::refusal::Refusal;

/// One rule. The rule with the longest path decides alone; a path without any may be listed and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// Where it holds, archives that lie there included.
    pub path: VPath,
    /// What may be done there.
    pub access: Access,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRight {
    path: Spanned<String>,
    allow: Vec<RawAllow>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawAllow {
    List,
    Read,
    Write,
}

impl RawRight {
    /// Where its path is written.
    pub(super) fn span(&self) -> Range<usize> {
        self.path.span()
    }
}

impl TryFrom<RawRight> for Right {
    type Error = Refusal;

    fn try_from(raw: RawRight) -> Result<Self, Refusal> {
        let path = VPath::parse(raw.path.get_ref())
            .map_err(|error| Refusal::new(raw.path.span(), error.to_string()))?;
        // Who has an archive's bytes has all that is in it, so a rule in there could only seem to forbid.
        if path.archive_depth() > 0 {
            let cure =
                "a rule inside an archive would not keep anybody out: put it on the archive's own path";
            return Err(Refusal::new(raw.path.span(), cure));
        }
        Ok(Self { path, access: access(&raw.allow) })
    }
}

/// What a list of words allows.
pub(super) fn access(allow: &[RawAllow]) -> Access {
    Access {
        list: allow.contains(&RawAllow::List),
        read: allow.contains(&RawAllow::Read),
        write: allow.contains(&RawAllow::Write),
    }
}

/// The words again.
pub(super) fn written_access(access: Access) -> String {
    let Access { list, read, write } = access;
    let allowed: Vec<_> = [(list, "list"), (read, "read"), (write, "write")]
        .into_iter()
        .filter_map(|(is_allowed, word)| is_allowed.then_some(word))
        .collect();
    if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(" and ") }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} allow {}", self.path, written_access(self.access))
    }
}

//! `[[right]]`: what may be done with a path and with what lies below it.

use std::fmt;

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
enum RawAllow {
    List,
    Read,
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
        let access = Access {
            list: raw.allow.contains(&RawAllow::List),
            read: raw.allow.contains(&RawAllow::Read),
            write: false,
        };
        Ok(Self { path, access })
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = match (self.access.list, self.access.read) {
            (true, true) => "list and read",
            (true, false) => "list",
            (false, true) => "read",
            (false, false) => "nothing",
        };
        write!(f, "{} allow {allowed}", self.path)
    }
}

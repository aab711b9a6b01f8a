//! `mirror = { … }` of a mount: what is kept of a remote site, and how long it counts.

use std::time::Duration;

use serde::Deserialize;
use toml::{Spanned, Value};
use vfs::layers::mirror::{MirrorOptions, Preset, Rule, Rules, Tolerances};

use super::listen::time;
use super::refusal::Refusal;

/// How long a path counts as fresh that `volatile` names.
const FRESH: Duration = Duration::from_secs(60);

/// What is kept of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Which rules, and which files belong together. `None`: nothing is kept. Default: what the site says.
    pub preset: Option<Preset>,
    /// Patterns that come before the preset's, in this order.
    pub rules: Vec<(String, Rule)>,
    /// How it deals with time.
    pub tolerances: Tolerances,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMirror {
    preset: Option<Spanned<String>>,
    #[serde(default)]
    never: Vec<Spanned<String>>,
    #[serde(default)]
    immutable: Vec<Spanned<String>>,
    #[serde(default)]
    volatile: Vec<Spanned<String>>,
    fresh: Option<Spanned<Value>>,
    missing: Option<Spanned<Value>>,
    listing: Option<Spanned<Value>>,
    stale_while_revalidate: Option<Spanned<Value>>,
    stale_if_error: Option<Spanned<Value>>,
    #[serde(default)]
    offline: bool,
}

impl Default for Mirror {
    fn default() -> Self {
        Self { preset: Some(Preset::Generic), rules: Vec::new(), tolerances: Tolerances::default() }
    }
}

impl TryFrom<RawMirror> for Mirror {
    type Error = Refusal;

    fn try_from(raw: RawMirror) -> Result<Self, Refusal> {
        let defaults = Tolerances::default();
        let preset = match raw.preset {
            Some(written) => {
                parse_preset(written.get_ref()).map_err(|says| Refusal::new(written.span(), says))?
            }
            None => Some(Preset::Generic),
        };
        let fresh = time(raw.fresh)?.unwrap_or(FRESH);
        let mut rules = Vec::new();
        for (patterns, rule) in [
            (raw.never, Rule::Never),
            (raw.immutable, Rule::Immutable),
            (raw.volatile, Rule::Volatile(fresh)),
        ] {
            for pattern in patterns {
                let read = Rules::new([(&pattern.get_ref()[..], rule)], Preset::Generic);
                read.map_err(|error| Refusal::new(pattern.span(), error.to_string()))?;
                rules.push((pattern.into_inner(), rule));
            }
        }
        let tolerances = Tolerances {
            stale_while_revalidate: time(raw.stale_while_revalidate)?
                .unwrap_or(defaults.stale_while_revalidate),
            stale_if_error: time(raw.stale_if_error)?.unwrap_or(defaults.stale_if_error),
            missing: time(raw.missing)?.unwrap_or(defaults.missing),
            listing: time(raw.listing)?.unwrap_or(defaults.listing),
            offline: raw.offline,
        };
        Ok(Self { preset, rules, tolerances })
    }
}

impl Mirror {
    /// As the layer has it; `None`: nothing is kept.
    pub(crate) fn options(&self) -> Option<MirrorOptions> {
        let preset = self.preset?;
        let first = self.rules.iter().map(|(pattern, rule)| (&pattern[..], *rule));
        let rules = Rules::new(first, preset).expect("each pattern was read when it was written");
        Some(MirrorOptions { rules, sets: preset, tolerances: self.tolerances })
    }
}

/// Reads a preset's name; `off` is none.
///
/// # Errors
/// A sentence that says what to write instead.
pub(crate) fn parse_preset(text: &str) -> Result<Option<Preset>, String> {
    if text == "off" {
        return Ok(None);
    }
    let known = [Preset::Generic, Preset::Apt];
    let found = known.into_iter().find(|preset| preset.as_str() == text);
    found.map(Some).ok_or_else(|| format!("\"{text}\" is no preset: write generic, apt or off"))
}

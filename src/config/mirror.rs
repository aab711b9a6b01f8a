//! `mirror = { … }` of a mount: what is kept of a remote site, and how long it counts.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::Deserialize;
use toml::{Spanned, Value};
use vfs::VPath;
use vfs::layers::mirror::{Preset, Rule, Rules, Tolerances};

use super::listen::{rate, time};
use super::mount::{Mount, parse_at};
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
    /// Bytes a second that are fetched. Default: as many as come.
    pub download: Option<NonZeroU64>,
    /// Where the files are mounted that the pages of this index of Python packages name.
    pub files: Vec<VPath>,
    /// The index that it is a part of, where it is one.
    pub packages: Option<Packages>,
}

/// An index of Python packages, and one of the mounts that make it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packages {
    /// The mounts, by their sources' URLs; the first is the index itself.
    pub sites: Vec<(String, VPath)>,
    /// Which one of them this is.
    pub part: usize,
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
    download: Option<Spanned<String>>,
    #[serde(default)]
    files: Vec<Spanned<String>>,
    #[serde(default)]
    offline: bool,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            preset: Some(Preset::Generic),
            rules: Vec::new(),
            tolerances: Tolerances::default(),
            download: None,
            files: Vec::new(),
            packages: None,
        }
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
        if let Some(first) = raw.files.first().filter(|_| preset != Some(Preset::Pip)) {
            let cure = "only an index of Python packages has its files elsewhere: add preset = \"pip\"";
            return Err(Refusal::new(first.span(), cure));
        }
        let files = raw.files.into_iter().map(|written| {
            parse_at(written.get_ref().as_bytes()).map_err(|says| Refusal::new(written.span(), says))
        });
        let files = files.collect::<Result<_, _>>()?;
        let download = rate(raw.download)?;
        Ok(Self { preset, rules, tolerances, download, files, packages: None })
    }
}

impl Mirror {
    /// Its rules as the layer has them: its own, then the preset's.
    pub(crate) fn rules(&self) -> Rules {
        let first = self.rules.iter().map(|(pattern, rule)| (&pattern[..], *rule));
        Rules::new(first, self.preset.unwrap_or_default()).expect("each pattern was read when it was written")
    }
}

/// Tells the mounts of each index of Python packages which others it is made of.
///
/// # Errors
/// Which mount names one that cannot be one of them, and what to write instead.
pub(super) fn join_packages(mounts: &mut [Mount]) -> Result<(), (usize, String)> {
    for index in 0..mounts.len() {
        let files = std::mem::take(&mut mounts[index].mirror.files);
        if mounts[index].mirror.preset != Some(Preset::Pip) || files.is_empty() {
            continue;
        }
        let mut parts = vec![index];
        for at in &files {
            let part = mounts.iter().position(|mount| mount.at == *at).filter(|part| *part != index);
            let Some(part) = part.filter(|part| mounts[*part].mirror.preset == Some(Preset::Pip)) else {
                let cure =
                    format!("\"files\" names {at}, which is no other mount with preset = \"pip\": add one");
                return Err((index, cure));
            };
            parts.push(part);
        }
        let sites: Vec<_> =
            parts.iter().map(|part| (mounts[*part].source.url(), mounts[*part].at.clone())).collect();
        for (nth, part) in parts.into_iter().enumerate() {
            let mirror = &mut mounts[part].mirror;
            if mirror.packages.is_some() {
                let cure = format!(
                    "{} belongs to two indexes: mount its source once more for the other",
                    sites[nth].1
                );
                return Err((index, cure));
            }
            mirror.packages = Some(Packages { sites: sites.clone(), part: nth });
        }
        mounts[index].mirror.files = files;
    }
    Ok(())
}

/// Reads a preset's name; `off` is none.
///
/// # Errors
/// A sentence that says what to write instead.
pub(crate) fn parse_preset(text: &str) -> Result<Option<Preset>, String> {
    if text == "off" {
        return Ok(None);
    }
    let found = Preset::ALL.into_iter().find(|preset| preset.as_str() == text);
    found.map(Some).ok_or_else(|| format!("\"{text}\" is no preset: write generic, apt, pip or off"))
}

//! `[[host]]`: names under which a folder of the tree is a site of its own.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use frontends::{Named, Others};
use serde::Deserialize;
use toml::Spanned;
use vfs::VPath;

use super::refusal::Refusal;

/// One site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its names, in lower case; `*.example.org` is every name that ends so.
    pub names: Vec<String>,
    /// What is `/` there. Default: all of the tree.
    pub root: VPath,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHost {
    names: Spanned<Vec<Spanned<String>>>,
    root: Option<Spanned<String>>,
}

impl Host {
    /// All hosts as front ends want them.
    pub(crate) fn named(hosts: &[Self], others: Others) -> Named {
        let folders: HashMap<_, _> = hosts
            .iter()
            .flat_map(|host| host.names.iter().map(|name| (name.clone(), host.root.clone())))
            .collect();
        Named { folders, others }
    }
}

impl RawHost {
    /// Where its names are written.
    pub(super) fn span(&self) -> Range<usize> {
        self.names.span()
    }
}

impl TryFrom<RawHost> for Host {
    type Error = Refusal;

    fn try_from(raw: RawHost) -> Result<Self, Refusal> {
        let span = raw.names.span();
        let names = raw.names.get_ref().iter().map(name).collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() {
            return Err(Refusal::new(span, "a host without a name: write names = [\"files.example.org\"]"));
        }
        let root = match raw.root {
            None => VPath::root(),
            Some(root) if !root.get_ref().starts_with('/') => {
                let cure = format!("\"{}\" is no place in the tree: start it with \"/\"", root.get_ref());
                return Err(Refusal::new(root.span(), cure));
            }
            Some(root) => {
                VPath::parse(root.get_ref()).map_err(|error| Refusal::new(root.span(), error.to_string()))?
            }
        };
        Ok(Self { names, root })
    }
}

/// A host's name as requests have it (RFC 9110 §7.2), without its port.
fn name(written: &Spanned<String>) -> Result<String, Refusal> {
    let name = written.get_ref().to_ascii_lowercase();
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    let is_six = labels.starts_with('[') && labels.ends_with(']');
    let is_name = !labels.is_empty()
        && !labels.starts_with('.')
        && !labels.ends_with('.')
        && labels.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_six || is_name {
        return Ok(name);
    }
    let cure = format!(
        "\"{}\" is no name of a host: write it without scheme and port, as in files.example.org or *.example.org",
        written.get_ref()
    );
    Err(Refusal::new(written.span(), cure))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shows {}", self.names.join(" and "), self.root)
    }
}

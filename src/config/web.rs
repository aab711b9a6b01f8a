//! `[http]`: what all HTTP listeners do alike.

use std::fmt;

use serde::Deserialize;
use toml::Spanned;

use super::refusal::Refusal;

/// What HTTP listeners do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Texts are compressed while they are sent. Default: true.
    pub compress: bool,
    /// Sites whose scripts may read here. Default: none.
    pub origins: Vec<String>,
    /// Longest upload in bytes. Default: as long as the mount takes.
    pub upload_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWeb {
    compress: Option<bool>,
    #[serde(default)]
    origins: Vec<Spanned<String>>,
    upload_bytes: Option<u64>,
}

impl Default for Web {
    fn default() -> Self {
        Self { compress: true, origins: Vec::new(), upload_bytes: None }
    }
}

impl TryFrom<RawWeb> for Web {
    type Error = Refusal;

    fn try_from(raw: RawWeb) -> Result<Self, Refusal> {
        let origins = raw.origins.into_iter().map(origin).collect::<Result<_, _>>()?;
        Ok(Self { compress: raw.compress.unwrap_or(true), origins, upload_bytes: raw.upload_bytes })
    }
}

/// What a browser sends as `Origin`: scheme, host and perhaps a port (RFC 6454 §6.2).
fn origin(written: Spanned<String>) -> Result<String, Refusal> {
    let text = written.get_ref();
    let is_origin = text.split_once("://").is_some_and(|(scheme, host)| {
        matches!(scheme, "http" | "https")
            && !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@\"".contains(&byte))
    });
    if text == "*" || is_origin {
        return Ok(written.into_inner());
    }
    let cure = format!("\"{text}\" is no origin: write https://HOST without a path, or * for all");
    Err(Refusal::new(written.span(), cure))
}

impl fmt::Display for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.compress { "compresses texts" } else { "compresses nothing" })?;
        if !self.origins.is_empty() {
            write!(f, ", read by scripts of {}", self.origins.join(" and "))?;
        }
        match self.upload_bytes {
            Some(limit) => write!(f, ", uploads of {limit} bytes at most"),
            None => Ok(()),
        }
    }
}

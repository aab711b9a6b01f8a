//! `[http]`: what all HTTP listeners do alike.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;

use frontends::http::Bounds;
use serde::Deserialize;
use toml::{Spanned, Value};

use super::listen::{count, rate, time};
use super::refusal::Refusal;
use crate::units::{duration_text, parse_size};

/// What HTTP listeners do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Texts are compressed while they are sent. Default: true.
    pub compress: bool,
    /// Sites whose scripts may read here. Default: none.
    pub origins: Vec<String>,
    /// Longest upload in bytes. Default: as long as the mount takes.
    pub upload_bytes: Option<u64>,
    /// Who asks for a host that is none of `[[host]]` gets nothing. Default: true where there is a `[[host]]`.
    pub refuses_unknown_hosts: Option<bool>,
    /// Bounds of requests and connections.
    pub bounds: Bounds,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWeb {
    compress: Option<bool>,
    #[serde(default)]
    origins: Vec<Spanned<String>>,
    upload_bytes: Option<u64>,
    unknown_hosts: Option<Spanned<RawUnknown>>,
    #[serde(default)]
    limits: RawBounds,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawUnknown {
    /// They get nothing.
    Refuse,
    /// They get the whole tree.
    Serve,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBounds {
    head: Option<Spanned<Value>>,
    head_size: Option<Spanned<String>>,
    fields: Option<Spanned<usize>>,
    slowest_upload: Option<Spanned<String>>,
    streams: Option<Spanned<usize>>,
    reset_streams: Option<Spanned<usize>>,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            compress: true,
            origins: Vec::new(),
            upload_bytes: None,
            refuses_unknown_hosts: None,
            bounds: Bounds::default(),
        }
    }
}

impl RawWeb {
    /// Where it is written what becomes of unknown hosts.
    pub(super) fn unknown_hosts_span(&self) -> Option<Range<usize>> {
        self.unknown_hosts.as_ref().map(Spanned::span)
    }
}

impl TryFrom<RawWeb> for Web {
    type Error = Refusal;

    fn try_from(raw: RawWeb) -> Result<Self, Refusal> {
        let origins = raw.origins.into_iter().map(origin).collect::<Result<_, _>>()?;
        Ok(Self {
            compress: raw.compress.unwrap_or(true),
            origins,
            upload_bytes: raw.upload_bytes,
            refuses_unknown_hosts: raw
                .unknown_hosts
                .map(|unknown| matches!(unknown.get_ref(), RawUnknown::Refuse)),
            bounds: raw.limits.try_into()?,
        })
    }
}

impl TryFrom<RawBounds> for Bounds {
    type Error = Refusal;

    fn try_from(raw: RawBounds) -> Result<Self, Refusal> {
        let defaults = Self::default();
        Ok(Self {
            head: time(raw.head)?.unwrap_or(defaults.head),
            head_bytes: raw.head_size.as_ref().map(head_size).transpose()?.unwrap_or(defaults.head_bytes),
            fields: count(raw.fields)?.unwrap_or(defaults.fields),
            slowest_upload: slowest(raw.slowest_upload)?.unwrap_or(defaults.slowest_upload),
            streams: streams(raw.streams)?.unwrap_or(defaults.streams),
            reset_streams: count(raw.reset_streams)?.unwrap_or(defaults.reset_streams),
        })
    }
}

/// Less than a usual head would keep everybody out, and more is memory that each connection may take.
fn head_size(written: &Spanned<String>) -> Result<usize, Refusal> {
    let size = parse_size(written.get_ref()).map_err(|says| Refusal::new(written.span(), says))?;
    match usize::try_from(size) {
        Ok(size) if (8 << 10..=1 << 20).contains(&size) => Ok(size),
        _ => {
            Err(Refusal::new(written.span(), "a request's head takes 8KiB to 1MiB: write a size in between"))
        }
    }
}

/// `0B` for as slow as they like.
fn slowest(written: Option<Spanned<String>>) -> Result<Option<Option<NonZeroU64>>, Refusal> {
    match written {
        Some(written) if parse_size(written.get_ref()) == Ok(0) => Ok(Some(None)),
        written => Ok(rate(written)?.map(Some)),
    }
}

fn streams(written: Option<Spanned<usize>>) -> Result<Option<u32>, Refusal> {
    let span = written.as_ref().map(Spanned::span);
    let Some(streams) = count(written)? else { return Ok(None) };
    let too_many = |_| Refusal::new(span.unwrap_or_default(), "more than there can be: write 65536 at most");
    u16::try_from(streams - 1).map(|less| Some(u32::from(less) + 1)).map_err(too_many)
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
        if let Some(limit) = self.upload_bytes {
            write!(f, ", uploads of {limit} bytes at most")?;
        }
        match self.refuses_unknown_hosts {
            Some(true) => f.write_str(", other hosts refused")?,
            Some(false) => f.write_str(", other hosts see everything")?,
            None => {}
        }
        let Bounds { head, head_bytes, fields, slowest_upload, streams, reset_streams } = &self.bounds;
        write!(f, ", heads of {fields} fields and {head_bytes} bytes within {}", duration_text(*head))?;
        if let Some(slowest) = slowest_upload {
            write!(f, ", uploads of {slowest} bytes a second at least")?;
        }
        write!(f, ", {streams} streams, {reset_streams} of them reset early")
    }
}

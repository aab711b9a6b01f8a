//! `ftp` of `[[serve]]`: what can be chosen about FTP alone.

use std::fmt::{self, Write};
use std::net::Ipv4Addr;

use frontends::ftp::{Masquerade, Options, PartialUploads, Reuse};
use serde::Deserialize;
use toml::Spanned;

use super::refusal::Refusal;

/// Longest name that a name server knows (RFC 1035 §2.3.4).
const MAX_NAME_BYTES: usize = 253;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFtp {
    masquerade: Option<Spanned<String>>,
    partial_uploads: Option<RawPartialUploads>,
    guests_overwrite: Option<bool>,
    converts_lines: Option<bool>,
    sets_times_by_mdtm: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawPartialUploads {
    Delete,
    Keep,
    Hide,
}

impl TryFrom<RawFtp> for Options {
    type Error = Refusal;

    fn try_from(raw: RawFtp) -> Result<Self, Refusal> {
        let defaults = Self::default();
        Ok(Self {
            masquerade: raw.masquerade.map_or(Ok(Masquerade::Connection), |written| masquerade(&written))?,
            partial_uploads: match raw.partial_uploads {
                None => defaults.partial_uploads,
                Some(RawPartialUploads::Delete) => PartialUploads::Delete,
                Some(RawPartialUploads::Keep) => PartialUploads::Keep,
                Some(RawPartialUploads::Hide) => PartialUploads::Hide,
            },
            guests_overwrite: raw.guests_overwrite.unwrap_or(defaults.guests_overwrite),
            converts_lines: raw.converts_lines.unwrap_or(defaults.converts_lines),
            sets_times_by_mdtm: raw.sets_times_by_mdtm.unwrap_or(defaults.sets_times_by_mdtm),
            // Ports and TLS are written beside this table.
            passive_ports: None,
            implicit_tls: false,
            tls_reuse: Reuse::Off,
        })
    }
}

/// An IPv4 address, or a name that stands for one.
fn masquerade(written: &Spanned<String>) -> Result<Masquerade, Refusal> {
    let text = written.get_ref();
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Masquerade::Address(address));
    }
    let is_name = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    // Four numbers are an address with a slip in it, never a name.
    let is_numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let fits = (1..=MAX_NAME_BYTES).contains(&text.len());
    if fits && !is_numeric && text.trim_end_matches('.').split('.').all(is_name) {
        return Ok(Masquerade::Name(text.clone()));
    }
    let cure = format!(
        "\"{text}\" is neither an IPv4 address nor a name: write what clients outside reach, as 203.0.113.7; EPSV needs none"
    );
    Err(Refusal::new(written.span(), cure))
}

/// What differs from the defaults, for people.
pub(super) fn write_options(f: &mut fmt::Formatter<'_>, options: &Options) -> fmt::Result {
    let mut text = String::new();
    if let Some(ports) = &options.passive_ports {
        write!(text, ", passive ports {}-{}", ports.start(), ports.end())?;
    }
    match &options.masquerade {
        Masquerade::Connection => {}
        Masquerade::Address(address) => write!(text, ", masquerade {address}")?,
        Masquerade::Name(name) => write!(text, ", masquerade {name}")?,
    }
    match options.partial_uploads {
        PartialUploads::Delete => {}
        PartialUploads::Keep => text.push_str(", partial uploads kept"),
        PartialUploads::Hide => text.push_str(", partial uploads hidden"),
    }
    if options.guests_overwrite {
        text.push_str(", guests overwrite");
    }
    if !options.converts_lines {
        text.push_str(", lines as they are");
    }
    if options.sets_times_by_mdtm {
        text.push_str(", MDTM sets times");
    }
    f.write_str(&text)
}

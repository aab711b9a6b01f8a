//! `[[serve]]`: one protocol on one address, within bounds.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use frontends::Limits;
use frontends::ftp::{Options, PartialUploads, Reuse};
use frontends::serve::Address;
use frontends::transport::proxy::Network;
use serde::Deserialize;
use toml::{Spanned, Value};

use super::ftp::{RawFtp, write_options};
use super::refusal::{Document, Origin, Refusal};
use super::tls::{RawTls, Tls};
use crate::units::{duration_text, parse_duration, parse_rate};

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken.
    pub protocol: Protocol,
    /// Where.
    pub address: Address,
    /// Its bounds.
    pub limits: Limits,
    /// Bytes a second that all its connections together may send. Default: as many as go.
    pub download: Option<NonZeroU64>,
    /// Bytes a second that all its connections together may receive. Default: as many as go.
    pub upload: Option<NonZeroU64>,
    /// Who has to say by the PROXY protocol for whom it is connected. Default: nobody.
    pub proxies: Vec<Network>,
    /// Its TLS. Default: none.
    pub tls: Option<Tls>,
    /// Where it was written.
    pub origin: Origin,
}

/// Where `/metrics` and `/healthz` are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The address.
    pub address: Address,
    /// Where it was written.
    pub origin: Origin,
}

/// What a listener speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, and HTTP/2 where the client starts with it.
    Http,
    /// FTP.
    Ftp(frontends::ftp::Options),
}

/// A range of ports for FTP's data connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassivePorts(pub RangeInclusive<u16>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListen {
    protocol: RawProtocol,
    listen: Spanned<String>,
    passive_ports: Option<Spanned<String>>,
    ftp: Option<Spanned<RawFtp>>,
    #[serde(default)]
    limits: RawLimits,
    tls: Option<Spanned<RawTls>>,
    #[serde(default)]
    proxies: Vec<Spanned<String>>,
    download: Option<Spanned<String>>,
    upload: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAdmin {
    listen: Spanned<String>,
}

impl TryFrom<(RawAdmin, &Document<'_>)> for Admin {
    type Error = Refusal;

    fn try_from((raw, document): (RawAdmin, &Document<'_>)) -> Result<Self, Refusal> {
        Ok(Self { address: parsed(&raw.listen)?, origin: document.origin(raw.listen.span()) })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawProtocol {
    Http,
    Ftp,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    connections: Option<Spanned<usize>>,
    connections_per_address: Option<Spanned<usize>>,
    idle: Option<Spanned<Value>>,
    stall: Option<Spanned<Value>>,
    drain: Option<Spanned<Value>>,
}

impl Protocol {
    /// True where uploads grow out of sight.
    pub(crate) fn hides_uploads(&self) -> bool {
        matches!(self, Self::Ftp(options) if options.partial_uploads == PartialUploads::Hide)
    }

    /// True where both are the same protocol, whatever their options.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Listen {
    /// True where nobody else can listen on the same address.
    pub(super) fn has_fixed_address(&self) -> bool {
        !matches!(self.address, Address::Tcp(address) if address.port() == 0)
    }
}

impl TryFrom<(RawListen, &Document<'_>)> for Listen {
    type Error = Refusal;

    fn try_from((raw, document): (RawListen, &Document<'_>)) -> Result<Self, Refusal> {
        let address = parsed(&raw.listen)?;
        let tls = raw.tls.map(|written| tls(written, &raw.protocol, document)).transpose()?;
        let protocol = match (raw.protocol, &raw.passive_ports, raw.ftp) {
            (RawProtocol::Ftp, ports, options) => {
                let ports = ports.as_ref().map(parsed::<PassivePorts>).transpose()?;
                let options = options.map(Spanned::into_inner).unwrap_or_default().try_into()?;
                Protocol::Ftp(Options {
                    passive_ports: ports.map(|PassivePorts(ports)| ports),
                    implicit_tls: tls.as_ref().is_some_and(|tls| tls.implicit),
                    tls_reuse: tls.as_ref().map_or(Reuse::Off, |tls| tls.reuse),
                    ..options
                })
            }
            (RawProtocol::Http, None, None) => Protocol::Http,
            (RawProtocol::Http, Some(written), _) => {
                return Err(Refusal::new(written.span(), "only ftp has passive ports: remove it"));
            }
            (RawProtocol::Http, None, Some(written)) => {
                return Err(Refusal::new(written.span(), "this is http: remove it"));
            }
        };
        let proxies = raw.proxies.iter().map(parsed).collect::<Result<Vec<_>, _>>()?;
        let (download, upload) = (rate(raw.download)?, rate(raw.upload)?);
        let origin = document.origin(raw.listen.span());
        Ok(Self { protocol, address, limits: raw.limits.try_into()?, download, upload, proxies, tls, origin })
    }
}

/// The TLS of a listener: what it says of FTP is for FTP alone.
fn tls(written: Spanned<RawTls>, protocol: &RawProtocol, document: &Document<'_>) -> Result<Tls, Refusal> {
    let span = written.span();
    let tls = Tls::try_from((written.into_inner(), document))?;
    match protocol {
        RawProtocol::Http if tls.implicit || tls.reuse != Reuse::Off => {
            Err(Refusal::new(span, "\"implicit\" and \"reuse\" are for ftp: remove them"))
        }
        RawProtocol::Http | RawProtocol::Ftp => Ok(tls),
    }
}

impl TryFrom<RawLimits> for Limits {
    type Error = Refusal;

    fn try_from(raw: RawLimits) -> Result<Self, Refusal> {
        let defaults = Self::default();
        let connections = count(raw.connections)?.unwrap_or(defaults.connections);
        Ok(Self {
            connections,
            connections_per_address: count(raw.connections_per_address)?.unwrap_or(Self::share(connections)),
            idle: time(raw.idle)?,
            stall: time(raw.stall)?,
            drain: time(raw.drain)?.unwrap_or(defaults.drain),
        })
    }
}

fn parsed<T: FromStr<Err: fmt::Display>>(written: &Spanned<String>) -> Result<T, Refusal> {
    written.get_ref().parse().map_err(|error: T::Err| Refusal::new(written.span(), error.to_string()))
}

/// Bytes a second.
pub(super) fn rate(written: Option<Spanned<String>>) -> Result<Option<NonZeroU64>, Refusal> {
    let Some(written) = written else { return Ok(None) };
    parse_rate(written.get_ref()).map(Some).map_err(|says| Refusal::new(written.span(), says))
}

pub(super) fn count(written: Option<Spanned<usize>>) -> Result<Option<usize>, Refusal> {
    match written {
        Some(written) if *written.get_ref() == 0 => {
            Err(Refusal::new(written.span(), "nobody could connect: write 1 at least"))
        }
        written => Ok(written.map(Spanned::into_inner)),
    }
}

pub(super) fn time(written: Option<Spanned<Value>>) -> Result<Option<Duration>, Refusal> {
    let Some(written) = written else { return Ok(None) };
    let time = match written.get_ref() {
        Value::String(text) => parse_duration(text),
        _ => Err("write a time with its unit in quotes, as in \"5m\"".to_owned()),
    };
    time.map(Some).map_err(|says| Refusal::new(written.span(), says))
}

impl FromStr for PassivePorts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.split_once('-').and_then(|(low, high)| {
            let (low, high) = (low.trim().parse::<u16>().ok()?, high.trim().parse::<u16>().ok()?);
            (0 < low && low <= high).then_some(low..=high)
        });
        let range = range.map(Self);
        range.ok_or_else(|| format!("\"{text}\" is no range of ports: write LOW-HIGH, as in 50000-50100"))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.protocol {
            Protocol::Http => write!(f, "http on {}", self.address)?,
            Protocol::Ftp(options) => {
                write!(f, "ftp on {}", self.address)?;
                write_options(f, options)?;
            }
        }
        if let Some(tls) = &self.tls {
            write!(f, "{tls}")?;
        }
        for (rate, what) in [(self.download, "sends"), (self.upload, "receives")] {
            if let Some(rate) = rate {
                write!(f, ", {what} {rate} bytes a second")?;
            }
        }
        for network in &self.proxies {
            write!(f, ", proxy {network}")?;
        }
        let by_protocol = |time: Option<Duration>| time.map_or("by protocol".to_owned(), duration_text);
        let Limits { connections, connections_per_address, idle, stall, drain } = self.limits.clone();
        write!(f, ", {connections} connections, {connections_per_address} an address")?;
        write!(f, ", idle {}, stall {}", by_protocol(idle), by_protocol(stall))?;
        write!(f, ", drain {}", duration_text(drain))
    }
}

//! [`FtpOptions`] as they are wished for, and the [`Address`] that a URL makes of them.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::data::Ending;
use super::manner::{NameEncoding, TimeZone};
use crate::backends::remote::{Deadlines, Login, Policy};
use crate::error::{Error, ErrorKind, Result};
use crate::path::VPath;
use crate::traffic::Traffic;

/// Wishes for an FTP mount.
#[derive(Clone)]
pub struct FtpOptions {
    /// Control connections to the site at once. Default 4; 0 counts as 1. A site that answers 421 gets fewer for a
    /// minute.
    pub connections: usize,
    /// How long it is waited for.
    pub deadlines: Deadlines,
    /// Dial private addresses that the URL does not name itself. Default: no.
    pub allow_private: bool,
    /// Take changes. Default: no.
    pub writable: bool,
    /// Certificate authorities in PEM that are trusted besides those of this machine. Default: none.
    pub authorities: Vec<u8>,
    /// Who logs in; it takes the place of a login in the URL. Default: what the URL says, else `anonymous`.
    pub login: Option<Login>,
    /// What names are encoded in, unless the URL says. Default: they are taken as they are, which is UTF-8 nearly everywhere.
    pub encoding: Option<NameEncoding>,
    /// What the site's clock shows, unless the URL says. Default: UTC.
    pub time_zone: TimeZone,
    /// Reads the password that a URL refers to by `password-file` or `password-env`. Default: such URLs are refused.
    pub secrets: Option<ReadSecret>,
    /// What is counted. Default: counters that nobody sees.
    pub traffic: Arc<Traffic>,
}

/// Reads a secret from where it is kept.
pub type ReadSecret = Arc<dyn Fn(&Secret) -> io::Result<String> + Send + Sync>;

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In the file of this name.
    File(String),
    /// In the environment variable of this name.
    Env(String),
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// Not at all: `ftp:`.
    Off,
    /// After AUTH TLS (RFC 4217 §4): `ftpes:`, or `ftp:` with `?tls=explicit`.
    Explicit,
    /// From the first byte: `ftps:`.
    Implicit,
}

impl Default for FtpOptions {
    fn default() -> Self {
        Self {
            connections: 4,
            deadlines: Deadlines::default(),
            allow_private: false,
            writable: false,
            authorities: Vec::new(),
            login: None,
            encoding: None,
            time_zone: TimeZone::default(),
            secrets: None,
            traffic: Arc::default(),
        }
    }
}

/// A site that may be asked.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) login: Login,
    /// The folder that is mounted, below the one that a login starts in.
    pub(super) base: Vec<Vec<u8>>,
    pub(super) encoding: Option<NameEncoding>,
    pub(super) zone: TimeZone,
    pub(super) ending: Ending,
    pub(super) policy: Policy,
}

impl Address {
    /// Reads the URL of a mount: `ftp://[user[:password]@]host[:port]/folder/[?option=value&…]`, where the options are
    /// `tls`, `encoding`, `tz`, `close-notify`, `password-file` and `password-env`.
    ///
    /// # Errors
    /// `InvalidInput`, which says what to write instead and never holds the password.
    pub(super) fn parse(text: &str, options: &FtpOptions) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refusal("the URL must be ftp://host/"))?;
        let mut tls = match scheme.to_ascii_lowercase().as_str() {
            "ftp" => Tls::Off,
            "ftpes" => Tls::Explicit,
            "ftps" => Tls::Implicit,
            _ => return Err(refusal("the URL must start with ftp://, ftpes:// or ftps://")),
        };
        if rest.contains('#') {
            return Err(refusal("the URL of a site has no #: write it as %23"));
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, folder) = place.split_once('/').unwrap_or((place, ""));
        let (login, host_port) = match authority.rsplit_once('@') {
            Some((login, host_port)) => (Some(login), host_port),
            None => (None, authority),
        };
        let (host, port) = host_and_port(host_port)?;
        let mut address = Self {
            policy: Policy::for_host(&host).with_private(options.allow_private),
            host,
            port: port.unwrap_or(if tls == Tls::Implicit { 990 } else { 21 }),
            tls,
            login: options.login.clone().unwrap_or_else(anonymous),
            base: segments(folder)?,
            encoding: options.encoding,
            zone: options.time_zone,
            ending: Ending::default(),
        };
        if let Some(login) = login.filter(|_| options.login.is_none()) {
            address.login = login_of(login)?;
        }
        for wish in query.split('&').filter(|wish| !wish.is_empty()) {
            let (name, value) = wish.split_once('=').unwrap_or((wish, ""));
            address.wish(name, &decoded(value)?, options, &mut tls)?;
        }
        address.tls = tls;
        check_line(&address.login.user)?;
        check_line(address.login.password.as_deref().unwrap_or_default())?;
        Ok(address)
    }

    fn wish(&mut self, name: &str, value: &str, options: &FtpOptions, tls: &mut Tls) -> Result<()> {
        match (name, value) {
            ("tls", "explicit") if *tls != Tls::Implicit => *tls = Tls::Explicit,
            ("tls", "implicit") => *tls = Tls::Implicit,
            ("tls", "off") if *tls == Tls::Off => {}
            ("tls", _) => return Err(refusal("tls is explicit, implicit or off, and fits the URL's scheme")),
            ("encoding", label) => self.encoding = Some(label.parse().map_err(refusal)?),
            ("tz", zone) => self.zone = zone.parse().map_err(refusal)?,
            ("close-notify", "required") => self.ending = Ending::Said,
            ("close-notify", "optional") => self.ending = Ending::Any,
            ("close-notify", _) => return Err(refusal("close-notify is required or optional")),
            ("password-file", place) => self.read_secret(&Secret::File(place.to_owned()), options)?,
            ("password-env", place) => self.read_secret(&Secret::Env(place.to_owned()), options)?,
            _ => {
                let known = "tls, encoding, tz, close-notify, password-file, password-env";
                return Err(refusal(format!("\"{name}\" is no option of an FTP URL; known: {known}")));
            }
        }
        Ok(())
    }

    fn read_secret(&mut self, place: &Secret, options: &FtpOptions) -> Result<()> {
        let Some(read) = &options.secrets else {
            return Err(refusal("passwords are not read from files or the environment here"));
        };
        let text = read(place).map_err(|error| {
            let (Secret::File(name) | Secret::Env(name)) = place;
            refusal(format!("the password in \"{name}\" cannot be read: {error}"))
        })?;
        self.login.password = Some(text.trim_end_matches(['\r', '\n']).to_owned());
        Ok(())
    }

    /// The site's URL, without login and options.
    pub(super) fn url(&self) -> String {
        let scheme = match self.tls {
            Tls::Off => "ftp",
            Tls::Explicit => "ftpes",
            Tls::Implicit => "ftps",
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}/", self.port)
    }
}

/// Nobody in particular (RFC 1635).
fn anonymous() -> Login {
    Login { user: "anonymous".to_owned(), password: Some("anonymous@".to_owned()) }
}

fn refusal(detail: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, "connect", &VPath::root()).with_detail(detail)
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host = decoded(host)?;
    if host.is_empty() || host.contains(|char: char| char.is_whitespace() || char.is_control()) {
        return Err(refusal("the URL names no host"));
    }
    match port.filter(|port| !port.is_empty()).map(str::parse) {
        Some(Ok(port)) => Ok((host, Some(port))),
        Some(Err(_)) => Err(refusal("the port is a number up to 65535")),
        None => Ok((host, None)),
    }
}

fn login_of(text: &str) -> Result<Login> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    Ok(Login { user: decoded(user)?, password: Some(decoded(password)?) })
}

fn segments(folder: &str) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for segment in folder.split('/').filter(|segment| !segment.is_empty()) {
        let name: Vec<u8> = percent_decode_str(segment).collect();
        let is_plain = name != b"." && name != b".." && !name.iter().any(|byte| b"/\0\r\n".contains(byte));
        if !is_plain {
            return Err(refusal("the URL's folder has a name that cannot be one"));
        }
        names.push(name);
    }
    Ok(names)
}

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Cow::into_owned).map_err(|_| refusal("the URL is not UTF-8"))
}

/// What ends a line would begin a command of its own.
fn check_line(text: &str) -> Result<()> {
    if text.contains(['\r', '\n', '\0']) {
        return Err(refusal("a login holds neither line ends nor NUL"));
    }
    Ok(())
}

impl fmt::Debug for FtpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FtpOptions")
            .field("connections", &self.connections)
            .field("deadlines", &self.deadlines)
            .field("writable", &self.writable)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("url", &self.url())
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address> {
        let read = |place: &Secret| match place {
            Secret::Env(name) if name == "SITE" => Ok("from-env\n".to_owned()),
            Secret::File(name) if name == "/run/secret" => Ok("from-file\r\n".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        Address::parse(text, &FtpOptions { secrets: Some(Arc::new(read)), ..FtpOptions::default() })
    }

    #[test]
    fn a_url_names_host_folder_login_and_protection() {
        for (text, url, user, password, base) in [
            ("ftp://a.b", "ftp://a.b:21/", "anonymous", "anonymous@", ""),
            ("ftp://a.b/pub/x%20y/", "ftp://a.b:21/", "anonymous", "anonymous@", "pub|x y"),
            ("ftps://a.b/", "ftps://a.b:990/", "anonymous", "anonymous@", ""),
            ("ftpes://a.b:2121/", "ftpes://a.b:2121/", "anonymous", "anonymous@", ""),
            ("ftp://a.b/?tls=explicit", "ftpes://a.b:21/", "anonymous", "anonymous@", ""),
            ("ftp://me:se%40cr%3aet@a.b/", "ftp://a.b:21/", "me", "se@cr:et", ""),
            ("ftp://me@a.b/?password-env=SITE", "ftp://a.b:21/", "me", "from-env", ""),
            ("ftp://me@[::1]:2/?password-file=/run/secret", "ftp://[::1]:2/", "me", "from-file", ""),
        ] {
            let found = parse(text).unwrap();
            let folders: Vec<_> = found.base.iter().map(|name| String::from_utf8_lossy(name)).collect();
            let login = (found.login.user.as_str(), found.login.password.as_deref().unwrap());
            assert_eq!(
                (found.url().as_str(), login, folders.join("|")),
                (url, (user, password), base.into())
            );
            assert!(!format!("{found:?}").contains(password), "{found:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_without_telling_the_password() {
        for text in [
            "ftp:",
            "ftp://",
            "http://a.b/",
            "ftp://a.b:99999/",
            "ftp://a.b/%2e%2e/",
            "ftp://a.b/x%0d%0aDELE%20y/",
            "ftp://me:geheim%0d%0aDELE%20x@a.b/",
            "ftp://me:geheim@a.b/?tls=perhaps",
            "ftps://me:geheim@a.b/?tls=off",
            "ftp://me:geheim@a.b/?color=red",
            "ftp://me:geheim@a.b/?encoding=utf-16le",
            "ftp://me:geheim@a.b/?tz=yesterday",
            "ftps://me:geheim@a.b/?close-notify=perhaps",
            "ftp://me@a.b/?password-env=NOWHERE",
            "ftp://a.b/#x",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
        }
    }
}

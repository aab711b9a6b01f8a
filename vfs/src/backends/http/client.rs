//! [`Client`]: one site's requests, under the rules of its mount: where it dials, how often and how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LOCATION,
    RANGE,
};
use reqwest::{Method, Response, StatusCode, Url, redirect, retry};
use tokio::time::{sleep, timeout};

use super::config::Site;
use super::dav;
use super::error::{of_status, of_transport};
use super::response::{date_of, tag_of};
use crate::backends::remote::{Connection, Connections, Deadlines, Policy, RetryBudget, Trust};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::options::{ByteRange, Held};
use crate::path::VPath;
use crate::traffic::Traffic;

/// Redirects that one request follows at most.
const REDIRECTS: usize = 5;

/// Times that one request is asked again at most.
const RETRIES: u32 = 2;

/// Longest `Retry-After` that is waited for; a longer one is told to the caller.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Fields in the head of an answer at most.
const HEAD_FIELDS: usize = 100;

/// The protocols that are spoken under TLS, the better one first (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What the site's servers learn about who asks.
const USER_AGENT: &str = concat!("vfsd/", env!("CARGO_PKG_VERSION"));

/// Asks one site.
pub(super) struct Client {
    http: reqwest::Client,
    /// For hops to other ports than the mount's, under the rule for these.
    elsewhere: reqwest::Client,
    site: Site,
    connections: Connections,
    budget: RetryBudget,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) range: Option<ByteRange>,
    pub(super) if_range: Option<HeaderValue>,
    /// Send nothing where the site still has this version.
    pub(super) held: Option<Held>,
    pub(super) accept: &'static str,
    /// What a `PROPFIND` looks at.
    pub(super) depth: Option<dav::Depth>,
}

/// What a request came to.
#[derive(Debug)]
pub(super) enum Reached {
    /// A head, with a body to come.
    Answer(Box<Answer>),
    /// The site says that the same URL with a `/` at its end is meant: a folder.
    Folder,
}

/// An answer's head, and the right to the connection that its body comes on.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    /// Where it came from, after all redirects.
    pub(super) url: Url,
    pub(super) connection: Connection,
}

impl Ask {
    pub(super) fn get() -> Self {
        Self { method: Method::GET, range: None, if_range: None, held: None, accept: "*/*", depth: None }
    }

    pub(super) fn head() -> Self {
        Self { method: Method::HEAD, ..Self::get() }
    }

    pub(super) fn options() -> Self {
        Self { method: Method::OPTIONS, ..Self::get() }
    }

    /// RFC 4918 §9.1.
    pub(super) fn propfind(depth: dav::Depth) -> Self {
        Self {
            method: dav::propfind(),
            depth: Some(depth),
            accept: "application/xml, text/xml",
            ..Self::get()
        }
    }
}

impl Client {
    /// A client for `site`. Dials nobody yet.
    ///
    /// # Errors
    /// `InvalidInput` where the authorities are none; `Internal` where TLS cannot be set up.
    pub(super) fn new(site: Site) -> Result<Self> {
        let trust = Trust::with(&site.options.authorities)
            .map_err(|why| Error::new(ErrorKind::InvalidInput, "connect", &VPath::root()).with_detail(why))?;
        let mut tls = trust.client(rustls::DEFAULT_VERSIONS).map_err(unusable)?;
        tls.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        let http = dialler(&site, tls.clone(), site.policy.clone()).map_err(unusable)?;
        let elsewhere = dialler(&site, tls, site.policy.elsewhere()).map_err(unusable)?;
        let connections = Connections::new(site.options.connections);
        Ok(Self { http, elsewhere, site, connections, budget: RetryBudget::new() })
    }

    pub(super) fn base(&self) -> &Url {
        &self.site.base
    }

    pub(super) fn deadlines(&self) -> Deadlines {
        self.site.options.deadlines
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.site.options.traffic
    }

    /// Pays for asking once more, outside of [`Client::ask`]; `None`: the site has been asked again often enough.
    pub(super) fn pay(&self, failures: u32) -> Option<Duration> {
        self.budget.spend(failures)
    }

    /// True where somebody waits for a connection.
    pub(super) fn is_busy(&self) -> bool {
        self.connections.are_wanted()
    }

    /// Asks `url`, and asks again where that may help and the budget allows it. A dropped future closes its connection.
    ///
    /// # Errors
    /// What the site refuses with, or why it could not be reached, as an error of `op` on `path`.
    pub(super) async fn ask(&self, url: &Url, ask: &Ask, op: &'static str, path: &VPath) -> Result<Reached> {
        let mut failures = 0;
        loop {
            let error = match self.ask_once(url, ask, op, path).await {
                Ok(reached) => {
                    self.budget.earn();
                    return Ok(reached);
                }
                Err(error) => error,
            };
            failures += 1;
            if is_trouble(error.kind()) {
                self.traffic().count_error();
            }
            // What timed out has cost its caller enough.
            let wait = match (error.kind(), error.retry()) {
                (ErrorKind::Unavailable | ErrorKind::BadAnswer | ErrorKind::Busy, Retry::Now) => {
                    Duration::ZERO
                }
                (ErrorKind::Busy, Retry::After(wait)) if wait <= PATIENCE => wait,
                _ => return Err(error),
            };
            match self.budget.spend(failures).filter(|_| failures <= RETRIES) {
                Some(delay) => sleep(delay.max(wait)).await,
                None => return Err(error),
            }
        }
    }

    async fn ask_once(&self, url: &Url, ask: &Ask, op: &'static str, path: &VPath) -> Result<Reached> {
        let first_byte = self.deadlines().first_byte;
        let connection = within(first_byte, ErrorKind::Busy, op, path, self.connections.acquire()).await?;
        let sent = self.follow(url, ask, op, path);
        let landed = within(first_byte, ErrorKind::TimedOut, op, path, sent).await??;
        let Landed::Answer(response, url) = landed else { return Ok(Reached::Folder) };
        let is_answer = match response.status() {
            StatusCode::MULTI_STATUS => ask.method == dav::propfind(),
            StatusCode::NOT_MODIFIED => ask.held.is_some(),
            _ => false,
        };
        if !is_answer {
            of_status(response.status(), response.headers(), op, path)?;
        }
        Ok(Reached::Answer(Box::new(Answer { response: *response, url, connection })))
    }

    /// Sends the request to where the site's redirects lead.
    async fn follow(&self, url: &Url, ask: &Ask, op: &'static str, path: &VPath) -> Result<Landed> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            self.check_literal(&url, op, path)?;
            let request = self.request(&url, ask);
            self.traffic().count_request();
            let response = request.send().await.map_err(|error| of_transport(error, op, path))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(Landed::Answer(Box::new(response), url));
            }
            match next_hop(&url, response.headers().get(LOCATION)) {
                Hop::Slash => return Ok(Landed::Folder),
                Hop::To(next) => url = next,
                Hop::Refused(why) => {
                    let error = Error::new(ErrorKind::PermissionDenied, op, path);
                    return Err(error.with_detail(why));
                }
            }
        }
        let detail = format!("the site redirects more than {REDIRECTS} times");
        Err(Error::new(ErrorKind::Loop, op, path).with_detail(detail))
    }

    fn request(&self, url: &Url, ask: &Ask) -> reqwest::RequestBuilder {
        let http = if self.is_at_home(url) { &self.http } else { &self.elsewhere };
        let mut request = http
            .request(ask.method.clone(), url.clone())
            .header(ACCEPT, ask.accept)
            // So that a range means bytes of the file, and a length is the file's.
            .header(ACCEPT_ENCODING, "identity");
        // A login is for the origin it was given for (RFC 6454 §5) and goes nowhere else.
        if let Some(login) = self.site.login.as_ref().filter(|_| url.origin() == self.site.base.origin()) {
            request = request.basic_auth(&login.user, login.password.as_ref());
        }
        if let Some(range) = ask.range {
            let last = range.end.map_or_else(String::new, |end| end.saturating_sub(1).to_string());
            request = request.header(RANGE, format!("bytes={}-{last}", range.start));
        }
        if let Some(version) = &ask.if_range {
            request = request.header(IF_RANGE, version.clone());
        }
        if let Some(held) = &ask.held {
            let fields = [(IF_NONE_MATCH, tag_of(held)), (IF_MODIFIED_SINCE, date_of(held))];
            for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                request = request.header(name, value);
            }
        }
        if let Some(depth) = ask.depth {
            request = request
                .header("depth", depth.as_str())
                .header(CONTENT_TYPE, "application/xml")
                .body(dav::WANTED);
        }
        request
    }

    /// True for URLs with the port that the mount names.
    fn is_at_home(&self, url: &Url) -> bool {
        url.port_or_known_default() == self.site.base.port_or_known_default()
    }

    /// Addresses that are written as such never reach the resolver.
    fn check_literal(&self, url: &Url, op: &'static str, path: &VPath) -> Result<()> {
        let host = url.host_str().unwrap_or_default();
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let policy = if self.is_at_home(url) { &self.site.policy } else { &self.site.policy.elsewhere() };
        match literal.parse().map(|address| policy.check(address)) {
            Ok(Err(refused)) => {
                let detail = refused.to_string();
                Err(Error::new(ErrorKind::PermissionDenied, op, path).with_detail(detail))
            }
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }
}

/// Nothing can be dialled at all.
fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "connect", &VPath::root()).with_source(error)
}

/// What dials, resolves and speaks TLS for `site`, under `policy`.
fn dialler(site: &Site, tls: rustls::ClientConfig, policy: Policy) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .dns_resolver(CheckedResolver { policy })
        .connect_timeout(site.options.deadlines.connect)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(site.options.connections.max(1))
        .http1_max_headers(HEAD_FIELDS)
        .build()
}

enum Landed {
    Answer(Box<Response>, Url),
    Folder,
}

/// Where a redirect leads.
enum Hop {
    /// To the same URL with a `/` at its end.
    Slash,
    To(Url),
    Refused(&'static str),
}

fn next_hop(url: &Url, location: Option<&HeaderValue>) -> Hop {
    let Some(next) = location.and_then(|value| url.join(value.to_str().ok()?).ok()) else {
        return Hop::Refused("the site redirects without saying where to");
    };
    if next.path().strip_suffix('/') == Some(url.path()) {
        return Hop::Slash;
    }
    match (url.scheme(), next.scheme()) {
        ("https", "http") => Hop::Refused("the site redirects from https: to http:"),
        (_, "http" | "https") => Hop::To(without_login(next)),
        _ => Hop::Refused("the site redirects to another protocol"),
    }
}

/// A login in a `Location` is the site's word, not the mount's.
fn without_login(mut url: Url) -> Url {
    // Neither can fail: http: and https: URLs have a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

async fn within<T>(
    limit: Duration,
    kind: ErrorKind,
    op: &'static str,
    path: &VPath,
    work: impl Future<Output = T>,
) -> Result<T> {
    timeout(limit, work).await.map_err(|_| {
        let detail = match kind {
            ErrorKind::Busy => format!("all connections to the site are in use for {limit:?}"),
            _ => format!("the site did not answer within {limit:?}"),
        };
        // The caller has waited long enough to be asked whether to go on.
        Error::new(kind, op, path).with_detail(detail).with_retry(Retry::After(limit))
    })
}

/// Resolves names and lets only those addresses through that may be dialled.
struct CheckedResolver {
    policy: Policy,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        Box::pin(async move {
            // Port 0 stands for the URL's own.
            let addresses = policy.resolve(name.as_str(), 0).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// True for failures of the site; a clear "no" is an answer.
fn is_trouble(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unavailable
            | ErrorKind::BadAnswer
            | ErrorKind::TimedOut
            | ErrorKind::Busy
            | ErrorKind::Loop
    )
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("site", &self.site).finish_non_exhaustive()
    }
}

/// Shared by all files of a mount.
pub(super) type SharedClient = Arc<Client>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_judged_one_by_one() {
        for (from, location, expected) in [
            ("http://a/x", Some("/x/"), "folder"),
            ("http://a/x", Some("https://a/x/"), "folder"),
            ("http://a/x?", Some("x/?q"), "folder"),
            ("http://a/x", Some("y"), "http://a/y"),
            ("http://a/x", Some("https://me:pw@b/y"), "https://b/y"),
            ("http://a/x", Some("//b/y"), "http://b/y"),
            ("https://a/x", Some("http://a/y"), "refused"),
            ("http://a/x", Some("file:///etc/passwd"), "refused"),
            ("http://a/x", Some("ftp://a/y"), "refused"),
            ("http://a/x", None, "refused"),
        ] {
            let location = location.map(|location| HeaderValue::from_str(location).unwrap());
            let found = match next_hop(&Url::parse(from).unwrap(), location.as_ref()) {
                Hop::Slash => "folder".to_owned(),
                Hop::To(url) => url.to_string(),
                Hop::Refused(_) => "refused".to_owned(),
            };
            assert_eq!(found, expected, "{from} {location:?}");
        }
    }
}

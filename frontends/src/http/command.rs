//! From a request to what it wants: [`Command`].

use http::header::{HOST, RANGE};
use http::request::Parts;
use http::{Method, Version};
use vfs::VPath;

use super::wire::{BadTarget, Conditions, RangeSpec, Target, parse_host, parse_range};

/// What a request wants.
#[derive(Debug)]
pub(super) enum Command {
    /// A file or a folder's listing.
    Fetch(Box<Fetch>),
    /// To know what can be done.
    Options,
    /// What is not done here.
    NotAllowed,
    /// Nothing that makes sense.
    Refused(Refusal),
}

/// GET or HEAD.
#[derive(Debug)]
pub(super) struct Fetch {
    /// The head alone is wanted.
    pub(super) head_only: bool,
    /// The site's name, where the request has one.
    pub(super) host: Option<String>,
    /// What is wanted.
    pub(super) path: VPath,
    /// The target ends in `/`.
    pub(super) is_folder: bool,
    /// The target's query, for a redirect to keep.
    pub(super) query: Option<String>,
    /// A range of the content.
    pub(super) range: Option<RangeSpec>,
    /// When it is wanted at all.
    pub(super) conditions: Conditions,
}

/// Why a request makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// An HTTP/1.1 or HTTP/2 request without a host (RFC 9112 §3.2).
    NoHost,
    /// More hosts than one.
    ManyHosts,
    /// A host that cannot be one.
    BadHost,
    /// A target that names nothing.
    Target(BadTarget),
}

impl Command {
    /// Reads a request's head.
    pub(super) fn read(head: &Parts) -> Self {
        let host = match host_of(head) {
            Ok(host) => host,
            Err(refusal) => return Self::Refused(refusal),
        };
        let head_only = match head.method {
            Method::GET => false,
            Method::HEAD => true,
            Method::OPTIONS => return Self::Options,
            _ => return Self::NotAllowed,
        };
        match Target::parse(head.uri.path()) {
            Ok(target) => Self::Fetch(Box::new(Fetch {
                head_only,
                host,
                path: target.path,
                is_folder: target.is_folder,
                query: head.uri.query().map(str::to_owned),
                range: if head_only { None } else { range_of(head) },
                conditions: Conditions::read(&head.headers),
            })),
            Err(error) => Self::Refused(Refusal::Target(error)),
        }
    }
}

/// The range asked for. Only GET has ranges (RFC 9110 §14.2).
fn range_of(head: &Parts) -> Option<RangeSpec> {
    let mut values = head.headers.get_all(RANGE).iter();
    let range = values.next().and_then(|value| parse_range(value.as_bytes()))?;
    values.next().is_none().then_some(range)
}

/// The host that the request is for. The target's own authority comes before the field (RFC 9112 §3.2.2); the two of an
/// HTTP/2 request must not differ (RFC 9113 §8.3.1).
fn host_of(head: &Parts) -> Result<Option<String>, Refusal> {
    let parse = |value: &[u8]| parse_host(value).map_err(|_| Refusal::BadHost);
    let mut fields = head.headers.get_all(HOST).iter();
    let field = fields.next().map(|value| parse(value.as_bytes())).transpose()?;
    if fields.next().is_some() {
        return Err(Refusal::ManyHosts);
    }
    let authority = head.uri.authority().map(|authority| parse(authority.as_str().as_bytes())).transpose()?;
    match (head.version, authority, field) {
        (Version::HTTP_2, Some(authority), Some(field)) if authority != field => Err(Refusal::ManyHosts),
        (Version::HTTP_2, Some(authority), _) => Ok(authority),
        (Version::HTTP_11 | Version::HTTP_2, _, None) => Err(Refusal::NoHost),
        (_, Some(authority), _) => Ok(authority),
        (_, None, field) => Ok(field.flatten()),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(version: Version, target: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::get(target).version(version);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_is_for_one_host() {
        use Version as V;
        for (version, target, fields, host) in [
            (V::HTTP_11, "/", &[("host", "A.b:80")][..], Ok(Some("a.b"))),
            (V::HTTP_11, "/", &[("host", "")], Ok(None)),
            (V::HTTP_11, "/", &[], Err(Refusal::NoHost)),
            (V::HTTP_11, "/", &[("host", "a"), ("host", "a")], Err(Refusal::ManyHosts)),
            (V::HTTP_11, "/", &[("host", "a b")], Err(Refusal::BadHost)),
            (V::HTTP_11, "http://c/", &[("host", "a")], Ok(Some("c"))),
            (V::HTTP_11, "http://c/", &[], Err(Refusal::NoHost)),
            (V::HTTP_11, "http://u@c/", &[("host", "c")], Err(Refusal::BadHost)),
            (V::HTTP_10, "/", &[], Ok(None)),
            (V::HTTP_10, "/", &[("host", "a")], Ok(Some("a"))),
            (V::HTTP_2, "http://c/", &[], Ok(Some("c"))),
            (V::HTTP_2, "http://c/", &[("host", "c")], Ok(Some("c"))),
            (V::HTTP_2, "http://c/", &[("host", "a")], Err(Refusal::ManyHosts)),
            (V::HTTP_2, "/", &[("host", "a")], Ok(Some("a"))),
            (V::HTTP_2, "/", &[], Err(Refusal::NoHost)),
        ] {
            let found = host_of(&head(version, target, fields));
            assert_eq!(found, host.map(|host| host.map(str::to_owned)), "{version:?} {target} {fields:?}");
        }
    }

    #[test]
    fn only_get_has_a_range_and_only_one() {
        let fields = [("host", "a"), ("range", "bytes=0-0")];
        let read = |head: &Parts| match Command::read(head) {
            Command::Fetch(fetch) => fetch.range,
            other => panic!("{other:?}"),
        };
        let mut get = head(Version::HTTP_11, "/x", &fields);
        assert_eq!(read(&get), Some(RangeSpec::Between(0, 0)));
        get.headers.append("range", "bytes=0-0".parse().unwrap());
        assert_eq!(read(&get), None);
        let mut head = head(Version::HTTP_11, "/x", &fields);
        head.method = Method::HEAD;
        assert_eq!(read(&head), None);
    }
}

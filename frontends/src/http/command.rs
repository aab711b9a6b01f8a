//! From a request to what it wants: [`Command`].

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, ORIGIN, PRAGMA, RANGE,
    TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderName, Method, Version};
use vfs::producer::Packing;
use vfs::{ErrorKind, Freshness, VPath};

use super::wire::{
    Accepted, BadTarget, Codings, Conditions, Placed, Ranges, Target, View, form_boundary, is_download,
    is_format_named, packing, parse_host, parse_ranges,
};

/// Where MOVE and COPY lead (RFC 4918 §10.3).
const DESTINATION: HeaderName = HeaderName::from_static("destination");

/// Whether they may replace what is there (RFC 4918 §10.6).
const OVERWRITE: HeaderName = HeaderName::from_static("overwrite");

/// How much of a folder COPY takes along (RFC 4918 §9.8.3).
const DEPTH: HeaderName = HeaderName::from_static("depth");

/// What a request wants.
#[derive(Debug)]
pub(super) enum Command {
    /// A file or a folder's listing.
    Fetch(Box<Fetch>),
    /// To change the tree.
    Change(Box<Change>),
    /// To know what can be done, with this path or at all.
    Options(Option<Place>),
    /// What is not done here, or not with this path.
    NotAllowed(Option<Place>),
    /// Nothing that makes sense.
    Refused(Refusal),
}

/// What a request is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The site's name, where the request has one.
    pub(super) host: Option<String>,
    /// A path in its tree.
    pub(super) path: VPath,
    /// The target ends in `/`.
    pub(super) is_folder: bool,
}

/// GET or HEAD.
#[derive(Debug)]
pub(super) struct Fetch {
    /// The head alone is wanted.
    pub(super) head_only: bool,
    /// What is wanted.
    pub(super) place: Place,
    /// How a folder is to be listed.
    pub(super) view: View,
    /// What is taken of the folder's own pages, where it has any. `None`: the listing is wanted.
    pub(super) page: Option<Accepted>,
    /// The archive in which a whole folder is wanted.
    pub(super) packing: Option<Packing>,
    /// It is to be kept, not shown.
    pub(super) is_download: bool,
    /// Content codings that the peer takes.
    pub(super) codings: Codings,
    /// The target's query, for a redirect to keep.
    pub(super) query: Option<String>,
    /// Ranges of the content.
    pub(super) ranges: Option<Ranges>,
    /// When it is wanted at all.
    pub(super) conditions: Conditions,
    /// How old it may be.
    pub(super) freshness: Freshness,
}

/// PUT, DELETE, MKCOL, MOVE, COPY or POST.
#[derive(Debug)]
pub(super) struct Change {
    /// What is changed.
    pub(super) place: Place,
    /// How; a tree that takes no changes is not asked whether they make sense.
    pub(super) deed: Result<Deed, Refusal>,
    /// When.
    pub(super) conditions: Conditions,
    /// The request's body has so many bytes, where that is said.
    pub(super) body_bytes: Option<u64>,
}

/// What is done with a path.
#[derive(Debug)]
pub(super) enum Deed {
    /// The body becomes the file, or the given part of it.
    Store(Option<Placed>),
    /// It is removed, with all that is in it.
    Remove,
    /// It becomes a folder.
    MakeFolder,
    /// It goes elsewhere.
    Move(Errand),
    /// Another one like it is made elsewhere, without what is in it where that is said.
    Copy(Errand, Depth),
    /// The files of a form with this boundary go into the folder.
    TakeForm(Vec<u8>),
}

/// Where something goes.
#[derive(Debug)]
pub(super) struct Errand {
    /// There.
    pub(super) to: VPath,
    /// What is there may be replaced.
    pub(super) overwrites: bool,
}

/// How much of a folder is taken along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// The folder alone.
    Zero,
    /// All of it.
    Infinity,
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
    /// A body whose end cannot be told.
    BadBody,
    /// A target that names nothing.
    Target(BadTarget),
    /// An upload that does not say where it ends (RFC 9110 §15.5.12).
    NoLength,
    /// An upload that is longer than so many bytes.
    TooLong(u64),
    /// A body that broke off, or is not as long as was said.
    BodyBroke,
    /// A body that did not come in time.
    BodyStalled,
    /// A body where none has a meaning.
    UnknownBody,
    /// A `Content-Range` that is none.
    BadPlace,
    /// A form that is none.
    BadForm,
    /// A form that another site's page sent.
    OtherOrigin,
    /// MOVE or COPY without a `Destination`, or with one that is none.
    BadDestination,
    /// A destination that another server has.
    OtherServer,
    /// A file is to have the name of a folder.
    FolderName,
    /// There is something already.
    Exists,
    /// The folder around it is missing.
    NoParent,
    /// The whole tree, or a folder into itself.
    Whole,
    /// Something is mounted there, or somebody holds it.
    InUse,
    /// This one, in the folder that was to be copied or moved, could not be.
    Member(VPath, ErrorKind),
    /// A form with more files than so many, of which that many were taken.
    ManyFiles(usize),
    /// A field of the request that has no such value: this one.
    BadField(&'static str),
}

impl Command {
    /// Reads a request's head.
    pub(super) fn read(head: &Parts) -> Self {
        Self::try_read(head).unwrap_or_else(Self::Refused)
    }

    /// The name of the site that it is for, where it has one.
    pub(super) fn host(&self) -> Option<&str> {
        let place = match self {
            Self::Fetch(fetch) => Some(&fetch.place),
            Self::Change(change) => Some(&change.place),
            Self::Options(place) | Self::NotAllowed(place) => place.as_ref(),
            Self::Refused(_) => None,
        };
        place?.host.as_deref()
    }

    /// True where the request's body means something.
    pub(super) fn takes_body(&self) -> bool {
        matches!(self, Self::Change(change) if matches!(change.deed, Ok(Deed::Store(_) | Deed::TakeForm(_))))
    }

    fn try_read(head: &Parts) -> Result<Self, Refusal> {
        let host = host_of(head)?;
        if head.method == Method::OPTIONS && head.uri.path() == "*" {
            return Ok(Self::Options(None));
        }
        let target = Target::parse(head.uri.path());
        let place = |target: Target| Place { host, path: target.path, is_folder: target.is_folder };
        if head.method == Method::OPTIONS {
            return Ok(Self::Options(target.ok().map(place)));
        }
        if !METHODS.contains(&head.method.as_str()) {
            return Ok(Self::NotAllowed(target.ok().map(place)));
        }
        let place = place(target.map_err(Refusal::Target)?);
        match head.method {
            Method::GET | Method::HEAD => Ok(Self::Fetch(Box::new(Fetch::read(head, place)))),
            // A form is sent to a folder's page.
            Method::POST if !place.is_folder => Ok(Self::NotAllowed(Some(place))),
            _ => Ok(Self::Change(Box::new(Change::read(head, place)))),
        }
    }
}

/// What is understood. OPTIONS is understood of everything.
const METHODS: [&str; 8] = ["GET", "HEAD", "PUT", "DELETE", "MKCOL", "MOVE", "COPY", "POST"];

impl Fetch {
    fn read(head: &Parts, place: Place) -> Self {
        let head_only = head.method == Method::HEAD;
        let query = head.uri.query();
        Self {
            head_only,
            place,
            view: View::read(query, &head.headers),
            page: (!is_format_named(query)).then(|| Accepted::read(&head.headers)),
            packing: packing(query),
            is_download: is_download(query),
            codings: Codings::read(&head.headers),
            query: query.map(str::to_owned),
            ranges: if head_only { None } else { ranges_of(head) },
            conditions: Conditions::read(&head.headers),
            freshness: freshness_of(head),
        }
    }
}

/// Whoever wants what is kept on the way asked about (RFC 9111 §5.2.1): apt for its indices, a browser that reloads.
fn freshness_of(head: &Parts) -> Freshness {
    let says = |wanted: &str| {
        let values = head.headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|said| said.trim().eq_ignore_ascii_case(wanted))
    };
    if says("only-if-cached") {
        return Freshness::StoredOnly;
    }
    let is_old_fashioned = !head.headers.contains_key(CACHE_CONTROL)
        && header(head, &PRAGMA).is_some_and(|pragma| pragma.trim().eq_ignore_ascii_case("no-cache"));
    if is_old_fashioned || says("no-cache") || says("max-age=0") {
        return Freshness::Revalidate;
    }
    Freshness::Any
}

impl Change {
    fn read(head: &Parts, place: Place) -> Self {
        let body_bytes = header(head, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let deed = Deed::read(head, &place);
        Self { place, deed, conditions: Conditions::read(&head.headers), body_bytes }
    }
}

impl Deed {
    fn read(head: &Parts, place: &Place) -> Result<Self, Refusal> {
        let deed = match head.method.as_str() {
            "PUT" => Self::Store(place_of(head)?),
            "DELETE" => return Ok(Self::Remove),
            "MKCOL" if has_body(head) => return Err(Refusal::UnknownBody),
            "MKCOL" => return Ok(Self::MakeFolder),
            // RFC 4918 §9.9.3: what is moved is moved whole.
            "MOVE" if depth_of(head)? != Depth::Infinity => return Err(Refusal::BadField("Depth")),
            "MOVE" => return Ok(Self::Move(Errand::read(head, place)?)),
            "COPY" => return Ok(Self::Copy(Errand::read(head, place)?, depth_of(head)?)),
            _ if !is_from_here(head) => return Err(Refusal::OtherOrigin),
            _ => {
                let media = head.headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
                Self::TakeForm(media.and_then(form_boundary).ok_or(Refusal::UnknownBody)?)
            }
        };
        // HTTP/2's frames end every body.
        let is_delimited = head.version == Version::HTTP_2
            || head.headers.contains_key(TRANSFER_ENCODING)
            || head.headers.contains_key(CONTENT_LENGTH);
        if is_delimited { Ok(deed) } else { Err(Refusal::NoLength) }
    }
}

impl Errand {
    fn read(head: &Parts, place: &Place) -> Result<Self, Refusal> {
        let destination = header(head, &DESTINATION).ok_or(Refusal::BadDestination)?;
        let uri: http::Uri = destination.parse().map_err(|_| Refusal::BadDestination)?;
        if let Some(authority) = uri.authority() {
            let host = parse_host(authority.as_str().as_bytes()).map_err(|_| Refusal::BadDestination)?;
            // RFC 4918 §9.9.4: what another server has is not ours to write.
            if host != place.host {
                return Err(Refusal::OtherServer);
            }
        }
        let target = Target::parse(uri.path()).map_err(Refusal::Target)?;
        let overwrites = match header(head, &OVERWRITE) {
            None | Some("T" | "t") => true,
            Some("F" | "f") => false,
            Some(_) => return Err(Refusal::BadField("Overwrite")),
        };
        Ok(Self { to: target.path, overwrites })
    }
}

/// The one value of a header, where it is text.
fn header<'a>(head: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

fn has_body(head: &Parts) -> bool {
    head.headers.contains_key(TRANSFER_ENCODING)
        || header(head, &CONTENT_LENGTH).is_some_and(|length| length != "0")
}

fn place_of(head: &Parts) -> Result<Option<Placed>, Refusal> {
    let mut values = head.headers.get_all(CONTENT_RANGE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.any(|other| other != value) {
        return Err(Refusal::BadPlace);
    }
    Placed::parse(value.as_bytes()).map(Some).ok_or(Refusal::BadPlace)
}

fn depth_of(head: &Parts) -> Result<Depth, Refusal> {
    match header(head, &DEPTH) {
        Some("0") => Ok(Depth::Zero),
        None => Ok(Depth::Infinity),
        Some(depth) if depth.eq_ignore_ascii_case("infinity") => Ok(Depth::Infinity),
        Some(_) => Err(Refusal::BadField("Depth")),
    }
}

/// False for a request that a page of another site made: browsers send forms to anybody, and say where they come from
/// (Fetch Standard, `Origin` header).
fn is_from_here(head: &Parts) -> bool {
    let Some(origin) = head.headers.get(ORIGIN) else { return true };
    let here = header(head, &HOST).or(head.uri.authority().map(http::uri::Authority::as_str));
    let from = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    matches!((from, here), (Some((_, from)), Some(here)) if from.eq_ignore_ascii_case(here))
}

/// The ranges asked for. Only GET has ranges (RFC 9110 §14.2).
fn ranges_of(head: &Parts) -> Option<Ranges> {
    let mut values = head.headers.get_all(RANGE).iter();
    let ranges = values.next().and_then(|value| parse_ranges(value.as_bytes()))?;
    values.next().is_none().then_some(ranges)
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
    fn who_wants_it_anew_says_so() {
        for (fields, freshness) in [
            (&[][..], Freshness::Any),
            (&[("cache-control", "max-age=60")], Freshness::Any),
            (&[("cache-control", "max-age=0")], Freshness::Revalidate),
            (&[("cache-control", "foo, No-Cache")], Freshness::Revalidate),
            (&[("pragma", "no-cache")], Freshness::Revalidate),
            (&[("pragma", "no-cache"), ("cache-control", "max-age=9")], Freshness::Any),
            (&[("cache-control", "only-if-cached")], Freshness::StoredOnly),
        ] {
            assert_eq!(freshness_of(&head(Version::HTTP_11, "/", fields)), freshness, "{fields:?}");
        }
    }

    #[test]
    fn only_get_has_a_range_and_only_one() {
        let fields = [("host", "a"), ("range", "bytes=0-0")];
        let read = |head: &Parts| match Command::read(head) {
            Command::Fetch(fetch) => fetch.ranges,
            other => panic!("{other:?}"),
        };
        let mut get = head(Version::HTTP_11, "/x", &fields);
        assert_eq!(read(&get), parse_ranges(b"bytes=0-0"));
        get.headers.append("range", "bytes=0-0".parse().unwrap());
        assert_eq!(read(&get), None);
        let mut head = head(Version::HTTP_11, "/x", &fields);
        head.method = Method::HEAD;
        assert_eq!(read(&head), None);
    }
}

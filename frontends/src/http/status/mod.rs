//! From what happened to what the peer hears: status, headers, and the text of an error.

mod words;

use std::time::SystemTime;

use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AGE, ALLOW, CACHE_CONTROL, CACHE_STATUS,
    CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    ETAG, LAST_MODIFIED, LOCATION, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use vfs::jobs::Disk;
use vfs::path::escaped;
use vfs::producer::{self, Coding, Packing, Producer, ProducerExt};
use vfs::{ByteRange, CacheStatus, Error, Retry};

pub(super) use self::words::refusal_message;
use self::words::{refused, status_of};
use super::changes::Allowed;
use super::command::Refusal;
use super::listing::{self, Listing};
use super::multipart::Multipart;
use super::session::{Challenge, Coded, Facts, Listed, Opened, Outcome, Packed, Sent};
use super::wire::{CHALLENGE, Format, attachment, entity_tag, http_date};
use crate::auth::Denied;

/// What can be done where nothing can be changed.
const READING: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// What can be done elsewhere.
const CHANGING: HeaderValue =
    HeaderValue::from_static("GET, HEAD, OPTIONS, PUT, DELETE, MKCOL, MOVE, COPY, POST");

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// What is made for one look is not kept; it has no version that a cache could ask about.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What may still change is asked about at every look.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// What other sites' scripts may send and see, where they may read at all.
const SCRIPTS_SEND: HeaderValue = HeaderValue::from_static(
    "accept, range, if-match, if-none-match, if-range, if-modified-since, if-unmodified-since",
);
const SCRIPTS_SEE: HeaderValue = HeaderValue::from_static(
    "accept-ranges, content-disposition, content-encoding, content-length, content-range, etag, last-modified",
);

/// How long a browser may remember what scripts may do, in seconds.
const SCRIPTS_SECONDS: u64 = 600;

/// When to ask again where the tree does not say, in seconds.
const RETRY_SECONDS: u64 = 1;

/// Fields that answers have room for at first: as many as a file's has.
const FIELDS: usize = 12;

/// An answer's head, and what is to follow it.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
}

/// What follows a head.
pub(super) enum Content {
    /// Nothing, and no length is stated.
    Nothing,
    /// A text.
    Text(String),
    /// What is made while it is sent; `None` where its length is not known before its end.
    Produced(Box<dyn Producer>, Option<u64>),
}

impl Answer {
    /// The answer to a request for `target`, as it was sent.
    pub(super) fn to(outcome: Outcome, target: &str, disk: &Disk) -> Self {
        match outcome {
            Outcome::Opened(opened) => Self::content_of(*opened, disk),
            Outcome::Listed(listed) => Self::listing_of(*listed, disk),
            Outcome::Packed(packed) => Self::archive_of(*packed, disk),
            Outcome::Redirect(location) => {
                let answer =
                    Self::text(StatusCode::MOVED_PERMANENTLY, target, "the folder is at its name with a /");
                // Browsers else keep it for good, and a file may have the name one day.
                answer.with_text(LOCATION, location).with(CACHE_CONTROL, NO_STORE)
            }
            Outcome::NotModified(facts) => {
                Self::new(StatusCode::NOT_MODIFIED, Content::Nothing).with_facts(&facts)
            }
            Outcome::PreconditionFailed => Self::text(
                StatusCode::PRECONDITION_FAILED,
                target,
                "the conditions of the request do not hold",
            ),
            Outcome::Unsatisfiable(len) => {
                Self::text(StatusCode::RANGE_NOT_SATISFIABLE, target, "the file has no byte of that range")
                    .with_text(CONTENT_RANGE, format!("bytes */{len}"))
            }
            Outcome::Stored { is_new, facts } => {
                let status = if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
                Self::new(status, Content::Nothing).with_facts(&facts.unwrap_or_default())
            }
            Outcome::Created => Self::new(StatusCode::CREATED, Content::Nothing),
            Outcome::Changed => Self::new(StatusCode::NO_CONTENT, Content::Nothing),
            Outcome::FormTaken => {
                Self::text(StatusCode::SEE_OTHER, target, "it is done").with_text(LOCATION, target.to_owned())
            }
            Outcome::Options(allowed) => {
                Self::new(StatusCode::NO_CONTENT, Content::Nothing).with(ALLOW, allow(allowed))
            }
            Outcome::NotAllowed(allowed) => {
                let words = match allowed {
                    Allowed::Reading => "files are read here, nothing else",
                    Allowed::Changing => "that cannot be done with this",
                };
                Self::text(StatusCode::METHOD_NOT_ALLOWED, target, words).with(ALLOW, allow(allowed))
            }
            Outcome::Refused(refusal) => {
                let (status, words) = refused(&refusal);
                let answer = Self::text(status, target, &words);
                match refusal {
                    // What comes is not read any further.
                    Refusal::BodyStalled | Refusal::BodyBroke => answer.with(CONNECTION, CLOSE),
                    _ => answer,
                }
            }
            Outcome::Misdirected => {
                Self::text(StatusCode::MISDIRECTED_REQUEST, target, "no site of that name is here")
            }
            Outcome::Denied(denied, challenge) => Self::denied(denied, challenge, target),
            Outcome::Failed(error) => Self::failure(&error, target),
        }
    }

    fn new(status: StatusCode, content: Content) -> Self {
        let mut headers = HeaderMap::with_capacity(FIELDS);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Self { status, headers, content }
    }

    fn text(status: StatusCode, target: &str, words: &str) -> Self {
        let text = format!("{status}\n\n{}: {words}\n", escaped(target.as_bytes()));
        Self::new(status, Content::Text(text))
            .with(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
    }

    fn denied(denied: Denied, challenge: Challenge, target: &str) -> Self {
        match (denied, challenge) {
            (Denied::Credentials, Challenge::Asked) => {
                Self::text(StatusCode::UNAUTHORIZED, target, "a name and a password are needed")
                    .with(WWW_AUTHENTICATE, CHALLENGE)
            }
            (Denied::Credentials, Challenge::Useless) => {
                Self::text(StatusCode::FORBIDDEN, target, "entry is refused")
            }
            (Denied::Insecure, _) => {
                Self::text(StatusCode::FORBIDDEN, target, "passwords are taken over https only")
            }
            (Denied::Banned(left), _) => {
                Self::text(StatusCode::TOO_MANY_REQUESTS, target, "too many failed logins from your address")
                    .with(RETRY_AFTER, left.as_secs().max(1).into())
            }
            (Denied::Crowded, _) => {
                Self::text(StatusCode::TOO_MANY_REQUESTS, target, "too many requests at once under this name")
                    .with(RETRY_AFTER, RETRY_SECONDS.into())
            }
        }
    }

    /// The peer hears the kind and the path that it sent, and of a question that makes no sense why; the log hears
    /// everything.
    fn failure(error: &Error, target: &str) -> Self {
        let status = status_of(error.kind());
        if status.is_server_error() {
            tracing::warn!(path = %escaped(target.as_bytes()), error = ?error, %status, "a request failed");
        } else {
            tracing::debug!(path = %escaped(target.as_bytes()), error = ?error, %status, "a request failed");
        }
        let answer = Self::text(status, target, &error.told());
        match (status, error.retry()) {
            (_, Retry::After(time)) => {
                let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
                answer.with(RETRY_AFTER, seconds.into())
            }
            (StatusCode::SERVICE_UNAVAILABLE, _) => answer.with(RETRY_AFTER, RETRY_SECONDS.into()),
            (_, _) => answer,
        }
    }

    fn content_of(opened: Opened, disk: &Disk) -> Self {
        let Opened { file, facts, content_type, sent, coded, kept_as } = opened;
        let produced = |file, range: ByteRange| Content::Produced(producer::of(file, range), range.len());
        let answer = match (sent, facts.len, coded) {
            (_, _, Some(Coded::Made(coding))) => {
                let content = producer::of(file, ByteRange::whole()).compress(coding, disk);
                Self::new(StatusCode::OK, Content::Produced(Box::new(content), None))
                    .with(CONTENT_TYPE, content_type)
            }
            (Sent::Part(part), Some(len), _) => Self::new(StatusCode::PARTIAL_CONTENT, produced(file, part))
                .with(CONTENT_TYPE, content_type)
                .with_text(CONTENT_RANGE, content_range(part, len)),
            (Sent::Parts(parts), Some(len), _) => {
                let parts = Multipart::new(&parts, len, &content_type);
                let content_type = parts.content_type();
                let (content, length) = parts.produce(&file);
                Self::new(StatusCode::PARTIAL_CONTENT, Content::Produced(content, Some(length)))
                    .with_text(CONTENT_TYPE, content_type)
            }
            (_, len, _) => {
                let units = if len.is_some() { "bytes" } else { "none" };
                Self::new(StatusCode::OK, produced(file, ByteRange { start: 0, end: len }))
                    .with(CONTENT_TYPE, content_type)
                    .with(ACCEPT_RANGES, HeaderValue::from_static(units))
            }
        };
        let answer = match coded {
            Some(Coded::Stored(coding) | Coded::Made(coding)) => answer.with_coding(coding),
            None => answer,
        };
        let answer = match kept_as {
            Some(name) => answer.with_text(CONTENT_DISPOSITION, attachment(&name)),
            None => answer,
        };
        answer.with_facts(&facts)
    }

    fn listing_of(listed: Listed, disk: &Disk) -> Self {
        let Listed { path, entries, view, uploads, coding, varies } = listed;
        let media = match view.format {
            Format::Html => "text/html; charset=utf-8",
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
        };
        let listing = Listing::new(&path, entries, view, uploads);
        let content: Box<dyn Producer> = match coding {
            Some(coding) => Box::new(listing.compress(coding, disk)),
            None => Box::new(listing),
        };
        let vary = if varies { "accept, accept-encoding" } else { "accept" };
        let answer = Self::new(StatusCode::OK, Content::Produced(content, None))
            .with(CONTENT_TYPE, HeaderValue::from_static(media))
            .with(CONTENT_SECURITY_POLICY, listing::policy())
            .with(CACHE_CONTROL, NO_STORE)
            .with(VARY, HeaderValue::from_static(vary));
        match coding {
            Some(coding) => answer.with_coding(coding),
            None => answer,
        }
    }

    fn archive_of(packed: Packed, disk: &Disk) -> Self {
        let Packed { tree, path, entries, packing } = packed;
        let mut name = path.file_name().map_or(b"files".to_vec(), |segment| segment.name().to_vec());
        name.push(b'.');
        name.extend_from_slice(packing.suffix().as_bytes());
        let media = match packing {
            Packing::Tar => "application/x-tar",
            Packing::TarGz => "application/gzip",
            Packing::TarZst => "application/zstd",
            Packing::Zip => "application/zip",
        };
        let content = packing.pack(tree, &path, entries, disk);
        Self::new(StatusCode::OK, Content::Produced(content, None))
            .with(CONTENT_TYPE, HeaderValue::from_static(media))
            .with(CACHE_CONTROL, NO_STORE)
            .with_text(CONTENT_DISPOSITION, attachment(&name))
    }

    /// What the scripts of other sites are told: `origin` is what may read here, as [`Options::allowed_origin`] has it.
    ///
    /// [`Options::allowed_origin`]: super::options::Options::allowed_origin
    pub(super) fn for_scripts(mut self, origin: Option<HeaderValue>) -> Self {
        if origin.as_ref().is_none_or(|origin| origin != "*") {
            self = self.varying("origin");
        }
        let Some(origin) = origin else { return self };
        self.with(ACCESS_CONTROL_ALLOW_ORIGIN, origin)
            .with(ACCESS_CONTROL_EXPOSE_HEADERS, SCRIPTS_SEE)
            .with(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"))
            .with(ACCESS_CONTROL_ALLOW_HEADERS, SCRIPTS_SEND)
            .with(ACCESS_CONTROL_MAX_AGE, SCRIPTS_SECONDS.into())
    }

    fn with_coding(self, coding: Coding) -> Self {
        self.with(CONTENT_ENCODING, HeaderValue::from_static(coding.name()))
    }

    /// One more field of the request that decides about the answer.
    fn varying(mut self, field: &'static str) -> Self {
        self.headers.append(VARY, HeaderValue::from_static(field));
        self
    }

    fn with_facts(self, facts: &Facts) -> Self {
        let tag = facts.validator.as_ref().and_then(entity_tag);
        // RFC 9110 §8.8.2.1: a date in the future would be one that the peer cannot have seen.
        let date = facts.modified.and_then(|modified| http_date(modified.min(SystemTime::now())));
        let answer = match tag {
            Some(tag) => self.with_text(ETAG, tag),
            None => self,
        };
        let answer = match date {
            Some(date) => answer.with_text(LAST_MODIFIED, date),
            None => answer,
        };
        let answer = match (facts.provisional, &facts.cache_control) {
            (true, _) => answer.with(CACHE_CONTROL, NO_CACHE),
            (false, Some(value)) => answer.with(CACHE_CONTROL, value.clone()),
            (false, None) => answer,
        };
        let answer = match cache_status(facts.cache) {
            Some(status) => {
                let age = facts.age.unwrap_or_default().as_secs();
                answer.with(CACHE_STATUS, HeaderValue::from_static(status)).with(AGE, age.into())
            }
            None => answer,
        };
        let answer = if facts.is_negotiated { answer.varying("accept") } else { answer };
        if facts.varies { answer.varying("accept-encoding") } else { answer }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A header of a text that we made; one that no header can hold is left out.
    fn with_text(self, name: HeaderName, value: String) -> Self {
        match HeaderValue::try_from(value) {
            Ok(value) => self.with(name, value),
            Err(_) => self,
        }
    }
}

/// What a cache of ours had to do with an answer, in RFC 9211's words.
const fn cache_status(cache: CacheStatus) -> Option<&'static str> {
    match cache {
        CacheStatus::None => None,
        CacheStatus::Hit => Some("vfsd; hit"),
        CacheStatus::Stale => Some("vfsd; fwd=stale"),
        CacheStatus::Revalidated => Some("vfsd; fwd=stale; fwd-status=304"),
        CacheStatus::Miss => Some("vfsd; fwd=uri-miss; stored"),
    }
}

fn allow(allowed: Allowed) -> HeaderValue {
    match allowed {
        Allowed::Reading => READING,
        Allowed::Changing => CHANGING,
    }
}

/// A part's place in `len` bytes (RFC 9110 §14.4).
pub(super) fn content_range(part: ByteRange, len: u64) -> String {
    let last = part.end.unwrap_or(len).saturating_sub(1);
    format!("bytes {}-{last}/{len}", part.start)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vfs::{ErrorKind, VPath, Validator};

    use super::*;

    fn facts() -> Facts {
        Facts { len: Some(10), ..Facts::default() }
    }

    #[test]
    fn only_what_is_known_is_said_of_a_file() {
        let now = SystemTime::now();
        let tag = |text: &str| Some(Validator::Strong(text.into()));
        for (facts, name, value) in [
            (facts(), LAST_MODIFIED, None),
            (facts(), ETAG, None),
            (facts(), CACHE_CONTROL, None),
            (
                Facts { modified: Some(now - Duration::from_secs(u32::MAX.into())), ..facts() },
                LAST_MODIFIED,
                None,
            ),
            (Facts { validator: tag("v"), ..facts() }, ETAG, Some("\"v\"")),
            (Facts { validator: tag("a\"\r\nb: c"), ..facts() }, ETAG, None),
            (Facts { provisional: true, ..facts() }, CACHE_CONTROL, Some("no-cache")),
            (facts(), CACHE_STATUS, None),
            (facts(), AGE, None),
            (Facts { cache: CacheStatus::Hit, ..facts() }, CACHE_STATUS, Some("vfsd; hit")),
            (
                Facts { cache: CacheStatus::Stale, age: Some(Duration::from_secs(90)), ..facts() },
                AGE,
                Some("90"),
            ),
        ] {
            let answer = Answer::to(Outcome::NotModified(facts.clone()), "/", &Disk::new());
            let found = answer.headers.get(&name).map(|value| value.to_str().unwrap());
            assert_eq!(found, value, "{name} {facts:?}");
        }
    }

    #[test]
    fn a_date_in_the_future_is_now() {
        let later = SystemTime::now() + Duration::from_secs(86_400);
        let answer =
            Answer::to(Outcome::NotModified(Facts { modified: Some(later), ..facts() }), "/", &Disk::new());
        let said = answer.headers[LAST_MODIFIED].to_str().unwrap();
        assert!(httpdate::parse_http_date(said).unwrap() <= SystemTime::now());
    }

    #[test]
    fn who_may_ask_again_hears_when() {
        for (kind, retry, status, after) in [
            (ErrorKind::Unavailable, Retry::No, 503, Some("1")),
            (ErrorKind::Unavailable, Retry::After(Duration::from_millis(2_500)), 503, Some("3")),
            (ErrorKind::TimedOut, Retry::After(Duration::from_secs(2)), 504, Some("2")),
            (ErrorKind::TimedOut, Retry::Now, 504, None),
            (ErrorKind::NotFound, Retry::No, 404, None),
            (ErrorKind::StorageFull, Retry::No, 507, None),
        ] {
            let error = Error::new(kind, "open", &VPath::root()).with_retry(retry);
            let answer = Answer::to(Outcome::Failed(error), "/", &Disk::new());
            let found = answer.headers.get(RETRY_AFTER).map(|value| value.to_str().unwrap());
            assert_eq!((answer.status.as_u16(), found), (status, after), "{kind:?} {retry:?}");
        }
    }
}

//! From what happened to what the peer hears: status, headers, and the text of an error.

use std::borrow::Cow;
use std::time::SystemTime;

use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, LOCATION, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use vfs::path::escaped;
use vfs::producer::{self, Producer};
use vfs::{ByteRange, Error, ErrorKind, Retry};

use super::command::Refusal;
use super::listing::Listing;
use super::multipart::Multipart;
use super::session::{Challenge, Facts, Opened, Outcome, Sent};
use super::wire::{BadTarget, CHALLENGE, Fault, Format, entity_tag, http_date};
use crate::auth::Denied;

/// What is done here.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// A listing loads nothing and runs nothing, whatever a name in it may say.
const LISTING_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'");

/// When to ask again where the tree does not say, in seconds.
const RETRY_SECONDS: u64 = 1;

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
    pub(super) fn to(outcome: Outcome, target: &str) -> Self {
        match outcome {
            Outcome::Opened(opened) => Self::content_of(*opened),
            Outcome::Listed(path, entries, format) => {
                let media = match format {
                    Format::Html => "text/html; charset=utf-8",
                    Format::Json => "application/json",
                    Format::Ndjson => "application/x-ndjson",
                };
                let listing = Box::new(Listing::new(&path, entries, format));
                Self::new(StatusCode::OK, Content::Produced(listing, None))
                    .with(CONTENT_TYPE, HeaderValue::from_static(media))
                    .with(CONTENT_SECURITY_POLICY, LISTING_POLICY)
                    .with(VARY, HeaderValue::from_static("accept"))
            }
            Outcome::Redirect(location) => {
                let answer =
                    Self::text(StatusCode::MOVED_PERMANENTLY, target, "the folder is at its name with a /");
                answer.with_text(LOCATION, location)
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
            Outcome::Options => Self::new(StatusCode::NO_CONTENT, Content::Nothing).with(ALLOW, METHODS),
            Outcome::NotAllowed => {
                Self::text(StatusCode::METHOD_NOT_ALLOWED, target, "files are read here, nothing else")
                    .with(ALLOW, METHODS)
            }
            Outcome::Refused(refusal) => {
                let (status, words) = refused(&refusal);
                Self::text(status, target, &words)
            }
            Outcome::Denied(denied, challenge) => Self::denied(denied, challenge, target),
            Outcome::Failed(error) => Self::failure(&error, target),
        }
    }

    fn new(status: StatusCode, content: Content) -> Self {
        let headers = HeaderMap::from_iter([(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))]);
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

    /// The peer hears the kind and the path that it sent; the log hears everything.
    fn failure(error: &Error, target: &str) -> Self {
        let status = status_of(error.kind());
        if status.is_server_error() {
            tracing::warn!(path = %escaped(target.as_bytes()), error = ?error, %status, "a request failed");
        } else {
            tracing::debug!(path = %escaped(target.as_bytes()), error = ?error, %status, "a request failed");
        }
        let answer = Self::text(status, target, error.kind().as_str());
        match (status, error.retry()) {
            (_, Retry::After(time)) => {
                let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
                answer.with(RETRY_AFTER, seconds.into())
            }
            (StatusCode::SERVICE_UNAVAILABLE, _) => answer.with(RETRY_AFTER, RETRY_SECONDS.into()),
            (_, _) => answer,
        }
    }

    fn content_of(opened: Opened) -> Self {
        let Opened { file, facts, content_type, sent } = opened;
        let produced = |file, range: ByteRange| Content::Produced(producer::of(file, range), range.len());
        let answer = match (sent, facts.len) {
            (Sent::Part(part), Some(len)) => Self::new(StatusCode::PARTIAL_CONTENT, produced(file, part))
                .with(CONTENT_TYPE, content_type)
                .with_text(CONTENT_RANGE, content_range(part, len)),
            (Sent::Parts(parts), Some(len)) => {
                let parts = Multipart::new(&parts, len, &content_type);
                let content_type = parts.content_type();
                let (content, length) = parts.produce(&file);
                Self::new(StatusCode::PARTIAL_CONTENT, Content::Produced(content, Some(length)))
                    .with_text(CONTENT_TYPE, content_type)
            }
            (_, len) => {
                let units = if len.is_some() { "bytes" } else { "none" };
                Self::new(StatusCode::OK, produced(file, ByteRange { start: 0, end: len }))
                    .with(CONTENT_TYPE, content_type)
                    .with(ACCEPT_RANGES, HeaderValue::from_static(units))
            }
        };
        answer.with_facts(&facts)
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
        match facts.provisional {
            true => answer.with(CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            false => answer,
        }
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

/// A part's place in `len` bytes (RFC 9110 §14.4).
pub(super) fn content_range(part: ByteRange, len: u64) -> String {
    let last = part.end.unwrap_or(len).saturating_sub(1);
    format!("bytes {}-{last}/{len}", part.start)
}

/// The status for every way in which a tree can fail.
fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        // Walking through a file, or a file with a trailing slash: nothing is there.
        ErrorKind::NotADirectory => StatusCode::NOT_FOUND,
        ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorKind::ReadOnly => StatusCode::FORBIDDEN,
        ErrorKind::AlreadyExists => StatusCode::CONFLICT,
        ErrorKind::IsADirectory => StatusCode::CONFLICT,
        ErrorKind::DirectoryNotEmpty => StatusCode::CONFLICT,
        ErrorKind::CrossesDevices => StatusCode::CONFLICT,
        ErrorKind::Changed => StatusCode::CONFLICT,
        ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::QuotaExceeded => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::NameTooLong => StatusCode::URI_TOO_LONG,
        ErrorKind::Loop => StatusCode::LOOP_DETECTED,
        // The source is at fault, and the peer can do nothing about it: it is the source that wants a login, too.
        ErrorKind::Unauthenticated => StatusCode::BAD_GATEWAY,
        ErrorKind::Corrupt => StatusCode::BAD_GATEWAY,
        ErrorKind::Truncated => StatusCode::BAD_GATEWAY,
        ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::NotYet => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::LimitExceeded => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The whole message for a head that cannot be taken for a request: written as it is, and the last of its connection.
pub(super) fn refusal_message(fault: Fault) -> String {
    let (status, words) = match fault {
        Fault::Version => {
            (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here")
        }
        Fault::LoneLf => (StatusCode::BAD_REQUEST, "a line of the request ends without CR"),
        Fault::Coding => (StatusCode::NOT_IMPLEMENTED, "the only transfer coding here is chunked"),
        Fault::TwoLengths => {
            (StatusCode::BAD_REQUEST, "the request has both Content-Length and Transfer-Encoding")
        }
    };
    let text = format!("{status}\n\n{words}\n");
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

fn refused(refusal: &Refusal) -> (StatusCode, Cow<'static, str>) {
    let words = match refusal {
        Refusal::NoHost => "the request has no Host".into(),
        Refusal::ManyHosts => "the request has several hosts".into(),
        Refusal::BadBody => "the request's body cannot be read".into(),
        Refusal::BadHost => "the request's Host is no host".into(),
        Refusal::Target(BadTarget::TooLong) => {
            return (StatusCode::URI_TOO_LONG, "the path is too long".into());
        }
        Refusal::Target(BadTarget::Relative) => "the path does not start with /".into(),
        Refusal::Target(BadTarget::Escape) => "a % is not followed by two hexadecimal digits".into(),
        Refusal::Target(BadTarget::Name) => "no name holds a / or a NUL".into(),
        Refusal::Target(BadTarget::Path(error)) => error.to_string().into(),
    };
    (StatusCode::BAD_REQUEST, words)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vfs::{VPath, Validator};

    use super::*;

    fn facts() -> Facts {
        Facts { len: Some(10), modified: None, validator: None, provisional: false }
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
        ] {
            let answer = Answer::to(Outcome::NotModified(facts.clone()), "/");
            let found = answer.headers.get(&name).map(|value| value.to_str().unwrap());
            assert_eq!(found, value, "{name} {facts:?}");
        }
    }

    #[test]
    fn a_date_in_the_future_is_now() {
        let later = SystemTime::now() + Duration::from_secs(86_400);
        let answer = Answer::to(Outcome::NotModified(Facts { modified: Some(later), ..facts() }), "/");
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
            let answer = Answer::to(Outcome::Failed(error), "/");
            let found = answer.headers.get(RETRY_AFTER).map(|value| value.to_str().unwrap());
            assert_eq!((answer.status.as_u16(), found), (status, after), "{kind:?} {retry:?}");
        }
    }
}

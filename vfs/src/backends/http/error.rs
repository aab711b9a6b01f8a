//! Errors of the outside library, and statuses that refuse, as kinds of ours.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::backends::remote::Refused;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::path::VPath;

/// Longest wait that a `Retry-After` is believed to ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What a request failed with before its answer had a head, or while its body came.
pub(super) fn of_transport(error: reqwest::Error, op: &'static str, path: &VPath) -> Error {
    // The URL is the mount's own business, and the log has the path.
    let error = error.without_url();
    if let Some(refused) = refusal_in(&error) {
        // The operator alone can allow it, and peers are not told.
        tracing::warn!(%path, "{refused}");
        let detail = refused.to_string();
        return Error::new(ErrorKind::PermissionDenied, op, path).with_detail(detail).with_source(error);
    }
    let kind = match () {
        () if error.is_connect() => ErrorKind::Unavailable,
        () if error.is_timeout() => ErrorKind::TimedOut,
        // Broken off, or no HTTP. Another URL may fare better.
        () => ErrorKind::BadAnswer,
    };
    let cause = deepest(&error).to_string();
    Error::new(kind, op, path).with_detail(cause).with_source(error).with_retry(Retry::Now)
}

/// What lies at the bottom says most: that nobody listens, that a certificate is unknown.
fn deepest<'a>(mut error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

fn refusal_in(error: &(dyn StdError + 'static)) -> Option<Refused> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let found = error.downcast_ref().or_else(|| inner?.downcast_ref());
        if let Some(refused) = found {
            return Some(*refused);
        }
        next = error.source();
    }
    None
}

/// Passes the statuses that carry what was asked for.
///
/// # Errors
/// What the others mean.
pub(super) fn of_status(
    status: StatusCode,
    headers: &HeaderMap,
    op: &'static str,
    path: &VPath,
) -> Result<()> {
    let kind = match status.as_u16() {
        // 203: somebody on the way has changed it (RFC 9110 §15.3.4), as a proxy may.
        200 | 203 | 206 => return Ok(()),
        401 | 407 => ErrorKind::Unauthenticated,
        403 | 451 => ErrorKind::PermissionDenied,
        404 | 410 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::TimedOut,
        412 => ErrorKind::Changed,
        414 => ErrorKind::NameTooLong,
        416 => ErrorKind::InvalidInput,
        423 | 425 | 429 | 503 => ErrorKind::Busy,
        // What the site finds wrong with the question itself says nothing about how the site fares.
        400 | 402..=499 | 501 => ErrorKind::Unsupported,
        _ => ErrorKind::BadAnswer,
    };
    let retry = match kind {
        ErrorKind::Busy => retry_after(headers, SystemTime::now()).map_or(Retry::Now, Retry::After),
        ErrorKind::TimedOut | ErrorKind::BadAnswer => Retry::Now,
        _ => Retry::No,
    };
    Err(Error::new(kind, op, path).with_detail(format!("the site answered {status}")).with_retry(retry))
}

/// RFC 9110 §10.2.3: seconds or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse().map(Duration::from_secs) {
        Ok(wait) => wait,
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn statuses_have_kinds() {
        for (status, kind) in [
            (401, Some(ErrorKind::Unauthenticated)),
            (404, Some(ErrorKind::NotFound)),
            (416, Some(ErrorKind::InvalidInput)),
            (503, Some(ErrorKind::Busy)),
            (400, Some(ErrorKind::Unsupported)),
            (405, Some(ErrorKind::Unsupported)),
            (207, Some(ErrorKind::BadAnswer)),
            (500, Some(ErrorKind::BadAnswer)),
            (204, Some(ErrorKind::BadAnswer)),
            (200, None),
            (203, None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let found = of_status(status, &HeaderMap::new(), "open", &VPath::root());
            assert_eq!(found.err().map(|error| error.kind()), kind, "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("999999999", Some(3600)),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}

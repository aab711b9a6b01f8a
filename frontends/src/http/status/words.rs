//! Statuses, and the words that go with them: one table for what a tree refuses, one for what a request has wrong.

use std::borrow::Cow;

use http::StatusCode;
use vfs::ErrorKind;

use super::super::command::Refusal;
use super::super::wire::{BadTarget, Fault};

/// The status for every way in which a tree can fail.
pub(super) fn status_of(kind: ErrorKind) -> StatusCode {
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
        ErrorKind::BadAnswer => StatusCode::BAD_GATEWAY,
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
pub(in crate::http) fn refusal_message(fault: Fault) -> String {
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

/// The status of a request that makes no sense, and what is wrong with it.
pub(super) fn refused(refusal: &Refusal) -> (StatusCode, Cow<'static, str>) {
    let (status, words) = match refusal {
        Refusal::NoHost => (StatusCode::BAD_REQUEST, "the request has no Host"),
        Refusal::ManyHosts => (StatusCode::BAD_REQUEST, "the request has several hosts"),
        Refusal::BadBody => (StatusCode::BAD_REQUEST, "the request's body cannot be read"),
        Refusal::BadHost => (StatusCode::BAD_REQUEST, "the request's Host is no host"),
        Refusal::Target(BadTarget::TooLong) => (StatusCode::URI_TOO_LONG, "the path is too long"),
        Refusal::Target(BadTarget::Relative) => (StatusCode::BAD_REQUEST, "the path does not start with /"),
        Refusal::Target(BadTarget::Escape) => {
            (StatusCode::BAD_REQUEST, "a % is not followed by two hexadecimal digits")
        }
        Refusal::Target(BadTarget::Name) => (StatusCode::BAD_REQUEST, "no name holds a / or a NUL"),
        Refusal::Target(BadTarget::Path(error)) => {
            return (StatusCode::BAD_REQUEST, error.to_string().into());
        }
        Refusal::NoLength => {
            (StatusCode::LENGTH_REQUIRED, "the upload does not say where it ends: send its Content-Length")
        }
        Refusal::TooLong(limit) => {
            let words = format!("the upload is longer than the {limit} bytes that are taken here");
            return (StatusCode::PAYLOAD_TOO_LARGE, words.into());
        }
        Refusal::BodyBroke => {
            (StatusCode::BAD_REQUEST, "the upload broke off, or is not as long as was said: send it again")
        }
        Refusal::BodyStalled => (StatusCode::REQUEST_TIMEOUT, "the upload stood still for too long"),
        Refusal::UnknownBody => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "nothing is known of a body of this type here")
        }
        Refusal::BadPlace => (
            StatusCode::BAD_REQUEST,
            "the Content-Range is none, or not as long as the body: send bytes FIRST-LAST/TOTAL",
        ),
        Refusal::BadForm => (StatusCode::BAD_REQUEST, "the form cannot be read"),
        Refusal::OtherOrigin => (StatusCode::FORBIDDEN, "the form was sent by another site's page"),
        Refusal::BadDestination => {
            (StatusCode::BAD_REQUEST, "the Destination is missing, or is no URL of this server")
        }
        Refusal::OtherServer => (StatusCode::BAD_GATEWAY, "the Destination is on another server"),
        Refusal::FolderName => {
            (StatusCode::CONFLICT, "a name that ends with / is a folder's: leave it out, or send MKCOL")
        }
        Refusal::Exists => (
            StatusCode::CONFLICT,
            "there is one of that name already: allow replacing, or choose another name",
        ),
        Refusal::NoParent => (StatusCode::CONFLICT, "the folder around it is missing: make it first"),
        Refusal::Whole => {
            (StatusCode::FORBIDDEN, "it cannot go into itself or take the place of what holds it")
        }
    };
    (status, words.into())
}

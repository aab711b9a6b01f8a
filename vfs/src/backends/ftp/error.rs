//! [`Fault`]: what a piece of work on a connection came to, and the kinds of ours that it stands for.

use std::io;

use suppaftp::FtpError;

use super::reply::Reply;
use crate::error::{Error, ErrorKind, Retry};
use crate::path::VPath;

/// Why a piece of work did not get what it asked for.
#[derive(Debug)]
pub(super) enum Fault {
    /// The site refuses, and the connection goes on.
    Refused(Reply),
    /// The connection is of no use any more.
    Lost(Lost),
    /// Anything else, already in our words; the connection goes on.
    Other(Error),
}

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) kind: ErrorKind,
    pub(super) detail: String,
    pub(super) source: Option<FtpError>,
}

impl Fault {
    pub(super) fn lost(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self::Lost(Lost { kind, detail: detail.into(), source: None })
    }

    /// What the library says, where it is about the connection. Its words never hold what was sent.
    pub(super) fn of_library(error: FtpError) -> Self {
        let (kind, detail) = match &error {
            FtpError::UnexpectedResponse(response) => return Self::refused(Reply::of(&response.body)),
            FtpError::ConnectionError(error) if error.kind() == io::ErrorKind::InvalidInput => {
                (ErrorKind::InvalidInput, "the command cannot be sent")
            }
            FtpError::ConnectionError(error) if is_policy(error) => {
                (ErrorKind::PermissionDenied, "the site leads to an address that the mount may not dial")
            }
            FtpError::ConnectionError(_) => (ErrorKind::Unavailable, "the connection to the site broke off"),
            FtpError::SecureError(_) => (ErrorKind::Unavailable, "the site's TLS handshake failed"),
            _ => (ErrorKind::Corrupt, "the site does not speak FTP"),
        };
        Self::Lost(Lost { kind, detail: detail.to_owned(), source: Some(error) })
    }

    /// What a refusing reply means for the connection: 421 ends it (RFC 959 §4.2.1).
    pub(super) fn refused(reply: Reply) -> Self {
        match reply.code {
            421 => Self::lost(ErrorKind::Busy, format!("the site hangs up: {reply}")),
            _ => Self::Refused(reply),
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// True where the same work on another connection may succeed. What timed out has cost its caller enough.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Lost(lost) => {
                matches!(lost.kind, ErrorKind::Busy | ErrorKind::Truncated)
                    || lost.kind == ErrorKind::Unavailable
                        && !matches!(lost.source, Some(FtpError::SecureError(_)))
            }
            Self::Refused(reply) => matches!(reply.code, 425 | 426 | 450 | 451) && !reply.speaks_of_absence(),
            Self::Other(_) => false,
        }
    }

    /// True where a connection broke off.
    pub(super) fn is_break(&self) -> bool {
        matches!(self, Self::Lost(lost) if matches!(lost.kind, ErrorKind::Truncated | ErrorKind::Unavailable))
    }

    /// The code of the reply that refuses.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(reply) => Some(reply.code),
            _ => None,
        }
    }

    /// The error of `op` on `path` that it is for a caller.
    pub(super) fn into_error(self, op: &'static str, path: &VPath) -> Error {
        match self {
            Self::Refused(reply) => of_reply(&reply, op, path),
            Self::Lost(Lost { kind, detail, source }) => {
                let retry = match kind {
                    ErrorKind::InvalidInput | ErrorKind::PermissionDenied => Retry::No,
                    _ => Retry::Now,
                };
                let error = Error::new(kind, op, path).with_detail(detail).with_retry(retry);
                match source {
                    Some(source) => error.with_source(source),
                    None => error,
                }
            }
            Self::Other(error) => error.readdressed(|_| path.clone()),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// What a refusal means. 550 is said of everything; the tree looks further where that matters.
fn of_reply(reply: &Reply, op: &'static str, path: &VPath) -> Error {
    let kind = match reply.code {
        332 | 430 | 530 | 532 | 533 => ErrorKind::Unauthenticated,
        450 | 451 if reply.speaks_of_absence() => ErrorKind::NotFound,
        425 | 426 => ErrorKind::Unavailable,
        450 => ErrorKind::Busy,
        452 | 552 => ErrorKind::StorageFull,
        500 | 502 | 504 => ErrorKind::Unsupported,
        501 | 553 => ErrorKind::InvalidInput,
        521 => ErrorKind::AlreadyExists,
        534..=537 => ErrorKind::PermissionDenied,
        550 | 551 if reply.speaks_of_rights() => ErrorKind::PermissionDenied,
        550 | 551 => ErrorKind::NotFound,
        554 => ErrorKind::InvalidInput,
        400..=499 => ErrorKind::BadAnswer,
        _ => ErrorKind::PermissionDenied,
    };
    let retry = if reply.code < 500 && kind != ErrorKind::NotFound { Retry::Now } else { Retry::No };
    Error::new(kind, op, path).with_detail(format!("the site answered {reply}")).with_retry(retry)
}

fn is_policy(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<crate::backends::remote::Refused>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_have_kinds() {
        for (text, kind, may_pass) in [
            ("550 No such file.", ErrorKind::NotFound, false),
            ("550 x: Permission denied", ErrorKind::PermissionDenied, false),
            ("530 Login incorrect.", ErrorKind::Unauthenticated, false),
            ("421 Too many connections.", ErrorKind::Busy, true),
            ("425 No data connection.", ErrorKind::Unavailable, true),
            ("426 Transfer aborted.", ErrorKind::Unavailable, true),
            ("451 Rename failure: No such file or directory", ErrorKind::NotFound, false),
            ("552 Quota exceeded.", ErrorKind::StorageFull, false),
            ("502 Not implemented.", ErrorKind::Unsupported, false),
            ("553 Bad name.", ErrorKind::InvalidInput, false),
        ] {
            let fault = Fault::refused(Reply::of(text.as_bytes()));
            assert_eq!(fault.may_pass(), may_pass, "{text}");
            let error = fault.into_error("open", &VPath::root());
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.to_string().contains(&text[4..]), "{error}");
        }
    }
}

//! What went wrong, in words no protocol owns: [`Error`] and [`ErrorKind`], and their way to and from `std::io`.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use crate::path::{PathError, PathErrorKind, VPath, escaped};

/// Result of every call on a tree.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed (`kind`, for programs), doing what (`op`) on which `path` (for people), and why (`source`, for the log).
///
/// Cheap to clone: calls that share one piece of work share its error.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    op: &'static str,
    path: VPath,
    detail: Option<Cow<'static, str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    retry: Retry,
}

/// Every way in which a call can fail. Exhaustive on purpose: a new kind does not compile until each front end has an
/// answer for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nothing is there.
    NotFound,
    /// It is there, and not for the one who asks.
    PermissionDenied,
    /// The source wants to know who asks.
    Unauthenticated,
    /// Something is there already.
    AlreadyExists,
    /// A folder was needed, or a file was walked through.
    NotADirectory,
    /// A file was needed.
    IsADirectory,
    /// The folder still holds something.
    DirectoryNotEmpty,
    /// The two paths lie in different mounts.
    CrossesDevices,
    /// The tree takes no changes here.
    ReadOnly,
    /// The medium is full.
    StorageFull,
    /// A quota is used up.
    QuotaExceeded,
    /// The question itself makes no sense.
    InvalidInput,
    /// A name or path is longer than the source takes.
    NameTooLong,
    /// Links lead in a circle.
    Loop,
    /// The stored bytes are damaged.
    Corrupt,
    /// The bytes end before their promised length.
    Truncated,
    /// The file is another one than when it was opened or described.
    Changed,
    /// Somebody else holds it.
    Busy,
    /// No answer in time.
    TimedOut,
    /// The source cannot be reached.
    Unavailable,
    /// The source was reached, and answers what cannot be used; of another path it may answer well.
    BadAnswer,
    /// The answer is being prepared; ask again.
    NotYet,
    /// A stated bound was reached.
    LimitExceeded,
    /// This tree cannot do that at all.
    Unsupported,
    /// A fault of the program's own.
    Internal,
}

/// Whether the same call may succeed later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// Asking again changes nothing.
    #[default]
    No,
    /// Asking again may help.
    Now,
    /// Asking again may help after this time.
    After(Duration),
}

impl Error {
    /// An error of `kind` from operation `op` on `path`.
    pub fn new(kind: ErrorKind, op: &'static str, path: &VPath) -> Self {
        Self(Box::new(Inner { kind, op, path: path.clone(), detail: None, source: None, retry: Retry::No }))
    }

    /// Turns an operating system's error into ours; the source keeps the original.
    pub fn from_io(source: io::Error, op: &'static str, path: &VPath) -> Self {
        let kind = kind_of_io(&source);
        Self::new(kind, op, path).with_source(source)
    }

    /// Adds what lies beneath, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Adds a sentence for people: what exactly is wrong, or what to do.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Says whether asking again may help. Default: [`Retry::No`].
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// The same error on the path that `address` gives for its path: how errors change their address on the way up.
    #[must_use]
    pub fn readdressed(mut self, address: impl FnOnce(&VPath) -> VPath) -> Self {
        self.0.path = address(&self.0.path);
        self
    }

    /// What failed, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed.
    pub fn op(&self) -> &'static str {
        self.0.op
    }

    /// The path it failed on, as the tree that was asked addresses it.
    pub fn path(&self) -> &VPath {
        &self.0.path
    }

    /// The sentence for people, where there is one.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Whether asking again may help.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// What a stranger may hear of it: the kind; of a question that makes no sense also the detail, escaped, for that
    /// speaks of the question. Other details speak of sources, and are for the log.
    pub fn told(&self) -> Cow<'static, str> {
        let kind = self.kind().as_str();
        match self.detail() {
            Some(detail) if self.kind() == ErrorKind::InvalidInput => {
                format!("{kind}: {}", escaped(detail.as_bytes())).into()
            }
            _ => kind.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.op, self.0.path, self.0.kind)?;
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self}")?;
        if let Some(source) = &self.0.source {
            write!(f, " <- {source}")?;
        }
        f.write_str(")")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

impl ErrorKind {
    /// The kind in words, as they follow a path in a message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "no such file or folder",
            Self::PermissionDenied => "permission denied",
            Self::Unauthenticated => "the source asks for a login",
            Self::AlreadyExists => "already exists",
            Self::NotADirectory => "not a folder",
            Self::IsADirectory => "is a folder",
            Self::DirectoryNotEmpty => "the folder is not empty",
            Self::CrossesDevices => "lies in another mount",
            Self::ReadOnly => "read-only",
            Self::StorageFull => "no space left",
            Self::QuotaExceeded => "quota exceeded",
            Self::InvalidInput => "invalid request",
            Self::NameTooLong => "name too long",
            Self::Loop => "too many links",
            Self::Corrupt => "the data is damaged",
            Self::Truncated => "the data ends too early",
            Self::Changed => "changed meanwhile",
            Self::Busy => "in use",
            Self::TimedOut => "no answer in time",
            Self::Unavailable => "the source cannot be reached",
            Self::BadAnswer => "the source's answer cannot be used",
            Self::NotYet => "not ready yet",
            Self::LimitExceeded => "a limit is reached",
            Self::Unsupported => "not supported here",
            Self::Internal => "internal error",
        }
    }

    /// The standard library's word for this kind, used where no errno says it better.
    pub fn to_io(self) -> io::ErrorKind {
        match self {
            Self::NotFound => io::ErrorKind::NotFound,
            Self::PermissionDenied | Self::Unauthenticated => io::ErrorKind::PermissionDenied,
            Self::AlreadyExists => io::ErrorKind::AlreadyExists,
            Self::NotADirectory => io::ErrorKind::NotADirectory,
            Self::IsADirectory => io::ErrorKind::IsADirectory,
            Self::DirectoryNotEmpty => io::ErrorKind::DirectoryNotEmpty,
            Self::CrossesDevices => io::ErrorKind::CrossesDevices,
            Self::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            Self::StorageFull => io::ErrorKind::StorageFull,
            Self::QuotaExceeded => io::ErrorKind::QuotaExceeded,
            Self::InvalidInput => io::ErrorKind::InvalidInput,
            Self::NameTooLong => io::ErrorKind::InvalidFilename,
            Self::Corrupt => io::ErrorKind::InvalidData,
            Self::Truncated => io::ErrorKind::UnexpectedEof,
            Self::Changed => io::ErrorKind::StaleNetworkFileHandle,
            Self::Busy | Self::NotYet => io::ErrorKind::ResourceBusy,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::Unavailable => io::ErrorKind::HostUnreachable,
            Self::Unsupported => io::ErrorKind::Unsupported,
            // `FilesystemLoop` cannot be named on stable; its errno leads to it all the same.
            Self::Loop => io::Error::from(Errno::LOOP).kind(),
            Self::BadAnswer | Self::LimitExceeded | Self::Internal => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The standard library's view: its kind comes from the source's errno where there is one, else from
/// [`ErrorKind::to_io`]; `io::Error::get_ref` gives the whole [`Error`] back.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let of_source = error.0.source.as_ref().and_then(|source| source.downcast_ref::<io::Error>());
        let kind = match of_source.and_then(io::Error::raw_os_error) {
            Some(errno) => io::Error::from_raw_os_error(errno).kind(),
            None => error.kind().to_io(),
        };
        Self::new(kind, error)
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        let kind = match error.kind() {
            PathErrorKind::TooLong => ErrorKind::NameTooLong,
            PathErrorKind::Relative | PathErrorKind::BadName | PathErrorKind::NamelessMarker => {
                ErrorKind::InvalidInput
            }
        };
        Self::new(kind, "parse", &VPath::root()).with_detail(error.to_string()).with_source(error)
    }
}

/// Our kind for an operating system's error: by errno, because several kinds have no word in `io::ErrorKind`.
fn kind_of_io(error: &io::Error) -> ErrorKind {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => ErrorKind::NotFound,
        Some(Errno::ACCESS | Errno::PERM) => ErrorKind::PermissionDenied,
        Some(Errno::EXIST) => ErrorKind::AlreadyExists,
        Some(Errno::NOTDIR) => ErrorKind::NotADirectory,
        Some(Errno::ISDIR) => ErrorKind::IsADirectory,
        Some(Errno::NOTEMPTY) => ErrorKind::DirectoryNotEmpty,
        Some(Errno::XDEV) => ErrorKind::CrossesDevices,
        Some(Errno::ROFS) => ErrorKind::ReadOnly,
        Some(Errno::NOSPC) => ErrorKind::StorageFull,
        Some(Errno::DQUOT) => ErrorKind::QuotaExceeded,
        Some(Errno::INVAL | Errno::SPIPE | Errno::BADF) => ErrorKind::InvalidInput,
        Some(Errno::NAMETOOLONG) => ErrorKind::NameTooLong,
        Some(Errno::LOOP) => ErrorKind::Loop,
        // A bad sector is no outage: the next file may be fine.
        Some(Errno::IO) => ErrorKind::Corrupt,
        Some(Errno::STALE) => ErrorKind::Changed,
        Some(Errno::BUSY | Errno::TXTBSY | Errno::AGAIN) => ErrorKind::Busy,
        Some(Errno::TIMEDOUT) => ErrorKind::TimedOut,
        Some(Errno::MFILE | Errno::NFILE | Errno::FBIG | Errno::MLINK) => ErrorKind::LimitExceeded,
        Some(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOTTY) => ErrorKind::Unsupported,
        Some(
            Errno::HOSTUNREACH
            | Errno::NETUNREACH
            | Errno::CONNREFUSED
            | Errno::CONNRESET
            | Errno::CONNABORTED
            | Errno::PIPE
            | Errno::NODEV
            | Errno::NXIO,
        ) => ErrorKind::Unavailable,
        Some(_) => ErrorKind::Internal,
        None => kind_without_errno(error.kind()),
    }
}

fn kind_without_errno(kind: io::ErrorKind) -> ErrorKind {
    match kind {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        io::ErrorKind::NotADirectory => ErrorKind::NotADirectory,
        io::ErrorKind::IsADirectory => ErrorKind::IsADirectory,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => ErrorKind::InvalidInput,
        io::ErrorKind::InvalidData => ErrorKind::Corrupt,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::WriteZero => ErrorKind::Truncated,
        io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        io::ErrorKind::Unsupported => ErrorKind::Unsupported,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_decides_the_kind_both_ways() {
        for (errno, ours, theirs) in [
            (Errno::NOENT, ErrorKind::NotFound, io::ErrorKind::NotFound),
            (Errno::NOTDIR, ErrorKind::NotADirectory, io::ErrorKind::NotADirectory),
            (Errno::XDEV, ErrorKind::CrossesDevices, io::ErrorKind::CrossesDevices),
            (Errno::NOSPC, ErrorKind::StorageFull, io::ErrorKind::StorageFull),
            (Errno::NAMETOOLONG, ErrorKind::NameTooLong, io::ErrorKind::InvalidFilename),
        ] {
            let source = io::Error::from(errno);
            let error = Error::from_io(source, "open", &VPath::root());
            assert_eq!(error.kind(), ours);
            assert_eq!(io::Error::from(error).kind(), theirs);
        }
        let looped = io::Error::from(Error::from_io(Errno::LOOP.into(), "open", &VPath::root()));
        assert_eq!(looped.kind(), ErrorKind::Loop.to_io());
        assert_ne!(looped.kind(), io::ErrorKind::Other);
    }

    #[test]
    fn a_message_says_what_where_and_why() {
        let path = VPath::parse("/a/b").unwrap();
        let error =
            Error::new(ErrorKind::ReadOnly, "create_dir", &path).with_detail("mount it with --writable");
        assert_eq!(error.to_string(), "create_dir /a/b: read-only: mount it with --writable");
        let moved = error.readdressed(|path| VPath::parse("/m").unwrap().append(path));
        assert_eq!(moved.path().to_string(), "/m/a/b");
    }

    #[test]
    fn the_whole_error_comes_back_out_of_io() {
        let error = io::Error::from(Error::new(ErrorKind::QuotaExceeded, "write_at", &VPath::root()));
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).unwrap();
        assert_eq!(inner.kind(), ErrorKind::QuotaExceeded);
    }
}

//! Why a call on the host failed, and what people are told about it.

use std::io;

use rustix::io::Errno;

use crate::error::{Error, ErrorKind};
use crate::path::VPath;

/// Why a call on the host failed, before operation and path are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// What the system said.
    System(Errno),
    /// A link leads out of the tree.
    Leaves,
    /// A device, FIFO or socket was to be opened.
    Special,
    /// The tree takes no changes.
    ReadOnly,
    /// The file is another version than the one that was asked for.
    Changed,
    /// The atomic write has ended already.
    Ended,
    /// A part file cannot be locked: nobody else can open it.
    Unshared,
    /// Links have no permission bits of their own.
    LinkMode,
    /// It might wait for a disk, so only a job may do it. Never shown to a caller.
    WouldWait,
}

impl Fault {
    /// The error of operation `op` on `path`.
    pub(super) fn at(self, op: &'static str, path: &VPath) -> Error {
        let (kind, detail) = match self {
            Self::System(errno) => return Error::from_io(io::Error::from(errno), op, path),
            Self::Leaves => (ErrorKind::PermissionDenied, "the link leaves the mounted folder"),
            Self::Special => (
                ErrorKind::PermissionDenied,
                "it is a device, FIFO or socket; only files and folders are opened",
            ),
            Self::ReadOnly => (ErrorKind::ReadOnly, "the folder was not opened for writing"),
            Self::Changed => (ErrorKind::Changed, "it is not the version that was asked for"),
            Self::Ended => (ErrorKind::InvalidInput, "the file is finished and takes no more"),
            Self::Unshared => (ErrorKind::Unsupported, "a file that is not published yet cannot be locked"),
            Self::LinkMode => (ErrorKind::Unsupported, "a link has no permission bits of its own"),
            Self::WouldWait => (ErrorKind::Busy, "the disk has to be waited for"),
        };
        Error::new(kind, op, path).with_detail(detail)
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

//! The standard library's `std::fs`, asynchronous and over any tree: mount what you like, then replace the import.
//!
//! ```text
//! use std::fs;                                 use vfs::fs;
//! let text = fs::read_to_string("/etc/motd")?; let text = fs::read_to_string("/etc/motd").await?;
//! ```
//!
//! Names, arguments and error kinds are those of `std::fs` and `tokio::fs`; [`blocking`](crate::blocking) has the same
//! without `.await`. The free functions, [`File::open`] and the like ask the host's tree, or the one that [`set_default`]
//! puts in its place, or that [`with`] lays over it for one future; [`Fs`] has them all as methods, over any tree.
//!
//! # Where it differs
//! - `..` is resolved in the text, before any link is followed: `/link/..` is `/`. A slash at the end changes nothing.
//! - A segment such as `x.tar.gz#tgz:` goes into the archive; a file of that very name is written `x.tar.gz##tgz:`.
//!   [`DirEntry::path`] and [`DirEntry::file_name`] are already written so, and lead back to the entry.
//! - [`File::open`] refuses folders with `IsADirectory`, and devices, FIFOs and sockets with `PermissionDenied`.
//! - [`copy`] refuses to copy a file onto itself, where the standard library empties it.
//! - What a source does not say stays unknown: [`Metadata::inner`] and [`Metadata::size`] tell it from zero.
//! - Errors carry ours: `io::Error::get_ref` gives the [`Error`](crate::Error) with operation, path and cause.
//!
//! # Dropping
//! A dropped future cancels its call. A call of several steps leaves what it had done: part of a copy, some of the
//! folders. A dropped [`File`] keeps what was written, or discards it if it was opened
//! [`atomic`](OpenOptions::atomic); [`File::close`] is the way to hear of errors and to publish.

mod calls;
mod canonicalize;
mod content;
mod cursor;
mod default;
mod dir_builder;
mod file;
mod file_io;
mod functions;
mod handle;
mod metadata;
mod open_options;
mod read_dir;
#[cfg(test)]
mod signatures;
#[cfg(test)]
pub(crate) mod testing;

pub use std::fs::TryLockError;

pub(crate) use self::default::with_blocking;
pub use self::default::{host, set_default, with};
pub use self::dir_builder::DirBuilder;
pub use self::file::File;
pub(crate) use self::functions::for_each_function;
#[expect(deprecated, reason = "the standard library still has `soft_link`")]
pub use self::functions::soft_link;
pub use self::functions::{
    canonicalize, chown, copy, create_dir, create_dir_all, exists, hard_link, lchown, metadata, read,
    read_dir, read_link, read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions,
    set_permissions_nofollow, set_times, set_times_nofollow, symlink, symlink_metadata, try_exists, write,
};
pub use self::handle::Fs;
pub use self::metadata::{FileTimes, Metadata, Permissions};
pub use self::open_options::OpenOptions;
pub use self::read_dir::{DirEntry, ReadDir};
pub use crate::metadata::FileType;

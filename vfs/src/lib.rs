//! One tree of files with one small interface, filled from many places.
//!
//! - The vocabulary: [`VPath`], [`Metadata`], [`Error`], [`FileSystem`], [`File`], [`DirStream`], [`producer`].
//! - The backends fill a tree, the layers change how a tree behaves, and both are trees.
//! - [`Vfs`] puts many trees into one, at mount points, leads into archives, and is a tree too.

pub mod backends;
pub mod blocking;
pub mod calendar;
pub mod conformance;
mod error;
#[cfg(test)]
mod fake;
mod file_system;
pub mod fs;
pub mod jobs;
pub mod layers;
mod metadata;
mod options;
pub mod path;
pub mod producer;
mod registry;
mod residency;
mod traffic;
pub mod unfinished;
mod vfs;
pub mod walk;

pub use self::error::{Error, ErrorKind, Result, Retry};
pub use self::file_system::{
    Availability, Capabilities, Describe, DirEntry, DirStream, File, FileSystem, SeekCost, Writes,
};
pub use self::metadata::{CacheStatus, Caching, FileType, Identity, Metadata, Owner, Provenance, Validator};
pub use self::options::{
    ByteRange, Freshness, Held, Intent, LinkTarget, ListOptions, Lock, LockWait, OpenOptions, RenameOptions,
    SetAttributes, Sought, StatOptions, WriteMode,
};
pub use self::path::VPath;
pub use self::registry::{ConnectSource, EnterArchive, Registry, index_beside};
pub use self::traffic::{Traffic, TrafficTotals};
pub use self::vfs::{Changes, Keeping, MountId, MountInfo, MountOptions, Vfs, VfsOptions, subtree};

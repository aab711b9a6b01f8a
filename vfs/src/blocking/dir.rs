//! [`ReadDir`], [`DirEntry`] and [`DirBuilder`], blocking.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::{FileType, Metadata, wait};
use crate::fs;

/// A listing under way, entry by entry; see [`fs::ReadDir`].
#[derive(Debug)]
pub struct ReadDir(fs::ReadDir);

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.0.next_entry()).map(|entry| entry.map(DirEntry)).transpose()
    }
}

impl From<fs::ReadDir> for ReadDir {
    fn from(inner: fs::ReadDir) -> Self {
        Self(inner)
    }
}

/// One name in a folder; see [`fs::DirEntry`].
#[derive(Debug)]
pub struct DirEntry(fs::DirEntry);

impl DirEntry {
    /// The path given to `read_dir`, with the name joined to it.
    pub fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// The name in its printed form.
    pub fn file_name(&self) -> OsString {
        self.0.file_name()
    }

    /// Describes the entry, a link not followed.
    ///
    /// # Errors
    /// As [`fs::DirEntry::metadata`].
    pub fn metadata(&self) -> io::Result<Metadata> {
        wait(self.0.metadata())
    }

    /// What the entry is, a link not followed.
    ///
    /// # Errors
    /// As [`fs::DirEntry::file_type`].
    pub fn file_type(&self) -> io::Result<FileType> {
        wait(self.0.file_type())
    }

    /// The tree's own entry.
    pub fn inner(&self) -> &crate::DirEntry {
        self.0.inner()
    }
}

/// How folders are made; see [`fs::DirBuilder`].
#[derive(Clone, Debug, Default)]
pub struct DirBuilder(fs::DirBuilder);

impl DirBuilder {
    /// One folder, with the tree's usual bits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes missing folders above it too, and is content where it exists.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.0.recursive(recursive);
        self
    }

    /// Permission bits of the folders that are made.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.0.mode(mode);
        self
    }

    /// Makes the folder `path` in the default tree.
    ///
    /// # Errors
    /// As [`fs::DirBuilder::create`].
    pub fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        wait(self.0.create(path))
    }

    pub(super) fn inner(&self) -> &fs::DirBuilder {
        &self.0
    }
}

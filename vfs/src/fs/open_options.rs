//! [`OpenOptions`]: how a file is to be opened, in the standard library's builder style.

use std::io;
use std::path::Path;

use super::{File, default};
use crate::metadata::Validator;
use crate::options::WriteMode;

/// How a file is to be opened: the switches of `std::fs::OpenOptions`, its `mode` for Unix, and ours.
///
/// Default: all off, so that something must be asked for. Combinations that exclude each other are `InvalidInput` when
/// the file is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    inner: crate::OpenOptions,
}

impl OpenOptions {
    /// All switches off.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens for reading.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.inner.read = read;
        self
    }

    /// Opens for writing; what is there stays, and is written over.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.inner.write = write;
        self
    }

    /// Opens for writing at the end, wherever that is when the write happens.
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.inner.append = append;
        self
    }

    /// Cuts an existing file to nothing. Needs `write`.
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.inner.truncate = truncate;
        self
    }

    /// Makes the file where it is missing. Needs `write` or `append`.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.inner.create = create;
        self
    }

    /// Makes the file, or fails with `AlreadyExists`, in one step. Overrides `create` and `truncate`.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.inner.create_new = create_new;
        self
    }

    /// Permission bits of a file that is made, before the process's mask. Default: `0o666`.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.inner.mode = Some(mode);
        self
    }

    /// Lets others see the file only when [`File::close`] has published it as a whole; dropped before, it never was.
    /// Needs `write` with `create` and `truncate`, or with `create_new`. Default: off.
    pub fn atomic(&mut self, atomic: bool) -> &mut Self {
        self.inner.write_mode = if atomic { WriteMode::Atomic } else { WriteMode::InPlace };
        self
    }

    /// Opens this version of the file only; another one fails with `StaleNetworkFileHandle`. Default: any.
    pub fn if_match(&mut self, validator: Validator) -> &mut Self {
        self.inner.if_match = Some(validator);
        self
    }

    /// Follows a link in the last place (default), or fails on it as `O_NOFOLLOW` does.
    pub fn follow(&mut self, follow: bool) -> &mut Self {
        self.inner.follow = follow;
        self
    }

    /// Opens `path` in the default tree; [`Fs::open_with`](super::Fs::open_with) opens it in another.
    ///
    /// # Errors
    /// As [`Fs::open_with`](super::Fs::open_with).
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        default::current()?.open_with(path, self).await
    }

    /// The tree's own options.
    pub fn inner(&self) -> &crate::OpenOptions {
        &self.inner
    }
}

impl From<crate::OpenOptions> for OpenOptions {
    fn from(inner: crate::OpenOptions) -> Self {
        Self { inner }
    }
}

//! [`OpenOptions`], blocking.

use std::io;
use std::path::Path;

use super::{File, wait};
use crate::fs;
use crate::metadata::Validator;

/// How a file is to be opened; see [`fs::OpenOptions`].
#[derive(Clone, Debug, Default)]
pub struct OpenOptions(fs::OpenOptions);

macro_rules! switches {
    ($($name:ident: $type:ty;)*) => {
        /// The switches.
        impl OpenOptions {
            $(
                #[doc = concat!("As [`fs::OpenOptions::", stringify!($name), "`].")]
                pub fn $name(&mut self, $name: $type) -> &mut Self {
                    self.0.$name($name);
                    self
                }
            )*
        }
    };
}

switches! {
    read: bool;
    write: bool;
    append: bool;
    truncate: bool;
    create: bool;
    create_new: bool;
    mode: u32;
    atomic: bool;
    if_match: Validator;
    follow: bool;
}

impl OpenOptions {
    /// All switches off.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens `path` in the default tree.
    ///
    /// # Errors
    /// As [`fs::OpenOptions::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        wait(self.0.open(path)).map(File::from)
    }

    pub(super) fn inner(&self) -> &fs::OpenOptions {
        &self.0
    }
}

//! [`Fs`]: one tree, a folder where relative paths start, and from there the functions of the standard library.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::FileSystem;
use crate::path::VPath;

/// The functions of `std::fs` over one tree: what [`vfs::fs`](crate::fs) does with the default tree, as methods.
///
/// Cheap to clone. Relative paths start at `/`, or where [`Fs::with_current_dir`] says.
#[derive(Clone, Debug)]
pub struct Fs {
    tree: Arc<dyn FileSystem>,
    start: Start,
}

/// Where relative paths start.
#[derive(Clone, Debug)]
enum Start {
    /// Always here.
    At(VPath),
    /// Where the process is at the time of the call.
    Process,
}

impl Fs {
    /// The functions over `tree`.
    pub fn new(tree: Arc<dyn FileSystem>) -> Self {
        Self { tree, start: Start::At(VPath::root()) }
    }

    /// The functions over a tree whose paths are the host's: relative ones start in the process's current folder.
    pub(super) fn of_process(tree: Arc<dyn FileSystem>) -> Self {
        Self { tree, start: Start::Process }
    }

    /// The same tree, relative paths starting at `path`. Nobody asks whether that is a folder.
    ///
    /// # Errors
    /// As [`Fs::locate`].
    pub fn with_current_dir(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { tree: Arc::clone(&self.tree), start: Start::At(self.locate(path)?) })
    }

    /// The tree.
    pub fn tree(&self) -> &Arc<dyn FileSystem> {
        &self.tree
    }

    /// Where relative paths start.
    ///
    /// # Errors
    /// What the system says of the process's current folder, where that is where they start.
    pub fn current_dir(&self) -> io::Result<VPath> {
        match &self.start {
            Start::At(path) => Ok(path.clone()),
            Start::Process => literal(&std::env::current_dir()?).map_err(io::Error::from),
        }
    }

    /// The address that a path's text means here. Asks nobody.
    ///
    /// # Errors
    /// `NotFound` for an empty path, as the standard library has it; `InvalidInput` for NUL and for a marker without a
    /// name; `InvalidFilename` past [`MAX_TEXT_BYTES`](crate::path::MAX_TEXT_BYTES).
    pub fn locate(&self, path: impl AsRef<Path>) -> io::Result<VPath> {
        let text = path.as_ref().as_os_str().as_bytes();
        if text.is_empty() {
            let empty = Error::new(ErrorKind::NotFound, "parse", &VPath::root());
            return Err(empty.with_detail("the path is empty").into());
        }
        let start = if text.starts_with(b"/") { VPath::root() } else { self.current_dir()? };
        Ok(start.join(text).map_err(Error::from)?)
    }
}

impl From<Arc<dyn FileSystem>> for Fs {
    fn from(tree: Arc<dyn FileSystem>) -> Self {
        Self::new(tree)
    }
}

/// A path of the host, name by name: what looks like a marker in it is part of a name.
fn literal(path: &Path) -> Result<VPath> {
    let mut literal = VPath::root();
    for component in path.components() {
        if let Component::Normal(name) = component {
            literal.push_name(Bytes::copy_from_slice(name.as_bytes()))?;
        }
    }
    Ok(literal)
}

/// The text that leads back to `path`.
pub(super) fn printed(path: &VPath) -> std::path::PathBuf {
    OsStr::from_bytes(&path.to_bytes()).into()
}

/// Puts `path` into an error of an open file, which does not know its own.
pub(super) fn on(path: &VPath) -> impl Fn(Error) -> Error + '_ {
    |error| {
        if error.path().is_root() { error.readdressed(|_| path.clone()) } else { error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    #[test]
    fn relative_paths_start_at_the_current_folder() {
        let fs = Fs::new(tree());
        assert_eq!(fs.locate("a/../b").unwrap(), path("/b"));
        let inside = fs.with_current_dir("/x/y").unwrap();
        for (text, found) in [("a", "/x/y/a"), ("..", "/x"), ("/a", "/a"), (".", "/x/y"), ("a/", "/x/y/a")] {
            assert_eq!(inside.locate(text).unwrap(), path(found), "{text}");
        }
        assert_eq!(inside.with_current_dir("../z").unwrap().locate("a").unwrap(), path("/x/z/a"));
        for (text, kind) in [("", io::ErrorKind::NotFound), ("a\0", io::ErrorKind::InvalidInput)] {
            assert_eq!(inside.locate(text).unwrap_err().kind(), kind, "{text:?}");
        }
    }

    #[test]
    fn the_process_may_stand_in_a_folder_named_like_a_marker() {
        assert_eq!(literal(Path::new("/a/x#tgz:")).unwrap().to_bytes(), b"/a/x##tgz:");
        let here = Fs::of_process(tree()).current_dir().unwrap();
        assert_eq!(printed(&here), std::env::current_dir().unwrap());
    }
}

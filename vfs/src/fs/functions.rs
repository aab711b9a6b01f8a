//! Every free function, once: [`for_each_function`] holds the list, and here, in [`blocking`](crate::blocking) and on
//! its `Fs` it is spelled out.

use std::io;
use std::path::{Path, PathBuf};

use super::{FileTimes, Metadata, Permissions, ReadDir, default};

/// Hands the list of functions to the macro `$make`: attributes, name, arguments and what it gives.
macro_rules! for_each_function {
    ($make:ident) => {
        $make! {
            /// The absolute path of what `path` leads to, free of links.
            canonicalize(path: impl AsRef<Path>) -> PathBuf;
            /// Changes user and group of what `path` leads to; `None` leaves one as it is.
            chown(path: impl AsRef<Path>, uid: Option<u32>, gid: Option<u32>) -> ();
            /// Copies a file with its permission bits, and tells its length.
            copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> u64;
            /// Creates one folder.
            create_dir(path: impl AsRef<Path>) -> ();
            /// Creates a folder and those above it that are missing.
            create_dir_all(path: impl AsRef<Path>) -> ();
            /// True where `path` leads to something.
            exists(path: impl AsRef<Path>) -> bool;
            /// Gives a file a second name.
            hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> ();
            /// Changes user and group of `path` itself, also where it is a link.
            lchown(path: impl AsRef<Path>, uid: Option<u32>, gid: Option<u32>) -> ();
            /// Describes what `path` leads to.
            metadata(path: impl AsRef<Path>) -> Metadata;
            /// Reads a whole file.
            read(path: impl AsRef<Path>) -> Vec<u8>;
            /// Lists a folder.
            read_dir(path: impl AsRef<Path>) -> ReadDir;
            /// The text of a link, as it is stored.
            read_link(path: impl AsRef<Path>) -> PathBuf;
            /// Reads a whole file of UTF-8.
            read_to_string(path: impl AsRef<Path>) -> String;
            /// Removes an empty folder.
            remove_dir(path: impl AsRef<Path>) -> ();
            /// Removes a folder with all that is in it, following no link.
            remove_dir_all(path: impl AsRef<Path>) -> ();
            /// Removes a file or a link.
            remove_file(path: impl AsRef<Path>) -> ();
            /// Moves a file or folder in one step.
            rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> ();
            /// Sets the permissions of what `path` leads to.
            set_permissions(path: impl AsRef<Path>, perm: Permissions) -> ();
            /// Sets the permissions of `path` itself, also where it is a link.
            set_permissions_nofollow(path: impl AsRef<Path>, perm: Permissions) -> ();
            /// Sets the times of what `path` leads to.
            set_times(path: impl AsRef<Path>, times: FileTimes) -> ();
            /// Sets the times of `path` itself, also where it is a link.
            set_times_nofollow(path: impl AsRef<Path>, times: FileTimes) -> ();
            /// Creates a link with the text `original`.
            symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> ();
            /// Describes `path` itself, also where it is a link.
            symlink_metadata(path: impl AsRef<Path>) -> Metadata;
            /// True where `path` leads to something; tokio's name for [`exists`](crate::fs::Fs::exists).
            try_exists(path: impl AsRef<Path>) -> bool;
            /// Writes a whole file.
            write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> ();
        }
    };
}

macro_rules! over_the_default {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $gives:ty;)*) => {$(
        $(#[$doc])*
        ///
        #[doc = concat!("[`Fs::", stringify!($name), "`](super::Fs::", stringify!($name), ") over the default tree.")]
        pub async fn $name($($arg: $type),*) -> io::Result<$gives> {
            default::current()?.$name($($arg),*).await
        }
    )*};
}

for_each_function!(over_the_default);

/// Creates a link; the old name of [`symlink`].
#[deprecated(note = "replaced with `symlink`")]
pub async fn soft_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    symlink(original, link).await
}

pub(crate) use for_each_function;

//! The functions of `std::fs` as methods of [`Fs`]: path to address, one call on the tree, our error to theirs.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::handle::printed;
use super::{
    DirBuilder, File, FileTimes, Fs, Metadata, OpenOptions, Permissions, ReadDir, canonicalize, content,
};
use crate::error::{Error, ErrorKind};
use crate::options::{RenameOptions, SetAttributes, StatOptions};
use crate::walk;

/// Files and their content.
impl Fs {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, and what the tree says.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_with(path, OpenOptions::new().read(true)).await
    }

    /// Opens a file for writing: makes it, or cuts it to nothing.
    ///
    /// # Errors
    /// As [`Fs::open`], and `ReadOnlyFilesystem`.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_with(path, OpenOptions::new().write(true).create(true).truncate(true)).await
    }

    /// Makes a file and opens it for reading and writing. Of many callers one succeeds.
    ///
    /// # Errors
    /// `AlreadyExists` where anything has that name, be it a dangling link.
    pub async fn create_new(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_with(path, OpenOptions::new().read(true).write(true).create_new(true)).await
    }

    /// Opens a file as `options` say.
    ///
    /// # Errors
    /// `InvalidInput` for options that exclude each other; as [`Fs::open`].
    pub async fn open_with(&self, path: impl AsRef<Path>, options: &OpenOptions) -> io::Result<File> {
        let path = self.locate(path)?;
        options.inner().check(&path)?;
        let opened = self.tree().open(&path, options.inner()).await?;
        Ok(File::new(opened, path, options.inner()))
    }

    /// Reads a whole file. It must fit into memory.
    ///
    /// # Errors
    /// As [`Fs::open`], and what reading says.
    pub async fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        Ok(content::read(&**self.tree(), &self.locate(path)?).await?)
    }

    /// Reads a whole file of UTF-8.
    ///
    /// # Errors
    /// `InvalidData` where it is no UTF-8; else as [`Fs::read`].
    pub async fn read_to_string(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let path = self.locate(path)?;
        let bytes = content::read(&**self.tree(), &path).await?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let detail = format!("not UTF-8 from byte {} on", error.utf8_error().valid_up_to());
            Error::new(ErrorKind::Corrupt, "read_to_string", &path)
                .with_detail(detail)
                .with_source(error.utf8_error())
        })?;
        Ok(text)
    }

    /// Writes a whole file: makes it or cuts it to nothing first, so that others may see half of it meanwhile; see
    /// [`OpenOptions::atomic`].
    ///
    /// # Errors
    /// As [`Fs::create`], and what writing says.
    pub async fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
        Ok(content::write(&**self.tree(), &self.locate(path)?, contents.as_ref()).await?)
    }

    /// Copies a file's content and, where both sides have them, its permission bits; tells the length. A link at
    /// `from` or `to` is followed, a file at `to` is written over. Holds a piece of 1 MiB at most.
    ///
    /// # Errors
    /// `InvalidInput` where `from` is no file or `to` is the same one; as [`Fs::open`] and [`Fs::create`].
    pub async fn copy(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
        Ok(content::copy(&**self.tree(), &self.locate(from)?, &self.locate(to)?).await?)
    }
}

/// Folders.
impl Fs {
    /// Creates one folder.
    ///
    /// # Errors
    /// `AlreadyExists` where anything has that name, `NotFound` where the folder above is missing.
    pub async fn create_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.create_dir_with(path, &DirBuilder::new()).await
    }

    /// Creates a folder and those above it that are missing. Many may do so at once; folders made before an error stay.
    ///
    /// # Errors
    /// `AlreadyExists` where `path` is no folder, `NotADirectory` where something above it is none.
    pub async fn create_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.create_dir_with(path, DirBuilder::new().recursive(true)).await
    }

    /// Creates a folder as `builder` says.
    ///
    /// # Errors
    /// As [`Fs::create_dir`] or [`Fs::create_dir_all`].
    pub async fn create_dir_with(&self, path: impl AsRef<Path>, builder: &DirBuilder) -> io::Result<()> {
        if builder.is_recursive() && path.as_ref().as_os_str().is_empty() {
            return Ok(());
        }
        Ok(builder.create_in(&**self.tree(), &self.locate(path)?).await?)
    }

    /// Lists a folder, in no order, without `.` and `..`.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, and what the tree says.
    pub async fn read_dir(&self, path: impl AsRef<Path>) -> io::Result<ReadDir> {
        let dir = self.locate(&path)?;
        Ok(ReadDir::open(self.tree(), path.as_ref(), dir).await?)
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// `DirectoryNotEmpty`; `NotADirectory` for a file or a link.
    pub async fn remove_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        Ok(self.tree().remove_dir(&self.locate(path)?).await?)
    }

    /// Removes a folder with all that is in it. Links are removed, never followed; a link at `path` itself too.
    /// What was removed before an error stays removed.
    ///
    /// # Errors
    /// `NotADirectory` for a file; `ResourceBusy` where a mount point lies in it, whose content is left alone.
    pub async fn remove_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        Ok(walk::remove_dir_all(&**self.tree(), &self.locate(path)?).await?)
    }
}

/// Names and links.
impl Fs {
    /// The absolute path, in the tree, of what `path` leads to: it exists, and no link is left in it.
    ///
    /// A link's text is taken literally, so it never enters an archive, and never leads out of one.
    ///
    /// # Errors
    /// `NotFound` where nothing is there or a link dangles; what the tree says of links in a circle.
    pub async fn canonicalize(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        Ok(printed(&canonicalize::canonicalize(&**self.tree(), self.locate(path)?).await?))
    }

    /// True where `path` leads to something; false for a dangling link.
    ///
    /// # Errors
    /// Everything but `NotFound`: what cannot be looked at is not said to be missing.
    pub async fn exists(&self, path: impl AsRef<Path>) -> io::Result<bool> {
        match self.tree().metadata(&self.locate(path)?, &StatOptions::default()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// [`Fs::exists`] by tokio's name.
    ///
    /// # Errors
    /// As [`Fs::exists`].
    pub async fn try_exists(&self, path: impl AsRef<Path>) -> io::Result<bool> {
        self.exists(path).await
    }

    /// Gives the file `original` a second name, `link`. A link at `original` gets a second name itself.
    ///
    /// # Errors
    /// `AlreadyExists`, `CrossesDevices` between mounts, `Unsupported` or `ReadOnlyFilesystem` where the tree has none.
    pub async fn hard_link(&self, original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
        Ok(self.tree().hard_link(&self.locate(original)?, &self.locate(link)?).await?)
    }

    /// Creates a link with the text `original`, which is stored as it is and need not lead anywhere.
    ///
    /// # Errors
    /// `AlreadyExists`, `Unsupported` or `ReadOnlyFilesystem` where the tree has no links.
    pub async fn symlink(&self, original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
        let target = Bytes::copy_from_slice(original.as_ref().as_os_str().as_bytes());
        Ok(self.tree().symlink(&target, &self.locate(link)?).await?)
    }

    /// The text of a link, as it is stored.
    ///
    /// # Errors
    /// `InvalidInput` where it is no link.
    pub async fn read_link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        let target = self.tree().read_link(&self.locate(path)?).await?;
        Ok(OsStr::from_bytes(&target).into())
    }

    /// Moves a file or folder in one step. A file replaces a file, a folder an empty folder.
    ///
    /// # Errors
    /// `CrossesDevices` between mounts: nothing is copied behind the caller's back.
    pub async fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        let (from, to) = (self.locate(from)?, self.locate(to)?);
        Ok(self.tree().rename(&from, &to, &RenameOptions::default()).await?)
    }

    /// Removes a file or a link, never what the link leads to.
    ///
    /// # Errors
    /// `IsADirectory` for a folder.
    pub async fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        Ok(self.tree().remove_file(&self.locate(path)?).await?)
    }
}

/// Descriptions and attributes.
impl Fs {
    /// Describes what `path` leads to.
    ///
    /// # Errors
    /// `NotFound`, also for a dangling link; `NotADirectory` where the way leads through a file.
    pub async fn metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        Ok(self.tree().metadata(&self.locate(path)?, &StatOptions::default()).await?.into())
    }

    /// Describes `path` itself, also where it is a link.
    ///
    /// # Errors
    /// As [`Fs::metadata`], dangling links excepted.
    pub async fn symlink_metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        Ok(self.tree().metadata(&self.locate(path)?, &StatOptions::no_follow()).await?.into())
    }

    /// Sets the permissions of what `path` leads to.
    ///
    /// # Errors
    /// `Unsupported` or `ReadOnlyFilesystem` where the tree cannot, and for permissions that are not known.
    pub async fn set_permissions(&self, path: impl AsRef<Path>, perm: Permissions) -> io::Result<()> {
        self.set(path, &perm.to_attributes()?, true).await
    }

    /// Sets the permissions of `path` itself, also where it is a link.
    ///
    /// # Errors
    /// As [`Fs::set_permissions`]. Linux has no permissions on links: `Unsupported`.
    pub async fn set_permissions_nofollow(
        &self,
        path: impl AsRef<Path>,
        perm: Permissions,
    ) -> io::Result<()> {
        self.set(path, &perm.to_attributes()?, false).await
    }

    /// Sets the times of what `path` leads to; those that `times` does not name stay.
    ///
    /// # Errors
    /// `Unsupported` or `ReadOnlyFilesystem` where the tree cannot.
    pub async fn set_times(&self, path: impl AsRef<Path>, times: FileTimes) -> io::Result<()> {
        self.set(path, &times.to_attributes(), true).await
    }

    /// Sets the times of `path` itself, also where it is a link.
    ///
    /// # Errors
    /// As [`Fs::set_times`].
    pub async fn set_times_nofollow(&self, path: impl AsRef<Path>, times: FileTimes) -> io::Result<()> {
        self.set(path, &times.to_attributes(), false).await
    }

    /// Changes user and group of what `path` leads to; `None` leaves one as it is.
    ///
    /// # Errors
    /// `PermissionDenied`; `Unsupported` or `ReadOnlyFilesystem` where the tree cannot.
    pub async fn chown(&self, path: impl AsRef<Path>, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        self.set(path, &SetAttributes { user: uid, group: gid, ..SetAttributes::default() }, true).await
    }

    /// Changes user and group of `path` itself, also where it is a link.
    ///
    /// # Errors
    /// As [`Fs::chown`].
    pub async fn lchown(&self, path: impl AsRef<Path>, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        self.set(path, &SetAttributes { user: uid, group: gid, ..SetAttributes::default() }, false).await
    }

    async fn set(&self, path: impl AsRef<Path>, attributes: &SetAttributes, follow: bool) -> io::Result<()> {
        Ok(self.tree().set_attributes(&self.locate(path)?, attributes, follow).await?)
    }
}

//! [`ReadDir`] and [`DirEntry`]: a listing, entry by entry.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::Metadata;
use crate::error::Result;
use crate::file_system::{DirStream, FileSystem};
use crate::metadata::FileType;
use crate::options::{ListOptions, StatOptions};
use crate::path::{VPath, printed_name};

/// A listing under way. Holds one batch of [`DirStream::BATCH`] entries at most; after an error it is at its end.
pub struct ReadDir {
    folder: Arc<Folder>,
    batches: DirStream,
    batch: std::vec::IntoIter<crate::DirEntry>,
}

/// What all entries of a listing share.
struct Folder {
    tree: Arc<dyn FileSystem>,
    /// As the caller wrote it, for `DirEntry::path`.
    text: PathBuf,
    path: VPath,
}

impl ReadDir {
    pub(super) async fn open(tree: &Arc<dyn FileSystem>, text: &Path, path: VPath) -> Result<Self> {
        let batches = tree.read_dir(&path, &ListOptions::with_metadata()).await?;
        let folder = Folder { tree: Arc::clone(tree), text: text.to_owned(), path };
        Ok(Self { folder: Arc::new(folder), batches, batch: Vec::new().into_iter() })
    }

    /// The next entry, `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// What the tree says; the listing ends there, and is not whole.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// Polls for the next entry; see [`ReadDir::next_entry`].
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            if let Some(entry) = self.batch.next() {
                return Poll::Ready(Ok(Some(DirEntry { folder: Arc::clone(&self.folder), entry })));
            }
            match ready!(self.batches.poll_next(cx)).transpose()? {
                Some(batch) => self.batch = batch.into_iter(),
                None => return Poll::Ready(Ok(None)),
            }
        }
    }
}

impl Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_entry(cx).map(Result::transpose)
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadDir").field(&self.folder.text).finish()
    }
}

/// One name in a folder.
pub struct DirEntry {
    folder: Arc<Folder>,
    entry: crate::DirEntry,
}

impl DirEntry {
    /// The path given to `read_dir`, with the name joined to it: it leads back here, whatever the name.
    pub fn path(&self) -> PathBuf {
        self.folder.text.join(self.file_name())
    }

    /// The name in its printed form: as it is, but for one that ends like a marker, whose `#` are doubled. The literal
    /// name is `self.inner().name`.
    pub fn file_name(&self) -> OsString {
        OsStr::from_bytes(&printed_name(&self.entry.name)).to_owned()
    }

    /// Describes the entry, a link not followed: as the listing said where that cost nothing, else by a call of its own.
    ///
    /// # Errors
    /// As [`Fs::symlink_metadata`](super::Fs::symlink_metadata).
    pub async fn metadata(&self) -> io::Result<Metadata> {
        if let Some(known) = &self.entry.metadata {
            return Ok(known.clone().into());
        }
        let path = self.folder.path.child(self.entry.name.clone()).map_err(crate::Error::from)?;
        Ok(self.folder.tree.metadata(&path, &StatOptions::no_follow()).await?.into())
    }

    /// What the entry is, a link not followed: as the listing said, else by a call of its own.
    ///
    /// # Errors
    /// As [`DirEntry::metadata`].
    pub async fn file_type(&self) -> io::Result<FileType> {
        match self.entry.file_type {
            Some(known) => Ok(known),
            None => Ok(self.metadata().await?.file_type()),
        }
    }

    /// The tree's own entry.
    pub fn inner(&self) -> &crate::DirEntry {
        &self.entry
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirEntry").field(&self.path()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Fs;
    use crate::fs::testing::tree;

    async fn entries(mut listing: ReadDir) -> Vec<DirEntry> {
        let mut entries = Vec::new();
        while let Some(entry) = listing.next_entry().await.unwrap() {
            entries.push(entry);
        }
        entries.sort_by_key(DirEntry::file_name);
        entries
    }

    #[tokio::test]
    async fn every_path_of_a_listing_leads_back_to_its_entry() {
        let tree = tree();
        let fs = Fs::new(Arc::clone(&tree)).with_current_dir("/d").unwrap();
        fs.create_dir("/d").await.unwrap();
        let names: [&[u8]; 6] = [b"plain", b"x.tgz#tgz:", b"a b%?\"", b"\xff\n", b"C#", b"x##gz:"];
        let folder = VPath::parse("/d").unwrap();
        for name in names {
            let path = folder.child(name).unwrap();
            let made = tree.open(&path, &crate::OpenOptions::writing()).await.unwrap();
            made.write_at(0, bytes::Bytes::from_static(name)).await.unwrap();
        }
        for text in ["/d", ".", "../d/"] {
            let listed = entries(fs.read_dir(text).await.unwrap()).await;
            assert_eq!(listed.len(), names.len(), "{text}");
            for entry in listed {
                assert!(entry.path().starts_with(text), "{entry:?}");
                assert_eq!(fs.read(entry.path()).await.unwrap(), entry.inner().name, "{entry:?}");
                assert_eq!(entry.metadata().await.unwrap().len(), entry.inner().name.len() as u64);
            }
        }
    }

    #[tokio::test]
    async fn entries_describe_links_themselves_and_long_listings_are_whole() {
        let fs = Fs::new(tree());
        fs.create_dir("/d").await.unwrap();
        fs.symlink("nowhere", "/d/link").await.unwrap();
        for number in 0..2 * DirStream::BATCH {
            fs.write(format!("/d/{number}"), "").await.unwrap();
        }
        let listed = entries(fs.read_dir("/d").await.unwrap()).await;
        assert_eq!(listed.len(), 2 * DirStream::BATCH + 1);
        let link = listed.iter().find(|entry| entry.file_name() == "link").unwrap();
        assert!(link.file_type().await.unwrap().is_symlink());
        assert!(link.metadata().await.unwrap().is_symlink());
        let missing = fs.read_dir("/missing").await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert_eq!(fs.read_dir("/d/0").await.unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }
}

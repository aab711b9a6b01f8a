//! The interface that every tree has: [`FileSystem`], [`File`] and [`DirStream`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::error::{Error, ErrorKind, Result};
use crate::metadata::{FileType, Identity, Metadata};
use crate::options::{
    ByteRange, LinkTarget, ListOptions, Lock, LockWait, OpenOptions, RenameOptions, SetAttributes,
    StatOptions,
};
use crate::path::VPath;
use crate::producer::Producer;

/// A tree of files. Backends, layers and the namespace are all one.
///
/// Paths are relative to the tree's own root and, but for [`Vfs`](crate::Vfs), free of markers. A dropped future
/// cancels its call; a change that the source has already begun may still happen, and is never left half visible.
///
/// # Behaviour
/// - The root exists and is a folder.
/// - A missing path is `NotFound`; walking through a file is `NotADirectory`.
/// - A tree that does not write answers `ReadOnly` to every change and is left as it was.
#[async_trait]
pub trait FileSystem: fmt::Debug + Send + Sync + 'static {
    /// What this tree can do at `path` beyond being read. Asks nobody.
    fn capabilities(&self, path: &VPath) -> Capabilities;

    /// Describes `path`.
    ///
    /// # Behaviour
    /// - A link is followed unless `options` say otherwise; a dangling one is `NotFound`, a circle is `Loop`.
    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata>;

    /// Lists the folder `path`, in batches, in no order.
    ///
    /// # Behaviour
    /// - Neither `.` nor `..` is listed, and no name twice.
    /// - A file is `NotADirectory`.
    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream>;

    /// Opens the file `path`.
    ///
    /// # Behaviour
    /// - A folder is `IsADirectory`, whatever is asked for but `create_new`, which is `AlreadyExists` of anything there.
    /// - What is neither file nor folder is refused with `PermissionDenied` and never waited for.
    /// - `create_new` is atomic: of many callers one succeeds, the others get `AlreadyExists`.
    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>>;

    /// Creates one folder.
    ///
    /// # Behaviour
    /// - Anything there is `AlreadyExists`; a missing parent is `NotFound`.
    async fn create_dir(&self, path: &VPath) -> Result<()> {
        Err(Error::new(ErrorKind::ReadOnly, "create_dir", path))
    }

    /// Removes a file or a link, never what a link leads to. A folder is `IsADirectory`.
    async fn remove_file(&self, path: &VPath) -> Result<()> {
        Err(Error::new(ErrorKind::ReadOnly, "remove_file", path))
    }

    /// Removes an empty folder. A file or link is `NotADirectory`, a folder in use is `DirectoryNotEmpty`.
    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        Err(Error::new(ErrorKind::ReadOnly, "remove_dir", path))
    }

    /// Moves `from` to `to` in one step, as rename(2) does.
    ///
    /// # Behaviour
    /// - A file replaces a file, a folder an empty folder; other pairs are `IsADirectory`, `NotADirectory` or
    ///   `DirectoryNotEmpty`.
    /// - A path renamed to itself stays as it is. A folder moved into itself is `InvalidInput`.
    async fn rename(&self, from: &VPath, _to: &VPath, _options: &RenameOptions) -> Result<()> {
        Err(Error::new(ErrorKind::ReadOnly, "rename", from))
    }

    /// Creates a link at `path` with the text `target`, which is stored as it is and need not lead anywhere.
    async fn symlink(&self, _target: &LinkTarget, path: &VPath) -> Result<()> {
        Err(Error::new(ErrorKind::ReadOnly, "symlink", path))
    }

    /// Gives the file `original` a second name, `link`. A link at `original` is not followed.
    async fn hard_link(&self, _original: &VPath, link: &VPath) -> Result<()> {
        Err(Error::new(ErrorKind::ReadOnly, "hard_link", link))
    }

    /// The text of the link `path`; `InvalidInput` where it is no link.
    ///
    /// # Behaviour
    /// - A missing path is `NotFound`, in trees without links too.
    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        let found = self.metadata(path, &StatOptions::no_follow()).await?;
        let detail = format!("it is a {}, not a link", found.file_type);
        Err(Error::new(ErrorKind::InvalidInput, "read_link", path).with_detail(detail))
    }

    /// Sets attributes. `follow` as in [`StatOptions`]. What the tree cannot set is `Unsupported`, and then nothing is.
    async fn set_attributes(&self, path: &VPath, _attributes: &SetAttributes, _follow: bool) -> Result<()> {
        Err(Error::new(ErrorKind::ReadOnly, "set_attributes", path))
    }
}

/// What a tree can do beyond being read. Only what a caller acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What it takes in.
    pub writes: Writes,
    /// It has symbolic links.
    pub symlinks: bool,
    /// A file can have several names.
    pub hard_links: bool,
    /// Permission bits can be set.
    pub modes: bool,
    /// Times can be set.
    pub times: bool,
    /// Folders have pages of their own, in these media types: what [`OpenOptions::page`] may ask for. They are for who
    /// would list the folder in that form.
    pub pages: &'static [&'static str],
}

impl Capabilities {
    /// What is left of them where nothing can be changed.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { symlinks: self.symlinks, pages: self.pages, ..Self::default() }
    }
}

/// What a tree takes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writes {
    /// Nothing: every change is `ReadOnly`.
    #[default]
    None,
    /// Whole files: `write_at` at the next offset only.
    Sequential,
    /// `write_at` anywhere.
    Anywhere,
}

/// An open file: positional and shared, so many readers need one opening. Dropping it closes it.
///
/// Archives read their bytes from here too: a member of an archive is a `File` as any other.
#[async_trait]
pub trait File: fmt::Debug + Send + Sync + 'static {
    /// Describes the open file, also where its name has gone or leads elsewhere by now.
    async fn metadata(&self) -> Result<Metadata>;

    /// What content this is, where the source can say so for good. Asks nobody.
    fn identity(&self) -> Option<Identity>;

    /// What [`File::metadata`] would have said when the file was opened, where that was learned on the way: for who looks
    /// right after opening. Asks nobody.
    fn opened_as(&self) -> Option<Metadata> {
        None
    }

    /// Reads at most `max` bytes from `offset`. May be short; empty only at the end, past the end, or for `max` 0.
    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes>;

    /// Writes `data` at `offset`, all of it or an error. On a file opened for appending the offset is not looked at.
    /// A tree that writes in sequence answers `Unsupported` to any offset but the next.
    async fn write_at(&self, _offset: u64, _data: Bytes) -> Result<()> {
        Err(refusal(ErrorKind::ReadOnly, "write_at"))
    }

    /// Cuts or grows the file to `len` bytes; what is new reads as zeros.
    async fn set_len(&self, _len: u64) -> Result<()> {
        Err(refusal(ErrorKind::ReadOnly, "set_len"))
    }

    /// Sets attributes of the open file; see [`FileSystem::set_attributes`].
    async fn set_attributes(&self, _attributes: &SetAttributes) -> Result<()> {
        Err(refusal(ErrorKind::ReadOnly, "set_attributes"))
    }

    /// Returns when what was written has reached the medium. `data_only` may leave times behind.
    async fn sync(&self, _data_only: bool) -> Result<()> {
        Ok(())
    }

    /// Takes or gives back an advisory lock.
    async fn lock(&self, _lock: Lock, _wait: LockWait) -> Result<()> {
        Err(refusal(ErrorKind::Unsupported, "lock"))
    }

    /// Ends writing and reports what a drop would swallow; in `Atomic` mode it publishes the file, once.
    /// Later writes are `InvalidInput`. Nothing to do for a reader.
    async fn finish(&self) -> Result<()> {
        Ok(())
    }

    /// A better way to read `range` than [`File::read_at`], where the source has one.
    /// It ends at the end of the file, or with `Truncated` where `range` states an end that the file does not reach.
    fn native(self: Arc<Self>, _range: ByteRange) -> Option<Box<dyn Producer>> {
        None
    }

    /// What reading from elsewhere than the last offset costs.
    fn seek_cost(&self) -> SeekCost {
        SeekCost::Free
    }
}

/// What a seek costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeekCost {
    /// Nothing to speak of.
    Free,
    /// One request to a remote source.
    Request,
    /// Reading again from the start.
    Restart,
    /// It cannot be done.
    Never,
}

/// An open file does not know its path: the namespace adds it on the way up.
fn refusal(kind: ErrorKind, op: &'static str) -> Error {
    Error::new(kind, op, &VPath::root())
}

/// One name in a folder.
#[derive(Clone, Debug)]
pub struct DirEntry {
    /// The literal name; [`printed_name`](crate::path::printed_name) is what is shown.
    pub name: Bytes,
    /// What it is, where that is known without asking further.
    pub file_type: Option<FileType>,
    /// Its description, links not followed; only where it was asked for and free.
    pub metadata: Option<Metadata>,
    /// For a mount point: how its mount fares, from the breaker's state alone. `None` for everything else.
    pub mount: Option<Availability>,
}

/// How a mount fares, without asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Its last call was answered.
    Ok,
    /// Its breaker is open.
    Unavailable,
    /// It was not asked yet.
    Unknown,
}

impl DirEntry {
    /// An entry with nothing but a name and a type.
    pub fn new(name: impl Into<Bytes>, file_type: Option<FileType>) -> Self {
        Self { name: name.into(), file_type, metadata: None, mount: None }
    }

    /// True where it is known to be a folder.
    pub fn is_dir(&self) -> bool {
        self.file_type == Some(FileType::Dir)
    }
}

/// A folder's entries, in batches of at most [`DirStream::BATCH`]; memory is bounded by the batch.
/// Dropping it ends the listing. After an error it is at its end.
pub struct DirStream {
    batches: Pin<Box<dyn Stream<Item = Result<Vec<DirEntry>>> + Send>>,
    ended: bool,
    describer: Option<Arc<dyn Describe>>,
}

/// Describes entries that a listing gave without a description.
#[async_trait]
pub trait Describe: Send + Sync {
    /// The descriptions of `names` in their order, links not followed; [`DirStream::BATCH`] names make one call worth while.
    /// Versions and identities may be left out: who needs them opens the file.
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// Each name has its own, `NotFound` where it has gone since it was listed; the call's is about all of them.
    async fn describe(&self, names: Vec<Bytes>) -> Result<Vec<std::result::Result<Metadata, ErrorKind>>>;
}

impl DirStream {
    /// Entries in one batch at most.
    pub const BATCH: usize = 256;

    /// Wraps a stream of batches.
    pub fn new(batches: impl Stream<Item = Result<Vec<DirEntry>>> + Send + 'static) -> Self {
        Self { batches: Box::pin(batches), ended: false, describer: None }
    }

    /// The same listing, whose entries `describer` describes where they come without.
    #[must_use]
    pub fn with_describer(self, describer: Option<Arc<dyn Describe>>) -> Self {
        Self { describer, ..self }
    }

    /// What describes entries that come without a description, where [`ListOptions::later`] allowed that and the tree took
    /// it up. It goes on when the listing has ended.
    pub fn describer(&self) -> Option<Arc<dyn Describe>> {
        self.describer.clone()
    }

    /// A listing that is at hand as a whole.
    pub fn ready(entries: Vec<DirEntry>) -> Self {
        Self::new(Ready(entries.into_iter()))
    }

    /// The next batch, never an empty one; `None` at the end. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Vec<DirEntry>>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next batch; see [`DirStream::next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<DirEntry>>>> {
        while !self.ended {
            match std::task::ready!(self.batches.as_mut().poll_next(cx)) {
                Some(Ok(batch)) if batch.is_empty() => {}
                Some(Ok(batch)) => return Poll::Ready(Some(Ok(batch))),
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => self.ended = true,
            }
        }
        Poll::Ready(None)
    }

    /// This listing with `change` applied to each batch or error as it comes.
    #[must_use]
    pub fn map(
        self,
        change: impl FnMut(Result<Vec<DirEntry>>) -> Result<Vec<DirEntry>> + Send + Unpin + 'static,
    ) -> Self {
        let describer = self.describer();
        Self::new(Mapped { inner: self, change }).with_describer(describer)
    }

    /// All that is left, for folders that are known to be small and for tests.
    ///
    /// # Errors
    /// The first error of a batch; `LimitExceeded` past `limit` entries.
    pub async fn collect(mut self, limit: usize) -> Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        while let Some(batch) = self.next().await {
            entries.extend(batch?);
            if entries.len() > limit {
                let detail = format!("the folder holds more than {limit} entries");
                return Err(refusal(ErrorKind::LimitExceeded, "read_dir").with_detail(detail));
            }
        }
        Ok(entries)
    }
}

impl fmt::Debug for DirStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirStream").field("ended", &self.ended).finish_non_exhaustive()
    }
}

struct Mapped<F> {
    inner: DirStream,
    change: F,
}

impl<F> Stream for Mapped<F>
where
    F: FnMut(Result<Vec<DirEntry>>) -> Result<Vec<DirEntry>> + Unpin,
{
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = std::task::ready!(self.inner.poll_next(cx));
        Poll::Ready(batch.map(|batch| (self.change)(batch)))
    }
}

struct Ready(std::vec::IntoIter<DirEntry>);

impl Stream for Ready {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch: Vec<_> = self.0.by_ref().take(DirStream::BATCH).collect();
        Poll::Ready((!batch.is_empty()).then_some(Ok(batch)))
    }
}

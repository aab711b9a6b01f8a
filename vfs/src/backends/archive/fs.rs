//! [`ArchiveFs`]: an archive as a tree.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use futures_core::Stream;

use super::bare::Bare;
use super::budget::Owner;
use super::catalog::{Member, NodeId, Shape};
use super::decoded::DecodedFile;
use super::growing::Growing;
use super::member::{MemberFile, Origin};
use super::progress::Passing;
use super::service::ArchiveService;
use super::zipped::{Located, Zipped};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::file_system::{Capabilities, DirEntry, DirStream, File, FileSystem};
use crate::metadata::Metadata;
use crate::options::{LinkTarget, ListOptions, OpenOptions, StatOptions};
use crate::path::{Scheme, VPath};

/// An archive that was entered: its names, and where its members' content is.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) growing: Growing,
    pub(super) content: Contents,
    pub(super) origin: Origin,
    /// Where it was entered first, for messages.
    pub(super) path: VPath,
    pub(super) passing: Passing,
    /// What its names take of the memory that all archives share.
    pub(super) share: Owner,
    /// What decodes it, where it is compressed as a whole, and checks its sums.
    pub(super) decoded: Option<Arc<DecodedFile>>,
    /// True once its names lie in its index, packed.
    pub(super) is_kept: AtomicBool,
}

/// How an archive holds its members' content.
#[derive(Debug)]
pub(super) enum Contents {
    /// As pieces of these bytes: the archive uncompressed.
    Pieces(Arc<dyn File>),
    /// Each packed by itself.
    Zipped(Zipped),
    /// There is one member, which is all of it.
    Bare(Bare),
}

/// A tree over an archive, whose first pass may still be under way.
///
/// - Read-only. Links are followed inside the archive only; the 41st of a walk is `Loop`.
/// - While the pass runs, descriptions are provisional, since the last of several entries of one name wins; a name that has
///   not come yet waits for it; a listing goes on until the pass ends, in the order of the archive.
/// - Where the pass broke off, what came before is served; a missing name, and the end of each listing, are its error.
/// - Once its index is written, the archive is entered anew: the index has the names in a tenth of the memory. So it is
///   where the file was found not to be what was indexed. What was opened or listed before goes on as it is.
#[derive(Debug)]
pub(super) struct ArchiveFs {
    service: ArchiveService,
    scheme: Scheme,
    file: Arc<dyn File>,
    path: VPath,
    archive: Mutex<Arc<Archive>>,
}

impl ArchiveFs {
    /// `archive`, which is what `scheme` makes of `file`.
    pub(super) fn new(
        service: ArchiveService,
        scheme: Scheme,
        file: Arc<dyn File>,
        path: VPath,
        archive: Arc<Archive>,
    ) -> Self {
        Self { service, scheme, file, path, archive: Mutex::new(archive) }
    }

    /// The archive as it is to be used from now on.
    async fn archive(&self) -> Result<Arc<Archive>> {
        let archive = Arc::clone(&self.held());
        if !archive.is_outdated() {
            return Ok(archive);
        }
        match self.service.archive(self.scheme, &self.file, &self.path).await {
            Ok(entered) => {
                *self.held() = Arc::clone(&entered);
                Ok(entered)
            }
            // What it holds is as right as ever.
            Err(_) if !archive.is_spoiled() => Ok(archive),
            Err(error) => Err(error.readdressed(|_| self.path.clone())),
        }
    }

    async fn member(&self, op: &'static str, path: &VPath, follow: bool) -> Result<Found> {
        let archive = self.archive().await?;
        let id = archive.growing.resolve(op, path, follow).await?;
        if let Contents::Bare(bare) = &archive.content {
            bare.len_soon().await;
        }
        let member = archive.growing.read(|catalog| catalog.member(id));
        Ok(Found { archive, id, member })
    }

    fn held(&self) -> MutexGuard<'_, Arc<Archive>> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A member, and the archive in which it has this number.
struct Found {
    archive: Arc<Archive>,
    id: NodeId,
    member: Member,
}

impl Archive {
    /// True where it is to be entered anew.
    pub(super) fn is_outdated(&self) -> bool {
        self.is_kept.load(Ordering::Relaxed) || self.is_spoiled()
    }

    /// True where its file is not what was indexed.
    fn is_spoiled(&self) -> bool {
        self.decoded.as_ref().is_some_and(|decoded| decoded.contents(super::index::Contents::is_spoiled))
    }

    /// True for a compressed file that is no archive.
    pub(super) fn is_bare(&self) -> bool {
        matches!(self.content, Contents::Bare(_))
    }

    fn describe(&self, member: &Member) -> Metadata {
        let is_running = self.growing.is_running();
        match &self.content {
            Contents::Pieces(_) => member.metadata(&self.origin, is_running),
            // What the directory places at a header is named by it.
            Contents::Zipped(_) => {
                let identified = Member { data: member.header, ..member.clone() };
                identified.metadata(&self.origin, is_running)
            }
            Contents::Bare(_) if member.shape == Shape::Dir => member.metadata(&self.origin, is_running),
            Contents::Bare(bare) => Metadata { len: bare.len(), ..member.metadata(&self.origin, is_running) },
        }
    }

    /// Opens the file `member`, which `metadata` describes.
    async fn open(self: &Arc<Self>, member: &Member, metadata: Metadata) -> Result<Arc<dyn File>> {
        let located = match &self.content {
            Contents::Pieces(source) => Located { source: Arc::clone(source), start: member.data },
            Contents::Zipped(zipped) => zipped.locate(member).await?,
            Contents::Bare(bare) => return Ok(Arc::new(bare.open(metadata, Arc::clone(self)))),
        };
        let member = Member { data: located.start, ..member.clone() };
        Ok(Arc::new(MemberFile::new(located.source, &member, metadata).keeping(Arc::clone(self))))
    }

    fn list(&self, ids: &[NodeId], metadata: bool) -> Vec<DirEntry> {
        self.growing.read(|catalog| {
            let entry = |id: &NodeId| {
                let described = self.describe(&catalog.member(*id));
                let name = catalog.name(*id).to_vec();
                let entry = DirEntry::new(name, Some(described.file_type));
                DirEntry { metadata: metadata.then_some(described), ..entry }
            };
            ids.iter().map(entry).collect()
        })
    }
}

#[async_trait]
impl FileSystem for ArchiveFs {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities { symlinks: true, ..Capabilities::default() }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let Found { archive, member, .. } = self.member("metadata", path, options.follow).await?;
        Ok(archive.describe(&member))
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let Found { archive, id: folder, member } = self.member("read_dir", path, true).await?;
        if member.shape != Shape::Dir {
            return Err(Error::new(ErrorKind::NotADirectory, "read_dir", path));
        }
        let (path, metadata) = (path.clone(), options.metadata);
        Ok(DirStream::new(Listing { archive, path, folder, after: None, metadata, waiting: None }))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        options.check(path)?;
        let fail = |kind| Error::new(kind, "open", path);
        if options.changes() {
            return Err(fail(ErrorKind::ReadOnly));
        }
        let Found { archive, member, .. } = self.member("open", path, options.follow).await?;
        match member.shape {
            Shape::File => {}
            Shape::Dir => return Err(fail(ErrorKind::IsADirectory)),
            Shape::Symlink => return Err(fail(ErrorKind::Loop)),
            Shape::Other => {
                return Err(
                    fail(ErrorKind::PermissionDenied).with_detail("it is a device or FIFO in the archive")
                );
            }
            Shape::Broken => {
                let detail = "it is a hard link to a file that the archive does not hold before it";
                return Err(fail(ErrorKind::Corrupt).with_detail(detail));
            }
        }
        let metadata = archive.describe(&member);
        if let Some(wanted) = &options.if_match
            && !metadata.validator.as_ref().is_some_and(|found| found.matches_strongly(wanted))
        {
            return Err(fail(ErrorKind::Changed).with_retry(Retry::Now));
        }
        archive.open(&member, metadata).await.map_err(|error| error.readdressed(|_| path.clone()))
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        let Found { member, .. } = self.member("read_link", path, false).await?;
        if member.link.as_ref().is_some_and(|text| text.is_empty()) {
            let detail = "the archive does not say where this link leads";
            return Err(Error::new(ErrorKind::Corrupt, "read_link", path).with_detail(detail));
        }
        member.link.ok_or_else(|| {
            let detail = "it is no link";
            Error::new(ErrorKind::InvalidInput, "read_link", path).with_detail(detail)
        })
    }
}

/// A listing under way; it remembers the last entry and goes on from there.
struct Listing {
    archive: Arc<Archive>,
    path: VPath,
    folder: NodeId,
    after: Option<NodeId>,
    metadata: bool,
    waiting: Option<Waiting>,
}

type Waiting = Pin<Box<dyn Future<Output = Result<Vec<NodeId>>> + Send>>;

impl Stream for Listing {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let (folder, after) = (this.folder, this.after);
        let archive = &this.archive;
        let waiting = this.waiting.get_or_insert_with(|| {
            let archive = Arc::clone(archive);
            Box::pin(async move { archive.growing.children(folder, after, DirStream::BATCH).await })
        });
        let children = ready!(waiting.as_mut().poll(cx));
        this.waiting = None;
        let children = match children {
            Ok(children) => children,
            Err(error) => return Poll::Ready(Some(Err(error.readdressed(|_| this.path.clone())))),
        };
        this.after = children.last().copied();
        let entries = this.archive.list(&children, this.metadata);
        Poll::Ready((!entries.is_empty()).then_some(Ok(entries)))
    }
}

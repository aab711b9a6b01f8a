//! A tree for the tests of this room: a temporary folder of the host, asked inline. It is as complete as the host is,
//! and confines nobody.

use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;

use crate::producer::{Chunk, FileSpan, Hint, Producer, SpanFile};
use crate::{
    ByteRange, Capabilities, DirEntry, DirStream, Error, File, FileSystem, FileType, Identity, LinkTarget,
    ListOptions, Lock, LockWait, Metadata, OpenOptions, Owner, RenameOptions, Result, SetAttributes,
    StatOptions, VPath, Writes,
};

#[derive(Debug)]
pub(crate) struct HostTree {
    root: tempfile::TempDir,
    spans: bool,
}

impl HostTree {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), spans: false }
    }

    pub(crate) fn shared() -> Arc<dyn FileSystem> {
        Arc::new(Self::new())
    }

    /// One whose files hand out spans.
    pub(crate) fn with_spans() -> Arc<dyn FileSystem> {
        Arc::new(Self { spans: true, ..Self::new() })
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    fn host(&self, path: &VPath) -> PathBuf {
        let mut host = self.root().to_owned();
        for segment in path.segments() {
            assert!(segment.markers().is_empty(), "no archives here");
            host.push(std::ffi::OsStr::from_bytes(segment.name()));
        }
        host
    }
}

#[async_trait]
impl FileSystem for HostTree {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities { writes: Writes::Anywhere, symlinks: true, hard_links: true, modes: true, times: true }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let host = self.host(path);
        let found = if options.follow { fs::metadata(host) } else { fs::symlink_metadata(host) };
        found.map(|found| described(&found)).map_err(failed("metadata", path))
    }

    async fn read_dir(&self, path: &VPath, _options: &ListOptions) -> Result<DirStream> {
        let listing = fs::read_dir(self.host(path)).map_err(failed("read_dir", path))?;
        let entries = listing.map(|entry| {
            let entry = entry?;
            Ok(DirEntry::new(entry.file_name().into_vec(), Some(type_of(entry.file_type()?))))
        });
        let entries = entries.collect::<io::Result<_>>().map_err(failed("read_dir", path))?;
        Ok(DirStream::ready(entries))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        let host = self.host(path);
        if !options.create_new && fs::metadata(&host).is_ok_and(|found| found.is_dir()) {
            return Err(failed("open", path)(rustix::io::Errno::ISDIR.into()));
        }
        let opened = fs::OpenOptions::new()
            .read(options.read)
            .write(options.write)
            .append(options.append)
            .truncate(options.truncate)
            .create(options.create)
            .create_new(options.create_new)
            .mode(options.mode.unwrap_or(0o666))
            .custom_flags(if options.follow { 0 } else { libc::O_NOFOLLOW })
            .open(host);
        let file = opened.map_err(failed("open", path))?;
        Ok(Arc::new(HostFile { file, appends: options.append, spans: self.spans }))
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        fs::create_dir(self.host(path)).map_err(failed("create_dir", path))
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        fs::remove_file(self.host(path)).map_err(failed("remove_file", path))
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        fs::remove_dir(self.host(path)).map_err(failed("remove_dir", path))
    }

    async fn rename(&self, from: &VPath, to: &VPath, _options: &RenameOptions) -> Result<()> {
        fs::rename(self.host(from), self.host(to)).map_err(failed("rename", from))
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        let text = Path::new(std::ffi::OsStr::from_bytes(target));
        // A link to a path of this tree leads there on the host too.
        let text = match text.strip_prefix("/") {
            Ok(inside) => self.root().join(inside),
            Err(_) => text.to_owned(),
        };
        std::os::unix::fs::symlink(text, self.host(path)).map_err(failed("symlink", path))
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        fs::hard_link(self.host(original), self.host(link)).map_err(failed("hard_link", link))
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        let text = fs::read_link(self.host(path)).map_err(failed("read_link", path))?;
        let inside = text.strip_prefix(self.root()).map(|inside| Path::new("/").join(inside)).ok();
        Ok(inside.unwrap_or(text).into_os_string().into_vec().into())
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        let host = self.host(path);
        if let Some(mode) = attributes.mode {
            if !follow && fs::symlink_metadata(&host).is_ok_and(|found| found.is_symlink()) {
                return Err(failed("set_attributes", path)(rustix::io::Errno::OPNOTSUPP.into()));
            }
            fs::set_permissions(&host, fs::Permissions::from_mode(mode))
                .map_err(failed("set_attributes", path))?;
        }
        let flags = if follow { rustix::fs::AtFlags::empty() } else { rustix::fs::AtFlags::SYMLINK_NOFOLLOW };
        rustix::fs::utimensat(rustix::fs::CWD, &host, &times(attributes), flags)
            .map_err(|errno| failed("set_attributes", path)(errno.into()))?;
        let (user, group) = (attributes.user, attributes.group);
        let changed = if follow {
            std::os::unix::fs::chown(&host, user, group)
        } else {
            std::os::unix::fs::lchown(&host, user, group)
        };
        changed.map_err(failed("set_attributes", path))
    }
}

#[derive(Debug)]
struct HostFile {
    file: fs::File,
    appends: bool,
    spans: bool,
}

#[async_trait]
impl File for HostFile {
    async fn metadata(&self) -> Result<Metadata> {
        self.file.metadata().map(|found| described(&found)).map_err(failed("metadata", &VPath::root()))
    }

    fn identity(&self) -> Option<Identity> {
        described(&self.file.metadata().ok()?).identity
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let mut bytes = vec![0; max];
        let read = self.file.read_at(&mut bytes, offset).map_err(failed("read_at", &VPath::root()))?;
        bytes.truncate(read);
        Ok(bytes.into())
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        let offset = if self.appends { 0 } else { offset };
        self.file.write_all_at(&data, offset).map_err(failed("write_at", &VPath::root()))
    }

    async fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(failed("set_len", &VPath::root()))
    }

    async fn set_attributes(&self, attributes: &SetAttributes) -> Result<()> {
        let failed = failed("set_attributes", &VPath::root());
        if let Some(mode) = attributes.mode {
            self.file.set_permissions(fs::Permissions::from_mode(mode)).map_err(&failed)?;
        }
        rustix::fs::futimens(&self.file, &times(attributes)).map_err(|errno| failed(errno.into()))
    }

    async fn lock(&self, lock: Lock, wait: LockWait) -> Result<()> {
        use rustix::fs::FlockOperation as Flock;
        let operation = match (lock, wait) {
            (Lock::Exclusive, LockWait::Never) => Flock::NonBlockingLockExclusive,
            (Lock::Shared, LockWait::Never) => Flock::NonBlockingLockShared,
            (Lock::Exclusive, _) => Flock::LockExclusive,
            (Lock::Shared, _) => Flock::LockShared,
            (Lock::Unlock, _) => Flock::Unlock,
        };
        rustix::fs::flock(&self.file, operation).map_err(|errno| failed("lock", &VPath::root())(errno.into()))
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        let file = SpanFile::new(self.file.try_clone().ok()?);
        let end = range.end.unwrap_or(self.file.metadata().ok()?.len());
        self.spans.then(|| Box::new(Spans { file, offset: range.start, end }) as Box<dyn Producer>)
    }
}

struct Spans {
    file: SpanFile,
    offset: u64,
    end: u64,
}

impl Producer for Spans {
    fn poll_more(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if self.offset == self.end {
            return Poll::Ready(None);
        }
        let span = FileSpan::new(self.file.clone(), self.offset, self.end - self.offset);
        self.offset += span.len() as u64;
        Poll::Ready(Some(Ok(Chunk::Span(span))))
    }

    fn hint(&self) -> Hint {
        Hint::UNKNOWN
    }
}

fn failed(op: &'static str, path: &VPath) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.clone();
    move |error| Error::from_io(error, op, &path)
}

fn type_of(found: fs::FileType) -> FileType {
    match (found.is_file(), found.is_dir(), found.is_symlink()) {
        (true, ..) => FileType::File,
        (_, true, _) => FileType::Dir,
        (_, _, true) => FileType::Symlink,
        _ => FileType::Other,
    }
}

fn described(found: &fs::Metadata) -> Metadata {
    Metadata {
        len: Some(found.len()),
        modified: found.modified().ok(),
        accessed: found.accessed().ok(),
        created: found.created().ok(),
        mode: Some(found.mode() & 0o7777),
        owner: Some(Owner { user: found.uid(), group: found.gid() }),
        links: Some(found.nlink()),
        identity: Some(Identity::Source {
            name: Bytes::from(format!("{}:{}", found.dev(), found.ino())),
            validator: None,
        }),
        ..Metadata::new(type_of(found.file_type()))
    }
}

fn times(attributes: &SetAttributes) -> rustix::fs::Timestamps {
    let time = |time: Option<std::time::SystemTime>| match time {
        None => rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
        Some(time) => {
            let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
            rustix::fs::Timespec { tv_sec: since.as_secs() as i64, tv_nsec: since.subsec_nanos().into() }
        }
    };
    rustix::fs::Timestamps {
        last_access: time(attributes.accessed),
        last_modification: time(attributes.modified),
    }
}

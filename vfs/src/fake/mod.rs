//! A small tree in memory for the tests of layers and of the namespace: it can be told to hang, to wait and to fail,
//! and counts how often it is asked. Not a backend: it knows no limits, locks or attributes.

mod state;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::watch;

use self::state::{Node, State};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirEntry, DirStream, File, FileSystem, Writes};
use crate::metadata::{Identity, Metadata};
use crate::options::{
    ByteRange, LinkTarget, ListOptions, OpenOptions, RenameOptions, SetAttributes, StatOptions,
};
use crate::path::VPath;
use crate::producer::{Chunk, Hint, Producer};

/// Parses an address that a test is sure of.
pub(crate) fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

/// The tree; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Fake(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    hangs: watch::Sender<bool>,
}

impl Fake {
    /// A tree of files and the folders that lead to them.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let fake = Self(Arc::new(Shared { state: Mutex::default(), hangs: watch::Sender::new(false) }));
        for (path, content) in files {
            fake.put(path, content);
        }
        fake
    }

    /// The same, whose files have identities: `name` makes them unique among all sources.
    pub(crate) fn named(name: &'static str, files: &[(&str, &str)]) -> Self {
        let fake = Self::with(files);
        fake.state().named = Some(name);
        fake
    }

    /// From now on files have neither identity nor validator.
    pub(crate) fn anonymous(self) -> Self {
        self.state().anonymous = true;
        self
    }

    pub(crate) fn shared(self) -> Arc<dyn FileSystem> {
        Arc::new(self)
    }

    /// Puts a file there, in a new version.
    pub(crate) fn put(&self, at: &str, content: &str) {
        let mut state = self.state();
        state.folders_to(&path(at));
        let node = state.file(Bytes::from(content.to_owned()));
        state.nodes.insert(path(at), node);
    }

    pub(crate) fn link(&self, at: &str, target: &str) {
        let mut state = self.state();
        state.folders_to(&path(at));
        state.nodes.insert(path(at), Node::Link(Bytes::from(target.to_owned())));
    }

    pub(crate) fn content(&self, at: &str) -> Option<Bytes> {
        match self.state().nodes.get(&path(at))? {
            Node::File { content, .. } => Some(content.clone()),
            _ => None,
        }
    }

    /// How often the tree, its files and its listings were asked.
    pub(crate) fn calls(&self) -> usize {
        self.state().calls
    }

    /// From now on no call ends, until [`Fake::wake`].
    pub(crate) fn hang(&self) {
        self.0.hangs.send_replace(true);
    }

    pub(crate) fn wake(&self) {
        self.0.hangs.send_replace(false);
    }

    /// From now on every call fails like this.
    pub(crate) fn fail(&self, kind: Option<ErrorKind>) {
        self.state().fails = kind;
    }

    /// From now on every call takes this long.
    pub(crate) fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// The beginning of every call.
    async fn begin(&self, op: &'static str, path: &VPath) -> Result<()> {
        let delay = {
            let mut state = self.state();
            state.calls += 1;
            state.delay
        };
        let mut hangs = self.0.hangs.subscribe();
        hangs.wait_for(|hangs| !hangs).await.unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match self.state().fails {
            Some(kind) => Err(Error::new(kind, op, path)),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl FileSystem for Fake {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities { writes: Writes::Anywhere, symlinks: true, hard_links: true, ..Capabilities::default() }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        self.begin("metadata", path).await?;
        let state = self.state();
        let at = state.resolve("metadata", path, options.follow)?;
        let missing = || Error::new(ErrorKind::NotFound, "metadata", path);
        let node = state.node(&at).ok_or_else(missing)?;
        Ok(state.describe(&at, &node))
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        self.begin("read_dir", path).await?;
        let entries: Vec<_> = {
            let state = self.state();
            let at = state.resolve("read_dir", path, true)?;
            match state.node(&at) {
                None => return Err(Error::new(ErrorKind::NotFound, "read_dir", path)),
                Some(Node::Dir) => {}
                Some(_) => return Err(Error::new(ErrorKind::NotADirectory, "read_dir", path)),
            }
            let children = state.nodes.iter().filter(|(key, _)| key.parent().as_ref() == Some(&at));
            children
                .map(|(key, node)| {
                    let metadata = state.describe(key, node);
                    let name = key.file_name().unwrap().name().clone();
                    let entry = DirEntry::new(name, Some(metadata.file_type));
                    DirEntry { metadata: options.metadata.then_some(metadata), ..entry }
                })
                .collect()
        };
        let (fake, path) = (self.clone(), path.clone());
        let batch = Box::pin(async move { fake.begin("read_dir", &path).await.map(|()| entries) });
        Ok(DirStream::new(OneBatch(Some(batch))))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        options.check(path)?;
        self.begin("open", path).await?;
        let mut state = self.state();
        let at = state.resolve("open", path, options.follow && !options.create_new)?;
        let creates = options.create || options.create_new;
        match state.node(&at) {
            Some(Node::Dir) => return Err(Error::new(ErrorKind::IsADirectory, "open", path)),
            Some(_) if options.create_new => {
                return Err(Error::new(ErrorKind::AlreadyExists, "open", path));
            }
            Some(Node::Link(_)) => return Err(Error::new(ErrorKind::Loop, "open", path)),
            None if !creates => return Err(Error::new(ErrorKind::NotFound, "open", path)),
            None => {
                let node = state.file(Bytes::new());
                state.nodes.insert(at.clone(), node);
            }
            Some(Node::File { .. }) if options.truncate => {
                let node = state.file(Bytes::new());
                state.nodes.insert(at.clone(), node);
            }
            Some(Node::File { .. }) => {}
        }
        let node = state.node(&at).unwrap();
        drop(state);
        Ok(Arc::new(FakeFile { fake: self.clone(), at, node: Mutex::new(node) }))
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        self.begin("create_dir", path).await?;
        let mut state = self.state();
        let at = state.free("create_dir", path)?;
        state.nodes.insert(at, Node::Dir);
        Ok(())
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        self.begin("remove_file", path).await?;
        let mut state = self.state();
        let at = state.resolve("remove_file", path, false)?;
        match state.node(&at) {
            None => Err(Error::new(ErrorKind::NotFound, "remove_file", path)),
            Some(Node::Dir) => Err(Error::new(ErrorKind::IsADirectory, "remove_file", path)),
            Some(_) => {
                state.nodes.remove(&at);
                Ok(())
            }
        }
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        self.begin("remove_dir", path).await?;
        let mut state = self.state();
        let at = state.resolve("remove_dir", path, false)?;
        match state.node(&at) {
            None => Err(Error::new(ErrorKind::NotFound, "remove_dir", path)),
            Some(Node::Dir) if !state.is_empty_dir(&at) => {
                Err(Error::new(ErrorKind::DirectoryNotEmpty, "remove_dir", path))
            }
            Some(Node::Dir) => {
                state.nodes.remove(&at);
                Ok(())
            }
            Some(_) => Err(Error::new(ErrorKind::NotADirectory, "remove_dir", path)),
        }
    }

    async fn rename(&self, from: &VPath, to: &VPath, _options: &RenameOptions) -> Result<()> {
        self.begin("rename", from).await?;
        let mut state = self.state();
        let (from_at, to_at) = (state.resolve("rename", from, false)?, state.resolve("rename", to, false)?);
        if state.node(&from_at).is_none() {
            return Err(Error::new(ErrorKind::NotFound, "rename", from));
        }
        let moved: Vec<_> = state.nodes.keys().filter(|key| key.starts_with(&from_at)).cloned().collect();
        for key in moved {
            let node = state.nodes.remove(&key).unwrap();
            state.nodes.insert(to_at.append(&key.strip_prefix(&from_at).unwrap()), node);
        }
        Ok(())
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        self.begin("symlink", path).await?;
        let mut state = self.state();
        let at = state.free("symlink", path)?;
        state.nodes.insert(at, Node::Link(target.clone()));
        Ok(())
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        self.begin("hard_link", link).await?;
        let mut state = self.state();
        let at = state.resolve("hard_link", original, false)?;
        let node = state.node(&at).ok_or_else(|| Error::new(ErrorKind::NotFound, "hard_link", original))?;
        let free = state.free("hard_link", link)?;
        state.nodes.insert(free, node);
        Ok(())
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        self.begin("read_link", path).await?;
        let state = self.state();
        let at = state.resolve("read_link", path, false)?;
        match state.node(&at) {
            None => Err(Error::new(ErrorKind::NotFound, "read_link", path)),
            Some(Node::Link(target)) => Ok(target),
            Some(_) => Err(Error::new(ErrorKind::InvalidInput, "read_link", path)),
        }
    }

    async fn set_attributes(&self, path: &VPath, _attributes: &SetAttributes, follow: bool) -> Result<()> {
        self.begin("set_attributes", path).await?;
        let state = self.state();
        let at = state.resolve("set_attributes", path, follow)?;
        state.node(&at).map(drop).ok_or_else(|| Error::new(ErrorKind::NotFound, "set_attributes", path))
    }
}

#[derive(Debug)]
struct FakeFile {
    fake: Fake,
    at: VPath,
    node: Mutex<Node>,
}

impl FakeFile {
    fn content(&self) -> Bytes {
        match &*self.node.lock().unwrap() {
            Node::File { content, .. } => content.clone(),
            _ => unreachable!("only files are opened"),
        }
    }
}

#[async_trait]
impl File for FakeFile {
    async fn metadata(&self) -> Result<Metadata> {
        self.fake.begin("metadata", &VPath::root()).await?;
        Ok(self.fake.state().describe(&self.at, &self.node.lock().unwrap()))
    }

    fn identity(&self) -> Option<Identity> {
        self.fake.state().describe(&self.at, &self.node.lock().unwrap()).identity
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        self.fake.begin("read_at", &VPath::root()).await?;
        let content = self.content();
        let start = usize::try_from(offset).unwrap().min(content.len());
        Ok(content.slice(start..content.len().min(start.saturating_add(max))))
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.fake.begin("write_at", &VPath::root()).await?;
        let mut content = self.content().to_vec();
        let start = usize::try_from(offset).unwrap();
        content.resize(content.len().max(start + data.len()), 0);
        content[start..start + data.len()].copy_from_slice(&data);
        let mut state = self.fake.state();
        let node = state.file(content.into());
        state.nodes.insert(self.at.clone(), node.clone());
        *self.node.lock().unwrap() = node;
        Ok(())
    }

    async fn set_attributes(&self, _attributes: &SetAttributes) -> Result<()> {
        self.fake.begin("set_attributes", &VPath::root()).await
    }

    async fn finish(&self) -> Result<()> {
        self.fake.begin("finish", &VPath::root()).await
    }

    /// One chunk, which is a call of its own.
    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        let max = range.len().map_or(usize::MAX, |len| usize::try_from(len).unwrap());
        Some(Box::new(OneChunk(Some(Box::pin(async move { self.read_at(range.start, max).await })))))
    }
}

struct OneChunk(Option<Reading>);

type Reading = Pin<Box<dyn Future<Output = Result<Bytes>> + Send>>;

impl Producer for OneChunk {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let Some(reading) = &mut self.0 else { return Poll::Ready(None) };
        let read = ready!(reading.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(Some(read.map(Chunk::Bytes)))
    }

    fn hint(&self) -> Hint {
        Hint::UNKNOWN
    }
}

/// A listing of one batch, which is a call of its own.
struct OneBatch(Option<Batch>);

type Batch = Pin<Box<dyn Future<Output = Result<Vec<DirEntry>>> + Send>>;

impl Stream for OneBatch {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(batch) = &mut self.0 else { return Poll::Ready(None) };
        let entries = ready!(batch.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(Some(entries))
    }
}

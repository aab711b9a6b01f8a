//! A source that counts, changes, breaks off, holds back and goes away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::fake::path;
use crate::file_system::{Capabilities, DirEntry, DirStream, File, FileSystem, SeekCost};
use crate::metadata::{Caching, FileType, Identity, Metadata, Validator};
use crate::options::{ListOptions, OpenOptions, StatOptions};
use crate::path::VPath;

#[derive(Clone, Debug)]
pub(super) struct Origin(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Bytes before this offset are given, others are waited for.
    gate: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<VPath, (Bytes, u64)>,
    version: u64,
    caching: Option<Caching>,
    media: Option<&'static str>,
    hides_lengths: bool,
    has_weak_validators: bool,
    down: Option<ErrorKind>,
    /// A read that reaches this offset breaks off there, this often.
    breaks: Option<(u64, u32)>,
    counts: Counts,
}

/// What was asked of the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) opens: u32,
    pub(super) bytes: u64,
    pub(super) listings: u32,
}

/// Bytes that tell their offset.
pub(super) fn content(len: usize, seed: u8) -> Bytes {
    (0..len).map(|at| (at / 251 + at % 251) as u8 ^ seed).collect::<Vec<_>>().into()
}

impl Origin {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), gate: watch::Sender::new(u64::MAX) }))
    }

    pub(super) fn put(&self, at: &str, content: &Bytes) {
        let mut state = self.state();
        state.version += 1;
        let version = state.version;
        state.files.insert(path(at), (content.clone(), version));
    }

    pub(super) fn remove(&self, at: &str) {
        self.state().files.remove(&path(at));
    }

    pub(super) fn say(&self, caching: Caching) {
        self.state().caching = Some(caching);
    }

    /// Says this media type of every file.
    pub(super) fn call_all(&self, media: Option<&'static str>) {
        self.state().media = media;
    }

    pub(super) fn hide_lengths(&self) {
        self.state().hides_lengths = true;
    }

    pub(super) fn weaken_validators(&self) {
        self.state().has_weak_validators = true;
    }

    pub(super) fn go_down(&self) {
        self.state().down = Some(ErrorKind::Unavailable);
    }

    pub(super) fn come_up(&self) {
        self.state().down = None;
    }

    pub(super) fn break_at(&self, offset: u64, times: u32) {
        self.state().breaks = Some((offset, times));
    }

    pub(super) fn hold_back_from(&self, offset: u64) {
        self.0.gate.send_replace(offset);
    }

    /// What was asked since the last time.
    pub(super) fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.state().counts)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn expect_up(&self, op: &'static str, at: &VPath) -> Result<()> {
        self.state().down.map_or(Ok(()), |kind| Err(Error::new(kind, op, at)))
    }

    fn is_folder(&self, at: &VPath) -> bool {
        self.state().files.keys().any(|file| file != at && file.starts_with(at))
    }
}

#[async_trait]
impl FileSystem for Origin {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities::default()
    }

    async fn metadata(&self, at: &VPath, _options: &StatOptions) -> Result<Metadata> {
        match self.open(at, &OpenOptions::reading()).await {
            Ok(file) => file.metadata().await,
            Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(Metadata::new(FileType::Dir)),
            Err(error) => Err(error),
        }
    }

    async fn read_dir(&self, at: &VPath, _options: &ListOptions) -> Result<DirStream> {
        self.expect_up("read_dir", at)?;
        self.state().counts.listings += 1;
        let names: std::collections::BTreeSet<_> = self
            .state()
            .files
            .keys()
            .filter(|file| file.starts_with(at))
            .filter_map(|file| file.segments().get(at.segments().len()).map(|segment| segment.name().clone()))
            .collect();
        Ok(DirStream::ready(names.into_iter().map(|name| DirEntry::new(name, None)).collect()))
    }

    async fn open(&self, at: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        self.expect_up("open", at)?;
        self.state().counts.opens += 1;
        let found = self.state().files.get(at).cloned();
        let Some((content, version)) = found else {
            let kind = if self.is_folder(at) { ErrorKind::IsADirectory } else { ErrorKind::NotFound };
            return Err(Error::new(kind, "open", at));
        };
        let file = OriginFile { origin: self.clone(), content, version };
        if options.if_match.is_some() && options.if_match != file.describe().validator {
            return Err(Error::new(ErrorKind::Changed, "open", at));
        }
        Ok(Arc::new(file))
    }
}

#[derive(Debug)]
struct OriginFile {
    origin: Origin,
    content: Bytes,
    version: u64,
}

impl OriginFile {
    fn describe(&self) -> Metadata {
        let state = self.origin.state();
        let text = self.version.to_string().into();
        let validator =
            if state.has_weak_validators { Validator::Weak(text) } else { Validator::Strong(text) };
        let len = (!state.hides_lengths).then_some(self.content.len() as u64);
        let content_type = state.media.map(Into::into);
        Metadata {
            len,
            validator: Some(validator),
            caching: state.caching,
            content_type,
            ..Metadata::new(FileType::File)
        }
    }
}

#[async_trait]
impl File for OriginFile {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(self.describe())
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let at = VPath::root();
        self.origin.expect_up("read_at", &at)?;
        self.origin.0.gate.subscribe().wait_for(|gate| offset < *gate).await.unwrap();
        let gate = *self.origin.0.gate.borrow();
        let mut end = (offset + max.min(64 * 1024) as u64).min(self.content.len() as u64).min(gate);
        if let Some((at_byte, times)) = &mut self.origin.state().breaks
            && *times > 0
            && end > *at_byte
        {
            if offset >= *at_byte {
                *times -= 1;
                return Err(Error::new(ErrorKind::Truncated, "read_at", &at));
            }
            end = *at_byte;
        }
        let bytes = self.content.slice(offset.min(end) as usize..end as usize);
        self.origin.state().counts.bytes += bytes.len() as u64;
        Ok(bytes)
    }

    fn seek_cost(&self) -> SeekCost {
        SeekCost::Request
    }
}

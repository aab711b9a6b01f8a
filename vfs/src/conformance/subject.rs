//! [`Subject`]: the tree that is asked, and the questions that many cases share.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::expect::Expect;
use super::sample::{Body, ODD_NAMES, many, sample, write};
use super::snapshot::Snapshot;
use super::{Entry, Skill};
use crate::error::Result;
use crate::file_system::{DirEntry, File, FileSystem};
use crate::metadata::Metadata;
use crate::options::{ListOptions, OpenOptions, StatOptions};
use crate::path::VPath;

/// Entries that a case expects in one folder at most.
const LISTING_LIMIT: usize = 100_000;

/// A fresh tree that holds the [`sample`], and what it lacks. Every case gets its own.
pub struct Subject {
    tree: Arc<dyn FileSystem>,
    root: VPath,
    lacks: Vec<Skill>,
    time_grain: Duration,
    special_file: Option<VPath>,
    /// Whatever must live as long as the tree: a temporary folder, a server.
    _guards: Vec<Box<dyn Any + Send + Sync>>,
}

impl Subject {
    /// A tree that holds the sample already.
    pub fn new(tree: Arc<dyn FileSystem>) -> Self {
        Self {
            tree,
            root: VPath::root(),
            lacks: Vec::new(),
            time_grain: Duration::ZERO,
            special_file: None,
            _guards: Vec::new(),
        }
    }

    /// An empty tree, which this fills. The 2,000 files of `/many` come when a case asks for them, because most do not;
    /// [`fill`](super::fill) writes them too, for trees that are then shown read-only.
    ///
    /// # Panics
    /// Where the tree does not take the sample.
    pub async fn filled(tree: Arc<dyn FileSystem>) -> Self {
        let mut entries = sample();
        let many = VPath::root().child("many").expect("it is a name");
        entries.retain(|entry| entry.path == many || !entry.path.starts_with(&many));
        write(&*tree, &VPath::root(), entries).await.must("the tree takes the sample");
        Self::new(tree)
    }

    /// The sample lies in the folder `root` of the tree, which is asked by paths below it. Default: the tree's own root.
    #[must_use]
    pub fn below(mut self, root: VPath) -> Self {
        self.root = root;
        self
    }

    /// Times are told and kept to this precision only. Default: exactly.
    #[must_use]
    pub fn with_time_grain(mut self, grain: Duration) -> Self {
        self.time_grain = grain;
        self
    }

    /// `path`, below the subject's root, is a FIFO, device or socket beside the sample.
    #[must_use]
    pub fn with_special_file(mut self, path: &VPath) -> Self {
        self.special_file = Some(path.clone());
        self
    }

    /// Keeps `guard` until the subject is dropped.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send + Sync) -> Self {
        self._guards.push(Box::new(guard));
        self
    }

    /// States what it lacks; `run` does this with the test's own list.
    #[must_use]
    pub fn lacking(mut self, lacks: &[Skill]) -> Self {
        self.lacks = lacks.to_vec();
        self
    }

    /// True where it does not lack `skill`, nor a skill that this one rests on.
    pub fn has(&self, skill: Skill) -> bool {
        skill.is_left_by(&self.lacks)
    }

    /// The tree.
    pub fn tree(&self) -> &Arc<dyn FileSystem> {
        &self.tree
    }

    /// The folder of the tree that holds the sample.
    pub fn root(&self) -> &VPath {
        &self.root
    }

    /// The path of `text` below the root; every name is literal.
    pub(super) fn at(&self, text: &str) -> VPath {
        text.split('/').filter(|name| !name.is_empty()).fold(self.root.clone(), |path, name| {
            path.child(name.to_owned()).expect("the cases' own names are plain")
        })
    }

    /// The entries of the sample that this tree can hold, with their paths in the tree.
    pub(super) fn sample(&self) -> impl Iterator<Item = Entry> {
        let fits = |entry: &Entry| match &entry.body {
            Body::Link(_) => self.has(Skill::Symlinks),
            Body::Dir | Body::File(_) => self.holds_names_of(&entry.path),
        };
        let here = |entry: Entry| Entry { path: self.root.append(&entry.path), ..entry };
        sample().into_iter().filter(fits).map(here)
    }

    /// The odd names that this tree can hold.
    pub(super) fn odd_names(&self) -> impl Iterator<Item = &'static [u8]> {
        ODD_NAMES.iter().copied().filter(|name| self.holds_name(name))
    }

    pub(super) fn special_file(&self) -> Option<VPath> {
        self.special_file.as_ref().map(|path| self.root.append(path))
    }

    /// The folder of 2,000 files, filled where [`Subject::filled`] left that out.
    pub(super) async fn many(&self) -> VPath {
        let path = self.at("/many");
        if self.has(Skill::Writes) && self.names(&path).await.is_empty() {
            write(&*self.tree, &self.root, many().collect()).await.must("the tree takes many files");
        }
        path
    }

    /// Describes `path`, following links.
    pub(super) async fn metadata(&self, path: &VPath) -> Result<Metadata> {
        self.tree.metadata(path, &StatOptions::default()).await
    }

    /// Describes what stands at `path` itself.
    pub(super) async fn entry(&self, path: &VPath) -> Result<Metadata> {
        self.tree.metadata(path, &StatOptions::no_follow()).await
    }

    pub(super) async fn listing(&self, path: &VPath, options: &ListOptions) -> Vec<DirEntry> {
        let stream = self.tree.read_dir(path, options).await.must(format!("the folder {path} lists"));
        stream.collect(LISTING_LIMIT).await.must(format!("the listing of {path} ends well"))
    }

    pub(super) async fn names(&self, path: &VPath) -> BTreeSet<Bytes> {
        self.listing(path, &ListOptions::default()).await.into_iter().map(|entry| entry.name).collect()
    }

    pub(super) async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        self.tree.open(path, options).await
    }

    pub(super) async fn reader(&self, path: &VPath) -> Arc<dyn File> {
        self.open(path, &OpenOptions::reading()).await.must(format!("the file {path} opens"))
    }

    /// All bytes of the file at `path`.
    pub(super) async fn content(&self, path: &VPath) -> Vec<u8> {
        read_all(&*self.reader(path).await).await
    }

    /// Writes the file `path` anew, in order and in place.
    pub(super) async fn write(&self, path: &VPath, content: impl AsRef<[u8]>) {
        let file = self.open(path, &OpenOptions::writing()).await.must(format!("{path} opens for writing"));
        let content = Bytes::copy_from_slice(content.as_ref());
        if !content.is_empty() {
            file.write_at(0, content).await.must(format!("{path} takes what is written"));
        }
        file.finish().await.must(format!("writing {path} ends well"));
    }

    pub(super) async fn snapshot(&self) -> Snapshot {
        Snapshot::of(self).await
    }

    #[track_caller]
    pub(super) fn assert_same_time(&self, found: Option<SystemTime>, wanted: SystemTime, behaviour: &str) {
        let apart = |time: SystemTime| match time.duration_since(wanted) {
            Ok(later) => later,
            Err(earlier) => earlier.duration(),
        };
        let near = found.is_some_and(|time| apart(time) <= self.time_grain);
        assert!(near, "{behaviour}: {wanted:?}, found {found:?}");
    }

    fn holds_names_of(&self, path: &VPath) -> bool {
        path.segments().iter().all(|segment| self.holds_name(segment.name()))
    }

    fn holds_name(&self, name: &[u8]) -> bool {
        (self.has(Skill::NewlineNames) || !name.contains(&b'\n'))
            && (self.has(Skill::BackslashNames) || !name.contains(&b'\\'))
            && (self.has(Skill::ByteNames) || std::str::from_utf8(name).is_ok())
            && (self.has(Skill::MarkerNames) || !name.ends_with(b":"))
            && (self.has(Skill::DotNames) || !name.starts_with(b"."))
    }
}

/// All bytes of an open file, by as many reads as it takes.
pub(super) async fn read_all(file: &dyn File) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let piece = file.read_at(content.len() as u64, 64 * 1024).await.must("a file reads to its end");
        if piece.is_empty() {
            return content;
        }
        content.extend_from_slice(&piece);
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("tree", &self.tree)
            .field("root", &self.root)
            .field("lacks", &self.lacks)
            .finish_non_exhaustive()
    }
}

//! [`MetaCache`]: keeps descriptions of a remote tree for a few seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashMap;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirEntry, DirStream, File, FileSystem, SeekCost};
use crate::metadata::{CacheStatus, Identity, Metadata};
use crate::options::{
    ByteRange, Freshness, LinkTarget, ListOptions, Lock, LockWait, OpenOptions, RenameOptions, SetAttributes,
    StatOptions,
};
use crate::path::VPath;
use crate::producer::Producer;

/// How long and how much a [`MetaCache`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaCacheOptions {
    /// A description counts as fresh for this long. Default 5 s.
    pub fresh: Duration,
    /// "There is no such file" counts for this long. Default 1 s.
    pub missing: Duration,
    /// Entries kept; a full cache lets go of the old ones, then of any. Default 10,000.
    pub entries: usize,
}

/// Answers `metadata` from what was asked or listed a moment ago. Openings and listings always go to the inner tree.
///
/// - [`Freshness::Any`]: what is fresh is answered from here. `Revalidate` asks, and keeps the answer. `StoredOnly` asks
///   nothing: what is not kept is `Unavailable`, an opening or a listing always.
/// - Changes made through this layer are seen through it at once, those that fail or are dropped half-way included;
///   what a link leads to may be seen through the link's name as it was for as long as it counts as fresh.
/// - Several callers that miss ask several times.
#[derive(Debug)]
pub struct MetaCache {
    inner: Arc<dyn FileSystem>,
    kept: Arc<Kept>,
}

impl MetaCache {
    /// An empty cache over `inner`.
    pub fn new(inner: Arc<dyn FileSystem>, options: MetaCacheOptions) -> Self {
        let kept = Kept { options, entries: DashMap::new(), changes: AtomicU64::new(0) };
        Self { inner, kept: Arc::new(kept) }
    }

    async fn ask(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let since = self.kept.changes();
        let mut result = self.inner.metadata(path, options).await;
        self.kept.keep(since, path, options.follow, &result);
        if let Ok(metadata) = &mut result
            && metadata.provenance.cache == CacheStatus::None
        {
            metadata.provenance.cache = CacheStatus::Miss;
        }
        result
    }
}

#[async_trait]
impl FileSystem for MetaCache {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        self.inner.capabilities(path)
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let stored = match options.freshness {
            Freshness::Any => self.kept.find(path, options.follow).filter(|found| found.fresh),
            Freshness::Revalidate => None,
            Freshness::StoredOnly => {
                return self
                    .kept
                    .find(path, options.follow)
                    .map_or_else(|| Err(not_stored("metadata", path)), Found::into_answer);
            }
        };
        match stored {
            Some(found) => found.into_answer(),
            None => self.ask(path, options).await,
        }
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        if options.freshness == Freshness::StoredOnly {
            return Err(not_stored("read_dir", path));
        }
        let since = self.kept.changes();
        let listing = self.inner.read_dir(path, options).await?;
        if !options.metadata {
            return Ok(listing);
        }
        let (kept, folder) = (Arc::clone(&self.kept), path.clone());
        Ok(listing.map(move |batch| {
            for entry in batch.iter().flatten() {
                kept.keep_listed(since, &folder, entry);
            }
            batch
        }))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        if options.freshness == Freshness::StoredOnly {
            return Err(not_stored("open", path));
        }
        let change = || options.changes().then(|| self.kept.change(path));
        let _change = change();
        let inner = self.inner.open(path, options).await?;
        let kept = Arc::clone(&self.kept);
        Ok(Arc::new(CachedFile { inner, _last: change(), kept, path: path.clone() }))
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        let _change = self.kept.change(path);
        self.inner.create_dir(path).await
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        let _change = self.kept.change(path);
        self.inner.remove_file(path).await
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        let _change = self.kept.change(path).of_subtree();
        self.inner.remove_dir(path).await
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        let _changes = (self.kept.change(from).of_subtree(), self.kept.change(to).of_subtree());
        self.inner.rename(from, to, options).await
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        let _change = self.kept.change(path).of_subtree();
        self.inner.symlink(target, path).await
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        // The original counts its names.
        let _changes = (self.kept.change(original), self.kept.change(link));
        self.inner.hard_link(original, link).await
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        self.inner.read_link(path).await
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        // A folder that can no longer be entered hides what is known below it.
        let _change = self.kept.change(path).of_subtree();
        self.inner.set_attributes(path, attributes, follow).await
    }
}

fn not_stored(op: &'static str, path: &VPath) -> Error {
    Error::new(ErrorKind::Unavailable, op, path)
        .with_detail("it is not stored, and the source was not to be asked")
}

impl Default for MetaCacheOptions {
    fn default() -> Self {
        Self { fresh: Duration::from_secs(5), missing: Duration::from_secs(1), entries: 10_000 }
    }
}

/// What is kept, by path and by whether a link there was followed.
#[derive(Debug)]
struct Kept {
    options: MetaCacheOptions,
    entries: DashMap<(VPath, bool), Entry>,
    /// Counts changes: an answer that was under way during one is not kept.
    changes: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    answer: Result<Metadata>,
    at: Instant,
}

/// A kept answer, with its age.
struct Found {
    answer: Result<Metadata>,
    age: Duration,
    fresh: bool,
}

impl Found {
    fn into_answer(self) -> Result<Metadata> {
        let mut metadata = self.answer?;
        let provenance = &mut metadata.provenance;
        provenance.age = Some(provenance.age.unwrap_or_default() + self.age);
        provenance.cache = if self.fresh { CacheStatus::Hit } else { CacheStatus::Stale };
        Ok(metadata)
    }
}

impl Kept {
    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What is kept of `path`. "Missing" counts only while it is fresh.
    fn find(&self, path: &VPath, follow: bool) -> Option<Found> {
        let entry = self.entries.get(&(path.clone(), follow))?;
        let age = entry.at.elapsed();
        let fresh = self.is_fresh(&entry);
        (fresh || entry.answer.is_ok()).then(|| Found { answer: entry.answer.clone(), age, fresh })
    }

    fn is_fresh(&self, entry: &Entry) -> bool {
        let limit = if entry.answer.is_ok() { self.options.fresh } else { self.options.missing };
        entry.at.elapsed() < limit
    }

    /// Keeps an answer, unless something changed since it was asked for.
    fn keep(&self, since: u64, path: &VPath, follow: bool, answer: &Result<Metadata>) {
        let lasting = match answer {
            Ok(metadata) => !metadata.provenance.provisional,
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        if !lasting || self.options.entries == 0 {
            return;
        }
        self.make_room();
        let key = (path.clone(), follow);
        self.entries.insert(key.clone(), Entry { answer: answer.clone(), at: Instant::now() });
        // Looked at after the insertion: a change in between finds the entry, or is seen here.
        if self.changes() != since {
            self.entries.remove(&key);
        }
    }

    fn keep_listed(&self, since: u64, folder: &VPath, entry: &DirEntry) {
        let (Some(metadata), Ok(path)) = (&entry.metadata, folder.child(entry.name.clone())) else { return };
        let answer = Ok(metadata.clone());
        self.keep(since, &path, false, &answer);
        if !metadata.is_symlink() {
            self.keep(since, &path, true, &answer);
        }
    }

    /// A full cache is swept at once, so that room is made rarely: a quarter of it is free then.
    fn make_room(&self) {
        if self.entries.len() < self.options.entries {
            return;
        }
        let mut left = self.options.entries / 4 * 3;
        self.entries.retain(|_, entry| {
            let stays = left > 0 && self.is_fresh(entry);
            left -= usize::from(stays);
            stays
        });
    }

    fn change(self: &Arc<Self>, path: &VPath) -> Change {
        Change { kept: Arc::clone(self), path: path.clone(), subtree: false }
    }

    fn forget(&self, path: &VPath, subtree: bool) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        let parent = path.parent();
        if subtree {
            self.entries.retain(|(kept, _), _| !kept.starts_with(path) && Some(kept) != parent.as_ref());
            return;
        }
        for follow in [false, true] {
            self.entries.remove(&(path.clone(), follow));
            if let Some(parent) = &parent {
                self.entries.remove(&(parent.clone(), follow));
            }
        }
    }
}

/// A change under way: when it ends, however it ends, what was known of the path and of its folder is forgotten.
#[derive(Debug)]
struct Change {
    kept: Arc<Kept>,
    path: VPath,
    subtree: bool,
}

impl Change {
    fn of_subtree(mut self) -> Self {
        self.subtree = true;
        self
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.kept.forget(&self.path, self.subtree);
    }
}

/// An open file. What is known of it is forgotten with each change.
#[derive(Debug)]
struct CachedFile {
    inner: Arc<dyn File>,
    /// Of a file that was opened for changing: its drop may publish or undo something. Dropped after `inner`.
    _last: Option<Change>,
    kept: Arc<Kept>,
    path: VPath,
}

impl CachedFile {
    fn change(&self) -> Change {
        self.kept.change(&self.path)
    }
}

#[async_trait]
impl File for CachedFile {
    async fn metadata(&self) -> Result<Metadata> {
        self.inner.metadata().await
    }

    fn identity(&self) -> Option<Identity> {
        self.inner.identity()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        self.inner.read_at(offset, max).await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        let _change = self.change();
        self.inner.write_at(offset, data).await
    }

    async fn set_len(&self, len: u64) -> Result<()> {
        let _change = self.change();
        self.inner.set_len(len).await
    }

    async fn set_attributes(&self, attributes: &SetAttributes) -> Result<()> {
        let _change = self.change();
        self.inner.set_attributes(attributes).await
    }

    async fn sync(&self, data_only: bool) -> Result<()> {
        self.inner.sync(data_only).await
    }

    async fn lock(&self, lock: Lock, wait: LockWait) -> Result<()> {
        self.inner.lock(lock, wait).await
    }

    async fn finish(&self) -> Result<()> {
        let _change = self.change();
        self.inner.finish().await
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        Arc::clone(&self.inner).native(range)
    }

    fn seek_cost(&self) -> SeekCost {
        self.inner.seek_cost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, path};

    fn cached(files: &[(&str, &str)], options: MetaCacheOptions) -> (Fake, MetaCache) {
        let fake = Fake::with(files);
        (fake.clone(), MetaCache::new(fake.shared(), options))
    }

    async fn stat(tree: &MetaCache, text: &str, freshness: Freshness) -> Result<Metadata> {
        tree.metadata(&path(text), &StatOptions { freshness, ..StatOptions::default() }).await
    }

    async fn len(tree: &MetaCache, text: &str) -> Option<u64> {
        stat(tree, text, Freshness::Any).await.ok()?.len
    }

    #[tokio::test(start_paused = true)]
    async fn fresh_answers_come_from_here_and_say_their_age() {
        let (fake, tree) = cached(&[("/f", "text")], MetaCacheOptions::default());
        let first = stat(&tree, "/f", Freshness::Any).await.unwrap();
        assert_eq!((first.provenance.cache, first.provenance.age), (CacheStatus::Miss, None));
        tokio::time::advance(Duration::from_secs(4)).await;
        let second = stat(&tree, "/f", Freshness::Any).await.unwrap();
        assert_eq!(second.provenance.cache, CacheStatus::Hit);
        assert_eq!(second.provenance.age, Some(Duration::from_secs(4)));
        assert_eq!(fake.calls(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        stat(&tree, "/f", Freshness::Any).await.unwrap();
        assert_eq!(fake.calls(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_is_remembered_for_a_shorter_time_and_other_errors_are_not() {
        let (fake, tree) = cached(&[("/f", "")], MetaCacheOptions::default());
        for _ in 0..2 {
            let error = stat(&tree, "/none", Freshness::Any).await.unwrap_err();
            assert_eq!(error.to_string(), "metadata /none: no such file or folder");
        }
        assert_eq!(fake.calls(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        stat(&tree, "/none", Freshness::Any).await.unwrap_err();
        assert_eq!(fake.calls(), 2);
        for _ in 0..2 {
            stat(&tree, "/f/below", Freshness::Any).await.unwrap_err();
        }
        assert_eq!(fake.calls(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn freshness_is_honoured() {
        let (fake, tree) = cached(&[("/f", "text"), ("/g", "")], MetaCacheOptions::default());
        let error = stat(&tree, "/f", Freshness::StoredOnly).await.unwrap_err();
        assert_eq!((error.kind(), fake.calls()), (ErrorKind::Unavailable, 0));
        stat(&tree, "/f", Freshness::Any).await.unwrap();
        fake.put("/f", "longer text");
        assert_eq!(len(&tree, "/f").await, Some(4));
        assert_eq!(stat(&tree, "/f", Freshness::Revalidate).await.unwrap().len, Some(11));
        assert_eq!(len(&tree, "/f").await, Some(11), "what was asked anew is kept");
        tokio::time::advance(Duration::from_secs(60)).await;
        let stale = stat(&tree, "/f", Freshness::StoredOnly).await.unwrap();
        assert_eq!((stale.len, stale.provenance.cache), (Some(11), CacheStatus::Stale));
        let options = OpenOptions { freshness: Freshness::StoredOnly, ..OpenOptions::reading() };
        assert_eq!(tree.open(&path("/g"), &options).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_listing_with_metadata_fills_it() {
        let (fake, tree) =
            cached(&[("/d/a", "1"), ("/d/b", "22"), ("/e/c", "")], MetaCacheOptions::default());
        fake.link("/d/l", "a");
        let list = async |folder: &str, options| {
            tree.read_dir(&path(folder), &options).await.unwrap().collect(9).await.unwrap()
        };
        list("/d", ListOptions::with_metadata()).await;
        list("/e", ListOptions::default()).await;
        let asked = fake.calls();
        assert_eq!((len(&tree, "/d/a").await, len(&tree, "/d/b").await), (Some(1), Some(2)));
        assert!(tree.metadata(&path("/d/l"), &StatOptions::no_follow()).await.unwrap().is_symlink());
        assert_eq!(fake.calls(), asked);
        assert_eq!(
            (len(&tree, "/d/l").await, fake.calls()),
            (Some(1), asked + 1),
            "a followed link is asked for"
        );
        assert_eq!((len(&tree, "/e/c").await, fake.calls()), (Some(0), asked + 2));
    }

    #[tokio::test]
    async fn own_changes_are_seen_at_once() {
        let (_, tree) = cached(&[("/d/f", "text"), ("/x/y", "")], MetaCacheOptions::default());
        assert_eq!(len(&tree, "/d/f").await, Some(4));
        let file = tree.open(&path("/d/f"), &OpenOptions::writing()).await.unwrap();
        assert_eq!(len(&tree, "/d/f").await, Some(0), "opening cut it");
        file.write_at(0, Bytes::from("new")).await.unwrap();
        assert_eq!(len(&tree, "/d/f").await, Some(3));

        assert!(stat(&tree, "/e/f", Freshness::Any).await.is_err());
        tree.rename(&path("/d"), &path("/e"), &RenameOptions::default()).await.unwrap();
        assert_eq!((len(&tree, "/d/f").await, len(&tree, "/e/f").await), (None, Some(3)));
        assert!(stat(&tree, "/n", Freshness::Any).await.is_err());
        tree.create_dir(&path("/n")).await.unwrap();
        assert!(stat(&tree, "/n", Freshness::Any).await.unwrap().is_dir());
        tree.remove_file(&path("/e/f")).await.unwrap();
        assert_eq!(len(&tree, "/e/f").await, None);
    }

    #[tokio::test]
    async fn an_answer_that_was_under_way_during_a_change_is_not_kept() {
        let (fake, tree) = cached(&[("/f", "text")], MetaCacheOptions::default());
        let tree = Arc::new(tree);
        fake.hang();
        let early = tokio::spawn({
            let tree = Arc::clone(&tree);
            async move { len(&tree, "/f").await }
        });
        while fake.calls() < 1 {
            tokio::task::yield_now().await;
        }
        drop(tree.kept.change(&path("/f")));
        fake.wake();
        assert_eq!(early.await.unwrap(), Some(4));
        assert_eq!(tree.kept.entries.len(), 0);
    }

    #[tokio::test]
    async fn it_keeps_no_more_than_it_may() {
        let options = MetaCacheOptions { entries: 8, ..MetaCacheOptions::default() };
        let (_, tree) = cached(&[("/f", "")], options);
        for count in 0..100 {
            stat(&tree, &format!("/none{count}"), Freshness::Any).await.unwrap_err();
            assert!(tree.kept.entries.len() <= 8);
        }
        let last = stat(&tree, "/none99", Freshness::StoredOnly).await.unwrap_err();
        assert_eq!(last.kind(), ErrorKind::NotFound, "the newest is kept");
    }
}

//! [`Mirror`]: a tree that keeps what was read of a remote one, and goes on serving it when that one is gone.
//!
//! - A file is fetched once, however many read it, in blocks of 256 KiB; a range fetches the blocks that it touches. Readers
//!   see bytes as soon as they are on the disk, and an error where the source fails: never an early end.
//! - Whether what is kept still holds is decided by [`Rules`] and [`Tolerances`]; who asks is asked once for all
//!   ([`Freshness::Revalidate`] collapses). Another version has other bytes on the disk: readers of the old one finish it.
//! - Listings, folders and missing names are kept too.
//!
//! The tree is read-only. Where the cache folder fails or is full, what does not fit is passed through.

mod file;
mod flight;
mod freshness;
mod listing;
mod object;
mod rules;
mod run;
mod set;
mod sets;
mod store;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use async_trait::async_trait;
use dashmap::DashMap;

use self::file::MirrorFile;
use self::flight::Flights;
pub use self::freshness::Tolerances;
use self::freshness::{Verdict, judge};
use self::listing::Encoded;
use self::object::{Object, Upstream};
pub use self::rules::{PatternError, Preset, Rule, Rules};
use self::set::Releases;
use self::sets::Digest;
use self::store::{Blocks, Key, Kind, Part, Record};
pub use self::store::{Store, StoreOptions, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem};
use crate::metadata::{CacheStatus, FileType, Metadata};
use crate::options::{Freshness, Intent, LinkTarget, ListOptions, OpenOptions, StatOptions};
use crate::path::VPath;

/// Objects that stay at hand after their last reader has left, with an open file each.
const HOT: usize = 256;

/// What a mirror does besides keeping.
#[derive(Clone, Debug, Default)]
pub struct MirrorOptions {
    /// What may be kept how long, whatever the source says.
    pub rules: Rules,
    /// Which files belong together and change together: the preset's sets. Default: none do.
    pub sets: Preset,
    /// How it deals with time.
    pub tolerances: Tolerances,
}

/// A tree that keeps what was read of `inner`; see the [module](self).
#[derive(Clone, Debug)]
pub struct Mirror(Arc<Core>);

#[derive(Debug)]
struct Core {
    inner: Arc<dyn FileSystem>,
    /// Names `inner` among all that share the store.
    source: Arc<str>,
    store: Arc<Store>,
    options: MirrorOptions,
    /// What somebody holds.
    live: DashMap<Key, Weak<Object>>,
    /// What was used last, so that it is still live when it is asked for again.
    hot: Mutex<VecDeque<Arc<Object>>>,
    flights: Flights<Answer>,
    releases: Releases,
}

/// What asking the source came to.
#[derive(Clone, Debug)]
enum Answer {
    /// It is kept.
    Kept(Arc<Object>, CacheStatus),
    /// It must not be kept: its readers share this opening.
    Passed(Arc<dyn File>),
}

/// What a caller found kept, and not good enough.
struct Seen {
    object: Arc<Object>,
    asked: SystemTime,
}

impl Seen {
    fn of(object: &Arc<Object>) -> Self {
        Self { object: Arc::clone(object), asked: object.kept().asked }
    }
}

/// What a source has at a path.
struct Sourced {
    kind: Kind,
    metadata: Metadata,
    /// Opened; of a folder, or where nothing is, there is none.
    file: Option<Arc<dyn File>>,
}

/// What stands at a path, and what the cache had to do with the answer.
enum Found {
    Object(Arc<Object>, CacheStatus),
    Passed(Arc<dyn File>),
}

impl Mirror {
    /// A mirror of `inner`, which `source` names for good (its URL): what was kept under that name is served again.
    pub fn new(
        inner: Arc<dyn FileSystem>,
        source: impl Into<Arc<str>>,
        store: Arc<Store>,
        options: MirrorOptions,
    ) -> Self {
        Self(Arc::new(Core {
            inner,
            source: source.into(),
            store,
            options,
            live: DashMap::new(),
            hot: Mutex::default(),
            flights: Flights::default(),
            releases: Releases::default(),
        }))
    }

    /// Forgets what is kept of `path`: the next reader fetches it anew.
    ///
    /// # Errors
    /// What the cache folder fails with.
    pub async fn purge(&self, path: &VPath) -> Result<()> {
        for part in [Part::Entry, Part::Listing] {
            let key = Key::of(&self.0.source, path, part);
            let generation = self.0.stored(key, path).await?.map(|object| object.generation());
            self.0.forget(key);
            self.0.store.remove(key, generation).await?;
        }
        Ok(())
    }
}

impl Core {
    fn key(&self, path: &VPath, part: Part) -> Key {
        Key::of(&self.source, path, part)
    }

    /// What is kept under `key`, which is `path`'s.
    async fn stored(&self, key: Key, path: &VPath) -> Result<Option<Arc<Object>>> {
        if let Some(object) = self.live_object(key) {
            return Ok(Some(object));
        }
        let Some(record) = self.store.load(key).await? else { return Ok(None) };
        if record.source != self.source || record.path != *path {
            return Ok(None);
        }
        let is_half_a_listing = record.kind == Kind::Listing && !record.blocks.is_complete();
        if is_half_a_listing {
            return Ok(None);
        }
        let has_bytes = record.blocks.present() > 0;
        let object = Arc::new(Object::stored(key, &self.store, record, self.upstream(None)));
        if has_bytes {
            object.look_at_data().await?;
        }
        Ok(Some(self.hold(object)))
    }

    /// The same; what cannot be read counts as not kept.
    async fn readable(&self, key: Key, path: &VPath) -> Option<Arc<Object>> {
        self.stored(key, path).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the cache cannot be read: the source is asked");
            None
        })
    }

    /// What somebody holds, or held a moment ago.
    fn live_object(&self, key: Key) -> Option<Arc<Object>> {
        self.live.get(&key).and_then(|object| object.upgrade()).filter(|object| !object.is_lost())
    }

    fn upstream(&self, opened: Option<Arc<dyn File>>) -> Upstream {
        Upstream::File { tree: Arc::clone(&self.inner), opened: Mutex::new(opened) }
    }

    /// Makes `object` the one that is found under its key, unless there is one already.
    fn hold(&self, object: Arc<Object>) -> Arc<Object> {
        let mut live = self.live.entry(object.key).or_default();
        if let Some(other) = live.upgrade().filter(|other| !other.is_lost()) {
            return other;
        }
        *live = Arc::downgrade(&object);
        drop(live);
        self.heat(&object);
        object
    }

    /// Makes `object` the one that is found under its key from now on. Who reads another goes on.
    async fn replace(&self, object: &Arc<Object>) -> Result<()> {
        let before = self.live.insert(object.key, Arc::downgrade(object));
        self.heat(object);
        if let Some(before) = before.and_then(|before| before.upgrade()) {
            self.store.discard_data(object.key, before.generation());
            self.cool(&before);
        }
        object.save().await
    }

    fn heat(&self, object: &Arc<Object>) {
        let mut hot = self.hot.lock().unwrap_or_else(PoisonError::into_inner);
        if hot.len() == HOT {
            hot.pop_front();
        }
        hot.push_back(Arc::clone(object));
        drop(hot);
        if self.live.len() > 4 * HOT {
            self.live.retain(|_, object| object.strong_count() > 0);
        }
    }

    fn cool(&self, object: &Arc<Object>) {
        let mut hot = self.hot.lock().unwrap_or_else(PoisonError::into_inner);
        hot.retain(|other| !Arc::ptr_eq(other, object));
    }

    fn forget(&self, key: Key) {
        if let Some(object) = self.live.remove(&key).and_then(|(_, object)| object.upgrade()) {
            self.cool(&object);
        }
    }

    /// What stands at `path`: from the cache where that is good enough, else from the source.
    async fn find(
        self: &Arc<Self>,
        path: &VPath,
        wish: Freshness,
        intent: Intent,
        op: &'static str,
    ) -> Result<Found> {
        let key = self.key(path, Part::Entry);
        let stored = self.readable(key, path).await;
        let expected = self.expected(path).await;
        let verdict = stored.as_ref().map(|stored| match expected.filter(|_| stored.kind() == Kind::File) {
            // Its set says what it is, however old it is.
            Some(expected) if stored.digest() == Some(expected) => Verdict::Fresh,
            Some(_) => Verdict::Ask,
            None => self.judge(stored, path, wish),
        });
        let found = match (verdict, stored) {
            (Some(Verdict::Fresh), Some(stored)) => Ok(Found::Object(stored, CacheStatus::Hit)),
            (Some(Verdict::Refresh), Some(stored)) => {
                drop(
                    self.flights
                        .begin(key, self.clone().ask(path.clone(), Some(Seen::of(&stored)), Intent::Header)),
                );
                Ok(Found::Object(stored, CacheStatus::Stale))
            }
            (Some(Verdict::Refuse), _) => Err(not_kept(op, path)),
            (None | Some(Verdict::Ask), _)
                if self.options.tolerances.offline || wish == Freshness::StoredOnly =>
            {
                Err(not_kept(op, path))
            }
            (verdict, stored) => {
                let asking = self.clone().ask(path.clone(), stored.as_ref().map(Seen::of), intent);
                match (self.flights.join(key, asking).await, stored) {
                    (Ok(Answer::Kept(object, status)), _) => Ok(Found::Object(object, status)),
                    (Ok(Answer::Passed(file)), _) => Ok(Found::Passed(file)),
                    (Err(error), Some(stored))
                        if verdict == Some(Verdict::AskOrServe) && is_outage(&error) =>
                    {
                        tracing::debug!(%path, %error, "the source cannot be had: what is kept is served");
                        Ok(Found::Object(stored, CacheStatus::Stale))
                    }
                    (Err(error), _) => Err(error),
                }
            }
        };
        match found? {
            Found::Object(object, _) if object.kind() == Kind::Missing => {
                Err(Error::new(ErrorKind::NotFound, op, path))
            }
            found => Ok(found),
        }
    }

    /// True for a link, where the source has any and can be asked.
    async fn is_link(&self, path: &VPath) -> bool {
        self.inner.capabilities(path).symlinks
            && self
                .inner
                .metadata(path, &StatOptions::no_follow())
                .await
                .is_ok_and(|found| found.is_symlink())
    }

    fn judge(&self, stored: &Object, path: &VPath, wish: Freshness) -> Verdict {
        let rule = self.options.rules.of(path);
        judge(&stored.kept(), rule, wish, &self.options.tolerances, self.store.now())
    }

    /// Asks the source what stands at `path`, and keeps its answer.
    async fn ask(self: Arc<Self>, path: VPath, seen: Option<Seen>, intent: Intent) -> Result<Answer> {
        if let Some(answered) = self.answered_since(self.key(&path, Part::Entry), seen.as_ref()) {
            return Ok(answered);
        }
        let stored = seen.map(|seen| seen.object);
        let expected = self.expected(&path).await;
        let found = self.open_source(&path, stored.as_ref(), intent).await?;
        let rule = self.options.rules.of(&path);
        if let Some(file) = &found.file
            && !freshness::is_storable(found.metadata.caching, rule)
        {
            return Ok(Answer::Passed(Arc::clone(file)));
        }
        if let Some(stored) = stored.as_ref().filter(|stored| stored.is_version(&found.metadata))
            && (expected.is_none() || stored.digest() == expected || stored.seal() == expected)
        {
            stored.renew(&found.metadata, found.file, self.store.now());
            stored.save().await?;
            return Ok(Answer::Kept(Arc::clone(stored), CacheStatus::Revalidated));
        }
        let file = found.file.clone();
        let object = Arc::new(self.object_of(&path, found, expected));
        if let Some(old) = stored.filter(|old| old.kind() == Kind::File && object.kind() == Kind::File) {
            match self.companions(&object, &old).await {
                Ok(companions) => {
                    for companion in companions {
                        self.replace(&companion).await?;
                    }
                }
                Err(error) => {
                    tracing::info!(%path, %error, "the source is being changed: its last whole state is served on");
                    old.renew(&old.describe(CacheStatus::Stale), None, self.store.now());
                    return Ok(Answer::Kept(old, CacheStatus::Stale));
                }
            }
        }
        match (self.replace(&object).await, file) {
            (Ok(()), _) => Ok(Answer::Kept(object, CacheStatus::Miss)),
            (Err(error), Some(file)) => {
                tracing::warn!(%error, "nothing can be kept: it is passed through");
                self.forget(object.key);
                Ok(Answer::Passed(file))
            }
            (Err(_), None) => Ok(Answer::Kept(object, CacheStatus::Miss)),
        }
    }

    /// What was kept since the caller looked: somebody else's question was answered in between.
    fn answered_since(&self, key: Key, seen: Option<&Seen>) -> Option<Answer> {
        let live = self.live_object(key)?;
        let is_known =
            seen.is_some_and(|seen| Arc::ptr_eq(&seen.object, &live) && seen.asked == live.kept().asked);
        (!is_known).then_some(Answer::Kept(live, CacheStatus::Hit))
    }

    /// What the source has at `path` now.
    async fn open_source(
        &self,
        path: &VPath,
        stored: Option<&Arc<Object>>,
        intent: Intent,
    ) -> Result<Sourced> {
        let held = stored.and_then(|stored| stored.held());
        let options =
            OpenOptions { intent, held, freshness: Freshness::Revalidate, ..OpenOptions::reading() };
        let nothing = |kind, metadata| Sourced { kind, metadata, file: None };
        match self.inner.open(path, &options).await {
            Ok(file) => {
                let metadata = match file.opened_as() {
                    Some(metadata) => metadata,
                    None => file.metadata().await?,
                };
                Ok(Sourced { kind: Kind::File, metadata, file: Some(file) })
            }
            Err(error) if error.kind() == ErrorKind::IsADirectory => {
                // A tree that has just seen a folder mostly knows it by heart.
                let found = self.inner.metadata(path, &StatOptions::default()).await.ok();
                let found = found.filter(Metadata::is_dir).unwrap_or(Metadata::new(FileType::Dir));
                Ok(nothing(Kind::Folder, found))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(nothing(Kind::Missing, Metadata::new(FileType::File)))
            }
            Err(error) => Err(error),
        }
    }

    /// What is known of a new version, of which nothing is kept yet.
    fn record(&self, path: &VPath, kind: Kind, metadata: Metadata) -> Record {
        Record {
            source: Arc::clone(&self.source),
            path: path.clone(),
            kind,
            asked: self.store.now(),
            blocks: Blocks::none_of(metadata.len),
            digest: None,
            metadata,
            generation: self.store.next_generation(),
            run: self.store.run(),
        }
    }

    /// A new version of what stands at `path`; one that must sum to something shows nothing before it does.
    fn object_of(&self, path: &VPath, found: Sourced, expected: Option<Digest>) -> Object {
        let is_file = found.kind == Kind::File;
        let record = self.record(path, found.kind, found.metadata);
        let key = self.key(path, Part::Entry);
        let object = Object::new(key, &self.store, record, self.upstream(found.file));
        match expected.filter(|_| is_file) {
            Some(digest) => object.sealed(digest),
            None => object,
        }
    }

    /// The folder's listing: kept, or on its way.
    async fn list(self: &Arc<Self>, path: &VPath, wish: Freshness) -> Result<Arc<Object>> {
        const OP: &str = "read_dir";
        let key = self.key(path, Part::Listing);
        let stored = self.readable(key, path).await;
        let verdict = stored.as_ref().map(|stored| self.judge(stored, path, wish));
        match (verdict, stored) {
            (Some(Verdict::Fresh), Some(stored)) => Ok(stored),
            (Some(Verdict::Refresh), Some(stored)) => {
                drop(
                    self.flights.begin(key, self.clone().ask_listing(path.clone(), Some(Seen::of(&stored)))),
                );
                Ok(stored)
            }
            (Some(Verdict::Refuse), _) => Err(not_kept(OP, path)),
            (None, _) if self.options.tolerances.offline || wish == Freshness::StoredOnly => {
                Err(not_kept(OP, path))
            }
            (verdict, stored) => {
                let asking = self.clone().ask_listing(path.clone(), stored.as_ref().map(Seen::of));
                match (self.flights.join(key, asking).await, stored) {
                    (Ok(Answer::Kept(object, _)), _) => Ok(object),
                    (Ok(Answer::Passed(_)), _) => Err(Error::new(ErrorKind::Internal, OP, path)),
                    (Err(error), Some(stored))
                        if verdict == Some(Verdict::AskOrServe) && is_outage(&error) =>
                    {
                        Ok(stored)
                    }
                    (Err(error), _) => Err(error),
                }
            }
        }
    }

    /// Asks the source for a listing. What was seen is let go of when the new one is whole; who has nothing sees the new
    /// one grow.
    async fn ask_listing(self: Arc<Self>, path: VPath, seen: Option<Seen>) -> Result<Answer> {
        if let Some(answered) = self.answered_since(self.key(&path, Part::Listing), seen.as_ref()) {
            return Ok(answered);
        }
        let options = ListOptions { freshness: Freshness::Revalidate, ..ListOptions::with_metadata() };
        let listing = self.inner.read_dir(&path, &options).await?;
        let key = self.key(&path, Part::Listing);
        let record = self.record(&path, Kind::Listing, Metadata::new(FileType::Dir));
        let upstream = Upstream::Once(Mutex::new(Some(Box::new(Encoded(listing)))));
        let object = Arc::new(Object::new(key, &self.store, record, upstream));
        if seen.is_some() {
            let mut entries = listing::entries(&object, &path, false);
            while let Some(batch) = entries.next().await {
                batch?;
            }
        }
        self.replace(&object).await?;
        Ok(Answer::Kept(object, CacheStatus::Miss))
    }
}

#[async_trait]
impl FileSystem for Mirror {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        self.0.inner.capabilities(path).read_only()
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        const OP: &str = "metadata";
        if !options.follow && self.0.inner.capabilities(path).symlinks {
            match self.0.inner.metadata(path, options).await {
                Err(error) if is_outage(&error) => {}
                answer => return answer,
            }
        }
        match self.0.find(path, options.freshness, Intent::Header, OP).await {
            Ok(Found::Object(object, status)) => Ok(object.describe(status)),
            Ok(Found::Passed(file)) => file.metadata().await,
            // The root exists, whatever its source has to say.
            Err(error) if path.is_root() && is_outage(&error) => Ok(Metadata::new(FileType::Dir)),
            // Neither a file nor a folder.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.0.inner.metadata(path, options).await
            }
            Err(error) => Err(error),
        }
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let object = self.0.list(path, options.freshness).await?;
        Ok(listing::entries(&object, path, options.metadata))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        const OP: &str = "open";
        options.check(path)?;
        if options.changes() {
            return Err(Error::new(ErrorKind::ReadOnly, OP, path));
        }
        if path.is_root() {
            return Err(Error::new(ErrorKind::IsADirectory, OP, path));
        }
        if !options.follow && self.0.is_link(path).await {
            return Err(Error::new(ErrorKind::Loop, OP, path));
        }
        let file: Arc<dyn File> = match self.0.find(path, options.freshness, options.intent, OP).await? {
            Found::Object(object, _) if object.kind() == Kind::Folder => {
                return Err(Error::new(ErrorKind::IsADirectory, OP, path));
            }
            Found::Object(object, status) => {
                let described = object.describe(status);
                Arc::new(MirrorFile::new(object, described))
            }
            Found::Passed(file) => file,
        };
        if let Some(wanted) = &options.if_match
            && file.metadata().await?.validator.as_ref() != Some(wanted)
        {
            return Err(Error::new(ErrorKind::Changed, OP, path));
        }
        Ok(file)
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        self.0.inner.read_link(path).await
    }
}

/// True where the source could not be had, and so has not said that what is kept no longer holds.
fn is_outage(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable
            | ErrorKind::TimedOut
            | ErrorKind::Busy
            | ErrorKind::Truncated
            | ErrorKind::Corrupt
            | ErrorKind::LimitExceeded
            | ErrorKind::Internal
    )
}

fn not_kept(op: &'static str, path: &VPath) -> Error {
    Error::new(ErrorKind::Unavailable, op, path)
        .with_detail("it is not kept, and the source was not to be asked")
}

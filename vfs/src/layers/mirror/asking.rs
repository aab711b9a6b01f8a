//! Asking the source: once for all who want it, with what is kept already, so that it may say that this still holds.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::answer::{Answer, Passage, Shared};
use super::file::{self, Awaited};
use super::finding::Want;
use super::freshness;
use super::listing::Encoded;
use super::object::{Object, Upstream};
use super::run::RETRY;
use super::sets::Digest;
use super::store::{Blocks, Kind, Part, Record};
use super::{Core, Subject};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::file_system::{DirStream, File};
use crate::metadata::{CacheStatus, FileType, Metadata};
use crate::options::{Freshness, Intent, ListOptions, OpenOptions, Sought, StatOptions};
use crate::path::VPath;

/// What a caller found kept, and not good enough.
pub(super) struct Seen {
    object: Arc<Object>,
    asked: SystemTime,
}

/// What a source has at a path.
pub(super) struct Sourced {
    kind: Kind,
    metadata: Metadata,
    /// Opened; of a folder, or where nothing is, there is none.
    file: Option<Arc<dyn File>>,
}

impl Seen {
    pub(super) fn of(object: &Arc<Object>) -> Self {
        Self { object: Arc::clone(object), asked: object.kept().asked }
    }
}

impl Sourced {
    /// True for a page of HTML, as its source says.
    fn is_page(&self) -> bool {
        let media = self.metadata.content_type.as_deref().filter(|_| self.kind == Kind::File);
        media.and_then(|media| media.split(';').next()).is_some_and(|media| {
            let media = media.trim();
            media.eq_ignore_ascii_case("text/html") || media.eq_ignore_ascii_case("application/xhtml+xml")
        })
    }
}

impl Core {
    /// Asks the source about `subject`, and keeps its answer.
    pub(super) async fn ask(
        self: Arc<Self>,
        subject: Subject,
        seen: Option<Seen>,
        want: Want,
    ) -> Result<Shared> {
        if let Some(answered) = self.answered_since(&subject, seen.as_ref()) {
            return Ok(answered);
        }
        let stored = seen.map(|seen| seen.object);
        match subject.part {
            Part::Entry | Part::Page(_) => self.ask_file(&subject, stored, want).await,
            Part::Listing => self.ask_listing(&subject, stored.is_some()).await,
        }
    }

    /// What was kept since the caller looked: somebody else's question was answered in between.
    fn answered_since(&self, subject: &Subject, seen: Option<&Seen>) -> Option<Shared> {
        let live = self.live_object(self.key_of(subject))?;
        let is_known =
            seen.is_some_and(|seen| Arc::ptr_eq(&seen.object, &live) && seen.asked == live.kept().asked);
        (!is_known).then_some(Shared::Kept(live, CacheStatus::Hit))
    }

    async fn ask_file(
        self: &Arc<Self>,
        subject: &Subject,
        stored: Option<Arc<Object>>,
        want: Want,
    ) -> Result<Shared> {
        let path = &subject.path;
        self.prepare(subject).await;
        let expected = self.expected(subject).await;
        let found = self.open_source(subject, stored.as_ref(), want.intent, want.sought).await?;
        if found.is_page() && self.options.rules.is_no_page(path) {
            return Err(page_instead(want.op, path));
        }
        let rule = self.options.rules.of(path);
        if let Some(file) = &found.file
            && !freshness::is_storable(found.metadata.caching, rule)
        {
            return Ok(Shared::passed(file));
        }
        if let Some(stored) = stored.as_ref().filter(|stored| stored.is_version(&found.metadata))
            && (expected.is_none() || stored.digest() == expected || stored.seal() == expected)
        {
            stored.renew(&found.metadata, found.file, self.store.now());
            self.note(stored).await;
            return Ok(Shared::Kept(Arc::clone(stored), CacheStatus::Revalidated));
        }
        if let Some(file) = &found.file
            && !self.has_room(found.metadata.len.unwrap_or_default())
        {
            return Ok(Shared::passed(file));
        }
        let file = found.file.clone();
        let object = Arc::new(self.object_of(subject, found, expected));
        if let Err(error) = self.expect_release(&object).await {
            self.store.discard_data(object.key, object.generation());
            return Err(error.readdressed(|_| path.clone()));
        }
        if let Some(old) = stored.filter(|old| old.kind() == Kind::File && object.kind() == Kind::File) {
            match self.companions(&object, &old).await {
                Ok(companions) => {
                    for companion in companions {
                        self.keep(&companion).await;
                    }
                }
                Err(error) => {
                    tracing::info!(%path, %error, "the source is being changed: its last whole state is served on");
                    self.store.discard_data(object.key, object.generation());
                    old.renew(&old.describe(CacheStatus::Stale), None, self.store.now());
                    return Ok(Shared::Kept(old, CacheStatus::Stale));
                }
            }
        }
        match (self.keep(&object).await, file) {
            (false, Some(file)) => Ok(Shared::passed(&file)),
            _ => Ok(Shared::Kept(object, CacheStatus::Miss)),
        }
    }

    /// Asks for a listing. What was seen is let go of when the new one is whole; who has nothing sees the new one grow.
    async fn ask_listing(self: &Arc<Self>, subject: &Subject, was_seen: bool) -> Result<Shared> {
        let listing = match self.list_source(&subject.path).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.note_missing(&subject.path).await;
                return Err(error);
            }
            listing => listing?,
        };
        self.forget_missing(&subject.path).await;
        if !self.has_room(0) {
            return Ok(Shared::Passed(Passage::new(Some(Answer::Listed(listing)))));
        }
        let record = self.record(&subject.path, Kind::Listing, Metadata::new(FileType::Dir));
        let upstream = Upstream::Once(Mutex::new(Some(Box::new(Encoded(listing)))));
        let object = Arc::new(Object::new(self.key_of(subject), &self.store, record, upstream));
        let awaited = if was_seen { Awaited::Whole } else { Awaited::Beginning };
        if file::arrive(&object, awaited).await? && self.keep(&object).await {
            Ok(Shared::Kept(object, CacheStatus::Miss))
        } else {
            Ok(Shared::Passed(Passage::new(None)))
        }
    }

    /// Asks the source for one caller, and keeps nothing.
    pub(super) async fn pass(&self, subject: &Subject, want: Want) -> Result<Answer> {
        if subject.part == Part::Listing {
            return self.list_source(&subject.path).await.map(Answer::Listed);
        }
        let found = self.open_source(subject, None, want.intent, want.sought).await?;
        match &found.file {
            Some(file) => Ok(Answer::Passed(Arc::clone(file))),
            None => Ok(Answer::Kept(Arc::new(self.object_of(subject, found, None)), CacheStatus::Miss)),
        }
    }

    async fn list_source(&self, path: &VPath) -> Result<DirStream> {
        let options = ListOptions { freshness: Freshness::Revalidate, ..ListOptions::with_metadata() };
        self.inner.read_dir(path, &options).await
    }

    /// Makes `object` the one that is found from now on. False where nothing can be kept: then none is.
    async fn keep(&self, object: &Arc<Object>) -> bool {
        let kept = self.replace(object).await;
        if let Err(error) = &kept {
            tracing::warn!(%error, "nothing can be kept: it is passed through");
            // What has no bytes is known as long as it is at hand.
            if matches!(object.kind(), Kind::File | Kind::Listing) {
                self.forget(object.key);
            }
        }
        kept.is_ok()
    }

    /// Saves what was learned of `object`; it is served also where that fails.
    async fn note(&self, object: &Arc<Object>) {
        if let Err(error) = object.save().await {
            tracing::warn!(path = %object.path(), %error, "what was learned cannot be noted in the cache");
        }
    }

    /// True where a file of so many bytes may be kept. Where not, room is looked for.
    fn has_room(&self, len: u64) -> bool {
        let has_room = self.store.has_room(len);
        if !has_room {
            self.store.keep_house();
        }
        has_room
    }

    /// Keeps that nothing is at `path`.
    async fn note_missing(&self, path: &VPath) {
        let nothing = Sourced { kind: Kind::Missing, metadata: Metadata::new(FileType::File), file: None };
        let missing = Arc::new(self.object_of(&Subject::entry(path), nothing, None));
        if let Err(error) = self.replace(&missing).await {
            tracing::warn!(%path, %error, "that nothing is there cannot be noted in the cache");
        }
    }

    /// Forgets that nothing was at `path`.
    async fn forget_missing(self: &Arc<Self>, path: &VPath) {
        let entry = Subject::entry(path);
        let key = self.key_of(&entry);
        if !self.has(key) {
            return;
        }
        if let Some(gone) = self.readable(&entry).await.filter(|found| found.kind().is_nothing()) {
            self.forget(key);
            if let Err(error) = self.store.remove(key, gone.generation()).await {
                tracing::warn!(%path, %error, "what is out of date cannot be removed from the cache");
            }
        }
    }

    /// What the source has for `subject` now.
    pub(super) async fn open_source(
        &self,
        subject: &Subject,
        stored: Option<&Arc<Object>>,
        intent: Intent,
        sought: Sought,
    ) -> Result<Sourced> {
        let path = &subject.path;
        let held = stored.and_then(|stored| stored.held());
        let page = subject.part.page();
        let freshness = Freshness::Revalidate;
        let options = OpenOptions { intent, sought, held, page, freshness, ..OpenOptions::reading() };
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
                let kind = match sought {
                    Sought::Anything => Kind::Missing,
                    Sought::File => Kind::NoFile,
                };
                Ok(nothing(kind, Metadata::new(FileType::File)))
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

    /// A new version of `subject`; one that must sum to something shows nothing before it does.
    pub(super) fn object_of(&self, subject: &Subject, found: Sourced, expected: Option<Digest>) -> Object {
        let is_file = found.kind == Kind::File;
        let record = self.record(&subject.path, found.kind, found.metadata);
        let upstream = self.upstream(subject.part, found.file);
        let object = Object::new(self.key_of(subject), &self.store, record, upstream);
        match expected.filter(|_| is_file) {
            Some(digest) => object.sealed(digest, self.options.sets.holds_back(&subject.path)),
            None => object,
        }
    }
}

/// Somebody on the way, a login page above all, has answered instead of the site: what was kept before stays.
fn page_instead(op: &'static str, path: &VPath) -> Error {
    let detail = "the source sent a page of HTML, which it cannot be: somebody on the way may want a login";
    Error::new(ErrorKind::Unavailable, op, path).with_detail(detail).with_retry(Retry::After(RETRY))
}

//! Asking the source: once for all who want it, with what is kept already, so that it may say that this still holds.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::finding::{Answer, Want};
use super::freshness;
use super::listing::{self, Encoded};
use super::object::{Object, Upstream};
use super::run::RETRY;
use super::sets::Digest;
use super::store::{Blocks, Kind, Part, Record};
use super::{Core, Subject};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::file_system::File;
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
    ) -> Result<Answer> {
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
    fn answered_since(&self, subject: &Subject, seen: Option<&Seen>) -> Option<Answer> {
        let live = self.live_object(self.key_of(subject))?;
        let is_known =
            seen.is_some_and(|seen| Arc::ptr_eq(&seen.object, &live) && seen.asked == live.kept().asked);
        (!is_known).then_some(Answer::Kept(live, CacheStatus::Hit))
    }

    async fn ask_file(&self, subject: &Subject, stored: Option<Arc<Object>>, want: Want) -> Result<Answer> {
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
            return Ok(Answer::Passed(Arc::clone(file)));
        }
        if let Some(stored) = stored.as_ref().filter(|stored| stored.is_version(&found.metadata))
            && (expected.is_none() || stored.digest() == expected || stored.seal() == expected)
        {
            stored.renew(&found.metadata, found.file, self.store.now());
            if let Err(error) = stored.save().await {
                tracing::warn!(%path, %error, "that it still holds cannot be noted in the cache");
            }
            return Ok(Answer::Kept(Arc::clone(stored), CacheStatus::Revalidated));
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
                        self.replace(&companion).await?;
                    }
                }
                Err(error) => {
                    tracing::info!(%path, %error, "the source is being changed: its last whole state is served on");
                    self.store.discard_data(object.key, object.generation());
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

    /// Asks for a listing. What was seen is let go of when the new one is whole; who has nothing sees the new one grow.
    async fn ask_listing(&self, subject: &Subject, was_seen: bool) -> Result<Answer> {
        let options = ListOptions { freshness: Freshness::Revalidate, ..ListOptions::with_metadata() };
        let listing = match self.inner.read_dir(&subject.path, &options).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.note_missing(&subject.path).await;
                return Err(error);
            }
            listing => listing?,
        };
        self.forget_missing(&subject.path).await;
        let record = self.record(&subject.path, Kind::Listing, Metadata::new(FileType::Dir));
        let upstream = Upstream::Once(Mutex::new(Some(Box::new(Encoded(listing)))));
        let object = Arc::new(Object::new(self.key_of(subject), &self.store, record, upstream));
        if was_seen {
            let mut entries = listing::entries(&object, &subject.path, false);
            while let Some(batch) = entries.next().await {
                match batch {
                    Err(_) if object.is_bypassed() => return Ok(Answer::Unkept),
                    batch => batch?,
                };
            }
        }
        match self.replace(&object).await {
            Ok(()) => Ok(Answer::Kept(object, CacheStatus::Miss)),
            Err(error) => {
                tracing::warn!(path = %subject.path, %error, "a listing cannot be kept, and is passed through");
                self.forget(object.key);
                Ok(Answer::Unkept)
            }
        }
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
    async fn forget_missing(&self, path: &VPath) {
        let entry = Subject::entry(path);
        let key = self.key_of(&entry);
        if self.has(key) && self.readable(&entry).await.is_some_and(|found| found.kind().is_nothing()) {
            self.forget(key);
            if let Err(error) = self.store.remove(key, None).await {
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

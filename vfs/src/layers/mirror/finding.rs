//! From a subject to what is kept of it: judged, and where it is not good enough asked for, once for all who want it.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::answer::{Answer, Passage, Shared};
use super::file::{self, Awaited};
use super::freshness::{self, Verdict, judge};
use super::listing::Encoded;
use super::object::{Object, Upstream};
use super::sets::Digest;
use super::store::{Blocks, Kind, Part, Record};
use super::{Core, Subject};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{DirStream, File};
use crate::metadata::{CacheStatus, FileType, Metadata};
use crate::options::{Freshness, Intent, ListOptions, OpenOptions, StatOptions};
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

impl Core {
    /// True where the source is never asked.
    pub(super) fn is_offline(&self) -> bool {
        self.options.tolerances.offline
    }

    /// What stands for `subject`: from the cache where that is good enough, else from the source.
    pub(super) async fn find(
        self: &Arc<Self>,
        subject: &Subject,
        wish: Freshness,
        intent: Intent,
        op: &'static str,
    ) -> Result<Answer> {
        let mut found = self.find_any(subject, wish, intent, op).await?;
        if let Answer::Kept(object, CacheStatus::Hit | CacheStatus::Stale) = &found
            && intent == Intent::Whole
            && !file::go_on(object).await.map_err(|error| error.readdressed(|_| subject.path.clone()))?
        {
            // The source has another version by now: better learned here than amid the file.
            found = self.find_any(subject, wish, intent, op).await?;
        }
        if let Answer::Kept(object, _) = &found
            && intent != Intent::Header
            && object.seal().is_some()
        {
            // Nothing of it is shown before it was seen to fit: that it does not is learned here, too.
            let began = file::arrive(object, Awaited::Beginning).await;
            began.map_err(|error| error.readdressed(|_| subject.path.clone()))?;
        }
        match found {
            Answer::Kept(object, _) if object.kind() == Kind::Missing => {
                Err(Error::new(ErrorKind::NotFound, op, &subject.path))
            }
            found => Ok(found),
        }
    }

    async fn find_any(
        self: &Arc<Self>,
        subject: &Subject,
        wish: Freshness,
        intent: Intent,
        op: &'static str,
    ) -> Result<Answer> {
        let is_offline = self.is_offline() || wish == Freshness::StoredOnly;
        let stored = self.readable(subject).await;
        let verdict = match &stored {
            Some(stored) => Some(self.judge(stored, subject, wish).await),
            None => None,
        };
        let begin = |stored: Option<&Arc<Object>>, intent| {
            let asking = self.clone().ask(subject.clone(), stored.map(Seen::of), intent);
            self.store.at_hand().asked().begin(self.key_of(subject), asking)
        };
        match (verdict, stored) {
            (Some(Verdict::Fresh), Some(stored))
                if is_offline && intent == Intent::Whole && stored.is_partial() =>
            {
                Err(not_kept(op, &subject.path))
            }
            (Some(Verdict::Fresh), Some(stored)) => Ok(Answer::Kept(stored, CacheStatus::Hit)),
            (Some(Verdict::Refresh), Some(stored)) => {
                drop(begin(Some(&stored), Intent::Header));
                Ok(Answer::Kept(stored, CacheStatus::Stale))
            }
            (Some(Verdict::Refuse), _) => Err(not_kept(op, &subject.path)),
            (None | Some(Verdict::Ask), _) if is_offline => Err(not_kept(op, &subject.path)),
            (verdict, stored) => match (begin(stored.as_ref(), intent).landed().await, stored) {
                (Err(error), Some(stored)) if verdict == Some(Verdict::AskOrServe) && is_outage(&error) => {
                    tracing::debug!(path = %subject.path, %error, "the source cannot be had: what is kept is served");
                    Ok(Answer::Kept(stored, CacheStatus::Stale))
                }
                (Ok(Shared::Kept(object, status)), _) => Ok(Answer::Kept(object, status)),
                (Ok(Shared::Passed(passage)), _) => match passage.take() {
                    Some(answer) => Ok(answer),
                    None => self.pass(subject, intent).await,
                },
                (Err(error), _) => Err(error),
            },
        }
    }

    /// Asks the source for one caller, and keeps nothing.
    async fn pass(&self, subject: &Subject, intent: Intent) -> Result<Answer> {
        if subject.part == Part::Listing {
            return self.list_source(&subject.path).await.map(Answer::Listed);
        }
        let found = self.open_source(subject, None, intent).await?;
        match &found.file {
            Some(file) => Ok(Answer::Passed(Arc::clone(file))),
            None => Ok(Answer::Kept(Arc::new(self.object_of(subject, found, None)), CacheStatus::Miss)),
        }
    }

    async fn list_source(&self, path: &VPath) -> Result<DirStream> {
        let options = ListOptions { freshness: Freshness::Revalidate, ..ListOptions::with_metadata() };
        self.inner.read_dir(path, &options).await
    }

    /// What is to be done with what is kept: its set says what it must be, else its age and the rules decide.
    async fn judge(self: &Arc<Self>, stored: &Arc<Object>, subject: &Subject, wish: Freshness) -> Verdict {
        if stored.kind() == Kind::File
            && let Some(expected) = self.expected(subject).await
        {
            return if stored.sums_to(expected).await { Verdict::Fresh } else { Verdict::Ask };
        }
        let rule = self.options.rules.of(&subject.path);
        judge(&stored.kept(), rule, wish, &self.options.tolerances, self.store.now())
    }

    /// Asks the source about `subject`, and keeps its answer.
    pub(super) async fn ask(
        self: Arc<Self>,
        subject: Subject,
        seen: Option<Seen>,
        intent: Intent,
    ) -> Result<Shared> {
        if let Some(answered) = self.answered_since(&subject, seen.as_ref()) {
            return Ok(answered);
        }
        let stored = seen.map(|seen| seen.object);
        match subject.part {
            Part::Entry | Part::Page(_) => self.ask_file(&subject, stored, intent).await,
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
        intent: Intent,
    ) -> Result<Shared> {
        let path = &subject.path;
        let expected = self.expected(subject).await;
        let found = self.open_source(subject, stored.as_ref(), intent).await?;
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
        if let Some(old) = stored.filter(|old| old.kind() == Kind::File && object.kind() == Kind::File) {
            match self.companions(&object, &old).await {
                Ok(companions) => {
                    for companion in companions {
                        self.keep(&companion).await;
                    }
                }
                Err(error) => {
                    tracing::info!(%path, %error, "the source is being changed: its last whole state is served on");
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
    async fn ask_listing(&self, subject: &Subject, was_seen: bool) -> Result<Shared> {
        let listing = self.list_source(&subject.path).await?;
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

    /// Makes `object` the one that is found from now on. False where nothing can be kept: then none is.
    async fn keep(&self, object: &Arc<Object>) -> bool {
        let kept = self.replace(object).await;
        if let Err(error) = &kept {
            tracing::warn!(%error, "nothing can be kept: it is passed through");
            self.forget(object.key);
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

    /// What the source has for `subject` now.
    pub(super) async fn open_source(
        &self,
        subject: &Subject,
        stored: Option<&Arc<Object>>,
        intent: Intent,
    ) -> Result<Sourced> {
        let path = &subject.path;
        let held = stored.and_then(|stored| stored.held());
        let page = subject.part.page();
        let options =
            OpenOptions { intent, held, page, freshness: Freshness::Revalidate, ..OpenOptions::reading() };
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

    /// A new version of `subject`; one that must sum to something shows nothing before it does.
    pub(super) fn object_of(&self, subject: &Subject, found: Sourced, expected: Option<Digest>) -> Object {
        let is_file = found.kind == Kind::File;
        let record = self.record(&subject.path, found.kind, found.metadata);
        let upstream = self.upstream(subject.part, found.file);
        let object = Object::new(self.key_of(subject), &self.store, record, upstream);
        match expected.filter(|_| is_file) {
            Some(digest) => object.sealed(digest, self.options.sets.holds_back()),
            None => object,
        }
    }
}

/// True where the source could not be had, and so has not said that what is kept no longer holds.
pub(super) fn is_outage(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable
            | ErrorKind::BadAnswer
            | ErrorKind::TimedOut
            | ErrorKind::Busy
            | ErrorKind::Truncated
            | ErrorKind::Corrupt
            | ErrorKind::LimitExceeded
            | ErrorKind::Internal
            // A site that leads in circles.
            | ErrorKind::Loop
    )
}

pub(super) fn not_kept(op: &'static str, path: &VPath) -> Error {
    Error::new(ErrorKind::Unavailable, op, path)
        .with_detail("it is not kept, and the source was not to be asked")
}

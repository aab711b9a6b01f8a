//! From a subject to what is kept of it: judged, and where it is not good enough asked for, once for all who want it.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::file;
use super::freshness::{self, Verdict, judge};
use super::listing::{self, Encoded};
use super::object::{Object, Upstream};
use super::sets::Digest;
use super::store::{Blocks, Kind, Part, Record};
use super::{Core, Subject};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::metadata::{CacheStatus, FileType, Metadata};
use crate::options::{Freshness, Intent, ListOptions, OpenOptions, StatOptions};
use crate::path::VPath;

/// What asking the source came to.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// It is kept.
    Kept(Arc<Object>, CacheStatus),
    /// It must not be kept, or cannot: its readers share this opening.
    Passed(Arc<dyn File>),
}

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
            self.flights.begin(self.key_of(subject), asking)
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
                (answer, _) => answer,
            },
        }
    }

    /// What is to be done with what is kept: its set says what it must be, else its age and the rules decide.
    async fn judge(&self, stored: &Arc<Object>, subject: &Subject, wish: Freshness) -> Verdict {
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
    ) -> Result<Answer> {
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
    fn answered_since(&self, subject: &Subject, seen: Option<&Seen>) -> Option<Answer> {
        let live = self.live_object(self.key_of(subject))?;
        let is_known =
            seen.is_some_and(|seen| Arc::ptr_eq(&seen.object, &live) && seen.asked == live.kept().asked);
        (!is_known).then_some(Answer::Kept(live, CacheStatus::Hit))
    }

    async fn ask_file(
        &self,
        subject: &Subject,
        stored: Option<Arc<Object>>,
        intent: Intent,
    ) -> Result<Answer> {
        let path = &subject.path;
        let expected = self.expected(subject).await;
        let found = self.open_source(subject, stored.as_ref(), intent).await?;
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
            stored.save().await?;
            return Ok(Answer::Kept(Arc::clone(stored), CacheStatus::Revalidated));
        }
        let file = found.file.clone();
        let object = Arc::new(self.object_of(subject, found, expected));
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

    /// Asks for a listing. What was seen is let go of when the new one is whole; who has nothing sees the new one grow.
    async fn ask_listing(&self, subject: &Subject, was_seen: bool) -> Result<Answer> {
        let options = ListOptions { freshness: Freshness::Revalidate, ..ListOptions::with_metadata() };
        let listing = self.inner.read_dir(&subject.path, &options).await?;
        let record = self.record(&subject.path, Kind::Listing, Metadata::new(FileType::Dir));
        let upstream = Upstream::Once(Mutex::new(Some(Box::new(Encoded(listing)))));
        let object = Arc::new(Object::new(self.key_of(subject), &self.store, record, upstream));
        if was_seen {
            let mut entries = listing::entries(&object, &subject.path, false);
            while let Some(batch) = entries.next().await {
                batch?;
            }
        }
        self.replace(&object).await?;
        Ok(Answer::Kept(object, CacheStatus::Miss))
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

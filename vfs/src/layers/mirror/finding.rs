//! From a subject to what is kept of it: judged, and where it is not good enough asked for, once for all who want it.

use std::sync::Arc;

use super::answer::{Answer, Shared};
use super::asking::Seen;
use super::file::{self, Awaited};
use super::freshness::{Verdict, judge};
use super::object::Object;
use super::store::{Kind, Part};
use super::{Core, Sets, Subject};
use crate::error::{Error, ErrorKind, Result};
use crate::metadata::CacheStatus;
use crate::options::{Freshness, Intent, Sought};
use crate::path::VPath;

/// What a caller wants of a subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// What its errors are called.
    pub(super) op: &'static str,
    pub(super) freshness: Freshness,
    pub(super) intent: Intent,
    pub(super) sought: Sought,
}

impl Core {
    /// True where the source is never asked.
    pub(super) fn is_offline(&self) -> bool {
        self.options.tolerances.offline
    }

    /// What stands for `subject`: from the cache where that is good enough, else from the source.
    ///
    /// # Errors
    /// `NotFound` where nothing does; else what the source fails with, where nothing that is kept will do.
    pub(super) async fn find(self: &Arc<Self>, subject: &Subject, want: Want) -> Result<Answer> {
        let mut found = self.look(subject, want).await?;
        if let Answer::Kept(object, status) = &found
            && let will_do = self.will_do(object, *status, want).await
            && !will_do.map_err(|error| error.readdressed(|_| subject.path.clone()))?
        {
            found = self.look(subject, want).await?;
        }
        if let Answer::Kept(object, _) = &found
            && want.intent != Intent::Header
            && object.seal().is_some()
        {
            // Nothing of it is shown before it was seen to fit: that it does not is learned here, too.
            let began = file::arrive(object, Awaited::Beginning).await;
            began.map_err(|error| error.readdressed(|_| subject.path.clone()))?;
        }
        match found {
            Answer::Kept(object, _) if object.kind().is_nothing() => {
                Err(Error::new(ErrorKind::NotFound, want.op, &subject.path))
            }
            found => Ok(found),
        }
    }

    /// False where a second look finds more: the source has another version by now, which is better learned here than amid
    /// the file; or somebody else has asked it, for a file alone.
    async fn will_do(&self, object: &Arc<Object>, status: CacheStatus, want: Want) -> Result<bool> {
        if self.says_too_little(object, want) {
            return Ok(false);
        }
        match status {
            CacheStatus::Hit | CacheStatus::Stale if want.intent == Intent::Whole => {
                file::go_on(object).await
            }
            _ => Ok(true),
        }
    }

    /// True for "no such file" where more is sought, and somebody can be asked.
    fn says_too_little(&self, stored: &Object, want: Want) -> bool {
        stored.kind() == Kind::NoFile && want.sought == Sought::Anything && !self.must_not_ask(want)
    }

    fn must_not_ask(&self, want: Want) -> bool {
        self.is_offline() || want.freshness == Freshness::StoredOnly
    }

    /// Finds what stands for `subject` by now: a file, a folder, or that there is nothing.
    async fn look(self: &Arc<Self>, subject: &Subject, want: Want) -> Result<Answer> {
        let (op, intent) = (want.op, want.intent);
        let must_not_ask = self.must_not_ask(want);
        if let Sets::Apt(apt) = &self.options.sets {
            apt.note(&subject.path);
        }
        let stored = self.readable(subject).await;
        let verdict = match &stored {
            Some(stored) => Some(self.judge(stored, subject, want).await),
            None => None,
        };
        let begin = |stored: Option<&Arc<Object>>, intent| {
            let asking = self.clone().ask(subject.clone(), stored.map(Seen::of), Want { intent, ..want });
            self.store.at_hand().asked().begin(self.key_of(subject), asking)
        };
        match (verdict, stored) {
            (Some(Verdict::Fresh), Some(stored))
                if must_not_ask && intent == Intent::Whole && stored.is_partial() =>
            {
                Err(not_kept(op, &subject.path))
            }
            (Some(Verdict::Fresh), Some(stored)) => Ok(Answer::Kept(stored, CacheStatus::Hit)),
            (Some(Verdict::Refresh), Some(stored)) => {
                drop(begin(Some(&stored), Intent::Header));
                Ok(Answer::Kept(stored, CacheStatus::Stale))
            }
            (Some(Verdict::Refuse), _) => Err(not_kept(op, &subject.path)),
            (None | Some(Verdict::Ask), _) if must_not_ask => Err(not_kept(op, &subject.path)),
            (verdict, stored) => match (begin(stored.as_ref(), intent).landed().await, stored) {
                (Err(error), Some(stored)) if verdict == Some(Verdict::AskOrServe) && is_outage(&error) => {
                    tracing::debug!(path = %subject.path, %error, "the source cannot be had: what is kept is served");
                    Ok(Answer::Kept(stored, CacheStatus::Stale))
                }
                (Ok(Shared::Kept(object, status)), _) => Ok(Answer::Kept(object, status)),
                (Ok(Shared::Passed(passage)), _) => match passage.take() {
                    Some(answer) => Ok(answer),
                    None => self.pass(subject, want).await,
                },
                (Err(error), _) => Err(error),
            },
        }
    }

    /// What is to be done with what is kept: its set says what it must be, else its age and the rules decide.
    async fn judge(self: &Arc<Self>, stored: &Arc<Object>, subject: &Subject, want: Want) -> Verdict {
        if stored.kind() == Kind::File
            && let Some(expected) = self.expected(subject).await
        {
            return if stored.sums_to(expected).await { Verdict::Fresh } else { Verdict::Ask };
        }
        if self.says_too_little(stored, want) {
            return Verdict::Ask;
        }
        let rule = self.options.rules.of(&subject.path);
        judge(&stored.kept(), rule, want.freshness, &self.options.tolerances, self.store.now())
    }

    /// True where a folder was lately seen not to be there, and no listing of it is kept.
    pub(super) async fn lacks_folder(self: &Arc<Self>, path: &VPath, freshness: Freshness) -> bool {
        let listing = self.key(path, Part::Listing);
        let entry = Subject::entry(path);
        if self.has(listing) || !self.has(self.key_of(&entry)) {
            return false;
        }
        let Some(stored) = self.readable(&entry).await.filter(|stored| stored.kind() == Kind::Missing) else {
            return false;
        };
        let rule = self.options.rules.of(path);
        judge(&stored.kept(), rule, freshness, &self.options.tolerances, self.store.now()) == Verdict::Fresh
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

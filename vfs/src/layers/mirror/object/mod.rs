//! [`Object`]: one version of something that is kept, shared by all who read it.

mod bytes;
mod fetching;
mod located;
mod sealing;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::{OnceCell, watch};

pub(super) use self::located::Located;
pub(super) use self::sealing::HoldsBack;
use self::sealing::Seal;
use super::freshness::{self, What};
use super::run::Run;
use super::store::{Blocks, Data, Key, Kind, Record, Store};
use crate::error::{Error, Result};
use crate::file_system::{File, FileSystem, SeekCost};
use crate::metadata::{CacheStatus, Metadata, Validator};
use crate::options::Held;
use crate::path::VPath;
use crate::producer::{Producer, Rate};

/// One version of a file, a folder, a listing, or the knowledge that nothing is there. Files and listings have bytes: those
/// in the store, and those on their way in the runs.
pub(super) struct Object {
    pub(super) key: Key,
    pub(super) store: Arc<Store>,
    upstream: Mutex<Arc<Upstream>>,
    data: OnceCell<Data>,
    state: Mutex<State>,
    /// Ticks when bytes have come and when a run has ended.
    pub(super) news: watch::Sender<()>,
}

/// Where the missing bytes come from.
pub(super) enum Upstream {
    /// A file of the mirrored tree; opened when it is needed first, or at hand.
    File {
        tree: Arc<dyn FileSystem>,
        /// The media type of a folder's page, where it is one.
        page: Option<&'static str>,
        opened: Mutex<Option<Arc<dyn File>>>,
        /// How fast it is read.
        rate: Option<Rate>,
        /// It is never asked.
        is_offline: bool,
    },
    /// Something that can be read through once.
    Once(Mutex<Option<Box<dyn Producer>>>),
}

struct State {
    record: Record,
    /// Blocks that are there and were not seen to fit their sums since an unclean end.
    unchecked: BTreeSet<u64>,
    runs: Vec<Arc<Run>>,
    /// Nothing can be written: its readers read the source.
    bypassed: bool,
    /// Why no more of it can be had: what is there is all that its readers get, and nobody finds it any more.
    lost: Option<Error>,
    /// What all of it must sum to, before anybody sees all of it.
    sealed: Option<Seal>,
    /// Bytes that came since the record was saved.
    unsaved: u64,
    /// Another has its place, or none: its record is not written any more.
    is_forgotten: bool,
}

impl Object {
    /// A version that was just learned of.
    pub(super) fn new(key: Key, store: &Arc<Store>, record: Record, upstream: Upstream) -> Self {
        Self::with(key, store, record, BTreeSet::new(), upstream)
    }

    /// A version that an earlier opening, or an earlier run of the program, has kept: as much of it as can be gone on with.
    /// Where that is nothing it begins anew, in a file of its own.
    pub(super) async fn stored(
        key: Key,
        store: &Arc<Store>,
        mut record: Record,
        upstream: Upstream,
    ) -> Result<Self> {
        let mut data = None;
        if record.blocks.present() > 0 {
            let is_whole = record.blocks.is_complete();
            // Half of a version that cannot be named is of no use.
            if is_whole || is_resumable(&record) {
                data = store.reopen_data(key, record.generation).await?;
            }
            let len = data.as_ref().map_or(Ok(0), Data::len).map_err(|error| unreadable(error, &record))?;
            if record.blocks.cut_to(len) {
                let path = &record.path;
                tracing::warn!(%path, "a file of the cache was cut, or removed: what is missing is fetched anew");
                data = data.filter(|_| is_resumable(&record));
            }
        }
        if data.is_none() {
            record.blocks = Blocks::none_of(record.metadata.len);
            record.generation = store.next_generation();
            record.digest = None;
        }
        let trusted = store.trusts(&record);
        let unchecked = if trusted { BTreeSet::new() } else { record.blocks.indices().collect() };
        let bypassed = store.is_read_only() && !record.blocks.is_complete();
        let object =
            Self { data: OnceCell::new_with(data), ..Self::with(key, store, record, unchecked, upstream) };
        if bypassed {
            object.bypass();
        }
        Ok(object)
    }

    fn with(
        key: Key,
        store: &Arc<Store>,
        record: Record,
        unchecked: BTreeSet<u64>,
        upstream: Upstream,
    ) -> Self {
        let state = State {
            record,
            unchecked,
            runs: Vec::new(),
            bypassed: false,
            lost: None,
            sealed: None,
            unsaved: 0,
            is_forgotten: false,
        };
        let (store, upstream) = (Arc::clone(store), Mutex::new(Arc::new(upstream)));
        let news = watch::Sender::new(());
        Self { key, store, upstream, data: OnceCell::new(), state: Mutex::new(state), news }
    }

    pub(super) fn kind(&self) -> Kind {
        self.state().record.kind
    }

    pub(super) fn generation(&self) -> u64 {
        self.state().record.generation
    }

    /// What the source said, `status` and age added.
    pub(super) fn describe(&self, status: CacheStatus) -> Metadata {
        let state = self.state();
        let mut metadata = state.record.metadata.clone();
        let on_the_way = metadata.provenance.age.unwrap_or_default();
        let kept = self.store.now().duration_since(state.record.asked).unwrap_or_default();
        metadata.provenance.age = Some(on_the_way + kept);
        metadata.provenance.cache = status;
        metadata
    }

    /// What a judge has to know.
    pub(super) fn kept(&self) -> freshness::Kept {
        let state = self.state();
        let record = &state.record;
        freshness::Kept {
            what: match record.kind {
                Kind::File => What::File,
                Kind::Folder | Kind::Listing => What::Folder,
                Kind::Missing | Kind::NoFile => What::Missing,
            },
            asked: record.asked,
            modified: record.metadata.modified,
            caching: record.metadata.caching,
        }
    }

    /// The version, in the words of a question whether it still holds.
    pub(super) fn held(&self) -> Option<Held> {
        let state = self.state();
        let metadata = &state.record.metadata;
        let validator = metadata.validator.clone().filter(|_| state.record.kind == Kind::File)?;
        Some(Held { validator, len: metadata.len, modified: metadata.modified })
    }

    /// True where `found` describes this version.
    pub(super) fn is_version(&self, found: &Metadata) -> bool {
        let state = self.state();
        let ours = &state.record.metadata;
        let same = |ours: &Validator| found.validator.as_ref() == Some(ours);
        state.record.kind == Kind::File
            && ours.validator.as_ref().is_some_and(same)
            && (found.len.is_none() || ours.len.is_none() || found.len == ours.len)
    }

    /// Notes that the source says that this version still holds.
    pub(super) fn renew(&self, found: &Metadata, file: Option<Arc<dyn File>>, now: SystemTime) {
        let mut state = self.state();
        state.record.asked = now;
        state.record.metadata.caching = found.caching;
        state.record.metadata.provenance.age = found.provenance.age;
        drop(state);
        if let (Some(file), Upstream::File { opened, .. }) = (file, &*self.upstream()) {
            *opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        }
    }

    /// True for a file of which bytes are missing that nobody is fetching.
    pub(super) fn is_partial(&self) -> bool {
        let state = self.state();
        state.record.kind == Kind::File && !state.record.blocks.is_complete() && state.runs.is_empty()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state().record.blocks.is_complete()
    }

    /// Media type, where the source stated one.
    pub(super) fn media(&self) -> Option<Arc<str>> {
        self.state().record.metadata.content_type.clone()
    }

    /// Saves the record; of what is still sealed nothing is known to be right.
    pub(super) async fn save(&self) -> Result<()> {
        let record = {
            let state = self.state();
            if state.is_forgotten {
                return Ok(());
            }
            let blocks = state.sealed.map(|_| Blocks::none_of(state.record.metadata.len));
            Record { blocks: blocks.unwrap_or_else(|| state.record.blocks.clone()), ..state.record.clone() }
        };
        self.store.save(self.key, &record).await
    }

    /// Writes its record no more: its place is another's.
    pub(super) fn be_forgotten(&self) {
        self.state().is_forgotten = true;
    }

    pub(super) fn path(&self) -> VPath {
        self.state().record.path.clone()
    }

    pub(super) fn seek_cost(&self) -> SeekCost {
        if self.is_complete() { SeekCost::Free } else { SeekCost::Request }
    }

    /// Where its missing bytes come from.
    fn upstream(&self) -> Arc<Upstream> {
        Arc::clone(&self.upstream.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreadable(error: std::io::Error, record: &Record) -> Error {
    Error::from_io(error, "metadata", &record.path)
}

/// True where two fetches of one version can be put together.
fn is_resumable(record: &Record) -> bool {
    record.kind == Kind::File && matches!(record.metadata.validator, Some(Validator::Strong(_)))
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("path", &self.path()).field("key", &self.key).finish_non_exhaustive()
    }
}

//! [`Object`]: one version of something that is kept, shared by all who read it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::{OnceCell, watch};

use super::freshness::{self, What};
use super::run::{Demand, Joined, Run};
use super::set::digest_of;
use super::sets::Digest;
use super::store::{BLOCK_BYTES, Blocks, Key, Kind, Record, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, FileSystem, SeekCost};
use crate::metadata::{CacheStatus, Metadata, Validator};
use crate::options::{Held, Intent, OpenOptions};
use crate::path::VPath;
use crate::producer::{FileSpan, Producer, Rate, SpanFile};
use crate::residency;

/// Blocks that one look finds present at most: what a span may hold.
const LOOK_BLOCKS: u64 = FileSpan::MAX_BYTES as u64 / BLOCK_BYTES;

/// The record is saved after this many bytes, and when a run ends.
const SAVED_BYTES: u64 = 8 << 20;

/// How far before an offset a run may be, so that who reads there waits for it instead of starting another.
const NEAR_BYTES: u64 = 4 << 20;

/// One version of a file, a folder, a listing, or the knowledge that nothing is there. Files and listings have bytes: those
/// in the store, and those on their way in the runs.
pub(super) struct Object {
    pub(super) key: Key,
    pub(super) store: Arc<Store>,
    upstream: Upstream,
    data: OnceCell<SpanFile>,
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
        /// How fast this source is read.
        rate: Option<Rate>,
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

/// What is expected of the whole, and not yet seen.
#[derive(Clone, Copy, Debug)]
struct Seal {
    digest: Digest,
    holds_back: HoldsBack,
}

/// What nobody sees of a file before it was seen to sum to what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldsBack {
    /// Every byte.
    All,
    /// The last block, from who reads it all; every byte from others. Without its end no reader takes it for the file.
    End,
}

/// What there is at an offset.
pub(super) enum Located {
    /// Bytes up to there.
    Present(u64),
    /// The block may be damaged: its sum is to be checked first.
    Unchecked(u64),
    /// A run will bring them.
    Coming(Joined),
    /// Nobody is bringing them: this run is to be started.
    Missing(Arc<Run>),
    /// Nothing: the file ends there or before.
    End,
    /// What is not kept, and cannot be.
    Bypassed,
    /// What cannot be had any more.
    Lost(Error),
}

impl Object {
    /// A version that was just learned of.
    pub(super) fn new(key: Key, store: &Arc<Store>, record: Record, upstream: Upstream) -> Self {
        Self::with(key, store, record, BTreeSet::new(), upstream)
    }

    /// The same, which must sum to `digest`.
    pub(super) fn sealed(self, digest: Digest, holds_back: HoldsBack) -> Self {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sealed = Some(Seal { digest, holds_back });
        Self { state: Mutex::new(State { sealed, ..state }), ..self }
    }

    /// A version that an earlier opening, or an earlier run of the program, has kept.
    pub(super) fn stored(key: Key, store: &Arc<Store>, mut record: Record, upstream: Upstream) -> Self {
        let trusted = store.trusts(&record);
        let unchecked = if trusted { BTreeSet::new() } else { record.blocks.indices().collect() };
        if !is_resumable(&record) && !record.blocks.is_complete() {
            // Half of a version that cannot be named is of no use.
            record.blocks = Blocks::none_of(record.metadata.len);
        }
        Self::with(key, store, record, unchecked, upstream)
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
        let store = Arc::clone(store);
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
                Kind::Missing => What::Missing,
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
        if let (Some(file), Upstream::File { opened, .. }) = (file, &self.upstream) {
            *opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        }
    }

    /// Its bytes on the disk, made where there are none.
    pub(super) async fn data(&self) -> Result<&SpanFile> {
        let generation = self.generation();
        self.data.get_or_try_init(|| self.store.data(self.key, generation)).await
    }

    /// Opens its bytes and forgets blocks that the file does not reach: somebody has cut it, or removed it.
    pub(super) async fn look_at_data(&self) -> Result<()> {
        let data = self.data().await?.clone();
        let status = self.store.disk().run("metadata", move || rustix::fs::fstat(&data)).await?;
        let len = status.map_err(|errno| Error::from_io(errno.into(), "metadata", &VPath::root()))?.st_size;
        let len = u64::try_from(len).unwrap_or(0);
        let mut state = self.state();
        let blocks = &mut state.record.blocks;
        let cut: Vec<_> = blocks.indices().filter(|index| blocks.end(*index) > len).collect();
        if !cut.is_empty() {
            cut.into_iter().for_each(|index| blocks.remove(index));
            tracing::warn!(path = %state.record.path, "a file of the cache was cut: what is missing is fetched anew");
        }
        Ok(())
    }

    /// Its bytes, where all of them are there, believed and open: then it is a plain file.
    pub(super) fn whole(&self) -> Option<(SpanFile, u64)> {
        let state = self.state();
        let is_whole = state.record.blocks.is_complete()
            && state.unchecked.is_empty()
            && !state.bypassed
            && state.sealed.is_none();
        let len = state.record.blocks.len().filter(|_| is_whole)?;
        self.data.get().map(|data| (data.clone(), len))
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state().record.blocks.is_complete()
    }

    /// What there is at `offset`, for somebody who will read as `demand` says.
    pub(super) fn locate(&self, offset: u64, demand: Demand) -> Located {
        let mut state = self.state();
        // Where nothing can be kept, nothing can be seen to fit: it is as if there was no mirror.
        if state.bypassed && state.sealed.is_some() {
            return Located::Bypassed;
        }
        if let Some(seal) = state.sealed {
            return Located::sealed(&mut state, seal, offset, demand);
        }
        let blocks = &state.record.blocks;
        if blocks.len().is_some_and(|len| offset >= len) {
            return Located::End;
        }
        let index = Blocks::index(offset);
        if state.unchecked.contains(&index) {
            return Located::Unchecked(index);
        }
        if blocks.sum(index).is_some() {
            let sure = state.unchecked.range(index..).next().map_or(u64::MAX, |next| next * BLOCK_BYTES);
            return Located::Present(blocks.present_until(offset, LOOK_BLOCKS).min(sure));
        }
        if state.bypassed {
            return Located::Bypassed;
        }
        if let Some(error) = &state.lost {
            return Located::Lost(error.clone());
        }
        let only = !is_resumable(&state.record);
        for run in &state.runs {
            if run.start() <= offset && offset < run.reached() {
                return Located::Present(run.reached());
            }
            let is_near = only || offset - run.reached().min(offset) <= NEAR_BYTES;
            if run.will_pass(offset) && is_near {
                return Located::Coming(run.join());
            }
        }
        let start = if only { 0 } else { Blocks::floor(offset) };
        let wanted =
            demand.end.filter(|_| !only).map(|end| blocks.end(Blocks::index(end.max(start + 1) - 1)));
        let before = blocks.next_present(start).filter(|_| !only);
        let end = [wanted, before].into_iter().flatten().min();
        let run = Arc::new(Run::new(start, end));
        state.runs.push(Arc::clone(&run));
        Located::Missing(run)
    }

    /// Where the first byte is missing of a file that is there in part, and that nobody is fetching.
    pub(super) fn first_missing(&self) -> Option<u64> {
        let state = self.state();
        let blocks = &state.record.blocks;
        let is_at_rest = state.runs.is_empty() && state.sealed.is_none() && !state.bypassed;
        let is_partial = blocks.present() > 0 && !blocks.is_complete();
        (is_at_rest && is_partial).then(|| blocks.first_missing())
    }

    /// What the whole must sum to, where that is still to be seen.
    pub(super) fn seal(&self) -> Option<Digest> {
        self.state().sealed.map(|seal| seal.digest)
    }

    /// Notes that the whole sums to what it must. False where it does not.
    pub(super) fn unseal(&self, found: Digest) -> bool {
        let mut state = self.state();
        let fits = state.sealed.is_some_and(|seal| seal.digest == found);
        if fits {
            state.sealed = None;
            state.record.digest = Some(found);
        }
        fits
    }

    /// True where its bytes sum to `expected`; what was never seen to sum to anything, and is whole, is summed up here.
    pub(super) async fn sums_to(self: &Arc<Self>, expected: Digest) -> bool {
        if self.digest().is_none() && self.seal().is_none() && self.is_complete() {
            match digest_of(self).await {
                Ok(found) => {
                    self.state().record.digest = Some(found);
                    if let Err(error) = self.save().await {
                        tracing::warn!(%error, "what was summed up cannot be noted in the cache");
                    }
                }
                Err(error) => {
                    tracing::debug!(path = %self.path(), %error, "what is kept cannot be summed up")
                }
            }
        }
        self.digest() == Some(expected)
    }

    /// Media type, where the source stated one.
    pub(super) fn media(&self) -> Option<Arc<str>> {
        self.state().record.metadata.content_type.clone()
    }

    /// What it was seen to sum to.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.state().record.digest
    }

    /// How far the bytes from `offset` on are there, without anybody being asked to bring more.
    pub(super) fn present_until(&self, offset: u64) -> Option<u64> {
        let state = self.state();
        let is_sure = state.sealed.is_none() && !state.unchecked.contains(&Blocks::index(offset));
        let until = state.record.blocks.present_until(offset, 1);
        (is_sure && until > offset).then_some(until)
    }

    /// Reads what [`Object::locate`] found present.
    pub(super) async fn read_present(&self, offset: u64, len: usize) -> Result<Bytes> {
        let data = self.data().await?;
        if let Some(bytes) = residency::read(data, offset, len).filter(|bytes| bytes.len() == len) {
            return Ok(bytes.into());
        }
        let span = FileSpan::new(data.clone(), offset, len as u64);
        let read = self.store.disk().run("read_at", move || span.read_blocking()).await?;
        read.map_err(|error| Error::from_io(error, "read_at", &VPath::root()))
    }

    /// Sees whether a block fits its sum; one that does not is missing from then on.
    pub(super) async fn check(&self, index: u64) -> Result<()> {
        let (expected, start, end) = {
            let state = self.state();
            let blocks = &state.record.blocks;
            (blocks.sum(index), index * BLOCK_BYTES, blocks.end(index))
        };
        let span = FileSpan::new(self.data().await?.clone(), start, end - start);
        let found = self
            .store
            .disk()
            .run("read_at", move || span.read_blocking().map(|bytes| crc32fast::hash(&bytes)))
            .await?;
        let fits = found.ok().is_some_and(|found| expected == Some(found));
        let is_sure = self.checked(index, fits);
        // So that it need not be checked again by this run; where that fails it is.
        if is_sure && let Err(error) = self.save().await {
            tracing::debug!(path = %self.path(), %error, "what was checked cannot be noted");
        }
        Ok(())
    }

    /// Notes whether a block fits its sum. True where no other is to be checked.
    fn checked(&self, index: u64, fits: bool) -> bool {
        let mut state = self.state();
        state.unchecked.remove(&index);
        if !fits {
            state.record.blocks.remove(index);
            tracing::warn!(path = %state.record.path, block = index, "a block of the cache is damaged: it is fetched anew");
        }
        let is_sure = state.unchecked.is_empty();
        if is_sure {
            state.record.run = self.store.run();
        }
        is_sure
    }

    /// The bytes of `[start, end)` of this version, from its source.
    pub(super) async fn fetch(&self, start: u64, end: Option<u64>) -> Result<Box<dyn Producer>> {
        match &self.upstream {
            Upstream::Once(producer) => {
                let producer = producer.lock().unwrap_or_else(PoisonError::into_inner).take();
                producer.ok_or_else(|| Error::new(ErrorKind::Unavailable, "read_dir", &VPath::root()))
            }
            Upstream::File { .. } => {
                let file = self.upstream_file(if start == 0 && end.is_none() {
                    Intent::Whole
                } else {
                    Intent::Range
                });
                Ok(crate::producer::of(file.await?, crate::options::ByteRange { start, end }))
            }
        }
    }

    /// The source's file, of this version and no other.
    pub(super) async fn upstream_file(&self, intent: Intent) -> Result<Arc<dyn File>> {
        let Upstream::File { tree, page, opened, .. } = &self.upstream else {
            return Err(Error::new(ErrorKind::Internal, "open", &VPath::root()));
        };
        let at_hand = opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(file) = at_hand {
            return Ok(file);
        }
        let (path, if_match) = {
            let state = self.state();
            (state.record.path.clone(), state.record.metadata.validator.clone())
        };
        let file = tree
            .open(&path, &OpenOptions { intent, if_match, page: *page, ..OpenOptions::reading() })
            .await?;
        *opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Lets the source's file go: nobody needs it any more, or it has another version by now.
    pub(super) fn close_upstream(&self) {
        if let Upstream::File { opened, .. } = &self.upstream {
            opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Notes whole blocks that a run has written, and how far it came. True where the record is worth saving.
    pub(super) fn wrote(&self, run: &Run, blocks: &[(u64, u32)], reached: u64) -> bool {
        let mut state = self.state();
        for (index, sum) in blocks {
            state.record.blocks.add(*index, *sum);
        }
        state.unsaved += reached - run.reached();
        run.reach(reached);
        let is_due = state.unsaved >= SAVED_BYTES && state.sealed.is_none();
        if is_due {
            state.unsaved = 0;
        }
        drop(state);
        self.news.send_replace(());
        is_due
    }

    /// Notes that the file ends at `len`, with what its last block sums to where that is not whole.
    pub(super) fn ended(&self, len: u64, last: Option<u32>) {
        let mut state = self.state();
        if let Some(sum) = last {
            state.record.blocks.add(Blocks::index(len), sum);
        }
        state.record.blocks.set_len(len);
        if state.record.kind == Kind::File {
            state.record.metadata.len = Some(len);
        }
    }

    pub(super) fn is_bypassed(&self) -> bool {
        self.state().bypassed
    }

    pub(super) fn bypass(&self) {
        self.state().bypassed = true;
    }

    /// True for a version that should not be found any more: half of it is there, and no more can be had.
    pub(super) fn is_lost(&self) -> bool {
        self.state().lost.is_some()
    }

    /// Notes that no more of this version can be had.
    pub(super) fn lose(&self, error: &Error) {
        self.state().lost.get_or_insert_with(|| error.clone());
    }

    /// True where two fetches of this version can be put together.
    pub(super) fn is_resumable(&self) -> bool {
        is_resumable(&self.state().record)
    }

    /// Takes a run that has ended off the list, and tells who waits.
    pub(super) fn remove_run(&self, run: &Arc<Run>) {
        let mut state = self.state();
        state.runs.retain(|other| !Arc::ptr_eq(other, run));
        if state.runs.is_empty() && state.record.blocks.is_complete() {
            drop(state);
            self.close_upstream();
        } else {
            drop(state);
        }
        self.news.send_replace(());
    }

    /// Length, where it is known, and bytes that are there: what the rule for deserted runs looks at.
    pub(super) fn progress(&self) -> (Option<u64>, u64) {
        let state = self.state();
        (state.record.blocks.len(), state.record.blocks.present())
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

    /// Waits until the next bytes may be fetched, after `bytes`.
    pub(super) async fn pace(&self, bytes: usize) {
        let own = match &self.upstream {
            Upstream::File { rate, .. } => rate.as_ref(),
            Upstream::Once(_) => None,
        };
        let turns = [own, self.store.rate()].into_iter().flatten().map(|rate| rate.charge(bytes));
        if let Some(turn) = turns.max() {
            tokio::time::sleep_until(turn).await;
        }
    }

    pub(super) fn path(&self) -> VPath {
        self.state().record.path.clone()
    }

    pub(super) fn seek_cost(&self) -> SeekCost {
        if self.is_complete() { SeekCost::Free } else { SeekCost::Request }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Located {
    /// All of it has to come in one run.
    fn sealed(state: &mut State, seal: Seal, offset: u64, demand: Demand) -> Self {
        if let Some(run) = state.runs.first() {
            let shown = run.reached().min(state.record.blocks.len().unwrap_or(u64::MAX));
            let shown = shown.saturating_sub(BLOCK_BYTES);
            let sees_it_come = seal.holds_back == HoldsBack::End && demand.is_whole;
            return if sees_it_come && offset < shown {
                Self::Present(shown)
            } else {
                Self::Coming(run.join())
            };
        }
        let run = Arc::new(Run::new(0, None));
        state.runs.push(Arc::clone(&run));
        Self::Missing(run)
    }
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

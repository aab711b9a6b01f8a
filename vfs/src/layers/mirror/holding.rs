//! What is at hand: the objects that somebody reads, those that were read last, and the way to the others in the store.
//! All mirrors of one store share it, so that a version has one [`Object`], whichever mount it is read through.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use dashmap::DashMap;

use super::answer::Shared;
use super::flight::Flights;
use super::object::{Object, Upstream};
use super::store::{Key, Kind, Part, Record};
use super::{Core, Subject};
use crate::error::Result;
use crate::file_system::File;
use crate::path::VPath;

/// Objects that stay at hand after their last reader has left, with an open file each.
const HOT: usize = 256;

/// What the mirrors of one store have at hand, and what they are asking for.
#[derive(Default)]
pub(super) struct AtHand {
    /// What somebody holds.
    live: DashMap<Key, Weak<Object>>,
    /// What is being looked for on the disk.
    loads: Flights<Option<Arc<Object>>>,
    /// What sources are being asked.
    asked: Flights<Shared>,
    /// Kept by the mirrors: the objects in it hold the store.
    hot: Mutex<Weak<Hot>>,
}

/// What was used last, so that it is still live when it is asked for again.
#[derive(Default)]
pub(super) struct Hot(Mutex<VecDeque<Arc<Object>>>);

impl AtHand {
    /// What was used last, for a mirror to keep.
    pub(super) fn hot(&self) -> Arc<Hot> {
        let mut place = self.hot.lock().unwrap_or_else(PoisonError::into_inner);
        place.upgrade().unwrap_or_else(|| {
            let hot = Arc::new(Hot::default());
            *place = Arc::downgrade(&hot);
            hot
        })
    }

    /// What sources are being asked.
    pub(super) fn asked(&self) -> &Flights<Shared> {
        &self.asked
    }

    /// Does not keep `object` at hand any longer than somebody uses it.
    pub(super) fn cool(&self, object: &Arc<Object>) {
        drop(self.hot_now().and_then(|hot| hot.cool(|other| Arc::ptr_eq(other, object))));
    }

    /// Lets go of what is only at hand, and holds its file open. False where somebody uses what is kept under `key`.
    pub(super) fn let_go(&self, key: Key) -> bool {
        if self.loads.has(key) {
            return false;
        }
        drop(self.hot_now().and_then(|hot| hot.cool(|object| object.key == key)));
        self.live.remove_if(&key, |_, object| object.strong_count() == 0);
        !self.live.contains_key(&key)
    }

    fn hot_now(&self) -> Option<Arc<Hot>> {
        self.hot.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }
}

impl Hot {
    fn heat(&self, object: &Arc<Object>) {
        let mut hot = self.objects();
        let gone = if hot.len() == HOT { hot.pop_front() } else { None };
        hot.push_back(Arc::clone(object));
        drop(hot);
        // Closes its file, outside of the lock.
        drop(gone);
    }

    /// Takes an object out.
    fn cool(&self, is_it: impl Fn(&Arc<Object>) -> bool) -> Option<Arc<Object>> {
        let mut hot = self.objects();
        let at = hot.iter().position(is_it)?;
        hot.remove(at)
    }

    fn objects(&self) -> MutexGuard<'_, VecDeque<Arc<Object>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    pub(super) fn key(&self, path: &VPath, part: Part) -> Key {
        Key::of(&self.source, path, part)
    }

    pub(super) fn key_of(&self, subject: &Subject) -> Key {
        self.key(&subject.path, subject.part)
    }

    /// What is kept of `subject`.
    pub(super) async fn stored(self: &Arc<Self>, subject: &Subject) -> Result<Option<Arc<Object>>> {
        let key = self.key_of(subject);
        let object = match self.live_object(key) {
            Some(object) => {
                self.store.touch(key);
                object
            }
            None => {
                let (core, subject) = (Arc::clone(self), subject.clone());
                let load = async move { core.load(key, &subject).await };
                let Some(object) = self.store.at_hand().loads.begin(key, load).landed().await? else {
                    return Ok(None);
                };
                object
            }
        };
        object.read_from(self.upstream(subject.part, None));
        Ok(object.is_intact().then_some(object))
    }

    /// Looks on the disk. Once at a time for one key: a version has one object.
    async fn load(&self, key: Key, subject: &Subject) -> Result<Option<Arc<Object>>> {
        if let Some(object) = self.live_object(key) {
            return Ok(Some(object));
        }
        let Some(record) = self.store.load(key).await? else { return Ok(None) };
        if !self.is_of(&record, subject) {
            return Ok(None);
        }
        let is_half_a_listing = record.kind == Kind::Listing && !record.blocks.is_complete();
        if is_half_a_listing {
            return Ok(None);
        }
        let object = Object::stored(key, &self.store, record, self.upstream(subject.part, None)).await?;
        Ok(Some(self.hold(Arc::new(object))))
    }

    /// Two subjects may have one key.
    fn is_of(&self, record: &Record, subject: &Subject) -> bool {
        record.source == self.source && record.path == subject.path
    }

    /// The same as [`Core::stored`]; what cannot be read counts as not kept.
    pub(super) async fn readable(self: &Arc<Self>, subject: &Subject) -> Option<Arc<Object>> {
        self.stored(subject).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the cache cannot be read: the source is asked");
            None
        })
    }

    /// What is kept of the file `subject`, where that is known without asking the disk for what is not there.
    pub(super) async fn kept_file(self: &Arc<Self>, subject: &Subject) -> Option<Arc<Object>> {
        let key = self.key_of(subject);
        if !self.has(key) {
            return None;
        }
        self.readable(subject).await.filter(|object| object.kind() == Kind::File)
    }

    /// True where something is kept under `key`, as far as that is known without asking the disk.
    pub(super) fn has(&self, key: Key) -> bool {
        self.store.at_hand().live.contains_key(&key) || self.store.holds(key)
    }

    /// What somebody holds, or held a moment ago.
    pub(super) fn live_object(&self, key: Key) -> Option<Arc<Object>> {
        let live = &self.store.at_hand().live;
        live.get(&key).and_then(|object| object.upgrade()).filter(|object| !object.is_lost())
    }

    pub(super) fn upstream(&self, part: Part, opened: Option<Arc<dyn File>>) -> Upstream {
        Upstream::File {
            tree: Arc::clone(&self.inner),
            page: part.page(),
            opened: Mutex::new(opened),
            rate: self.rate.clone(),
            is_offline: self.is_offline(),
        }
    }

    /// Makes `object` the one that is found under its key, unless there is one already.
    fn hold(&self, object: Arc<Object>) -> Arc<Object> {
        let mut live = self.store.at_hand().live.entry(object.key).or_default();
        if let Some(other) = live.upgrade().filter(|other| !other.is_lost()) {
            return other;
        }
        *live = Arc::downgrade(&object);
        drop(live);
        self.heat(&object);
        object
    }

    /// Makes `object` the one that is found under its key from now on. Who reads another goes on.
    pub(super) async fn replace(&self, object: &Arc<Object>) -> Result<()> {
        let before = self.store.at_hand().live.insert(object.key, Arc::downgrade(object));
        self.heat(object);
        if let Some(before) = before.and_then(|before| before.upgrade()) {
            before.be_forgotten();
            self.store.discard_data(object.key, before.generation());
            self.store.at_hand().cool(&before);
        }
        object.save().await
    }

    fn heat(&self, object: &Arc<Object>) {
        self.hot.heat(object);
        let live = &self.store.at_hand().live;
        if live.len() > 4 * HOT {
            live.retain(|_, object| object.strong_count() > 0);
        }
    }

    pub(super) fn forget(&self, key: Key) {
        let gone = self.store.at_hand().live.remove(&key);
        if let Some(object) = gone.and_then(|(_, object)| object.upgrade()) {
            object.be_forgotten();
            self.store.at_hand().cool(&object);
        }
    }
}

impl fmt::Debug for AtHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtHand").field("live", &self.live.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Hot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hot").field("objects", &self.objects().len()).finish()
    }
}

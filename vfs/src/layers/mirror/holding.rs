//! What a mirror has at hand: the objects that somebody reads, those that were read last, and the way to the others in the
//! store.

use std::sync::{Arc, Mutex, PoisonError};

use super::object::{Object, Upstream};
use super::store::{Key, Kind, Part, Record};
use super::{Core, Subject};
use crate::error::Result;
use crate::file_system::File;
use crate::path::VPath;

/// Objects that stay at hand after their last reader has left, with an open file each.
const HOT: usize = 256;

impl Core {
    pub(super) fn key(&self, path: &VPath, part: Part) -> Key {
        Key::of(&self.source, path, part)
    }

    pub(super) fn key_of(&self, subject: &Subject) -> Key {
        self.key(&subject.path, subject.part)
    }

    /// What is kept of `subject`.
    pub(super) async fn stored(&self, subject: &Subject) -> Result<Option<Arc<Object>>> {
        let key = self.key_of(subject);
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
        let has_bytes = record.blocks.present() > 0;
        let object = Arc::new(Object::stored(key, &self.store, record, self.upstream(subject.part, None)));
        if has_bytes {
            object.look_at_data().await?;
        }
        Ok(Some(self.hold(object)))
    }

    /// Two subjects may have one key.
    fn is_of(&self, record: &Record, subject: &Subject) -> bool {
        record.source == self.source && record.path == subject.path
    }

    /// The same as [`Core::stored`]; what cannot be read counts as not kept.
    pub(super) async fn readable(&self, subject: &Subject) -> Option<Arc<Object>> {
        self.stored(subject).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the cache cannot be read: the source is asked");
            None
        })
    }

    /// What is kept of the file `subject`, where that is known without asking the disk for what is not there.
    pub(super) async fn kept_file(&self, subject: &Subject) -> Option<Arc<Object>> {
        let key = self.key_of(subject);
        if !self.has(key) {
            return None;
        }
        self.readable(subject).await.filter(|object| object.kind() == Kind::File)
    }

    /// True where something is kept under `key`, as far as that is known without asking the disk.
    pub(super) fn has(&self, key: Key) -> bool {
        self.live.contains_key(&key) || self.store.holds(key)
    }

    /// What somebody holds, or held a moment ago.
    pub(super) fn live_object(&self, key: Key) -> Option<Arc<Object>> {
        self.live.get(&key).and_then(|object| object.upgrade()).filter(|object| !object.is_lost())
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
    pub(super) async fn replace(&self, object: &Arc<Object>) -> Result<()> {
        let before = self.live.insert(object.key, Arc::downgrade(object));
        self.heat(object);
        if let Some(before) = before.and_then(|before| before.upgrade()) {
            before.be_forgotten();
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

    pub(super) fn forget(&self, key: Key) {
        if let Some(object) = self.live.remove(&key).and_then(|(_, object)| object.upgrade()) {
            object.be_forgotten();
            self.cool(&object);
        }
    }
}

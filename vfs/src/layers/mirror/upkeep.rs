//! What an operator does with what is kept: looks, lets go, asks anew, pins, fetches ahead.

use std::sync::Arc;

use super::answer::Answer;
use super::asking::Seen;
use super::finding::Want;
use super::set::read_through;
use super::store::{Key, Kind, Part, Record};
use super::{Core, Mirror, Subject, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Freshness, Intent, Sought};
use crate::path::VPath;

/// What is kept of a path and of all that lies below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Files all of whose bytes are there.
    pub whole_files: u64,
    /// Files that are not, or not yet.
    pub partial_files: u64,
    /// Folders that somebody has asked about.
    pub folders: u64,
    /// Folders whose entries are known.
    pub listings: u64,
    /// Names that are known to be missing.
    pub missing: u64,
    /// Bytes of files that are there.
    pub bytes: u64,
    /// It stays, however long nobody uses it.
    pub is_pinned: bool,
}

impl Mirror {
    /// What is kept at and below `path`. Reads all records.
    ///
    /// # Errors
    /// What the cache folder fails with.
    pub async fn status(&self, path: &VPath) -> Result<Status> {
        let is_pinned = self.0.store.pins().hold(&self.0.source, path);
        let mut status = Status { is_pinned, ..Status::default() };
        self.0.each_below(path, |_, record| status.add(record)).await?;
        Ok(status)
    }

    /// Forgets what is kept at and below `path`: the next reader fetches it anew, and who reads it goes on. How much it
    /// was.
    ///
    /// # Errors
    /// What the cache folder fails with.
    pub async fn purge(&self, path: &VPath) -> Result<u64> {
        let mut found = Vec::new();
        self.0.each_below(path, |key, record| found.push((key, record.generation))).await?;
        let count = found.len() as u64;
        for (key, generation) in found {
            self.0.forget(key);
            self.0.store.remove(key, generation).await?;
        }
        Ok(count)
    }

    /// Asks the source about all that is kept at and below `path`, whatever its rule and age. How much it was.
    ///
    /// # Errors
    /// The first failure of the source; what it was asked about before is as it says.
    pub async fn refresh(&self, path: &VPath) -> Result<u64> {
        let mut found = Vec::new();
        self.0.each_below(path, |key, record| found.push((key, record.path.clone()))).await?;
        let mut count = 0;
        for (key, path) in found {
            let part = Part::all().find(|part| self.0.key(&path, *part) == key);
            let Some(subject) = part.map(|part| Subject { path, part }) else { continue };
            let seen = self.0.readable(&subject).await;
            let want = Want {
                op: "refresh",
                freshness: Freshness::Revalidate,
                intent: Intent::Header,
                sought: Sought::Anything,
            };
            let asking = self.0.clone().ask(subject, seen.as_ref().map(Seen::of), want);
            self.0.store.at_hand().asked().begin(key, asking).landed().await?;
            count += 1;
        }
        Ok(count)
    }

    /// Keeps what is, and will be, kept at and below `path`, however long nobody uses it; or no longer does. Survives a
    /// restart.
    ///
    /// # Errors
    /// What the cache folder fails with.
    pub async fn pin(&self, path: &VPath, is_pinned: bool) -> Result<()> {
        let store = &self.0.store;
        store.pin(&self.0.source, path, is_pinned).await?;
        let mut found = Vec::new();
        self.0
            .each_below(path, |key, record| {
                found.push((key, store.pins().hold(&record.source, &record.path)));
            })
            .await?;
        found.into_iter().for_each(|(key, is_pinned)| store.note_pin(key, is_pinned));
        Ok(())
    }

    /// What is pinned.
    pub fn pins(&self) -> Vec<VPath> {
        self.0.store.pins().of(&self.0.source)
    }

    /// What is kept of all of it and of the others of `mirrors`, in their order. Reads each record once, however many
    /// mirrors share a store.
    ///
    /// # Errors
    /// What the cache folder fails with.
    pub async fn statuses(mirrors: &[Self]) -> Result<Vec<Status>> {
        let mut found: Vec<_> = mirrors
            .iter()
            .map(|mirror| {
                let Core { store, source, .. } = &*mirror.0;
                let is_pinned = store.pins().hold(source, &VPath::root());
                Status { is_pinned, ..Status::default() }
            })
            .collect();
        let stores: Vec<_> = mirrors.iter().map(|mirror| &mirror.0.store).collect();
        let is_first = |at: &usize| !stores[..*at].iter().any(|store| Arc::ptr_eq(store, stores[*at]));
        for at in (0..stores.len()).filter(is_first) {
            for first in 0..=u8::MAX {
                for (_, record) in stores[at].records(first).await? {
                    for (mirror, status) in mirrors.iter().zip(&mut found) {
                        let Core { store, source, .. } = &*mirror.0;
                        if Arc::ptr_eq(store, stores[at]) && *source == record.source {
                            status.add(&record);
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    /// What the store holds that it shares with others.
    pub fn usage(&self) -> Usage {
        self.0.store.usage()
    }

    /// Sees to it that all of the file at `path` is kept; its length.
    ///
    /// # Errors
    /// What its source fails with; `IsADirectory` for a folder, `Unsupported` for what must not be kept.
    pub async fn warm(&self, path: &VPath) -> Result<u64> {
        const OP: &str = "warm";
        let want = Want { op: OP, freshness: Freshness::Any, intent: Intent::Whole, sought: Sought::File };
        match self.0.find(&Subject::entry(path), want).await? {
            Answer::Kept(object, _) if object.kind() != Kind::File => {
                Err(Error::new(ErrorKind::IsADirectory, OP, path))
            }
            Answer::Kept(object, _) => {
                if !object.is_complete() || object.seal().is_some() {
                    read_through(&object).await?;
                }
                Ok(object.progress().0.unwrap_or_default())
            }
            Answer::Passed(_) | Answer::Listed(_) => {
                let detail = "its source or a rule says that it must not be kept, or the cache is full";
                Err(Error::new(ErrorKind::Unsupported, OP, path).with_detail(detail))
            }
        }
    }
}

impl Core {
    /// Shows each record of this source at and below `path`.
    async fn each_below(self: &Arc<Self>, path: &VPath, mut show: impl FnMut(Key, &Record)) -> Result<()> {
        for first in 0..=u8::MAX {
            for (key, record) in self.store.records(first).await? {
                if record.source == self.source && record.path.is_covered_by(path) {
                    show(key, &record);
                }
            }
        }
        Ok(())
    }
}

impl Status {
    fn add(&mut self, record: &Record) {
        match record.kind {
            Kind::File if record.blocks.is_complete() => self.whole_files += 1,
            Kind::File => self.partial_files += 1,
            Kind::Folder => self.folders += 1,
            Kind::Listing => self.listings += 1,
            Kind::Missing | Kind::NoFile => self.missing += 1,
        }
        if record.kind == Kind::File {
            self.bytes += record.blocks.present();
        }
    }
}

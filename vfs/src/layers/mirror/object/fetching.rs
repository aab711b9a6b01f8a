//! What the runs of an object need of it: its source, and the notes of what they brought.

use std::sync::{Arc, PoisonError};

use super::{Object, Upstream, is_resumable};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::layers::mirror::finding::not_kept;
use crate::layers::mirror::run::Run;
use crate::layers::mirror::store::{Blocks, Kind};
use crate::options::{Intent, OpenOptions};
use crate::path::VPath;
use crate::producer::Producer;

/// The record is saved after this many bytes, and when a run ends.
const SAVED_BYTES: u64 = 8 << 20;

impl Object {
    /// The bytes of `[start, end)` of this version, from its source.
    pub(in crate::layers::mirror) async fn fetch(
        &self,
        start: u64,
        end: Option<u64>,
    ) -> Result<Box<dyn Producer>> {
        match &*self.upstream() {
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
    pub(in crate::layers::mirror) async fn upstream_file(&self, intent: Intent) -> Result<Arc<dyn File>> {
        let upstream = self.upstream();
        let Upstream::File { tree, page, opened, is_offline, .. } = &*upstream else {
            return Err(Error::new(ErrorKind::Internal, "open", &VPath::root()));
        };
        if *is_offline {
            return Err(not_kept("open", &self.path()));
        }
        let at_hand = opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(file) = at_hand {
            return Ok(file);
        }
        let (path, if_match) = {
            let state = self.state();
            (state.record.path.clone(), state.record.metadata.validator.clone())
        };
        let file = tree
            .open(&path, &OpenOptions { intent, if_match, page: *page, ..OpenOptions::reading_file() })
            .await?;
        *opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Fetches what is missing from `upstream` from now on: the mount that it was found through last. What is being fetched
    /// comes from where it came from.
    pub(in crate::layers::mirror) fn read_from(&self, upstream: Upstream) {
        if !self.state().runs.is_empty() {
            return;
        }
        let mut current = self.upstream.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_replaced_by(&upstream) {
            *current = Arc::new(upstream);
        }
    }

    /// Lets the source's file go: nobody needs it any more, or it has another version by now.
    pub(in crate::layers::mirror) fn close_upstream(&self) {
        if let Upstream::File { opened, .. } = &*self.upstream() {
            opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Notes whole blocks that a run has written, and how far it came. True where the record is worth saving.
    pub(in crate::layers::mirror) fn wrote(&self, run: &Run, blocks: &[(u64, u32)], reached: u64) -> bool {
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
    pub(in crate::layers::mirror) fn ended(&self, len: u64, last: Option<u32>) {
        let mut state = self.state();
        if let Some(sum) = last {
            state.record.blocks.add(Blocks::index(len), sum);
        }
        state.record.blocks.set_len(len);
        if state.record.kind == Kind::File {
            state.record.metadata.len = Some(len);
        }
    }

    pub(in crate::layers::mirror) fn is_bypassed(&self) -> bool {
        self.state().bypassed
    }

    pub(in crate::layers::mirror) fn bypass(&self) {
        self.state().bypassed = true;
    }

    /// True for a version that should not be found any more: half of it is there, and no more can be had.
    pub(in crate::layers::mirror) fn is_lost(&self) -> bool {
        self.state().lost.is_some()
    }

    /// Notes that no more of this version can be had.
    pub(in crate::layers::mirror) fn lose(&self, error: &Error) {
        self.state().lost.get_or_insert_with(|| error.clone());
    }

    /// True where two fetches of this version can be put together.
    pub(in crate::layers::mirror) fn is_resumable(&self) -> bool {
        is_resumable(&self.state().record)
    }

    /// Takes a run that has ended off the list, and tells who waits.
    pub(in crate::layers::mirror) fn remove_run(&self, run: &Arc<Run>) {
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
    pub(in crate::layers::mirror) fn progress(&self) -> (Option<u64>, u64) {
        let state = self.state();
        (state.record.blocks.len(), state.record.blocks.present())
    }

    /// Waits until the next bytes may be fetched, after `bytes`.
    pub(in crate::layers::mirror) async fn pace(&self, bytes: usize) {
        let upstream = self.upstream();
        let own = match &*upstream {
            Upstream::File { rate, .. } => rate.as_ref(),
            Upstream::Once(_) => None,
        };
        let turns = [own, self.store.rate()].into_iter().flatten().map(|rate| rate.charge(bytes));
        if let Some(turn) = turns.max() {
            tokio::time::sleep_until(turn).await;
        }
    }
}

impl Upstream {
    /// True where the other tells of the same source as another mount has it, and this one has nothing open.
    fn is_replaced_by(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::File { tree, opened, is_offline, .. },
                Self::File { tree: other, is_offline: will_be_offline, .. },
            ) => {
                let is_open = opened.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                is_offline != will_be_offline || !Arc::ptr_eq(tree, other) && !is_open
            }
            _ => false,
        }
    }
}

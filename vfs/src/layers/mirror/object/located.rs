//! Where the bytes of an object are: on the disk, on their way, or to be fetched.

use std::sync::Arc;

use super::sealing::{HoldsBack, Seal};
use super::{Object, State, is_resumable};
use crate::error::Error;
use crate::layers::mirror::run::{Demand, Joined, Run};
use crate::layers::mirror::store::{BLOCK_BYTES, Blocks};
use crate::producer::{FileSpan, SpanFile};

/// Blocks that one look finds present at most: what a span may hold.
const LOOK_BLOCKS: u64 = FileSpan::MAX_BYTES as u64 / BLOCK_BYTES;

/// How far before an offset a run may be, so that who reads there waits for it instead of starting another.
const NEAR_BYTES: u64 = 4 << 20;

/// What there is at an offset.
pub(in crate::layers::mirror) enum Located {
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
    /// What there is at `offset`, for somebody who will read as `demand` says.
    pub(in crate::layers::mirror) fn locate(&self, offset: u64, demand: Demand) -> Located {
        let mut state = self.state();
        // Where nothing can be kept, nothing can be seen to fit: it is as if there was no mirror.
        if state.bypassed && state.sealed.is_some() {
            return Located::Bypassed;
        }
        if let (Some(_), Some(error)) = (&state.sealed, &state.lost) {
            return Located::Lost(error.clone());
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

    /// Its bytes, where all of them are there, believed and open: then it is a plain file.
    pub(in crate::layers::mirror) fn whole(&self) -> Option<(SpanFile, u64)> {
        let state = self.state();
        let is_whole = state.record.blocks.is_complete()
            && state.unchecked.is_empty()
            && !state.bypassed
            && state.sealed.is_none();
        let len = state.record.blocks.len().filter(|_| is_whole)?;
        self.data.get().map(|data| (data.file().clone(), len))
    }

    /// How far the bytes from `offset` on are there, without anybody being asked to bring more.
    pub(in crate::layers::mirror) fn present_until(&self, offset: u64) -> Option<u64> {
        let state = self.state();
        let is_sure = state.sealed.is_none() && !state.unchecked.contains(&Blocks::index(offset));
        let until = state.record.blocks.present_until(offset, 1);
        (is_sure && until > offset).then_some(until)
    }

    /// Where the first byte is missing of a file that is there in part, and that nobody is fetching.
    pub(in crate::layers::mirror) fn first_missing(&self) -> Option<u64> {
        let state = self.state();
        let blocks = &state.record.blocks;
        let is_at_rest = state.runs.is_empty() && state.sealed.is_none() && !state.bypassed;
        let is_partial = blocks.present() > 0 && !blocks.is_complete();
        (is_at_rest && is_partial).then(|| blocks.first_missing())
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

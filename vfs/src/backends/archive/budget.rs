//! [`Budget`]: the memory that all archives of a service share.
//!
//! What can be made again is kept here, by archive: decoded blocks, decoders that rest, unpacked names. What an archive
//! must hold, its points and its catalog, is charged. Where both together pass the limit, what was not used for the
//! longest time goes, whosever it is; so an idle archive shrinks to what it must hold.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::decoded::Decoding;
use super::index::NameBlock;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::path::VPath;

/// A decoder of a first pass that takes more than this goes on in its turn only: `xz -9` takes 64 MiB.
const HEAVY_BYTES: usize = 32 << 20;

/// What the heaviest decoder takes; as many have a turn as fit, and one at least.
const HEAVIEST_BYTES: usize = 128 << 20;

/// How long a pass waits for its turn: an archive within an archive may be waiting for the outer one, which has to give
/// up then.
const TURN_PATIENCE: Duration = Duration::from_secs(120);

/// What keeping one thing takes besides the thing.
const SLOT_BYTES: usize = 160;

/// The memory of a service.
pub(super) struct Budget {
    limit: usize,
    owners: AtomicU64,
    kept: Mutex<Kept>,
    /// Turns of heavy decoders.
    turns: Arc<Semaphore>,
}

#[derive(Default)]
struct Kept {
    slots: BTreeMap<Key, Slot>,
    /// By the time of the last use, the longest ago first.
    order: BTreeMap<u64, Key>,
    uses: u64,
    /// What is kept, and what is charged.
    bytes: usize,
}

/// Whose, what, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    owner: u64,
    what: What,
    at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Block,
    Resting,
    Names,
}

struct Slot {
    item: Item,
    bytes: usize,
    used: u64,
}

enum Item {
    Block(Bytes),
    Resting(Box<Decoding>),
    Names(Arc<NameBlock>),
}

/// One archive's share. What it holds goes with it.
pub(super) struct Owner {
    id: u64,
    budget: Arc<Budget>,
    charged: AtomicUsize,
}

/// Memory in use, a decoder that runs.
#[derive(Debug)]
pub(super) struct Loan {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// Room for `limit` bytes.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let turns = Arc::new(Semaphore::new((limit / HEAVIEST_BYTES).max(1)));
        Arc::new(Self { limit, owners: AtomicU64::new(0), kept: Mutex::default(), turns })
    }

    /// Somebody who holds nothing yet.
    pub(super) fn owner(self: &Arc<Self>) -> Owner {
        let id = self.owners.fetch_add(1, Ordering::Relaxed);
        Owner { id, budget: Arc::clone(self), charged: AtomicUsize::new(0) }
    }

    /// Counts `bytes` more; what goes for them is to be dropped.
    fn take(&self, bytes: usize) -> Vec<Slot> {
        let mut kept = self.kept();
        kept.bytes += bytes;
        kept.shrink(self.limit)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: Key, item: Item, bytes: usize) {
        let bytes = bytes + SLOT_BYTES;
        if bytes > self.limit {
            return;
        }
        let mut kept = self.kept();
        let replaced = kept.remove(&key);
        kept.uses += 1;
        let used = kept.uses;
        kept.bytes += bytes;
        kept.order.insert(used, key);
        kept.slots.insert(key, Slot { item, bytes, used });
        let evicted = kept.shrink(self.limit);
        drop(kept);
        // Outside of the lock: a decoder takes a while to go.
        drop((replaced, evicted));
    }
}

impl Kept {
    fn remove(&mut self, key: &Key) -> Option<Slot> {
        let slot = self.slots.remove(key)?;
        self.order.remove(&slot.used);
        self.bytes -= slot.bytes;
        Some(slot)
    }

    /// What is there, now the last one to go.
    fn touch(&mut self, key: &Key) -> Option<&Item> {
        let slot = self.slots.get_mut(key)?;
        self.uses += 1;
        self.order.remove(&slot.used);
        self.order.insert(self.uses, *key);
        slot.used = self.uses;
        Some(&slot.item)
    }

    fn shrink(&mut self, limit: usize) -> Vec<Slot> {
        let mut evicted = Vec::new();
        while self.bytes > limit
            && let Some(key) = self.order.first_key_value().map(|(_, key)| *key)
        {
            evicted.extend(self.remove(&key));
        }
        evicted
    }
}

impl Owner {
    /// The decoded block that begins at `at`.
    pub(super) fn block(&self, at: u64) -> Option<Bytes> {
        match self.budget.kept().touch(&self.key(What::Block, at))? {
            Item::Block(block) => Some(block.clone()),
            Item::Resting(_) | Item::Names(_) => None,
        }
    }

    pub(super) fn keep_block(&self, at: u64, block: Bytes) {
        let bytes = block.len();
        self.budget.keep(self.key(What::Block, at), Item::Block(block), bytes);
    }

    /// The names that begin with the node `at`.
    pub(super) fn names(&self, at: u64) -> Option<Arc<NameBlock>> {
        match self.budget.kept().touch(&self.key(What::Names, at))? {
            Item::Names(names) => Some(Arc::clone(names)),
            Item::Block(_) | Item::Resting(_) => None,
        }
    }

    pub(super) fn keep_names(&self, at: u64, names: Arc<NameBlock>) {
        let bytes = names.memory_bytes();
        self.budget.keep(self.key(What::Names, at), Item::Names(names), bytes);
    }

    /// Takes the decoder that rests nearest before `end`, and not before `from`; both offsets are in.
    pub(super) fn take_resting(&self, from: u64, end: u64) -> Option<Decoding> {
        let mut kept = self.budget.kept();
        let range = self.key(What::Resting, from)..=self.key(What::Resting, end);
        let key = kept.slots.range(range).next_back().map(|(key, _)| *key)?;
        match kept.remove(&key)?.item {
            Item::Resting(decoding) => Some(*decoding),
            Item::Block(_) | Item::Names(_) => None,
        }
    }

    /// Whether a decoder rests there; both offsets are in.
    pub(super) fn rests_between(&self, from: u64, end: u64) -> bool {
        let range = self.key(What::Resting, from)..=self.key(What::Resting, end);
        self.budget.kept().slots.range(range).next().is_some()
    }

    /// Lets a decoder of `bytes` rest until somebody reads on where it is.
    pub(super) fn rest(&self, decoding: Decoding, bytes: usize) {
        let key = self.key(What::Resting, decoding.output());
        self.budget.keep(key, Item::Resting(Box::new(decoding)), bytes);
    }

    /// Sets what it must hold; something else goes for it where there is no room.
    pub(super) fn charge(&self, bytes: usize) {
        let before = self.charged.swap(bytes, Ordering::Relaxed);
        let mut kept = self.budget.kept();
        kept.bytes = kept.bytes + bytes - before;
        let evicted = kept.shrink(self.budget.limit);
        drop(kept);
        drop(evicted);
    }

    /// Counts `bytes` that are in use until the loan is dropped; something else goes for them where there is no room.
    pub(super) fn lend(&self, bytes: usize) -> Loan {
        let evicted = self.budget.take(bytes);
        drop(evicted);
        Loan { budget: Arc::clone(&self.budget), bytes }
    }

    /// Waits until a pass may go on with a decoder of `bytes`, a while at most; its memory fills as it goes on. `None` for
    /// one that need not wait. A dropped future gives up waiting.
    ///
    /// # Errors
    /// `Busy`, where none of the others has ended meanwhile.
    pub(super) async fn turn(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>> {
        if bytes <= HEAVY_BYTES {
            return Ok(None);
        }
        let turn = Arc::clone(&self.budget.turns).acquire_owned();
        match tokio::time::timeout(TURN_PATIENCE, turn).await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            _ => {
                let detail = format!(
                    "its dictionary takes {} MiB, and others take the memory that archives share; ask again later",
                    bytes >> 20
                );
                let busy = Error::new(ErrorKind::Busy, "read", &VPath::root());
                Err(busy.with_detail(detail).with_retry(Retry::After(TURN_PATIENCE)))
            }
        }
    }

    /// Lets go of all that can be made again.
    pub(super) fn clear(&self) {
        let mut kept = self.budget.kept();
        let (first, last) = (self.key(What::Block, 0), self.key(What::Names, u64::MAX));
        let keys: Vec<_> = kept.slots.range(first..=last).map(|(key, _)| *key).collect();
        let gone: Vec<_> = keys.iter().filter_map(|key| kept.remove(key)).collect();
        drop(kept);
        drop(gone);
    }

    fn key(&self, what: What, at: u64) -> Key {
        Key { owner: self.id, what, at }
    }
}

impl Loan {
    /// Counts `bytes` from now on.
    pub(super) fn set(&mut self, bytes: usize) {
        if self.bytes != bytes {
            let mut kept = self.budget.kept();
            kept.bytes = kept.bytes + bytes - self.bytes;
            self.bytes = bytes;
            let evicted = kept.shrink(self.budget.limit);
            drop(kept);
            drop(evicted);
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.budget.kept().bytes -= self.bytes;
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.clear();
        self.charge(0);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, bytes) = (self.limit, self.kept().bytes);
        f.debug_struct("Budget").field("limit", &limit).field("bytes", &bytes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("id", &self.id).field("charged", &self.charged).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 1000;

    fn block(byte: u8) -> Bytes {
        vec![byte; BLOCK].into()
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_whosever_it_is() {
        let budget = Budget::new(3 * (BLOCK + SLOT_BYTES));
        let (one, two) = (budget.owner(), budget.owner());
        one.keep_block(0, block(1));
        two.keep_block(0, block(2));
        one.keep_block(1, block(3));
        assert_eq!(one.block(0), Some(block(1)));
        one.keep_block(2, block(4));
        assert_eq!(two.block(0), None);
        assert_eq!([0, 1, 2].map(|at| one.block(at).is_some()), [true; 3]);
    }

    #[test]
    fn what_must_be_held_displaces_what_can_be_made_again_and_goes_with_its_owner() {
        let budget = Budget::new(2 * (BLOCK + SLOT_BYTES));
        let (one, two) = (budget.owner(), budget.owner());
        one.keep_block(0, block(1));
        one.keep_block(1, block(2));
        two.charge(BLOCK);
        assert_eq!((one.block(0), one.block(1)), (None, Some(block(2))));
        two.charge(10 * BLOCK);
        assert_eq!(one.block(1), None);
        drop(two);
        one.keep_block(7, block(3));
        assert_eq!(one.block(7), Some(block(3)));
        drop(one);
        assert_eq!(budget.kept().bytes, 0);
    }

    #[test]
    fn what_is_in_use_counts_and_makes_what_is_kept_go() {
        let budget = Budget::new(3 * BLOCK);
        let owner = budget.owner();
        owner.keep_block(0, block(1));
        let mut loan = owner.lend(BLOCK);
        assert!(owner.block(0).is_some());
        loan.set(2 * BLOCK + 1);
        assert_eq!(owner.block(0), None);
        owner.keep_block(1, block(2));
        drop(loan);
        assert_eq!(budget.kept().bytes, 0);
        owner.keep_block(2, block(3));
        assert_eq!(owner.block(2), Some(block(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_heavy_decoders_go_on_as_fit_and_the_next_waits_a_while() {
        let owner = Budget::new(256 << 20).owner();
        assert!(owner.turn(HEAVY_BYTES).await.unwrap().is_none());
        let first = owner.turn(64 << 20).await.unwrap();
        let second = owner.turn(64 << 20).await.unwrap();
        assert!(first.is_some() && second.is_some());
        let error = owner.turn(64 << 20).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.detail().is_some_and(|text| text.contains("64 MiB"))),
            (ErrorKind::Busy, true)
        );
        drop(first);
        assert!(owner.turn(64 << 20).await.unwrap().is_some());
    }

    #[test]
    fn what_is_larger_than_the_budget_is_not_kept() {
        let budget = Budget::new(BLOCK);
        let owner = budget.owner();
        owner.keep_block(0, block(1));
        assert_eq!(owner.block(0), None);
        assert_eq!(budget.kept().bytes, 0);
    }
}

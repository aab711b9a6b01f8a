//! The bytes of one file: blocks that readers share and that a writer copies only where a reader still holds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::budget::{Budget, Charge};
use crate::error::ErrorKind;

/// Length of a block, and so of the longest single read.
const BLOCK_BYTES: u64 = 64 * 1024;

/// Longest file. What goes beyond is `LimitExceeded`, as EFBIG is.
const MAX_BYTES: u64 = i64::MAX as u64;

/// What is read where nothing was written.
static ZEROS: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];

/// A file's bytes by block. A block that is missing or shorter than what the file's length asks for reads as zeros, so
/// growing costs nothing until something is written there.
#[derive(Debug)]
pub(super) struct Content {
    len: u64,
    blocks: BTreeMap<u64, Bytes>,
    charge: Charge,
}

impl Content {
    pub(super) fn empty(budget: &Arc<Budget>) -> Self {
        let charge = Charge::new(budget, 0).expect("nothing is always left");
        Self { len: 0, blocks: BTreeMap::new(), charge }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// At most `max` bytes from `offset`, at most to the end of their block: a slice, never a copy.
    pub(super) fn read(&self, offset: u64, max: usize) -> Bytes {
        let max = u64::try_from(max).unwrap_or(u64::MAX);
        let (index, from) = (offset / BLOCK_BYTES, offset % BLOCK_BYTES);
        let count = self.len.saturating_sub(offset).min(BLOCK_BYTES - from).min(max);
        let stored = self.blocks.get(&index).filter(|block| from < block.len() as u64);
        let source = stored.cloned().unwrap_or_else(|| Bytes::from_static(&ZEROS));
        let until = (from + count).min(source.len() as u64);
        source.slice(from as usize..until as usize)
    }

    /// Puts `data` at `offset`, all of it, or nothing and an error.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), ErrorKind> {
        let end = offset
            .checked_add(data.len() as u64)
            .filter(|end| *end <= MAX_BYTES)
            .ok_or(ErrorKind::LimitExceeded)?;
        self.charge.grow(self.growth(offset, end))?;
        let mut rest = data;
        let mut at = offset;
        while !rest.is_empty() {
            let from = at % BLOCK_BYTES;
            let count = (BLOCK_BYTES - from).min(rest.len() as u64) as usize;
            let (piece, after) = rest.split_at(count);
            self.write_in_block(at / BLOCK_BYTES, from as usize, piece);
            at += count as u64;
            rest = after;
        }
        if !data.is_empty() {
            self.len = self.len.max(end);
        }
        Ok(())
    }

    /// Cuts or grows to `len`.
    pub(super) fn set_len(&mut self, len: u64) -> Result<(), ErrorKind> {
        if len > MAX_BYTES {
            return Err(ErrorKind::LimitExceeded);
        }
        let (index, from) = (len / BLOCK_BYTES, len % BLOCK_BYTES);
        let mut freed: u64 =
            self.blocks.split_off(&(index + 1)).values().map(|block| block.len() as u64).sum();
        if let Some(block) = self.blocks.get_mut(&index)
            && block.len() as u64 > from
        {
            freed += block.len() as u64 - from;
            // A copy, because a slice would keep the whole block in memory.
            *block = Bytes::copy_from_slice(&block[..from as usize]);
        }
        self.charge.shrink(freed);
        self.len = len;
        Ok(())
    }

    /// How many bytes the blocks gain when `offset..end` is written.
    fn growth(&self, offset: u64, end: u64) -> u64 {
        if offset == end {
            return 0;
        }
        let indices = offset / BLOCK_BYTES..=(end - 1) / BLOCK_BYTES;
        let touched = *indices.end() - *indices.start() + 1;
        let last_len = end - *indices.end() * BLOCK_BYTES;
        let wanted = |index: u64| if index == *indices.end() { last_len } else { BLOCK_BYTES };
        let kept = self.blocks.range(indices.clone());
        let saved: u64 = kept.map(|(index, block)| wanted(*index).min(block.len() as u64)).sum();
        (touched - 1) * BLOCK_BYTES + last_len - saved
    }

    fn write_in_block(&mut self, index: u64, from: usize, piece: &[u8]) {
        let block = self.blocks.entry(index).or_default();
        // Without a copy where no reader holds a slice of it.
        let mut bytes =
            std::mem::take(block).try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let until = from + piece.len();
        if bytes.len() < until {
            bytes.resize(until, 0);
        }
        bytes[from..until].copy_from_slice(piece);
        *block = bytes.freeze();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = BLOCK_BYTES;

    fn content(limit: u64) -> (Content, Arc<Budget>) {
        let budget = Arc::new(Budget::new(limit));
        (Content::empty(&budget), budget)
    }

    fn all(content: &Content) -> Vec<u8> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < content.len() {
            let piece = content.read(bytes.len() as u64, usize::MAX);
            assert!(!piece.is_empty(), "a read inside the file is empty");
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    #[test]
    fn blocks_behave_as_one_array_of_bytes() {
        let (mut content, budget) = content(u64::MAX);
        let mut model = Vec::new();
        let writes: [(u64, usize); 7] = [
            (0, 10),
            (5, 10),
            (BLOCK - 3, 7),
            (2 * BLOCK, BLOCK as usize),
            (2 * BLOCK + 1, 1),
            (5 * BLOCK + 9, 3 * BLOCK as usize),
            (100, 0),
        ];
        for (round, (offset, len)) in writes.into_iter().enumerate() {
            let data = vec![round as u8 + 1; len];
            content.write(offset, &data).unwrap();
            let until = offset as usize + len;
            if model.len() < until {
                model.resize(until, 0);
            }
            model[offset as usize..until].copy_from_slice(&data);
            assert!(all(&content) == model, "after write {round}");
        }
        for len in [6 * BLOCK + 1, 3 * BLOCK, 2 * BLOCK + 2, BLOCK, 4 * BLOCK, 7, 20, 0] {
            content.set_len(len).unwrap();
            model.resize(len as usize, 0);
            assert!(all(&content) == model, "after a cut or growth to {len}");
            let stored: u64 = content.blocks.values().map(|block| block.len() as u64).sum();
            assert_eq!(budget.used(), stored, "after a cut or growth to {len}");
        }
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_read_shares_the_block_and_a_write_leaves_what_was_read() {
        let (mut content, _) = content(u64::MAX);
        content.write(0, b"0123456789").unwrap();
        let (first, second) = (content.read(2, 3), content.read(2, 3));
        assert_eq!(first.as_ptr(), second.as_ptr());
        content.write(2, b"xyz").unwrap();
        assert_eq!((&first[..], &content.read(2, 3)[..]), (&b"234"[..], &b"xyz"[..]));
    }

    #[test]
    fn a_hole_costs_nothing_and_a_full_budget_changes_nothing() {
        let (mut content, budget) = content(8);
        content.set_len(1 << 40).unwrap();
        assert_eq!(budget.used(), 0);
        assert_eq!(content.read(1 << 39, 4), &[0; 4][..]);
        content.set_len(0).unwrap();
        content.write(0, b"12345678").unwrap();
        assert_eq!(content.write(6, b"abc"), Err(ErrorKind::StorageFull));
        assert_eq!(content.write(6, b"ab"), Ok(()));
        assert_eq!(all(&content), b"123456ab");
    }

    #[test]
    fn no_file_is_longer_than_an_offset_can_say() {
        let (mut content, _) = content(u64::MAX);
        assert_eq!(content.set_len(MAX_BYTES + 1), Err(ErrorKind::LimitExceeded));
        assert_eq!(content.write(u64::MAX, b"x"), Err(ErrorKind::LimitExceeded));
        assert_eq!(content.write(MAX_BYTES - 1, b"x"), Ok(()));
        assert_eq!((content.len(), content.read(u64::MAX, 1).len()), (MAX_BYTES, 0));
    }
}

//! [`Blocks`]: which parts of a file are there, and what they must sum to.

/// Bytes of a block. A request for less fetches one; bookkeeping is 8 bytes a block.
pub(in crate::layers::mirror) const BLOCK_BYTES: u64 = 256 * 1024;

/// The blocks of one file that are there, each with its CRC-32.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::layers::mirror) struct Blocks {
    /// Length of the whole file. `None`: not known before its last byte has come.
    len: Option<u64>,
    sums: Vec<Option<u32>>,
}

impl Blocks {
    /// None of a file of this length.
    pub(in crate::layers::mirror) fn none_of(len: Option<u64>) -> Self {
        Self { len, sums: Vec::new() }
    }

    /// What a record tells; `None` where it contradicts itself.
    pub(super) fn stored(len: Option<u64>, sums: Vec<Option<u32>>) -> Option<Self> {
        let fits = len.is_none_or(|len| sums.len() as u64 <= len.div_ceil(BLOCK_BYTES));
        fits.then_some(Self { len, sums })
    }

    pub(super) fn sums(&self) -> &[Option<u32>] {
        &self.sums
    }

    pub(in crate::layers::mirror) fn len(&self) -> Option<u64> {
        self.len
    }

    /// Fixes the length that has shown itself.
    pub(in crate::layers::mirror) fn set_len(&mut self, len: u64) {
        self.len = Some(len);
    }

    /// The block that holds `offset`.
    pub(in crate::layers::mirror) const fn index(offset: u64) -> u64 {
        offset / BLOCK_BYTES
    }

    /// Where the block that holds `offset` begins.
    pub(in crate::layers::mirror) const fn floor(offset: u64) -> u64 {
        offset / BLOCK_BYTES * BLOCK_BYTES
    }

    /// Where the block `index` ends: earlier for the last one of a file.
    pub(in crate::layers::mirror) fn end(&self, index: u64) -> u64 {
        let end = (index + 1) * BLOCK_BYTES;
        self.len.map_or(end, |len| end.min(len))
    }

    /// Notes that a block is there.
    pub(in crate::layers::mirror) fn add(&mut self, index: u64, sum: u32) {
        let index = usize::try_from(index).expect("a block that was written has an index that fits");
        if self.sums.len() <= index {
            self.sums.resize(index + 1, None);
        }
        self.sums[index] = Some(sum);
    }

    /// Forgets a block.
    pub(in crate::layers::mirror) fn remove(&mut self, index: u64) {
        if let Some(sum) = usize::try_from(index).ok().and_then(|index| self.sums.get_mut(index)) {
            *sum = None;
        }
    }

    /// Forgets the blocks that a file of `len` bytes does not reach. True where there were any.
    pub(in crate::layers::mirror) fn cut_to(&mut self, len: u64) -> bool {
        let mut was_cut = false;
        while let Some(last) =
            self.sums.iter().rposition(Option::is_some).filter(|last| self.end(*last as u64) > len)
        {
            self.sums.truncate(last);
            was_cut = true;
        }
        was_cut
    }

    /// What the block `index` sums to, where it is there.
    pub(in crate::layers::mirror) fn sum(&self, index: u64) -> Option<u32> {
        *usize::try_from(index).ok().and_then(|index| self.sums.get(index))?
    }

    /// How far the bytes from `offset` on are there, `limit` blocks at most: `offset` itself where they are not.
    pub(in crate::layers::mirror) fn present_until(&self, offset: u64, limit: u64) -> u64 {
        let first = Self::index(offset);
        let present =
            (first..first.saturating_add(limit)).take_while(|index| self.sum(*index).is_some()).last();
        present.map_or(offset, |last| self.end(last).max(offset))
    }

    /// Where the first block from `offset` on begins that is there; `None` where there is none.
    pub(in crate::layers::mirror) fn next_present(&self, offset: u64) -> Option<u64> {
        let first = usize::try_from(Self::index(offset)).ok()?;
        let found = self.sums.get(first..)?.iter().position(Option::is_some)?;
        Some((first + found) as u64 * BLOCK_BYTES)
    }

    /// Where the first block begins that is not there.
    pub(in crate::layers::mirror) fn first_missing(&self) -> u64 {
        let missing = self.sums.iter().position(Option::is_none).unwrap_or(self.sums.len());
        missing as u64 * BLOCK_BYTES
    }

    /// True where every byte is there.
    pub(in crate::layers::mirror) fn is_complete(&self) -> bool {
        let wanted = self.len.map(|len| len.div_ceil(BLOCK_BYTES));
        wanted == Some(self.sums.len() as u64) && self.sums.iter().all(Option::is_some)
    }

    /// The blocks that are there.
    pub(in crate::layers::mirror) fn indices(&self) -> impl Iterator<Item = u64> {
        (0..self.sums.len() as u64).filter(|index| self.sum(*index).is_some())
    }

    /// Bytes that are there.
    pub(in crate::layers::mirror) fn present(&self) -> u64 {
        self.indices().map(|index| self.end(index) - index * BLOCK_BYTES).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_complete_with_its_last_block() {
        let mut blocks = Blocks::none_of(Some(2 * BLOCK_BYTES + 5));
        for index in [2, 0] {
            blocks.add(index, 7);
            assert!(!blocks.is_complete());
        }
        assert_eq!(blocks.present(), BLOCK_BYTES + 5);
        assert_eq!(blocks.present_until(3, 9), BLOCK_BYTES);
        assert_eq!(blocks.present_until(BLOCK_BYTES, 9), BLOCK_BYTES);
        assert_eq!(blocks.next_present(BLOCK_BYTES), Some(2 * BLOCK_BYTES));
        blocks.add(1, 7);
        assert!(blocks.is_complete());
        assert_eq!(blocks.present_until(3, 9), 2 * BLOCK_BYTES + 5);
        assert_eq!(blocks.present_until(3, 2), 2 * BLOCK_BYTES);
        blocks.remove(2);
        assert!(!blocks.is_complete());
        assert!(!blocks.cut_to(2 * BLOCK_BYTES));
        assert!(blocks.cut_to(2 * BLOCK_BYTES - 1));
        assert_eq!(blocks.present_until(0, 9), BLOCK_BYTES);
        assert!(blocks.cut_to(0));
        assert_eq!(blocks.present(), 0);
    }

    #[test]
    fn an_empty_file_is_complete_at_once_and_one_without_a_length_never() {
        assert!(Blocks::none_of(Some(0)).is_complete());
        let mut unknown = Blocks::none_of(None);
        unknown.add(0, 7);
        assert!(!unknown.is_complete());
        unknown.set_len(BLOCK_BYTES);
        assert!(unknown.is_complete());
    }
}

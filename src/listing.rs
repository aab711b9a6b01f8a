//! A folder's entries one by one, sorted where people read them, in bounded memory either way.

use std::collections::VecDeque;

use vfs::{DirEntry, DirStream, Error, FileSystem, ListOptions, VPath};

/// Entries that are sorted together. A folder with more is sorted piece by piece, so that a huge one begins to show at
/// once and takes no more memory than this.
const SORTED_ENTRIES: usize = 16_384;

/// In which order entries come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As the source lists them: the first is there at once.
    AsListed,
    /// By name, byte by byte.
    ByName,
}

/// Which entries are wanted, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// In which order.
    pub(crate) order: Order,
    /// Names that start with a dot, too.
    pub(crate) hidden: bool,
    /// With their descriptions, where the source gives them free.
    pub(crate) metadata: bool,
}

/// The entries of one folder.
#[derive(Debug)]
pub(crate) struct Listing {
    stream: DirStream,
    wish: Wish,
    at_hand: VecDeque<DirEntry>,
    failed: Option<Error>,
}

impl Listing {
    /// Starts listing the folder `path`.
    pub(crate) async fn open(tree: &dyn FileSystem, path: &VPath, wish: Wish) -> vfs::Result<Self> {
        let options = ListOptions { metadata: wish.metadata, ..ListOptions::default() };
        let stream = tree.read_dir(path, &options).await?;
        Ok(Self { stream, wish, at_hand: VecDeque::new(), failed: None })
    }

    /// The next entry; `None` at the end. After an error it is at its end.
    pub(crate) async fn next(&mut self) -> Option<vfs::Result<DirEntry>> {
        self.fill().await;
        match self.at_hand.pop_front() {
            Some(entry) => Some(Ok(entry)),
            None => self.failed.take().map(Err),
        }
    }

    /// True where no entry is left. An error that is still to come counts as none.
    pub(crate) async fn is_at_end(&mut self) -> bool {
        self.fill().await;
        self.at_hand.is_empty()
    }

    async fn fill(&mut self) {
        let wanted = match self.wish.order {
            Order::AsListed => 1,
            Order::ByName => SORTED_ENTRIES,
        };
        if !self.at_hand.is_empty() || self.failed.is_some() {
            return;
        }
        while self.at_hand.len() < wanted {
            match self.stream.next().await {
                Some(Ok(batch)) => {
                    self.at_hand.extend(batch.into_iter().filter(|entry| self.wish.fits(entry)))
                }
                Some(Err(error)) => self.failed = Some(error),
                None => break,
            }
        }
        if self.wish.order == Order::ByName {
            self.at_hand.make_contiguous().sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
    }
}

impl Wish {
    fn fits(self, entry: &DirEntry) -> bool {
        self.hidden || !entry.name.starts_with(b".")
    }
}

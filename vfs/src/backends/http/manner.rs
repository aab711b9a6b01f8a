//! [`Manner`]: how a site tells what a folder holds, as it was found out.

use std::sync::atomic::{AtomicU8, Ordering};

/// How a site tells what a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It may make a page of it, and was not asked for anything else.
    Unknown,
    /// It makes pages or nothing: it does not speak WebDAV.
    Pages,
    /// It answers `PROPFIND`, and made no page.
    WebDav,
    /// It is a bucket of an object store, which has keys and no folders.
    Bucket,
}

/// What is known of one site.
#[derive(Debug, Default)]
pub(super) struct Manners(AtomicU8);

const ALL: [Manner; 4] = [Manner::Unknown, Manner::Pages, Manner::WebDav, Manner::Bucket];

impl Manners {
    pub(super) fn get(&self) -> Manner {
        ALL[usize::from(self.0.load(Ordering::Relaxed)) % ALL.len()]
    }

    pub(super) fn set(&self, manner: Manner) {
        self.0.store(manner as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_out_is_kept() {
        let manners = Manners::default();
        assert_eq!(manners.get(), Manner::Unknown);
        for manner in ALL {
            manners.set(manner);
            assert_eq!(manners.get(), manner);
        }
    }
}

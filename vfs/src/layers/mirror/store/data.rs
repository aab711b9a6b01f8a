//! [`Data`]: the bytes of one version, in the hand of the one that may write them.

use std::io;
use std::sync::Arc;

use dashmap::DashSet;

use super::folder::{Folder, Room};
use super::key::Key;
use crate::producer::SpanFile;

/// The open file of one version. There is one of it: who opens the same version meanwhile gets nothing, so that no two
/// fetches write one file. A drop lets the next one open it.
#[derive(Debug)]
pub(in crate::layers::mirror) struct Data {
    file: SpanFile,
    _hold: Hold,
}

/// The versions whose bytes somebody has in hand.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds(Arc<DashSet<(Key, u64)>>);

#[derive(Debug)]
struct Hold {
    holds: Holds,
    version: (Key, u64),
}

impl Data {
    /// Makes the file of a version that has none yet. Blocks.
    pub(super) fn create(folder: &Folder, holds: &Holds, key: Key, generation: u64) -> io::Result<Self> {
        let hold = holds.take(key, generation).ok_or(io::ErrorKind::AlreadyExists)?;
        let file = folder.create(Room::of(key), &name_of(key, generation))?;
        Ok(Self { file: SpanFile::new(file), _hold: hold })
    }

    /// Opens the file of a version of which something is kept. `None` where it is gone, or in another's hand. Blocks.
    pub(super) fn reopen(
        folder: &Folder,
        holds: &Holds,
        key: Key,
        generation: u64,
    ) -> io::Result<Option<Self>> {
        let Some(hold) = holds.take(key, generation) else { return Ok(None) };
        let file = folder.file(Room::of(key), &name_of(key, generation))?;
        Ok(file.map(|file| Self { file: SpanFile::new(file), _hold: hold }))
    }

    pub(in crate::layers::mirror) fn file(&self) -> &SpanFile {
        &self.file
    }

    /// How long the file is now. Asks the system about an open file, which does not wait for a disk.
    pub(in crate::layers::mirror) fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(rustix::fs::fstat(&self.file)?.st_size).unwrap_or(0))
    }
}

impl Holds {
    fn take(&self, key: Key, generation: u64) -> Option<Hold> {
        let version = (key, generation);
        self.0.insert(version).then(|| Hold { holds: self.clone(), version })
    }

    /// True where somebody has the bytes of this version in hand.
    pub(super) fn has(&self, key: Key, generation: u64) -> bool {
        self.0.contains(&(key, generation))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.0.remove(&self.version);
    }
}

/// What the file of a version is called.
pub(super) fn name_of(key: Key, generation: u64) -> String {
    format!("{key}-{generation:016x}.data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_in_one_hand_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path().join("v1")).unwrap();
        let (holds, key) = (Holds::default(), Key::parse(&"5".repeat(32)).unwrap());
        let reopen = || Data::reopen(&folder, &holds, key, 7).unwrap();
        assert!(reopen().is_none(), "there is none");
        let made = Data::create(&folder, &holds, key, 7).unwrap();
        assert!(reopen().is_none(), "it is held");
        assert!(Data::create(&folder, &holds, key, 8).is_ok(), "another version");
        drop(made);
        let again = reopen().unwrap();
        assert!(reopen().is_none());
        drop(again);
        assert!(Data::create(&folder, &holds, key, 7).is_err(), "it is there");
        assert!(!holds.has(key, 7));
    }
}

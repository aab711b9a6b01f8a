//! [`Apt`]: what the packages of a Debian archive must be, as the indices say that are kept.
//!
//! A release names its indices by their hash, and an index its packages: so whoever has fetched both through the mirror gets
//! those packages and no others, whatever stands under their names. Indices are read when a package is to be fetched. Which
//! releases there are is known from who asks for them, so after a start packages are not checked until somebody has: apt
//! does before it fetches anything. A package that no kept index names, or two in different ways, is not checked.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::file::MirrorFile;
use super::object::Object;
use super::sets::{
    Digest, Packages, PackagesReader, Release, by_hash, is_index_of_packages, is_release, root_of,
};
use super::{Core, Subject};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::metadata::CacheStatus;
use crate::options::{ListOptions, OpenOptions};
use crate::path::{Scheme, VPath};
use crate::registry::Registry;

/// What one read of an index asks for.
const READ_BYTES: usize = 256 * 1024;

/// An index is no longer than this, unpacked; what comes behind is not checked. Debian's own has some 60 MB.
const INDEX_BYTES: u64 = 512 << 20;

/// Indices that stay read: a machine uses a handful.
const READ_INDICES: usize = 16;

/// Releases that are known at most.
const RELEASES: usize = 64;

/// A Debian archive: its releases, and its indices as far as they were read.
#[derive(Debug)]
pub struct Apt {
    /// Enters packed indices.
    registry: Registry,
    known: Mutex<Known>,
    /// Held by who reads an index, so that a crowd reads it once.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    releases: BTreeSet<VPath>,
    /// The archive's root, the index's hash, what it says.
    read: VecDeque<(VPath, Digest, Arc<Packages>)>,
}

impl Apt {
    /// An archive whose packed indices `registry` enters.
    pub fn new(registry: Registry) -> Arc<Self> {
        Arc::new(Self { registry, known: Mutex::default(), reading: tokio::sync::Mutex::default() })
    }

    /// Notes that somebody has asked for `path`, which may be a release.
    pub(super) fn note(&self, path: &VPath) {
        let mut known = self.known();
        if is_release(path) && known.releases.len() < RELEASES && !known.releases.contains(path) {
            known.releases.insert(path.clone());
        }
    }

    /// Forgets what was read: a release has changed, and may name other indices.
    pub(super) fn forget(&self) {
        self.known().read.clear();
    }

    /// What the package at `path` must sum to, as the indices say that were read.
    pub(super) fn digest(&self, path: &VPath) -> Option<Digest> {
        let known = self.known();
        let said = known.read.iter().filter_map(|(root, _, packages)| {
            let below = path.strip_prefix(root)?.to_bytes();
            packages.digest(below.strip_prefix(b"/").unwrap_or(&below))
        });
        let said: BTreeSet<Digest> = said.collect();
        said.first().copied().filter(|_| said.len() == 1)
    }

    fn has_read(&self, digest: &Digest) -> bool {
        self.known().read.iter().any(|(_, read, _)| read == digest)
    }

    fn keep(&self, root: VPath, digest: Digest, packages: Packages) {
        let mut known = self.known();
        if known.read.len() == READ_INDICES {
            known.read.pop_front();
        }
        known.read.push_back((root, digest, Arc::new(packages)));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Reads the indices that may name the package at `path`, as far as they are kept and were not read yet.
    pub(super) async fn read_indices(self: &Arc<Self>, apt: &Apt, path: &VPath) {
        let _alone = apt.reading.lock().await;
        let releases: Vec<_> = apt.known().releases.iter().cloned().collect();
        for at in releases {
            let Some(folder) = at.parent() else { continue };
            let Some(root) = root_of(&folder).filter(|root| path.starts_with(root)) else { continue };
            let Some(kept) = self.kept_file(&Subject::entry(&at)).await else { continue };
            let Ok(release) = self.read_release(&kept).await else { continue };
            for (index, digest, object) in self.kept_indices(&release, &folder).await {
                if apt.has_read(&digest) {
                    continue;
                }
                let read = self.read_index(apt, &index, object).await;
                if let Err(error) = &read {
                    tracing::warn!(%index, %error, "an index cannot be read: its packages are not checked");
                }
                apt.keep(root.clone(), digest, read.unwrap_or_default());
            }
        }
    }

    /// The indices of packages that `release` names and that are kept, by their names or by their hash.
    async fn kept_indices(
        self: &Arc<Self>,
        release: &Release,
        folder: &VPath,
    ) -> Vec<(VPath, Digest, Arc<Object>)> {
        let mut found = Vec::new();
        for (index, digest) in release.indices(folder, is_index_of_packages) {
            for at in by_hash(&index, &digest).into_iter().chain([index.clone()]) {
                if let Some(object) = self.kept_file(&Subject::entry(&at)).await
                    && object.digest() == Some(digest)
                    && object.is_complete()
                {
                    found.push((index, digest, object));
                    break;
                }
            }
        }
        found
    }

    async fn read_index(self: &Arc<Self>, apt: &Apt, index: &VPath, object: Arc<Object>) -> Result<Packages> {
        let described = object.describe(CacheStatus::Hit);
        let file: Arc<dyn File> = Arc::new(MirrorFile::new(object, described));
        let file = match scheme_of(index) {
            None => file,
            Some(scheme) => {
                let inside = apt.registry.enter(scheme, file, index).await?;
                let root = VPath::root();
                let members = inside.read_dir(&root, &ListOptions::default()).await?.collect(1).await?;
                let member = members.into_iter().next().ok_or_else(|| {
                    Error::new(ErrorKind::Corrupt, "open", index).with_detail("nothing is packed in it")
                })?;
                inside.open(&root.child(member.name)?, &OpenOptions::reading()).await?
            }
        };
        let (mut reader, mut at) = (PackagesReader::default(), 0);
        while at < INDEX_BYTES {
            let bytes = file.read_at(at, READ_BYTES).await?;
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
            reader.feed(&bytes);
        }
        Ok(reader.end())
    }
}

fn scheme_of(index: &VPath) -> Option<Scheme> {
    let name = index.file_name()?.name();
    let packed: [(&[u8], Scheme); 4] =
        [(b".gz", Scheme::Gz), (b".xz", Scheme::Xz), (b".bz2", Scheme::Bz2), (b".zst", Scheme::Zst)];
    packed.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, scheme)| scheme)
}

//! Keeping sets together: a release is published here with the indices that it lists, or not at all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::file::MirrorFile;
use super::object::Object;
use super::rules::Preset;
use super::sets::{Digest, Release, hash_in_name, is_release, releases_above, signature_of};
use super::store::{Kind, Part};
use super::{CacheStatus, Core};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::options::Intent;
use crate::path::VPath;

/// A release is no longer than this; one that is lists nothing.
const RELEASE_BYTES: u64 = 16 << 20;

/// Releases that stay read: an archive has a handful.
const READ_RELEASES: usize = 16;

/// Releases that were read, by the version that they were read from.
#[derive(Debug, Default)]
pub(super) struct Releases(Mutex<VecDeque<(u64, Arc<Release>)>>);

impl Core {
    /// What the file at `path` must sum to, as its name or a release says that is kept.
    pub(super) async fn expected(&self, path: &VPath) -> Option<Digest> {
        if self.options.sets != Preset::Apt {
            return None;
        }
        if let Some(digest) = hash_in_name(path) {
            return Some(digest);
        }
        for release in releases_above(path) {
            let folder = release.parent()?;
            let Some(kept) = self.kept_file(&release).await else { continue };
            if let Ok(release) = self.read_release(&kept).await
                && let Some(digest) = release.digest(&folder, path)
            {
                return Some(digest);
            }
        }
        None
    }

    /// The files that have to change with `new`, a release that follows `old`: each as the source has it now, whole and
    /// seen to fit.
    ///
    /// # Errors
    /// `Unavailable` where the source does not have them yet: then `old` stays.
    pub(super) async fn companions(&self, new: &Arc<Object>, old: &Arc<Object>) -> Result<Vec<Arc<Object>>> {
        let path = new.path();
        let Some(folder) = path.parent().filter(|_| self.options.sets == Preset::Apt && is_release(&path))
        else {
            return Ok(Vec::new());
        };
        let (before, after) = (self.read_release(old).await?, self.read_release(new).await?);
        let mut companions = Vec::new();
        for (index, digest) in after.indices(&folder) {
            if before.digest(&folder, &index) == Some(digest) || self.kept_file(&index).await.is_none() {
                continue;
            }
            let companion = self.fetch_fitting(&index, Some(digest)).await?;
            companions.push(companion);
        }
        if let Some(signature) = signature_of(&path)
            && self.kept_file(&signature).await.is_some()
        {
            companions.push(self.fetch_fitting(&signature, None).await?);
        }
        Ok(companions)
    }

    /// The source's present version, read to its end.
    async fn fetch_fitting(&self, path: &VPath, digest: Option<Digest>) -> Result<Arc<Object>> {
        let found = self.open_source(path, None, Intent::Whole).await?;
        let object = Arc::new(self.object_of(path, found, digest));
        read_through(&object).await?;
        Ok(object)
    }

    /// What is kept of the file at `path`, where that is known without asking the disk for what is not there.
    async fn kept_file(&self, path: &VPath) -> Option<Arc<Object>> {
        let key = self.key(path, Part::Entry);
        if !self.live.contains_key(&key) && !self.store.holds(key) {
            return None;
        }
        let kept = self.stored(key, path).await.ok().flatten();
        kept.filter(|object| object.kind() == Kind::File)
    }

    async fn read_release(&self, object: &Arc<Object>) -> Result<Arc<Release>> {
        let generation = object.generation();
        if let Some(release) = self.releases.find(generation) {
            return Ok(release);
        }
        let text = read_all(object).await?;
        let release = Arc::new(Release::parse(&text));
        self.releases.keep(generation, &release);
        Ok(release)
    }
}

impl Releases {
    fn find(&self, generation: u64) -> Option<Arc<Release>> {
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.iter().find(|(of, _)| *of == generation).map(|(_, release)| Arc::clone(release))
    }

    fn keep(&self, generation: u64, release: &Arc<Release>) {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() == READ_RELEASES {
            read.pop_front();
        }
        read.push_back((generation, Arc::clone(release)));
    }
}

/// Waits until every byte is kept.
async fn read_through(object: &Arc<Object>) -> Result<()> {
    let file = MirrorFile::new(Arc::clone(object), object.describe(CacheStatus::Miss));
    let mut at = 0;
    loop {
        match file.read_at(at, usize::MAX).await?.len() {
            0 => return Ok(()),
            read => at += read as u64,
        }
    }
}

async fn read_all(object: &Arc<Object>) -> Result<Bytes> {
    let file = MirrorFile::new(Arc::clone(object), object.describe(CacheStatus::Miss));
    let mut all = BytesMut::new();
    loop {
        let bytes = file.read_at(all.len() as u64, usize::MAX).await?;
        if bytes.is_empty() {
            return Ok(all.freeze());
        }
        all.extend_from_slice(&bytes);
        if all.len() as u64 > RELEASE_BYTES {
            let detail = "a release is longer than 16 MiB";
            return Err(Error::new(ErrorKind::LimitExceeded, "read_at", &object.path()).with_detail(detail));
        }
    }
}

//! Keeping sets together: a release is published here with the indices that it lists, or not at all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use super::file::MirrorFile;
use super::object::{HoldsBack, Object};
use super::packages::Apt;
use super::pages::Pip;
use super::run::RETRY;
use super::sets::{Digest, Release, hash_in_name, is_package, is_release, releases_above, signature_of};
use super::store::{Kind, Part};
use super::{Core, Subject};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::file_system::File;
use crate::metadata::CacheStatus;
use crate::options::{Intent, Sought};
use crate::path::VPath;

/// A release is no longer than this; one that is lists nothing.
const RELEASE_BYTES: u64 = 16 << 20;

/// Releases that stay read: an archive has a handful.
const READ_RELEASES: usize = 16;

/// Files that make sense together only.
#[derive(Clone, Debug, Default)]
pub enum Sets {
    /// Each file stands for itself.
    #[default]
    None,
    /// A Debian archive: a release, the indices that it lists and the packages that these list, and files that are named by
    /// their hash.
    Apt(Arc<Apt>),
    /// The site of this number of an index of Python packages: 0 is the index.
    Pip(Arc<Pip>, usize),
}

/// Releases that were read, by the version that they were read from.
#[derive(Debug, Default)]
pub(super) struct Releases(Mutex<VecDeque<(u64, Arc<Release>)>>);

impl Sets {
    /// True where a reader of a file from its start sees it come before all of it was seen to fit, but for the end: files
    /// that are large, and whose readers check them too.
    pub(super) fn holds_back(&self, path: &VPath) -> HoldsBack {
        match self {
            Self::Pip(..) => HoldsBack::End,
            Self::Apt(_) if is_package(path) => HoldsBack::End,
            Self::None | Self::Apt(_) => HoldsBack::All,
        }
    }
}

impl Core {
    /// Learns what there is to learn of `subject` before it is asked for.
    pub(super) async fn prepare(self: &Arc<Self>, subject: &Subject) {
        if let Sets::Apt(apt) = &self.options.sets
            && is_package(&subject.path)
        {
            self.read_indices(apt, &subject.path).await;
        }
    }

    /// What the file must sum to, as its name, a release or a page says that is kept.
    pub(super) async fn expected(self: &Arc<Self>, subject: &Subject) -> Option<Digest> {
        match &self.options.sets {
            Sets::Apt(apt) if subject.part == Part::Entry => match self.listed(&subject.path).await {
                None if is_package(&subject.path) => apt.digest(&subject.path),
                listed => listed,
            },
            Sets::Pip(pip, site) if subject.part == Part::Entry => pip.digest(*site, &subject.path).await,
            _ => None,
        }
    }

    async fn listed(self: &Arc<Self>, path: &VPath) -> Option<Digest> {
        if let Some(digest) = hash_in_name(path) {
            return Some(digest);
        }
        for release in releases_above(path) {
            let folder = release.parent()?;
            let Some(kept) = self.kept_file(&Subject::entry(&release)).await else { continue };
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
    pub(super) async fn companions(
        self: &Arc<Self>,
        new: &Arc<Object>,
        old: &Arc<Object>,
    ) -> Result<Vec<Arc<Object>>> {
        let path = new.path();
        let Some(folder) =
            path.parent().filter(|_| matches!(self.options.sets, Sets::Apt(_)) && is_release(&path))
        else {
            return Ok(Vec::new());
        };
        let (before, after) = (self.read_release(old).await?, self.read_release(new).await?);
        let mut companions = Vec::new();
        for (index, digest) in after.indices(&folder, |_| true) {
            if before.digest(&folder, &index) == Some(digest)
                || self.kept_file(&Subject::entry(&index)).await.is_none()
            {
                continue;
            }
            let companion = self.fetch_fitting(&index, Some(digest)).await?;
            companions.push(companion);
        }
        if let Some(signature) = signature_of(&path)
            && self.kept_file(&Subject::entry(&signature)).await.is_some()
        {
            companions.push(self.fetch_fitting(&signature, None).await?);
        }
        Ok(companions)
    }

    /// Refuses what is no release where one should be: a page that somebody on the way has put there lists nothing, and
    /// what it would take the place of is good.
    ///
    /// # Errors
    /// `Unavailable`; what its source fails with.
    pub(super) async fn expect_release(&self, new: &Arc<Object>) -> Result<()> {
        let path = new.path();
        let Sets::Apt(apt) = &self.options.sets else { return Ok(()) };
        if new.kind() != Kind::File || !is_release(&path) {
            return Ok(());
        }
        if self.read_release(new).await?.is_one() {
            apt.forget();
            return Ok(());
        }
        let detail =
            "what the source sent is no release of a Debian archive: somebody on the way may want a login";
        Err(Error::new(ErrorKind::Unavailable, "open", &path)
            .with_detail(detail)
            .with_retry(Retry::After(RETRY)))
    }

    /// The source's present version, read to its end.
    async fn fetch_fitting(&self, path: &VPath, digest: Option<Digest>) -> Result<Arc<Object>> {
        let subject = Subject::entry(path);
        let found = self.open_source(&subject, None, Intent::Whole, Sought::File).await?;
        let object = Arc::new(self.object_of(&subject, found, digest));
        read_through(&object).await?;
        Ok(object)
    }

    pub(super) async fn read_release(&self, object: &Arc<Object>) -> Result<Arc<Release>> {
        let generation = object.generation();
        if let Some(release) = self.releases.find(generation) {
            return Ok(release);
        }
        let text = read_all(object, RELEASE_BYTES).await?;
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
pub(super) async fn read_through(object: &Arc<Object>) -> Result<()> {
    let file = MirrorFile::new(Arc::clone(object), object.describe(CacheStatus::Miss));
    let mut at = 0;
    loop {
        match file.read_at(at, usize::MAX).await?.len() {
            0 => return Ok(()),
            read => at += read as u64,
        }
    }
}

/// All that is kept of a file, or is on its way.
pub(super) async fn read_all(object: &Arc<Object>, limit: u64) -> Result<Bytes> {
    let file = MirrorFile::new(Arc::clone(object), object.describe(CacheStatus::Miss));
    drain(&file, limit, &object.path()).await
}

/// The content of a file that is small enough to be held.
///
/// # Errors
/// `LimitExceeded` where it is longer than `limit`.
pub(super) async fn drain(file: &dyn File, limit: u64, path: &VPath) -> Result<Bytes> {
    let mut all = BytesMut::new();
    loop {
        let bytes = file.read_at(all.len() as u64, usize::MAX).await?;
        if bytes.is_empty() {
            return Ok(all.freeze());
        }
        all.extend_from_slice(&bytes);
        if all.len() as u64 > limit {
            let detail = format!("it is longer than the {} MiB that are read of it", limit >> 20);
            return Err(Error::new(ErrorKind::LimitExceeded, "read_at", path).with_detail(detail));
        }
    }
}

/// What all that is kept of a file sums to.
pub(super) async fn digest_of(object: &Arc<Object>) -> Result<Digest> {
    let file = MirrorFile::new(Arc::clone(object), object.describe(CacheStatus::Hit));
    let (mut sum, mut at) = (Sha256::new(), 0);
    loop {
        let bytes = file.read_at(at, usize::MAX).await?;
        if bytes.is_empty() {
            return Ok(sum.finalize().into());
        }
        at += bytes.len() as u64;
        sum = object.store.disk().run("read_at", move || sum.chain_update(&bytes)).await?;
    }
}

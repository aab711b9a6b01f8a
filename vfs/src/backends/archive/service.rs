//! [`ArchiveService`]: enters archives, whatever scheme names them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;

use super::budget::Budget;
use super::decoded::DecodedFile;
use super::fs::{Archive, ArchiveFs};
use super::growing::Growing;
use super::gzip::{Gzip, SPACING_BYTES};
use super::index::{IndexOptions, Store};
use super::member::Origin;
use super::pass::{self, Bounds};
use super::progress::Passing;
use super::sniff::{Format, head};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, FileSystem};
use crate::metadata::Identity;
use crate::path::{Scheme, VPath};
use crate::registry::EnterArchive;

/// Bounds of all archives of a service.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// How long a call waits for a name that the first pass has not come to. Default: 10 s; then it is `NotYet`.
    pub patience: Duration,
    /// Names in one archive, made-up folders included. Default: 4 million, which take about 400 MiB; an archive with
    /// more serves as many and ends in `LimitExceeded`.
    pub names: usize,
    /// Memory of all archives: decoded blocks, decoders that rest, seek points, names. What can be made again goes first
    /// where more is needed. Default: 256 MiB.
    pub memory: usize,
    /// Content that a first pass reads of a compressed archive; what lies behind it is `LimitExceeded`. Default: 64 TiB.
    pub content_bytes: u64,
    /// Time of the processor that decoding in a first pass takes; then it is `LimitExceeded`. Default: 8 hours.
    pub cpu: Duration,
    /// Where indexes are kept.
    pub index: IndexOptions,
}

/// Enters archives: one service a program, so that whoever asks for the same archive shares its first pass.
#[derive(Debug)]
pub struct ArchiveService {
    options: ArchiveOptions,
    budget: Arc<Budget>,
    store: Arc<Store>,
    /// The archives that somebody holds, by what they are made of.
    held: Mutex<HashMap<(Identity, Format), Weak<Archive>>>,
}

impl ArchiveService {
    /// The schemes that can be entered.
    pub const SCHEMES: &[Scheme] = &[Scheme::Tar, Scheme::Tgz, Scheme::Auto];

    /// A service with no archive entered.
    pub fn new(options: ArchiveOptions) -> Self {
        let budget = Budget::new(options.memory);
        let store = Store::new(options.index.clone(), &budget);
        Self { options, budget, store, held: Mutex::default() }
    }

    /// The archive that `scheme` names in `file`.
    pub(super) async fn archive(
        &self,
        scheme: Scheme,
        file: Arc<dyn File>,
        path: &VPath,
    ) -> Result<Arc<Archive>> {
        let head = head(&*file).await.map_err(|error| error.readdressed(|_| path.clone()))?;
        let found = Format::of(&head);
        match (scheme, found) {
            (Scheme::Tar | Scheme::Auto, Some(Format::Tar)) => Ok(self.tar(&file, path)),
            (Scheme::Tgz | Scheme::Auto, Some(Format::Gzip)) => self.tgz(scheme, &file, path).await,
            _ => Err(refusal(scheme, found, path)),
        }
    }

    /// The archives that somebody holds.
    pub(super) fn archives(&self) -> Vec<Arc<Archive>> {
        self.held().values().filter_map(Weak::upgrade).collect()
    }

    /// The tar in `file`.
    fn tar(&self, file: &Arc<dyn File>, path: &VPath) -> Arc<Archive> {
        let (store, names) = (Arc::clone(&self.store), self.options.names);
        let pass = |archive| pass::scan_tar(Arc::clone(file), archive, store, names);
        self.shared(Format::Tar, file, path, Arc::clone(file), pass)
    }

    /// The tar under gzip in `file`.
    async fn tgz(&self, scheme: Scheme, file: &Arc<dyn File>, path: &VPath) -> Result<Arc<Archive>> {
        let decoded =
            Arc::new(DecodedFile::new(Arc::clone(file), Arc::new(Gzip::new(SPACING_BYTES)), &self.budget));
        let inside = head(&*decoded).await.map_err(|error| error.readdressed(|_| path.clone()))?;
        match Format::of(&inside) {
            Some(Format::Tar) => {
                let source = Arc::clone(&decoded);
                let (store, names) = (Arc::clone(&self.store), self.options.names);
                let bounds = Bounds { content: self.options.content_bytes, cpu: self.options.cpu };
                let pass = |archive| pass::scan_decoded(decoded, archive, store, "gzip", bounds, names);
                Ok(self.shared(Format::Gzip, file, path, source, pass))
            }
            inside => {
                let inside = inside.map_or("something that is not known here", Format::as_str);
                let detail = format!("#{scheme}: needs a tar, and it holds gzip data with {inside} in it");
                Err(Error::new(ErrorKind::InvalidInput, "enter", path).with_detail(detail))
            }
        }
    }

    /// The archive of this format in `file`: the one that is held, or a new one with a pass of its own.
    fn shared<P: Future<Output = ()> + Send + 'static>(
        &self,
        format: Format,
        file: &Arc<dyn File>,
        path: &VPath,
        source: Arc<dyn File>,
        pass: impl FnOnce(Weak<Archive>) -> P,
    ) -> Arc<Archive> {
        let identity = file.identity();
        let key = identity.clone().map(|identity| (identity, format));
        let mut held = self.held();
        if let Some(archive) = key.as_ref().and_then(|key| held.get(key)).and_then(Weak::upgrade) {
            return archive;
        }
        let archive = Arc::new(Archive {
            growing: Growing::new(self.options.names, self.options.patience),
            source,
            origin: Origin::new(identity),
            path: path.clone(),
            passing: Passing::default(),
            share: self.budget.owner(),
        });
        if let Some(key) = key {
            held.retain(|_, archive| archive.strong_count() > 0);
            held.insert(key, Arc::downgrade(&archive));
        }
        tokio::spawn(pass(Arc::downgrade(&archive)));
        archive
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(Identity, Format), Weak<Archive>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ArchiveOptions {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            names: 4_000_000,
            memory: 256 << 20,
            content_bytes: 64 << 40,
            cpu: Duration::from_secs(8 * 3600),
            index: IndexOptions::default(),
        }
    }
}

#[async_trait]
impl EnterArchive for ArchiveService {
    async fn enter(&self, scheme: Scheme, file: Arc<dyn File>, path: &VPath) -> Result<Arc<dyn FileSystem>> {
        Ok(Arc::new(ArchiveFs::new(self.archive(scheme, file, path).await?)))
    }
}

/// Says what was found instead of what was named.
fn refusal(scheme: Scheme, found: Option<Format>, path: &VPath) -> Error {
    let found = found.map_or("nothing that is known here", Format::as_str);
    let detail = match scheme {
        Scheme::Auto => format!("it holds {found}, which cannot be entered"),
        scheme => format!("#{scheme}: was asked for, and it holds {found}"),
    };
    Error::new(ErrorKind::InvalidInput, "enter", path).with_detail(detail)
}

//! [`ArchiveService`]: enters archives, whatever scheme names them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;

use super::bare::{self, Bare};
use super::bounds::Bounds;
use super::budget::Budget;
use super::decoded::DecodedFile;
use super::entry::{Entry, Kind, seconds};
use super::fs::{Archive, ArchiveFs, Contents};
use super::growing::Growing;
use super::index::{IndexOptions, Store};
use super::layout::Layout;
use super::member::Origin;
use super::packing::Packing;
use super::pass;
use super::progress::Passing;
use super::sniff::{self, Format, head};
use super::spool::Spools;
use super::zipped::Zipped;
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
    /// Content that a byte of a compressed archive may stand for, once [`ratio_from`](Self::ratio_from) has come of it.
    /// Default: 200; more is taken for a bomb, and reading ends in `LimitExceeded`. What came before is served.
    pub ratio: u64,
    /// Content below which nobody looks at the ratio: zeros are common at the beginning of archives, disk images for one,
    /// and so many cost a second. Default: 256 MiB.
    pub ratio_from: u64,
    /// Time of one core that the first pass of one archive may take. Default: one hour, which is some 3 TB of gzip or
    /// 200 GB of bzip2; then it ends in `LimitExceeded`.
    pub work: Duration,
    /// Disk space for the content of all archives that cannot be entered in the middle: xz of one block, zstd of one
    /// frame. Default: 4 GiB. What does not fit is `LimitExceeded`; the space of an archive is free when nobody holds it
    /// any more.
    pub spool_bytes: u64,
    /// Where that space is taken, by files without a name. Default: the system's folder for temporary files.
    pub spool_folder: PathBuf,
    /// Memory of all archives: decoded blocks, decoders that rest, seek points, names. What can be made again goes first
    /// where more is needed. Default: 256 MiB.
    pub memory: usize,
    /// Content that a first pass reads of a compressed archive; what lies behind it is `LimitExceeded`. Default: 64 TiB.
    pub content_bytes: u64,
    /// A tar goes on behind the zeros that end it, as for `tar --ignore-zeros`: several archives, one behind the other, are
    /// one. Default: it ends there, and what lies behind is remarked on.
    pub ignore_zeros: bool,
    /// A tar goes on at the next header behind one that makes no sense, which is remarked on. Default: it ends there. Where
    /// a header is lost that stood before an archive within the archive, that one's entries are taken for its own.
    pub resync: bool,
    /// Where indexes are kept.
    pub index: IndexOptions,
}

/// Enters archives: one service a program, so that whoever asks for the same archive shares its first pass. A clone is
/// the same service.
#[derive(Clone, Debug)]
pub struct ArchiveService {
    options: Arc<ArchiveOptions>,
    spools: Arc<Spools>,
    budget: Arc<Budget>,
    store: Arc<Store>,
    /// The archives that somebody holds, by what they are made of.
    held: Arc<Mutex<HashMap<Key, Weak<Archive>>>>,
}

/// What an archive is made of: a file's content, and how it is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    identity: Identity,
    layout: Layout,
    /// What the member of a bare file is called, which comes from the address; else nothing.
    name: Vec<u8>,
}

/// What an archive that nobody holds begins with.
struct Making {
    growing: Growing,
    contents: Contents,
    decoded: Option<Arc<DecodedFile>>,
}

impl ArchiveService {
    /// The schemes that can be entered.
    pub const SCHEMES: &[Scheme] = &[
        Scheme::Tar,
        Scheme::Tgz,
        Scheme::Tbz2,
        Scheme::Txz,
        Scheme::Tzst,
        Scheme::Zip,
        Scheme::Gz,
        Scheme::Bz2,
        Scheme::Xz,
        Scheme::Zst,
        Scheme::Auto,
    ];

    /// A service with no archive entered.
    pub fn new(options: ArchiveOptions) -> Self {
        let spools = Arc::new(Spools::new(options.spool_folder.clone(), options.spool_bytes));
        let budget = Budget::new(options.memory);
        let store = Store::new(options.index.clone(), &budget);
        Self { options: Arc::new(options), spools, budget, store, held: Arc::default() }
    }

    /// The archive that `scheme` names in `file`, or finds in it.
    pub(super) async fn archive(
        &self,
        scheme: Scheme,
        file: &Arc<dyn File>,
        path: &VPath,
    ) -> Result<Arc<Archive>> {
        let head = head(&**file).await?;
        let found = Format::of(&head);
        match (Layout::named_by(scheme), found) {
            // Its truth is at its end: something else may stand before it.
            (Some(Layout::Zip), _) | (None, Some(Format::Zip) | None) => {
                let entered = self.zip(file, path).await;
                entered.map_err(|error| match error.kind() {
                    ErrorKind::InvalidInput => refusal(scheme, sniff::name_of(&head), path),
                    _ => error,
                })
            }
            (Some(Layout::Tar) | None, Some(Format::Tar)) => Ok(self.tar(file, path)),
            (Some(layout), Some(Format::Packed(packing))) if layout.outside() == Format::Packed(packing) => {
                self.packed(scheme, packing, Some(layout), file, path, &head).await
            }
            (None, Some(Format::Packed(packing))) => {
                self.packed(scheme, packing, None, file, path, &head).await
            }
            _ => Err(refusal(scheme, sniff::name_of(&head), path)),
        }
    }

    /// The archives that somebody holds.
    pub(super) fn archives(&self) -> Vec<Arc<Archive>> {
        self.held().values().filter_map(Weak::upgrade).collect()
    }

    fn tar(&self, file: &Arc<dyn File>, path: &VPath) -> Arc<Archive> {
        let (contents, growing) = (Contents::Pieces(Arc::clone(file)), self.growing());
        let (store, tar) = (Arc::clone(&self.store), self.tar_options());
        let making = Making { growing, contents, decoded: None };
        self.shared(Key::new(file, Layout::Tar), file, path, making, |archive| {
            tokio::spawn(pass::scan_tar(Arc::clone(file), archive, store, tar));
        })
    }

    async fn zip(&self, file: &Arc<dyn File>, path: &VPath) -> Result<Arc<Archive>> {
        let key = Key::new(file, Layout::Zip);
        if let Some(archive) = self.find(key.as_ref()) {
            return Ok(archive);
        }
        let growing = self.growing();
        let zipped = Zipped::read(Arc::clone(file), &growing, &self.budget).await?;
        let making = Making { growing, contents: Contents::Zipped(zipped), decoded: None };
        Ok(self.shared(key, file, path, making, |archive| settle(&archive)))
    }

    /// What is in compressed data: `layout`, or what is found where nothing is named.
    async fn packed(
        &self,
        scheme: Scheme,
        packing: Packing,
        layout: Option<Layout>,
        file: &Arc<dyn File>,
        path: &VPath,
        outside: &[u8],
    ) -> Result<Arc<Archive>> {
        let unpacked = packing.open(file, &self.spools, &self.budget, self.bounds()).await?;
        let layout = match layout {
            Some(Layout::Bare(_)) => Layout::Bare(packing),
            named => {
                let inside = head(&*unpacked.decoded).await?;
                match (named, Format::of(&inside)) {
                    (_, Some(Format::Tar)) => Layout::PackedTar(packing),
                    (None, _) => Layout::Bare(packing),
                    (Some(_), _) => {
                        let (outside, inside) = (packing.as_str(), sniff::name_of(&inside));
                        return Err(refusal(scheme, &format!("{outside} with {inside} in it"), path));
                    }
                }
            }
        };
        let (source, bounds) = (unpacked.source(), self.bounds());
        let decoded = Some(Arc::clone(&unpacked.decoded));
        if layout == Layout::PackedTar(packing) {
            let contents = Contents::Pieces(source);
            let (store, tar) = (Arc::clone(&self.store), self.tar_options());
            let making = Making { growing: self.growing(), contents, decoded };
            return Ok(self.shared(Key::new(file, layout), file, path, making, |archive| {
                tokio::spawn(pass::scan_unpacked(unpacked, packing, bounds, archive, store, tar));
            }));
        }
        let name = bare::name_of(path, packing, outside);
        let growing = self.growing();
        growing.append(&[sole(name.clone(), file).await?]).map_err(|_| full(path))?;
        growing.end(Ok(()));
        let key = Key::new(file, layout).map(|key| Key { name, ..key });
        // Where a table of contents told all, nothing is left for a pass but to fill a spool.
        let is_known = unpacked.len.is_some() && unpacked.spool.is_none();
        if is_known {
            unpacked.decoded.learn(|known| known.len = unpacked.len);
        }
        let contents = Contents::Bare(Bare::new(source, unpacked.len));
        let store = Arc::clone(&self.store);
        let making = Making { growing, contents, decoded };
        Ok(self.shared(key, file, path, making, |archive| {
            if is_known {
                settle(&archive);
            } else {
                tokio::spawn(pass::measure(unpacked, packing, bounds, archive, store));
            }
        }))
    }

    /// The archive of this key: the one that is held, or a new one, for which `start` begins a pass.
    fn shared(
        &self,
        key: Option<Key>,
        file: &Arc<dyn File>,
        path: &VPath,
        making: Making,
        start: impl FnOnce(Weak<Archive>),
    ) -> Arc<Archive> {
        let mut held = self.held();
        let known = key.as_ref().and_then(|key| held.get(key)).and_then(Weak::upgrade);
        if let Some(archive) = known.filter(|archive| !archive.is_outdated()) {
            return archive;
        }
        let Making { growing, contents, decoded } = making;
        let archive = Arc::new(Archive {
            growing,
            content: contents,
            origin: Origin::new(file.identity()),
            path: path.clone(),
            passing: Passing::default(),
            share: self.budget.owner(),
            decoded,
            is_kept: AtomicBool::new(false),
        });
        archive.charge();
        if let Some(key) = key {
            held.retain(|_, archive| archive.strong_count() > 0);
            held.insert(key, Arc::downgrade(&archive));
        }
        start(Arc::downgrade(&archive));
        archive
    }

    fn find(&self, key: Option<&Key>) -> Option<Arc<Archive>> {
        self.held().get(key?).and_then(Weak::upgrade)
    }

    fn growing(&self) -> Growing {
        Growing::new(self.options.names, self.options.patience)
    }

    fn tar_options(&self) -> pass::Tar {
        let ArchiveOptions { names, ignore_zeros, resync, .. } = *self.options;
        pass::Tar { names, ignores_zeros: ignore_zeros, resyncs: resync }
    }

    fn bounds(&self) -> Bounds {
        let ArchiveOptions { ratio, ratio_from, work, content_bytes: content, .. } = *self.options;
        Bounds { ratio, ratio_from, work, content }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Key, Weak<Archive>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    /// None for a file of which nobody can say when it changes.
    fn new(file: &Arc<dyn File>, layout: Layout) -> Option<Self> {
        file.identity().map(|identity| Self { identity, layout, name: Vec::new() })
    }
}

impl Default for ArchiveOptions {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            names: 4_000_000,
            ratio: 200,
            ratio_from: 256 << 20,
            work: Duration::from_secs(3600),
            spool_bytes: 4 << 30,
            spool_folder: std::env::temp_dir(),
            memory: 256 << 20,
            content_bytes: 64 << 40,
            ignore_zeros: false,
            resync: false,
            index: IndexOptions::default(),
        }
    }
}

#[async_trait]
impl EnterArchive for ArchiveService {
    async fn enter(&self, scheme: Scheme, file: Arc<dyn File>, path: &VPath) -> Result<Arc<dyn FileSystem>> {
        let archive = self.archive(scheme, &file, path).await;
        let archive = archive.map_err(|error| error.readdressed(|_| path.clone()))?;
        Ok(Arc::new(ArchiveFs::new(self.clone(), scheme, file, path.clone(), archive)))
    }

    async fn offer(&self, file: &Arc<dyn File>, index: Arc<dyn File>) -> Result<()> {
        self.store.adopt(file, &*index).await
    }
}

/// Says that an archive needs no pass.
fn settle(archive: &Weak<Archive>) {
    if let Some(archive) = archive.upgrade() {
        archive.passing.settle();
    }
}

/// The entry of a bare file's member, which is as old as the file.
async fn sole(name: Vec<u8>, file: &Arc<dyn File>) -> Result<Entry> {
    let modified = file.metadata().await?.modified;
    Ok(Entry {
        name,
        kind: Kind::File,
        link: Vec::new(),
        header: 0,
        data: 0,
        // Nobody asks the catalog how long it is; it has to be the same each time, for the identity that it is part of.
        size: u64::MAX,
        sparse: None,
        mode: None,
        user: None,
        group: None,
        modified: modified.and_then(seconds),
    })
}

fn full(path: &VPath) -> Error {
    Error::new(ErrorKind::LimitExceeded, "enter", path).with_detail("no names are allowed in archives")
}

/// Says what was found instead of what was named.
fn refusal(scheme: Scheme, found: &str, path: &VPath) -> Error {
    let detail = match scheme {
        Scheme::Auto => format!("it holds {found}, which cannot be entered"),
        scheme => format!("#{scheme}: was asked for, and it holds {found}"),
    };
    Error::new(ErrorKind::InvalidInput, "enter", path).with_detail(detail)
}

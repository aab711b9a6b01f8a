//! [`Store`]: the folder of indexes; finds, journals and saves what belongs to an archive.

use std::fs::{self, DirBuilder, File as HostFile};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::contents::{Contents, Point, Stored};
use super::file::IndexFile;
use super::journal::{self, Journal, Replayed};
use super::layout::{self, About, Place, SECTIONS};
use super::names::{PackedNames, Packer};
use super::source::{Fit, Source};
use super::{IndexOptions, IndexPlace, sweep};
use crate::backends::archive::budget::{Budget, Owner};
use crate::backends::archive::catalog::Catalog;
use crate::backends::archive::tar::Boundary;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::jobs::{self, Disk, PIECE_BYTES};
use crate::path::VPath;

/// Indexes are their owner's own: names in archives are nobody else's business.
const FOLDER_MODE: u32 = 0o700;

/// The indexes of a service.
#[derive(Debug)]
pub(in super::super) struct Store {
    options: IndexOptions,
    budget: Arc<Budget>,
    disk: Disk,
}

/// The index of one archive: what is there of it, or will be.
#[derive(Clone, Debug)]
pub(in super::super) struct Keeping {
    store: Arc<Store>,
    folder: PathBuf,
    /// The format, and all else that shapes the index.
    format: String,
    /// The same for its journal, which may go on where an index ends.
    journals: String,
    file: Arc<dyn File>,
    source: Source,
    key: String,
    /// The most names that its catalog takes.
    limit: usize,
}

/// What there is of an archive's index.
#[derive(Debug)]
pub(in super::super) enum Finding {
    Nothing,
    /// All of it.
    Whole {
        contents: Box<Contents>,
        names: Option<PackedNames>,
        /// How the pass ended that made it.
        outcome: Result<()>,
        /// From where on a checksum speaks against the content.
        doubt: Option<u64>,
        /// What is odd about the archive.
        remark: Option<String>,
    },
    /// What was found before the pass was killed, or before the archive grew.
    Part {
        contents: Box<Contents>,
        catalog: Box<Catalog>,
        boundary: Boundary,
        journal: Box<Journal>,
    },
}

/// What a pass that is through leaves behind.
#[derive(Debug)]
pub(in super::super) struct Passed {
    pub(in super::super) points: Vec<Point>,
    pub(in super::super) sums: Vec<u32>,
    pub(in super::super) len: Option<u64>,
    /// The file that stored states are in.
    pub(in super::super) file: Option<Arc<IndexFile>>,
    pub(in super::super) boundary: Boundary,
    /// Bytes of the file that an index of a grown one still fits. Default: all.
    pub(in super::super) prefix: Option<u64>,
    pub(in super::super) outcome: Result<()>,
    /// From where on a checksum speaks against the content.
    pub(in super::super) doubt: Option<u64>,
    /// What is odd about the archive.
    pub(in super::super) remark: Option<String>,
    pub(in super::super) catalog: Option<Arc<Catalog>>,
}

impl Passed {
    /// What was found of a content.
    pub(in super::super) fn of(contents: &Contents) -> Self {
        let (points, sums) = (contents.points().to_vec(), contents.sums().to_vec());
        Self { points, sums, len: contents.len, file: contents.file.clone(), ..Self::default() }
    }
}

impl Default for Passed {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            sums: Vec::new(),
            len: None,
            file: None,
            boundary: Boundary::default(),
            prefix: None,
            outcome: Ok(()),
            doubt: None,
            remark: None,
            catalog: None,
        }
    }
}

impl Store {
    pub(in super::super) fn new(options: IndexOptions, budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { options, budget: Arc::clone(budget), disk: Disk::new() })
    }

    pub(in super::super) fn options(&self) -> &IndexOptions {
        &self.options
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The index of the archive in `file`. `None` where none is kept, or the file is not one that could be known again.
    pub(in super::super) async fn keeping(
        self: &Arc<Self>,
        format: String,
        file: &Arc<dyn File>,
        limit: usize,
    ) -> Option<Keeping> {
        let IndexPlace::Folder(folder) = &self.options.place else { return None };
        let source = Source::of(&**file).await.ok()??;
        let key = source.key(&format);
        let (store, folder, file) = (Arc::clone(self), folder.clone(), Arc::clone(file));
        let journals = format.clone();
        Some(Keeping { store, folder, format, journals, file, source, key, limit })
    }
}

impl Replayed {
    /// What a pass begins with that goes on with `journal`.
    fn found(self, journal: Journal) -> Finding {
        let Self { contents, catalog, boundary, end: _ } = self;
        let (contents, catalog) = (Box::new(contents), Box::new(catalog));
        Finding::Part { contents, catalog, boundary, journal: Box::new(journal) }
    }
}

impl Keeping {
    /// Looks for it. Whatever is wrong with what is there, is told to the log, and nothing is found.
    pub(in super::super) async fn find(&self) -> Finding {
        match self.find_index().await {
            Ok(Finding::Nothing) => {}
            Ok(found) => return found,
            Err(error) => tracing::info!(%error, "an archive's index is ignored"),
        }
        self.find_journal().await.unwrap_or_else(|error| {
            tracing::info!(%error, "the journal of an archive's index is ignored");
            Finding::Nothing
        })
    }

    async fn find_index(&self) -> Result<Finding> {
        let path = self.path("index");
        let open = move || -> io::Result<Option<(HostFile, [Vec<u8>; SECTIONS])>> {
            let file = match HostFile::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            sweep::touch(&file);
            let sections = layout::load(&file)?;
            let sections =
                sections.ok_or_else(|| io::Error::other("it is damaged, or of another version"))?;
            Ok(Some((file, sections)))
        };
        let opened =
            self.store.disk.run("open", open).await?.map_err(|error| unusable(&error.to_string()))?;
        let Some((file, [about, points, sums, ends, names])) = opened else { return Ok(Finding::Nothing) };
        let about = layout::read_about(&about).filter(|about| about.format == self.format);
        let about = about.ok_or_else(|| unusable("its description makes no sense"))?;
        let fit = about.source.fit(&self.source, &*self.file).await?;
        if fit == Fit::Other {
            return Err(unusable("the archive has changed"));
        }
        let points = layout::read_points(&points).ok_or_else(|| unusable("its points make no sense"))?;
        let sums = layout::read_words(&sums).filter(|sums| layout::sums_fit(sums, about.len));
        let sums = sums.ok_or_else(|| unusable("its sums make no sense"))?;
        let names = match about.nodes {
            0 => None,
            nodes => {
                let owner = self.store.budget.owner();
                let ends = layout::read_words(&ends);
                let names =
                    ends.and_then(|ends| PackedNames::new(names.into(), ends, nodes, about.hidden, owner));
                Some(names.ok_or_else(|| unusable("its names make no sense"))?)
            }
        };
        let file = Arc::new(IndexFile::new(file, self.path("index"), self.store.disk.clone()));
        let contents = Contents::stored(points, sums, about.len, file);
        if fit == Fit::Same {
            let contents = Box::new(contents);
            let (outcome, About { doubt, remark, .. }) = (about.outcome(), about);
            return Ok(Finding::Whole { contents, names, outcome, doubt, remark });
        }
        self.extend(contents, names, about).await
    }

    /// Begins where the archive ended before it grew, or where a pass that was killed had come to since.
    async fn extend(
        &self,
        mut contents: Contents,
        names: Option<PackedNames>,
        about: About,
    ) -> Result<Finding> {
        contents.reopen();
        let limit = self.limit;
        let unpack = move || {
            let mut catalog = Catalog::new(limit);
            names.is_none_or(|names| names.unpack_into(&mut catalog).is_some()).then_some(catalog)
        };
        let catalog = jobs::cpu("open", unpack).await?.ok_or_else(|| unusable("its names make no sense"))?;
        tracing::info!(len = about.source.len, "an archive has grown; its index is extended");
        let indexed = Replayed { contents, catalog, boundary: about.boundary, end: 0 };
        // A journal of what was found behind the index makes no sense without it: so it says where it begins.
        let behind = Self { journals: format!("{} from {}", self.format, about.boundary.at), ..self.clone() };
        let (known, journal) = behind.replay_journal(indexed).await?;
        let journal = journal.unwrap_or_else(|| behind.begin_journal(Instant::now()));
        Ok(known.found(journal))
    }

    async fn find_journal(&self) -> Result<Finding> {
        let (replayed, journal) = self.replay_journal(Replayed::nothing(self.limit)).await?;
        Ok(journal.map_or(Finding::Nothing, |journal| replayed.found(journal)))
    }

    /// Adds what the journal holds to what is `known`, and goes on with it; nothing where there is none that fits.
    async fn replay_journal(&self, known: Replayed) -> Result<(Replayed, Option<Journal>)> {
        let (path, format) = (self.path("journal"), self.journals.clone());
        let opened = self.store.disk.run("open", move || journal::open(&path, &format)).await?;
        let Some((mut file, source)) = opened else { return Ok((known, None)) };
        if source.fit(&self.source, &*self.file).await? == Fit::Other {
            tracing::info!("the journal of an archive's index is ignored: the archive has changed");
            return Ok((known, None));
        }
        let replay = move || journal::replay(&mut file, known).map(|replayed| (replayed, file));
        let replayed = self.store.disk.run("open", replay).await?;
        let (replayed, file) = replayed.map_err(|error| unusable(&error.to_string()))?;
        let journal = Journal::new(Some(file), None, Instant::now(), &self.store.disk, &self.store.options);
        Ok((replayed, Some(journal)))
    }

    /// A journal of a pass that has `begun` then; its file is made when there is something worth writing.
    pub(in super::super) fn begin_journal(&self, begun: Instant) -> Journal {
        Journal::new(None, Some(self.clone()), begun, &self.store.disk, &self.store.options)
    }

    /// Makes the journal's file. `None` where that cannot be done: a pass does without.
    pub(super) async fn create_journal(&self) -> Option<HostFile> {
        let source = self.source.clone().sampled(&*self.file, None).await.ok()?;
        let (folder, path, format) = (self.folder.clone(), self.path("journal"), self.journals.clone());
        let create = move || make(&folder).and_then(|()| journal::create(&path, &format, &source));
        match self.store.disk.run("open", create).await.ok()? {
            Ok(file) => file,
            Err(error) => {
                tracing::warn!(%error, "no journal of an archive's index can be kept");
                None
            }
        }
    }

    /// Takes the journal away.
    pub(in super::super) async fn end_journal(&self) {
        let path = self.path("journal");
        // The disk's silence is no reason to fail.
        let _ = self.store.disk.run("remove_file", move || journal::remove(&path)).await;
    }

    /// Writes the index, and gives what it holds: so the states need not stay in memory.
    pub(in super::super) async fn save(&self, passed: Passed) -> Result<Contents> {
        let packed = match &passed.catalog {
            Some(catalog) => Some(pack(Arc::clone(catalog), self.store.budget.owner()).await?),
            None => None,
        };
        let (folder, path) = (self.folder.clone(), self.path("tmp"));
        let create = move || make(&folder).and_then(|()| begin(&path));
        let file = self.store.disk.run("open", create).await?.map_err(|error| failed(&error))?;
        let mut writer = Writer { file: Some(file), at: 0, buffer: Vec::new(), disk: &self.store.disk };
        let contents = self.write(&mut writer, passed, packed).await?;
        let file = writer.finish().await?;
        let (folder, from, to) = (self.folder.clone(), self.path("tmp"), self.path("index"));
        let limit = self.store.options.limit;
        let publish = move || {
            file.sync_all()?;
            fs::rename(&from, &to)?;
            HostFile::open(&folder)?.sync_all()?;
            if let Err(error) = sweep::sweep(&folder, &to, limit, SystemTime::now()) {
                tracing::info!(%error, "the folder of indexes could not be swept");
            }
            HostFile::open(&to).map(|file| IndexFile::new(file, to, Disk::new()))
        };
        let file = self.store.disk.run("rename", publish).await?.map_err(|error| failed(&error))?;
        let (points, sums, len) = contents;
        Ok(Contents::stored(points, sums, len, Arc::new(file)))
    }

    async fn write(
        &self,
        writer: &mut Writer<'_>,
        passed: Passed,
        packed: Option<PackedNames>,
    ) -> Result<(Vec<Point>, Vec<u32>, Option<u64>)> {
        let Passed { points, sums, len, file, boundary, prefix, outcome, doubt, remark, catalog: _ } = passed;
        let prefix = prefix.map(|prefix| self.source.len.map_or(prefix, |len| prefix.min(len)));
        let source = self.source.clone().sampled(&*self.file, prefix).await?;
        let broken = outcome.err().map(|error| (error.kind(), error.detail().unwrap_or_default().to_owned()));
        let (nodes, hidden) = packed.as_ref().map_or((0, 0), |names| (names.nodes, names.hidden));
        let format = self.format.clone();
        let about = About { format, source, len, boundary, broken, doubt, remark, nodes, hidden };
        writer.put(&layout::head()).await?;
        let mut states = Vec::with_capacity(points.len());
        for point in &points {
            let state = point.clone().load(file.clone()).await?.state;
            let (at, len, sum) = (writer.at, state.len(), crc32fast::hash(&state));
            states.push(Stored { at, len, sum });
            writer.put(&state).await?;
        }
        let stored = layout::write_points(&points, &states);
        let (ends, blocks) = packed
            .as_ref()
            .map_or((Vec::new(), &[][..]), |names| (layout::write_words(&names.ends), &names.blocks));
        let about = layout::write_about(&about);
        let words = layout::write_words(&sums);
        let mut places = [Place::default(); SECTIONS];
        for (place, section) in places.iter_mut().zip([&about[..], &stored, &words, &ends, blocks]) {
            *place = Place { at: writer.at, len: section.len() as u64, sum: crc32fast::hash(section) };
            writer.put(section).await?;
        }
        writer.put(&layout::footer(&places)).await?;
        let points = layout::read_points(&stored).expect("what was just written makes sense");
        Ok((points, sums, len))
    }

    /// Where the index lies once it is written.
    pub(in super::super) fn index_path(&self) -> PathBuf {
        self.path("index")
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.key))
    }
}

/// Packs a catalog in jobs, some blocks each.
async fn pack(catalog: Arc<Catalog>, owner: Owner) -> Result<PackedNames> {
    let mut packer = jobs::cpu("write_at", move || Packer::new(catalog)).await?;
    loop {
        let more;
        (packer, more) = jobs::cpu("write_at", move || {
            let more = packer.go_on();
            (packer, more)
        })
        .await?;
        if !more {
            return packer.finish(owner).ok_or_else(|| unusable("its names take more than 4 GiB"));
        }
    }
}

/// Writes an index, a piece a job.
struct Writer<'a> {
    file: Option<HostFile>,
    at: u64,
    buffer: Vec<u8>,
    disk: &'a Disk,
}

impl Writer<'_> {
    async fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        for piece in bytes.chunks(PIECE_BYTES) {
            self.buffer.extend_from_slice(piece);
            if self.buffer.len() >= PIECE_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let (Some(mut file), buffer) = (self.file.take(), std::mem::take(&mut self.buffer)) else {
            return Ok(());
        };
        let write = move || file.write_all(&buffer).map(|()| file);
        self.file = Some(self.disk.run("write_at", write).await?.map_err(|error| failed(&error))?);
        Ok(())
    }

    async fn finish(mut self) -> Result<HostFile> {
        self.flush().await?;
        self.file.take().ok_or_else(|| unusable("it could not be written"))
    }
}

pub(super) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// The file that becomes the index; another process that writes the same one is left alone.
pub(super) fn begin(path: &Path) -> io::Result<HostFile> {
    let file = HostFile::options().write(true).create(true).truncate(false).open(path)?;
    file.try_lock()?;
    file.set_len(0)?;
    Ok(file)
}

pub(super) fn unusable(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "open", &VPath::root()).with_detail(what.to_owned())
}

pub(super) fn failed(error: &io::Error) -> Error {
    let detail = format!("the index of an archive could not be written: {error}");
    Error::new(ErrorKind::Unavailable, "write_at", &VPath::root()).with_detail(detail)
}

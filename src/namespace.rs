//! From mounts to a tree: what `serve` shows, and what the other commands work on.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use vfs::backends::archive::ArchiveOptions;
use vfs::backends::ftp::{FtpOptions, FtpSource, Secret};
use vfs::backends::http::{HttpOptions, HttpSource};
use vfs::backends::local::{Links, LocalFs, LocalOptions};
use vfs::backends::registry;
use vfs::backends::remote::Login;
use vfs::layers::mirror::{Apt, MirrorOptions, Pip, Preset, Sets, Site, Store};
use vfs::layers::{Access, Rules, TimeoutOptions};
use vfs::path::Scheme;
use vfs::{ErrorKind, FileSystem, Keeping, MountOptions, Registry, Traffic, VPath, Vfs, VfsOptions};

use crate::cache::Cache;
use crate::cli::Over;
use crate::config::{
    Archives, CacheFolder, ConfigError, Mount, Packages, Right, Source, host_path, path_of_host,
};
use crate::failure::Failure;

/// What a call of a remote mount may take beyond its site's own deadline.
const GRACE: Duration = Duration::from_secs(5);

/// Between two sweeps of a folder. What they remove is a day old at least; what they give back may be new.
const SWEEP_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

/// What the mounts of a program share: ways to sources and into archives, and the folder where mirrors keep what they fetch.
///
/// One a program, so that whoever asks for an archive shares its first pass, whatever mount it lies in.
#[derive(Debug)]
pub(crate) struct Sources {
    registry: Registry,
    /// `None`: nothing is kept of remote mounts.
    cache: Option<CacheFolder>,
    /// Indexes beside archives are used.
    indexes_beside: bool,
    /// Folders that are mounted for writing are swept.
    sweeps: bool,
    /// Opened for the first mirror: two servers without any share their place in peace.
    store: OnceCell<Option<Arc<Store>>>,
    /// Indexes of Python packages, by the mounts that make them up, which share them.
    indexes: Mutex<HashMap<Parts, Arc<Pip>>>,
}

/// URLs and places of the mounts that make up an index.
type Parts = Vec<(String, VPath)>;

impl Sources {
    /// For a server: its remote mounts are mirrors, and what broken uploads leave in its folders is swept.
    pub(crate) fn of_server(cache: &CacheFolder, archives: Archives) -> Self {
        let place = cache.place.clone().unwrap_or_else(Cache::usual);
        Self { cache: Some(cache.clone()), sweeps: true, ..Self::looking(&place, archives) }
    }

    /// For who only looks: nothing is kept of remote mounts.
    pub(crate) fn looking(cache: &Cache, archives: Archives) -> Self {
        let Archives { ignore_zeros, resync, indexes_beside } = archives;
        let options =
            ArchiveOptions { ignore_zeros, resync, index: cache.indexes(), ..ArchiveOptions::default() };
        Self { indexes_beside, ..Self::with(options) }
    }

    /// For a command: somebody waits for its end, so it waits for an archive's first pass as long as that takes.
    fn patient(over: &Over) -> Self {
        Self::with(patient_archives(&Cache::usual(), over))
    }

    fn with(archives: ArchiveOptions) -> Self {
        Self {
            registry: registry(archives),
            cache: None,
            indexes_beside: false,
            sweeps: false,
            store: OnceCell::new(),
            indexes: Mutex::default(),
        }
    }

    /// An empty tree.
    fn space(&self) -> Arc<Vfs> {
        let options = VfsOptions { indexes_beside: self.indexes_beside, ..VfsOptions::default() };
        Vfs::with_options(self.registry.clone(), options)
    }

    /// What is to be kept of `mount`.
    async fn keeping(&self, mount: &Mount, login: Option<&Login>) -> Result<Option<Keeping>, Failure> {
        let preset = mount.mirror.preset.filter(|_| mount.source.is_remote() && !mount.writable);
        let (Some(cache), Some(preset)) = (&self.cache, preset) else { return Ok(None) };
        let store = self.store.get_or_try_init(|| open_store(cache)).await?;
        let name = name_of(mount, login);
        let (rules, tolerances) = (mount.mirror.rules(), mount.mirror.tolerances);
        let (sets, download) = (self.sets(preset, mount), mount.mirror.download);
        let options = MirrorOptions { rules, sets, tolerances, download };
        Ok(store.clone().map(|store| Keeping { store, name, options }))
    }

    /// Which files of `mount` belong together.
    fn sets(&self, preset: Preset, mount: &Mount) -> Sets {
        match preset {
            Preset::Generic => Sets::None,
            Preset::Apt => Sets::Apt(Apt::new(self.registry.clone())),
            Preset::Pip => {
                let (sites, part) = match &mount.mirror.packages {
                    Some(Packages { sites, part }) => (sites.clone(), *part),
                    // Its files lie where it lies itself.
                    None => (vec![(mount.source.url(), mount.at.clone())], 0),
                };
                let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
                let index = indexes.entry(sites).or_insert_with_key(|sites| {
                    Pip::new(sites.iter().filter_map(|(url, at)| Site::new(url, at.clone())).collect())
                });
                Sets::Pip(Arc::clone(index), part)
            }
        }
    }
}

/// What a mount's source is called in the cache: its URL, and of a login in it or beside it only what tells it from others.
fn name_of(mount: &Mount, login: Option<&Login>) -> Arc<str> {
    let beside =
        login.map(|login| format!("{}\0{}", login.user, login.password.as_deref().unwrap_or_default()));
    let (shown, written) = match &mount.source {
        Source::Url(url) => (mount.source.to_string(), url.as_str()),
        Source::Path(_) => return mount.source.to_string().into(),
    };
    if beside.is_none() && shown == written {
        return shown.into();
    }
    let digest = Sha256::digest(format!("{written}\0{}", beside.unwrap_or_default()));
    let mark: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{shown} as {mark}").into()
}

/// Opens the folder for what mirrors keep. Where it is the usual place, and in use already, nothing is kept; nor where it
/// cannot be written to: who is served need not suffer from that.
async fn open_store(cache: &CacheFolder) -> Result<Option<Arc<Store>>, Failure> {
    let place = cache.place.clone().unwrap_or_else(Cache::usual);
    match place.store(cache.options).await {
        Err(error) if cache.place.is_none() => {
            tracing::warn!(%error, "nothing is kept of remote mounts: name a folder with --cache DIR");
            Ok(None)
        }
        Err(error) if cannot_be_written(error.kind()) => {
            tracing::warn!(%error, "nothing is kept of remote mounts, which are passed through: the cache folder cannot \
                                    be written to");
            Ok(None)
        }
        store => store.map_err(|error| Failure::Usage(error.to_string())),
    }
}

fn cannot_be_written(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ReadOnly | ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Bounds of archives for a command.
pub(crate) fn patient_archives(cache: &Cache, over: &Over) -> ArchiveOptions {
    let Over { ignore_zeros, resync, .. } = *over;
    let (patience, index) = (Duration::MAX, cache.indexes());
    ArchiveOptions { patience, ignore_zeros, resync, index, ..ArchiveOptions::default() }
}

/// The tree that `serve` shows: `mounts` and nothing else, read-only but for those that are to be writable.
///
/// # Errors
/// [`Failure::Usage`], which names the mount whose source cannot be had.
pub(crate) async fn served(mounts: &[Mount], sources: &Sources) -> Result<Arc<Vfs>, Failure> {
    let space = sources.space();
    for mount in mounts {
        prepare(mount, Mode::served(mount), sources).await?.lay(&space)?;
    }
    Ok(space)
}

/// What `rights` let everybody do with the tree.
///
/// # Errors
/// [`Failure::Usage`] for rules that contradict each other.
pub(crate) fn rules(rights: &[Right]) -> Result<Rules, Failure> {
    if rights.is_empty() {
        return Ok(Rules::unrestricted());
    }
    let mut rules: Vec<_> = rights.iter().map(|right| (right.path.clone(), right.access)).collect();
    if !rights.iter().any(|right| right.path.is_root()) {
        rules.push((VPath::root(), Access::READ));
    }
    Rules::new(rules).map_err(|error| Failure::Usage(format!("[[right]]: {error}")))
}

/// A mount whose source is open.
#[derive(Debug)]
pub(crate) struct Prepared {
    mount: Mount,
    tree: Arc<dyn FileSystem>,
    options: MountOptions,
}

/// Opens a mount's source.
///
/// # Errors
/// As [`served`].
pub(crate) async fn prepare(mount: &Mount, mode: Mode, sources: &Sources) -> Result<Prepared, Failure> {
    let traffic = Arc::<Traffic>::default();
    let login = mount.remote.login().map_err(|says| refused(mount, says))?;
    let tree = match &mount.source {
        Source::Url(url) => sites(sources, mount, login.clone(), &traffic)?.connect(url).await,
        Source::Path(path) => open(path, mode, sources).await,
    };
    let writable = mode == Mode::Write;
    let remote = mount.source.is_remote();
    let source = mount.source.to_string();
    let mut options = MountOptions { writable, remote, source, ..MountOptions::default() };
    if remote {
        options.traffic = Some(traffic);
        options.mirror = sources.keeping(mount, login.as_ref()).await?;
        // The site's own deadlines come first, so that what is told is why.
        let TimeoutOptions { call, settle } = options.timeout;
        options.timeout = TimeoutOptions { call: call.max(mount.remote.patience() + GRACE), settle };
    }
    match tree {
        Ok(tree) => Ok(Prepared { mount: mount.clone(), tree, options }),
        Err(error) => Err(refusal(mount, &error)),
    }
}

impl Prepared {
    /// Puts it into the tree.
    ///
    /// # Errors
    /// [`Failure::Usage`] where something is mounted there.
    pub(crate) fn lay(self, space: &Vfs) -> Result<(), Failure> {
        change(space, [], [self])
    }
}

/// Takes the mounts `gone` away and puts `added` into the tree, all at once or not at all.
///
/// # Errors
/// As [`Prepared::lay`].
pub(crate) fn change<'a>(
    space: &Vfs,
    gone: impl IntoIterator<Item = &'a Mount>,
    added: impl IntoIterator<Item = Prepared>,
) -> Result<(), Failure> {
    let mut refused = None;
    let changed = space.change(|changes| {
        for mount in gone {
            changes.unmount(&mount.at)?;
        }
        for Prepared { mount, tree, options } in added {
            changes
                .mount(&mount.at, tree, options)
                .inspect_err(|error| refused = Some(refusal(&mount, error)))?;
        }
        Ok(())
    });
    changed.map_err(|error| refused.unwrap_or_else(|| Failure::from(error)))
}

fn refused(mount: &Mount, says: String) -> Failure {
    ConfigError::new(&mount.origin, says).into()
}

fn refusal(mount: &Mount, error: &vfs::Error) -> Failure {
    let why = match (&mount.source, error.kind(), error.detail()) {
        (Source::Path(path), ErrorKind::NotFound, _) => {
            format!("there is no {path}: create it, or name another folder")
        }
        (source, kind, None) => format!("{source}: {kind}"),
        (source, kind, Some(detail)) => format!("{source}: {kind}: {detail}"),
    };
    refused(mount, why)
}

/// What a mount lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Reading.
    Read,
    /// Changes, too.
    Write,
}

impl Mode {
    /// What `serve` lets through.
    pub(crate) fn served(mount: &Mount) -> Self {
        if mount.writable { Self::Write } else { Self::Read }
    }
}

/// A folder of this machine; or what an address leads to inside of an archive, as a tree of its own. An archive that is
/// named without a marker is entered by what it looks like.
async fn open(path: &VPath, mode: Mode, sources: &Sources) -> vfs::Result<Arc<dyn FileSystem>> {
    let folder = path_of_host(path);
    let is_archive = path.archive_depth() == 0 && folder.is_file();
    let inside = if is_archive { path.entered(Scheme::Auto) } else { None };
    match inside.as_ref().unwrap_or(path) {
        path if path.archive_depth() == 0 => {
            let options = LocalOptions { writable: mode == Mode::Write, ..LocalOptions::default() };
            let tree = Arc::new(LocalFs::open_with(folder, &options)?);
            if mode == Mode::Write && sources.sweeps {
                tokio::spawn(sweep(Arc::downgrade(&tree)));
            }
            Ok(tree)
        }
        inside => {
            let space = host(Mode::Read, sources)?;
            // Asked once here, so that a missing archive is an error of the mount and not of each visit.
            space.read_dir(inside, &vfs::ListOptions::default()).await?;
            Ok(space.subtree(inside))
        }
    }
}

/// Removes what uploads have left behind, now and every [`SWEEP_PAUSE`], as long as the folder is mounted.
async fn sweep(tree: Weak<LocalFs>) {
    while let Some(mounted) = tree.upgrade() {
        match mounted.sweep().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, folder = ?mounted, "leftovers of uploads were removed"),
            Err(error) => tracing::warn!(%error, folder = ?mounted, "leftovers of uploads stay"),
        }
        drop(mounted);
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
}

/// The host's own tree, where links mean what they mean on the host.
fn host(mode: Mode, sources: &Sources) -> vfs::Result<Arc<Vfs>> {
    let writable = mode == Mode::Write;
    let root = LocalFs::open_with("/", &LocalOptions { writable, links: Links::ReRooted })?;
    let space = sources.space();
    let options = MountOptions { writable, source: "/".to_owned(), ..MountOptions::default() };
    space.mount(&VPath::root(), Arc::new(root), options)?;
    Ok(space)
}

/// The same sources, with the wishes of `mount` for its site.
fn sites(
    sources: &Sources,
    mount: &Mount,
    login: Option<Login>,
    traffic: &Arc<Traffic>,
) -> Result<Registry, Failure> {
    let remote = &mount.remote;
    let authorities = remote.authorities().map_err(|says| refused(mount, says))?;
    let http = Arc::new(HttpSource::new(HttpOptions {
        connections: remote.connections,
        deadlines: remote.deadlines,
        allow_private: remote.allow_private,
        authorities: authorities.clone(),
        login: login.clone(),
        traffic: Arc::clone(traffic),
    }));
    let ftp = Arc::new(FtpSource::new(FtpOptions {
        connections: remote.connections,
        deadlines: remote.deadlines,
        allow_private: remote.allow_private,
        writable: true,
        authorities,
        login,
        encoding: remote.encoding,
        time_zone: remote.time_zone,
        secrets: Some(Arc::new(secret)),
        traffic: Arc::clone(traffic),
    }));
    Ok(sources
        .registry
        .clone()
        .with_source("ftp", Arc::<FtpSource>::clone(&ftp))
        .with_source("ftpes", Arc::<FtpSource>::clone(&ftp))
        .with_source("ftps", ftp)
        .with_source("http", Arc::<HttpSource>::clone(&http))
        .with_source("https", http))
}

/// What a source's URL refers to instead of holding it.
fn secret(place: &Secret) -> io::Result<String> {
    match place {
        Secret::File(path) => std::fs::read_to_string(path),
        Secret::Env(name) => std::env::var(name).map_err(io::Error::other),
    }
}

/// The host's tree with mounts laid over it, and the folder where relative paths start.
#[derive(Debug)]
pub(crate) struct Host {
    tree: Arc<dyn FileSystem>,
    folder: VPath,
}

/// One path of the command line.
#[derive(Debug)]
pub(crate) struct Operand {
    typed: Vec<u8>,
    path: VPath,
}

impl Host {
    /// For reading.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a mount that cannot be laid.
    pub(crate) async fn open(over: &Over) -> Result<Self, Failure> {
        Self::with(over, Mode::Read).await
    }

    /// For changes, in the mounts too.
    ///
    /// # Errors
    /// As [`Host::open`].
    pub(crate) async fn writable(over: &Over) -> Result<Self, Failure> {
        Self::with(over, Mode::Write).await
    }

    async fn with(over: &Over, mode: Mode) -> Result<Self, Failure> {
        let folder = current_folder()?;
        let sources = Sources::patient(over);
        let space = host(mode, &sources)?;
        for text in &over.mounts {
            let mount = Mount::parse("--mount", text, &folder)?;
            let mount = Mount { remote: over.sites.wishes(), ..mount };
            if mount.at.is_root() {
                let cure = "that would hide the whole host: name another place, as in --mount /m=SOURCE";
                return Err(ConfigError::new(&mount.origin, cure).into());
            }
            prepare(&mount, mode, &sources).await?.lay(&space)?;
        }
        Ok(Self { tree: space, folder })
    }

    /// The tree.
    pub(crate) fn tree(&self) -> &Arc<dyn FileSystem> {
        &self.tree
    }

    /// What was typed, as paths of the tree.
    ///
    /// # Errors
    /// [`Failure::Usage`] for text that is no path.
    pub(crate) fn operands(&self, typed: &[OsString]) -> Result<Vec<Operand>, Failure> {
        typed.iter().map(|typed| self.operand(typed)).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// As [`Host::operands`].
    pub(crate) fn operand(&self, typed: &OsStr) -> Result<Operand, Failure> {
        let typed = typed.as_bytes().to_vec();
        if typed.is_empty() {
            return Err(Failure::Usage("a path is empty: write . for the current folder".to_owned()));
        }
        let path = self.folder.join(&typed).map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Operand { typed, path })
    }
}

impl Operand {
    /// Where it is in the tree.
    pub(crate) fn path(&self) -> &VPath {
        &self.path
    }

    /// `path`, which is this one or lies below it, as it would have been typed.
    pub(crate) fn shown(&self, path: &VPath) -> Vec<u8> {
        match path.strip_prefix(&self.path) {
            Some(rest) if !rest.is_root() => {
                let typed = self.typed.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
                [&self.typed[..typed], &rest.to_bytes()].concat()
            }
            _ => self.typed.clone(),
        }
    }
}

/// The folder where the program was started.
pub(crate) fn current_folder() -> Result<VPath, Failure> {
    let folder = std::env::current_dir().map_err(|error| {
        Failure::Usage(format!("the current folder is gone or closed: {error}; change it"))
    })?;
    Ok(host_path(Path::new(&folder)))
}

#[cfg(test)]
mod tests {
    use vfs::backends::memory::MemoryFs;

    use super::*;

    #[test]
    fn paths_are_shown_as_they_were_typed() {
        let host = Host { tree: Arc::new(MemoryFs::new()), folder: VPath::parse("/home/me").unwrap() };
        for (typed, below, shown) in [
            (".", "/home/me/a b", "./a b"),
            (".", "/home/me", "."),
            ("../you/", "/home/you/x", "../you/x"),
            ("/", "/x", "/x"),
            ("x.tgz#tgz:", "/home/me/x.tgz#tgz:/in", "x.tgz#tgz:/in"),
        ] {
            let operand = host.operand(OsStr::new(typed)).unwrap();
            let below = VPath::parse(below).unwrap();
            assert_eq!(String::from_utf8(operand.shown(&below)).unwrap(), shown);
        }
    }
}

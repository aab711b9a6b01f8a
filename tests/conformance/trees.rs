//! The trees that are asked, each with the sample in it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use support::Served;
use vfs::backends::archive::ArchiveOptions;
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::backends::local::{Links, LocalFs, LocalOptions};
use vfs::backends::memory::MemoryFs;
use vfs::backends::registry;
use vfs::conformance::{Body, Entry, Subject, fill, sample};
use vfs::layers::mirror::{Mirror, MirrorOptions, Store, StoreOptions};
use vfs::layers::{Access, Around, Layered, MetaCache, MetaCacheOptions, ReadOnly, RightsFs, Rules};
use vfs::path::Scheme;
use vfs::{FileSystem, ListOptions, MountOptions, OpenOptions, Registry, VPath, Vfs};

/// A folder of the host, with a FIFO in it.
pub(crate) async fn local(links: Links) -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let tree = open(folder.path(), links, true);
    let fifo = fifo_in(folder.path());
    Subject::filled(tree).await.with_special_file(&fifo).keeping(folder)
}

/// The same, filled beforehand and opened for reading.
pub(crate) async fn local_read_only() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    fill(&*open(folder.path(), Links::Beneath, true), &VPath::root()).await.unwrap();
    let fifo = fifo_in(folder.path());
    Subject::new(open(folder.path(), Links::Beneath, false)).with_special_file(&fifo).keeping(folder)
}

/// An archive of the sample, made by GNU tar in `format` and entered by `scheme`.
pub(crate) async fn tar(format: &str, compress: &[&str], scheme: Scheme) -> Subject {
    let mut archive = Command::new("tar");
    archive.arg("--create").arg(format!("--format={format}")).args(compress);
    let made = archived(archive.args(["--file", "../shelf/sample", "."]), &[scheme]).await;
    made.with_special_file(&fifo())
}

/// An archive of the sample, made by Info-ZIP. It stores links as links, and says nothing of FIFOs.
pub(crate) async fn zip() -> Subject {
    archived(&mut by_shell(ZIP), &[Scheme::Zip]).await.with_time_grain(ZIP_GRAIN)
}

/// A zip archive in a tar under gzip, entered at both.
pub(crate) async fn zip_in_tgz() -> Subject {
    let script =
        format!("{ZIP} && tar -C ../shelf -czf ../shelf/outer sample && mv ../shelf/outer ../shelf/sample");
    archived(&mut by_shell(&script), &[Scheme::Tgz, Scheme::Zip]).await.with_time_grain(ZIP_GRAIN)
}

/// A tar under gzip in a zip archive, which packs it again, entered at both.
pub(crate) async fn tgz_in_zip() -> Subject {
    let script =
        "tar -czf ../shelf/sample . && cd ../shelf && zip -q outer.zip sample && mv outer.zip sample";
    archived(&mut by_shell(script), &[Scheme::Zip, Scheme::Tgz]).await.with_special_file(&fifo())
}

/// A tar under xz, entered in two steps: the member of a bare file, which is a tar.
pub(crate) async fn tar_in_xz() -> Subject {
    archived(&mut by_shell("tar -cJf ../shelf/sample ."), &[Scheme::Xz, Scheme::Tar])
        .await
        .with_special_file(&fifo())
}

const ZIP: &str = "zip -q -r -y ../shelf/sample.zip . -x fifo && mv ../shelf/sample.zip ../shelf/sample";

/// Info-ZIP writes times to the second.
const ZIP_GRAIN: Duration = Duration::from_secs(1);

fn fifo() -> VPath {
    VPath::parse("/fifo").unwrap()
}

fn by_shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    shell
}

/// What `maker`, which runs in a folder that holds the sample and a FIFO, makes of it: `../shelf/sample`, entered step by
/// step. All steps but the last lead to archives with one member.
async fn archived(maker: &mut Command, schemes: &[Scheme]) -> Subject {
    let shelf = shelf_of(maker).await;
    let registry = registry(ArchiveOptions::default());
    let (mut tree, mut path) = (open(&shelf, Links::Beneath, false), VPath::parse("/sample").unwrap());
    for scheme in schemes {
        let file = tree.open(&path, &OpenOptions::reading()).await.unwrap();
        tree = registry.enter(*scheme, file, &path).await.unwrap();
        // The listing ends with the first pass: before, what the suite compares may still change.
        let listing = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
        let names = listing.collect(1000).await.unwrap();
        path = VPath::root().child(names[0].name.clone()).unwrap();
    }
    Subject::new(tree)
}

/// The folder with what `maker` makes. Each test has a process of its own, and making an archive takes longer than asking
/// it: the first test of a build makes it for all.
async fn shelf_of(maker: &mut Command) -> PathBuf {
    let program = std::env::current_exe().and_then(std::fs::metadata).unwrap();
    let mut hash = DefaultHasher::new();
    (format!("{maker:?}"), program.len(), program.modified().unwrap()).hash(&mut hash);
    let shelves = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let shelf = shelves.join(format!("suite-{:016x}", hash.finish()));
    if shelf.exists() {
        return shelf;
    }
    let room = tempfile::tempdir_in(shelves).unwrap();
    let (folder, made) = (room.path().join("folder"), room.path().join("shelf"));
    for empty in [&folder, &made] {
        std::fs::create_dir(empty).unwrap();
    }
    fill(&*open(&folder, Links::Beneath, true), &VPath::root()).await.unwrap();
    fifo_in(&folder);
    assert!(maker.current_dir(&folder).status().unwrap().success());
    // Another process may have been faster; one shelf is as good as the other.
    if let Err(error) = std::fs::rename(&made, &shelf) {
        assert!(shelf.exists(), "{error}");
    }
    shelf
}

fn open(folder: &Path, links: Links, writable: bool) -> Arc<dyn FileSystem> {
    Arc::new(LocalFs::open_with(folder, &LocalOptions { links, writable }).unwrap())
}

fn fifo_in(folder: &Path) -> VPath {
    mknodat(CWD, folder.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fifo()
}

async fn memory() -> Arc<dyn FileSystem> {
    let tree = MemoryFs::new();
    fill(&tree, &VPath::root()).await.unwrap();
    Arc::new(tree)
}

/// A layer that looks at calls.
pub(crate) async fn around(layer: impl Around) -> Subject {
    Subject::new(Arc::new(Layered::new(memory().await, Arc::new(layer))))
}

pub(crate) async fn read_only() -> Subject {
    Subject::new(Arc::new(ReadOnly::new(memory().await)))
}

/// One rule grants all. What changes where another rule forbids is told and tested in the layer's own room.
pub(crate) async fn rights() -> Subject {
    let rules = Rules::new([(VPath::root(), Access::ALL)]).unwrap();
    Subject::new(Arc::new(RightsFs::new(memory().await, rules)))
}

pub(crate) async fn meta_cache() -> Subject {
    Subject::new(Arc::new(MetaCache::new(memory().await, MetaCacheOptions::default())))
}

/// A mirror of a tree, on a folder of its own.
pub(crate) async fn mirror() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).await.unwrap();
    let tree = Mirror::new(memory().await, "memory:", store, MirrorOptions::default());
    Subject::new(Arc::new(tree)).keeping(folder)
}

/// A namespace with the tree mounted at `at`, and other mounts beside it.
pub(crate) async fn in_namespace(at: &str) -> Subject {
    let at = VPath::parse(at).unwrap();
    let vfs = Vfs::new(Registry::empty());
    let writable = || MountOptions { writable: true, ..MountOptions::default() };
    vfs.mount(&at, memory().await, writable()).unwrap();
    let root = if at.is_root() { VPath::root() } else { at };
    if !root.is_root() {
        vfs.mount(&VPath::parse("/beside").unwrap(), Arc::new(MemoryFs::new()), writable()).unwrap();
    }
    Subject::new(vfs).below(root)
}

/// Our own HTTP front end over the sample, as a remote site. HTTP shows a link as what it leads to, so there are none; and
/// a name that looks like a marker is shown with its `#` doubled, which is the name that a reader of the site sees.
pub(crate) async fn http() -> Subject {
    let origin = memory().await;
    let is_left_out = |entry: &Entry| matches!(entry.body, Body::Link(_)) || has_marker(&entry.path);
    for entry in sample().into_iter().filter(is_left_out) {
        origin.remove_file(&entry.path).await.unwrap();
    }
    let served = Served::start(origin).await;
    let tree = HttpFs::new(&served.http.url("http", "/"), HttpOptions::default()).unwrap();
    Subject::new(Arc::new(tree)).with_time_grain(Duration::from_secs(60)).keeping(served)
}

/// True for names that look like markers.
fn has_marker(path: &VPath) -> bool {
    path.segments().iter().any(|segment| segment.name().ends_with(b":"))
}

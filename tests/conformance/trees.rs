//! The trees that are asked, each with the sample in it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use support::Served;
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::backends::local::{Links, LocalFs, LocalOptions};
use vfs::backends::memory::MemoryFs;
use vfs::conformance::{Body, Entry, Skill, Subject, fill, sample};
use vfs::layers::{Access, Around, Layered, MetaCache, MetaCacheOptions, ReadOnly, RightsFs, Rules};
use vfs::{FileSystem, MountOptions, Registry, SetAttributes, VPath, Vfs};

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

fn open(folder: &Path, links: Links, writable: bool) -> Arc<dyn FileSystem> {
    Arc::new(LocalFs::open_with(folder, &LocalOptions { links, writable }).unwrap())
}

fn fifo_in(folder: &Path) -> VPath {
    mknodat(CWD, folder.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    VPath::parse("/fifo").unwrap()
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
    let has_marker = |path: &VPath| path.segments().iter().any(|segment| segment.name().ends_with(b":"));
    let is_left_out = |entry: &Entry| matches!(entry.body, Body::Link(_)) || has_marker(&entry.path);
    for entry in sample().into_iter().filter(is_left_out) {
        origin.remove_file(&entry.path).await.unwrap();
    }
    let served = Served::start(origin).await;
    let tree = HttpFs::new(&served.http.url("http", "/"), HttpOptions::default()).unwrap();
    Subject::new(Arc::new(tree)).with_time_grain(Duration::from_secs(60)).keeping(served)
}

/// The sample as a folder that every server may read, without the names that a site cannot show. Servers show a link as
/// what it leads to, so there are none.
pub(crate) async fn shown_folder(lacks: &[Skill]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tree = open(folder.path(), Links::Beneath, true);
    fill(&*tree, &VPath::root()).await.unwrap();
    for entry in sample().into_iter().rev() {
        let mode = match entry.body {
            Body::Link(_) | Body::File(_) if !is_shown(&entry, lacks) => {
                tree.remove_file(&entry.path).await.unwrap();
                continue;
            }
            Body::Dir => 0o755,
            Body::File(_) | Body::Link(_) => 0o644,
        };
        let attributes =
            SetAttributes { mode: Some(mode), modified: entry.modified, ..SetAttributes::default() };
        tree.set_attributes(&entry.path, &attributes, false).await.unwrap();
    }
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

fn is_shown(entry: &Entry, lacks: &[Skill]) -> bool {
    let name = entry.path.file_name().unwrap().name();
    let is_left_out = lacks.contains(&Skill::NewlineNames) && name.contains(&b'\n')
        || lacks.contains(&Skill::ByteNames) && std::str::from_utf8(name).is_err();
    !is_left_out && !matches!(entry.body, Body::Link(_))
}

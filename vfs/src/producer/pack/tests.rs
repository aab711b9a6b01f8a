//! Archives as their own programs read them: GNU tar and Info-ZIP's unzip extract a tree equal to the one that was packed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use super::super::testing::drain;
use super::super::{Coding, ProducerExt};
use super::*;
use crate::backends::local::LocalFs;
use crate::backends::memory::MemoryFs;
use crate::error::ErrorKind;
use crate::layers::{Access, RightsFs, Rules};
use crate::options::{ListOptions, OpenOptions};

/// Type and mode, second of the last change, content or target.
type Entry = (u32, i64, Vec<u8>);

/// A folder with whatever makes archives difficult.
fn fill(folder: &Path) {
    let long = "l".repeat(200);
    fs::create_dir_all(folder.join("deep").join(&long).join(&long)).unwrap();
    fs::create_dir(folder.join("empty")).unwrap();
    let content: Vec<u8> = (0..700_000_u32).map(|at| (at / 300) as u8).collect();
    for (name, content) in [
        (b"plain.txt".to_vec(), &content[..10]),
        (b"none".to_vec(), b""),
        (b"large".to_vec(), &content),
        (b"block".to_vec(), &content[..512]),
        ("\u{fc}ml\u{e4}ut \u{20ac}".as_bytes().to_vec(), b"utf-8"),
        (b"new\nline".to_vec(), b"lf"),
        (b"back\\slash".to_vec(), b"bs"),
        (b"-dash".to_vec(), b"dash"),
        (b"x.tgz#tgz:".to_vec(), b"marker"),
        (format!("deep/{long}/{long}/{long}").into_bytes(), b"far down"),
    ] {
        let path = folder.join(std::ffi::OsString::from_vec(name));
        fs::write(&path, content).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(784_111_777)).unwrap();
    }
    fs::set_permissions(folder.join("plain.txt"), fs::Permissions::from_mode(0o754)).unwrap();
    symlink("plain.txt", folder.join("link")).unwrap();
    symlink("nowhere", folder.join("dangling")).unwrap();
    symlink(format!("deep/{long}/{long}"), folder.join("far")).unwrap();
}

fn read(folder: &Path, at: &Path, found: &mut BTreeMap<Vec<u8>, Entry>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(folder).unwrap().as_os_str().as_bytes().to_vec();
        let content = match about.file_type() {
            kind if kind.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_vec(),
            kind if kind.is_dir() => Vec::new(),
            _ => fs::read(&path).unwrap(),
        };
        let mode = if about.is_symlink() { 0 } else { about.mode() };
        let second = if about.is_file() { about.mtime() } else { 0 };
        found.insert(name, (mode, second, content));
        if about.is_dir() {
            read(folder, &path, found);
        }
    }
}

fn layout(folder: &Path) -> BTreeMap<Vec<u8>, Entry> {
    let mut found = BTreeMap::new();
    read(folder, folder, &mut found);
    found
}

async fn packed(folder: &Path, path: &str, format: PackFormat) -> Pack {
    let tree: Arc<dyn FileSystem> = Arc::new(LocalFs::open(folder).unwrap());
    of_tree(tree, path, format).await
}

async fn of_tree(tree: Arc<dyn FileSystem>, path: &str, format: PackFormat) -> Pack {
    let path = VPath::parse(path).unwrap();
    let entries = tree.read_dir(&path, &ListOptions::with_metadata()).await.unwrap();
    pack(tree, &path, entries, format, &Disk::new())
}

/// False where the program is missing, which only a machine without peers may be.
fn has(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    assert!(is_there || std::env::var_os("VFSD_PEERS").is_none_or(|peers| peers != "required"), "{program}");
    is_there
}

#[track_caller]
fn extract(command: &mut Command, into: &Path) {
    let done = command.current_dir(into).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn tar_extracts_an_equal_tree() {
    if !has("tar") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let odd = std::ffi::OsString::from_vec([&b"\xff"[..], &[b'o'; 120]].concat());
    fs::write(folder.path().join(odd), "no utf-8").unwrap();
    fs::write(folder.path().join(std::ffi::OsString::from_vec(b"\xfe".to_vec())), "short").unwrap();
    let into = tempfile::tempdir().unwrap();
    let drained = drain(packed(folder.path(), "/", PackFormat::Tar).await.lower(&Disk::new())).await;
    assert_eq!((drained.kind(), drained.bytes.len() % 10_240), (None, 0));
    fs::write(into.path().join("a.tar"), &drained.bytes).unwrap();
    let out = into.path().join("out");
    fs::create_dir(&out).unwrap();
    extract(Command::new("tar").args(["-xpf", "../a.tar"]), &out);
    assert_eq!(layout(&out), layout(folder.path()));
}

#[tokio::test]
async fn a_folder_comes_under_its_own_name_and_under_a_coding() {
    if !has("tar") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    fill(&folder.path().join("in"));
    let into = tempfile::tempdir().unwrap();
    let disk = Disk::new();
    let archive = packed(folder.path(), "/in", PackFormat::Tar).await.compress(Coding::Gzip, &disk);
    fs::write(into.path().join("a.tgz"), drain(archive).await.bytes).unwrap();
    extract(Command::new("tar").args(["-xzpf", "a.tgz"]), into.path());
    assert_eq!(layout(&into.path().join("in")), layout(&folder.path().join("in")));
}

#[tokio::test]
async fn unzip_extracts_an_equal_tree() {
    if !has("unzip") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    // unzip's own buffers end at 4,096 bytes of a path, and it takes a line end in a name for an attack.
    fs::remove_file(folder.path().join("new\nline")).unwrap();
    let into = tempfile::tempdir().unwrap();
    let drained = drain(packed(folder.path(), "/", PackFormat::Zip).await).await;
    assert_eq!(drained.kind(), None);
    fs::write(into.path().join("a.zip"), &drained.bytes).unwrap();
    let out = into.path().join("out");
    fs::create_dir(&out).unwrap();
    // Without a time zone, and with names as they are.
    extract(Command::new("unzip").env("TZ", "UTC").env("LC_ALL", "C.UTF-8").args(["-q", "../a.zip"]), &out);
    assert_eq!(layout(&out), layout(folder.path()));
    extract(Command::new("unzip").args(["-tqq", "a.zip"]), into.path());
}

#[tokio::test]
async fn what_cannot_be_read_ends_the_archive_with_its_error() {
    let tree = Arc::new(MemoryFs::new());
    let path = VPath::parse("/file").unwrap();
    let file = tree.open(&path, &OpenOptions::writing()).await.unwrap();
    file.write_at(0, bytes::Bytes::from_static(&[7; 100_000])).await.unwrap();
    for format in [PackFormat::Tar, PackFormat::Zip] {
        let whole = drain(of_tree(Arc::clone(&tree) as _, "/", format).await.lower(&Disk::new())).await;
        assert_eq!(whole.kind(), None);
        let shrinking = Arc::new(Shrinking(Arc::clone(&tree) as _));
        let cut = drain(of_tree(shrinking, "/", format).await.lower(&Disk::new())).await;
        assert_eq!(cut.kind(), Some(ErrorKind::Truncated), "{format:?}");
        assert!(!cut.bytes.ends_with(&whole.bytes[whole.bytes.len() - 22..]), "{format:?}");
    }
}

#[tokio::test]
async fn what_may_not_be_read_is_left_out_and_said() {
    let tree = MemoryFs::new();
    for folder in ["/d", "/d/closed"] {
        tree.create_dir(&VPath::parse(folder).unwrap()).await.unwrap();
    }
    for name in ["open", "secret\nname", "closed/file", "NOT-IN-THIS-ARCHIVE.txt"] {
        let path = VPath::parse(format!("/d/{name}")).unwrap();
        let file = tree.open(&path, &OpenOptions::writing()).await.unwrap();
        file.write_at(0, bytes::Bytes::from_static(b"content")).await.unwrap();
    }
    let seen = Access { list: true, ..Access::NONE };
    let read = Access { read: true, ..Access::NONE };
    let rules = [("/", Access::READ), ("/d/secret\nname", seen), ("/d/closed", read)];
    let rules = Rules::new(rules.map(|(path, access)| (VPath::parse(path).unwrap(), access))).unwrap();
    let tree: Arc<dyn FileSystem> = Arc::new(RightsFs::new(Arc::new(tree), rules));
    for (format, program) in [(PackFormat::Tar, "tar"), (PackFormat::Zip, "unzip")] {
        let whole = drain(of_tree(Arc::clone(&tree), "/d", format).await.lower(&Disk::new())).await;
        assert_eq!(whole.kind(), None);
        if !has(program) {
            continue;
        }
        let into = tempfile::tempdir().unwrap();
        let archive = into.path().join("archive");
        fs::write(&archive, &whole.bytes).unwrap();
        match format {
            PackFormat::Tar => extract(Command::new(program).arg("-xf").arg(&archive), into.path()),
            PackFormat::Zip => extract(Command::new(program).arg("-q").arg(&archive), into.path()),
        }
        fs::remove_file(archive).unwrap();
        let found = layout(into.path());
        let names: Vec<_> = found.keys().map(|name| String::from_utf8_lossy(name)).collect();
        let note = "d/NOT-IN-THIS-ARCHIVE----.txt";
        assert_eq!(names, ["d", note, "d/NOT-IN-THIS-ARCHIVE.txt", "d/open"]);
        assert_eq!(
            String::from_utf8_lossy(&found[note.as_bytes()].2),
            "2 entries are not in this archive, because they may not be read:\n\nd/closed\nd/secret\\nname\n"
        );
    }
}

/// A tree whose files say that they are longer than they are.
#[derive(Debug)]
struct Shrinking(Arc<dyn FileSystem>);

#[derive(Debug)]
struct Shrunk(Arc<dyn crate::File>);

#[async_trait::async_trait]
impl FileSystem for Shrinking {
    fn capabilities(&self, path: &VPath) -> crate::Capabilities {
        self.0.capabilities(path)
    }

    async fn metadata(&self, path: &VPath, options: &crate::StatOptions) -> Result<crate::Metadata> {
        self.0.metadata(path, options).await
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        self.0.read_dir(path, options).await
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn crate::File>> {
        Ok(Arc::new(Shrunk(self.0.open(path, options).await?)))
    }
}

#[async_trait::async_trait]
impl crate::File for Shrunk {
    async fn metadata(&self) -> Result<crate::Metadata> {
        let metadata = self.0.metadata().await?;
        Ok(crate::Metadata { len: metadata.len.map(|len| len + 1), ..metadata })
    }

    fn identity(&self) -> Option<crate::Identity> {
        None
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<bytes::Bytes> {
        self.0.read_at(offset, max).await
    }
}

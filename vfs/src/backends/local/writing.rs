//! Atomic writes: a hidden part file beside the target, which [`Part::publish`] gives the target's name in one step.
//!
//! The part file has a name from the start. `O_TMPFILE` would leave nothing behind after a crash, but it is not to be
//! had everywhere (NFS, FUSE, older overlays) and can only take a name that is free: to replace a file it would need a
//! part name all the same, so there would be two ways with two sets of faults. Beside the target, and not in a folder of
//! its own: there it is on the same file system, and gets the group, default access list and quota that belong there.
//!
//! Its writer holds a lock on it (flock(2)) for as long as it lives, so a sweep knows a leftover from an upload that is
//! merely slow.

use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Access, AtFlags, FlockOperation, Mode, OFlags, RenameFlags, Statx};
use rustix::io::Errno;

use super::error::Fault;
use super::lookup::Root;
use super::opening::{Opened, expect_file, expect_version, new_mode};
use super::status;
use super::walk::Place;
use crate::metadata::Validator;
use crate::options::OpenOptions;
use crate::path::VPath;

const PART_PREFIX: &[u8] = b".";
const PART_SUFFIX: &[u8] = b".vfsd-part";
const PART_DIGITS: usize = 16;

/// How many part names are tried where one is taken.
const NAME_TRIES: usize = 16;

/// Permission bits of a part file until it has those of the file that it will replace.
const PRIVATE_MODE: u32 = 0o600;

/// True for a name that only part files have. Case is not looked at: some file systems do not either.
pub(super) fn is_part(name: &[u8]) -> bool {
    name.len() == PART_PREFIX.len() + PART_DIGITS + PART_SUFFIX.len()
        && name.starts_with(PART_PREFIX)
        && name[name.len() - PART_SUFFIX.len()..].eq_ignore_ascii_case(PART_SUFFIX)
        && name[PART_PREFIX.len()..][..PART_DIGITS].iter().all(u8::is_ascii_hexdigit)
}

/// A part file on its way. Dropping it removes the file and leaves the target as it was.
#[derive(Debug)]
pub(super) struct Part {
    folder: OwnedFd,
    name: Vec<u8>,
    target: Vec<u8>,
    replaces: bool,
    if_match: Option<Validator>,
    published: bool,
}

/// Starts an atomic write of `path`: everything that `finish` could refuse and that is known now is refused now.
pub(super) fn begin(root: &Root, path: &VPath, options: &OpenOptions) -> Result<Opened, Fault> {
    let follow = options.follow && !options.create_new;
    let (folder, target) = match root.place(path, follow)? {
        Place::Name { parent, name } => (parent, name),
        Place::Folder(_) if options.create_new => return Err(Errno::EXIST.into()),
        Place::Folder(_) => return Err(Errno::ISDIR.into()),
    };
    let old = old_file(&folder, &target, options)?;
    let mode = if old.is_some() { Mode::from_raw_mode(PRIVATE_MODE) } else { new_mode(options) };
    let (name, file) = create_part(&folder, mode)?;
    let part = Part {
        folder,
        name,
        target,
        replaces: !options.create_new,
        if_match: options.if_match.clone(),
        published: false,
    };
    // Where the file system has no locks, its age alone protects it from the sweep.
    let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    if let Some(old) = old {
        keep_rights(&file, &old)?;
    }
    let status = status::of(&file)?;
    Ok(Opened { file, status, part: Some(part) })
}

impl Part {
    /// Gives `file`, which is this part file, the target's name. `flush` brings out what the file system would
    /// otherwise say too late. On an error the part file is gone and the target as it was.
    pub(super) fn publish(mut self, file: impl AsFd, flush: bool) -> Result<(), Fault> {
        if flush {
            rustix::io::retry_on_intr(|| rustix::fs::fdatasync(&file))?;
        }
        if self.if_match.is_some() {
            match status::of_name(&self.folder, &self.target[..]) {
                Ok(found) => expect_version(&found, self.if_match.as_ref())?,
                Err(Errno::NOENT) => return Err(Fault::Changed),
                Err(errno) => return Err(errno.into()),
            }
        }
        if self.replaces {
            rustix::fs::renameat(&self.folder, &self.name[..], &self.folder, &self.target[..])?;
        } else {
            rename_to_free(&self.folder, &self.name, &self.folder, &self.target)?;
        }
        self.published = true;
        // The lock was the part file's; the published file belongs to everybody.
        let _ = rustix::fs::flock(&file, FlockOperation::Unlock);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.published {
            // Nobody is left to hear of a failure; the sweep comes by later.
            let _ = rustix::fs::unlinkat(&self.folder, &self.name[..], AtFlags::empty());
        }
    }
}

/// Renames only where `new` is free: in one step where the file system can, else by a second name (link(2) fails where
/// the name is taken) and the removal of the first.
pub(super) fn rename_to_free(
    old_folder: &OwnedFd,
    old: &[u8],
    new_folder: &OwnedFd,
    new: &[u8],
) -> Result<(), Errno> {
    let direct = rustix::fs::renameat_with(old_folder, old, new_folder, new, RenameFlags::NOREPLACE);
    // rename(2): EINVAL where the file system knows no RENAME_NOREPLACE, and for a folder moved into itself.
    let Err(refused @ (Errno::INVAL | Errno::NOSYS)) = direct else { return direct };
    match rustix::fs::linkat(old_folder, old, new_folder, new, AtFlags::empty()) {
        Ok(()) => rustix::fs::unlinkat(old_folder, old, AtFlags::empty()),
        // link(2), EPERM: a folder, or a file system without hard links.
        Err(Errno::PERM) => Err(refused),
        Err(errno) => Err(errno),
    }
}

/// The file that is to be replaced, where there is one and it may be.
fn old_file(folder: &OwnedFd, target: &[u8], options: &OpenOptions) -> Result<Option<Statx>, Fault> {
    let old = match status::of_name(folder, target) {
        Ok(_) if options.create_new => return Err(Errno::EXIST.into()),
        Ok(old) => old,
        Err(Errno::NOENT) if options.if_match.is_some() => return Err(Fault::Changed),
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    expect_file(&old)?;
    expect_version(&old, options.if_match.as_ref())?;
    // rename(2) asks the folder alone; a write-protected file is not to be written this way either.
    match rustix::fs::accessat(folder, target, Access::WRITE_OK, AtFlags::EACCESS) {
        Err(errno) if errno != Errno::NOSYS => Err(errno.into()),
        _ => Ok(Some(old)),
    }
}

fn create_part(folder: &OwnedFd, mode: Mode) -> Result<(Vec<u8>, OwnedFd), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..NAME_TRIES {
        let name = part_name();
        match rustix::fs::openat(folder, &name[..], flags, mode) {
            Err(Errno::EXIST) => {}
            created => return Ok((name, created?)),
        }
    }
    Err(Errno::EXIST)
}

/// A name that nobody can guess: whoever may create links in the tree must not be able to lead into it.
fn part_name() -> Vec<u8> {
    let random = RandomState::new().hash_one(std::process::id());
    let mut name = PART_PREFIX.to_vec();
    name.extend_from_slice(format!("{random:016x}").as_bytes());
    name.extend_from_slice(PART_SUFFIX);
    name
}

/// Gives the part file the owner and the permission bits of the file it replaces. Where the owner cannot be kept, bits
/// that lend his rights are not either.
fn keep_rights(file: &OwnedFd, old: &Statx) -> Result<(), Errno> {
    let new = status::of(file)?;
    let has_owner = (new.stx_uid, new.stx_gid) == (old.stx_uid, old.stx_gid)
        || super::attributes::set_owner(file, Some(old.stx_uid), Some(old.stx_gid)).is_ok();
    let mode = status::mode(old) & if has_owner { 0o7777 } else { 0o777 };
    if mode == status::mode(&new) {
        return Ok(());
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use bytes::Bytes;
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

    use super::*;
    use crate::backends::local::Links;
    use crate::backends::local::testing::{Scene, kind, path, read, tree_of};
    use crate::error::ErrorKind;
    use crate::file_system::FileSystem;
    use crate::options::{ListOptions, SetAttributes, StatOptions};

    fn replacing_new() -> OpenOptions {
        OpenOptions { create_new: true, ..OpenOptions::replacing() }
    }

    #[test]
    fn only_the_exact_form_is_a_part_name() {
        for _ in 0..100 {
            assert!(is_part(&part_name()));
        }
        for (name, part) in [
            (".0123456789abcdef.vfsd-part", true),
            (".0123456789ABCDEF.VFSD-PART", true),
            (".0123456789abcde.vfsd-part", false),
            (".0123456789abcdefg.vfsd-part", false),
            (".0123456789abcdeg.vfsd-part", false),
            ("x0123456789abcdef.vfsd-part", false),
            ("notes.vfsd-part", false),
            ("", false),
        ] {
            assert_eq!(is_part(name.as_bytes()), part, "{name}");
        }
    }

    #[tokio::test]
    async fn an_atomic_write_is_seen_when_it_is_finished_and_not_before() {
        let scene = Scene::new();
        scene.write("file", "old");
        for tree in scene.doors(Links::Beneath) {
            scene.write("file", "old");
            let file = tree.open(&path("/file"), &OpenOptions::replacing()).await.unwrap();
            file.write_at(0, "new".into()).await.unwrap();
            assert_eq!(read(&tree, "/file").await.unwrap(), "old");
            file.finish().await.unwrap();
            assert_eq!(read(&tree, "/file").await.unwrap(), "new");

            file.finish().await.unwrap();
            assert_eq!(kind(file.write_at(0, "late".into()).await), ErrorKind::InvalidInput);
            assert_eq!(kind(file.set_len(0).await), ErrorKind::InvalidInput);
            assert_eq!(scene.names(), ["file"]);
        }
    }

    #[tokio::test]
    async fn a_dropped_write_leaves_the_old_file_and_nothing_else() {
        let scene = Scene::new();
        scene.write("file", "old");
        let tree = scene.tree(Links::Beneath);
        for text in ["/file", "/new"] {
            let file = tree.open(&path(text), &OpenOptions::replacing()).await.unwrap();
            file.write_at(0, "half".into()).await.unwrap();
            drop(file);
        }
        assert_eq!(scene.names(), ["file"]);
        assert_eq!(read(&tree, "/file").await.unwrap(), "old");
    }

    #[tokio::test]
    async fn a_part_file_is_neither_listed_nor_found() {
        let scene = Scene::new();
        let tree = scene.tree(Links::Beneath);
        let file = tree.open(&path("/new"), &OpenOptions::replacing()).await.unwrap();
        let names = scene.names();
        let [part] = &names[..] else { panic!("one part file and nothing else: {names:?}") };
        let part = path(&format!("/{part}"));
        let listing = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
        assert!(listing.collect(10).await.unwrap().is_empty());
        for refused in [
            tree.metadata(&part, &StatOptions::default()).await.map(drop),
            tree.open(&part, &OpenOptions::reading()).await.map(drop),
            tree.open(&part, &OpenOptions::writing()).await.map(drop),
            tree.open(&part, &OpenOptions::replacing()).await.map(drop),
            tree.remove_file(&part).await,
            tree.hard_link(&part, &path("/other")).await,
        ] {
            assert_eq!(kind(refused), ErrorKind::NotFound);
        }
        file.finish().await.unwrap();
        assert_eq!(scene.names(), ["new"]);
    }

    #[tokio::test]
    async fn of_many_creators_one_succeeds() {
        for in_place in [true, false] {
            let scene = Scene::new();
            let tree = scene.tree(Links::Beneath);
            let options = if in_place {
                OpenOptions { create_new: true, ..OpenOptions::writing() }
            } else {
                replacing_new()
            };
            let creators: Vec<_> = (0..16_u8)
                .map(|own| {
                    let (tree, options) = (tree.clone(), options.clone());
                    tokio::spawn(async move {
                        let file = tree.open(&path("/one"), &options).await?;
                        file.write_at(0, Bytes::from(vec![own])).await?;
                        file.finish().await.map(|()| own)
                    })
                })
                .collect();
            let mut winners = Vec::new();
            for creator in creators {
                match creator.await.unwrap() {
                    Ok(own) => winners.push(own),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
                }
            }
            assert_eq!(winners.len(), 1);
            assert_eq!(std::fs::read(scene.inside("one")).unwrap(), winners);
            assert_eq!(scene.names(), ["one"]);
        }
    }

    #[tokio::test]
    async fn a_second_name_takes_the_place_where_renaming_cannot() {
        let scene = Scene::new();
        scene.write("part", "content");
        scene.write("taken", "old");
        let folder = OwnedFd::from(std::fs::File::open(scene.inside("")).unwrap());
        assert_eq!(rename_to_free(&folder, b"part", &folder, b"taken"), Err(Errno::EXIST));
        rename_to_free(&folder, b"part", &folder, b"free").unwrap();
        assert_eq!(scene.names(), ["free", "taken"]);
    }

    #[tokio::test]
    async fn the_replaced_file_keeps_its_mode_and_a_new_one_gets_its_own() {
        let scene = Scene::new();
        scene.write("old", "old");
        let mode_of = |name: &str| std::fs::metadata(scene.inside(name)).unwrap().mode() & 0o7777;
        std::fs::set_permissions(scene.inside("old"), std::fs::Permissions::from_mode(0o640)).unwrap();
        std::fs::write(scene.inside("plain"), "").unwrap();
        let tree = scene.tree(Links::Beneath);
        let stated = OpenOptions { mode: Some(0o600), ..OpenOptions::replacing() };
        for (text, options) in
            [("/old", &stated), ("/stated", &stated), ("/unstated", &OpenOptions::replacing())]
        {
            tree.open(&path(text), options).await.unwrap().finish().await.unwrap();
        }
        assert_eq!(mode_of("old"), 0o640);
        assert_eq!(mode_of("stated"), 0o600);
        assert_eq!(mode_of("unstated"), mode_of("plain"), "the mask comes off");

        let file = tree.open(&path("/old"), &OpenOptions::replacing()).await.unwrap();
        let wish = SetAttributes { mode: Some(0o604), ..SetAttributes::default() };
        file.set_attributes(&wish).await.unwrap();
        file.finish().await.unwrap();
        assert_eq!(mode_of("old"), 0o604);
    }

    #[tokio::test]
    async fn what_cannot_be_replaced_is_refused_at_once() {
        let scene = Scene::new();
        std::fs::create_dir(scene.inside("folder")).unwrap();
        scene.write("file", "old");
        scene.link("link", "file");
        let tree = scene.tree(Links::Beneath);
        let not_through = OpenOptions { follow: false, ..OpenOptions::replacing() };
        for (text, options, refusal) in [
            ("/", OpenOptions::replacing(), ErrorKind::IsADirectory),
            ("/folder", OpenOptions::replacing(), ErrorKind::IsADirectory),
            ("/folder", replacing_new(), ErrorKind::AlreadyExists),
            ("/file", replacing_new(), ErrorKind::AlreadyExists),
            ("/link", replacing_new(), ErrorKind::AlreadyExists),
            ("/link", not_through, ErrorKind::Loop),
            ("/missing/x", OpenOptions::replacing(), ErrorKind::NotFound),
            ("/file/x", OpenOptions::replacing(), ErrorKind::NotADirectory),
        ] {
            assert_eq!(kind(tree.open(&path(text), &options).await), refusal, "{text} {options:?}");
        }
        assert_eq!(scene.names(), ["file", "folder", "link"]);
    }

    #[tokio::test]
    async fn a_version_that_went_meanwhile_is_not_replaced() {
        let scene = Scene::new();
        scene.write("file", "old");
        let tree = scene.tree(Links::Beneath);
        let found = tree.metadata(&path("/file"), &StatOptions::default()).await.unwrap();
        let options = OpenOptions { if_match: found.validator, ..OpenOptions::replacing() };
        let file = tree.open(&path("/file"), &options).await.unwrap();
        scene.write("file", "another");
        assert_eq!(kind(file.finish().await), ErrorKind::Changed);
        for options in [options, OpenOptions { write_mode: Default::default(), ..OpenOptions::writing() }] {
            let matching = OpenOptions { if_match: file.metadata().await.unwrap().validator, ..options };
            assert_eq!(kind(tree.open(&path("/file"), &matching).await), ErrorKind::Changed);
            assert_eq!(kind(tree.open(&path("/missing"), &matching).await), ErrorKind::Changed);
        }
        assert_eq!(read(&tree, "/file").await.unwrap(), "another");
        assert_eq!(scene.names(), ["file"]);
    }

    /// A file system of one MiB that nobody else sees and that goes with its descriptor.
    fn tiny_disk() -> Result<OwnedFd, Errno> {
        let disk = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(&disk, "size", "1m")?;
        rustix::mount::fsconfig_create(&disk)?;
        rustix::mount::fsmount(&disk, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    }

    #[tokio::test]
    async fn a_full_disk_says_so_and_the_old_file_stays() {
        let disk = match tiny_disk() {
            Ok(disk) => disk,
            Err(errno) => return println!("skipped: a tmpfs cannot be mounted here: {errno}"),
        };
        let tree = tree_of(disk);
        let file = tree.open(&path("/file"), &OpenOptions::writing()).await.unwrap();
        file.write_at(0, "old".into()).await.unwrap();
        drop(file);
        for options in [OpenOptions::replacing(), OpenOptions { append: true, ..OpenOptions::default() }] {
            let file = tree.open(&path("/file"), &options).await.unwrap();
            let refused = file.write_at(0, vec![7; 2 << 20].into()).await;
            assert_eq!(kind(refused), ErrorKind::StorageFull);
            drop(file);
            assert!(read(&tree, "/file").await.unwrap().starts_with(b"old"));
        }
        let listing = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
        assert_eq!(listing.collect(10).await.unwrap().len(), 1);
    }
}

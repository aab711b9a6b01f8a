//! The sweep: ends what was on its way when its program or the machine crashed, and uploads that nobody went on with.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::error::Fault;
use super::lookup::{Root, Wait};
use super::writing::is_part;
use super::{LocalFs, status};
use crate::aside::Aside;
use crate::error::{ErrorKind, Result};
use crate::file_system::FileSystem;
use crate::options::{ListOptions, RenameOptions, StatOptions};
use crate::path::VPath;
use crate::unfinished::is_unfinished;
use crate::walk::remove_dir_all;

/// How long nothing may have happened to a part file before it counts as a leftover.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// When this program first opened a folder. What was kept aside since then somebody here may still be at work on.
static FIRST_OPENED: OnceLock<SystemTime> = OnceLock::new();

/// Names that one sweep looks at, the folders nearest to the root first.
const SWEPT_NAMES: usize = 100_000;

impl LocalFs {
    /// Removes part files of atomic writes, and [`unfinished`](crate::unfinished) uploads, that nobody has written to for a
    /// day and whose writer is gone, and what bears a name of [`Aside::Gone`] and is as old; gives back its name to what was
    /// kept aside ([`Aside::Kept`]) by an earlier run of the program and has nothing in its place, and removes what has.
    /// Says how many they were. A server
    /// calls it after mounting a folder for writing, and now and then; it looks at 100,000 names at most, one folder a job,
    /// and passes over folders that it may not read. Dropping the future ends it between two calls.
    ///
    /// # Errors
    /// `ReadOnly` where the tree is.
    pub async fn sweep(&self) -> Result<usize> {
        let limits = Limits { leftovers: SystemTime::now() - LEFTOVER_AGE, kept: first_opened() };
        self.sweep_within(limits).await
    }

    async fn sweep_within(&self, limits: Limits) -> Result<usize> {
        let mut folders = VecDeque::from([VPath::root()]);
        let (mut ended, mut left) = (0, SWEPT_NAMES);
        while let Some(folder) = folders.pop_front()
            && left > 0
        {
            let swept = self
                .change("sweep", &folder, move |root, path| Ok(sweep(root, path, limits.leftovers, left)));
            let swept = swept.await?;
            folders.extend(swept.folders);
            ended += swept.removed;
            left -= swept.names;
            for (path, aside) in swept.asides {
                match self.end(&path, aside, limits).await {
                    Ok(has_ended) => ended += usize::from(has_ended),
                    // Somebody else is at it, or it may not be touched.
                    Err(error) => tracing::warn!(%path, %error, "what was set aside stays"),
                }
            }
        }
        Ok(ended)
    }

    /// Ends what `path` is left of; false where it is too young.
    async fn end(&self, path: &VPath, aside: Aside, limits: Limits) -> Result<bool> {
        let found = self.metadata(path, &StatOptions::no_follow()).await?;
        let limit = match aside {
            Aside::Gone => limits.leftovers,
            Aside::Kept => limits.kept,
        };
        if found.changed.is_none_or(|changed| changed > limit) {
            return Ok(false);
        }
        if aside == Aside::Gone {
            remove(self, path, found.is_dir()).await?;
            return Ok(true);
        }
        let mut held = self.read_dir(path, &ListOptions::default()).await?;
        while let Some(batch) = held.next().await {
            for entry in batch? {
                let to = path.parent().unwrap_or_default().child(entry.name.clone())?;
                let from = path.child(entry.name)?;
                match self.metadata(&to, &StatOptions::no_follow()).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        // No more is asked for: some file systems refuse folders a renaming that replaces nothing.
                        self.rename(&from, &to, &RenameOptions::default()).await?;
                        tracing::info!(path = %to, "what a broken change had set aside is back");
                    }
                    _ => {
                        let is_dir = self.metadata(&from, &StatOptions::no_follow()).await?.is_dir();
                        remove(self, &from, is_dir).await?;
                    }
                }
            }
        }
        self.remove_dir(path).await?;
        Ok(true)
    }
}

async fn remove(tree: &LocalFs, path: &VPath, is_dir: bool) -> Result<()> {
    if is_dir { remove_dir_all(tree, path).await } else { tree.remove_file(path).await }
}

/// What is old enough to be ended: last changed before these times.
#[derive(Clone, Copy)]
struct Limits {
    leftovers: SystemTime,
    kept: SystemTime,
}

/// Notes the time at the first call, which is the first opening of a folder.
pub(super) fn first_opened() -> SystemTime {
    *FIRST_OPENED.get_or_init(SystemTime::now)
}

/// What came of one folder.
#[derive(Default)]
struct Swept {
    folders: Vec<VPath>,
    asides: Vec<(VPath, Aside)>,
    names: usize,
    removed: usize,
}

fn sweep(root: &Root, path: &VPath, limit: SystemTime, names: usize) -> Swept {
    let mut swept = Swept::default();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let found = root.find(path, flags, Mode::empty(), Wait::Allowed);
    let Ok(mut folder) = found.and_then(|found| Dir::new(found).map_err(Fault::from)) else { return swept };
    while swept.names < names
        && let Some(Ok(entry)) = folder.read()
    {
        swept.names += 1;
        let name = entry.file_name().to_bytes();
        if let Some(aside) = Aside::of(name) {
            swept.asides.extend(path.child(name.to_vec()).map(|path| (path, aside)));
        } else if entry.file_type() == FileType::Directory {
            // `.` and `..` are no names.
            swept.folders.extend(path.child(name.to_vec()));
        } else if (is_part(name) || is_unfinished(name))
            && remove_leftover(&folder, name, limit).unwrap_or(false)
        {
            swept.removed += 1;
        }
    }
    swept
}

/// Removes a part file that is older than `limit` and not locked by its writer.
fn remove_leftover(folder: &Dir, name: &[u8], limit: SystemTime) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let part = rustix::fs::openat(folder.fd()?, name, flags, Mode::empty())?;
    let found = status::describe(&status::of(&part)?, SystemTime::now());
    // Its last change of any kind: the writer may have set the other times to whatever he liked.
    if !found.is_file() || found.changed.is_none_or(|changed| changed > limit) {
        return Ok(false);
    }
    if rustix::fs::flock(&part, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        return Ok(false);
    }
    rustix::fs::unlinkat(folder.fd()?, name, AtFlags::empty())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::local::Links;
    use crate::backends::local::testing::{Scene, kind, path};
    use crate::options::{Lock, LockWait, OpenOptions};

    const PART: &str = ".0123456789abcdef.vfsd-part";

    #[tokio::test]
    async fn leftovers_go_and_everything_else_stays() {
        let scene = Scene::new();
        std::fs::create_dir_all(scene.inside("a/b")).unwrap();
        std::fs::create_dir(scene.outside("beside")).unwrap();
        std::fs::write(scene.outside("beside").join(PART), "").unwrap();
        scene.link("beside", scene.outside("beside"));
        let names = [
            PART,
            &format!("a/b/{PART}"),
            "a/.left.vfsd-upload",
            "a/.going.vfsd-upload",
            "a/notes.vfsd-part",
        ];
        for name in names {
            scene.write(name, "");
        }
        let tree = scene.tree(Links::Beneath);
        assert_eq!(tree.sweep().await.unwrap(), 0, "they are young");

        let options = OpenOptions { write: true, ..OpenOptions::default() };
        let going = tree.open(&path("/a/.going.vfsd-upload"), &options).await.unwrap();
        going.lock(Lock::Exclusive, LockWait::Never).await.unwrap();
        let being_written = tree.open(&path("/a/new"), &OpenOptions::replacing()).await.unwrap();
        let soon = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(tree.sweep_within(Limits { leftovers: soon, kept: soon }).await.unwrap(), 3);
        assert!(!scene.inside(PART).exists() && !scene.inside("a/b").join(PART).exists());
        assert!(
            !scene.inside("a/.left.vfsd-upload").exists() && scene.inside("a/.going.vfsd-upload").exists()
        );
        assert!(scene.inside("a/notes.vfsd-part").exists());
        assert!(scene.outside("beside").join(PART).exists());
        being_written.finish().await.unwrap();
        assert!(scene.inside("a/new").exists());
    }

    #[tokio::test]
    async fn what_a_change_of_a_folder_left_is_ended() {
        let scene = Scene::new();
        for name in ["back", "there"] {
            std::fs::create_dir_all(scene.inside(&format!(".{}.vfsd-kept/{name}", mark(name)))).unwrap();
            scene.write(&format!(".{}.vfsd-kept/{name}/old", mark(name)), "old");
        }
        std::fs::create_dir_all(scene.inside("there")).unwrap();
        std::fs::create_dir_all(scene.inside(".0123456789abcdef.vfsd-gone/half/of/it")).unwrap();
        let tree = scene.tree(Links::Beneath);
        let listed = || std::fs::read_dir(scene.inside("")).unwrap().count();
        let mut shown = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
        assert_eq!(shown.next().await.unwrap().unwrap().len(), 1);
        let (before, soon) = (SystemTime::UNIX_EPOCH, SystemTime::now() + Duration::from_secs(60));
        let sweep = async |leftovers, kept| tree.sweep_within(Limits { leftovers, kept }).await.unwrap();
        assert_eq!(sweep(soon - LEFTOVER_AGE, before).await, 0, "somebody may be at work on them");
        assert_eq!(sweep(soon - LEFTOVER_AGE, soon).await, 2, "what is on its way out is young");
        assert_eq!(listed(), 3);
        assert_eq!(std::fs::read(scene.inside("back/old")).unwrap(), b"old");
        assert!(!scene.inside("there/old").exists());
        assert_eq!(sweep(soon, soon).await, 1);
        assert_eq!(listed(), 2);
    }

    fn mark(name: &str) -> String {
        format!("{:016x}", name.len())
    }

    #[tokio::test]
    async fn a_read_only_tree_is_not_swept() {
        let scene = Scene::new();
        let tree = LocalFs::open(scene.inside("")).unwrap();
        assert_eq!(kind(tree.sweep().await), ErrorKind::ReadOnly);
    }
}

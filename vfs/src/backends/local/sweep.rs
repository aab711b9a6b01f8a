//! The sweep: removes the part files that writers left behind when they or the machine crashed, and uploads that nobody
//! went on with.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::error::Fault;
use super::lookup::{Root, Wait};
use super::writing::is_part;
use super::{LocalFs, status};
use crate::error::Result;
use crate::path::VPath;
use crate::unfinished::is_unfinished;

/// How long nothing may have happened to a part file before it counts as a leftover.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Names that one sweep looks at, the folders nearest to the root first.
const SWEPT_NAMES: usize = 100_000;

impl LocalFs {
    /// Removes part files of atomic writes, and [`unfinished`](crate::unfinished) uploads, that nobody has written to for a
    /// day and whose writer is gone, and says how many they were. A server calls it after mounting a folder for writing, and
    /// now and then; it looks at 100,000 names at most, one folder a job, and passes over folders that it may not read.
    /// Dropping the future ends it between two folders.
    ///
    /// # Errors
    /// `ReadOnly` where the tree is.
    pub async fn sweep(&self) -> Result<usize> {
        self.sweep_older_than(SystemTime::now() - LEFTOVER_AGE).await
    }

    async fn sweep_older_than(&self, limit: SystemTime) -> Result<usize> {
        let mut folders = VecDeque::from([VPath::root()]);
        let (mut removed, mut left) = (0, SWEPT_NAMES);
        while let Some(folder) = folders.pop_front()
            && left > 0
        {
            let swept = self.change("sweep", &folder, move |root, path| Ok(sweep(root, path, limit, left)));
            let swept = swept.await?;
            folders.extend(swept.folders);
            removed += swept.removed;
            left -= swept.names;
        }
        Ok(removed)
    }
}

/// What came of one folder.
#[derive(Default)]
struct Swept {
    folders: Vec<VPath>,
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
        if entry.file_type() == FileType::Directory {
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
    use crate::error::ErrorKind;
    use crate::file_system::FileSystem;
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
        assert_eq!(tree.sweep_older_than(soon).await.unwrap(), 3);
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
    async fn a_read_only_tree_is_not_swept() {
        let scene = Scene::new();
        let tree = LocalFs::open(scene.inside("")).unwrap();
        assert_eq!(kind(tree.sweep().await), ErrorKind::ReadOnly);
    }
}

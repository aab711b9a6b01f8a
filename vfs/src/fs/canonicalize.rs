//! Resolves links by asking for each name on the way.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::FileSystem;
use crate::metadata::Metadata;
use crate::options::StatOptions;
use crate::path::{Scheme, VPath};

/// Links that one path may lead through, as Linux has it (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A name still to be walked, and the archives entered through it.
enum Step {
    Name(Bytes, Vec<Scheme>),
    /// Up, out of a link's text only: a [`VPath`] has no `..`.
    Up,
}

pub(super) async fn canonicalize(tree: &dyn FileSystem, path: VPath) -> Result<VPath> {
    // The tree's own walk comes first: it knows best what dangles, goes in circles or is out of bounds.
    let found = tree.metadata(&path, &StatOptions::default()).await?;
    let mut steps: VecDeque<_> = path
        .segments()
        .iter()
        .map(|segment| Step::Name(segment.name().clone(), segment.markers().to_vec()))
        .collect();
    let mut walk = Walk { resolved: VPath::root(), floor: 0 };
    let mut links = 0;
    while let Some(step) = steps.pop_front() {
        let Step::Name(name, markers) = step else {
            walk.up();
            continue;
        };
        let named = walk.resolved.child(name)?;
        let is_link = tree.metadata(&named, &StatOptions::no_follow()).await?.is_symlink();
        if !is_link {
            walk.down(named, &markers);
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Error::new(ErrorKind::Loop, "canonicalize", &path));
        }
        let target = tree.read_link(&named).await?;
        if target.starts_with(b"/") {
            walk.fall_to_floor();
        }
        for step in steps_of(&target, markers).into_iter().rev() {
            steps.push_front(step);
        }
    }
    if links > 0 {
        check_end(tree, &path, &walk.resolved, &found).await?;
    }
    Ok(walk.resolved)
}

/// A link's text may start at the root of a mount, which nobody here can see: then the walk has gone elsewhere.
async fn check_end(
    tree: &dyn FileSystem,
    asked: &VPath,
    resolved: &VPath,
    expected: &Metadata,
) -> Result<()> {
    let end = tree.metadata(resolved, &StatOptions::no_follow()).await;
    let is_same = end.is_ok_and(|end| match (&expected.identity, &end.identity) {
        (Some(expected), Some(end)) => expected.is_same_file(end),
        _ => expected.file_type == end.file_type,
    });
    if is_same {
        return Ok(());
    }
    let detail = "a link on the way starts at the root of a mount, whose place is not known here";
    Err(Error::new(ErrorKind::Unsupported, "canonicalize", asked).with_detail(detail))
}

/// How far the walk has come.
struct Walk {
    resolved: VPath,
    /// Segments that a link cannot lead out of: those of the archive that it lies in.
    floor: usize,
}

impl Walk {
    fn up(&mut self) {
        let count = self.resolved.segments().len();
        self.resolved = self.resolved.prefix(count.saturating_sub(1).max(self.floor));
    }

    fn down(&mut self, mut named: VPath, markers: &[Scheme]) {
        for marker in markers {
            named = named.entered(*marker).unwrap_or(named);
        }
        if !markers.is_empty() {
            self.floor = named.segments().len();
        }
        self.resolved = named;
    }

    fn fall_to_floor(&mut self) {
        self.resolved = self.resolved.prefix(self.floor);
    }
}

/// The names in a link's text, literally. What was entered through the link is entered through the last of them.
fn steps_of(target: &Bytes, markers: Vec<Scheme>) -> Vec<Step> {
    let mut steps: Vec<_> = target
        .split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .map(|name| if name == b".." { Step::Up } else { Step::Name(target.slice_ref(name), Vec::new()) })
        .collect();
    if let Some(Step::Name(_, last)) = steps.last_mut() {
        *last = markers;
    }
    steps
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    use crate::backends::memory::MemoryFs;
    use crate::fs::Fs;
    use crate::fs::testing::tree;
    use crate::path::VPath;
    use crate::registry::Registry;
    use crate::vfs::{MountOptions, Vfs};

    #[tokio::test]
    async fn links_are_resolved_wherever_they_stand() {
        let fs = Fs::new(tree());
        fs.create_dir_all("/a/b/c").await.unwrap();
        fs.write("/a/b/f", "").await.unwrap();
        fs.write("/a/x##tgz:", "").await.unwrap();
        for (target, link) in [
            ("a/b", "/folder"),
            ("../../folder/f", "/a/b/up"),
            ("/a/./b//f", "/a/absolute"),
            ("up", "/a/b/twice"),
            ("a/x#tgz:", "/marker"),
            ("nowhere", "/dangling"),
            ("circle", "/circle"),
        ] {
            fs.symlink(target, link).await.unwrap();
        }
        for (path, resolved) in [
            ("/", "/"),
            ("/a/b/../b/f", "/a/b/f"),
            ("/folder/c", "/a/b/c"),
            ("/folder/twice", "/a/b/f"),
            ("/a/absolute", "/a/b/f"),
            ("/marker", "/a/x##tgz:"),
        ] {
            assert_eq!(fs.canonicalize(path).await.unwrap(), Path::new(resolved), "{path}");
        }
        assert_eq!(fs.canonicalize("/dangling").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs.canonicalize("/missing").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs.canonicalize("/a/b/f/g").await.unwrap_err().kind(), io::ErrorKind::NotADirectory);
        let looped = io::Error::from(rustix::io::Errno::LOOP).kind();
        assert_eq!(fs.canonicalize("/circle").await.unwrap_err().kind(), looped);
    }

    #[tokio::test]
    async fn a_link_to_the_root_of_its_mount_is_refused_rather_than_guessed() {
        let vfs = Vfs::new(Registry::empty());
        for at in ["/", "/m"] {
            let options = MountOptions { writable: true, ..MountOptions::default() };
            vfs.mount(&VPath::parse(at).unwrap(), Arc::new(MemoryFs::new()), options).unwrap();
        }
        let fs = Fs::new(vfs);
        for file in ["/x", "/m/x"] {
            fs.write(file, "").await.unwrap();
        }
        fs.symlink("/x", "/m/absolute").await.unwrap();
        fs.symlink("x", "/m/relative").await.unwrap();
        let error = fs.canonicalize("/m/absolute").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert_eq!(fs.canonicalize("/m/relative").await.unwrap(), Path::new("/m/x"));
    }
}

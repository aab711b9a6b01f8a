//! From a path in the namespace to a tree and a path in it.

use std::borrow::Cow;
use std::sync::Arc;

use super::archives::ArchiveFile;
use super::mount::{Mount, MountId};
use super::table::{Node, Table};
use super::{Mounts, Vfs};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::FileSystem;
use crate::options::{Freshness, ListOptions};
use crate::path::{Segment, VPath};

/// Where a path leads.
pub(super) struct Place<'a> {
    /// The tree that holds it, if any does.
    pub(super) target: Option<Target<'a>>,
    /// What the table knows of it: set for mount points and for folders that lead to one.
    pub(super) node: Option<&'a Node<Arc<Mount>>>,
}

/// A tree, and a path in it.
#[derive(Clone)]
pub(super) struct Target<'a> {
    pub(super) tree: Arc<dyn FileSystem>,
    pub(super) path: Cow<'a, VPath>,
    pub(super) mount: MountId,
    /// The tree's root in the namespace.
    root: Cow<'a, VPath>,
}

impl<'a> Target<'a> {
    fn in_mount(mount: &'a Mount, path: Cow<'a, VPath>) -> Self {
        Target { tree: Arc::clone(&mount.tree), path, mount: mount.id, root: Cow::Borrowed(&mount.at) }
    }

    /// Brings an error of the tree to its path in the namespace.
    pub(super) fn addressed(&self, error: Error) -> Error {
        error.readdressed(|path| self.root.append(path))
    }
}

impl Vfs {
    /// Finds the mount of `path` and enters the archives on its way.
    pub(super) async fn resolve<'a>(
        &self,
        op: &'static str,
        mounts: &'a Mounts,
        path: &'a VPath,
        freshness: Freshness,
    ) -> Result<Place<'a>> {
        if path.archive_depth() == 0 {
            return Ok(find(mounts, path));
        }
        if path.archive_depth() > self.options.archive_depth {
            let detail = format!("a path enters at most {} archives", self.options.archive_depth);
            return Err(Error::new(ErrorKind::InvalidInput, op, path).with_detail(detail));
        }
        let target = self.enter_all(op, mounts, path, freshness).await?;
        Ok(Place { target: Some(target), node: None })
    }

    /// Walks the segments: names add up to a path in the tree at hand, markers lead into the next tree.
    async fn enter_all<'a>(
        &self,
        op: &'static str,
        mounts: &'a Mounts,
        path: &'a VPath,
        freshness: Freshness,
    ) -> Result<Target<'a>> {
        let segments = path.segments();
        let first = segments.iter().take_while(|segment| segment.markers().is_empty()).count();
        let outer = without_markers(path.prefix(first), &segments[first])?;
        let Some((mount, depth)) = mounts.find(&outer).mount else {
            return Err(Error::new(ErrorKind::NotFound, op, &outer));
        };
        let mut target = Target::in_mount(mount, Cow::Owned(below(&outer, depth)));
        for (index, segment) in segments.iter().enumerate().skip(first) {
            if index > first {
                target.path = Cow::Owned(without_markers(target.path.into_owned(), segment)?);
            }
            let mut address = without_markers(path.prefix(index), segment)?;
            for (count, scheme) in segment.markers().iter().enumerate() {
                if count > 0 {
                    target.path = Cow::Owned(sole_member(&*target.tree, &address).await?);
                }
                let (tree, mount) = (&*target.tree, target.mount);
                let file = ArchiveFile { tree, path: &target.path, address: &address, mount };
                let entered = self.archives.enter(&self.registry, &file, *scheme, freshness).await?;
                address = address.entered(*scheme).expect("an archive's address ends in its name");
                let (root, path) = (Cow::Owned(address.clone()), Cow::Owned(VPath::root()));
                target = Target { tree: entered, path, mount: target.mount, root };
            }
        }
        Ok(target)
    }

    /// Where a change of `path` would happen. A place of the table is refused with `taken`, if that is given.
    pub(super) fn resolve_change<'a>(
        &self,
        op: &'static str,
        mounts: &'a Mounts,
        path: &'a VPath,
        taken: Option<ErrorKind>,
    ) -> Result<Target<'a>> {
        if path.archive_depth() > 0 {
            let detail = "nothing can be changed inside of an archive";
            return Err(Error::new(ErrorKind::ReadOnly, op, path).with_detail(detail));
        }
        let place = find(mounts, path);
        if let (Some(taken), Some(node)) = (taken, place.node) {
            let what = if node.mount().is_some() { "is a mount point" } else { "leads to a mount point" };
            return Err(Error::new(taken, op, path).with_detail(format!("the folder {what}")));
        }
        place.target.ok_or_else(|| read_only_folder(op, path))
    }
}

/// The tree and the table's place of a path without markers.
pub(super) fn find<'a>(mounts: &'a Table<Arc<Mount>>, path: &'a VPath) -> Place<'a> {
    let found = mounts.find(path);
    let target = found.mount.map(|(mount, depth)| {
        // A mount at the root, which is the common one, needs no other path.
        let inner = if depth == 0 { Cow::Borrowed(path) } else { Cow::Owned(below(path, depth)) };
        Target::in_mount(mount, inner)
    });
    Place { target, node: found.node }
}

/// Folders that only the table has take no changes.
pub(super) fn read_only_folder(op: &'static str, path: &VPath) -> Error {
    let detail = "nothing is mounted here: the folder only leads to mounts";
    Error::new(ErrorKind::ReadOnly, op, path).with_detail(detail)
}

fn below(path: &VPath, depth: usize) -> VPath {
    path.strip_prefix(&path.prefix(depth)).unwrap_or_default()
}

fn without_markers(mut folder: VPath, segment: &Segment) -> Result<VPath> {
    folder.push_name(segment.name().clone())?;
    Ok(folder)
}

/// The one file in the tree's root, which a marker right after another one enters.
async fn sole_member(tree: &dyn FileSystem, address: &VPath) -> Result<VPath> {
    let root = VPath::root();
    let addressed = |error: Error| error.readdressed(|_| address.clone());
    let mut listing = tree.read_dir(&root, &ListOptions::default()).await.map_err(addressed)?;
    let mut members = Vec::new();
    while members.len() < 2
        && let Some(batch) = listing.next().await
    {
        members.extend(batch.map_err(addressed)?);
    }
    match members.as_slice() {
        [member] if !member.is_dir() => Ok(root.child(member.name.clone())?),
        _ => {
            let detail = "it does not hold exactly one file: name the one to enter";
            Err(Error::new(ErrorKind::InvalidInput, "enter", address).with_detail(detail))
        }
    }
}

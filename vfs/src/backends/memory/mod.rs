//! [`MemoryFs`]: a writable tree in memory.
//!
//! - Everything a local folder can do, within a budget of bytes; gone with its last handle.
//! - Modes and owners are kept and shown. They forbid nothing: rights are the business of a layer.
//! - Reading does not touch `accessed`, as on a disk that is mounted with `noatime`.

mod budget;
mod content;
mod file;
mod lock;
mod node;
mod open;
mod tree;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use self::node::{Body, Node};
use self::tree::{MAX_TARGET_BYTES, Place, Shape, Tree};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirEntry, DirStream, File, FileSystem, Writes};
use crate::metadata::Metadata;
use crate::options::{LinkTarget, ListOptions, OpenOptions, RenameOptions, SetAttributes, StatOptions};
use crate::path::VPath;
use crate::registry::ConnectSource;

/// A tree in memory. Clones are the same tree.
///
/// - Bounded by [`MemoryFs::budget_bytes`]; what does not fit is `StorageFull` and changes nothing. Content that was
///   written, names, links and a flat price for each node and name count; holes do not. A block of a growing file may
///   take up to twice what it counts, and what readers still hold counts no more once it is overwritten.
/// - Links are followed inside the tree only: an absolute text starts at its root, `..` stops there, and the 41st link
///   of a walk is `Loop`.
/// - An open file survives its removal. Names have 255 bytes at most, else `NameTooLong`.
#[derive(Clone, Debug)]
pub struct MemoryFs {
    tree: Arc<Tree>,
}

impl MemoryFs {
    /// The budget of [`MemoryFs::new`]: 256 MiB.
    pub const DEFAULT_BUDGET_BYTES: u64 = 256 << 20;

    /// An empty tree with the default budget.
    pub fn new() -> Self {
        Self::with_budget(Self::DEFAULT_BUDGET_BYTES)
    }

    /// An empty tree that takes `bytes` at most.
    pub fn with_budget(bytes: u64) -> Self {
        Self { tree: Arc::new(Tree::new(bytes)) }
    }

    /// How many bytes the tree takes at most.
    pub fn budget_bytes(&self) -> u64 {
        self.tree.budget.limit()
    }

    /// How many bytes it has taken, those of open files without a name included.
    pub fn used_bytes(&self) -> u64 {
        self.tree.budget.used()
    }

    /// What stands at `path`.
    fn standing(&self, path: &VPath, follow: bool) -> Result<Arc<Node>, ErrorKind> {
        match self.tree.walk(&self.tree.shape(), path, follow)? {
            Place::Root(node) | Place::Taken(_, node) => Ok(node),
            Place::Vacant(_) => Err(ErrorKind::NotFound),
        }
    }

    /// Makes a node where nothing stands; nothing is followed.
    fn make(&self, path: &VPath, body: Body) -> Result<(), ErrorKind> {
        let mut shape = self.tree.shape();
        match self.tree.walk(&shape, path, false)? {
            Place::Root(_) | Place::Taken(..) => Err(ErrorKind::AlreadyExists),
            Place::Vacant(spot) => {
                let node = self.tree.new_node(body, None)?;
                self.tree.insert(&mut shape, &spot, node)
            }
        }
    }

    fn remove(
        &self,
        path: &VPath,
        refusal: impl FnOnce(&Shape, &Node) -> Option<ErrorKind>,
    ) -> Result<(), ErrorKind> {
        let mut shape = self.tree.shape();
        match self.tree.walk(&shape, path, false)? {
            Place::Vacant(_) => Err(ErrorKind::NotFound),
            // As rmdir(2) has it for a folder that somebody stands in.
            Place::Root(node) => Err(refusal(&shape, &node).unwrap_or(ErrorKind::Busy)),
            Place::Taken(spot, node) => match refusal(&shape, &node) {
                Some(kind) => Err(kind),
                None => {
                    shape.remove(&spot);
                    Ok(())
                }
            },
        }
    }

    /// An error of ours on `path`.
    fn failure(&self, kind: ErrorKind, op: &'static str, path: &VPath) -> Error {
        self.tree.explain(Error::new(kind, op, path))
    }
}

impl Default for MemoryFs {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl FileSystem for MemoryFs {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities { writes: Writes::Anywhere, symlinks: true, hard_links: true, modes: true, times: true }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let node =
            self.standing(path, options.follow).map_err(|kind| self.failure(kind, "metadata", path))?;
        let room = options.room.then(|| self.budget_bytes().saturating_sub(self.used_bytes()));
        Ok(Metadata { room, ..node.metadata(&self.tree.name) })
    }

    /// In the order of the names' bytes, a batch at a time: what is made or removed meanwhile may be listed or not, and
    /// everything else is listed once. Holds no more than one batch.
    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let node = self.standing(path, true).map_err(|kind| self.failure(kind, "read_dir", path))?;
        if !node.is_dir() {
            return Err(self.failure(ErrorKind::NotADirectory, "read_dir", path));
        }
        let tree = Arc::clone(&self.tree);
        Ok(DirStream::new(Listing { tree, dir: node.serial, after: None, metadata: options.metadata }))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        options.check(path)?;
        let file = open::open(&self.tree, path, options).map_err(|kind| self.failure(kind, "open", path))?;
        Ok(Arc::new(file))
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        self.make(path, Body::Dir).map_err(|kind| self.failure(kind, "create_dir", path))
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        self.remove(path, |_, node| node.is_dir().then_some(ErrorKind::IsADirectory))
            .map_err(|kind| self.failure(kind, "remove_file", path))
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        self.remove(path, |shape, node| match node.is_dir() {
            false => Some(ErrorKind::NotADirectory),
            true => (!shape.is_empty(node.serial)).then_some(ErrorKind::DirectoryNotEmpty),
        })
        .map_err(|kind| self.failure(kind, "remove_dir", path))
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        let mut shape = self.tree.shape();
        let (spot, node) = match self.tree.walk(&shape, from, false) {
            Ok(Place::Taken(spot, node)) => (spot, node),
            Ok(Place::Root(_)) => return Err(self.failure(ErrorKind::Busy, "rename", from)),
            Ok(Place::Vacant(_)) => return Err(self.failure(ErrorKind::NotFound, "rename", from)),
            Err(kind) => return Err(self.failure(kind, "rename", from)),
        };
        self.tree
            .walk(&shape, to, false)
            .and_then(|place| self.tree.rename(&mut shape, (&spot, &node), &place, options.no_replace))
            .map_err(|kind| self.failure(kind, "rename", to))
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        let made = match target.len() {
            // As symlink(2): an empty text leads nowhere.
            0 => Err(ErrorKind::NotFound),
            len if len > MAX_TARGET_BYTES => Err(ErrorKind::NameTooLong),
            _ if target.contains(&0) => Err(ErrorKind::InvalidInput),
            // A copy, because a slice would keep the whole text of the request in memory.
            _ => self.make(path, Body::Link(Bytes::copy_from_slice(target))),
        };
        made.map_err(|kind| self.failure(kind, "symlink", path))
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        let mut shape = self.tree.shape();
        let node = match self.tree.walk(&shape, original, false) {
            Ok(Place::Taken(_, node)) => node,
            // Refused below, as every folder is, but after what is wrong with the other path.
            Ok(Place::Root(node)) => node,
            Ok(Place::Vacant(_)) => return Err(self.failure(ErrorKind::NotFound, "hard_link", original)),
            Err(kind) => return Err(self.failure(kind, "hard_link", original)),
        };
        self.tree
            .walk(&shape, link, false)
            .and_then(|place| match place {
                Place::Root(_) | Place::Taken(..) => Err(ErrorKind::AlreadyExists),
                // As link(2) on Linux: folders have one name.
                Place::Vacant(_) if node.is_dir() => Err(ErrorKind::PermissionDenied),
                Place::Vacant(spot) => self.tree.insert(&mut shape, &spot, node),
            })
            .map_err(|kind| self.failure(kind, "hard_link", link))
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        let node = self.standing(path, false).map_err(|kind| self.failure(kind, "read_link", path))?;
        match &node.body {
            Body::Link(target) => Ok(target.clone()),
            Body::File | Body::Dir => {
                let detail = format!("it is a {}, not a link", node.file_type());
                Err(self.failure(ErrorKind::InvalidInput, "read_link", path).with_detail(detail))
            }
        }
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        self.standing(path, follow)
            .and_then(|node| node.set(attributes))
            .map_err(|kind| self.failure(kind, "set_attributes", path))
    }
}

/// Connects `memory:`, an empty tree that is gone with its mount.
#[derive(Clone, Copy, Debug)]
pub struct ConnectMemory;

#[async_trait]
impl ConnectSource for ConnectMemory {
    async fn connect(&self, _url: &str) -> Result<Arc<dyn FileSystem>> {
        Ok(Arc::new(MemoryFs::new()))
    }
}

/// A listing under way. Remembers the last name and takes the next batch from the tree.
struct Listing {
    tree: Arc<Tree>,
    dir: u64,
    after: Option<Bytes>,
    metadata: bool,
}

impl Stream for Listing {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let nodes = self.tree.shape().entries_after(self.dir, self.after.as_ref(), DirStream::BATCH);
        let Some((last, _)) = nodes.last() else { return Poll::Ready(None) };
        self.after = Some(last.clone());
        let described = |(name, node): (Bytes, Arc<Node>)| DirEntry {
            metadata: self.metadata.then(|| node.metadata(&self.tree.name)),
            ..DirEntry::new(name, Some(node.file_type()))
        };
        Poll::Ready(Some(Ok(nodes.into_iter().map(described).collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Owner;

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    async fn write(tree: &MemoryFs, at: &str, content: &'static [u8]) -> Result<()> {
        let file = tree.open(&path(at), &OpenOptions::writing()).await?;
        file.write_at(0, Bytes::from_static(content)).await
    }

    async fn describe(tree: &MemoryFs, at: &str) -> Metadata {
        tree.metadata(&path(at), &StatOptions::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_full_tree_refuses_changes_nothing_and_has_room_again_after_removals() {
        let tree = MemoryFs::with_budget(4096);
        write(&tree, "/file", &[1; 1024]).await.unwrap();
        let used = tree.used_bytes();
        let refused = write(&tree, "/second", &[2; 4096]).await.unwrap_err();
        assert_eq!((refused.kind(), refused.op()), (ErrorKind::StorageFull, "write_at"));
        tree.remove_file(&path("/second")).await.unwrap();
        assert_eq!(tree.used_bytes(), used);
        let told = tree.metadata(&path("/file"), &StatOptions::with_room()).await.unwrap();
        assert_eq!(told.room, Some(4096 - used));
        assert_eq!(describe(&tree, "/file").await.room, None);

        let mut folders = 0;
        let full = loop {
            match tree.create_dir(&path(&format!("/{folders}"))).await {
                Ok(()) => folders += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(
            full.to_string(),
            format!("create_dir /{folders}: no space left: a tree in memory that takes 4096 bytes at most")
        );
        for folder in 0..folders {
            tree.remove_dir(&path(&format!("/{folder}"))).await.unwrap();
        }
        tree.remove_file(&path("/file")).await.unwrap();
        assert_eq!(tree.used_bytes(), 0);
    }

    #[tokio::test]
    async fn a_removed_file_counts_until_its_last_opening_is_gone() {
        let tree = MemoryFs::new();
        write(&tree, "/file", b"content").await.unwrap();
        let open = tree.open(&path("/file"), &OpenOptions::reading()).await.unwrap();
        tree.remove_file(&path("/file")).await.unwrap();
        assert_eq!(tree.used_bytes(), node::NODE_BYTES + 7);
        assert_eq!(open.read_at(0, 99).await.unwrap(), &b"content"[..]);
        assert_eq!(open.metadata().await.unwrap().links, Some(0));
        drop(open);
        assert_eq!(tree.used_bytes(), 0);
    }

    #[tokio::test]
    async fn a_part_file_is_published_over_the_version_that_was_asked_for_only() {
        let tree = MemoryFs::new();
        write(&tree, "/file", b"first").await.unwrap();
        let if_match = describe(&tree, "/file").await.validator;
        let part =
            tree.open(&path("/file"), &OpenOptions { if_match, ..OpenOptions::replacing() }).await.unwrap();
        write(&tree, "/file", b"other").await.unwrap();
        assert_eq!(part.finish().await.unwrap_err().kind(), ErrorKind::Changed);
        let kept = tree.open(&path("/file"), &OpenOptions::reading()).await.unwrap();
        assert_eq!(kept.read_at(0, 99).await.unwrap(), &b"other"[..]);
    }

    #[tokio::test]
    async fn a_part_file_follows_its_folder_and_fails_when_that_is_gone() {
        let tree = MemoryFs::new();
        tree.create_dir(&path("/old")).await.unwrap();
        let part = tree.open(&path("/old/file"), &OpenOptions::replacing()).await.unwrap();
        tree.rename(&path("/old"), &path("/new"), &RenameOptions::default()).await.unwrap();
        part.finish().await.unwrap();
        assert!(describe(&tree, "/new/file").await.is_file());

        let late = tree.open(&path("/new/late"), &OpenOptions::replacing()).await.unwrap();
        tree.remove_file(&path("/new/file")).await.unwrap();
        tree.remove_dir(&path("/new")).await.unwrap();
        assert_eq!(late.finish().await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn no_two_trees_share_an_identity_or_a_validator() {
        let (one, other) = (MemoryFs::new(), MemoryFs::new());
        for tree in [&one, &other] {
            write(tree, "/file", b"same").await.unwrap();
        }
        let (one, other) = (describe(&one, "/file").await, describe(&other, "/file").await);
        assert_ne!(one.identity.unwrap(), other.identity.unwrap());
        assert_ne!(one.validator.unwrap(), other.validator.unwrap());
    }

    #[tokio::test]
    async fn a_listing_goes_on_while_its_folder_changes() {
        let tree = MemoryFs::new();
        for number in 0..3 * DirStream::BATCH {
            tree.create_dir(&path(&format!("/{number:04}"))).await.unwrap();
        }
        let mut listing = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
        let first = listing.next().await.unwrap().unwrap();
        assert_eq!(first.len(), DirStream::BATCH);
        tree.remove_dir(&path("/0000")).await.unwrap();
        tree.remove_dir(&path("/0255")).await.unwrap();
        tree.remove_dir(&path("/0300")).await.unwrap();
        let rest = listing.collect(10_000).await.unwrap();
        assert_eq!(rest.len(), 2 * DirStream::BATCH - 1);
    }

    #[tokio::test]
    async fn a_very_deep_tree_is_walked_and_dropped_without_recursion() {
        let tree = MemoryFs::new();
        let mut deep = VPath::root();
        // Each folder is made next to the tree and the tree moved into it, so that no walk is longer than two names.
        tree.create_dir(&path("/tree")).await.unwrap();
        for _ in 0..20_000 {
            tree.create_dir(&path("/shell")).await.unwrap();
            tree.rename(&path("/tree"), &path("/shell/t"), &RenameOptions::default()).await.unwrap();
            tree.rename(&path("/shell"), &path("/tree"), &RenameOptions::default()).await.unwrap();
        }
        deep.push_name("tree").unwrap();
        for _ in 0..20_000 {
            deep.push_name("t").unwrap();
        }
        assert!(tree.metadata(&deep, &StatOptions::default()).await.unwrap().is_dir());
        drop(tree);
    }

    #[tokio::test]
    async fn owners_are_kept_and_shown() {
        let tree = MemoryFs::new();
        write(&tree, "/file", b"").await.unwrap();
        let owner = SetAttributes { user: Some(7), group: Some(8), ..SetAttributes::default() };
        tree.set_attributes(&path("/file"), &owner, true).await.unwrap();
        assert_eq!(describe(&tree, "/file").await.owner, Some(Owner { user: 7, group: 8 }));
    }
}

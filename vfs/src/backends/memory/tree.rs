//! The shape of a tree in memory: which folder holds which names, how a path is walked, and every change of it.
//!
//! What fails is an [`ErrorKind`]; the caller says doing what, and where.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::budget::{Budget, Charge};
use super::node::{Body, Node};
use crate::error::{Error, ErrorKind};
use crate::metadata::{Owner, Validator};
use crate::path::VPath;

/// Longest name. Longer ones are `NameTooLong`, as NAME_MAX has it.
pub(super) const MAX_NAME_BYTES: usize = 255;

/// Longest text of a link. Longer ones are `NameTooLong`, as PATH_MAX has it.
pub(super) const MAX_TARGET_BYTES: usize = 4095;

/// Links that one walk follows. The next one is `Loop` (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// What one name costs its tree beside its own bytes.
pub(super) const NAME_BYTES: u64 = 128;

/// A tree: its name, its budget, and the table of its folders.
#[derive(Debug)]
pub(super) struct Tree {
    /// Unlike every other tree's, so that no identity or validator means two things.
    pub(super) name: Arc<str>,
    pub(super) budget: Arc<Budget>,
    owner: Owner,
    serials: AtomicU64,
    root: Arc<Node>,
    shape: Mutex<Shape>,
}

/// The folders by serial. A flat table, so that a tree of any depth is dropped without recursion.
#[derive(Debug, Default)]
pub(super) struct Shape {
    dirs: HashMap<u64, Dir>,
}

#[derive(Debug)]
struct Dir {
    node: Arc<Node>,
    entries: BTreeMap<Bytes, Entry>,
}

#[derive(Debug)]
struct Entry {
    node: Arc<Node>,
    /// For the name; goes with it.
    _charge: Charge,
}

/// Where a walk ended.
#[derive(Debug)]
pub(super) enum Place {
    Root(Arc<Node>),
    Taken(Spot, Arc<Node>),
    Vacant(Spot),
}

/// A name in a folder.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// Serials of the folders above, root first; the last one holds the name.
    pub(super) above: Vec<u64>,
    pub(super) name: Bytes,
}

/// What a part file does when it is published.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) spot: Spot,
    /// Fail where anything has the name by then.
    pub(super) exclusive: bool,
    /// Replace this version only.
    pub(super) if_match: Option<Validator>,
}

impl Tree {
    pub(super) fn new(budget: u64) -> Self {
        // The counter tells the trees of one process apart; the standard library's own randomness those of two.
        static TREES: AtomicU64 = AtomicU64::new(0);
        let number = TREES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{:016x}{number:x}", RandomState::new().hash_one(number)).into();
        let owner =
            Owner { user: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() };
        // The root is no part of the budget, so that a tree of any budget can be made.
        let free = Arc::new(Budget::new(u64::MAX));
        let root = Arc::new(Node::new(0, Body::Dir, None, owner, &free).expect("this budget has no end"));
        root.state().named();
        let mut shape = Shape::default();
        shape.add_dir(Arc::clone(&root));
        Self {
            name,
            budget: Arc::new(Budget::new(budget)),
            owner,
            serials: AtomicU64::new(1),
            root,
            shape: Mutex::new(shape),
        }
    }

    /// A number that nothing else in this tree has: for a node, or for an opening as a holder of locks.
    pub(super) fn next_serial(&self) -> u64 {
        self.serials.fetch_add(1, Ordering::Relaxed)
    }

    /// A node without a name.
    pub(super) fn new_node(&self, body: Body, mode: Option<u32>) -> Result<Arc<Node>, ErrorKind> {
        Node::new(self.next_serial(), body, mode, self.owner, &self.budget).map(Arc::new)
    }

    /// The shape, for as long as one change or one walk takes.
    pub(super) fn shape(&self) -> MutexGuard<'_, Shape> {
        self.shape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Walks `path` as path_resolution(7) has it: `..` in a link's text leads up from where the walk stands, and stops
    /// at the root, which is also where absolute texts start. A link in the last place is followed only with `follow`.
    pub(super) fn walk(&self, shape: &Shape, path: &VPath, follow: bool) -> Result<Place, ErrorKind> {
        let mut todo: Vec<Bytes> =
            path.segments().iter().rev().map(|segment| segment.name().clone()).collect();
        let mut stack: Vec<(Bytes, Arc<Node>)> = Vec::new();
        let mut followed = 0;
        while let Some(name) = todo.pop() {
            match &name[..] {
                b"" | b"." => continue,
                b".." => {
                    stack.pop();
                    continue;
                }
                _ if name.len() > MAX_NAME_BYTES => return Err(ErrorKind::NameTooLong),
                _ => {}
            }
            let dir = stack.last().map_or(&self.root, |(_, node)| node);
            let is_last = todo.is_empty();
            let Some(node) = shape.node(dir.serial, &name) else {
                let vacant = || Place::Vacant(Spot { above: self.serials_of(&stack), name: name.clone() });
                return if is_last { Ok(vacant()) } else { Err(ErrorKind::NotFound) };
            };
            match &node.body {
                Body::Dir => stack.push((name, node)),
                Body::Link(target) if follow || !is_last => {
                    followed += 1;
                    if followed > MAX_LINKS {
                        return Err(ErrorKind::Loop);
                    }
                    if target.starts_with(b"/") {
                        stack.clear();
                    }
                    // What follows a last slash is an empty name, so that a file cannot pass for a folder.
                    todo.extend(target.split(|byte| *byte == b'/').rev().map(|name| target.slice_ref(name)));
                }
                _ if is_last => {
                    return Ok(Place::Taken(Spot { above: self.serials_of(&stack), name }, node));
                }
                _ => return Err(ErrorKind::NotADirectory),
            }
        }
        Ok(match stack.pop() {
            None => Place::Root(Arc::clone(&self.root)),
            Some((name, node)) => Place::Taken(Spot { above: self.serials_of(&stack), name }, node),
        })
    }

    /// Gives `node` a name that is free.
    pub(super) fn insert(&self, shape: &mut Shape, spot: &Spot, node: Arc<Node>) -> Result<(), ErrorKind> {
        let charge = self.charge_for(&spot.name)?;
        shape.put(spot, Arc::clone(&node), charge)?;
        if node.is_dir() {
            shape.add_dir(node);
        }
        Ok(())
    }

    /// Moves a name; see [`FileSystem::rename`](crate::FileSystem::rename) for which pairs go together.
    pub(super) fn rename(
        &self,
        shape: &mut Shape,
        (from, node): (&Spot, &Arc<Node>),
        to: &Place,
        no_replace: bool,
    ) -> Result<(), ErrorKind> {
        // In the order of renameat2(2) on Linux, so that both trees refuse the same pair for the same reason.
        let spot = match to {
            Place::Root(_) => return Err(ErrorKind::Busy),
            Place::Taken(..) if no_replace => return Err(ErrorKind::AlreadyExists),
            Place::Taken(spot, _) | Place::Vacant(spot) => spot,
        };
        if spot.above.contains(&node.serial) {
            return Err(ErrorKind::InvalidInput);
        }
        if let Place::Taken(_, target) = to {
            if Arc::ptr_eq(target, node) {
                return Ok(());
            }
            if from.above.contains(&target.serial) {
                return Err(ErrorKind::DirectoryNotEmpty);
            }
            match (node.is_dir(), target.is_dir()) {
                (true, false) => return Err(ErrorKind::NotADirectory),
                (false, true) => return Err(ErrorKind::IsADirectory),
                (true, true) if !shape.is_empty(target.serial) => return Err(ErrorKind::DirectoryNotEmpty),
                _ => {}
            }
        }
        let charge = self.charge_for(&spot.name)?;
        shape.take(from);
        shape.put(spot, Arc::clone(node), charge)
    }

    /// Gives a part file its name.
    pub(super) fn publish(&self, publication: &Publication, node: &Arc<Node>) -> Result<(), ErrorKind> {
        let mut shape = self.shape();
        let spot = &publication.spot;
        let standing = shape.node(spot.dir(), &spot.name);
        match &standing {
            Some(_) if publication.exclusive => return Err(ErrorKind::AlreadyExists),
            Some(standing) if standing.is_dir() => return Err(ErrorKind::IsADirectory),
            _ => {}
        }
        if let Some(wanted) = &publication.if_match {
            let found = standing.and_then(|standing| standing.validator(&self.name));
            if !found.is_some_and(|found| found.matches_strongly(wanted)) {
                return Err(ErrorKind::Changed);
            }
        }
        let charge = self.charge_for(&spot.name)?;
        shape.put(spot, Arc::clone(node), charge)
    }

    /// Adds what a person would ask next.
    pub(super) fn explain(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::StorageFull => {
                let detail = format!("a tree in memory that takes {} bytes at most", self.budget.limit());
                error.with_detail(detail)
            }
            ErrorKind::NameTooLong => {
                let detail = format!("{MAX_NAME_BYTES} bytes at most, the text of a link {MAX_TARGET_BYTES}");
                error.with_detail(detail)
            }
            _ => error,
        }
    }

    fn charge_for(&self, name: &Bytes) -> Result<Charge, ErrorKind> {
        Charge::new(&self.budget, NAME_BYTES + name.len() as u64)
    }

    fn serials_of(&self, stack: &[(Bytes, Arc<Node>)]) -> Vec<u64> {
        std::iter::once(self.root.serial).chain(stack.iter().map(|(_, node)| node.serial)).collect()
    }
}

impl Shape {
    /// Takes a name away. A folder goes from the table too, so it must be empty.
    pub(super) fn remove(&mut self, spot: &Spot) {
        if let Some(node) = self.take(spot)
            && node.is_dir()
        {
            self.dirs.remove(&node.serial);
        }
    }

    /// True where the folder holds nothing.
    pub(super) fn is_empty(&self, dir: u64) -> bool {
        self.dirs.get(&dir).is_none_or(|dir| dir.entries.is_empty())
    }

    /// At most `count` entries of a folder after the name `after`, in the order of their bytes.
    pub(super) fn entries_after(
        &self,
        dir: u64,
        after: Option<&Bytes>,
        count: usize,
    ) -> Vec<(Bytes, Arc<Node>)> {
        let Some(dir) = self.dirs.get(&dir) else { return Vec::new() };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = dir.entries.range::<Bytes, _>((start, Bound::Unbounded));
        rest.take(count).map(|(name, entry)| (name.clone(), Arc::clone(&entry.node))).collect()
    }

    fn add_dir(&mut self, node: Arc<Node>) {
        self.dirs.insert(node.serial, Dir { node, entries: BTreeMap::new() });
    }

    fn node(&self, dir: u64, name: &Bytes) -> Option<Arc<Node>> {
        Some(Arc::clone(&self.dirs.get(&dir)?.entries.get(name)?.node))
    }

    /// Puts `node` under a name; what had the name before loses it.
    fn put(&mut self, spot: &Spot, node: Arc<Node>, charge: Charge) -> Result<(), ErrorKind> {
        // An open part file outlives its folder.
        let dir = self.dirs.get_mut(&spot.dir()).ok_or(ErrorKind::NotFound)?;
        node.state().named();
        dir.node.state().entries_changed();
        // A copy of the name, because a slice would keep the whole text of the request in memory.
        let name = Bytes::copy_from_slice(&spot.name);
        if let Some(replaced) = dir.entries.insert(name, Entry { node, _charge: charge }) {
            replaced.node.state().unnamed();
            if replaced.node.is_dir() {
                self.dirs.remove(&replaced.node.serial);
            }
        }
        Ok(())
    }

    fn take(&mut self, spot: &Spot) -> Option<Arc<Node>> {
        let dir = self.dirs.get_mut(&spot.dir())?;
        let taken = dir.entries.remove(&spot.name)?;
        taken.node.state().unnamed();
        dir.node.state().entries_changed();
        Some(taken.node)
    }
}

impl Spot {
    /// The folder that holds the name.
    pub(super) fn dir(&self) -> u64 {
        *self.above.last().expect("the root is above every name")
    }
}

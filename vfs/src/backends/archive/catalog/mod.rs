//! [`Catalog`]: the names of an archive as a tree, in little memory.
//!
//! A node takes about 80 bytes and its name; nothing is ever removed, so a listing under way stays valid while entries
//! come. The last entry of a name wins: it takes the node over, and a file hides what an earlier folder held. Folders
//! that have no entry of their own are made up, with the time of the newest thing they hold.

mod member;
mod node;
mod path;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};

pub(super) use self::member::{Member, NodeId, Shape};
use self::node::{Children, Known, NONE, Node};
use self::path::{MAX_PATH_BYTES, is_plain, normal, split};
use super::entry::{Entry, Kind, Piece};
use super::walk::{Tree, walk};
use crate::error::ErrorKind;
use crate::path::VPath;

/// Names of one catalog, in bytes; more than fits is `LimitExceeded`.
const MAX_NAMES_BYTES: usize = 1 << 30;

/// The tree of an archive's names.
pub(super) struct Catalog {
    nodes: Vec<Node>,
    names: Vec<u8>,
    /// What folders hold, by their keys.
    folders: Vec<Children>,
    /// Keys of folders that nothing was ever put into, and that are folders no more.
    spare_keys: Vec<u32>,
    /// Nodes by their folder's key and their name.
    places: HashTable<Place>,
    /// Seeded at random, so that nobody can make names that meet.
    hasher: DefaultHashBuilder,
    /// What few nodes have.
    links: HashMap<u32, Bytes>,
    pieces: HashMap<u32, Arc<[Piece]>>,
    limit: usize,
    hidden: u64,
    /// Where the last entry was added: the path before its name, and that folder. Most entries follow a neighbour.
    recent: Option<(Vec<u8>, u32)>,
    /// Folders whose children are yet to be put back, and which numbers they have.
    restored: VecDeque<(u32, u32, u32)>,
}

/// A node in the table of places, with the hash that it lies there by: so a table that grows looks at no name again.
#[derive(Clone, Copy)]
struct Place {
    hash: u32,
    id: u32,
}

/// The catalog is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Catalog {
    /// An empty root, for at most `limit` nodes.
    pub(super) fn new(limit: usize) -> Self {
        let mut catalog = Self {
            nodes: Vec::new(),
            names: Vec::new(),
            folders: Vec::new(),
            spare_keys: Vec::new(),
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            links: HashMap::new(),
            pieces: HashMap::new(),
            limit: limit.clamp(1, NONE as usize),
            hidden: 0,
            recent: None,
            restored: VecDeque::new(),
        };
        let key = catalog.next_key();
        catalog.nodes.push(Node::made_up(NONE, 0, 0, key));
        catalog
    }

    /// Adds an entry. One whose name leads out of the archive, or is longer or deeper than any system takes, is counted
    /// as [hidden](Catalog::hidden) and nothing else.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), Full> {
        // Before the name is taken over: a link may lead to what it replaces.
        let linked = (entry.kind == Kind::HardLink).then(|| self.linked(&entry.link));
        let Some((at, name)) = self.place_of(entry)? else { return Ok(()) };
        let hash = self.hash(self.nodes[at as usize].key, name);
        let id = match self.find_by(hash, self.nodes[at as usize].key, name) {
            Some(id) => id,
            None => self.push_by(hash, at, name)?,
        };
        self.date(at, entry);
        self.settle(id, entry, linked.flatten());
        Ok(())
    }

    /// The folder of an entry, made up where it is not there, and the entry's name in it. `None` where it has no name:
    /// the root's, which is described here, and one that is hidden.
    fn place_of<'a>(&mut self, entry: &'a Entry) -> Result<Option<(u32, &'a [u8])>, Full> {
        let (before, last) = split(&entry.name);
        if let Some((path, folder)) = &self.recent
            && path == before
            && is_plain(last)
            && entry.name.len() <= MAX_PATH_BYTES
        {
            return Ok(Some((*folder, last)));
        }
        let Some(names) = normal(&entry.name) else {
            self.hidden += 1;
            return Ok(None);
        };
        let Some((name, folders)) = names.split_last() else {
            // An entry for the root itself, as `tar c .` makes.
            if entry.kind == Kind::Dir {
                self.describe(0, entry);
            }
            return Ok(None);
        };
        let mut at = 0;
        for folder in folders {
            at = self.folder(at, folder, entry)?;
        }
        self.recent = is_plain(last).then(|| (before.to_vec(), at));
        Ok(Some((at, name)))
    }

    /// How many entries are not shown.
    pub(super) fn hidden(&self) -> u64 {
        self.hidden
    }

    /// How many names there are, those of made-up folders included.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Walks `path`. `NotFound`, `NotADirectory` and `Loop` are what is known so far.
    pub(super) fn resolve(&self, path: &VPath, follow: bool) -> Result<NodeId, ErrorKind> {
        walk(self, path, follow).map(NodeId)
    }

    /// The node as it stands now.
    pub(super) fn member(&self, id: NodeId) -> Member {
        let node = &self.nodes[id.0 as usize];
        Member {
            shape: node.shape,
            header: node.header,
            data: node.data,
            size: node.size,
            pieces: self.pieces.get(&id.0).cloned(),
            link: self.links.get(&id.0).cloned(),
            mode: node.known.mode.then_some(u32::from(node.mode)),
            owner: node.known.owner.then_some((node.user, node.group)),
            modified: node.known.modified.then_some((node.seconds, node.nanos)),
        }
    }

    /// The node's own name.
    pub(super) fn name(&self, id: NodeId) -> &[u8] {
        self.nodes[id.0 as usize].name(&self.names)
    }

    /// At most `max` of what the folder holds, from behind `after` on; in the order in which it came.
    pub(super) fn children(&self, folder: NodeId, after: Option<NodeId>, max: usize) -> Vec<NodeId> {
        let mut next = match after {
            None => {
                self.folders.get(self.nodes[folder.0 as usize].key as usize).map_or(NONE, |held| held.first)
            }
            Some(after) => self.nodes[after.0 as usize].next,
        };
        let mut children = Vec::new();
        while next != NONE && children.len() < max {
            children.push(NodeId(next));
            next = self.nodes[next as usize].next;
        }
        children
    }

    /// Puts the node `number` back that was packed with this one's name, and its children, `count` from `first` on. Nodes
    /// come in order, the root first. `None` where they do not make sense.
    pub(super) fn restore(
        &mut self,
        number: u32,
        name: &[u8],
        member: &Member,
        first: u32,
        count: u32,
    ) -> Option<()> {
        if number == 0 {
            self.restored = vec![(0, first, first.checked_add(count)?)].into();
        } else {
            while self.restored.front()?.2 <= number {
                self.restored.pop_front();
            }
            let (folder, from, _) = *self.restored.front()?;
            let sensible = number >= from && normal(name).is_some_and(|names| names == [name]);
            let id = if sensible { self.push(folder, name).ok()? } else { return None };
            self.settle_restored(id, member);
            if member.shape == Shape::Dir && count > 0 {
                self.restored.push_back((id, first, first.checked_add(count)?));
            }
        }
        let node = &mut self.nodes[number as usize];
        node.known.entry = member.data > 0 || member.mode.is_some();
        node.describe(member);
        Some(())
    }

    fn settle_restored(&mut self, id: u32, member: &Member) {
        if let Some(link) = &member.link {
            self.links.insert(id, link.clone());
        }
        if let Some(pieces) = &member.pieces {
            self.pieces.insert(id, Arc::clone(pieces));
        }
        self.reshape(id, member.shape);
    }

    /// What it takes in memory, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.names.capacity()
            + self.folders.capacity() * size_of::<Children>()
            + self.places.allocation_size()
    }

    /// The folder `name` in `at`, made up where nothing or no folder is there.
    fn folder(&mut self, at: u32, name: &[u8], entry: &Entry) -> Result<u32, Full> {
        let id = match self.find(self.nodes[at as usize].key, name) {
            Some(id) if self.nodes[id as usize].shape == Shape::Dir => return Ok(id),
            Some(id) => id,
            None => {
                self.date(at, entry);
                self.push(at, name)?
            }
        };
        self.links.remove(&id);
        self.pieces.remove(&id);
        let key = self.next_key();
        let node = &mut self.nodes[id as usize];
        *node = Node { next: node.next, ..Node::made_up(node.folder, node.name_at, node.name_len, key) };
        Ok(id)
    }

    /// A new name at the end of the folder `at`.
    fn push(&mut self, at: u32, name: &[u8]) -> Result<u32, Full> {
        self.push_by(self.hash(self.nodes[at as usize].key, name), at, name)
    }

    fn push_by(&mut self, hash: u32, at: u32, name: &[u8]) -> Result<u32, Full> {
        if self.nodes.len() >= self.limit || self.names.len() + name.len() > MAX_NAMES_BYTES {
            return Err(Full);
        }
        // Both fit: `normal` and the limits above see to it.
        let (id, name_at, name_len) = (self.nodes.len() as u32, self.names.len() as u32, name.len() as u8);
        self.names.extend_from_slice(name);
        let key = self.nodes[at as usize].key;
        let held = &mut self.folders[key as usize];
        match std::mem::replace(&mut held.last, id) {
            NONE => held.first = id,
            last => self.nodes[last as usize].next = id,
        }
        let node = Node { shape: Shape::Other, ..Node::made_up(key, name_at, name_len, NONE) };
        self.nodes.push(node);
        let place = Place { hash, id };
        self.places.insert_unique(place.widened(), place, Place::widened);
        Ok(id)
    }

    /// Makes the node what the entry says.
    fn settle(&mut self, id: u32, entry: &Entry, linked: Option<u32>) {
        let shape = match (entry.kind, linked) {
            (Kind::File, _) => Shape::File,
            (Kind::Dir, _) => Shape::Dir,
            (Kind::Symlink, _) => Shape::Symlink,
            (Kind::Other, _) => Shape::Other,
            (Kind::HardLink, Some(target)) => return self.settle_linked(id, target),
            (Kind::HardLink, None) => Shape::Broken,
        };
        self.links.remove(&id);
        self.pieces.remove(&id);
        if shape == Shape::Symlink {
            self.links.insert(id, Bytes::copy_from_slice(&entry.link));
        }
        if let Some(pieces) = &entry.sparse {
            self.pieces.insert(id, Arc::clone(pieces));
        }
        self.reshape(id, shape);
        self.describe(id, entry);
    }

    /// Another name for what `target` is now; a later entry of that name changes this one no more.
    fn settle_linked(&mut self, id: u32, target: u32) {
        if id == target {
            return;
        }
        let source = self.nodes[target as usize];
        match self.links.get(&target).cloned() {
            Some(link) => self.links.insert(id, link),
            None => self.links.remove(&id),
        };
        match self.pieces.get(&target).cloned() {
            Some(pieces) => self.pieces.insert(id, pieces),
            None => self.pieces.remove(&id),
        };
        self.reshape(id, source.shape);
        let Node { name_at, name_len, folder, key, next, .. } = self.nodes[id as usize];
        self.nodes[id as usize] = Node { name_at, name_len, folder, key, next, ..source };
    }

    fn reshape(&mut self, id: u32, shape: Shape) {
        let was = self.nodes[id as usize].shape;
        if shape == Shape::Dir && was != Shape::Dir {
            self.nodes[id as usize].key = self.next_key();
        }
        if shape != Shape::Dir && was == Shape::Dir {
            let key = std::mem::replace(&mut self.nodes[id as usize].key, NONE);
            if self.folders[key as usize].first == NONE {
                self.spare_keys.push(key);
            }
            // It may have been a folder that the recent one lies in.
            self.recent = None;
        }
        self.nodes[id as usize].shape = shape;
    }

    fn describe(&mut self, id: u32, entry: &Entry) {
        let node = &mut self.nodes[id as usize];
        (node.header, node.data, node.size) = (entry.header, entry.data, entry.size);
        (node.seconds, node.nanos) = entry.modified.unwrap_or_default();
        node.mode = entry.mode.unwrap_or_default() as u16;
        (node.user, node.group) = (entry.user.unwrap_or_default(), entry.group.unwrap_or_default());
        node.known = Known {
            mode: entry.mode.is_some(),
            owner: entry.user.is_some() && entry.group.is_some(),
            modified: entry.modified.is_some(),
            entry: true,
        };
    }

    /// A made-up folder is as new as the newest thing in it.
    fn date(&mut self, folder: u32, entry: &Entry) {
        let node = &mut self.nodes[folder as usize];
        let Some(time) = entry.modified.filter(|_| !node.known.entry) else { return };
        if !node.known.modified || time > (node.seconds, node.nanos) {
            (node.seconds, node.nanos) = time;
            node.known.modified = true;
        }
    }

    /// The earlier file, or link, that a hard link names.
    fn linked(&self, name: &[u8]) -> Option<u32> {
        let mut at = 0_u32;
        for name in normal(name)? {
            at = self.find(self.nodes[at as usize].key, name)?;
        }
        let is_one = matches!(self.nodes[at as usize].shape, Shape::File | Shape::Symlink | Shape::Other);
        is_one.then_some(at)
    }

    /// What `name` is in the folder with this key; files have none.
    fn find(&self, key: u32, name: &[u8]) -> Option<u32> {
        if key == NONE { None } else { self.find_by(self.hash(key, name), key, name) }
    }

    fn find_by(&self, hash: u32, key: u32, name: &[u8]) -> Option<u32> {
        let wanted = Place { hash, id: NONE };
        let is_it = |place: &Place| {
            place.hash == hash && {
                let node = &self.nodes[place.id as usize];
                node.folder == key && node.name(&self.names) == name
            }
        };
        self.places.find(wanted.widened(), is_it).map(|place| place.id)
    }

    fn hash(&self, key: u32, name: &[u8]) -> u32 {
        self.hasher.hash_one((key, name)) as u32
    }

    fn next_key(&mut self) -> u32 {
        // At most two for each node: its own, and the one of an earlier folder that it lies in.
        self.spare_keys.pop().unwrap_or_else(|| {
            self.folders.push(Children::NONE);
            self.folders.len() as u32 - 1
        })
    }
}

impl Place {
    /// The hash as the table wants it: it takes a place from the lowest bits, and a mark from the highest.
    fn widened(&self) -> u64 {
        u64::from(self.hash) << 32 | u64::from(self.hash)
    }
}

impl Tree for Catalog {
    fn find(&self, folder: u32, name: &[u8]) -> Result<Option<u32>, ErrorKind> {
        Ok(self.find(self.nodes[folder as usize].key, name))
    }

    fn shape(&self, node: u32) -> Result<Shape, ErrorKind> {
        Ok(self.nodes[node as usize].shape)
    }

    fn link(&self, node: u32) -> Result<Option<Bytes>, ErrorKind> {
        Ok(self.links.get(&node).cloned())
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("names", &self.len())
            .field("hidden", &self.hidden)
            .finish_non_exhaustive()
    }
}

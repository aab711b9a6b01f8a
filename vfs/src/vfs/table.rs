//! The mount table: an immutable trie from paths to mounts. A change makes a new trie that shares what stayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::path::VPath;

/// What is mounted where, by literal names. `M` is cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Table<M> {
    root: Arc<Node<M>>,
}

/// A place in the table: a mount point, or a folder that leads to one.
#[derive(Debug)]
pub(super) struct Node<M> {
    mount: Option<M>,
    children: BTreeMap<Bytes, Arc<Self>>,
}

/// What the table knows of a path.
#[derive(Debug)]
pub(super) struct Found<'a, M> {
    /// The mount that holds the path, and how many of the path's segments lead to it.
    pub(super) mount: Option<(&'a M, usize)>,
    /// The path's own place, where it is a mount point or leads to one.
    pub(super) node: Option<&'a Node<M>>,
}

impl<M: Clone> Table<M> {
    pub(super) fn new() -> Self {
        Self { root: Arc::new(Node::empty()) }
    }

    /// Looks a path up. Its markers, if any, are not looked at.
    pub(super) fn find(&self, path: &VPath) -> Found<'_, M> {
        let mut node = &*self.root;
        let mut mount = node.mount.as_ref().map(|mount| (mount, 0));
        for (depth, segment) in path.segments().iter().enumerate() {
            let Some(child) = node.children.get(segment.name()) else {
                return Found { mount, node: None };
            };
            node = child;
            mount = node.mount.as_ref().map(|mount| (mount, depth + 1)).or(mount);
        }
        Found { mount, node: Some(node) }
    }

    /// This table with `mount` at `at`; `None` where something is mounted there.
    pub(super) fn with(&self, at: &VPath, mount: M) -> Option<Self> {
        Some(Self { root: Arc::new(self.root.with(&names(at), mount)?) })
    }

    /// This table without the mount at `at`, and that mount; `None` where nothing is mounted there.
    pub(super) fn without(&self, at: &VPath) -> Option<(Self, M)> {
        let (root, mount) = self.root.without(&names(at))?;
        Some((Self { root: Arc::new(root) }, mount))
    }

    /// Every mount, parents first.
    pub(super) fn mounts(&self) -> Vec<&M> {
        let mut mounts = Vec::new();
        self.root.collect(&mut mounts);
        mounts
    }
}

impl<M: Clone> Node<M> {
    const fn empty() -> Self {
        Self { mount: None, children: BTreeMap::new() }
    }

    /// What is mounted right here.
    pub(super) fn mount(&self) -> Option<&M> {
        self.mount.as_ref()
    }

    /// The places one step below.
    pub(super) fn children(&self) -> impl Iterator<Item = (&Bytes, &Self)> {
        self.children.iter().map(|(name, child)| (name, &**child))
    }

    fn is_empty(&self) -> bool {
        self.mount.is_none() && self.children.is_empty()
    }

    fn with(&self, names: &[&Bytes], mount: M) -> Option<Self> {
        let mut node = Self { mount: self.mount.clone(), children: self.children.clone() };
        match names.split_first() {
            None if node.mount.is_some() => return None,
            None => node.mount = Some(mount),
            Some((&name, below)) => {
                let child = match self.children.get(name) {
                    Some(child) => child.with(below, mount)?,
                    None => Self::empty().with(below, mount)?,
                };
                node.children.insert(name.clone(), Arc::new(child));
            }
        }
        Some(node)
    }

    fn without(&self, names: &[&Bytes]) -> Option<(Self, M)> {
        let mut node = Self { mount: self.mount.clone(), children: self.children.clone() };
        let mount = match names.split_first() {
            None => node.mount.take()?,
            Some((&name, below)) => {
                let (child, mount) = self.children.get(name)?.without(below)?;
                if child.is_empty() {
                    node.children.remove(name);
                } else {
                    node.children.insert(name.clone(), Arc::new(child));
                }
                mount
            }
        };
        Some((node, mount))
    }

    fn collect<'a>(&'a self, mounts: &mut Vec<&'a M>) {
        mounts.extend(&self.mount);
        for child in self.children.values() {
            child.collect(mounts);
        }
    }
}

fn names(path: &VPath) -> Vec<&Bytes> {
    path.segments().iter().map(|segment| segment.name()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Model;

    use proptest::prelude::*;

    use super::*;
    use crate::fake::path;

    #[test]
    fn the_longest_prefix_wins_and_folders_lead_to_mounts() {
        let table = Table::new().with(&path("/a/b"), 1).unwrap().with(&path("/a/b/c/d"), 2).unwrap();
        for (text, mount, is_node) in [
            ("/", None, true),
            ("/a", None, true),
            ("/x", None, false),
            ("/a/b", Some((&1, 2)), true),
            ("/a/b/x", Some((&1, 2)), false),
            ("/a/b/c", Some((&1, 2)), true),
            ("/a/b/c/d/e", Some((&2, 4)), false),
        ] {
            let found = table.find(&path(text));
            assert_eq!((found.mount, found.node.is_some()), (mount, is_node), "{text}");
        }
        assert!(table.with(&path("/a/b"), 3).is_none());
        let (table, gone) = table.without(&path("/a/b")).unwrap();
        assert_eq!(gone, 1);
        assert_eq!(table.find(&path("/a/b/c/d")).mount, Some((&2, 4)));
        assert!(table.without(&path("/a/b")).is_none());
        let (table, _) = table.without(&path("/a/b/c/d")).unwrap();
        assert!(table.find(&path("/a")).node.is_none(), "folders that lead nowhere are gone");
    }

    fn any_path() -> impl Strategy<Value = VPath> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..5)
            .prop_map(|names| path(&format!("/{}", names.join("/"))))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// The model asks every mount point whether the path starts with it.
        #[test]
        fn it_agrees_with_a_plain_list(
            edits in prop::collection::vec((any::<bool>(), any_path()), 0..24),
            asked in prop::collection::vec(any_path(), 1..24),
        ) {
            let mut table = Table::new();
            let mut model = Model::new();
            for (count, (mounts, at)) in edits.into_iter().enumerate() {
                if mounts {
                    match table.with(&at, count) {
                        Some(changed) => {
                            prop_assert!(model.insert(at, count).is_none());
                            table = changed;
                        }
                        None => prop_assert!(model.contains_key(&at)),
                    }
                } else {
                    match table.without(&at) {
                        Some((changed, gone)) => {
                            prop_assert_eq!(model.remove(&at), Some(gone));
                            table = changed;
                        }
                        None => prop_assert!(!model.contains_key(&at)),
                    }
                }
            }
            for path in asked {
                let found = table.find(&path);
                let longest = model.iter().filter(|(at, _)| path.starts_with(at));
                let longest = longest.max_by_key(|(at, _)| at.segments().len());
                prop_assert_eq!(found.mount, longest.map(|(at, mount)| (mount, at.segments().len())));
                let leads = path.is_root() || model.keys().any(|at| at.starts_with(&path));
                prop_assert_eq!(found.node.is_some(), leads);
            }
            let mut mounts: Vec<_> = table.mounts().into_iter().copied().collect();
            mounts.sort_unstable();
            let mut expected: Vec<_> = model.into_values().collect();
            expected.sort_unstable();
            prop_assert_eq!(mounts, expected);
        }
    }
}

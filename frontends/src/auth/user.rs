//! [`User`] and [`Scope`]: who is known, and what they may do where.

use std::fmt;
use std::sync::Arc;

use vfs::layers::{Access, RightsFs, Rules};
use vfs::producer::Rate;
use vfs::{FileSystem, VPath, subtree};

use super::hash::Hash;
use super::is_guest;

/// Somebody with a name and a password.
#[derive(Clone, Debug)]
pub struct User {
    name: String,
    hash: Hash,
    scope: Scope,
    /// Sessions and requests at once; `None`: as many as the listener takes.
    pub most: Option<usize>,
    /// What all of its transfers together may send a second.
    pub download: Option<Rate>,
    /// What all of its transfers together may bring a second.
    pub upload: Option<Rate>,
}

/// A part of the tree, and what may be done in it.
#[derive(Clone, Debug)]
pub struct Scope {
    root: VPath,
    /// About paths of the whole tree. `None`: everything that the tree itself lets through.
    rules: Option<Arc<Rules>>,
    /// The rules as they were given, for a part of the scope.
    written: Vec<(VPath, Access)>,
}

/// Two are one where they were written alike: the rules follow from that.
impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        (&self.root, self.rules.is_some(), &self.written)
            == (&other.root, other.rules.is_some(), &other.written)
    }
}

/// A name that cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadName;

impl User {
    /// Somebody who may do what `scope` grants.
    ///
    /// # Errors
    /// [`BadName`].
    pub fn new(name: impl Into<String>, hash: Hash, scope: Scope) -> Result<Self, BadName> {
        let name = name.into();
        check_name(&name)?;
        Ok(Self { name, hash, scope, most: None, download: None, upload: None })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn hash(&self) -> &Hash {
        &self.hash
    }

    /// True where both log in alike and may do the same. How often and how fast is not looked at.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.name, &self.hash, &self.scope) == (&other.name, &other.hash, &other.scope)
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl Scope {
    /// All that the tree lets through.
    pub fn whole() -> Self {
        Self { root: VPath::root(), rules: None, written: Vec::new() }
    }

    /// The folder `root` as `/`, and in it what `rules` grant: they are about paths of the whole tree, and the longest one
    /// that fits decides, where none does all is granted. Outside of `root` nothing is, so no link leads out.
    ///
    /// # Errors
    /// As [`Rules::new`].
    pub fn new(root: VPath, rules: impl IntoIterator<Item = (VPath, Access)>) -> vfs::Result<Self> {
        let all: Vec<_> = rules.into_iter().collect();
        let above = all.iter().filter(|(path, _)| root.is_covered_by(path));
        let of_root =
            above.max_by_key(|(path, _)| path.segments().len()).map_or(Access::ALL, |(_, access)| *access);
        let mut rules: Vec<_> = all.iter().filter(|(path, _)| path.is_covered_by(&root)).cloned().collect();
        if !rules.iter().any(|(path, _)| *path == root) {
            rules.push((root.clone(), of_root));
        }
        Ok(Self { root, rules: Some(Arc::new(Rules::new(rules)?)), written: all })
    }

    /// The view of what lies both in `folder` of `tree` and in the root, and where in the tree that is; `None` where nothing
    /// does.
    pub(super) fn view(
        &self,
        tree: &Arc<dyn FileSystem>,
        folder: &VPath,
    ) -> Option<(Arc<dyn FileSystem>, VPath)> {
        if folder.is_covered_by(&self.root) && *folder != self.root {
            // What was fit for the whole is fit for a part of it.
            let part = Self::new(folder.clone(), self.written.clone()).ok()?;
            return part.view(tree, folder);
        }
        if !self.root.is_covered_by(folder) {
            return None;
        }
        let tree = Arc::clone(tree);
        let allowed: Arc<dyn FileSystem> = match &self.rules {
            Some(rules) => Arc::new(RightsFs::new(tree, Arc::clone(rules))),
            None => tree,
        };
        Some((subtree(allowed, &self.root), self.root.clone()))
    }
}

/// Refuses names that no protocol can carry: empty ones, those with a colon (RFC 7617 §2) or control characters, longer
/// ones than 64 bytes, and those of guests.
///
/// # Errors
/// [`BadName`].
pub fn check_name(name: &str) -> Result<(), BadName> {
    let is_fit = |char: char| char != ':' && !char.is_control();
    match name.chars().all(is_fit) && !name.is_empty() && name.len() <= 64 && !is_guest(name) {
        true => Ok(()),
        false => Err(BadName),
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no name for a user: write 1 to 64 bytes without colon, and not anonymous or ftp")
    }
}

impl std::error::Error for BadName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_above_the_root_holds_in_it() {
        let path = |text: &str| VPath::parse(text).unwrap();
        for (rules, access) in [
            (&[][..], Access::ALL),
            (&[("/", Access::READ)], Access::READ),
            (&[("/", Access::ALL), ("/home", Access::READ)], Access::READ),
            (&[("/", Access::READ), ("/home/ann", Access::ALL)], Access::ALL),
            (&[("/elsewhere", Access::READ)], Access::ALL),
        ] {
            let rules = rules.iter().map(|(text, access)| (path(text), *access));
            let scope = Scope::new(path("/home/ann"), rules).unwrap();
            assert_eq!(scope.rules.unwrap().access(&path("/home/ann/file")), access);
        }
    }
}

//! [`Hosts`]: names under which a folder of the tree is a site of its own.

use std::collections::HashMap;
use std::fmt;

use arc_swap::ArcSwap;
use vfs::VPath;

/// Which folder of the tree is `/` under which name. Listeners of one process share it.
///
/// A name is in lower case, without a port; `*.example.org` is every name that ends in `.example.org`. The exact name comes
/// first, then the longest ending. Rights are about paths of the whole tree, whatever the name.
#[derive(Default)]
pub struct Hosts(ArcSwap<Named>);

/// The names that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Folders by name.
    pub folders: HashMap<String, VPath>,
    /// Who names no host of these over HTTP gets nothing, instead of the whole tree. A page of another site could else give
    /// its own name this server's address, and read in the name of whoever looks at it (DNS rebinding). Default: false.
    pub refuses_others: bool,
}

impl Hosts {
    /// With these names.
    pub fn new(named: Named) -> Self {
        Self(ArcSwap::from_pointee(named))
    }

    /// Takes other names from now on. Sessions that have begun stay where they are.
    pub fn replace(&self, named: Named) {
        self.0.store(named.into());
    }

    /// The folder that is `/` under `name`; `None` where it is no name of this.
    pub fn folder(&self, name: &str) -> Option<VPath> {
        self.0.load().folder(name).cloned()
    }

    /// True where something is shown to who asks for `name` over HTTP.
    pub fn admits(&self, name: Option<&str>) -> bool {
        let named = self.0.load();
        !named.refuses_others || name.is_some_and(|name| named.folder(name).is_some())
    }
}

impl Named {
    fn folder(&self, name: &str) -> Option<&VPath> {
        if self.folders.is_empty() {
            return None;
        }
        // The name's root label may be written (RFC 1034 §3.1).
        let name = name.strip_suffix('.').unwrap_or(name);
        let ending = |(at, _)| self.folders.get(&format!("*{}", &name[at..]));
        self.folders.get(name).or_else(|| name.match_indices('.').find_map(ending))
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hosts").field(&self.0.load()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_name_comes_first_then_the_longest_ending() {
        let folders = [("a.example", "/a"), ("*.example", "/all"), ("*.b.example", "/b"), ("[::1]", "/six")];
        let folders = folders.map(|(name, path)| (name.to_owned(), VPath::parse(path).unwrap())).into();
        let hosts = Hosts::new(Named { folders, refuses_others: true });
        for (name, folder) in [
            ("a.example", Some("/a")),
            ("a.example.", Some("/a")),
            ("x.a.example", Some("/all")),
            ("c.example", Some("/all")),
            ("c.b.example", Some("/b")),
            ("b.example", Some("/all")),
            ("example", None),
            ("*.example", Some("/all")),
            ("[::1]", Some("/six")),
            ("evil.example.net", None),
            ("", None),
            (".", None),
        ] {
            let found = hosts.folder(name).map(|path| path.to_string());
            assert_eq!(found.as_deref(), folder, "{name}");
            assert_eq!(hosts.admits(Some(name)), folder.is_some(), "{name}");
        }
        assert!(!hosts.admits(None));
        hosts.replace(Named::default());
        assert!(hosts.admits(None) && hosts.admits(Some("evil.example.net")));
    }
}

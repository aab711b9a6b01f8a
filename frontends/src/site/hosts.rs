//! [`Hosts`]: names under which a folder of the tree is a site of its own.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

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
    /// What who names no host of these gets over HTTP. Default: the whole tree.
    pub others: Others,
}

/// What is shown under names that are none of the site's. A page of another site can give its own name this server's address,
/// and read in the name of whoever looks at it (DNS rebinding).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// The whole tree.
    #[default]
    Shown,
    /// Nothing.
    Refused,
    /// The whole tree; on a loopback address, which only this machine's programs reach, nothing but under addresses and
    /// `localhost`, which are nobody else's names.
    ByListener,
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

    /// True where something is shown to who asks for `name` over HTTP, on a listener that only this machine reaches or not.
    pub fn admits(&self, name: Option<&str>, is_loopback: bool) -> bool {
        let named = self.0.load();
        match named.others {
            Others::Shown => true,
            Others::ByListener if !is_loopback => true,
            Others::ByListener if name.is_none_or(is_local) => true,
            Others::Refused | Others::ByListener => name.is_some_and(|name| named.folder(name).is_some()),
        }
    }
}

/// True for addresses, and for the names that always mean this machine (RFC 6761 §6.3).
fn is_local(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let six = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    six.unwrap_or(name).parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost")
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
        let hosts = Hosts::new(Named { folders, others: Others::Refused });
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
            assert_eq!(hosts.admits(Some(name), false), folder.is_some(), "{name}");
        }
        assert!(!hosts.admits(None, true));
        hosts.replace(Named::default());
        assert!(hosts.admits(None, true) && hosts.admits(Some("evil.example.net"), true));
    }

    #[test]
    fn on_a_loopback_address_only_local_names_are_shown_anything() {
        let hosts = Hosts::new(Named { others: Others::ByListener, ..Named::default() });
        for (name, is_admitted) in [
            (None, true),
            (Some("localhost"), true),
            (Some("files.localhost."), true),
            (Some("127.0.0.1"), true),
            (Some("10.1.2.3"), true),
            (Some("[::1]"), true),
            (Some("evil.example"), false),
            (Some("localhost.evil.example"), false),
            (Some("127.0.0.1.evil.example"), false),
        ] {
            assert_eq!(hosts.admits(name, true), is_admitted, "{name:?}");
            assert!(hosts.admits(name, false), "{name:?}");
        }
    }
}

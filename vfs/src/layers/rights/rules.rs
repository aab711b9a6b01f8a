//! Who may do what where: [`Rules`].

use std::cmp::Reverse;

use crate::error::{Error, ErrorKind, Result};
use crate::path::{Scheme, VPath};

/// What may be done with a path. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Open files and read them.
    pub read: bool,
    /// List folders.
    pub list: bool,
    /// Change: create, write, rename, remove, set attributes.
    pub write: bool,
}

impl Access {
    /// Nothing.
    pub const NONE: Self = Self { read: false, list: false, write: false };
    /// Reading and listing.
    pub const READ: Self = Self { read: true, list: true, write: false };
    /// Everything.
    pub const ALL: Self = Self { read: true, list: true, write: true };

    /// True where this grants all that `other` grants.
    pub fn grants(self, other: Self) -> bool {
        (self.read || !other.read) && (self.list || !other.list) && (self.write || !other.write)
    }

    /// What both grant.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            read: self.read && other.read,
            list: self.list && other.list,
            write: self.write && other.write,
        }
    }

    /// True for what may be seen at all: its description, and its name in a listing.
    pub(super) fn is_visible(self) -> bool {
        self.read || self.list
    }
}

/// Rules of one asker: each says what may be done with a path, with what lies below it, and with what lies inside it
/// where it is an archive. The rule with the longest path decides alone; where none fits, nothing may be done.
///
/// Names are compared byte by byte. Over a source that takes `A` and `a` for one name, grant what is open rather than
/// forbid what is not: a rule against `/a` says nothing about `/A`.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The longest path first, so that the first rule that fits decides.
    rules: Vec<(VPath, Access)>,
}

impl Rules {
    /// Puts rules together, in any order.
    ///
    /// # Errors
    /// `InvalidInput` for two rules on one path, and for a rule inside an archive that forbids what may be read with
    /// the archive's file: whoever has its bytes has all that is in it, under any marker.
    pub fn new(rules: impl IntoIterator<Item = (VPath, Access)>) -> Result<Self> {
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by_key(|(cover, _)| Reverse(length(cover)));
        let rules = Self { rules };
        for (index, (cover, access)) in rules.rules.iter().enumerate() {
            if rules.rules[..index].iter().any(|(other, _)| other == cover) {
                return Err(refusal(cover, "two rules are for the same path"));
            }
            let hidden = archives_on_the_way(cover).map(|file| rules.access(&file));
            if hidden.into_iter().any(|file| file.read && !access.grants(Access { write: false, ..file })) {
                let detail =
                    "the archive's file may be read, so what is in it cannot be forbidden: forbid the file";
                return Err(refusal(cover, detail));
            }
        }
        Ok(rules)
    }

    /// Everything everywhere.
    pub fn unrestricted() -> Self {
        Self { rules: vec![(VPath::root(), Access::ALL)] }
    }

    /// What may be done with `path`.
    pub fn access(&self, path: &VPath) -> Access {
        let rule = self.rules.iter().find(|(cover, _)| path.is_covered_by(cover));
        rule.map_or(Access::NONE, |(_, access)| *access)
    }

    /// What may be done with every path there is: no link can lead around that.
    pub(super) fn everywhere(&self) -> Access {
        // The root's rule is the shortest.
        match self.rules.last() {
            Some((cover, access)) if cover.is_root() => {
                self.rules.iter().fold(*access, |least, (_, access)| least.and(*access))
            }
            _ => Access::NONE,
        }
    }

    /// True where all paths are treated alike.
    pub(super) fn are_uniform(&self) -> bool {
        let everywhere = self.everywhere();
        self.rules.iter().all(|(_, access)| *access == everywhere)
    }

    /// True where a rule of its own is for something below `path` or inside it.
    pub(super) fn differ_below(&self, path: &VPath) -> bool {
        self.rules.iter().any(|(cover, _)| cover != path && cover.is_covered_by(path))
    }
}

/// Orders the rules that cover one path: by segments, then by markers of the last one.
fn length(cover: &VPath) -> (usize, usize) {
    (cover.segments().len(), cover.file_name().map_or(0, |segment| segment.markers().len()))
}

/// The files whose archives `path` goes through.
fn archives_on_the_way(path: &VPath) -> impl Iterator<Item = VPath> + '_ {
    path.segments().iter().enumerate().flat_map(move |(index, segment)| {
        let markers = segment.markers();
        (0..markers.len()).filter_map(move |count| {
            let file = path.prefix(index).child(segment.name().clone()).ok()?;
            markers[..count].iter().try_fold(file, |file, scheme: &Scheme| file.entered(*scheme))
        })
    })
}

fn refusal(cover: &VPath, detail: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, "rights", cover).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::path;

    const WRITE: Access = Access { write: true, ..Access::NONE };

    fn rules(rules: &[(&str, Access)]) -> Result<Rules> {
        Rules::new(rules.iter().map(|(cover, access)| (path(cover), *access)))
    }

    #[test]
    fn the_longest_cover_decides() {
        let rules = rules(&[
            ("/a", Access::NONE),
            ("/", Access::READ),
            ("/a/b", Access::ALL),
            ("/x.tgz", Access::NONE),
            ("/x.tgz#tgz:/pub", Access::READ),
        ])
        .unwrap();
        for (text, access) in [
            ("/", Access::READ),
            ("/ab", Access::READ),
            ("/a", Access::NONE),
            ("/a/x", Access::NONE),
            ("/a#tgz:/x", Access::NONE),
            ("/a/b", Access::ALL),
            ("/a/b/c", Access::ALL),
            ("/x.tgz#tgz:", Access::NONE),
            ("/x.tgz#tgz:/pub/f", Access::READ),
            ("/x.tgz#auto:/pub/f", Access::NONE),
        ] {
            assert_eq!(rules.access(&path(text)), access, "{text}");
        }
        assert_eq!(Rules::default().access(&VPath::root()), Access::NONE);
    }

    #[test]
    fn rules_that_could_not_hold_are_refused() {
        for (list, path_in_error) in [
            (&[("/a", Access::READ), ("/a", Access::NONE)][..], Some("/a")),
            (&[("/a.tgz", Access::READ), ("/a.tgz#tgz:/s", Access::NONE)], Some("/a.tgz#tgz:/s")),
            (&[("/", Access::READ), ("/a.gz#gz:#tar:", WRITE)], Some("/a.gz#gz:#tar:")),
            (
                &[
                    ("/a.tgz", Access::NONE),
                    ("/a.tgz#tgz:", Access::READ),
                    ("/a.tgz#tgz:/b.zip#zip:/s", Access::NONE),
                ],
                Some("/a.tgz#tgz:/b.zip#zip:/s"),
            ),
            (&[("/", Access::ALL), ("/a.tgz#tgz:", Access::READ)], None),
            (&[("/a.tgz", Access::NONE), ("/a.tgz#tgz:", Access::READ)], None),
        ] {
            let refused = rules(list).err().map(|error| error.path().clone());
            assert_eq!(refused, path_in_error.map(path), "{list:?}");
        }
    }

    #[test]
    fn what_holds_everywhere_needs_a_rule_at_the_root() {
        assert!(rules(&[("/", Access::READ), ("/w", Access::ALL)]).unwrap().everywhere().read);
        assert!(!rules(&[("/", Access::READ), ("/s", Access::NONE)]).unwrap().everywhere().read);
        assert!(!rules(&[("/a", Access::READ)]).unwrap().everywhere().read);
        assert!(!Rules::default().everywhere().read);
        assert!(Rules::unrestricted().are_uniform());
        assert!(!rules(&[("/", Access::READ), ("/w", Access::ALL)]).unwrap().are_uniform());
    }
}

//! Names beside others, for what is on its way: [`Aside`].
//!
//! A change of a whole folder takes many calls. What is not whole yet, and what is no longer wanted, has such a name
//! meanwhile, so that what everybody sees is the old or the new. Where nobody is left to end the change (a crash), the name
//! says what is to become of it: see `LocalFs::sweep`.

use std::hash::{BuildHasher, RandomState};

use crate::error::Result;
use crate::path::VPath;

/// What is to become of something that nobody is at work on any more. `.`, 16 hexadecimal digits and a suffix are its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// It is removed: half of something new, or something old on its way out. `.vfsd-gone`.
    Gone,
    /// A folder that holds one thing under its own name: it goes back beside this folder, unless something has its name
    /// there by now. `.vfsd-kept`.
    Kept,
}

const PREFIX: &[u8] = b".";
const DIGITS: usize = 16;

impl Aside {
    /// A path beside `path` that nobody else has or can guess.
    ///
    /// # Errors
    /// `NameTooLong` where the path becomes too long.
    pub fn beside(self, path: &VPath) -> Result<VPath> {
        let random = RandomState::new().hash_one(std::process::id());
        let name = [PREFIX, format!("{random:016x}").as_bytes(), self.suffix()].concat();
        Ok(path.parent().unwrap_or_default().child(name)?)
    }

    /// True where `path` leads to such a name or through one. Front ends refuse clients such paths: who could make one could
    /// have the sweep rename for him.
    pub fn is_on(path: &VPath) -> bool {
        path.segments().iter().any(|segment| Self::of(segment.name()).is_some())
    }

    /// What the name says; `None` for all other names. Case is not looked at: some file systems do not either.
    pub fn of(name: &[u8]) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?;
        let (digits, suffix) = rest.split_at_checked(DIGITS)?;
        let both = [Self::Gone, Self::Kept];
        let aside = both.into_iter().find(|aside| suffix.eq_ignore_ascii_case(aside.suffix()))?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(aside)
    }

    fn suffix(self) -> &'static [u8] {
        match self {
            Self::Gone => b".vfsd-gone",
            Self::Kept => b".vfsd-kept",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_to_become_of_it() {
        let path = VPath::parse("/a/b").unwrap();
        for aside in [Aside::Gone, Aside::Kept] {
            let beside = aside.beside(&path).unwrap();
            assert_eq!(beside.parent(), path.parent());
            assert_eq!(Aside::of(beside.file_name().unwrap().name()), Some(aside));
            assert_ne!(beside, aside.beside(&path).unwrap());
            assert!(Aside::is_on(&beside.child("in").unwrap()) && !Aside::is_on(&path));
        }
        for name in [
            "",
            ".vfsd-gone",
            "0123456789abcdef.vfsd-gone",
            ".0123456789abcde.vfsd-gone",
            ".0123456789abcdeg.vfsd-gone",
            ".0123456789abcdef.vfsd-gone2",
            ".0123456789abcdef.vfsd-part",
        ] {
            assert_eq!(Aside::of(name.as_bytes()), None, "{name}");
        }
        assert_eq!(Aside::of(b".0123456789ABCDEF.VFSD-KEPT"), Some(Aside::Kept));
    }
}

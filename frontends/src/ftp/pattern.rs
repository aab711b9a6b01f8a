//! Patterns of LIST and NLST (`mget *.txt`): `*`, `?` and `[a-z]` in the last name of a path, and nothing else. Pure.

use vfs::DirEntry;
use vfs::path::printed_name;

/// Longest pattern, in bytes.
const MAX_BYTES: usize = 256;

/// Stars in one pattern.
const MAX_STARS: usize = 4;

/// A pattern for names. Matching takes time in proportion to the pattern's length and the name's, whatever they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<u8>);

impl Pattern {
    /// The pattern in the last name of `path`; `None` where that is an ordinary name, or more than is taken.
    pub(super) fn of(path: &[u8]) -> Option<Self> {
        let name = path.rsplit(|byte| *byte == b'/').next()?;
        let stars = name.iter().filter(|byte| **byte == b'*').count();
        let is_pattern = name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
        (is_pattern && name.len() <= MAX_BYTES && stars <= MAX_STARS).then(|| Self(name.to_vec()))
    }

    /// Keeps the entries whose printed names match.
    pub(super) fn retain(&self, entries: &mut Vec<DirEntry>) {
        entries.retain(|entry| self.matches(&printed_name(&entry.name)));
    }

    /// True where all of `name` matches.
    fn matches(&self, name: &[u8]) -> bool {
        let pattern = &self.0[..];
        let (mut at, mut read) = (0, 0);
        // Where the last star stands, and up to where it has taken the name: it takes one byte more each time that what
        // follows does not match. Earlier stars need no second try.
        let mut star: Option<(usize, usize)> = None;
        while read < name.len() {
            if pattern.get(at) == Some(&b'*') {
                star = Some((at, read));
                at += 1;
            } else if let Some(len) = matches_one(&pattern[at..], name[read]) {
                at += len;
                read += 1;
            } else if let Some((stood, taken)) = star {
                star = Some((stood, taken + 1));
                at = stood + 1;
                read = taken + 1;
            } else {
                return false;
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

/// The length of the pattern's front, if that is for one byte and takes `byte`.
fn matches_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => match set_len(pattern) {
            Some(len) => in_set(&pattern[1..len - 1], byte).then_some(len),
            None => (byte == b'[').then_some(1),
        },
        literal => (*literal == byte).then_some(1),
    }
}

/// The length of `[…]` at the front. `]` right after the opening is a member; a set without an end is no set.
fn set_len(pattern: &[u8]) -> Option<usize> {
    let first = 1 + usize::from(matches!(pattern.get(1), Some(b'!' | b'^')));
    let end = pattern.iter().skip(first + 1).position(|byte| *byte == b']')?;
    Some(first + 1 + end + 1)
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let (set, negated) = match set {
        [b'!' | b'^', rest @ ..] => (rest, true),
        set => (set, false),
    };
    let mut rest = set;
    let mut found = false;
    while let Some(first) = rest.first() {
        let (range, len) = match rest {
            [from, b'-', to, ..] => (*from..=*to, 3),
            _ => (*first..=*first, 1),
        };
        found |= range.contains(&byte);
        rest = &rest[len..];
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, name, matches) in [
            ("*", "", true),
            ("*", "a", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "a", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            ("[x", "[x", true),
            ("x[", "x[", true),
            ("*\u{e4}", "b\u{e4}", true),
        ] {
            let pattern = Pattern::of(pattern.as_bytes()).unwrap();
            assert_eq!(pattern.matches(name.as_bytes()), matches, "{pattern:?} on {name}");
        }
    }

    #[test]
    fn only_the_last_name_is_a_pattern_and_only_a_modest_one() {
        assert_eq!(Pattern::of(b"a*/b"), None);
        assert_eq!(Pattern::of(b"a*/b?"), Some(Pattern(b"b?".to_vec())));
        assert_eq!(Pattern::of(b"plain"), None);
        assert_eq!(Pattern::of(b"a*b*c*d*e*"), None);
        assert_eq!(Pattern::of(&[b'?'; MAX_BYTES + 1]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_takes_any_name(pattern in "[]*?a!^\\[-]{1,20}", name in "[]a*!\\[-]{0,40}") {
            if let Some(pattern) = Pattern::of(pattern.as_bytes()) {
                let _ = pattern.matches(name.as_bytes());
            }
            // A name always matches a star, and itself where it holds none of the signs.
            proptest::prop_assert!(Pattern(b"*".to_vec()).matches(name.as_bytes()));
        }
    }
}

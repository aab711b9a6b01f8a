//! Patterns over one name, as the shell writes them: `*`, `?`, `[a-z]`, `[!a-z]`, `\x`.
//!
//! Kept here instead of a crate because names are bytes: `?` takes one character where the name is UTF-8 and one byte
//! where it is not, which the crates at hand do not do. Matching takes at most pattern × name steps, whatever the pattern.

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Any number of characters.
    Any,
    /// One character of those, or one that is not.
    One { ranges: Vec<(Unit, Unit)>, except: bool },
}

/// One character of a name, or one byte that belongs to no character; bytes come after all characters.
type Unit = u32;

/// The unit of a byte that is no UTF-8: above the last character.
const BYTE_UNITS: Unit = 0x11_0000;

impl Glob {
    /// Parses a pattern, bytes that are no UTF-8 included.
    ///
    /// # Errors
    /// An open `[` or a `\` at the end, in a sentence.
    pub(crate) fn parse(pattern: &[u8]) -> Result<Self, String> {
        let mut units = units(pattern).peekable();
        let mut steps = Vec::new();
        while let Some(unit) = units.next() {
            steps.push(match char::from_u32(unit) {
                Some('*') => Step::Any,
                Some('?') => Step::One { ranges: Vec::new(), except: true },
                Some('\\') => {
                    Step::exactly(units.next().ok_or("the pattern ends in \\: write \\\\ for one")?)
                }
                Some('[') => {
                    parse_class(&mut units).ok_or("the pattern has [ without ]: write \\[ for one")?
                }
                _ => Step::exactly(unit),
            });
        }
        steps.dedup_by(|a, b| *a == Step::Any && *b == Step::Any);
        Ok(Self { steps })
    }

    /// True where the whole `name` fits.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let name: Vec<Unit> = units(name).collect();
        let (mut step, mut at) = (0, 0);
        // Where to go on when what follows the last `*` does not fit: that `*` takes one unit more. An earlier `*` need
        // never be tried again, so the walk is bounded by pattern × name.
        let mut retry = None;
        while step < self.steps.len() || at < name.len() {
            match (self.steps.get(step), name.get(at)) {
                (Some(Step::Any), _) => {
                    retry = Some((step, at + 1));
                    step += 1;
                }
                (Some(one), Some(unit)) if one.takes(*unit) => (step, at) = (step + 1, at + 1),
                _ => match retry {
                    Some((star, next)) if next <= name.len() => (step, at) = (star, next),
                    _ => return false,
                },
            }
        }
        true
    }
}

impl Step {
    fn exactly(unit: Unit) -> Self {
        Self::One { ranges: vec![(unit, unit)], except: false }
    }

    fn takes(&self, unit: Unit) -> bool {
        match self {
            Self::Any => true,
            Self::One { ranges, except } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&unit)) != *except
            }
        }
    }
}

/// Parses what follows `[`, up to its `]`. A `]` in the first place stands for itself, as POSIX has it.
fn parse_class(units: &mut std::iter::Peekable<impl Iterator<Item = Unit>>) -> Option<Step> {
    let is = |char: char| move |unit: &Unit| *unit == Unit::from(char);
    let except = units.next_if(is('!')).or_else(|| units.next_if(is('^'))).is_some();
    let mut ranges = Vec::new();
    loop {
        let mut low = units.next()?;
        if is(']')(&low) && !ranges.is_empty() {
            return Some(Step::One { ranges, except });
        }
        if is('\\')(&low) {
            low = units.next()?;
        }
        if units.next_if(is('-')).is_none() {
            ranges.push((low, low));
            continue;
        }
        match units.next()? {
            // A `-` in the last place stands for itself.
            close if is(']')(&close) => {
                ranges.extend([(low, low), (Unit::from('-'), Unit::from('-'))]);
                return Some(Step::One { ranges, except });
            }
            high => ranges.push((low, high)),
        }
    }
}

fn units(text: &[u8]) -> impl Iterator<Item = Unit> + '_ {
    text.utf8_chunks().flat_map(|part| {
        let bytes = part.invalid().iter().map(|byte| BYTE_UNITS + Unit::from(*byte));
        part.valid().chars().map(Unit::from).chain(bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, yes, no) in [
            ("*", &["", "a", "é"][..], &[][..]),
            ("*.rs", &["a.rs", ".rs", "a.rs.rs"], &["a.rs~", "rs"]),
            ("a?c", &["abc", "aéc"], &["ac", "abbc"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
            ("[!a-c]x", &["dx", "éx"], &["ax"]),
            ("[]-]x", &["]x", "-x"], &["ax"]),
            (r"\*[\]]", &["*]"], &["a]"]),
            ("a**b", &["ab", "axxb"], &["a"]),
            ("", &[""], &["a"]),
        ] {
            let glob = Glob::parse(pattern.as_bytes()).unwrap();
            for (names, expected) in [(yes, true), (no, false)] {
                for name in names {
                    assert_eq!(glob.matches(name.as_bytes()), expected, "{pattern} over {name}");
                }
            }
        }
    }

    #[test]
    fn a_byte_that_is_no_text_is_one_character() {
        assert!(Glob::parse(b"a?b").unwrap().matches(b"a\xffb"));
        assert!(Glob::parse(b"a\xffb").unwrap().matches(b"a\xffb"));
        assert!(!Glob::parse(b"a\xffb").unwrap().matches(b"a\xfeb"));
    }

    #[test]
    fn a_hostile_pattern_costs_no_more_than_its_length_times_the_name() {
        // Backtracking over every `*` would take 2^60 steps here and the test would never end.
        let glob = Glob::parse("*a".repeat(60).as_bytes()).unwrap();
        assert!(!glob.matches(format!("{}b", "a".repeat(2000)).as_bytes()));
    }

    #[test]
    fn an_open_class_is_refused() {
        for pattern in ["[", "[a", "[]", "[a-", "a\\"] {
            assert!(Glob::parse(pattern.as_bytes()).is_err(), "{pattern}");
        }
    }
}

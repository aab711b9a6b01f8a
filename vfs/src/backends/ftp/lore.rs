//! [`Lore`]: what was learned of a site, once for all of its connections.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::reply::Reply;

/// What was learned of one site.
#[derive(Debug, Default)]
pub(super) struct Lore {
    /// The folder that a login starts in.
    pub(super) home: OnceLock<Vec<u8>>,
    features: OnceLock<Features>,
    pub(super) no_epsv: Latch,
    pub(super) no_mlst: Latch,
    pub(super) no_mlsd: Latch,
    pub(super) no_size: Latch,
    pub(super) no_mdtm: Latch,
    pub(super) no_rest: Latch,
    /// A reply came late after ABOR: what is left early is better cut off.
    pub(super) no_abort: Latch,
    /// LIST takes no `-a`, or takes it for a name.
    pub(super) no_list_all: Latch,
    /// LIST has listed something with `-a`.
    pub(super) has_list_all: Latch,
    /// A data connection was refused under TLS 1.3, whose tickets run out: TLS 1.2 resumes as often as it is asked.
    pub(super) needs_tls12: Latch,
}

/// Something that is so from the moment it was seen.
#[derive(Debug, Default)]
pub(super) struct Latch(AtomicBool);

impl Latch {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The facts that are wanted of MLST and MLSD.
pub(super) const FACTS: &str = "type;size;modify;unique;unix.mode;unix.uid;unix.owner;unix.gid;unix.group;";

/// What FEAT tells (RFC 2389 §3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) mlst: bool,
    /// MLST tells some of [`FACTS`] only where it is asked to.
    pub(super) hides_facts: bool,
    pub(super) utf8: bool,
    pub(super) mfmt: bool,
}

impl Features {
    /// A site without FEAT has none of them.
    pub(super) fn of(reply: &Reply) -> Self {
        let mut features = Self::default();
        if reply.code != 211 {
            return features;
        }
        for line in reply.lines().skip(1) {
            let word = line.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default();
            match word.to_ascii_uppercase().as_slice() {
                b"MLST" | b"MLSD" => {
                    features.mlst = true;
                    features.hides_facts |= hides_facts(line);
                }
                b"UTF8" => features.utf8 = true,
                b"MFMT" => features.mfmt = true,
                _ => {}
            }
        }
        features
    }
}

/// True where `line` has a fact of [`FACTS`] without the asterisk of those that are told (RFC 3659 §7.8).
fn hides_facts(line: &[u8]) -> bool {
    let facts = line.trim_ascii().rsplit(u8::is_ascii_whitespace).next().unwrap_or_default();
    let hidden = facts.split(|byte| *byte == b';').map(<[u8]>::to_ascii_lowercase);
    let mut wanted = FACTS.split(';').filter(|fact| !fact.is_empty());
    let hidden: Vec<_> = hidden.collect();
    wanted.any(|wanted| hidden.iter().any(|fact| fact == wanted.as_bytes()))
}

impl Lore {
    /// What FEAT told, where it was asked already.
    pub(super) fn features(&self) -> Option<Features> {
        self.features.get().copied()
    }

    /// Keeps what FEAT told. The first answer counts.
    pub(super) fn learn(&self, features: Features) -> Features {
        *self.features.get_or_init(|| features)
    }

    /// True where MLST may be asked.
    pub(super) fn has_mlst(&self) -> bool {
        self.features().is_some_and(|features| features.mlst) && !self.no_mlst.is_set()
    }

    /// True where MLSD may be asked.
    pub(super) fn has_mlsd(&self) -> bool {
        self.features().is_some_and(|features| features.mlst) && !self.no_mlsd.is_set()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_words_at_the_start_of_lines() {
        for (text, expected) in [
            (
                "211-Features:\r\n MDTM\r\n MLST type*;size*;\r\n UTF8\r\n MFMT\r\n211 End\r\n",
                (true, false, true, true),
            ),
            ("211-Features:\r\n mlst size;\r\nutf8\r\n211 End", (true, true, true, false)),
            ("211-Features:\r\n MLST type*;size*;UNIX.mode;x.count;\r\n211 End", (true, true, false, false)),
            ("211-Features:\r\n MLST type*;x.count;\r\n211 End", (true, false, false, false)),
            ("211 no features\r\n", (false, false, false, false)),
            ("500 What?\r\n MLST\r\n", (false, false, false, false)),
        ] {
            let found = Features::of(&Reply::of(text.as_bytes()));
            assert_eq!((found.mlst, found.hides_facts, found.utf8, found.mfmt), expected, "{text}");
        }
    }
}

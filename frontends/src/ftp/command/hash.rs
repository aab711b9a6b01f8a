//! Hashes of files: HASH (draft-bryan-ftpext-hash-02), and what clients asked for before it. Pure.

use vfs::producer::Algorithm;

use super::argument::{number, path};
use super::{Command, Refusal, Result};

const USAGE: Refusal = Refusal::Syntax("Say which path, and where to start and to end if not the whole.");

/// A request for a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ftp) struct Hashing {
    /// Which hash; `None`: the one that OPTS HASH chose.
    pub(in crate::ftp) algorithm: Option<Algorithm>,
    /// First byte.
    pub(in crate::ftp) start: u64,
    /// The byte after the last one; `None`: the end of the file.
    pub(in crate::ftp) end: Option<u64>,
    /// How it is answered.
    pub(in crate::ftp) answer: Answer,
}

/// How a hash is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ftp) enum Answer {
    /// HASH: 213, algorithm, range, hash and path.
    Hash,
    /// XCRC and its kin: 250 and the hash.
    Bare,
    /// MD5 (draft-twine-ftpmd5-00): 251, path and hash.
    Md5,
}

/// `HASH path`.
pub(super) fn hash(argument: &[u8]) -> Result<Command> {
    let hashing = Hashing { algorithm: None, start: 0, end: None, answer: Answer::Hash };
    Ok(Command::Hash(hashing, path(argument)?))
}

/// `MD5 path`; the path may stand in quotes.
pub(super) fn md5(argument: &[u8]) -> Result<Command> {
    let hashing = Hashing { algorithm: Some(Algorithm::Md5), start: 0, end: None, answer: Answer::Md5 };
    let quoted = argument.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    Ok(Command::Hash(hashing, path(quoted.unwrap_or(argument))?))
}

/// `XCRC path`, `XCRC "path" START END`: offsets are taken only behind a path in quotes, for a name may end in numbers.
pub(super) fn ranged(algorithm: Algorithm, argument: &[u8]) -> Result<Command> {
    let mut hashing = Hashing { algorithm: Some(algorithm), start: 0, end: None, answer: Answer::Bare };
    let Some(rest) = argument.strip_prefix(b"\"") else {
        return Ok(Command::Hash(hashing, path(argument)?));
    };
    let quote = rest.iter().rposition(|byte| *byte == b'"').ok_or(USAGE)?;
    let (quoted, offsets) = (&rest[..quote], &rest[quote + 1..]);
    let mut offsets = offsets.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    if let Some(start) = offsets.next() {
        hashing.start = number(start).ok_or(USAGE)?;
    }
    if let Some(end) = offsets.next() {
        hashing.end = Some(number(end).filter(|end| *end >= hashing.start).ok_or(USAGE)?);
    }
    match offsets.next() {
        Some(_) => Err(USAGE),
        None => Ok(Command::Hash(hashing, path(quoted)?)),
    }
}

/// The algorithm of `OPTS HASH SHA-256`.
pub(super) fn chosen(name: &[u8]) -> Option<Algorithm> {
    Algorithm::ALL.into_iter().find(|algorithm| algorithm.name().as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_ranges_are_told_apart() {
        let bare = Hashing { algorithm: Some(Algorithm::Crc32), start: 0, end: None, answer: Answer::Bare };
        for (argument, hashing, path) in [
            ("my file 1 2", bare, "my file 1 2"),
            ("\"my file\"", bare, "my file"),
            ("\"my file\" 3", Hashing { start: 3, ..bare }, "my file"),
            ("\"a\"b\" 3 7", Hashing { start: 3, end: Some(7), ..bare }, "a\"b"),
        ] {
            let expected = Ok(Command::Hash(hashing, path.as_bytes().to_vec()));
            assert_eq!(ranged(Algorithm::Crc32, argument.as_bytes()), expected, "{argument}");
        }
        for wrong in ["", "\"", "\"\"", "\"a\" x", "\"a\" 1 x", "\"a\" 2 1", "\"a\" 1 2 3"] {
            assert!(matches!(ranged(Algorithm::Md5, wrong.as_bytes()), Err(Refusal::Syntax(_))), "{wrong}");
        }
    }

    #[test]
    fn algorithms_have_their_registered_names() {
        assert_eq!(chosen(b"sha-256"), Some(Algorithm::Sha256));
        assert_eq!(chosen(b"SHA256"), None);
    }
}

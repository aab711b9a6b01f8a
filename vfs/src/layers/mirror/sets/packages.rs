//! A Debian archive's packages, as a `Packages` index lists them.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::{Digest, parse_digest};
use crate::path::VPath;

/// Packages that an index lists at most; what comes behind is not checked. Debian's own lists some 70,000.
const LISTED: usize = 500_000;

/// A line is no longer than this; what is longer says nothing that is wanted here.
const LINE_BYTES: usize = 64 * 1024;

/// What an index's name begins with.
const INDEX: &[u8] = b"Packages";

/// What packages must sum to, by where they lie below the archive's root: 48 bytes each.
#[derive(Debug, Default)]
pub(in crate::layers::mirror) struct Packages(HashMap<u128, Digest>);

/// Reads an index as it comes.
#[derive(Debug, Default)]
pub(in crate::layers::mirror) struct PackagesReader {
    packages: Packages,
    /// Of the stanza that is being read.
    name: Option<u128>,
    digest: Option<Digest>,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl Packages {
    /// What the package at `below`, a path below the archive's root, must sum to.
    pub(in crate::layers::mirror) fn digest(&self, below: &[u8]) -> Option<Digest> {
        self.0.get(&name_of(below)).copied()
    }
}

impl PackagesReader {
    pub(in crate::layers::mirror) fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(at) = bytes.iter().position(|sign| *sign == b'\n') {
            let mut line = std::mem::take(&mut self.rest);
            line.extend_from_slice(&bytes[..at]);
            self.line(&line);
            bytes = &bytes[at + 1..];
        }
        if self.rest.len() + bytes.len() <= LINE_BYTES {
            self.rest.extend_from_slice(bytes);
        }
    }

    pub(in crate::layers::mirror) fn end(mut self) -> Packages {
        let line = std::mem::take(&mut self.rest);
        self.line(&line);
        self.line(b"");
        self.packages
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            if let (Some(name), Some(digest)) = (self.name.take(), self.digest.take())
                && self.packages.0.len() < LISTED
            {
                self.packages.0.insert(name, digest);
            }
            (self.name, self.digest) = (None, None);
        } else if let Some(name) = line.strip_prefix(b"Filename:") {
            let name = name.trim_ascii();
            self.name = Some(name_of(name.strip_prefix(b"./").unwrap_or(name)));
        } else if let Some(digest) = line.strip_prefix(b"SHA256:") {
            self.digest = parse_digest(digest.trim_ascii());
        }
    }
}

fn name_of(below: &[u8]) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&Sha256::digest(below)[..16]);
    u128::from_be_bytes(first)
}

/// True for the name, as a release lists it, of an index of packages, packed or not.
pub(in crate::layers::mirror) fn is_index_of_packages(name: &[u8]) -> bool {
    let last = name.rsplit(|sign| *sign == b'/').next().unwrap_or(name);
    last.strip_prefix(INDEX).is_some_and(|kind| matches!(kind, b"" | b".gz" | b".xz" | b".bz2" | b".zst"))
}

/// True for a package.
pub(in crate::layers::mirror) fn is_package(path: &VPath) -> bool {
    let suffixes: [&[u8]; 3] = [b".deb", b".udeb", b".ddeb"];
    path.file_name().is_some_and(|name| suffixes.iter().any(|suffix| name.name().ends_with(suffix)))
}

/// The root of the archive that the release in `folder` belongs to: where `dists` lies.
pub(in crate::layers::mirror) fn root_of(folder: &VPath) -> Option<VPath> {
    let at = folder.segments().iter().rposition(|segment| segment.name() == "dists")?;
    Some(folder.prefix(at))
}

/// Where the index at `path` lies under its own hash.
pub(in crate::layers::mirror) fn by_hash(path: &VPath, digest: &Digest) -> Option<VPath> {
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut at = path.parent()?;
    for part in ["by-hash", "SHA256", &name] {
        at = at.child(part.to_owned()).ok()?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::path;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn an_index_says_what_its_packages_sum_to_however_it_comes() {
        let text = format!(
            "Package: a\nFilename: pool/a_1.deb\nSHA256: {EMPTY}\nDescription: {}\n\nPackage: b\nSHA256: {EMPTY}\n\n\
             Filename: ./flat.deb\nSHA256: {EMPTY}\nSize: 0",
            "x".repeat(2 * LINE_BYTES)
        );
        for piece in [1, 7, 1000, text.len()] {
            let mut reader = PackagesReader::default();
            text.as_bytes().chunks(piece).for_each(|piece| reader.feed(piece));
            let packages = reader.end();
            let expected = parse_digest(EMPTY.as_bytes());
            assert_eq!(packages.0.len(), 2, "{piece}");
            assert_eq!(packages.digest(b"pool/a_1.deb"), expected);
            assert_eq!(packages.digest(b"flat.deb"), expected);
            assert_eq!(packages.digest(b"pool/b_1.deb"), None);
        }
    }

    #[test]
    fn places_in_an_archive() {
        let index = path("/debian/dists/trixie/main/binary-amd64/Packages.xz");
        for (name, is_one) in [
            ("main/binary-amd64/Packages", true),
            ("Packages.gz", true),
            ("main/binary-amd64/Packages.diff/Index", false),
            ("main/source/Sources.xz", false),
        ] {
            assert_eq!(is_index_of_packages(name.as_bytes()), is_one, "{name}");
        }
        assert!(is_package(&path("/pool/a.deb")) && !is_package(&path("/pool/a.dsc")));
        assert_eq!(root_of(&path("/debian/dists/trixie")), Some(path("/debian")));
        assert_eq!(root_of(&path("/flat")), None);
        let found = by_hash(&index, &parse_digest(EMPTY.as_bytes()).unwrap()).unwrap();
        assert_eq!(found, path(&format!("/debian/dists/trixie/main/binary-amd64/by-hash/SHA256/{EMPTY}")));
    }
}

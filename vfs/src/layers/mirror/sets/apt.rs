//! A Debian archive's sets: a `Release` or `InRelease` file and the indices that it lists
//! (<https://wiki.debian.org/DebianRepository/Format>).

use std::collections::HashMap;

use super::{Digest, parse_digest};
use crate::path::VPath;

/// Indices that a release lists at most; what comes behind is not checked. Debian's own lists some 3,000.
const LISTED: usize = 100_000;

/// The indices that a release lists, by their path below the release's folder.
#[derive(Debug, Default)]
pub(in crate::layers::mirror) struct Release {
    indices: HashMap<Vec<u8>, Digest>,
    /// It has a field that only a release has.
    is_one: bool,
}

/// Fields of which a release has one at least.
const FIELDS: [&[u8]; 7] = [b"Codename:", b"Date:", b"MD5Sum:", b"Origin:", b"SHA1:", b"SHA256:", b"Suite:"];

impl Release {
    /// Reads the `SHA256:` part; signatures and everything else are passed over. A file without one lists nothing.
    pub(in crate::layers::mirror) fn parse(text: &[u8]) -> Self {
        let listed = text
            .split(|sign| *sign == b'\n')
            .skip_while(|line| !line.trim_ascii_end().eq_ignore_ascii_case(b"SHA256:"))
            .skip(1)
            .take_while(|line| line.first().is_some_and(|first| matches!(first, b' ' | b'\t')));
        let indices = listed.take(LISTED).filter_map(|line| {
            let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let (digest, _len, name) = (words.next()?, words.next()?, words.next()?);
            Some((name.to_vec(), parse_digest(digest)?))
        });
        let is_one =
            text.split(|sign| *sign == b'\n').any(|line| FIELDS.iter().any(|field| line.starts_with(field)));
        Self { indices: indices.collect(), is_one }
    }

    /// True for what looks like a release, though it may list nothing.
    pub(in crate::layers::mirror) fn is_one(&self) -> bool {
        self.is_one
    }

    /// What the index at `path` must sum to; `folder` is where the release lies.
    pub(in crate::layers::mirror) fn digest(&self, folder: &VPath, path: &VPath) -> Option<Digest> {
        let below = path.strip_prefix(folder)?.to_bytes();
        self.indices.get(below.strip_prefix(b"/")?).copied()
    }

    /// The indices below `folder` whose listed names are `wanted`, with what they must sum to.
    pub(in crate::layers::mirror) fn indices(
        &self,
        folder: &VPath,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> impl Iterator<Item = (VPath, Digest)> {
        self.indices.iter().filter(move |(name, _)| wanted(name)).filter_map(move |(name, digest)| {
            let mut path = folder.clone();
            for part in name.split(|sign| *sign == b'/') {
                // A name that leads elsewhere is none of an index.
                if part == b".." || part == b"." {
                    return None;
                }
                path.push_name(part.to_vec()).ok()?;
            }
            Some((path, *digest))
        })
    }
}

/// What a file must sum to whose own name says so: `by-hash/SHA256/…`.
pub(in crate::layers::mirror) fn hash_in_name(path: &VPath) -> Option<Digest> {
    let [.., folder, algorithm, name] = path.segments() else { return None };
    let is_by_hash = folder.name() == "by-hash" && algorithm.name() == "SHA256";
    parse_digest(name.name()).filter(|_| is_by_hash)
}

/// True for a release, signed or not.
pub(in crate::layers::mirror) fn is_release(path: &VPath) -> bool {
    path.file_name().is_some_and(|name| matches!(&name.name()[..], b"InRelease" | b"Release"))
}

/// The signature that goes with a `Release`.
pub(in crate::layers::mirror) fn signature_of(release: &VPath) -> Option<VPath> {
    let name = release.file_name()?.name();
    if name != "Release" {
        return None;
    }
    release.parent()?.child("Release.gpg").ok()
}

/// The releases that may list the file at `path`, the nearest first.
pub(in crate::layers::mirror) fn releases_above(path: &VPath) -> Vec<VPath> {
    let mut found = Vec::new();
    let is_of_a_release = path.segments().iter().any(|segment| segment.name() == "dists");
    let mut folder = path.parent().filter(|_| is_of_a_release && !is_release(path));
    while let Some(here) = folder {
        if here.file_name().is_none_or(|name| name.name() == "dists") {
            break;
        }
        found.extend(["InRelease", "Release"].into_iter().filter_map(|name| here.child(name).ok()));
        folder = here.parent();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::path;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_release_lists_its_indices() {
        let text = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: x\nMD5Sum:\n d41d8cd9 0 main/Packages\n\
             SHA256:\n {EMPTY} 0 main/binary-amd64/Packages.xz\n {EMPTY}   12 ../../evil\n nonsense\n {EMPTY} 1\n\
             SHA512:\n {EMPTY} 0 main/other\n-----BEGIN PGP SIGNATURE-----\n"
        );
        let (release, folder) = (Release::parse(text.as_bytes()), path("/debian/dists/trixie"));
        let index = path("/debian/dists/trixie/main/binary-amd64/Packages.xz");
        assert_eq!(release.digest(&folder, &index), parse_digest(EMPTY.as_bytes()));
        assert_eq!(release.digest(&folder, &path("/debian/dists/trixie/main/other")), None);
        let found: Vec<_> = release.indices(&folder, |_| true).map(|(path, _)| path).collect();
        assert_eq!(found, [index]);
        assert_eq!(Release::parse(b"").indices(&folder, |_| true).count(), 0);
        assert!(release.is_one() && Release::parse(b"Suite: s\n").is_one());
        assert!(!Release::parse(b"<html><title>Login</title>\nDear guest, SHA256: pay\n").is_one());
    }

    #[test]
    fn a_name_may_say_what_its_file_must_be() {
        let by_hash = |tail: &str| hash_in_name(&path(&format!("/dists/s/main/binary-amd64/by-hash/{tail}")));
        assert_eq!(by_hash(&format!("SHA256/{EMPTY}")), parse_digest(EMPTY.as_bytes()));
        for other in
            [format!("MD5Sum/{EMPTY}"), format!("SHA256/{}", &EMPTY[1..]), format!("SHA256/x{}", &EMPTY[1..])]
        {
            assert_eq!(by_hash(&other), None, "{other}");
        }
    }

    #[test]
    fn the_nearest_release_comes_first() {
        let index = path("/debian/dists/trixie/main/binary-amd64/Packages.xz");
        let found: Vec<_> = releases_above(&index).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 6);
        assert_eq!(found[4..], ["/debian/dists/trixie/InRelease", "/debian/dists/trixie/Release"]);
        for none in ["/debian/pool/main/c/curl/curl.deb", "/debian/dists/trixie/InRelease", "/dists"] {
            assert!(releases_above(&path(none)).is_empty(), "{none}");
        }
        assert_eq!(signature_of(&path("/d/Release")), Some(path("/d/Release.gpg")));
        assert_eq!(signature_of(&path("/d/InRelease")), None);
    }
}

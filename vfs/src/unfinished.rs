//! Names of uploads that grow beside what they are to become, for front ends in which an upload that broke off goes on later:
//! `.NAME.vfsd-upload`. Who writes them decides about them; [`layers::WholeFiles`](crate::layers::WholeFiles) shows a
//! tree without them, and [`LocalFs::sweep`](crate::backends::local::LocalFs::sweep) removes those that nobody went on with.

use bytes::Bytes;
use sha2::{Digest, Sha256};

const PREFIX: &[u8] = b".";
const SUFFIX: &[u8] = b".vfsd-upload";

/// Longest name that a file system takes (`NAME_MAX` of limits.h(0p)).
const MAX_NAME_BYTES: usize = 255;

/// Bytes of a digest that stand for what was cut off a name.
const DIGEST_BYTES: usize = 16;

/// The name that an upload has until it is `name`: always the same, no longer than a name may be, and another one for each
/// name. Where `name` leaves no room, its end is replaced by a digest of all of it.
pub fn name_of(name: &[u8]) -> Bytes {
    let room = MAX_NAME_BYTES - PREFIX.len() - SUFFIX.len();
    if name.len() <= room {
        return [PREFIX, name, SUFFIX].concat().into();
    }
    let digest = Sha256::digest(name);
    let digest: String = digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let stem = &name[..room - digest.len()];
    [PREFIX, stem, digest.as_bytes(), SUFFIX].concat().into()
}

/// True for a name that only such uploads have. Case is not looked at: some file systems do not either.
pub fn is_unfinished(name: &[u8]) -> bool {
    name.len() > PREFIX.len() + SUFFIX.len()
        && name.starts_with(PREFIX)
        && name[name.len() - SUFFIX.len()..].eq_ignore_ascii_case(SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_it_is_and_is_never_too_long() {
        assert_eq!(name_of(b"a.txt"), ".a.txt.vfsd-upload");
        let mut known = std::collections::HashSet::new();
        for len in 1..=255 {
            for letter in [b'a', 0xFF] {
                let mut name = vec![letter; len];
                name[len - 1] = b'z';
                let upload = name_of(&name);
                assert!(upload.len() <= 255 && is_unfinished(&upload), "{len}");
                assert!(known.insert(upload), "{len}");
            }
        }
        for (name, unfinished) in [
            (".a.VFSD-Upload", true),
            (".vfsd-upload", false),
            ("..vfsd-upload", false),
            ("a.vfsd-upload", false),
            (".a.part", false),
        ] {
            assert_eq!(is_unfinished(name.as_bytes()), unfinished, "{name}");
        }
    }
}

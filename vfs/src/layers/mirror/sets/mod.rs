//! Sets: files that make sense together only. The pure half: which files belong together, and what each must be.

mod apt;
mod packages;
mod pip;

pub(super) use self::apt::{Release, hash_in_name, is_release, releases_above, signature_of};
pub(super) use self::packages::{
    Packages, PackagesReader, by_hash, is_index_of_packages, is_package, root_of,
};
pub use self::pip::Site;
pub(super) use self::pip::{Page, Place, projects_of};

/// SHA-256 of a whole file.
pub(super) type Digest = [u8; 32];

/// Reads 64 hexadecimal digits.
fn parse_digest(text: &[u8]) -> Option<Digest> {
    let digit = |sign: u8| char::from(sign).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut digest = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(digest)
}

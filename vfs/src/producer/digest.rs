//! [`digest()`]: what a producer makes, as a number that differs where one byte does.

use std::fmt;

use sha1::Digest;

use super::{Chunk, Producer, ProducerExt};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::{self, Disk};
use crate::path::VPath;

/// How a digest is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC-32 as Ethernet and zip have it: against accidents, not against people.
    Crc32,
    /// MD5 (RFC 1321): against accidents, not against people.
    Md5,
    /// SHA-1 (RFC 3174): against accidents, not against people.
    Sha1,
    /// SHA-256 (RFC 6234).
    Sha256,
    /// SHA-512 (RFC 6234).
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// Its name in the registry of hash functions (RFC 6234, draft-bryan-ftpext-hash-02 §3).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Pulls `source` to its end and gives the digest of its bytes; spans are read through `disk` where they have to be waited
/// for. Each piece is a job of its own, at most as many at once in the process as there are cores, so that a long file
/// keeps neither a thread nor the event loop. A drop lets the piece under way run to its end, and leaves nothing behind.
///
/// # Errors
/// The source's.
pub async fn digest(source: impl Producer, algorithm: Algorithm, disk: &Disk) -> Result<Vec<u8>> {
    let mut pieces = source.lower(disk).peeked();
    let mut state = State::new(algorithm);
    while let Some(piece) = pieces.more().await {
        let Chunk::Bytes(bytes) = piece? else {
            return Err(Error::new(ErrorKind::Internal, "digest", &VPath::root()));
        };
        state = jobs::cpu("digest", move || {
            state.update(&bytes);
            state
        })
        .await?;
    }
    Ok(state.finish())
}

/// A digest that is not at its end.
enum State {
    Crc32(crc32fast::Hasher),
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
}

impl State {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Box::new(sha2::Sha512::new())),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(state) => state.update(bytes),
            Self::Md5(state) => state.update(bytes),
            Self::Sha1(state) => state.update(bytes),
            Self::Sha256(state) => state.update(bytes),
            Self::Sha512(state) => state.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(state) => state.finalize().to_be_bytes().to_vec(),
            Self::Md5(state) => state.finalize().to_vec(),
            Self::Sha1(state) => state.finalize().to_vec(),
            Self::Sha256(state) => state.finalize().to_vec(),
            Self::Sha512(state) => state.finalize().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{buffers, once};
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[tokio::test]
    async fn the_vectors_of_the_standards_hold_however_the_bytes_come() {
        for (algorithm, empty, abc) in [
            (Algorithm::Crc32, "00000000", "352441c2"),
            (Algorithm::Md5, "d41d8cd98f00b204e9800998ecf8427e", "900150983cd24fb0d6963f7d28e17f72"),
            (
                Algorithm::Sha1,
                "da39a3ee5e6b4b0d3255bfef95601890afd80709",
                "a9993e364706816aba3e25717850c26c9cd0d89d",
            ),
            (
                Algorithm::Sha256,
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Algorithm::Sha512,
                "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                 47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            let disk = Disk::new();
            assert_eq!(hex(&digest(once(""), algorithm, &disk).await.unwrap()), empty, "{algorithm}");
            assert_eq!(hex(&digest(once("abc"), algorithm, &disk).await.unwrap()), abc, "{algorithm}");
            let pieces = buffers([&b"a"[..], b"", b"bc"].map(bytes::Bytes::from_static));
            assert_eq!(hex(&digest(pieces, algorithm, &disk).await.unwrap()), abc, "{algorithm}");
        }
    }

    #[tokio::test]
    async fn a_source_that_fails_has_no_digest() {
        let cut = once("abc").exact_length(4);
        let error = digest(cut, Algorithm::Sha256, &Disk::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated);
    }
}

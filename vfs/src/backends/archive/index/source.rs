//! [`Source`]: which file an index speaks of, and whether a file is still that one.

use sha2::{Digest, Sha256};

use super::wire::{Reader, put, put_bytes, put_option};
use crate::error::Result;
use crate::file_system::{File, SeekCost};
use crate::metadata::{Identity, Validator};

/// What is looked at of a file's beginning and of its end.
const EDGE_BYTES: u64 = 64 * 1024;

/// Pieces in between that are looked at, and how long each is.
const SAMPLES: u64 = 16;
const SAMPLE_BYTES: u64 = 4096;

/// Bytes of a sample's digest that are kept.
pub(super) const DIGEST_BYTES: usize = 16;

/// Levels of archives in archives that a source may have.
const MAX_DEPTH: u64 = 64;

/// A file, in a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Which file, whatever its version.
    name: Vec<u8>,
    /// Which version.
    version: Vec<u8>,
    pub(super) len: Option<u64>,
    /// Of the first so many bytes; where looking costs nothing.
    sample: Option<(u64, [u8; DIGEST_BYTES])>,
}

/// What a file is to an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// The one it was made of.
    Same,
    /// That one, and something behind it.
    Grown,
    /// Another one.
    Other,
}

impl Source {
    /// What `file` is now. `None` where nobody could say later whether it is still the same.
    pub(super) async fn of(file: &dyn File) -> Result<Option<Self>> {
        let Some(identity) = file.identity() else { return Ok(None) };
        let (mut name, mut version) = (Vec::new(), Vec::new());
        if describe(&identity, &mut name, &mut version).is_none() {
            return Ok(None);
        }
        let len = match &identity {
            Identity::Source { .. } => file.metadata().await?.len,
            Identity::Member { len, .. } => Some(*len),
        };
        Ok(Some(Self { name, version, len, sample: None }))
    }

    /// The same, with a look at the first `len` bytes, where that costs nothing to speak of.
    pub(super) async fn sampled(mut self, file: &dyn File, len: Option<u64>) -> Result<Self> {
        if let Some(len) = len.or(self.len)
            && file.seek_cost() == SeekCost::Free
        {
            self.sample = digest(file, len).await?.map(|digest| (len, digest));
        }
        Ok(self)
    }

    /// What `file`, which is `now`, is to this one.
    pub(super) async fn fit(&self, now: &Self, file: &dyn File) -> Result<Fit> {
        if self.name != now.name {
            return Ok(Fit::Other);
        }
        let is_same = self.version == now.version && self.len == now.len;
        let has_grown = matches!((self.len, now.len), (Some(then), Some(now)) if now > then);
        match self.sample {
            Some((len, digest_then)) if file.seek_cost() == SeekCost::Free && (is_same || has_grown) => {
                let fits = digest(file, len).await? == Some(digest_then);
                Ok(match (fits, is_same) {
                    (true, true) => Fit::Same,
                    (true, false) => Fit::Grown,
                    (false, _) => Fit::Other,
                })
            }
            _ if is_same => Ok(Fit::Same),
            _ => Ok(Fit::Other),
        }
    }

    /// This file with the samples of `other`, where that is a copy of it somewhere: as long, and with the same bytes where it
    /// was looked at.
    pub(super) async fn of_copy(&self, other: &Self, file: &dyn File) -> Result<Option<Self>> {
        let Some((len, sampled)) = other.sample.filter(|_| self.len.is_some() && self.len == other.len)
        else {
            return Ok(None);
        };
        let is_copy = digest(file, len).await? == Some(sampled);
        Ok(is_copy.then(|| Self { sample: other.sample, ..self.clone() }))
    }

    /// Names the index of this file, in whatever version, for a format in so many letters.
    pub(super) fn key(&self, format: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(format.as_bytes());
        digest.update([0]);
        digest.update(&self.name);
        let digest = digest.finalize();
        digest.iter().take(DIGEST_BYTES).fold(String::new(), |key, byte| format!("{key}{byte:02x}"))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.name);
        put_bytes(out, &self.version);
        put_option(out, self.len);
        match &self.sample {
            Some((len, digest)) => {
                out.push(1);
                put(out, *len);
                out.extend_from_slice(digest);
            }
            None => out.push(0),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (name, version) = (reader.bytes()?.to_vec(), reader.bytes()?.to_vec());
        let len = reader.option()?;
        let sample = match reader.byte()? {
            0 => None,
            1 => Some((reader.number()?, reader.take(DIGEST_BYTES)?.try_into().ok()?)),
            _ => return None,
        };
        Some(Self { name, version, len, sample })
    }
}

/// Takes an identity apart. `None` where it names no version.
fn describe(mut identity: &Identity, name: &mut Vec<u8>, version: &mut Vec<u8>) -> Option<()> {
    for _ in 0..MAX_DEPTH {
        match identity {
            Identity::Member { outer, offset, len } => {
                name.push(1);
                put(name, *offset);
                put(version, *len);
                identity = outer;
            }
            Identity::Source { name: source, validator } => {
                name.push(0);
                put_bytes(name, source);
                // A weak one will do: every block that is read is checked against its sum.
                let (Validator::Strong(text) | Validator::Weak(text)) = validator.as_ref()?;
                put_bytes(version, text.as_bytes());
                return Some(());
            }
        }
    }
    None
}

/// A digest of the edges of the first `len` bytes and of some pieces between them. `None` where the file is shorter.
async fn digest(file: &dyn File, len: u64) -> Result<Option<[u8; DIGEST_BYTES]>> {
    let edge = len.min(EDGE_BYTES);
    let mut parts = vec![(0, edge), (len - edge, edge)];
    if len > 2 * EDGE_BYTES {
        let inner = len - 2 * EDGE_BYTES;
        let mut state = len;
        for _ in 0..SAMPLES {
            // splitmix64: the same places in each process.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            parts.push((EDGE_BYTES + (mixed ^ (mixed >> 31)) % inner, SAMPLE_BYTES));
        }
    }
    let mut digest = Sha256::new();
    for (mut at, len) in parts {
        let end = at + len;
        while at < end {
            let bytes = file.read_at(at, (end - at) as usize).await?;
            if bytes.is_empty() {
                return Ok(None);
            }
            digest.update(&bytes);
            at += bytes.len() as u64;
        }
    }
    Ok(digest.finalize().get(..DIGEST_BYTES).and_then(|digest| digest.try_into().ok()))
}

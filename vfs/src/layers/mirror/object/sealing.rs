//! What an object must sum to, and who sees what of it before that was seen.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Object, State};
use crate::layers::mirror::set::digest_of;
use crate::layers::mirror::sets::Digest;

/// What is expected of the whole, and not yet seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal {
    pub(super) digest: Digest,
    pub(super) holds_back: HoldsBack,
}

/// What nobody sees of a file before it was seen to sum to what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::layers::mirror) enum HoldsBack {
    /// Every byte.
    All,
    /// The last block, from who reads it all; every byte from others. Without its end no reader takes it for the file.
    End,
}

impl Object {
    /// The same, which must sum to `digest`.
    pub(in crate::layers::mirror) fn sealed(self, digest: Digest, holds_back: HoldsBack) -> Self {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sealed = Some(Seal { digest, holds_back });
        Self { state: Mutex::new(State { sealed, ..state }), ..self }
    }

    /// What the whole must sum to, where that is still to be seen.
    pub(in crate::layers::mirror) fn seal(&self) -> Option<Digest> {
        self.state().sealed.map(|seal| seal.digest)
    }

    /// Notes that the whole sums to what it must. False where it does not.
    pub(in crate::layers::mirror) fn unseal(&self, found: Digest) -> bool {
        let mut state = self.state();
        let fits = state.sealed.is_some_and(|seal| seal.digest == found);
        if fits {
            state.sealed = None;
            state.record.digest = Some(found);
        }
        fits
    }

    /// True where its bytes sum to `expected`; what was never seen to sum to anything, and is whole, is summed up here.
    pub(in crate::layers::mirror) async fn sums_to(self: &Arc<Self>, expected: Digest) -> bool {
        if self.digest().is_none() && self.seal().is_none() && self.is_complete() {
            match digest_of(self).await {
                Ok(found) => {
                    self.state().record.digest = Some(found);
                    if let Err(error) = self.save().await {
                        tracing::warn!(%error, "what was summed up cannot be noted in the cache");
                    }
                }
                Err(error) => {
                    tracing::debug!(path = %self.path(), %error, "what is kept cannot be summed up")
                }
            }
        }
        self.digest() == Some(expected)
    }

    /// What it was seen to sum to.
    pub(in crate::layers::mirror) fn digest(&self) -> Option<Digest> {
        self.state().record.digest
    }
}

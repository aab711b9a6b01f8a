//! [`Seen`]: passwords that held a short while ago, so that HTTP, which sends one with every request, does not pay for
//! the hash each time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// How long a password is known.
const KNOWN: Duration = Duration::from_secs(300);

/// How many are known; one more makes all be forgotten, and hashed again.
const MOST: usize = 1024;

/// Keyed digests of names and passwords; the passwords themselves are not kept. The digest is what is looked up, and a
/// key that nobody knows makes it so that nothing can be learnt from how long that takes.
pub(super) struct Seen {
    key: [u8; 32],
    until: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Seen {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        // Without random numbers there is no TLS either; and a process that has none does not get here.
        getrandom::fill(&mut key).expect("the kernel has random numbers, getrandom(2)");
        Self { key, until: Mutex::default() }
    }

    /// True where the password held within the last five minutes.
    pub(super) fn knows(&self, name: &str, password: &str) -> bool {
        let digest = self.digest(name, password);
        self.lock().get(&digest).is_some_and(|until| *until > Instant::now())
    }

    /// The password holds.
    pub(super) fn learn(&self, name: &str, password: &str) {
        let digest = self.digest(name, password);
        let mut until = self.lock();
        if until.len() >= MOST {
            until.clear();
        }
        until.insert(digest, Instant::now() + KNOWN);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn digest(&self, name: &str, password: &str) -> [u8; 32] {
        // The key is as long as its place and the name's length is told, so no two pairs are one text.
        let mut digest = Sha256::new_with_prefix(self.key);
        digest.update((name.len() as u64).to_be_bytes());
        digest.update(name);
        digest.update(password);
        digest.finalize().into()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({})", self.lock().len())
    }
}

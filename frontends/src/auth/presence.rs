//! How often each user is here.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::user::User;

/// Counts by name. It holds an entry for each user who is here now and no other.
#[derive(Clone, Debug, Default)]
pub(super) struct Presences(Arc<Mutex<HashMap<String, usize>>>);

/// One session or request of a user; dropping it takes it out.
pub struct Place {
    presences: Presences,
    name: String,
}

impl Presences {
    /// Counts one more of `user`; `None` where there are as many as may be.
    pub(super) fn admit(&self, user: &User) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(user.name().to_owned()).or_default();
        if user.most.is_some_and(|most| *count >= most) {
            return None;
        }
        *count += 1;
        Some(Place { presences: self.clone(), name: user.name().to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.presences.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.name);
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({:?})", self.name)
    }
}

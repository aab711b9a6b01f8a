//! [`Flights`]: one call for all who ask the same at the same time.

use std::fmt;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;

use super::store::Key;
use crate::error::{Error, ErrorKind, Result};
use crate::path::VPath;

/// Calls under way, by what they are about. A call is a task of its own: it goes on when those who wait for it leave.
pub(super) struct Flights<T>(Arc<DashMap<Key, Outcome<T>>>);

type Outcome<T> = watch::Receiver<Option<Result<T>>>;

/// A call under way.
pub(super) struct Flight<T>(Outcome<T>);

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Begins `call`, unless one about `key` is under way. Who does not want the answer drops it.
    pub(super) fn begin(
        &self,
        key: Key,
        call: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Flight<T> {
        match self.0.entry(key) {
            Entry::Occupied(flight) => Flight(flight.get().clone()),
            Entry::Vacant(place) => {
                let (sender, flight) = watch::channel(None);
                place.insert(flight.clone());
                let landing = Landing { flights: Arc::clone(&self.0), key };
                tokio::spawn(async move {
                    let answer = call.await;
                    // Who comes from now on asks anew.
                    drop(landing);
                    sender.send_replace(Some(answer));
                });
                Flight(flight)
            }
        }
    }
}

impl<T> Flights<T> {
    /// True where a call about `key` is under way.
    pub(super) fn has(&self, key: Key) -> bool {
        self.0.contains_key(&key)
    }
}

impl<T: Clone> Flight<T> {
    /// The call's answer.
    pub(super) async fn landed(mut self) -> Result<T> {
        let answer = self.0.wait_for(Option::is_some).await.map(|answer| answer.clone());
        match answer {
            Ok(Some(answer)) => answer,
            // Its task panicked.
            Ok(None) | Err(_) => Err(Error::new(ErrorKind::Internal, "open", &VPath::root())),
        }
    }
}

/// Takes a flight off the list when its call ends, by panic too.
struct Landing<T> {
    flights: Arc<DashMap<Key, Outcome<T>>>,
    key: Key,
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        self.flights.remove(&self.key);
    }
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("under_way", &self.0.len()).finish()
    }
}

//! [`Sessions`]: what clients may resume.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::server::StoresServerSessions;

/// Sessions that stay however many come after: those of a control connection's own handshake, which FTP clients resume
/// on each data connection.
const KEPT: usize = 2;

/// A bounded store; the oldest make room. A session may be resumed more than once: clients do that with the one of
/// their control connection, and without early data (which is off) it repeats nothing but a handshake.
pub(super) struct Sessions {
    room: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    values: HashMap<Vec<u8>, Vec<u8>>,
    /// Their keys, the oldest first.
    order: VecDeque<Vec<u8>>,
}

impl Sessions {
    /// Room for so many sessions.
    pub(super) fn new(room: usize) -> Self {
        Self { room, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let mut state = self.lock();
        if state.values.insert(key.clone(), value).is_none() {
            state.order.push_back(key);
        }
        if state.order.len() > self.room
            && let Some(oldest) = state.order.remove(KEPT.min(self.room))
        {
            state.values.remove(&oldest);
        }
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.lock().values.get(key).cloned()
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.get(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({} of {})", self.lock().order.len(), self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stay_and_the_oldest_of_the_rest_make_room() {
        let sessions = Sessions::new(4);
        for key in 0..10 {
            sessions.put(vec![key], vec![key, key]);
        }
        let kept: Vec<_> = (0..10).filter(|key| sessions.take(&[*key]).is_some()).collect();
        assert_eq!(kept, [0, 1, 8, 9]);
        assert_eq!(sessions.get(&[9]), Some(vec![9, 9]));
    }
}

//! [`Deadlines`]: how long a remote site is waited for.

use std::time::Duration;

/// How long a remote site is waited for. None of them is for a whole transfer: what gets on goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For the connection, name and handshakes included. Default 10 s.
    pub connect: Duration,
    /// From a request to its answer's head. Default 30 s.
    pub first_byte: Duration,
    /// Without a byte of an answer that has begun. Default 30 s.
    pub stall: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            stall: Duration::from_secs(30),
        }
    }
}

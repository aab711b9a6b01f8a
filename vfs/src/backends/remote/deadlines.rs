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
    /// How long a reader may not pull before its connection goes to somebody who waits for one. Default 5 s.
    pub slow_reader: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            slow_reader: Duration::from_secs(5),
        }
    }
}

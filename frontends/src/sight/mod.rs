//! What can be seen of the front ends while they run: counters, and lines about requests and transfers, for all of them.

mod admin;
mod journal;
mod metrics;

use std::sync::atomic::{AtomicU64, Ordering};

pub use self::admin::AdminFs;
pub use self::journal::{Access, AccessFormat, Journal, Sink, Transfer, TransferFormat};
pub use self::metrics::{Kind, Source, render, render_one};

/// What a site counts. Shared by its connections; reading one costs nothing.
#[derive(Debug, Default)]
pub struct Sight {
    /// Connections that are open now.
    pub connections: Counter,
    /// Connections accepted since the start.
    pub accepted: Counter,
    /// Connections turned away because their address had too many.
    pub refused: Counter,
    /// Sessions of a protocol with a login (FTP) that are logged in now.
    pub sessions: Counter,
    /// Transfers of such sessions that are under way now.
    pub transfers: Counter,
    /// Bytes that such transfers have sent.
    pub transferred_bytes: Counter,
    /// Bytes that such transfers have received.
    pub received_bytes: Counter,
    /// Bytes that left a file through `sendfile(2)`, never read by this process.
    pub sendfile_bytes: Counter,
    /// HTTP answers by class of their status: 1xx, 2xx, 3xx, 4xx, 5xx.
    pub http_answers: [Counter; 5],
    /// Bytes of HTTP bodies that were given to their connections.
    pub http_body_bytes: Counter,
    /// Logins that were refused.
    pub logins_failed: Counter,
    /// TLS handshakes that came to nothing.
    pub tls_failed: Counter,
    /// Where each request gets its line.
    pub access: Option<Journal<AccessFormat>>,
    /// Where each transfer of a session gets its line.
    pub transfer: Option<Journal<TransferFormat>>,
}

/// A number that connections add to.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes `count` away.
    pub fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

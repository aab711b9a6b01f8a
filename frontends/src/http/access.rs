//! The access log and the counters: one [`Record`] a request.

use std::sync::Arc;

use http::{Method, StatusCode, Uri};
use tokio::time::Instant;
use vfs::path::escaped;

use super::pace::{Flight, Pace};
use crate::auth::Entry;
use crate::serve::Peer;
use crate::site::Site;

/// The target of the access log's events: one a request, when its body has been given to the connection or is dropped.
pub const ACCESS_LOG: &str = "access";

/// One request, from its head to the end of its answer. Dropping it writes the access log.
pub(super) struct Record {
    site: Arc<Site>,
    peer: Peer,
    method: Method,
    target: Uri,
    /// `None` until there is an answer: a client may leave before.
    status: Option<StatusCode>,
    begun: Instant,
    bytes: u64,
    complete: bool,
    flight: Flight,
    /// As whom, and the place that it takes among the user's.
    entry: Option<Entry>,
}

impl Record {
    /// Begins with the request's head.
    pub(super) fn begin(site: &Arc<Site>, peer: Peer, pace: &Arc<Pace>, method: Method, target: Uri) -> Self {
        Self {
            site: Arc::clone(site),
            peer,
            method,
            target,
            status: None,
            begun: Instant::now(),
            bytes: 0,
            complete: false,
            flight: Flight::begin(pace),
            entry: None,
        }
    }

    /// It is carried out for somebody.
    pub(super) fn entered(&mut self, entry: Entry) {
        self.entry = Some(entry);
    }

    /// The answer has this status.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        let class = usize::from(status.as_u16() / 100);
        if let Some(counter) = class.checked_sub(1).and_then(|class| self.site.sight.http_answers.get(class))
        {
            counter.add(1);
        }
    }

    /// The connection has room for more of the body.
    pub(super) fn asked(&mut self) {
        self.flight.asked();
    }

    /// The connection took so much of the body.
    pub(super) fn gave(&mut self, count: u64) {
        self.bytes += count;
        self.site.sight.http_body_bytes.add(count);
        self.flight.gave();
    }

    /// The connection has all of the body.
    pub(super) fn complete(&mut self) {
        self.complete = true;
    }

    /// The body cannot go on.
    pub(super) fn failed(&self, error: &vfs::Error) {
        tracing::warn!(path = %escaped(self.target.path().as_bytes()), ?error, "an answer broke off");
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        tracing::info!(
            target: ACCESS_LOG,
            peer = %self.peer,
            method = %self.method,
            path = %escaped(self.target.path().as_bytes()),
            status = self.status.map(|status| status.as_u16()),
            bytes = self.bytes,
            complete = self.complete,
            micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        );
    }
}

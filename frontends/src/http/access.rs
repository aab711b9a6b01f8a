//! The access log and the counters: one [`Record`] a request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri, Version};
use tokio::time::Instant;
use vfs::path::escaped;

use super::pace::Flight;
use super::service::Service;
use crate::auth::{Entry, User};
use crate::sight::{Access, AccessFormat, Journal, Sight};

/// The target of the access log's events: one a request, when its body has been given to the connection or is dropped.
pub const ACCESS_LOG: &str = "access";

/// One request, from its head to the end of its answer. Dropping it writes the access log.
pub(super) struct Record {
    service: Arc<Service>,
    method: Method,
    target: Uri,
    /// `None` until there is an answer: a client may leave before.
    status: Option<StatusCode>,
    begun: Instant,
    answered: Option<Duration>,
    /// What only a journal tells; `None` where there is none.
    told: Option<Box<Told>>,
    bytes: u64,
    complete: bool,
    flight: Flight,
    /// As whom, and the place that it takes among the user's.
    entry: Option<Entry>,
}

/// What of a head is kept for a journal.
struct Told {
    begun: SystemTime,
    version: Version,
    referer: Option<HeaderValue>,
    agent: Option<HeaderValue>,
}

impl Told {
    fn of(head: &Parts) -> Self {
        let field = |name| head.headers.get(name).cloned();
        Self {
            begun: SystemTime::now(),
            version: head.version,
            referer: field(REFERER),
            agent: field(USER_AGENT),
        }
    }
}

impl Record {
    /// Begins with the request's head.
    pub(super) fn begin(service: &Arc<Service>, head: &Parts) -> Self {
        let (method, target) = (head.method.clone(), head.uri.clone());
        Self {
            service: Arc::clone(service),
            method,
            target,
            status: None,
            begun: Instant::now(),
            answered: None,
            told: service.site.sight.access.as_ref().map(|_| Box::new(Told::of(head))),
            bytes: 0,
            complete: false,
            flight: Flight::begin(&service.pace),
            entry: None,
        }
    }

    /// What answers it.
    pub(super) fn service(&self) -> &Service {
        &self.service
    }

    /// It is carried out for somebody.
    pub(super) fn entered(&mut self, entry: Entry) {
        self.entry = Some(entry);
    }

    /// For whom, where it has a name.
    pub(super) fn user(&self) -> Option<&User> {
        self.entry.as_ref()?.user.as_deref()
    }

    /// The answer has this status.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.answered = Some(self.begun.elapsed());
        let class = usize::from(status.as_u16() / 100);
        if let Some(counter) = class.checked_sub(1).and_then(|class| self.sight().http_answers.get(class)) {
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
        self.sight().http_body_bytes.add(count);
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

impl Record {
    fn sight(&self) -> &Sight {
        &self.service.site.sight
    }

    fn tell(&self, journal: &Journal<AccessFormat>, told: &Told) {
        let total = self.begun.elapsed();
        journal.tell(&Access {
            peer: self.service.asker.peer,
            user: self.user().map(User::name),
            begun: told.begun,
            method: self.method.as_str(),
            target: self.target.path_and_query().map_or("*", |target| target.as_str()),
            version: match told.version {
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2.0",
                _ => "HTTP/1.1",
            },
            status: self.status.map(|status| status.as_u16()),
            bytes: self.bytes,
            referer: told.referer.as_ref().map(HeaderValue::as_bytes),
            agent: told.agent.as_ref().map(HeaderValue::as_bytes),
            complete: self.complete,
            answering: self.answered.unwrap_or(total),
            total,
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let (Some(journal), Some(told)) = (&self.sight().access, &self.told) {
            self.tell(journal, told);
        }
        tracing::info!(
            target: ACCESS_LOG,
            peer = %self.service.asker.peer,
            method = %self.method,
            path = %escaped(self.target.path().as_bytes()),
            status = self.status.map(|status| status.as_u16()),
            bytes = self.bytes,
            complete = self.complete,
            micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        );
    }
}

//! From a request to its answer: the steps of this room, one after another.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, Response};
use vfs::jobs::Disk;
use vfs::producer::{Producer, once};

use super::access::Record;
use super::body::Body;
use super::command::Command;
use super::pace::Pace;
use super::session::carry_out;
use super::status::{Answer, Content};
use crate::serve::Peer;
use crate::site::Site;
use crate::transport::Mappings;

/// What the requests of one connection share.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) site: Arc<Site>,
    pub(super) peer: Peer,
    pub(super) pace: Arc<Pace>,
    /// Where spans can leave by `sendfile(2)`.
    pub(super) mappings: Option<Mappings>,
    /// For reading spans that cannot.
    pub(super) disk: Disk,
}

impl Service {
    /// Answers one request. Its body is not looked at: nothing here takes one. A drop cancels it.
    pub(super) async fn answer<B>(self, request: Request<B>) -> Response<Body> {
        let (head, _) = request.into_parts();
        let method = head.method.clone();
        let mut record = Record::begin(&self.site, self.peer, &self.pace, method.clone(), head.uri.clone());
        let outcome = carry_out(&self.site, Command::read(&head)).await;
        let answer = Answer::to(outcome, head.uri.path());
        record.answered(answer.status);
        self.respond(answer, method == Method::HEAD, record)
    }

    fn respond(self, answer: Answer, head_only: bool, record: Record) -> Response<Body> {
        let (content, len): (Option<Box<dyn Producer>>, _) = match answer.content {
            Content::Nothing => (None, None),
            Content::Text(text) => {
                let len = text.len() as u64;
                (Some(Box::new(once(text))), Some(len))
            }
            Content::Produced(producer, len) => (Some(producer), len),
        };
        let body = match content.filter(|_| !head_only) {
            Some(content) => Body::new(content, len, self.mappings, record, self.disk),
            None => Body::empty(record, self.disk),
        };
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        if let Some(len) = len {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(len));
        }
        response
    }
}

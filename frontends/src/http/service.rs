//! From a request to its answer: the steps of this room, one after another.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use http::header::{CONTENT_LENGTH, EXPECT, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};
use tokio::time::timeout;
use vfs::jobs::Disk;
use vfs::producer::{Producer, ProducerExt, once};

use super::access::Record;
use super::body::Body;
use super::command::{Command, Refusal};
use super::incoming::{Incoming, Patience};
use super::options::Options;
use super::pace::Pace;
use super::session::{Outcome, Who, carry_out};
use super::status::{Answer, Content};
use super::wire::credentials;
use crate::auth::Asker;
use crate::site::Site;
use crate::transport::Spans;

/// Bytes of a body that nobody asked for that are read before the answer. hyper ends the connection after the answer where
/// more are to come.
const SKIPPED_BYTES: usize = 64 * 1024;

/// How long such a body is waited for.
const SKIPPING: Duration = Duration::from_secs(10);

/// What the requests of one connection share. They share it as a whole: what of it belongs to other connections too would
/// else be counted in and out on all threads, request by request.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) site: Arc<Site>,
    pub(super) options: Arc<Options>,
    pub(super) asker: Asker,
    pub(super) pace: Arc<Pace>,
    /// The way for spans that leave by `sendfile(2)`, where there is one.
    pub(super) spans: Option<Spans>,
    /// For reading spans that cannot.
    pub(super) disk: Disk,
    /// How long bodies are waited for.
    pub(super) patience: Patience,
}

impl Service {
    /// Answers one request. A body is read where it means something, else skipped. A drop cancels it.
    pub(super) async fn answer<B>(self: Arc<Self>, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body + Unpin,
    {
        let (head, body) = request.into_parts();
        let method = head.method.clone();
        let mut record = Record::begin(&self, &head);
        let mut command = Command::read(&head);
        let mut body = Incoming::new(body, self.options.upload_bytes, self.patience);
        if !command.takes_body() {
            let (rest, skipped) = skip(&head, body.into_rest()).await;
            if let Err(BadBody) = skipped {
                command = Command::Refused(Refusal::BadBody);
            }
            body = Incoming::new(rest, None, self.patience);
        }
        let who = Who { asker: self.asker, credentials: credentials(&head.headers) };
        let (outcome, entry) =
            carry_out(&self.site, &who, &self.options, command, &mut body, &self.disk).await;
        if let Some(entry) = entry {
            record.entered(entry);
        }
        // Who is refused before all is sent hears it when that much has been sent, or at once where it waits for us.
        // A body that was waited for in vain is not waited for again.
        if !matches!(outcome, Outcome::Refused(Refusal::BodyStalled | Refusal::BodyBroke)) {
            let _ = skip(&head, body.into_rest()).await;
        }
        let mut answer = Answer::to(outcome, head.uri.path(), &self.disk);
        if let Some(origin) = head.headers.get(ORIGIN).filter(|_| !self.options.origins.is_empty()) {
            answer = answer.for_scripts(self.options.allowed_origin(origin));
        }
        record.answered(answer.status);
        respond(answer, method == Method::HEAD, record)
    }
}

fn respond(answer: Answer, head_only: bool, record: Record) -> Response<Body> {
    let (content, len): (Option<Box<dyn Producer>>, _) = match answer.content {
        Content::Nothing => (None, None),
        Content::Text(text) => {
            let len = text.len() as u64;
            (Some(Box::new(once(text))), Some(len))
        }
        Content::Produced(producer, len) => (Some(producer), len),
    };
    let rate = record.user().and_then(|user| user.download.clone());
    let content = content.map(|content| match rate {
        Some(rate) => content.throttle(&rate).boxed(),
        None => content,
    });
    let body = match content.filter(|_| !head_only) {
        Some(content) => Body::new(content, len, record),
        None => Body::empty(record),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Some(len) = len {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(len));
    }
    response
}

/// A body whose end cannot be told.
struct BadBody;

/// Reads and drops a body, so that one which is not framed as it should be is heard of before the answer. One that is
/// not sent yet is not asked for (RFC 9110 §10.1.1), and HTTP/2's frames delimit it anyhow.
async fn skip<B: http_body::Body + Unpin>(head: &Parts, mut body: B) -> (B, Result<(), BadBody>) {
    if body.is_end_stream() || head.version == Version::HTTP_2 || head.headers.contains_key(EXPECT) {
        return (body, Ok(()));
    }
    let skipping = async {
        let mut skipped = 0;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let frame = frame.map_err(|_| BadBody)?;
            skipped += frame.data_ref().map_or(0, Buf::remaining);
            if skipped > SKIPPED_BYTES {
                break;
            }
        }
        Ok(())
    };
    let skipped = timeout(SKIPPING, skipping).await.unwrap_or(Ok(()));
    (body, skipped)
}

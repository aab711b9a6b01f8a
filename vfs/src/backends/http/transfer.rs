//! [`Transfer`]: the bytes of a remote file from some offset on, fetched a little ahead of their reader.
//!
//! A task pulls the answer's body into a channel of two chunks. It goes on after a break, it gives the connection back
//! where a slow reader keeps others waiting, and it ends with the transfer's drop, which frees the connection.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Response, StatusCode, Url};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::client::{Answer, Ask, Reached, SharedClient};
use super::error::of_transport;
use super::response::{Facts, read};
use crate::backends::remote::Connection;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::options::{ByteRange, Held};
use crate::path::VPath;
use crate::producer::{Capacity, Channel, Chunk, Hint, Output, Producer, channel};

/// What is fetched ahead of the reader.
const AHEAD: Capacity = Capacity { chunks: 2, bytes: 1 << 20 };

/// Breaks in a row, without [`PROGRESS`] in between, that a transfer goes on after.
const RESUMES: u32 = 5;

/// Bytes after which a break counts as the first one again.
const PROGRESS: u64 = 1 << 20;

/// What the answers' errors are called.
const OP: &str = "read_at";

/// One remote file, wherever it is read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) client: SharedClient,
    pub(super) url: Url,
    /// How it is asked for.
    pub(super) question: Ask,
}

/// An answer's body, and where in the file it is.
pub(super) struct Body {
    response: Response,
    /// Freed with the body.
    _connection: Connection,
    at: u64,
    end: Option<u64>,
}

/// A running transfer; see the module.
pub(super) struct Transfer {
    channel: Channel,
    task: JoinHandle<()>,
    /// Bytes until the end, where it is known.
    left: Option<u64>,
}

impl Source {
    /// The same question, with `parameter` in the URL's query set to `value`.
    pub(super) fn with_parameter(&self, parameter: &str, value: &str) -> Self {
        let mut url = self.url.clone();
        let kept: Vec<(String, String)> =
            self.url.query_pairs().into_owned().filter(|(name, _)| name != parameter).collect();
        url.query_pairs_mut().clear().extend_pairs(kept).append_pair(parameter, value);
        Self { client: Arc::clone(&self.client), url, question: self.question.clone() }
    }

    /// Asks for `range` of the version that `known` tells of, or of any; where the site still has the version `held`, for
    /// nothing.
    ///
    /// # Errors
    /// `Changed` where the site has another version; `Corrupt` where its answer does not fit the question.
    pub(super) async fn fetch(
        &self,
        range: ByteRange,
        known: Option<&Facts>,
        held: Option<&Held>,
        op: &'static str,
        path: &VPath,
    ) -> Result<Fetched> {
        let is_whole = range == ByteRange::whole();
        let asked = (!is_whole).then_some(range);
        let if_range = known.filter(|_| !is_whole).and_then(|known| known.version.if_range());
        let ask = Ask { range: asked, if_range, held: held.cloned(), ..self.question.clone() };
        let answer = match self.client.ask(&self.url, &ask, op, path).await? {
            Reached::Answer(answer) => *answer,
            Reached::Folder => return Ok(Fetched::Folder),
        };
        let Answer { response, url, connection } = answer;
        if let Some(held) = held.filter(|_| response.status() == StatusCode::NOT_MODIFIED) {
            return Ok(Fetched::Unchanged(Box::new(Facts::unchanged(held, response.headers()))));
        }
        let (facts, placed) = read(response.status(), response.headers(), asked, is_packed(&self.url))
            .map_err(|fault| Error::new(ErrorKind::Corrupt, op, path).with_detail(fault.to_string()))?;
        if known.is_some_and(|known| !same_file(known, &facts)) {
            let detail = "the site has another version by now";
            return Err(Error::new(ErrorKind::Changed, op, path).with_detail(detail).with_retry(Retry::Now));
        }
        let body = Body { response, _connection: connection, at: placed.start, end: placed.end };
        Ok(Fetched::File(Box::new(Found { facts, body, url })))
    }
}

/// What a file's URL gave.
pub(super) enum Fetched {
    File(Box<Found>),
    /// The version that was asked about, without its content.
    Unchanged(Box<Facts>),
    Folder,
}

/// A file, with its content on its way.
pub(super) struct Found {
    pub(super) facts: Facts,
    pub(super) body: Body,
    /// Where it came from, after all redirects.
    pub(super) url: Url,
}

/// A gzip file's coding may be told as if it were the transfer's.
pub(super) fn is_packed(url: &Url) -> bool {
    let path = url.path().to_ascii_lowercase();
    [".gz", ".tgz", ".svgz", ".taz"].iter().any(|suffix| path.ends_with(suffix))
}

fn same_file(known: &Facts, found: &Facts) -> bool {
    let same_len = known.len.zip(found.len).is_none_or(|(known, found)| known == found);
    same_len && known.version.may_be(&found.version)
}

impl Body {
    /// The next bytes, and where they start; `None` at the end that was stated, or where none was.
    async fn next(&mut self, stall: Duration) -> Result<Option<(u64, Bytes)>> {
        let failure = |kind| Error::new(kind, OP, &VPath::root()).with_retry(Retry::Now);
        let pulled = match timeout(stall, self.response.chunk()).await {
            Ok(pulled) => pulled,
            Err(_) => {
                let detail = format!("the site sent nothing for {stall:?}");
                return Err(failure(ErrorKind::TimedOut).with_detail(detail));
            }
        };
        let start = self.at;
        let chunk = match pulled {
            Ok(chunk) => chunk.unwrap_or_default(),
            Err(error) => {
                let broken = of_transport(error, OP, &VPath::root());
                let detail = format!("the transfer broke off at {start}");
                return Err(failure(ErrorKind::Truncated).with_detail(detail).with_source(broken));
            }
        };
        self.at += chunk.len() as u64;
        match self.end {
            Some(end) if self.at > end => {
                let detail = format!("the site sent more than it said: it goes on after {end}");
                Err(failure(ErrorKind::Corrupt).with_detail(detail))
            }
            Some(end) if chunk.is_empty() && self.at < end => {
                let detail = format!("the site sent less than it said: it ends at {start} of {end}");
                Err(failure(ErrorKind::Truncated).with_detail(detail))
            }
            _ if chunk.is_empty() => Ok(None),
            _ => Ok(Some((start, chunk))),
        }
    }
}

impl Transfer {
    /// Starts fetching `range` of the file that `facts` tell of; `body` is an answer that is there already.
    pub(super) fn start(source: &Arc<Source>, facts: &Facts, range: ByteRange, body: Option<Body>) -> Self {
        let (output, channel) = channel(AHEAD);
        let goal = [range.end, facts.len].into_iter().flatten().min();
        let left = goal.map(|goal| goal.saturating_sub(range.start));
        let pump = Pump {
            source: Arc::clone(source),
            facts: facts.clone(),
            output,
            body,
            at: range.start,
            goal,
            breaks: 0,
            has_broken: false,
            safe_at: range.start,
        };
        Self { channel, task: tokio::spawn(pump.run(range.end)), left }
    }
}

impl Producer for Transfer {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let chunk = ready!(self.channel.poll_more(cx));
        self.left = match &chunk {
            Some(Ok(chunk)) => self.left.map(|left| left.saturating_sub(chunk.len() as u64)),
            _ => Some(0),
        };
        Poll::Ready(chunk)
    }

    fn hint(&self) -> Hint {
        Hint { remaining: self.left, ..self.channel.hint() }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer").field("left", &self.left).finish_non_exhaustive()
    }
}

/// The task behind a [`Transfer`].
struct Pump {
    source: Arc<Source>,
    facts: Facts,
    output: Output,
    /// `None`: to be asked for.
    body: Option<Body>,
    /// The next byte for the reader.
    at: u64,
    /// The end of the range or of the file, whichever comes first and as far as it is known.
    goal: Option<u64>,
    breaks: u32,
    /// An answer broke off in the middle.
    has_broken: bool,
    /// Where the last break but one was counted anew.
    safe_at: u64,
}

/// Why a pump stops.
enum Stopped {
    /// Nobody reads any more.
    Deserted,
    Failed(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Pump {
    async fn run(mut self, wanted_end: Option<u64>) {
        let pumped = self.pump().await;
        drop(self.body.take());
        match pumped {
            Ok(()) if wanted_end.is_some_and(|end| self.at < end) => {
                let detail = format!("the file ends at {}", self.at);
                self.output.fail(Error::new(ErrorKind::Truncated, OP, &VPath::root()).with_detail(detail));
            }
            Ok(()) => self.output.finish(),
            Err(Stopped::Failed(error)) => self.output.fail(error),
            Err(Stopped::Deserted) => {}
        }
    }

    async fn pump(&mut self) -> Result<(), Stopped> {
        let stall = self.source.client.deadlines().stall;
        while self.goal.is_none_or(|goal| self.at < goal) {
            let mut body = match self.body.take() {
                Some(body) => body,
                None => match self.ask().await {
                    Ok(body) => body,
                    Err(error) => {
                        self.survive(error).await?;
                        continue;
                    }
                },
            };
            match body.next(stall).await {
                Ok(Some((start, chunk))) => {
                    self.source.client.traffic().count_bytes(chunk.len());
                    self.body = Some(body);
                    self.deliver(start, chunk).await?;
                }
                // Without a goal only the site knows where the end is.
                Ok(None) if self.goal.is_none() => return Ok(()),
                Ok(None) => {
                    drop(body);
                    self.source.client.traffic().count_error();
                    let detail = format!("the answer ends at {}", self.at);
                    let short = Error::new(ErrorKind::Truncated, OP, &VPath::root()).with_detail(detail);
                    self.survive(short).await?;
                }
                Err(error) => {
                    drop(body);
                    self.source.client.traffic().count_error();
                    self.survive(error).await?;
                }
            }
        }
        Ok(())
    }

    async fn ask(&self) -> Result<Body> {
        let range = ByteRange { start: self.at, end: self.goal };
        match self.source.fetch(range, Some(&self.facts), None, OP, &VPath::root()).await? {
            Fetched::File(found) => Ok(found.body),
            Fetched::Folder | Fetched::Unchanged(_) => {
                let detail = "the site has a folder there by now";
                Err(Error::new(ErrorKind::Changed, OP, &VPath::root()).with_detail(detail))
            }
        }
    }

    /// Gives the reader what it has not had yet. What lies before was sent because the site ignores ranges.
    async fn deliver(&mut self, start: u64, mut chunk: Bytes) -> Result<(), Stopped> {
        let had = self.at.saturating_sub(start).min(chunk.len() as u64);
        chunk = chunk.split_off(had as usize);
        if let Some(goal) = self.goal {
            chunk.truncate(usize::try_from(goal - self.at).unwrap_or(usize::MAX));
        }
        let len = chunk.len() as u64;
        let patience = self.source.client.deadlines().slow_reader;
        let mut waited = Duration::ZERO;
        while timeout(patience, self.output.send(chunk.clone()))
            .await
            .map_or(Ok(true), |sent| sent.map(|()| false).map_err(|_| Stopped::Deserted))?
        {
            waited += patience;
            self.yield_connection(waited)?;
        }
        self.at += len;
        Ok(())
    }

    /// Lets others have the connection of a reader that keeps them waiting. What cannot be continued is kept for it as
    /// long as a stall may last.
    fn yield_connection(&mut self, waited: Duration) -> Result<(), Stopped> {
        if self.body.is_none() || !self.source.client.is_busy() {
            return Ok(());
        }
        if self.facts.version.if_range().is_some() {
            self.body = None;
        } else if waited >= self.source.client.deadlines().stall {
            let detail = "the reader kept others waiting, and the site gives no means to go on later";
            return Err(Error::new(ErrorKind::TimedOut, OP, &VPath::root()).with_detail(detail).into());
        }
        Ok(())
    }

    /// Waits before going on after `error`, or ends with it: it is no break, the file may be another one by now, or
    /// there were too many.
    async fn survive(&mut self, error: Error) -> Result<()> {
        if self.at - self.safe_at >= PROGRESS {
            self.breaks = 0;
            self.safe_at = self.at;
        }
        self.breaks += 1;
        // A site that broke off may be on its way back.
        let is_break = match error.kind() {
            ErrorKind::Truncated => true,
            ErrorKind::Unavailable | ErrorKind::BadAnswer => self.has_broken,
            _ => false,
        };
        self.has_broken |= is_break;
        let can_go_on = is_break && self.breaks <= RESUMES && self.facts.version.if_range().is_some();
        match self.source.client.pay(self.breaks).filter(|_| can_go_on) {
            Some(delay) => {
                sleep(delay).await;
                Ok(())
            }
            None => Err(error),
        }
    }
}

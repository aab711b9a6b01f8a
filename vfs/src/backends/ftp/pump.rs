//! [`Pump`]: the task behind a [`Transfer`](super::transfer::Transfer), which hands its work to one connection after the other.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::data::{Data, Piece, Use};
use super::error::Fault;
use super::site::Again;
use super::stat::stat;
use super::transfer::Source;
use super::wire::Wire;
use super::worker::Work;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::options::ByteRange;
use crate::path::VPath;
use crate::producer::Output;

/// Breaks in a row, without [`PROGRESS`] in between, that a transfer goes on after.
const RESUMES: u32 = 5;

/// Bytes after which a break counts as the first one again.
const PROGRESS: u64 = 1 << 20;

/// What is read to the file's end, and thrown away, rather than broken off.
const DRAINED_BYTES: u64 = 64 * 1024;

/// What a site without REST sends before the wanted offset, and is thrown away, at most.
const SKIPPED_BYTES: u64 = 8 << 20;

/// What the errors are of.
const OP: &str = "read_at";

/// What is behind a transfer. It moves into the work that a connection does, and back.
pub(super) struct Pump {
    source: Arc<Source>,
    output: Output,
    gone: oneshot::Receiver<Infallible>,
    /// The next byte for the reader.
    at: u64,
    /// The end of the range or of the file, whichever comes first and as far as it is known.
    goal: Option<u64>,
    is_fresh: bool,
    breaks: u32,
    /// Where the last break but one was counted anew.
    safe_at: u64,
}

/// Why the pulling over one connection stopped.
enum Stop {
    /// All that was wanted is there.
    Done,
    /// Nobody reads any more.
    Deserted,
    /// Others wait for the connection, and the reader does not pull.
    Yielded,
    /// It may go on over another connection.
    Broke(Fault),
    /// It may not.
    Failed(Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Broke(fault)
    }
}

impl Pump {
    /// Nothing of `range` is fetched yet. It stops when the sender of `gone` is dropped.
    pub(super) fn new(
        source: &Arc<Source>,
        output: Output,
        gone: oneshot::Receiver<Infallible>,
        range: ByteRange,
        is_fresh: bool,
    ) -> Self {
        Self {
            source: Arc::clone(source),
            output,
            gone,
            at: range.start,
            goal: source.goal(range),
            is_fresh,
            breaks: 0,
            safe_at: range.start,
        }
    }

    /// Fetches what is wanted, to its end or until it is told why not.
    pub(super) async fn run(mut self, wanted_end: Option<u64>) {
        let failure = loop {
            if self.goal.is_some_and(|goal| self.at >= goal) {
                break None;
            }
            let stop;
            (self, stop) = match self.hire().await {
                Some(hired) => hired,
                None => return,
            };
            match stop {
                Stop::Done => break None,
                Stop::Deserted => return,
                Stop::Failed(error) => break Some(error),
                Stop::Yielded => {}
                Stop::Broke(fault) => match self.survive(fault).await {
                    Ok(()) => {}
                    Err(error) => break Some(error),
                },
            }
        };
        match failure {
            Some(error) => self.output.fail(error),
            None if wanted_end.is_some_and(|end| self.at < end) => {
                let detail = format!("the file ends at {}", self.at);
                self.output.fail(Error::new(ErrorKind::Truncated, OP, &VPath::root()).with_detail(detail));
            }
            None => self.output.finish(),
        }
    }

    /// Pulls over a connection. `None`: the reader left before there was one, or the connection's task died.
    async fn hire(self) -> Option<(Self, Stop)> {
        let site = Arc::clone(&self.source.site);
        let (answer, mut heard) = oneshot::channel::<(Self, Stop)>();
        // Where no connection can be had the pump is still in here.
        let slot = Arc::new(Mutex::new(Some(self)));
        let take = |slot: &Mutex<Option<Self>>| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let held = Arc::clone(&slot);
        let work: Work = Box::new(move |wire| {
            Box::pin(async move {
                let Some(mut pump) = take(&held) else { return };
                let stop = pump.pull(wire).await.err().unwrap_or(Stop::Done);
                let _ = answer.send((pump, stop));
            })
        });
        let ordered = {
            let ordering = site.order(Again::Yes, work);
            let mut ordering = pin!(ordering);
            poll_fn(|cx| {
                if let Some(pump) = slot.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
                    && Pin::new(&mut pump.gone).poll(cx).is_ready()
                {
                    return Poll::Ready(None);
                }
                ordering.as_mut().poll(cx).map(Some)
            })
            .await?
        };
        match ordered {
            Ok(_) => match (&mut heard).await {
                Ok(pulled) => Some(pulled),
                Err(_) => {
                    let lost = Fault::lost(ErrorKind::Unavailable, "the connection to the site has gone");
                    take(&slot).map(|pump| (pump, Stop::Broke(lost)))
                }
            },
            Err(fault) => take(&slot).map(|pump| (pump, Stop::Broke(fault))),
        }
    }

    /// Fetches from where the reader is, over one connection, which is in step afterwards or thrown away.
    async fn pull(&mut self, wire: &mut Wire) -> Result<(), Stop> {
        if !self.is_fresh {
            self.check_version(wire).await?;
        }
        self.is_fresh = false;
        let path = self.source.path.clone();
        let can_restart = self.at == 0 || !wire.lore().no_rest.is_set();
        let opened = match wire.open(Use::Retrieve, &path, if can_restart { self.at } else { 0 }).await {
            Err(fault) if can_restart && self.at > 0 && matches!(fault.code(), Some(500..=504)) => {
                wire.lore().no_rest.set();
                None
            }
            opened => Some(opened.map_err(|fault| self.judge(fault))?),
        };
        let (mut data, skip) = match opened {
            Some(data) => (data, if can_restart { 0 } else { self.at }),
            None => (wire.open(Use::Retrieve, &path, 0).await?, self.at),
        };
        if skip > SKIPPED_BYTES {
            wire.abort(data).await;
            let detail = format!("the site cannot start at {skip}, and that is too far to be read up to");
            return Err(Stop::Failed(
                Error::new(ErrorKind::Unsupported, OP, &VPath::root()).with_detail(detail),
            ));
        }
        let start = self.at;
        match self.receive(wire, &mut data, skip).await {
            Ok(()) => self.conclude(wire, data).await,
            Err(Stop::Broke(fault)) if self.at == start => Err(Stop::Broke(wire.leave(data, fault).await)),
            Err(Stop::Broke(fault)) => {
                wire.discard(data);
                Err(Stop::Broke(fault))
            }
            Err(Stop::Failed(error)) => {
                wire.discard(data);
                Err(Stop::Failed(error))
            }
            Err(stop) => {
                wire.abort(data).await;
                Err(stop)
            }
        }
    }

    /// A file that went, or may not be read, is no break.
    fn judge(&self, fault: Fault) -> Stop {
        match fault {
            Fault::Refused(reply) if reply.code >= 500 => {
                Stop::Failed(Fault::Refused(reply).into_error(OP, &VPath::root()))
            }
            fault => Stop::Broke(fault),
        }
    }

    async fn check_version(&self, wire: &mut Wire) -> Result<(), Stop> {
        let found = stat(wire, &self.source.path, true).await.map_err(|fault| self.judge(fault))?;
        if self.source.facts.is_same_version(&found) {
            return Ok(());
        }
        let detail = "the site has another version by now";
        let changed = Error::new(ErrorKind::Changed, OP, &VPath::root()).with_detail(detail);
        Err(Stop::Failed(changed.with_retry(Retry::Now)))
    }

    /// Delivers until the goal or the end of the data.
    async fn receive(&mut self, wire: &mut Wire, data: &mut Data, mut skip: u64) -> Result<(), Stop> {
        while self.goal.is_none_or(|goal| self.at < goal) {
            let piece = tokio::select! {
                biased;
                _ = &mut self.gone => return Err(Stop::Deserted),
                piece = data.next(wire.stall()) => piece?,
            };
            let mut bytes = match piece {
                Piece::Bytes(bytes) => bytes,
                end => return self.judge_end(&end, data.promised()),
            };
            let skipped = skip.min(bytes.len() as u64);
            skip -= skipped;
            let mut bytes = bytes.split_off(skipped as usize);
            if let Some(goal) = self.goal.filter(|goal| Some(*goal) != self.source.facts.len) {
                bytes.truncate(usize::try_from(goal - self.at).unwrap_or(usize::MAX));
            }
            if self.source.facts.len.is_some_and(|len| bytes.len() as u64 > len - self.at) {
                let detail = "the site sends more than it said: the file is another one by now";
                return Err(Stop::Failed(
                    Error::new(ErrorKind::Corrupt, OP, &VPath::root()).with_detail(detail),
                ));
            }
            self.deliver(wire, bytes).await?;
        }
        Ok(())
    }

    /// Whether the data's end may be the file's. Where the length is known, what the site says next is heard first.
    fn judge_end(&self, end: &Piece, promised: Option<u64>) -> Result<(), Stop> {
        let len = self.source.facts.len;
        let is_cut = matches!(end, Piece::Cut);
        let is_short = match len.or(promised) {
            Some(goal) => self.at < goal && (is_cut || len.is_none()),
            None => is_cut,
        };
        if !is_short {
            return Ok(());
        }
        let detail = match promised.filter(|_| !is_cut) {
            Some(promised) => format!("the site ends the file at {} of {promised}", self.at),
            None => format!("the data connection was cut at {}", self.at),
        };
        Err(Stop::Broke(Fault::lost(ErrorKind::Truncated, detail)))
    }

    /// Gives the reader `bytes`, and others the connection where the reader does not pull. What cannot be continued is
    /// kept for it as long as a stall may last.
    async fn deliver(&mut self, wire: &Wire, bytes: Bytes) -> Result<(), Stop> {
        let len = bytes.len() as u64;
        let dialled = &self.source.site.dialled;
        let patience = dialled.deadlines.slow_reader;
        dialled.traffic.count_bytes(bytes.len());
        let mut waited = Duration::ZERO;
        loop {
            match timeout(patience, self.output.send(bytes.clone())).await {
                Ok(Ok(())) => break,
                Ok(Err(_)) => return Err(Stop::Deserted),
                Err(_) => waited += patience,
            }
            if !self.source.site.is_busy() {
                continue;
            }
            if self.can_go_on() {
                return Err(Stop::Yielded);
            }
            if waited >= wire.stall() {
                let detail = "the reader kept others waiting, and the site gives no means to go on later";
                let error = Error::new(ErrorKind::TimedOut, OP, &VPath::root()).with_detail(detail);
                return Err(Stop::Failed(error));
            }
        }
        self.at += len;
        Ok(())
    }

    /// The data ended, or the goal is reached before it.
    async fn conclude(&mut self, wire: &mut Wire, mut data: Data) -> Result<(), Stop> {
        let len = self.source.facts.len;
        if let Some(len) = len
            && self.goal.is_some_and(|goal| self.at >= goal && goal < len)
        {
            if len - self.at > DRAINED_BYTES || drain(wire, &mut data).await != Drained::End {
                wire.abort(data).await;
                return Ok(());
            }
        } else if len.is_some_and(|len| self.at == len) {
            match drain(wire, &mut data).await {
                Drained::End => {}
                Drained::More => {
                    wire.discard(data);
                    let detail = "the site sends more than it said: the file is another one by now";
                    let error = Error::new(ErrorKind::Corrupt, OP, &VPath::root()).with_detail(detail);
                    return Err(Stop::Failed(error));
                }
                Drained::Broken => {
                    wire.discard(data);
                    return Ok(());
                }
            }
        }
        let finished = wire.finish(data).await;
        if len.is_some_and(|len| self.at >= self.goal.unwrap_or(len).min(len)) {
            // All bytes are there, whatever is said afterwards.
            return Ok(());
        }
        finished?;
        if len.is_none() {
            return Ok(());
        }
        Err(Stop::Broke(Fault::lost(ErrorKind::Truncated, format!("the site ends the file at {}", self.at))))
    }

    /// Waits before going on after `fault`, or ends with it.
    async fn survive(&mut self, fault: Fault) -> Result<()> {
        self.source.site.note_failure(&fault);
        if self.at - self.safe_at >= PROGRESS {
            self.breaks = 0;
            self.safe_at = self.at;
        }
        self.breaks += 1;
        let is_break = match &fault {
            Fault::Lost(lost) => lost.kind == ErrorKind::Truncated || fault.may_pass(),
            fault => fault.may_pass(),
        };
        let can_go_on = is_break && self.breaks <= RESUMES && (self.at == self.safe_at || self.can_go_on());
        match self.source.site.pay(self.breaks).filter(|_| can_go_on) {
            Some(delay) => {
                sleep(delay).await;
                Ok(())
            }
            None => Err(fault.into_error(OP, &VPath::root())),
        }
    }

    /// True where the site tells enough for a version to be known again.
    fn can_go_on(&self) -> bool {
        self.source.facts.validator(0).is_some()
    }
}

/// What became of data that is thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    /// It ended.
    End,
    /// It is more than [`DRAINED_BYTES`].
    More,
    /// It broke off, or hangs.
    Broken,
}

/// Reads what is left of the data, which is little.
async fn drain(wire: &Wire, data: &mut Data) -> Drained {
    let mut left = DRAINED_BYTES;
    loop {
        match data.next(wire.stall()).await {
            Ok(Piece::End | Piece::Cut) => return Drained::End,
            Ok(Piece::Bytes(bytes)) if bytes.len() as u64 <= left => left -= bytes.len() as u64,
            Ok(Piece::Bytes(_)) => return Drained::More,
            Err(_) => return Drained::Broken,
        }
    }
}

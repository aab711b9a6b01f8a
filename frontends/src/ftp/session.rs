//! One session, one task: what comes next, and in which order it is answered.
//!
//! The control connection is read all the time, at most [`MAX_WAITING`] commands ahead and as many bytes more as it takes to
//! see an ABOR behind them. One piece of work is under way
//! at most: a call on the tree, a transfer, or a listing in a reply; the commands behind it wait and are answered in
//! their order. During a transfer, and while a call hangs, NOOP and STAT are answered at once where nothing waits before them,
//! and ABOR stops either at once. Replies leave through one buffer, so none overtakes another.
//!
//! Everything a session has (sockets, files, the listener, its place among the connections) belongs to this one value,
//! so that it is all given back the moment the peer is gone.

mod conclude;
mod lapse;
mod obey;
mod secrecy;
mod work;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use vfs::producer::Algorithm;
use vfs::{ByteRange, FileSystem, VPath};

use self::lapse::{FAREWELL_TIME, LOGIN_TIME, Lapse};
use self::secrecy::Secrecy;
use self::work::Work;
use super::House;
use super::calls::{Growth, Outcome};
use super::command::{self, Command, Errand, Refusal, Representation};
use super::control::{Control, Heard};
use super::data::Data;
use super::facts::Facts;
use super::reply;
use super::transfer::Ended;
use super::wire::{Line, Reply};
use crate::auth::Entry;
use crate::serve::{Drain, Peer};
use crate::sight::Sight;
use crate::transport::Transport;
use crate::transport::tls::Tls;

/// Commands that wait behind the one under way. Past that nothing more is read.
const MAX_WAITING: usize = 16;

/// Commands without a login, in all.
const MAX_COMMANDS_BEFORE_LOGIN: usize = 100;

/// Lines over [`wire::MAX_LINE_BYTES`] in a session.
const MAX_LONG_LINES: usize = 3;

/// How long a call may take before NOOP and STAT overtake its answer.
const HANGS_AFTER: Duration = Duration::from_secs(1);

/// Lines in a row that nobody understands: the peer speaks something else.
const MAX_UNKNOWN: usize = 10;

/// One control connection and all that belongs to it.
pub(super) struct Session {
    house: Arc<House>,
    ends: Ends,
    control: Control,
    login: Login,
    /// Until when there has to be a login; `None` where there is one.
    login_by: Option<Instant>,
    /// The site that HOST chose.
    host: Option<String>,
    settings: Settings,
    secrecy: Secrecy,
    folder: VPath,
    /// What REST or RANG chose of the next transfer.
    restart: ByteRange,
    /// What RNFR or SITE CPFR chose; the next command takes it or drops it.
    chosen: Option<(Errand, VPath)>,
    data: Data,
    work: Work,
    waiting: VecDeque<Result<Command, Refusal>>,
    conduct: Conduct,
    stage: Stage,
    /// The server is stopping.
    is_stopping: bool,
    /// When something was asked or a piece of work ended.
    active_at: Instant,
    /// Fires at the next deadline, or before it.
    timer: Pin<Box<Sleep>>,
}

/// The two ends of a control connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// Who is connected.
    pub(super) peer: Peer,
    /// Our own address, over TCP: where data connections come to.
    pub(super) local: Option<SocketAddr>,
}

enum Login {
    Nobody,
    /// USER was sent, and PASS was not.
    Named(Vec<u8>),
    In(Member),
}

/// Who is logged in.
struct Member {
    user: Arc<str>,
    /// As whom, and what that one may see.
    entry: Entry,
    /// All that this session can see.
    view: Arc<dyn FileSystem>,
    /// Where its new files grow.
    growth: Growth,
    /// Counts the session as logged in.
    _presence: Presence,
}

struct Presence(Arc<Sight>);

/// What a peer has set for itself.
struct Settings {
    representation: Representation,
    facts: Facts,
    /// What HASH computes.
    hash: Algorithm,
    /// EPSV ALL was sent.
    is_epsv_only: bool,
    /// What SITE IDLE chose, within the site's own limit.
    idle: Option<Duration>,
}

/// What a peer did wrong so far.
#[derive(Default)]
struct Conduct {
    commands_before_login: usize,
    failed_logins: u32,
    long_lines: usize,
    unknown: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// The peer sends no more; what it asked for is still answered, until then.
    PeerDone(Instant),
    /// The last reply was said, and leaves until then.
    Leaving(Instant),
}

enum Event {
    Heard(Heard),
    /// What is under way is to stop, says a line that waits for its turn.
    StopAhead,
    /// A command is next.
    Command(Result<Command, Refusal>),
    Outcome(Outcome),
    Ended(Ended),
    Reported(Option<vfs::Error>),
    Lapsed(Lapse),
    /// The server is stopping.
    Stop,
    /// Nothing is left to be done.
    Idle,
    /// The connection is gone.
    Gone,
}

impl Session {
    pub(super) fn new(house: Arc<House>, stream: Box<dyn Transport>, ends: Ends) -> Self {
        let now = Instant::now();
        Self {
            house,
            ends,
            control: Control::new(stream),
            login: Login::Nobody,
            login_by: Some(now + LOGIN_TIME),
            host: None,
            settings: Settings::default(),
            secrecy: Secrecy::default(),
            folder: VPath::root(),
            restart: ByteRange::default(),
            chosen: None,
            data: Data::None,
            work: Work::None,
            waiting: VecDeque::new(),
            conduct: Conduct::default(),
            stage: Stage::Serving,
            is_stopping: false,
            active_at: now,
            timer: Box::pin(tokio::time::sleep_until(now + LOGIN_TIME)),
        }
    }

    /// The same session, which began inside `tls`.
    pub(super) fn secured(mut self, tls: &Tls) -> Self {
        self.secrecy = Secrecy::implicit(tls);
        self
    }

    /// Serves the session to its end.
    pub(super) async fn run(mut self, mut drain: Drain) {
        self.control.say(&reply::GREETING);
        let mut stopping = pin!(drain.started());
        loop {
            let event = tokio::select! {
                biased;
                () = &mut stopping, if !self.is_stopping => Event::Stop,
                event = poll_fn(|cx| self.poll_event(cx)) => event,
            };
            if let Event::Gone = event {
                return self.work.save().await;
            }
            self.handle(event);
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Stage::Leaving(_) = self.stage {
            if self.control.poll_farewell(cx).is_ready() {
                return Poll::Ready(Event::Gone);
            }
            return self.poll_lapse(cx);
        }
        if let Poll::Ready(event) = self.work.poll_event(cx, &mut self.control) {
            return Poll::Ready(event);
        }
        if let Poll::Ready(Err(_)) = self.control.poll_flush(cx) {
            return Poll::Ready(Event::Gone);
        }
        if let Some(event) = self.next_command() {
            return Poll::Ready(event);
        }
        if self.stage == Stage::Serving
            && self.waiting.len() < MAX_WAITING
            && self.control.has_room()
            && let Poll::Ready(heard) = self.control.poll_heard(cx)
        {
            return Poll::Ready(heard.map_or(Event::Gone, Event::Heard));
        }
        if self.data.is_prepared() {
            let guard = self.guard();
            self.data.poll_connect(cx, &self.house.site.sight, &guard);
        }
        if self.stage == Stage::Serving
            && matches!(self.work, Work::Transfer(_) | Work::Report(_))
            && let Poll::Ready(ahead) = self.control.poll_stop(cx, is_abort)
        {
            return Poll::Ready(ahead.map_or(Event::Gone, |()| Event::StopAhead));
        }
        self.poll_lapse(cx)
    }

    /// What comes next where nothing is under way.
    fn next_command(&mut self) -> Option<Event> {
        if !matches!(self.work, Work::None) || !self.control.has_room() {
            return None;
        }
        if self.is_stopping {
            return Some(Event::Idle);
        }
        match self.waiting.pop_front() {
            Some(command) => Some(Event::Command(command)),
            None => matches!(self.stage, Stage::PeerDone(_)).then_some(Event::Idle),
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Heard(Heard::Line(line)) => self.hear(line),
            Event::Heard(Heard::End) => {
                // Whoever closes the control connection gives its transfer up (RFC 959 §3.2).
                self.abort();
                self.data = Data::None;
                self.stage = Stage::PeerDone(Instant::now() + FAREWELL_TIME);
            }
            Event::StopAhead => self.abort(),
            Event::Command(Ok(command)) => {
                self.conduct.unknown = 0;
                self.obey(command);
            }
            Event::Command(Err(refusal)) => self.refuse(refusal),
            Event::Outcome(outcome) => self.conclude(outcome),
            Event::Ended(ended) => self.finish(&reply::ended(&ended)),
            Event::Reported(failed) => self.finish_report(failed.as_ref()),
            Event::Lapsed(lapse) => self.give_up(lapse),
            Event::Stop => self.is_stopping = true,
            Event::Idle if self.is_stopping => self.leave(&reply::STOPPING),
            Event::Idle => {
                // A port that was asked for behind the peer's end is for nobody any more.
                self.data = Data::None;
                self.stage = Stage::Leaving(Instant::now() + FAREWELL_TIME);
            }
            Event::Gone => {}
        }
    }

    /// Takes a line in: what can be answered during a transfer is, and all else waits for its turn.
    fn hear(&mut self, line: Line) {
        self.active_at = Instant::now();
        if self.login_by.is_some() {
            self.conduct.commands_before_login += 1;
            if self.conduct.commands_before_login > MAX_COMMANDS_BEFORE_LOGIN {
                return self.leave(&reply::TOO_MANY_COMMANDS);
            }
        }
        match command::interpret(line) {
            Ok(Command::Nothing) if self.answers_at_once() => self.control.say(&reply::NOTHING_DONE),
            Ok(Command::Status(None)) if self.answers_at_once() => self.say_status(),
            Ok(Command::Abort) => {
                self.abort();
                self.waiting.push_back(Ok(Command::Abort));
            }
            command => self.waiting.push_back(command),
        }
    }

    /// True where the peer knows that something is under way, and asks whether we are still here: a transfer that has begun, or
    /// a call that it has waited for. What came right behind a command is answered behind it.
    fn answers_at_once(&self) -> bool {
        let is_known = match &self.work {
            Work::Transfer(_) => true,
            Work::Call { aborted, since, .. } => aborted.is_some() && since.elapsed() >= HANGS_AFTER,
            Work::None | Work::Report(_) => false,
        };
        is_known && self.waiting.is_empty()
    }

    /// Stops what is under way, if it can be stopped, and answers for it.
    fn abort(&mut self) {
        let answer = match &mut self.work {
            Work::None | Work::Call { aborted: None, .. } => return,
            Work::Call { aborted: Some(aborted), .. } => aborted.clone(),
            Work::Transfer(transfer) => match transfer.stop(Ended::Aborted) {
                Some(ended) => reply::ended(&ended),
                // Its end answers, as soon as what came is written.
                None => return,
            },
            Work::Report(_) => {
                self.control.say(&Reply::fixed(213, "Stopped."));
                return self.rest();
            }
        };
        self.data = Data::None;
        self.finish(&answer);
    }

    /// Ends what was under way with a reply.
    fn finish(&mut self, reply: &Reply) {
        self.control.say(reply);
        self.rest();
    }

    fn rest(&mut self) {
        self.work = Work::None;
        self.active_at = Instant::now();
    }

    fn refuse(&mut self, refusal: Refusal) {
        let conduct = &mut self.conduct;
        match refusal {
            Refusal::Unknown => conduct.unknown += 1,
            Refusal::TooLong => conduct.long_lines += 1,
            Refusal::Foreign if self.login_by.is_some() => return self.leave(&reply::FOREIGN),
            Refusal::Foreign => conduct.unknown += 1,
            Refusal::NotImplemented | Refusal::Syntax(_) | Refusal::Parameter | Refusal::Protocol => {
                conduct.unknown = 0
            }
        }
        let is_over = conduct.unknown >= MAX_UNKNOWN || conduct.long_lines >= MAX_LONG_LINES;
        self.control.say(&reply::refused(refusal));
        if is_over {
            self.leave(&reply::TOO_MANY_ERRORS);
        }
    }

    /// Says the last reply; nothing is under way after it.
    fn leave(&mut self, reply: &Reply) {
        self.work = Work::None;
        self.data = Data::None;
        self.waiting = VecDeque::new();
        self.control.say(reply);
        self.stage = Stage::Leaving(Instant::now() + FAREWELL_TIME);
    }
}

fn is_abort(line: Line) -> bool {
    command::interpret(line) == Ok(Command::Abort)
}

impl Member {
    /// True for who came without a name of theirs.
    fn is_guest(&self) -> bool {
        self.entry.user.is_none()
    }
}

impl Default for Settings {
    fn default() -> Self {
        // RFC 959 §5.1: until a client says otherwise, lines are ASCII.
        Self {
            representation: Representation::Ascii,
            facts: Facts::ALL,
            hash: Algorithm::Sha256,
            is_epsv_only: false,
            idle: None,
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("ends", &self.ends)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

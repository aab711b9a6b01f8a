//! One session, one task: what comes next, and in which order it is answered.
//!
//! The control connection is read all the time, at most [`MAX_WAITING`] commands ahead. One piece of work is under way
//! at most: a call on the tree, a transfer, or a listing in a reply; the commands behind it wait and are answered in
//! their order. During a transfer NOOP and STAT are answered at once where nothing waits before them, and ABOR stops the
//! transfer at once. Replies leave through one buffer, so none overtakes another.
//!
//! Everything a session has (sockets, files, the listener, its place among the connections) belongs to this one value,
//! so that it is all given back the moment the peer is gone.

mod obey;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use vfs::{FileSystem, VPath};

use super::House;
use super::calls::{Opening, Outcome};
use super::command::{self, Command, Refusal, Representation};
use super::control::{Control, Heard};
use super::data::Data;
use super::facts::Facts;
use super::list::Listing;
use super::reply;
use super::transfer::{Asker, Ended, Transfer};
use super::wire::{self, Line, Reply};
use crate::serve::{Drain, Peer};
use crate::sight::Sight;
use crate::transport::Transport;

/// Commands that wait behind the one under way. Past that nothing more is read.
const MAX_WAITING: usize = 16;

/// How long a peer may take to log in.
const LOGIN_TIME: Duration = Duration::from_secs(20);

/// Commands without a login, in all.
const MAX_COMMANDS_BEFORE_LOGIN: usize = 100;

/// Logins that may fail.
const MAX_FAILED_LOGINS: u32 = 3;

/// How long the first failed login takes; each further one takes twice as long.
const FIRST_LOGIN_DELAY: Duration = Duration::from_secs(1);

/// Lines over [`wire::MAX_LINE_BYTES`] in a session.
const MAX_LONG_LINES: usize = 3;

/// Lines in a row that nobody understands: the peer speaks something else.
const MAX_UNKNOWN: usize = 10;

/// How long the last replies may take to leave, and the peer to close its side.
const FAREWELL_TIME: Duration = Duration::from_secs(5);

/// How long a session may do nothing, where the site does not say.
const IDLE: Duration = Duration::from_secs(300);

/// How long a client may take nothing, where the site does not say.
const STALL: Duration = Duration::from_secs(120);

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
    folder: VPath,
    /// Where the next transfer starts.
    restart: u64,
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
    /// All that this session can see.
    view: Arc<dyn FileSystem>,
    /// Counts the session as logged in.
    _presence: Presence,
}

struct Presence(Arc<Sight>);

/// What a peer has set for itself.
struct Settings {
    representation: Representation,
    facts: Facts,
    /// EPSV ALL was sent.
    is_epsv_only: bool,
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

/// What is under way.
enum Work {
    None,
    Call {
        call: Pin<Box<dyn Future<Output = Outcome> + Send>>,
        /// What ABOR answers for it; `None` where it cannot be stopped.
        aborted: Option<Reply>,
    },
    Transfer(Box<Transfer>),
    /// The rows of STAT.
    Report(Box<Listing>),
}

enum Event {
    Heard(Heard),
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

/// A deadline that has passed.
enum Lapse {
    Login,
    Idle,
    Transfer(Ended),
    /// The peer takes no replies, or does not close its side.
    Connection,
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
            folder: VPath::root(),
            restart: 0,
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
                return;
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
        self.data.poll_connect(cx, &self.house.site.sight);
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
            Event::Idle => self.stage = Stage::Leaving(Instant::now() + FAREWELL_TIME),
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

    fn answers_at_once(&self) -> bool {
        matches!(self.work, Work::Transfer(_)) && self.waiting.is_empty()
    }

    /// Stops what is under way, if it can be stopped, and answers for it.
    fn abort(&mut self) {
        let answer = match &mut self.work {
            Work::None | Work::Call { aborted: None, .. } => return,
            Work::Call { aborted: Some(aborted), .. } => aborted.clone(),
            Work::Transfer(transfer) => {
                transfer.close(&Ended::Aborted);
                reply::ABORTED
            }
            Work::Report(_) => {
                wire::encode_end(213, b"Stopped.", self.control.output());
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

    /// Acts on what a call came to.
    fn conclude(&mut self, outcome: Outcome) {
        let answer = reply::outcome(&outcome);
        match outcome {
            Outcome::Admitted(view) => self.admit(view),
            Outcome::Denied => return self.deny(),
            Outcome::Moved(folder) => self.folder = folder,
            Outcome::Opened(opening) => return self.transfer(&answer, opening),
            Outcome::Reported(rows) => {
                wire::encode_head(answer.code, b"Listing:", self.control.output());
                self.work = Work::Report(rows);
                return;
            }
            Outcome::Measured(_) | Outcome::Dated(_) | Outcome::Described { .. } | Outcome::Failed { .. } => {
            }
        }
        self.finish(&answer);
    }

    fn admit(&mut self, view: Arc<dyn FileSystem>) {
        let user = match std::mem::replace(&mut self.login, Login::Nobody) {
            Login::Named(name) => String::from_utf8_lossy(&name).into(),
            Login::In(member) => member.user,
            Login::Nobody => "".into(),
        };
        let presence = Presence::new(&self.house.site.sight);
        self.login = Login::In(Member { user, view, _presence: presence });
        self.login_by = None;
        self.conduct.commands_before_login = 0;
    }

    fn deny(&mut self) {
        self.login = Login::Nobody;
        self.conduct.failed_logins += 1;
        self.rest();
        if self.conduct.failed_logins >= MAX_FAILED_LOGINS {
            return self.leave(&reply::GUESTS_TRIED);
        }
        self.control.say(&reply::DENIED);
    }

    /// Begins a transfer, unless its ABOR is here already.
    fn transfer(&mut self, announcement: &Reply, opening: Opening) {
        self.control.say(announcement);
        let user = match &self.login {
            Login::In(member) => Arc::clone(&member.user),
            Login::Named(_) | Login::Nobody => "".into(),
        };
        let asker = Asker { peer: self.ends.peer, user, sight: Arc::clone(&self.house.site.sight) };
        let data = std::mem::replace(&mut self.data, Data::None);
        let transfer = Transfer::new(opening, data, self.stall(), &self.house.disk, asker);
        self.work = Work::Transfer(Box::new(transfer));
        if self.waiting.contains(&Ok(Command::Abort)) {
            self.abort();
        }
    }

    fn finish_report(&mut self, failed: Option<&vfs::Error>) {
        let end = match failed {
            None => "End".to_owned(),
            Some(error) => format!("The listing breaks off: {}.", error.kind()),
        };
        wire::encode_end(213, end.as_bytes(), self.control.output());
        self.rest();
    }

    fn refuse(&mut self, refusal: Refusal) {
        let conduct = &mut self.conduct;
        match refusal {
            Refusal::Unknown => conduct.unknown += 1,
            Refusal::TooLong => conduct.long_lines += 1,
            Refusal::Foreign if self.login_by.is_some() => return self.leave(&reply::FOREIGN),
            Refusal::Foreign => conduct.unknown += 1,
            Refusal::NotImplemented | Refusal::Syntax(_) | Refusal::Parameter => conduct.unknown = 0,
        }
        let is_over = conduct.unknown >= MAX_UNKNOWN || conduct.long_lines >= MAX_LONG_LINES;
        self.control.say(&reply::refused(refusal));
        if is_over {
            self.leave(&reply::TOO_MANY_ERRORS);
        }
    }

    fn give_up(&mut self, lapse: Lapse) {
        match lapse {
            Lapse::Login => self.leave(&reply::LOGIN_TIMED_OUT),
            Lapse::Idle => self.leave(&reply::IDLE),
            Lapse::Connection => self.stage = Stage::Leaving(Instant::now()),
            Lapse::Transfer(ended) => {
                if let Work::Transfer(transfer) = &mut self.work {
                    transfer.close(&ended);
                }
                self.finish(&reply::ended(&ended));
            }
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

    /// Polls for the next deadline. The timer is moved only where it would fire too late: one that fires early looks
    /// again, so that a busy session does not move it with each line.
    fn poll_lapse(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let Some((at, lapse)) = self.next_lapse() else { return Poll::Pending };
            if at <= Instant::now() {
                return match self.stage {
                    Stage::Leaving(_) => Poll::Ready(Event::Gone),
                    _ => Poll::Ready(Event::Lapsed(lapse)),
                };
            }
            if self.timer.is_elapsed() || self.timer.deadline() > at {
                self.timer.as_mut().reset(at);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// The next deadline as things stand. `None` while a transfer waits for the tree, which has its own limits.
    fn next_lapse(&self) -> Option<(Instant, Lapse)> {
        let own = match (&self.work, self.stage) {
            (_, Stage::PeerDone(by) | Stage::Leaving(by)) => return Some((by, Lapse::Connection)),
            (Work::Transfer(transfer), Stage::Serving) => {
                transfer.deadline().map(|(at, ended)| (at, Lapse::Transfer(ended)))
            }
            (_, Stage::Serving) => {
                let idle = self.house.site.limits.idle.unwrap_or(IDLE);
                Some((self.active_at + idle, Lapse::Idle))
            }
        };
        let login = self.login_by.map(|by| (by, Lapse::Login));
        let unsent = self.control.waiting_since().map(|since| (since + self.stall(), Lapse::Connection));
        [own, login, unsent].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn stall(&self) -> Duration {
        self.house.site.limits.stall.unwrap_or(STALL)
    }
}

impl Work {
    /// A call on the tree. `aborted` is what ABOR answers for it; `None`: it is not stopped.
    fn call(call: impl Future<Output = Outcome> + Send + 'static, aborted: Option<Reply>) -> Self {
        Self::Call { call: Box::pin(call), aborted }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>, control: &mut Control) -> Poll<Event> {
        match self {
            Self::None => Poll::Pending,
            Self::Call { call, .. } => call.as_mut().poll(cx).map(Event::Outcome),
            Self::Transfer(transfer) => transfer.poll_end(cx).map(Event::Ended),
            Self::Report(rows) => poll_report(rows, cx, control),
        }
    }
}

/// Moves rows into the reply as fast as the peer reads it.
fn poll_report(rows: &mut Listing, cx: &mut Context<'_>, control: &mut Control) -> Poll<Event> {
    loop {
        if !control.has_room() && ready!(control.poll_flush(cx)).is_err() {
            return Poll::Ready(Event::Gone);
        }
        match ready!(rows.poll_rows(cx)) {
            Some(Ok(rows)) => wire::encode_rows(&rows, control.output()),
            Some(Err(error)) => return Poll::Ready(Event::Reported(Some(error))),
            None => return Poll::Ready(Event::Reported(None)),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        // RFC 959 §5.1: until a client says otherwise, lines are ASCII.
        Self { representation: Representation::Ascii, facts: Facts::ALL, is_epsv_only: false }
    }
}

impl Presence {
    fn new(sight: &Arc<Sight>) -> Self {
        sight.sessions.add(1);
        Self(Arc::clone(sight))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.sessions.sub(1);
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

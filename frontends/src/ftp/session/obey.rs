//! What each command does: a word back, a change of the session, or a piece of work.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vfs::VPath;

use super::lapse::LOGIN_TIME;
use super::work::Work;
use super::{Login, Session, Settings};
use crate::auth::Credentials;
use crate::ftp::calls::{self, Ask, Failure, Outcome};
use crate::ftp::command::{Command, Extended, Format, Representation};
use crate::ftp::data::{Data, Passive};
use crate::ftp::reply;
use crate::ftp::wire::Reply;
use crate::serve::Peer;

/// How long the first failed login takes; each further one takes twice as long.
const FIRST_LOGIN_DELAY: Duration = Duration::from_secs(1);

/// Names that guests give (RFC 1635).
const GUESTS: [&[u8]; 2] = [b"anonymous", b"ftp"];

impl Session {
    /// Does what a command asks for.
    pub(super) fn obey(&mut self, command: Command) {
        if self.login_by.is_some() && needs_login(&command) {
            return self.control.say(&reply::LOG_IN_FIRST);
        }
        match command {
            Command::Abort => self.control.say(&reply::ABORT_DONE),
            Command::Change(path) => self.ask(&path, reply::CALL_ABORTED, Ask::change),
            Command::ChooseFacts(facts) => {
                self.settings.facts = facts;
                self.control.say(&reply::facts_chosen(facts));
            }
            Command::Client | Command::Nothing => self.control.say(&reply::NOTHING_DONE),
            Command::Confirm => self.control.say(&reply::CONFIRMED),
            Command::ExtendedPassive(wanted) => self.listen_extended(wanted),
            Command::Facts(path) => {
                let facts = self.settings.facts;
                self.ask(&path.unwrap_or_default(), reply::CALL_ABORTED, move |ask| ask.describe(facts));
            }
            Command::Features => self.control.say(&reply::features(self.settings.facts)),
            Command::Help(about) => self.control.say(&reply::help(about.as_deref())),
            Command::Host(name) => self.choose_host(name),
            Command::List(format, path) => self.list(format, &path.unwrap_or_default()),
            Command::Modified(path) => self.ask(&path, reply::CALL_ABORTED, Ask::date),
            Command::Passive => self.listen_passive(),
            Command::Password(password) => self.log_in(&password),
            Command::Quit => self.leave(&reply::GOODBYE),
            Command::Reinitialize => {
                self.log_out();
                self.settings = Settings::default();
                self.host = None;
                self.control.say(&reply::REINITIALIZED);
            }
            Command::RenameTo => self.control.say(&reply::RNFR_FIRST),
            Command::Restart(offset) => {
                self.restart = offset;
                self.control.say(&reply::restart(offset));
            }
            Command::Retrieve(path) => self.retrieve(&path),
            Command::Size(path) => {
                let converts = self.converts();
                self.ask(&path, reply::CALL_ABORTED, move |ask| ask.measure(converts));
            }
            Command::Status(None) => self.say_status(),
            Command::Status(Some(path)) => self.ask(&path, reply::CALL_ABORTED, Ask::report),
            Command::Superfluous => self.control.say(&reply::SUPERFLUOUS),
            Command::System => self.control.say(&reply::SYSTEM),
            Command::Type(representation) => {
                self.settings.representation = representation;
                let answer = match representation {
                    Representation::Ascii => reply::TYPE_ASCII,
                    Representation::Image => reply::TYPE_IMAGE,
                };
                self.control.say(&answer);
            }
            Command::Up => self.ask(b"..", reply::CALL_ABORTED, Ask::change),
            Command::User(name) => {
                self.log_out();
                self.login = Login::Named(name);
                self.control.say(&reply::PASSWORD_PLEASE);
            }
            Command::Utf8 => self.control.say(&reply::UTF8),
            Command::Where => self.control.say(&reply::working_folder(&self.folder)),
            Command::Write => self.control.say(&reply::READ_ONLY),
        }
    }

    /// HOST (RFC 7151): before the login only, for it decides which tree the login opens.
    fn choose_host(&mut self, name: String) {
        if self.login_by.is_none() {
            return self.control.say(&reply::HOST_TOO_LATE);
        }
        if !self.house.site.has_host(&name) {
            return self.control.say(&reply::HOST_UNKNOWN);
        }
        self.host = Some(name);
        self.control.say(&reply::HOST_CHOSEN);
    }

    /// Forgets who is there; the time to log in begins anew only where somebody was.
    fn log_out(&mut self) {
        self.login = Login::Nobody;
        self.login_by.get_or_insert_with(|| Instant::now() + LOGIN_TIME);
        self.folder = VPath::root();
        self.restart = 0;
        self.data = Data::None;
    }

    fn log_in(&mut self, password: &[u8]) {
        let Login::Named(name) = &self.login else {
            return self.control.say(&reply::PASS_BEFORE_USER);
        };
        let credentials = credentials(name, password);
        let (site, host) = (Arc::clone(&self.house.site), self.host.clone());
        let delay = FIRST_LOGIN_DELAY * 2_u32.pow(self.conduct.failed_logins);
        // ABOR must not spare a peer the delay.
        self.work = Work::call(calls::log_in(site, host, credentials, delay), None);
    }

    /// EPSV (RFC 2428 §3).
    fn listen_extended(&mut self, wanted: Extended) {
        let own = match self.ends.local {
            Some(SocketAddr::V6(_)) => 2,
            Some(SocketAddr::V4(_)) | None => 1,
        };
        match wanted {
            Extended::All => {
                self.settings.is_epsv_only = true;
                self.control.say(&reply::EPSV_ALL);
            }
            Extended::Protocol(number) if number != own => self.control.say(&reply::other_protocol(own)),
            Extended::Any | Extended::Protocol(_) => match self.listen() {
                Ok(address) => self.control.say(&reply::extended_passive(address.port())),
                Err(refusal) => self.control.say(&refusal),
            },
        }
    }

    /// PASV (RFC 959 §4.1.2): with the address that the peer has reached us at.
    fn listen_passive(&mut self) {
        if self.settings.is_epsv_only {
            return self.control.say(&reply::EPSV_ALONE);
        }
        match self.listen() {
            Ok(SocketAddr::V4(address)) => self.control.say(&reply::passive(address)),
            Ok(SocketAddr::V6(_)) => {
                self.data = Data::None;
                self.control.say(&reply::NO_IPV6_PASV);
            }
            Err(refusal) => self.control.say(&refusal),
        }
    }

    /// Opens a listener in place of the one before.
    fn listen(&mut self) -> Result<SocketAddr, Reply> {
        self.data = Data::None;
        let (Peer::Host(peer), Some(local)) = (self.ends.peer, self.ends.local) else {
            return Err(reply::NO_PEER_ADDRESS);
        };
        match Passive::open(local, peer, self.house.options.passive_ports.as_ref()) {
            Ok(passive) => {
                let address = passive.address();
                self.data = Data::Awaited(passive);
                Ok(address)
            }
            Err(error) => {
                tracing::warn!(%error, "no port for a data connection");
                Err(reply::NO_PORT)
            }
        }
    }

    fn list(&mut self, format: Format, sent: &[u8]) {
        let facts = self.settings.facts;
        self.begin(sent, move |ask, _| ask.list(format, facts));
    }

    fn retrieve(&mut self, sent: &[u8]) {
        let converts = self.converts().then(|| self.house.disk.clone());
        self.begin(sent, move |ask, offset| ask.retrieve(offset, converts));
    }

    /// Opens what a transfer is to send. Whatever comes of it, REST holds no longer (RFC 3659 §5.3).
    fn begin<F>(&mut self, sent: &[u8], call: impl FnOnce(Ask, u64) -> F)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let offset = std::mem::take(&mut self.restart);
        if !self.data.is_prepared() {
            return self.control.say(&reply::PASSIVE_FIRST);
        }
        self.ask(sent, reply::ABORTED, |ask| call(ask, offset));
    }

    /// Asks the tree about a path; `aborted` is what ABOR answers for the call.
    fn ask<F>(&mut self, sent: &[u8], aborted: Reply, call: impl FnOnce(Ask) -> F)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let Login::In(member) = &self.login else {
            return self.control.say(&reply::LOG_IN_FIRST);
        };
        let view = Arc::clone(&member.view);
        match resolve(&self.folder, sent) {
            Ok(path) => {
                let ask = Ask { view, path, sent: sent.to_vec() };
                self.work = Work::call(call(ask), Some(aborted));
            }
            Err(failure) => self.conclude(Outcome::Failed { sent: sent.to_vec(), failure }),
        }
    }

    /// True where lines of a file are to end with CRLF.
    fn converts(&self) -> bool {
        self.house.options.converts_lines && self.settings.representation == Representation::Ascii
    }

    /// STAT without a path: what there is to say about the session.
    pub(super) fn say_status(&mut self) {
        let mut lines = vec![format!(" Connected from {}.", self.ends.peer)];
        lines.push(match &self.login {
            Login::In(member) => format!(" Logged in as {}.", member.user),
            Login::Nobody | Login::Named(_) => " Not logged in.".to_owned(),
        });
        lines.push(match self.settings.representation {
            Representation::Ascii => " TYPE A, STRU F, MODE S.".to_owned(),
            Representation::Image => " TYPE I, STRU F, MODE S.".to_owned(),
        });
        lines.push(match &self.work {
            Work::Transfer(transfer) => format!(" {}", transfer.progress()),
            _ => " No transfer.".to_owned(),
        });
        let lines = lines.into_iter().map(|line| line.into_bytes().into()).collect();
        self.control.say(&Reply::block(211, &b"Status:"[..], lines));
    }
}

/// What a peer without a login is not answered.
fn needs_login(command: &Command) -> bool {
    !matches!(
        command,
        Command::Abort
            | Command::ChooseFacts(_)
            | Command::Client
            | Command::Features
            | Command::Help(_)
            | Command::Host(_)
            | Command::Nothing
            | Command::Password(_)
            | Command::Quit
            | Command::Reinitialize
            | Command::Status(None)
            | Command::System
            | Command::User(_)
            | Command::Utf8
    )
}

/// Guests may say anything for a password. `None` for bytes that no name of ours can be.
fn credentials(name: &[u8], password: &[u8]) -> Option<Credentials> {
    if GUESTS.iter().any(|guest| name.eq_ignore_ascii_case(guest)) {
        return Some(Credentials::Anonymous);
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    Some(Credentials::Password { name: text(name)?, password: text(password)? })
}

/// Where the text of a path leads. Line breaks are refused: a reply could not name such a path.
fn resolve(folder: &VPath, sent: &[u8]) -> Result<VPath, Failure> {
    if sent.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err(Failure::Path("A name with a line break cannot be asked for over FTP.".to_owned()));
    }
    folder.join(sent).map_err(|error| Failure::Path(error.to_string()))
}

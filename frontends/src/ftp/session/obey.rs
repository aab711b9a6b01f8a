//! What each command does: a word back, a change of the session, or a piece of work.

use std::future::Future;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vfs::{ByteRange, VPath};

use super::lapse::LOGIN_TIME;
use super::work::Work;
use super::{Login, Session, Settings};
use crate::auth::{Asker, Credentials};
use crate::ftp::active::Active;
use crate::ftp::calls::{self, Ask, Failure, Growth, Look, Outcome, Storing};
use crate::ftp::command::{
    self, Answer, Command, Edit, Errand, Extended, Form, Format, Hashing, Representation, Store, Switches,
};
use crate::ftp::data::Data;
use crate::ftp::reply;
use crate::ftp::wire::Reply;
use crate::serve::Peer;

/// Names that guests give (RFC 1635).
const GUESTS: [&[u8]; 2] = [b"anonymous", b"ftp"];

impl Session {
    /// Does what a command asks for.
    pub(super) fn obey(&mut self, command: Command) {
        if self.login_by.is_some() && needs_login(&command) {
            return self.control.say(&reply::LOG_IN_FIRST);
        }
        if let Login::In(member) = &self.login
            && !self.house.site.auth.still_admits(&member.entry)
        {
            return self.leave(&reply::LOGIN_CHANGED);
        }
        let chosen = self.chosen.take();
        match command {
            Command::Abort => self.control.say(&reply::ABORT_DONE),
            Command::Active(to) => self.promise(to),
            Command::Authenticate => self.secure(),
            Command::BufferSize => self.size_buffer(),
            Command::Change(path) => self.ask(&path, reply::CALL_ABORTED, Ask::change),
            Command::ChooseFacts(facts) => {
                self.settings.facts = facts;
                self.control.say(&reply::facts_chosen(facts));
            }
            Command::ChooseHash(algorithm) => {
                self.settings.hash = algorithm.unwrap_or(self.settings.hash);
                self.control.say(&reply::hash_chosen(self.settings.hash));
            }
            Command::Client | Command::Nothing => self.control.say(&reply::NOTHING_DONE),
            Command::Confirm => self.control.say(&reply::CONFIRMED),
            Command::ExtendedPassive(wanted) => self.listen_extended(wanted),
            // Guests add, and change nothing that is there.
            Command::Edit(edit, path) if edit != Edit::CreateFolder && !self.overwrites() => {
                self.refuse_guest(&path);
            }
            Command::Edit(edit, path) => {
                self.ask(&path, reply::CALL_ABORTED, move |ask| ask.edit(edit));
            }
            Command::Facts(path) => {
                let facts = self.settings.facts;
                self.ask(&path.unwrap_or_default(), reply::CALL_ABORTED, move |ask| ask.describe(facts));
            }
            Command::Features => self.control.say(&self.features()),
            Command::From(Errand::Rename, path) if !self.overwrites() => self.refuse_guest(&path),
            Command::From(errand, path) => {
                self.ask(&path, reply::CALL_ABORTED, move |ask| ask.choose(errand));
            }
            Command::Hash(hashing, path) => self.hash(hashing, &path),
            Command::Help(about) => self.control.say(&reply::help(about.as_deref())),
            Command::Host(name) => self.choose_host(name),
            Command::Identify => self.control.say(&reply::IDENTITY),
            Command::Language => self.control.say(&reply::LANGUAGE),
            Command::IdleLimit(seconds) => self.limit_idling(seconds),
            Command::List(format, switches, path) => {
                self.list(format, switches, &path.unwrap_or_default());
            }
            Command::Modified(path) => self.date(&path),
            Command::Passive => self.listen_passive(),
            Command::Password(password) => self.log_in(&password),
            Command::Protect(protection) => self.protect(protection),
            Command::Quit => self.leave(&reply::GOODBYE),
            Command::Reinitialize => {
                self.log_out();
                self.settings = Settings::default();
                self.host = None;
                self.control.say(&reply::REINITIALIZED);
            }
            Command::Restart(range) => {
                self.restart = range;
                self.control.say(&reply::restart(range));
            }
            Command::Retrieve(path) => self.retrieve(&path),
            Command::Room(room, path) => {
                self.ask(&path, reply::CALL_ABORTED, move |ask| ask.measure_room(room));
            }
            Command::SiteHelp => self.control.say(&reply::HELP_SITE),
            Command::Size(path) => {
                let (converts, growth) = (self.converts(), self.growth());
                self.ask(&path, reply::CALL_ABORTED, move |ask| ask.measure(converts, growth));
            }
            Command::Status(None) => self.say_status(),
            Command::Status(Some(path)) => self.ask(&path, reply::CALL_ABORTED, Ask::report),
            Command::Store(store, path) => self.store(store, &path),
            Command::Superfluous => self.control.say(&reply::SUPERFLUOUS),
            Command::System => self.control.say(&reply::SYSTEM),
            Command::To(errand, path) => self.carry_out(errand, chosen, &path),
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
                if self.is_exposed(&name) {
                    return self.control.say(&reply::TLS_FIRST);
                }
                self.login = Login::Named(name);
                self.control.say(&reply::PASSWORD_PLEASE);
            }
            Command::Utf8 => self.control.say(&reply::UTF8),
            Command::Where => self.control.say(&reply::working_folder(&self.folder)),
        }
    }

    /// HOST (RFC 7151): before the login only, for it decides which tree the login opens.
    fn choose_host(&mut self, name: String) {
        if self.login_by.is_none() {
            return self.control.say(&reply::HOST_TOO_LATE);
        }
        if self.house.site.hosts.folder(&name).is_none() {
            return self.control.say(&reply::HOST_UNKNOWN);
        }
        self.host = Some(name);
        self.control.say(&reply::HOST_CHOSEN);
    }

    /// True where `name` is not to be asked for its password here.
    fn is_exposed(&self, name: &[u8]) -> bool {
        !self.secrecy.is_secure() && self.house.site.auth.requires_tls(&String::from_utf8_lossy(name))
    }

    fn features(&self) -> Reply {
        let has_tls = self.house.site.tls.is_some();
        reply::features(self.settings.facts, self.settings.hash, has_tls)
    }

    /// Forgets who is there; the time to log in begins anew only where somebody was.
    pub(super) fn log_out(&mut self) {
        self.login = Login::Nobody;
        self.login_by.get_or_insert_with(|| Instant::now() + LOGIN_TIME);
        self.folder = VPath::root();
        self.restart = ByteRange::default();
        self.chosen = None;
        self.data = Data::None;
    }

    fn log_in(&mut self, password: &[u8]) {
        let Login::Named(name) = &self.login else {
            return self.control.say(&reply::PASS_BEFORE_USER);
        };
        let credentials = credentials(name, password);
        let (site, host) = (Arc::clone(&self.house.site), self.host.clone());
        let asker = Asker { peer: self.ends.peer, secure: self.secrecy.is_secure() };
        // ABOR must not spare a peer the delay.
        self.work = Work::call(calls::log_in(site, host, asker, credentials), None);
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
            Ok(SocketAddr::V4(address)) => self.say_passive(address),
            Ok(SocketAddr::V6(_)) => {
                self.data = Data::None;
                self.control.say(&reply::NO_IPV6_PASV);
            }
            Err(refusal) => self.control.say(&refusal),
        }
    }

    /// Tells where to come, at once where no name server has to be asked.
    fn say_passive(&mut self, address: SocketAddrV4) {
        let masquerading = Arc::clone(&self.house.masquerading);
        match masquerading.at_hand(*address.ip()) {
            Some(shown) => self.control.say(&reply::passive(SocketAddrV4::new(shown, address.port()))),
            None => {
                let call = async move {
                    let shown = masquerading.ask(*address.ip()).await;
                    Outcome::Awaited(shown.map(|shown| SocketAddrV4::new(shown, address.port())))
                };
                self.work = Work::call(call, Some(reply::CALL_ABORTED));
            }
        }
    }

    /// PORT (RFC 959 §4.1.2) and EPRT (RFC 2428 §2): nobody is connected to before the transfer begins.
    fn promise(&mut self, to: SocketAddr) {
        if self.settings.is_epsv_only {
            return self.control.say(&reply::EPSV_ALONE);
        }
        self.data = Data::None;
        let (Peer::Host(peer), Some(local)) = (self.ends.peer, self.ends.local) else {
            return self.control.say(&reply::NO_PEER_ADDRESS);
        };
        match Active::new(local, peer, to) {
            Ok(active) => {
                self.data = Data::Promised(active);
                self.control.say(&reply::PORT_TAKEN);
            }
            Err(forbidden) => {
                tracing::warn!(%peer, %to, "a data connection to a stranger was refused");
                self.control.say(&reply::forbidden(forbidden));
            }
        }
    }

    /// Opens a listener in place of the one before.
    fn listen(&mut self) -> Result<SocketAddr, Reply> {
        self.data = Data::None;
        let (Peer::Host(peer), Some(mut local)) = (self.ends.peer, self.ends.local) else {
            return Err(reply::NO_PEER_ADDRESS);
        };
        local.set_port(0);
        match self.house.ports.reserve(local, peer) {
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

    fn list(&mut self, format: Format, switches: Switches, sent: &[u8]) {
        let look = Look { format, switches, facts: self.settings.facts };
        self.begin(sent, move |ask, _| ask.list(look));
    }

    fn retrieve(&mut self, sent: &[u8]) {
        let (converts, disk) = (self.converts(), self.house.disk.clone());
        self.begin(sent, move |ask, range| ask.retrieve(range, converts, disk));
    }

    fn store(&mut self, store: Store, sent: &[u8]) {
        let (converts, growth) = (self.converts(), self.growth());
        self.begin(sent, move |ask, range| ask.store(Storing { store, range, converts, growth }));
    }

    /// HASH and its kin: one at a time a session, and few in the whole house, for they cost a core each.
    fn hash(&mut self, mut hashing: Hashing, sent: &[u8]) {
        if hashing.answer == Answer::Hash {
            let ByteRange { start, end } = std::mem::take(&mut self.restart);
            (hashing.start, hashing.end) = (start, end);
        }
        let Some(desk) = self.house.desks.take(self.ends.peer) else {
            let failure = Failure::TooManyHashes;
            return self.conclude(Outcome::Failed { sent: sent.to_vec(), failure });
        };
        let (chosen, disk) = (self.settings.hash, self.house.disk.clone());
        self.ask(sent, reply::CALL_ABORTED, move |ask| async move {
            let _until_the_end = desk;
            ask.hash(hashing, chosen, disk).await
        });
    }

    /// MDTM, which may set a time too.
    fn date(&mut self, sent: &[u8]) {
        if self.house.options.sets_times_by_mdtm
            && self.overwrites()
            && let Some((attributes, path)) = command::dated(sent)
        {
            let edit = Edit::SetAttributes(attributes, Form::Facts);
            return self.ask(path, reply::CALL_ABORTED, move |ask| ask.edit(edit));
        }
        self.ask(sent, reply::CALL_ABORTED, Ask::date);
    }

    /// RNTO and SITE CPTO, which take what the command right before them chose.
    fn carry_out(&mut self, errand: Errand, chosen: Option<(Errand, VPath)>, sent: &[u8]) {
        let disk = self.house.disk.clone();
        match (chosen, errand) {
            (Some((chosen, from)), errand) if chosen == errand => {
                self.ask(sent, reply::CALL_ABORTED, move |ask| ask.carry_out(errand, from, disk));
            }
            (_, Errand::Rename) => self.control.say(&reply::RNFR_FIRST),
            (_, Errand::Copy) => self.control.say(&reply::CPFR_FIRST),
        }
    }

    /// SITE IDLE: a session may ask for less time than the site gives, never for more.
    fn limit_idling(&mut self, seconds: Option<u64>) {
        let most = self.most_idle();
        match seconds.map(Duration::from_secs) {
            None => {}
            Some(idle) if !idle.is_zero() && idle <= most => self.settings.idle = Some(idle),
            Some(_) => return self.control.say(&reply::idle_bounds(most)),
        }
        self.control.say(&reply::idle_limit(self.settings.idle.unwrap_or(most)));
    }

    /// Opens what a transfer is to send or to write. Whatever comes of it, REST holds no longer (RFC 3659 §5.3).
    fn begin<F>(&mut self, sent: &[u8], call: impl FnOnce(Ask, ByteRange) -> F)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let range = std::mem::take(&mut self.restart);
        if let Some(refusal) = self.exposure() {
            return self.control.say(&refusal);
        }
        if !self.data.is_prepared() {
            return self.control.say(&reply::PASSIVE_FIRST);
        }
        self.ask(sent, reply::ABORTED, |ask| call(ask, range));
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
                let ask = Ask { view, path, sent: sent.to_vec(), overwrites: self.overwrites() };
                self.work = Work::call(call(ask), Some(aborted));
            }
            Err(failure) => self.conclude(Outcome::Failed { sent: sent.to_vec(), failure }),
        }
    }

    /// Says what guests are for.
    fn refuse_guest(&mut self, sent: &[u8]) {
        if matches!(self.login, Login::In(_)) {
            self.conclude(Outcome::Failed { sent: sent.to_vec(), failure: Failure::GuestsAdd });
        } else {
            self.control.say(&reply::LOG_IN_FIRST);
        }
    }

    /// Where a new file grows.
    fn growth(&self) -> Growth {
        match &self.login {
            Login::In(member) => member.growth.clone(),
            Login::Nobody | Login::Named(_) => Growth::Unseen,
        }
    }

    /// True where a file that is there may be replaced or grow, as far as the session is asked.
    fn overwrites(&self) -> bool {
        match &self.login {
            Login::In(member) => !member.is_guest() || self.house.options.guests_overwrite,
            Login::Nobody | Login::Named(_) => false,
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
            Work::Call { .. } => " A command is being carried out; ABOR stops it.".to_owned(),
            Work::None | Work::Report(_) => " No transfer.".to_owned(),
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
            | Command::Authenticate
            | Command::BufferSize
            | Command::ChooseFacts(_)
            | Command::ChooseHash(_)
            | Command::Client
            | Command::Features
            | Command::Help(_)
            | Command::Host(_)
            | Command::Identify
            | Command::Language
            | Command::Nothing
            | Command::Password(_)
            | Command::Protect(_)
            | Command::Quit
            | Command::Reinitialize
            | Command::Status(None)
            | Command::System
            | Command::User(_)
            | Command::Utf8
    )
}

/// Guests may say anything for a password. Bytes that are no UTF-8 become a name that nobody has.
fn credentials(name: &[u8], password: &[u8]) -> Credentials {
    if GUESTS.iter().any(|guest| name.eq_ignore_ascii_case(guest)) {
        return Credentials::Anonymous;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Credentials::Password { name: text(name), password: text(password) }
}

/// Where the text of a path leads. Line breaks are refused: a reply could not name such a path. NUL is in no name.
fn resolve(folder: &VPath, sent: &[u8]) -> Result<VPath, Failure> {
    if sent.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(Failure::Path(
            "A name with a line break or NUL cannot be asked for over FTP.".to_owned(),
        ));
    }
    folder.join(sent).map_err(|error| Failure::Path(error.to_string()))
}

//! [`Wire`]: one control connection, in step. With `dial` and `data`, the only file that knows the outside library.
//!
//! Nothing here may be dropped half done but the reading of data: a worker alone calls it, and does not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use suppaftp::tokio::AsyncRustlsFtpStream;
use suppaftp::{Encoding, FtpResult, Mode, Status};
use tokio::time::timeout;

use super::config::Tls;
use super::data::{Data, Use};
use super::dial::{Transparent, log_in};
use super::error::Fault;
use super::lore::{FACTS, Features, Lore};
use super::reply::Reply;
use super::site::Dialled;
use crate::error::ErrorKind;

/// How long an aborted transfer may take until the connection is in step again; after that it is thrown away.
const SYNC: Duration = Duration::from_secs(5);

/// Replies that an aborted transfer may still cause: 426, 226, 225, and one to spare.
const LATE_REPLIES: usize = 4;

/// What a site says where a transfer begins (RFC 959 §5.4).
const BEGAN: [Status; 2] = [Status::AboutToSend, Status::AlreadyOpen];

/// How long a site is told goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A control connection that is logged in.
pub(super) struct Wire {
    ftp: AsyncRustlsFtpStream,
    dialled: Arc<Dialled>,
    sound: bool,
    /// It speaks TLS 1.2, because another one's sessions under TLS 1.3 were not enough.
    is_tls12: bool,
    has_aborted: bool,
}

impl Wire {
    /// Dials, protects and logs in.
    pub(super) async fn connect(dialled: Arc<Dialled>) -> Result<Self, Fault> {
        let limit = dialled.deadlines.connect;
        match timeout(limit, Self::start(dialled)).await {
            Ok(wire) => wire,
            Err(_) => {
                let detail = format!("the site did not let anybody in within {limit:?}");
                Err(Fault::lost(ErrorKind::TimedOut, detail))
            }
        }
    }

    async fn start(dialled: Arc<Dialled>) -> Result<Self, Fault> {
        let is_tls12 = dialled.lore.needs_tls12.is_set();
        let ftp = log_in(&dialled).await?;
        let mut wire = Self { ftp, dialled, sound: true, is_tls12, has_aborted: false };
        wire.learn().await?;
        wire.expect("TYPE", Some(b"I"), &[200]).await?;
        Ok(wire)
    }

    /// Asks what is asked once a site, and sets what is set once a connection.
    async fn learn(&mut self) -> Result<(), Fault> {
        let features = match self.lore().features() {
            Some(features) => features,
            None => {
                let told = Features::of(&self.ask("FEAT", None).await?);
                self.lore().learn(told)
            }
        };
        if features.utf8 && self.dialled.address.encoding.is_none() {
            // RFC 2640 has no such command; sites that need it say no other way. Their answer changes nothing.
            self.ask("OPTS", Some(b"UTF8 ON")).await?;
        }
        if features.hides_facts {
            // What it does not tell is unknown then, and nothing else is.
            self.ask("OPTS", Some(format!("MLST {FACTS}").as_bytes())).await?;
        }
        if self.lore().home.get().is_none() {
            let home = self.ask("PWD", None).await?.quoted().unwrap_or_else(|| b"/".to_vec());
            self.lore().home.get_or_init(|| home);
        }
        Ok(())
    }

    pub(super) fn lore(&self) -> &Lore {
        &self.dialled.lore
    }

    pub(super) fn zone_minutes(&self) -> i32 {
        self.dialled.address.zone.minutes
    }

    pub(super) fn stall(&self) -> Duration {
        self.dialled.deadlines.stall
    }

    /// True where the next command gets its own answer.
    pub(super) fn is_sound(&self) -> bool {
        self.sound
    }

    /// The path of a command: `path` is below the folder that a login starts in.
    fn absolute(&self, path: &[u8]) -> Vec<u8> {
        let home = self.lore().home.get().map_or(&b"/"[..], Vec::as_slice);
        if path.is_empty() {
            return home.to_vec();
        }
        let mut absolute = home.to_vec();
        if !absolute.ends_with(b"/") {
            absolute.push(b'/');
        }
        absolute.extend_from_slice(path);
        absolute
    }

    /// Sends a command on a path and reads its reply, whatever that is.
    pub(super) async fn ask_of(&mut self, verb: &str, path: &[u8]) -> Result<Reply, Fault> {
        let path = self.absolute(path);
        self.ask(verb, Some(&path)).await
    }

    /// As [`Wire::ask_of`]; a reply with another code is a refusal.
    pub(super) async fn expect_of(&mut self, verb: &str, path: &[u8], codes: &[u16]) -> Result<Reply, Fault> {
        let path = self.absolute(path);
        self.expect(verb, Some(&path), codes).await
    }

    async fn expect(&mut self, verb: &str, argument: Option<&[u8]>, codes: &[u16]) -> Result<Reply, Fault> {
        let reply = self.ask(verb, argument).await?;
        if codes.contains(&reply.code) { Ok(reply) } else { Err(Fault::Refused(reply)) }
    }

    /// Sends a command and reads its reply, whatever that is. 421 is no reply to a command but the connection's end.
    pub(super) async fn ask(&mut self, verb: &str, argument: Option<&[u8]>) -> Result<Reply, Fault> {
        let line = match argument {
            Some(argument) => format!("{verb} {}", Transparent.decode(argument)),
            None => verb.to_owned(),
        };
        let limit = self.dialled.deadlines.first_byte;
        // No code is expected, so every reply comes as the error that carries it.
        let told = within(limit, self.ftp.custom_command(line, &[])).await;
        self.heard(told)
    }

    fn heard(&mut self, told: Result<suppaftp::types::Response, Fault>) -> Result<Reply, Fault> {
        let told = match told {
            Ok(response) => Ok(Reply::of(&response.body)),
            Err(Fault::Refused(reply)) => Ok(reply),
            Err(fault) => Err(fault),
        };
        match told {
            Ok(reply) if reply.is_of_transfer() => Err(self.out_of_step(&reply)),
            Ok(reply) => Ok(reply),
            Err(fault) => {
                self.sound = false;
                Err(fault)
            }
        }
    }

    /// What was heard belongs to an earlier transfer. pyftpdlib says of one that was aborted that it ended, and later once
    /// more: with such a site none is aborted any more.
    fn out_of_step(&mut self, reply: &Reply) -> Fault {
        self.sound = false;
        if self.has_aborted {
            self.lore().no_abort.set();
        }
        Fault::lost(ErrorKind::Unavailable, format!("the site's answers are out of step: {reply}"))
    }

    /// Opens a data connection for a command on `path`, from `offset` on. A site that refuses it because its session does
    /// not resume under TLS 1.3 is logged in to again under TLS 1.2: nothing was begun yet.
    pub(super) async fn open(&mut self, what: Use, path: &[u8], offset: u64) -> Result<Data, Fault> {
        let opened = self.open_either(what, path, offset).await;
        // A listing is of the working folder, which another login does not know of.
        if opened.is_err() && !matches!(what, Use::List(_)) && self.renew().await? {
            return self.open_either(what, path, offset).await;
        }
        opened
    }

    /// A data connection broke off that may have been refused: the library keeps the reply to itself then.
    pub(super) fn doubt_session(&mut self) {
        if self.dialled.address.tls != Tls::Off && !self.is_tls12 {
            self.sound = false;
            self.lore().needs_tls12.set();
        }
    }

    /// Logs in again under TLS 1.2 where the site has refused a data connection under TLS 1.3. True: what was refused may
    /// be done again, for nothing of it was begun.
    pub(super) async fn renew(&mut self) -> Result<bool, Fault> {
        let is_refused = !self.sound && !self.is_tls12 && self.lore().needs_tls12.is_set();
        if is_refused {
            // The site has one of us less before the next one comes.
            let _ = timeout(GOODBYE, self.ftp.quit()).await;
            *self = Self::connect(Arc::clone(&self.dialled)).await?;
        }
        Ok(is_refused)
    }

    /// EPSV first, PASV where a site does not know it; of both only the port is believed.
    async fn open_either(&mut self, what: Use, path: &[u8], offset: u64) -> Result<Data, Fault> {
        let is_passive = self.lore().no_epsv.is_set();
        let refused = match self.open_once(what, path, offset, is_passive).await {
            Err(Fault::Refused(reply)) if !is_passive && matches!(reply.code, 500..=502 | 504 | 522) => reply,
            opened => return opened,
        };
        // It was EPSV that was refused where PASV changes the answer.
        let opened = self.open_once(what, path, offset, true).await;
        if !matches!(&opened, Err(fault) if fault.code() == Some(refused.code)) {
            self.lore().no_epsv.set();
        }
        opened
    }

    async fn open_once(
        &mut self,
        what: Use,
        path: &[u8],
        offset: u64,
        is_passive: bool,
    ) -> Result<Data, Fault> {
        self.ftp.set_mode(if is_passive { Mode::Passive } else { Mode::ExtendedPassive });
        let name = Transparent.decode(&self.absolute(path));
        let offset = usize::try_from(offset)
            .map_err(|_| Fault::lost(ErrorKind::LimitExceeded, "the offset is beyond this machine"))?;
        let ftp = &mut self.ftp;
        let opening = async {
            ftp.resume_transfer(offset).await?;
            match what {
                // The library keeps what the site says of it to itself, but for commands that it does not know.
                Use::Retrieve => {
                    let (began, stream) = ftp.custom_data_command(format!("RETR {name}"), &BEGAN).await?;
                    let promised = Reply::of(&began.body).promised().filter(|_| offset == 0);
                    Ok((stream, promised))
                }
                Use::Store => ftp.put_with_stream(name).await.map(|stream| (stream, None)),
                Use::Append => ftp.append_with_stream(name).await.map(|stream| (stream, None)),
                Use::List(command) => {
                    ftp.custom_data_command(command, &BEGAN).await.map(|(_, stream)| (stream, None))
                }
            }
        };
        let limit = self.dialled.deadlines.connect.max(self.dialled.deadlines.first_byte);
        match within(limit, opening).await {
            Ok((stream, promised)) => Ok(Data::new(stream, promised, self.dialled.address.ending)),
            Err(fault) => Err(self.judge_data(fault)),
        }
    }

    /// Ends a transfer whose bytes are all there and hears what the site says of it.
    pub(super) async fn finish(&mut self, data: Data) -> Result<(), Fault> {
        let limit = self.stall();
        match within(limit, data.into_stream().finish()).await {
            Ok(()) => Ok(()),
            // The answer to the transfer itself.
            Err(Fault::Refused(reply)) if reply.code == 426 => Err(Fault::Refused(reply)),
            Err(fault) => Err(self.judge_data(fault)),
        }
    }

    /// Leaves a transfer for `fault`. Where its data connection broke off and the site says why, that is the fault.
    pub(super) async fn leave(&mut self, data: Data, fault: Fault) -> Fault {
        if !fault.is_break() {
            self.discard(data);
            return fault;
        }
        let said = timeout(SYNC, self.finish(data)).await;
        self.sound = false;
        match said {
            Ok(Err(Fault::Lost(lost))) if lost.kind == ErrorKind::Unavailable => Fault::Lost(lost),
            Ok(Err(Fault::Refused(reply))) => Fault::Refused(reply),
            _ => fault,
        }
    }

    /// A refused data connection under TLS 1.3 may be one whose session did not resume: the next login has TLS 1.2.
    fn judge_data(&mut self, fault: Fault) -> Fault {
        let is_tls = self.dialled.address.tls != Tls::Off;
        match fault {
            // 450 is said of much else, and believed to be about TLS once.
            Fault::Refused(reply)
                if is_tls && (matches!(reply.code, 425 | 522) || reply.code == 450 && !self.is_tls12) =>
            {
                self.sound = false;
                self.lore().needs_tls12.set();
                Fault::lost(ErrorKind::Unavailable, format!("the site refuses the data connection: {reply}"))
            }
            Fault::Refused(reply) if reply.is_of_transfer() => self.out_of_step(&reply),
            Fault::Refused(reply) => Fault::Refused(reply),
            fault => {
                self.sound = false;
                fault
            }
        }
    }

    /// Ends a transfer early and gets in step again: ABOR causes one reply or several, in an order that each site has its
    /// own ideas about; the answer to PWD is like none of them.
    pub(super) async fn abort(&mut self, data: Data) {
        if self.lore().no_abort.is_set() {
            return self.discard(data);
        }
        self.has_aborted = true;
        if timeout(SYNC, self.resync(data)).await != Ok(true) {
            self.sound = false;
        }
    }

    async fn resync(&mut self, data: Data) -> bool {
        if let Err(error) = self.ftp.abort(data.into_stream()).await
            && Fault::of_library(error).is_lost()
        {
            return false;
        }
        let Err(error) = self.ftp.custom_command("PWD", &[]).await else { return false };
        let mut fault = Fault::of_library(error);
        for _ in 0..LATE_REPLIES {
            match fault.code() {
                Some(257) => return true,
                Some(_) => {}
                None => return false,
            }
            let Err(error) = self.ftp.read_response_in(&[]).await else { return false };
            fault = Fault::of_library(error);
        }
        false
    }

    /// Leaves a connection that is not in step any more.
    pub(super) fn discard(&mut self, data: Data) {
        self.sound = false;
        drop(data);
    }

    /// Says goodbye, briefly.
    pub(super) async fn quit(mut self) {
        if self.sound {
            let _ = timeout(GOODBYE, self.ftp.quit()).await;
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = FtpResult<T>>) -> Result<T, Fault> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(Fault::of_library),
        Err(_) => Err(Fault::lost(ErrorKind::TimedOut, format!("the site did not answer within {limit:?}"))),
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("sound", &self.sound).finish_non_exhaustive()
    }
}

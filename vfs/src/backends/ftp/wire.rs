//! [`Wire`]: one control connection, in step. The only file that talks to the outside library's streams.
//!
//! Nothing here may be dropped half done but the reading of data: a worker alone calls it, and does not.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use suppaftp::tokio::{AsyncRustlsFtpStream, AsyncRustlsStream, TransferStream};
use suppaftp::{Encoding, FtpError, FtpResult, Mode, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::config::Tls;
use super::error::{Fault, Lost};
use super::lore::{Features, Lore};
use super::site::Dialled;
use super::tls;
use crate::error::ErrorKind;
use crate::path::escaped;

/// What one read of a data connection takes at most.
const READ_BYTES: usize = 64 * 1024;

/// How long an aborted transfer may take until the connection is in step again; after that it is thrown away.
const SYNC: Duration = Duration::from_secs(5);

/// Replies that an aborted transfer may still cause: 426, 226, 225, and one to spare.
const LATE_REPLIES: usize = 4;

/// How long a site is told goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Bytes of a refusal that are shown.
const SHOWN_BYTES: usize = 200;

/// A control connection that is logged in.
pub(super) struct Wire {
    ftp: AsyncRustlsFtpStream,
    dialled: Arc<Dialled>,
    sound: bool,
}

/// A reply: its code and all its lines.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    text: Vec<u8>,
}

/// A data connection, and the bytes that come or go on it.
pub(super) struct Data {
    stream: TransferStream<AsyncRustlsStream>,
    buffer: BytesMut,
}

/// What a data connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// RETR.
    Retrieve,
    /// STOR.
    Store,
    /// APPE.
    Append,
    /// MLSD, or LIST, of the working folder.
    List(&'static str),
}

impl Wire {
    /// Dials, protects and logs in.
    pub(super) async fn connect(dialled: Arc<Dialled>) -> Result<Self, Fault> {
        let limit = dialled.deadlines.connect;
        match timeout(limit, Self::log_in(dialled)).await {
            Ok(wire) => wire,
            Err(_) => {
                let detail = format!("the site did not let anybody in within {limit:?}");
                Err(Fault::lost(ErrorKind::TimedOut, detail))
            }
        }
    }

    async fn log_in(dialled: Arc<Dialled>) -> Result<Self, Fault> {
        let mut ftp = protected(&dialled).await.map_err(|error| of_greeting(error, &dialled))?;
        ftp.set_encoding(Transparent).await;
        ftp.set_passive_nat_workaround(true);
        let login = &dialled.address.login;
        let user = Transparent.decode(login.user.as_bytes());
        let password = Transparent.decode(login.password.as_bytes());
        ftp.login(user, password).await.map_err(of_login)?;
        let mut wire = Self { ftp, dialled, sound: true };
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
        self.dialled.address.zone_minutes
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
        let fault = match told {
            Ok(response) => return Ok(Reply::of(&response.body)),
            Err(Fault::Refused(reply)) => return Ok(reply),
            Err(fault) => fault,
        };
        self.sound = false;
        Err(fault)
    }

    /// Opens a data connection for a command on `path`, from `offset` on. EPSV first, PASV where a site does not know it;
    /// of both only the port is believed.
    pub(super) async fn open(&mut self, what: Use, path: &[u8], offset: u64) -> Result<Data, Fault> {
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
                Use::Retrieve => ftp.retr_as_stream(name).await,
                Use::Store => ftp.put_with_stream(name).await,
                Use::Append => ftp.append_with_stream(name).await,
                Use::List(command) => {
                    let began = [Status::AboutToSend, Status::AlreadyOpen];
                    ftp.custom_data_command(command, &began).await.map(|(_, stream)| stream)
                }
            }
        };
        let limit = self.dialled.deadlines.connect.max(self.dialled.deadlines.first_byte);
        match within(limit, opening).await {
            Ok(stream) => Ok(Data { stream, buffer: BytesMut::new() }),
            Err(fault) => Err(self.judge_data(fault)),
        }
    }

    /// Ends a transfer whose bytes are all there and hears what the site says of it.
    pub(super) async fn finish(&mut self, data: Data) -> Result<(), Fault> {
        let limit = self.stall();
        match within(limit, data.stream.finish()).await {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.judge_data(fault)),
        }
    }

    /// A refused data connection under TLS 1.3 may be one whose session did not resume: the next login has TLS 1.2.
    fn judge_data(&mut self, fault: Fault) -> Fault {
        let is_tls = self.dialled.address.tls != Tls::Off;
        match fault {
            Fault::Refused(reply) if is_tls && matches!(reply.code, 425 | 450 | 522) => {
                self.sound = false;
                self.lore().needs_tls12.set();
                Fault::lost(ErrorKind::Unavailable, format!("the site refuses the data connection: {reply}"))
            }
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
        if timeout(SYNC, self.resync(data)).await != Ok(true) {
            self.sound = false;
        }
    }

    async fn resync(&mut self, data: Data) -> bool {
        if let Err(error) = self.ftp.abort(data.stream).await
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

impl Data {
    /// The next bytes; none at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Where nothing came for `stall`, or the connection broke off. A TLS connection that is cut without saying so ends
    /// here: whether all bytes came is for the caller to know.
    pub(super) async fn next(&mut self, stall: Duration) -> Result<Bytes, Fault> {
        if self.buffer.capacity() < READ_BYTES / 4 {
            self.buffer.reserve(READ_BYTES);
        }
        match timeout(stall, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(_)) => Ok(self.buffer.split().freeze()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Bytes::new()),
            Ok(Err(error)) => Err(Fault::Lost(Lost {
                kind: ErrorKind::Truncated,
                detail: "the data connection broke off".to_owned(),
                source: Some(FtpError::ConnectionError(error)),
            })),
            Err(_) => Err(Fault::lost(ErrorKind::TimedOut, format!("the site sent nothing for {stall:?}"))),
        }
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// Where nothing left for `stall`, or the connection broke off.
    pub(super) async fn send(&mut self, mut bytes: Bytes, stall: Duration) -> Result<(), Fault> {
        while !bytes.is_empty() {
            match timeout(stall, self.stream.write_buf(&mut bytes)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(Fault::of_library(FtpError::ConnectionError(error))),
                Err(_) => {
                    return Err(Fault::lost(
                        ErrorKind::TimedOut,
                        format!("the site took nothing for {stall:?}"),
                    ));
                }
            }
        }
        Ok(())
    }
}

async fn protected(dialled: &Dialled) -> FtpResult<AsyncRustlsFtpStream> {
    let address = &dialled.address;
    let addresses = address.policy.resolve(&address.host, address.port).await;
    let addresses = addresses.map_err(FtpError::ConnectionError)?;
    let connector = || {
        let verifier = dialled.verifier.clone().map_err(|error| FtpError::SecureError(error.to_string()))?;
        tls::connector(verifier, dialled.lore.needs_tls12.is_set())
            .map_err(|error| FtpError::SecureError(error.to_string()))
    };
    match address.tls {
        Tls::Off => AsyncRustlsFtpStream::connect_with_stream(dial(&addresses).await?).await,
        Tls::Explicit => {
            let plain = AsyncRustlsFtpStream::connect_with_stream(dial(&addresses).await?).await?;
            plain.into_secure(connector()?, &address.host).await
        }
        Tls::Implicit => {
            let mut ftp =
                AsyncRustlsFtpStream::connect_secure_implicit(&addresses[..], connector()?, &address.host)
                    .await?;
            ftp.custom_command("PBSZ 0", &[Status::CommandOk]).await?;
            ftp.custom_command("PROT P", &[Status::CommandOk]).await?;
            Ok(ftp)
        }
    }
}

/// The first address that answers.
async fn dial(addresses: &[std::net::SocketAddr]) -> FtpResult<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match dial_one(*address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(FtpError::ConnectionError(failure))
}

async fn dial_one(address: std::net::SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A firewall forgets a control connection that is silent while a long file comes.
    socket.set_keepalive(true)?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A refusal before the login. TLS that was asked for and is not given ends it: nothing is ever sent in the clear instead.
fn of_greeting(error: FtpError, dialled: &Dialled) -> Fault {
    match Fault::of_library(error) {
        Fault::Refused(reply) if dialled.address.tls != Tls::Off && reply.code != 120 => {
            let detail = format!("the mount asks for TLS and the site does not give it: {reply}");
            Fault::lost(ErrorKind::PermissionDenied, detail)
        }
        Fault::Refused(reply) => Fault::lost(ErrorKind::Busy, format!("the site lets nobody in: {reply}")),
        fault => fault,
    }
}

/// 530 is said of a wrong password, and of too many connections too.
fn of_login(error: FtpError) -> Fault {
    match Fault::of_library(error) {
        Fault::Refused(reply) if reply.speaks_of_numbers() => {
            Fault::lost(ErrorKind::Busy, format!("the site lets nobody else in: {reply}"))
        }
        Fault::Refused(reply) => Fault::Refused(reply),
        fault => fault,
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = FtpResult<T>>) -> Result<T, Fault> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(Fault::of_library),
        Err(_) => Err(Fault::lost(ErrorKind::TimedOut, format!("the site did not answer within {limit:?}"))),
    }
}

impl Reply {
    /// Reads a whole reply, IACs undoubled (RFC 2640 §3.1 has names as bytes; RFC 854 has 255 doubled). The last line's
    /// code counts.
    pub(super) fn of(body: &[u8]) -> Self {
        let mut text = Vec::with_capacity(body.len());
        let mut was_iac = false;
        for byte in body.trim_ascii_end() {
            was_iac = *byte == 0xff && !was_iac;
            if !was_iac {
                text.push(*byte);
            }
        }
        if was_iac {
            text.push(0xff);
        }
        let last = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let digits = last.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
        Self { code, text }
    }

    /// Its lines, each without its end.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// What follows the code in the last line.
    pub(super) fn words(&self) -> &[u8] {
        self.lines().last().and_then(|line| line.get(4..)).unwrap_or_default()
    }

    /// The path of a 257, between quotes that are doubled inside (RFC 959 appendix II).
    fn quoted(&self) -> Option<Vec<u8>> {
        let words = self.words();
        let start = words.iter().position(|byte| *byte == b'"').filter(|_| self.code == 257)? + 1;
        let mut path = Vec::new();
        let mut rest = words[start..].iter().peekable();
        while let Some(byte) = rest.next() {
            if *byte == b'"' && rest.next_if(|next| **next == b'"').is_none() {
                return path.starts_with(b"/").then_some(path);
            }
            path.push(*byte);
        }
        None
    }

    /// True where the words tell of missing rights.
    pub(super) fn speaks_of_rights(&self) -> bool {
        self.contains_any(&["denied", "not permitted", "permission", "not allowed", "forbidden"])
    }

    /// True where the words tell of too many connections.
    fn speaks_of_numbers(&self) -> bool {
        self.contains_any(&["too many", "maximum number", "connections", "limit", "sessions"])
    }

    fn contains_any(&self, words: &[&str]) -> bool {
        let text = String::from_utf8_lossy(&self.text).to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.lines().last().unwrap_or_default();
        write!(f, "{}", escaped(&line[..line.len().min(SHOWN_BYTES)]))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("sound", &self.sound).finish_non_exhaustive()
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data").finish_non_exhaustive()
    }
}

/// A byte is the character of its number: what goes through the library's texts comes out as it went in.
#[derive(Clone, Copy, Debug)]
struct Transparent;

impl Encoding for Transparent {
    fn decode(&self, bytes: &[u8]) -> String {
        bytes.iter().copied().map(char::from).collect()
    }

    fn encode(&self, text: &str) -> io::Result<Vec<u8>> {
        let byte = |char| u8::try_from(u32::from(char)).map_err(|_| io::ErrorKind::InvalidInput.into());
        text.chars().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_the_code_of_its_last_line() {
        for (text, code, words) in [
            (&b"200 Fine.\r\n"[..], 200, &b"Fine."[..]),
            (b"250-Facts:\r\n type=dir; x\r\n250 End\r\n", 250, b"End"),
            (b"230-Hello\r\n530 you\r\n230 in", 230, b"in"),
            (b"257 \"/a\xff\xffb\"", 257, b"\"/a\xffb\""),
            (b"garbage", 0, b"age"),
            (b"", 0, b""),
        ] {
            let reply = Reply::of(text);
            assert_eq!((reply.code, reply.words()), (code, words), "{text:?}");
        }
    }

    #[test]
    fn a_path_stands_between_quotes() {
        for (text, path) in [
            ("257 \"/\" is current", Some("/")),
            ("257 \"/a \"\"b\"\" c\"", Some("/a \"b\" c")),
            ("257 /a", None),
            ("257 \"/a", None),
            ("257 \"relative\"", None),
            ("200 \"/a\"", None),
        ] {
            assert_eq!(Reply::of(text.as_bytes()).quoted().as_deref(), path.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn every_byte_goes_through_the_librarys_texts() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(Transparent.encode(&Transparent.decode(&all)).unwrap(), all);
        assert!(Transparent.encode("中").is_err());
    }
}

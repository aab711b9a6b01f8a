//! Lines about requests and transfers, in the formats that others' tools read. Whatever a client sends, a line is one
//! line and a field one field.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::Moment;
use crate::serve::Peer;

/// Takes lines. It must not wait: it is called where connections are served.
pub trait Sink: Send + Sync {
    /// Takes a line, which ends with LF.
    fn line(&self, line: String);
}

/// Where lines go and what they look like.
#[derive(Clone)]
pub struct Journal<F> {
    format: F,
    sink: Arc<dyn Sink>,
}

/// What a line about a request looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessFormat {
    /// The Common Log Format: host, user, time, request line, status, bytes.
    Common,
    /// Common with `Referer` and `User-Agent`. The default.
    #[default]
    Combined,
    /// An object, with the times of its phases.
    Json,
}

/// What a line about a transfer looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransferFormat {
    /// xferlog(5), as wu-ftpd wrote it. The default.
    #[default]
    Xferlog,
    /// An object.
    Json,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// From whom.
    pub peer: Peer,
    /// Under which name.
    pub user: Option<&'a str>,
    /// When its head was there.
    pub begun: SystemTime,
    /// GET, say.
    pub method: &'a str,
    /// Path and query as they were sent.
    pub target: &'a str,
    /// `HTTP/1.1`, say.
    pub version: &'a str,
    /// `None` where the client left before there was an answer.
    pub status: Option<u16>,
    /// Of the body, sent.
    pub bytes: u64,
    /// Who led here.
    pub referer: Option<&'a [u8]>,
    /// With what.
    pub agent: Option<&'a [u8]>,
    /// All of the answer was sent.
    pub complete: bool,
    /// From the head to the answer.
    pub answering: Duration,
    /// From the head to the end.
    pub total: Duration,
}

/// One FTP transfer.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// With whom.
    pub peer: Peer,
    /// Under which name.
    pub user: &'a str,
    /// It is a guest.
    pub is_guest: bool,
    /// When it ended.
    pub ended: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The file.
    pub path: &'a str,
    /// Moved.
    pub bytes: u64,
    /// It came from the client.
    pub is_upload: bool,
    /// All of it was moved.
    pub complete: bool,
    /// How it ended, in words.
    pub outcome: &'a str,
}

impl<F> Journal<F> {
    /// Writes to `sink`.
    pub fn new(format: F, sink: Arc<dyn Sink>) -> Self {
        Self { format, sink }
    }
}

impl Journal<AccessFormat> {
    pub(crate) fn tell(&self, access: &Access<'_>) {
        self.sink.line(access.line(self.format));
    }
}

impl Journal<TransferFormat> {
    pub(crate) fn tell(&self, transfer: &Transfer<'_>) {
        self.sink.line(transfer.line(self.format));
    }
}

impl Access<'_> {
    fn line(&self, format: AccessFormat) -> String {
        match format {
            AccessFormat::Json => self.json(),
            AccessFormat::Common => self.common() + "\n",
            AccessFormat::Combined => {
                let field = |field: Option<&[u8]>| field.map_or("-".to_owned(), quoted);
                format!("{} \"{}\" \"{}\"\n", self.common(), field(self.referer), field(self.agent))
            }
        }
    }

    fn common(&self) -> String {
        let user = self.user.map_or("-".to_owned(), |user| quoted(user.as_bytes()).replace(' ', "\\x20"));
        let request = quoted(format!("{} {} {}", self.method, self.target, self.version).as_bytes());
        // A client that left is 499, as nginx has it.
        let (time, status) = (moment(self.begun, |moment| moment.common()), self.status.unwrap_or(499));
        format!("{} - {user} [{time}] \"{request}\" {status} {}", self.peer, self.bytes)
    }

    fn json(&self) -> String {
        let mut object = Object::new();
        object.text("time", &moment(self.begun, |moment| moment.rfc3339()));
        object.text("peer", &self.peer.to_string());
        object.optional("user", self.user);
        object.text("method", self.method);
        object.text("target", self.target);
        object.text("version", self.version);
        object.raw("status", &self.status.map_or("null".to_owned(), |status| status.to_string()));
        object.raw("bytes", &self.bytes.to_string());
        object.optional("referer", self.referer.map(String::from_utf8_lossy).as_deref());
        object.optional("agent", self.agent.map(String::from_utf8_lossy).as_deref());
        object.raw("complete", if self.complete { "true" } else { "false" });
        object.raw("answer_us", &self.answering.as_micros().to_string());
        object.raw("total_us", &self.total.as_micros().to_string());
        object.end()
    }
}

impl Transfer<'_> {
    fn line(&self, format: TransferFormat) -> String {
        match format {
            TransferFormat::Xferlog => self.xferlog(),
            TransferFormat::Json => self.json(),
        }
    }

    /// xferlog(5). Its fields have no escapes: what would end one becomes `_`.
    fn xferlog(&self) -> String {
        let field = |text: &str| -> String {
            let is_unfit = |char: char| char.is_whitespace() || char.is_control();
            text.chars().map(|char| if is_unfit(char) { '_' } else { char }).collect()
        };
        format!(
            "{} {} {} {} {} b _ {} {} {} ftp 0 * {}\n",
            moment(self.ended, |moment| moment.asctime()),
            self.took.as_secs().max(1),
            self.peer,
            self.bytes,
            field(self.path),
            if self.is_upload { 'i' } else { 'o' },
            if self.is_guest { 'a' } else { 'r' },
            field(self.user),
            if self.complete { 'c' } else { 'i' },
        )
    }

    fn json(&self) -> String {
        let mut object = Object::new();
        object.text("time", &moment(self.ended, |moment| moment.rfc3339()));
        object.text("peer", &self.peer.to_string());
        object.text("user", self.user);
        object.text("path", self.path);
        object.text("direction", if self.is_upload { "in" } else { "out" });
        object.raw("bytes", &self.bytes.to_string());
        object.raw("total_us", &self.took.as_micros().to_string());
        object.raw("complete", if self.complete { "true" } else { "false" });
        object.text("outcome", self.outcome);
        object.end()
    }
}

/// A moment as `written`; `-` where no calendar has it.
fn moment(time: SystemTime, written: impl FnOnce(Moment) -> String) -> String {
    Moment::of(time).map_or("-".to_owned(), written)
}

/// Bytes for a quoted field: what is no printable ASCII, quotes and backslashes are `\xHH`, as Apache and nginx write it.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'"' | b'\\' | 0..0x20 | 0x7f.. => {
                let _ = write!(text, "\\x{byte:02X}");
            }
            byte => text.push(char::from(*byte)),
        }
    }
    text
}

/// A JSON object that is being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn raw(&mut self, name: &str, value: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, "null"),
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        let mut text = String::with_capacity(value.len() + 2);
        text.push('"');
        for char in value.chars() {
            match char {
                '"' | '\\' => {
                    text.push('\\');
                    text.push(char);
                }
                // The separators are line ends to JavaScript, and directions turn a terminal's line around.
                char if char.is_control()
                    || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {
                    let _ = write!(text, "\\u{:04x}", u32::from(char));
                }
                char => text.push(char),
            }
        }
        text.push('"');
        self.raw(name, &text);
    }

    fn end(self) -> String {
        self.0 + "}\n"
    }
}

impl<F: fmt::Debug> fmt::Debug for Journal<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("format", &self.format).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access<'static> {
        Access {
            peer: Peer::Host([192, 0, 2, 1].into()),
            user: Some("ann b"),
            begun: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_900),
            method: "GET",
            target: "/a?b=\"c\"",
            version: "HTTP/1.1",
            status: Some(200),
            bytes: 5,
            referer: None,
            agent: Some(b"x\"\n\xff\x1b[31m"),
            complete: true,
            answering: Duration::from_micros(7),
            total: Duration::from_micros(9),
        }
    }

    fn transfer(path: &str) -> Transfer<'_> {
        Transfer {
            peer: Peer::Local,
            user: "ann",
            is_guest: false,
            ended: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_900),
            took: Duration::from_millis(2_500),
            path,
            bytes: 5,
            is_upload: true,
            complete: false,
            outcome: "aborted",
        }
    }

    #[test]
    fn requests_in_each_format() {
        let common =
            "192.0.2.1 - ann\\x20b [20/Nov/2026:12:15:00 +0000] \"GET /a?b=\\x22c\\x22 HTTP/1.1\" 200 5";
        assert_eq!(access().line(AccessFormat::Common), format!("{common}\n"));
        let combined = format!("{common} \"-\" \"x\\x22\\x0A\\xFF\\x1B[31m\"\n");
        assert_eq!(access().line(AccessFormat::Combined), combined);
        assert_eq!(
            access().line(AccessFormat::Json),
            "{\"time\":\"2026-11-20T12:15:00Z\",\"peer\":\"192.0.2.1\",\"user\":\"ann b\",\"method\":\"GET\",\
             \"target\":\"/a?b=\\\"c\\\"\",\"version\":\"HTTP/1.1\",\"status\":200,\"bytes\":5,\"referer\":null,\
             \"agent\":\"x\\\"\\u000a\u{fffd}\\u001b[31m\",\"complete\":true,\"answer_us\":7,\"total_us\":9}\n"
        );
        let left = Access { status: None, user: None, ..access() };
        assert!(
            left.line(AccessFormat::Common).contains(" - - [")
                && left.line(AccessFormat::Common).contains("\" 499 5")
        );
    }

    #[test]
    fn transfers_in_each_format() {
        assert_eq!(
            transfer("/a b").line(TransferFormat::Xferlog),
            "Fri Nov 20 12:15:00 2026 2 local 5 /a_b b _ i r ann ftp 0 * i\n"
        );
        assert_eq!(
            transfer("/a").line(TransferFormat::Json),
            "{\"time\":\"2026-11-20T12:15:00Z\",\"peer\":\"local\",\"user\":\"ann\",\"path\":\"/a\",\"direction\":\"in\",\
             \"bytes\":5,\"total_us\":2500000,\"complete\":false,\"outcome\":\"aborted\"}\n"
        );
    }

    #[test]
    fn no_name_forges_a_line_or_a_field() {
        let hostile = "/x\r\n192.0.2.9 - root [\"] \u{2028}\u{202e}\u{85}\0\t\" 200 1 {}";
        let fields = |line: &str| line.split(' ').count();
        for format in [AccessFormat::Common, AccessFormat::Combined, AccessFormat::Json] {
            let hostile =
                Access { target: hostile, user: Some(hostile), agent: Some(hostile.as_bytes()), ..access() };
            let line = hostile.line(format);
            assert!(
                line.ends_with('\n') && !line.trim_end_matches('\n').contains(|char: char| char.is_control()),
                "{line}"
            );
            let quotes = line.matches('"').count();
            match format {
                AccessFormat::Common => assert_eq!(quotes, 2, "{line}"),
                AccessFormat::Combined => assert_eq!(quotes, 6, "{line}"),
                AccessFormat::Json => assert!(!line.contains(['\u{2028}', '\u{202e}']), "{line}"),
            }
        }
        let line = transfer(hostile).line(TransferFormat::Xferlog);
        assert_eq!(fields(&line), fields(&transfer("/a").line(TransferFormat::Xferlog)), "{line}");
        assert_eq!(line.lines().count(), 1);
        assert!(!transfer(hostile).line(TransferFormat::Json).trim_end().contains(char::is_control));
    }
}

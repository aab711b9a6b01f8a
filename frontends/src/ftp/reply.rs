//! What a session says: fixed replies, and the one table from outcomes and error kinds to codes (RFC 959 §4.2).

use std::borrow::Cow;
use std::net::SocketAddrV4;
use std::time::{Duration, SystemTime};

use vfs::producer::Algorithm;
use vfs::{ByteRange, ErrorKind, VPath};

use super::active::Forbidden;
use super::calls::{Content, Failure, Opening, Outcome, Upload};
use super::command::{Answer, Edit, Errand, Form, Refusal, Room, VERBS};
use super::facts::Facts;
use super::transfer::Ended;
use super::wire::Reply;
use crate::auth::Denied;
use crate::clock::Moment;

pub(super) const ABORTED: Reply = Reply::fixed(426, "Stopped; the data connection is closed.");
pub(super) const ABORT_DONE: Reply = Reply::fixed(226, "Stopped: nothing is under way.");
pub(super) const CALL_ABORTED: Reply = Reply::fixed(451, "Stopped.");
pub(super) const AUTH_FIRST: Reply = Reply::fixed(503, "AUTH TLS comes first.");
pub(super) const AUTH_TAKEN: Reply = Reply::fixed(234, "Begin TLS.");
pub(super) const BUFFER_SIZE: Reply = Reply::fixed(200, "PBSZ=0");
pub(super) const CLEAR: Reply = Reply::fixed(200, "Data connections are in the clear.");
pub(super) const CONFIRMED: Reply = Reply::fixed(200, "Done.");
pub(super) const DENIED: Reply = Reply::fixed(530, "Login incorrect.");
pub(super) const EPSV_ALL: Reply = Reply::fixed(200, "From now on EPSV alone.");
pub(super) const EPSV_ALONE: Reply = Reply::fixed(503, "EPSV ALL was chosen: only EPSV is taken.");
pub(super) const FOREIGN: Reply = Reply::fixed(421, "This is an FTP server; goodbye.");
pub(super) const GOODBYE: Reply = Reply::fixed(221, "Goodbye.");
pub(super) const GREETING: Reply = Reply::fixed(220, "FTP server ready.");
pub(super) const GUESTS_TRIED: Reply = Reply::fixed(421, "Too many failed logins; goodbye.");
pub(super) const HELP_SITE: Reply = Reply::fixed(214, "CHMOD CPFR CPTO DF HELP IDLE SYMLINK UTIME");
pub(super) const HOST_CHOSEN: Reply = Reply::fixed(220, "FTP server ready for this host.");
pub(super) const HOST_TOO_LATE: Reply = Reply::fixed(503, "HOST comes before the login.");
pub(super) const HOST_UNKNOWN: Reply = Reply::fixed(504, "No such host here.");
pub(super) const IDENTITY: Reply =
    Reply::fixed(200, concat!("Name=vfsd; Version=", env!("CARGO_PKG_VERSION"), ";"));
pub(super) const IDLE: Reply = Reply::fixed(421, "Nothing was asked for too long; goodbye.");
pub(super) const LANGUAGE: Reply = Reply::fixed(200, "Replies are in English.");
pub(super) const LOG_IN_FIRST: Reply = Reply::fixed(530, "Log in first: USER and PASS.");
pub(super) const LOGIN_CHANGED: Reply = Reply::fixed(421, "What you may do here has changed; log in again.");
pub(super) const LOGIN_TIMED_OUT: Reply = Reply::fixed(421, "No login in time; goodbye.");
pub(super) const NO_IPV6_PASV: Reply = Reply::fixed(425, "PASV cannot say an IPv6 address: use EPSV.");
pub(super) const NO_MASQUERADE: Reply =
    Reply::fixed(425, "The address for PASV is not known now: use EPSV, or try again later.");
pub(super) const NO_PEER_ADDRESS: Reply =
    Reply::fixed(425, "Data connections need a control connection over TCP.");
pub(super) const NO_SUCH_PROTECTION: Reply = Reply::fixed(536, "TLS has the levels C and P.");
pub(super) const NO_TLS: Reply = Reply::fixed(502, "There is no TLS here.");
pub(super) const NOTHING_BEHIND_AUTH: Reply =
    Reply::fixed(421, "Nothing may be sent between AUTH and TLS; goodbye.");
pub(super) const NO_PORT: Reply =
    Reply::fixed(425, "No port is free for a data connection; try again later.");
pub(super) const NOTHING_DONE: Reply = Reply::fixed(200, "Nothing done.");
pub(super) const PASS_BEFORE_USER: Reply = Reply::fixed(503, "USER comes first.");
pub(super) const PASSIVE_FIRST: Reply = Reply::fixed(425, "Use EPSV or PASV first.");
pub(super) const PBSZ_FIRST: Reply = Reply::fixed(503, "PBSZ 0 comes first.");
pub(super) const PORT_TAKEN: Reply = Reply::fixed(200, "The next transfer goes there.");
pub(super) const PASSWORD_PLEASE: Reply =
    Reply::fixed(331, "Send the password; anonymous may send anything.");
pub(super) const PRIVATE: Reply = Reply::fixed(200, "Data connections are inside TLS.");
pub(super) const PROTECT_FIRST: Reply =
    Reply::fixed(521, "Data connections have to be inside TLS: send PBSZ 0 and PROT P.");
pub(super) const REINITIALIZED: Reply = Reply::fixed(220, "Ready for another login.");
pub(super) const CPFR_FIRST: Reply = Reply::fixed(503, "SITE CPFR comes first.");
pub(super) const RNFR_FIRST: Reply = Reply::fixed(503, "RNFR comes first.");
pub(super) const SECURE_ALREADY: Reply = Reply::fixed(503, "This is TLS already.");
pub(super) const STOPPING: Reply = Reply::fixed(421, "The server is stopping; goodbye.");
pub(super) const SUPERFLUOUS: Reply = Reply::fixed(202, "Not needed here.");
pub(super) const SYSTEM: Reply = Reply::fixed(215, "UNIX Type: L8");
pub(super) const TLS_FIRST: Reply =
    Reply::fixed(530, "Send AUTH TLS first: passwords are taken inside TLS only.");
pub(super) const TOO_MANY_COMMANDS: Reply = Reply::fixed(421, "Too many commands without a login; goodbye.");
pub(super) const TOO_MANY_CONNECTIONS: Reply = Reply::fixed(421, "Too many connections; try again later.");
pub(super) const TOO_MANY_CONNECTIONS_FROM_THERE: Reply =
    Reply::fixed(421, "Too many connections from your address; try again later.");
pub(super) const TOO_MANY_ERRORS: Reply = Reply::fixed(421, "Too many errors; goodbye.");
pub(super) const TYPE_ASCII: Reply = Reply::fixed(200, "Lines end with CRLF.");
pub(super) const TYPE_IMAGE: Reply = Reply::fixed(200, "Bytes are sent as they are.");
pub(super) const UTF8: Reply = Reply::fixed(200, "Names are UTF-8.");
pub(super) const WELCOME: Reply = Reply::fixed(230, "Logged in.");

/// The answer to a line that is no command.
pub(super) fn refused(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Unknown => Reply::fixed(500, "Not understood."),
        Refusal::TooLong => Reply::fixed(500, "The line is too long."),
        Refusal::Foreign => Reply::fixed(500, "Not a command of FTP."),
        Refusal::NotImplemented => Reply::fixed(502, "Not done here."),
        Refusal::Syntax(hint) => Reply::fixed(501, hint),
        Refusal::Parameter => Reply::fixed(504, "Not done with this parameter."),
        Refusal::Protocol => Reply::fixed(522, "Network protocol not supported, use (1,2)."),
    }
}

/// The answer to PORT and EPRT where nobody is connected to (RFC 2577 §3 has 504, and clients 500 or 501).
pub(super) fn forbidden(forbidden: Forbidden) -> Reply {
    match forbidden {
        Forbidden::Stranger => Reply::fixed(501, "Data connections go to your own address only."),
        Forbidden::Service => Reply::fixed(501, "Data connections go to port 1024 or above only."),
    }
}

/// The answer to what a call on the tree came to. An opening's answer is the first of two: see [`ended`].
pub(super) fn outcome(outcome: &Outcome) -> Reply {
    match outcome {
        Outcome::Admitted(_) => WELCOME,
        Outcome::Denied(denied) => refused_entry(*denied),
        Outcome::Moved(_) => Reply::fixed(250, "Done."),
        Outcome::Measured(len) => Reply::new(213, len.to_string().into_bytes()),
        Outcome::Dated(time) => dated(*time),
        Outcome::Roomy { room: Room::Number, bytes, .. } => Reply::new(213, bytes.to_string().into_bytes()),
        Outcome::Roomy { room: Room::Sentence, bytes, path } => Reply::new(
            200,
            [&path.to_bytes()[..], format!(" has room for {bytes} bytes.").as_bytes()].concat(),
        ),
        Outcome::Described { path, row } => {
            let line = [&b" "[..], row, &path.to_bytes()].concat();
            Reply::block(250, &b"Facts:"[..], vec![line.into()])
        }
        Outcome::Edited { edit, path } => edited(edit, path),
        Outcome::Hashed { answer, algorithm, range, digest, path } => {
            hashed(*answer, *algorithm, *range, digest, path)
        }
        Outcome::Awaited(Some(address)) => passive(*address),
        Outcome::Awaited(None) => NO_MASQUERADE,
        Outcome::Chosen { errand: Errand::Rename, .. } => Reply::fixed(350, "Send RNTO."),
        Outcome::Chosen { errand: Errand::Copy, .. } => Reply::fixed(350, "Send SITE CPTO."),
        Outcome::CarriedOut => Reply::fixed(250, "Done."),
        Outcome::Opened(opening) => opened(opening),
        Outcome::Reported(_) => Reply::fixed(213, "End"),
        Outcome::Failed { sent, failure } => failed(sent, failure),
    }
}

fn refused_entry(denied: Denied) -> Reply {
    match denied {
        Denied::Credentials => DENIED,
        Denied::Insecure => TLS_FIRST,
        Denied::Banned(_) => Reply::fixed(421, "Too many failed logins from your address; try again later."),
        Denied::Crowded => Reply::fixed(530, "You are logged in as often as you may be."),
    }
}

fn dated(time: SystemTime) -> Reply {
    match Moment::of(time) {
        Some(moment) => Reply::new(213, moment.stamp().to_string().into_bytes()),
        None => Reply::fixed(550, "Its time is beyond what MDTM can say."),
    }
}

fn edited(edit: &Edit, path: &VPath) -> Reply {
    match edit {
        Edit::RemoveFile | Edit::RemoveFolder => Reply::fixed(250, "Done."),
        Edit::CreateFolder => quoted(path, b" is a folder now."),
        Edit::SetAttributes(attributes, Form::Facts) => {
            let mut text = String::new();
            if let Some(moment) = attributes.modified.and_then(Moment::of) {
                text.push_str(&format!("Modify={};", moment.stamp()));
            }
            if let Some(mode) = attributes.mode {
                text.push_str(&format!("UNIX.mode={mode:04o};"));
            }
            text.push(' ');
            Reply::new(213, [text.as_bytes(), &path.to_bytes()].concat())
        }
        Edit::SetAttributes(_, Form::Plain) | Edit::Link(_) => Reply::fixed(200, "Done."),
    }
}

fn hashed(answer: Answer, algorithm: Algorithm, range: ByteRange, digest: &[u8], path: &VPath) -> Reply {
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    match answer {
        Answer::Hash => {
            // The draft counts the last byte in; of nothing there is none.
            let last = range.end.unwrap_or(range.start).saturating_sub(1).max(range.start);
            let text = format!("{algorithm} {}-{last} {hash} ", range.start);
            Reply::new(213, [text.as_bytes(), &path.to_bytes()].concat())
        }
        Answer::Bare => Reply::new(250, hash.into_bytes()),
        Answer::Md5 => Reply::new(251, [&path.to_bytes()[..], b" ", hash.as_bytes()].concat()),
    }
}

fn opened(opening: &Opening) -> Reply {
    if let Content::In(Upload { is_named_here: true, .. }) = opening.content {
        // RFC 1123 §4.1.2.9: exactly this, so that clients find the name.
        return Reply::new(150, [b"FILE: ", &opening.path.to_bytes()[..]].concat());
    }
    let mut text = b"Opening data connection for ".to_vec();
    text.extend_from_slice(&opening.path.to_bytes());
    if let Some(len) = opening.len {
        // Clients without SIZE read the length here.
        text.extend_from_slice(format!(" ({len} bytes)").as_bytes());
    }
    text.push(b'.');
    Reply::new(150, text)
}

fn failed(sent: &[u8], failure: &Failure) -> Reply {
    let (code, why) = match failure {
        Failure::Tree(error) => {
            return Reply::new(code(error.kind()), [sent, b": ", error.told().as_bytes(), b"."].concat());
        }
        Failure::Path(why) => return Reply::new(550, why.clone().into_bytes()),
        Failure::NotAFile => (550, "not a file"),
        Failure::NotAFolder => (501, "not a folder; MLST describes files"),
        // Not 550: clients that ask for the size first (curl) would take the file for missing.
        Failure::LenUnknown => (504, "its length is not known before it is read"),
        Failure::LenInAscii => (550, "its length in TYPE A is not known; use TYPE I"),
        Failure::TimeUnknown => (550, "its time is not known"),
        Failure::RoomUnknown => (550, "how much room there is is not known"),
        Failure::RestartInAscii => (554, "a transfer restarts in TYPE I only"),
        Failure::PartOfPacked => (554, "an archive that is made while it is sent has no parts"),
        Failure::LinesOfPacked => (550, "a folder is packed in TYPE I only"),
        Failure::TooManyHashes => (450, "enough files are being hashed; try again later"),
        Failure::GuestsAdd => (550, "guests add files and change none"),
        Failure::RangeOfUpload => (504, "RANG is for RETR and HASH; use REST"),
        Failure::RestartPastEnd => (554, "it ends before the restart position"),
    };
    Reply::new(code, [sent, b": ", why.as_bytes(), b"."].concat())
}

/// The answer at the end of a transfer, after its data connection was closed.
pub(super) fn ended(ended: &Ended) -> Reply {
    match ended {
        Ended::Complete => Reply::fixed(226, "Done."),
        Ended::Aborted => ABORTED,
        Ended::NobodyCame => Reply::fixed(425, "No data connection came in time."),
        Ended::NotSecured => Reply::fixed(425, "The data connection had no TLS in time."),
        Ended::NoConnection(_) => Reply::fixed(425, "There is no way to a data connection."),
        Ended::Stalled => Reply::fixed(426, "Nothing moved for too long; the data connection is closed."),
        Ended::PeerLost(_) => Reply::fixed(426, "The data connection broke."),
        Ended::Shrank => Reply::fixed(451, "The file became shorter while it was sent."),
        // After the first reply every failure is a local error, or one of space (RFC 959 §5.4).
        Ended::SourceFailed(error) => {
            Reply::new(451, format!("The transfer broke off: {}.", error.kind()).into_bytes())
        }
        Ended::TargetFailed(error) => {
            let code = if code(error.kind()) == 552 { 552 } else { 451 };
            Reply::new(code, format!("The file was not written: {}.", error.kind()).into_bytes())
        }
    }
}

/// The code of each kind: 4xx where asking again may help.
pub(super) fn code(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::Unauthenticated
        | ErrorKind::AlreadyExists
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::DirectoryNotEmpty
        | ErrorKind::CrossesDevices
        | ErrorKind::ReadOnly
        | ErrorKind::InvalidInput
        | ErrorKind::Loop
        | ErrorKind::Corrupt
        | ErrorKind::Unsupported => 550,
        ErrorKind::NameTooLong => 553,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => 552,
        ErrorKind::Busy
        | ErrorKind::TimedOut
        | ErrorKind::Unavailable
        | ErrorKind::BadAnswer
        | ErrorKind::NotYet => 450,
        ErrorKind::Truncated | ErrorKind::Changed | ErrorKind::LimitExceeded | ErrorKind::Internal => 451,
    }
}

/// The answer to FEAT (RFC 2389 §3.2): what goes beyond RFC 959. All of it but LANG, which lftp takes for leave to send names
/// in UTF-8, against what its user has set.
pub(super) fn features(facts: Facts, hash: Algorithm, has_tls: bool) -> Reply {
    let star = |algorithm: Algorithm| if algorithm == hash { "*" } else { "" };
    let hashes: Vec<_> = Algorithm::ALL.iter().map(|each| format!("{each}{}", star(*each))).collect();
    let before = [&b" HOST"[..], b" MD5", b" MDTM", b" MFF Modify;UNIX.mode;", b" MFMT"];
    // ProFTPD's names for what it has under SITE; clients look for them.
    let after = [
        &b" PRET"[..],
        b" RANG STREAM",
        b" REST STREAM",
        b" SITE COPY",
        b" SITE SYMLINK",
        b" SITE UTIME",
        b" SIZE",
        b" TVFS",
        b" UTF8",
    ];
    let checks = [&b" XCRC"[..], b" XMD5", b" XSHA1", b" XSHA256", b" XSHA512"];
    let mut lines: Vec<Cow<'static, [u8]>> = Vec::new();
    if has_tls {
        lines.extend([&b" AUTH TLS"[..], b" PBSZ", b" PROT"].map(Cow::from));
    }
    lines.extend([&b" AVBL"[..], b" CLNT", b" CSID", b" EPRT", b" EPSV"].map(Cow::from));
    lines.push(format!(" HASH {}", hashes.join(";")).into_bytes().into());
    lines.extend(before.map(Cow::from));
    lines.push(format!(" MLST {}", facts.feature()).into_bytes().into());
    lines.extend(after.map(Cow::from));
    lines.extend(checks.map(Cow::from));
    Reply::block(211, &b"Features:"[..], lines)
}

/// The answer to HELP: every verb that is understood, or one of them and what follows it. Clients ask for those of SITE
/// too.
pub(super) fn help(about: Option<&[u8]>) -> Reply {
    let Some(about) = about.map(<[u8]>::trim_ascii).filter(|about| !about.is_empty()) else {
        let line = |verbs: &[(&str, &str)]| {
            let mut line = String::new();
            for (verb, _) in verbs {
                line.extend([" ", verb]);
            }
            line.into_bytes().into()
        };
        return Reply::block(214, &b"Commands:"[..], VERBS.chunks(11).map(line).collect());
    };
    if about.eq_ignore_ascii_case(b"SITE") {
        return HELP_SITE;
    }
    match VERBS.iter().find(|(verb, _)| about.eq_ignore_ascii_case(verb.as_bytes())) {
        Some((verb, "")) => Reply::fixed(214, verb),
        Some((verb, follows)) => Reply::new(214, format!("{verb} {follows}").into_bytes()),
        None => Reply::fixed(502, "Not a command here; HELP alone tells which there are."),
    }
}

/// The answer to PWD (RFC 959 appendix II).
pub(super) fn working_folder(path: &VPath) -> Reply {
    quoted(path, b" is the working folder.")
}

/// 257 and a path in quotes, those within it doubled.
fn quoted(path: &VPath, comment: &[u8]) -> Reply {
    let mut text = vec![b'"'];
    for byte in path.to_bytes() {
        text.push(byte);
        if byte == b'"' {
            text.push(b'"');
        }
    }
    text.push(b'"');
    text.extend_from_slice(comment);
    Reply::new(257, text)
}

/// The answer to PASV: six numbers in parentheses.
pub(super) fn passive(address: SocketAddrV4) -> Reply {
    let [a, b, c, d] = address.ip().octets();
    let [high, low] = address.port().to_be_bytes();
    Reply::new(227, format!("Entering passive mode ({a},{b},{c},{d},{high},{low}).").into_bytes())
}

/// The answer to EPSV (RFC 2428 §3).
pub(super) fn extended_passive(port: u16) -> Reply {
    Reply::new(229, format!("Entering extended passive mode (|||{port}|).").into_bytes())
}

/// The answer to EPSV over the other protocol: the number of the one that works.
pub(super) fn other_protocol(number: u32) -> Reply {
    Reply::new(522, format!("Network protocol not supported, use ({number}).").into_bytes())
}

/// The answer to `OPTS HASH`.
pub(super) fn hash_chosen(algorithm: Algorithm) -> Reply {
    Reply::fixed(200, algorithm.name())
}

/// The answer to `OPTS MLST`.
pub(super) fn facts_chosen(facts: Facts) -> Reply {
    Reply::new(200, format!("MLST OPTS {}", facts.list()).into_bytes())
}

/// The answer to SITE IDLE.
pub(super) fn idle_limit(limit: Duration) -> Reply {
    Reply::new(200, format!("The session ends after {} idle seconds.", limit.as_secs()).into_bytes())
}

/// The answer to SITE IDLE with a number that is not taken.
pub(super) fn idle_bounds(most: Duration) -> Reply {
    Reply::new(501, format!("SITE IDLE takes 1 to {} seconds here.", most.as_secs()).into_bytes())
}

/// The answer to REST and RANG.
pub(super) fn restart(range: ByteRange) -> Reply {
    let ByteRange { start, end } = range;
    match end {
        None => Reply::new(350, format!("Restarting at {start}; send RETR or STOR.").into_bytes()),
        Some(end) => Reply::new(
            350,
            format!("Restarting at {start}, ending at {}; send RETR or HASH.", end - 1).into_bytes(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn clients_find_the_forms_they_parse() {
        for (reply, text) in [
            (working_folder(&VPath::root()), "257 \"/\" is the working folder.\r\n"),
            (
                working_folder(&VPath::root().child("a\"b").unwrap()),
                "257 \"/a\"\"b\" is the working folder.\r\n",
            ),
            (
                passive(SocketAddrV4::new([127, 0, 0, 1].into(), 513)),
                "227 Entering passive mode (127,0,0,1,2,1).\r\n",
            ),
            (extended_passive(50000), "229 Entering extended passive mode (|||50000|).\r\n"),
            (other_protocol(1), "522 Network protocol not supported, use (1).\r\n"),
            (facts_chosen(Facts::chosen(b"size;")), "200 MLST OPTS size;\r\n"),
            (dated(SystemTime::UNIX_EPOCH), "213 19700101000000\r\n"),
        ] {
            assert_eq!(encoded(&reply), text);
        }
    }

    #[test]
    fn features_are_indented_by_one_space_and_sorted() {
        let text = encoded(&features(Facts::ALL, Algorithm::Sha256, false));
        let lines: Vec<&str> = text.lines().collect();
        let (first, middle, last) = (lines[0], &lines[1..lines.len() - 1], lines[lines.len() - 1]);
        assert_eq!((first, last), ("211-Features:", "211 End"));
        assert!(middle.iter().all(|line| line.starts_with(' ') && !line.starts_with("  ")));
        assert!(middle.is_sorted());
    }

    #[test]
    fn no_failure_of_a_source_ends_with_success_or_before_its_first_reply() {
        for kind in [ErrorKind::NotFound, ErrorKind::Truncated, ErrorKind::Unavailable, ErrorKind::Internal] {
            let error = vfs::Error::new(kind, "read_at", &VPath::root());
            let reply = ended(&Ended::SourceFailed(error));
            assert_eq!(reply.code, 451, "{kind:?}");
        }
    }
}

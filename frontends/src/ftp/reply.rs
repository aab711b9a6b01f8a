//! What a session says: fixed replies, and the one table from outcomes and error kinds to codes (RFC 959 §4.2).

use std::borrow::Cow;
use std::net::SocketAddrV4;
use std::time::SystemTime;

use vfs::{ErrorKind, VPath};

use super::calls::{Failure, Opening, Outcome};
use super::clock::Moment;
use super::command::{Refusal, VERBS};
use super::facts::Facts;
use super::transfer::Ended;
use super::wire::Reply;

pub(super) const ABORTED: Reply = Reply::fixed(426, "Stopped; the data connection is closed.");
pub(super) const ABORT_DONE: Reply = Reply::fixed(226, "Stopped: nothing is under way.");
pub(super) const CALL_ABORTED: Reply = Reply::fixed(451, "Stopped.");
pub(super) const CONFIRMED: Reply = Reply::fixed(200, "Done.");
pub(super) const DENIED: Reply = Reply::fixed(530, "Login incorrect.");
pub(super) const EPSV_ALL: Reply = Reply::fixed(200, "From now on EPSV alone.");
pub(super) const EPSV_ALONE: Reply = Reply::fixed(503, "EPSV ALL was chosen: only EPSV is taken.");
pub(super) const FOREIGN: Reply = Reply::fixed(421, "This is an FTP server; goodbye.");
pub(super) const GOODBYE: Reply = Reply::fixed(221, "Goodbye.");
pub(super) const GREETING: Reply = Reply::fixed(220, "FTP server ready.");
pub(super) const GUESTS_TRIED: Reply = Reply::fixed(421, "Too many failed logins; goodbye.");
pub(super) const HELP_SITE: Reply = Reply::fixed(214, "No SITE commands here.");
pub(super) const HOST_CHOSEN: Reply = Reply::fixed(220, "FTP server ready for this host.");
pub(super) const HOST_TOO_LATE: Reply = Reply::fixed(503, "HOST comes before the login.");
pub(super) const HOST_UNKNOWN: Reply = Reply::fixed(504, "No such host here.");
pub(super) const IDLE: Reply = Reply::fixed(421, "Nothing was asked for too long; goodbye.");
pub(super) const LOG_IN_FIRST: Reply = Reply::fixed(530, "Log in first: USER and PASS.");
pub(super) const LOGIN_TIMED_OUT: Reply = Reply::fixed(421, "No login in time; goodbye.");
pub(super) const NO_IPV6_PASV: Reply = Reply::fixed(425, "PASV cannot say an IPv6 address: use EPSV.");
pub(super) const NO_PEER_ADDRESS: Reply =
    Reply::fixed(425, "Data connections need a control connection over TCP.");
pub(super) const NO_PORT: Reply =
    Reply::fixed(425, "No port is free for a data connection; try again later.");
pub(super) const NOTHING_DONE: Reply = Reply::fixed(200, "Nothing done.");
pub(super) const PASS_BEFORE_USER: Reply = Reply::fixed(503, "USER comes first.");
pub(super) const PASSIVE_FIRST: Reply = Reply::fixed(425, "Use EPSV or PASV first.");
pub(super) const PASSWORD_PLEASE: Reply =
    Reply::fixed(331, "Send the password; anonymous may send anything.");
pub(super) const READ_ONLY: Reply = Reply::fixed(550, "Nothing can be changed here over FTP.");
pub(super) const REINITIALIZED: Reply = Reply::fixed(220, "Ready for another login.");
pub(super) const RNFR_FIRST: Reply = Reply::fixed(503, "RNFR comes first.");
pub(super) const STOPPING: Reply = Reply::fixed(421, "The server is stopping; goodbye.");
pub(super) const SUPERFLUOUS: Reply = Reply::fixed(202, "Not needed here.");
pub(super) const SYSTEM: Reply = Reply::fixed(215, "UNIX Type: L8");
pub(super) const TOO_MANY_COMMANDS: Reply = Reply::fixed(421, "Too many commands without a login; goodbye.");
pub(super) const TOO_MANY_CONNECTIONS: Reply =
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
    }
}

/// The answer to what a call on the tree came to. An opening's answer is the first of two: see [`ended`].
pub(super) fn outcome(outcome: &Outcome) -> Reply {
    match outcome {
        Outcome::Admitted(_) => WELCOME,
        Outcome::Denied => DENIED,
        Outcome::Moved(_) => Reply::fixed(250, "Done."),
        Outcome::Measured(len) => Reply::new(213, len.to_string().into_bytes()),
        Outcome::Dated(time) => dated(*time),
        Outcome::Described { path, row } => {
            let line = [&b" "[..], row, &path.to_bytes()].concat();
            Reply::block(250, &b"Facts:"[..], vec![line.into()])
        }
        Outcome::Opened(opening) => opened(opening),
        Outcome::Reported(_) => Reply::fixed(213, "End"),
        Outcome::Failed { sent, failure } => failed(sent, failure),
    }
}

fn dated(time: SystemTime) -> Reply {
    match Moment::of(time) {
        Some(moment) => Reply::new(213, moment.stamp().to_string().into_bytes()),
        None => Reply::fixed(550, "Its time is beyond what MDTM can say."),
    }
}

fn opened(opening: &Opening) -> Reply {
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
        Failure::Tree(error) => (code(error.kind()), error.kind().as_str()),
        Failure::Path(why) => return Reply::new(550, why.clone().into_bytes()),
        Failure::NotAFile => (550, "not a file"),
        Failure::NotAFolder => (501, "not a folder; MLST describes files"),
        Failure::LenUnknown => (550, "its length is not known before it is read"),
        Failure::LenInAscii => (550, "its length in TYPE A is not known; use TYPE I"),
        Failure::TimeUnknown => (550, "its time is not known"),
        Failure::RestartInAscii => (554, "a transfer restarts in TYPE I only"),
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
        Ended::NoConnection(_) => Reply::fixed(425, "The data connection could not be accepted."),
        Ended::Stalled => Reply::fixed(426, "Nothing was taken for too long; the data connection is closed."),
        Ended::PeerLost(_) => Reply::fixed(426, "The data connection broke."),
        Ended::Shrank => Reply::fixed(451, "The file became shorter while it was sent."),
        Ended::SourceFailed(error) => {
            // After the first reply a missing file is a local error like any other (RFC 959 §5.4).
            let code = match code(error.kind()) {
                450 => 450,
                _ => 451,
            };
            Reply::new(code, format!("The transfer broke off: {}.", error.kind()).into_bytes())
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
        ErrorKind::Busy | ErrorKind::TimedOut | ErrorKind::Unavailable | ErrorKind::NotYet => 450,
        ErrorKind::Truncated | ErrorKind::Changed | ErrorKind::LimitExceeded | ErrorKind::Internal => 451,
    }
}

/// The answer to FEAT (RFC 2389 §3.2): what goes beyond RFC 959, and all of it.
pub(super) fn features(facts: Facts) -> Reply {
    let mut lines: Vec<Cow<'static, [u8]>> =
        [&b" CLNT"[..], b" EPSV", b" HOST", b" MDTM"].map(Cow::from).to_vec();
    lines.push(format!(" MLST {}", facts.feature()).into_bytes().into());
    lines.extend([&b" REST STREAM"[..], b" SIZE", b" TVFS", b" UTF8"].map(Cow::from));
    Reply::block(211, &b"Features:"[..], lines)
}

/// The answer to HELP: every verb that is understood. Clients ask for those of SITE too.
pub(super) fn help(about: Option<&[u8]>) -> Reply {
    if about.is_some_and(|about| about.eq_ignore_ascii_case(b"SITE")) {
        return HELP_SITE;
    }
    let line = |verbs: &[&str]| format!(" {}", verbs.join(" ")).into_bytes().into();
    Reply::block(214, &b"Commands:"[..], VERBS.chunks(11).map(line).collect())
}

/// The answer to PWD (RFC 959 appendix II): quotes within the path are doubled.
pub(super) fn working_folder(path: &VPath) -> Reply {
    let mut text = vec![b'"'];
    for byte in path.to_bytes() {
        text.push(byte);
        if byte == b'"' {
            text.push(b'"');
        }
    }
    text.extend_from_slice(b"\" is the working folder.");
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

/// The answer to `OPTS MLST`.
pub(super) fn facts_chosen(facts: Facts) -> Reply {
    Reply::new(200, format!("MLST OPTS {}", facts.list()).into_bytes())
}

/// The answer to REST.
pub(super) fn restart(offset: u64) -> Reply {
    Reply::new(350, format!("Restarting at {offset}; send RETR.").into_bytes())
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
        let text = encoded(&features(Facts::ALL));
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
            assert!(matches!(reply.code, 450 | 451), "{kind:?}: {}", reply.code);
        }
    }
}

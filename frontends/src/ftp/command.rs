//! Lines → typed commands (RFC 959 §5.3, RFC 2428, 3659, 7151). Pure; paths stay bytes until a session resolves them.

use super::facts::Facts;
use super::wire::Line;

/// What a peer wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// ABOR: stop the transfer.
    Abort,
    /// ALLO, and what else needs nothing done.
    Superfluous,
    /// CDUP: the folder above.
    Up,
    /// CLNT: the client names itself.
    Client,
    /// CWD: another working folder.
    Change(Vec<u8>),
    /// EPSV: listen, and say the port.
    ExtendedPassive(Extended),
    /// FEAT: what goes beyond RFC 959.
    Features,
    /// HELP, with the command it is about.
    Help(Option<Vec<u8>>),
    /// HOST: which of several sites (RFC 7151).
    Host(String),
    /// LIST, NLST, MLSD: a folder's rows over a data connection.
    List(Format, Option<Vec<u8>>),
    /// MDTM: the time of the last change.
    Modified(Vec<u8>),
    /// MLST: one row of facts in the reply.
    Facts(Option<Vec<u8>>),
    /// MODE S, STRU F: what is so anyway.
    Confirm,
    /// NOOP: nothing.
    Nothing,
    /// OPTS MLST: which facts to show.
    ChooseFacts(Facts),
    /// OPTS UTF8 ON: names are UTF-8 anyway.
    Utf8,
    /// PASS: the password.
    Password(Vec<u8>),
    /// PASV: listen, and say address and port.
    Passive,
    /// PWD: the working folder.
    Where,
    /// QUIT: the end.
    Quit,
    /// REIN: forget who is there.
    Reinitialize,
    /// REST: where the next transfer starts.
    Restart(u64),
    /// RETR: a file.
    Retrieve(Vec<u8>),
    /// SIZE: how long a file is.
    Size(Vec<u8>),
    /// STAT, with a path to list in the reply.
    Status(Option<Vec<u8>>),
    /// SYST: the system.
    System,
    /// TYPE: how files are sent.
    Type(Representation),
    /// USER: who is there.
    User(Vec<u8>),
    /// A change of the tree, which this server does not make.
    Write,
    /// RNTO, which only follows a RNFR that was answered.
    RenameTo,
}

/// How files are sent (RFC 959 §3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Representation {
    /// Lines end with CRLF.
    Ascii,
    /// Bytes as they are.
    Image,
}

/// What the rows of a listing look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// LIST: as `ls -l` prints them.
    Long,
    /// NLST: names, fit to be sent back.
    Names,
    /// MLSD: facts (RFC 3659 §7).
    Facts,
}

/// The argument of EPSV (RFC 2428 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extended {
    /// Over the control connection's protocol.
    Any,
    /// From now on EPSV alone.
    All,
    /// Over the protocol with this number: 1 is IPv4, 2 is IPv6.
    Protocol(u32),
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody knows the verb.
    Unknown,
    /// The line had no end in sight.
    TooLong,
    /// The first word of another protocol's request.
    Foreign,
    /// FTP knows the verb, this server does not.
    NotImplemented,
    /// The argument is wrong: how it should be.
    Syntax(&'static str),
    /// The argument is right and not done here.
    Parameter,
}

type Result<T, E = Refusal> = std::result::Result<T, E>;

/// Verbs that are answered with more than a refusal: what HELP shows.
pub(super) const VERBS: [&str; 33] = [
    "ABOR", "ALLO", "CDUP", "CLNT", "CWD", "EPSV", "FEAT", "HELP", "HOST", "LIST", "MDTM", "MLSD", "MLST",
    "MODE", "NLST", "NOOP", "OPTS", "PASS", "PASV", "PWD", "QUIT", "REIN", "REST", "RETR", "SIZE", "STAT",
    "STRU", "SYST", "TYPE", "USER", "XCUP", "XCWD", "XPWD",
];

/// What a line asks for.
pub(super) fn interpret(line: Line) -> Result<Command> {
    match line {
        Line::Text(text) => parse(&text),
        Line::TooLong => Err(Refusal::TooLong),
    }
}

fn parse(line: &[u8]) -> Result<Command> {
    let (verb, argument) = match line.iter().position(|byte| *byte == b' ') {
        // One space parts verb and argument; more of them belong to a name.
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &b""[..]),
    };
    let verb = verb.to_ascii_uppercase();
    Ok(match &verb[..] {
        b"ABOR" => Command::Abort,
        b"ALLO" => Command::Superfluous,
        b"CDUP" | b"XCUP" => Command::Up,
        b"CLNT" => Command::Client,
        b"CWD" | b"XCWD" => Command::Change(path(argument)?),
        b"EPSV" => Command::ExtendedPassive(extended(argument)?),
        b"FEAT" => Command::Features,
        b"HELP" => Command::Help(optional(argument)),
        b"HOST" => Command::Host(host(argument)?),
        b"LIST" => Command::List(Format::Long, optional(without_options(argument))),
        b"NLST" => Command::List(Format::Names, optional(without_options(argument))),
        b"MLSD" => Command::List(Format::Facts, optional(argument)),
        b"MDTM" => Command::Modified(path(argument)?),
        b"MLST" => Command::Facts(optional(argument)),
        b"MODE" => confirm(argument, b"S")?,
        b"NOOP" => Command::Nothing,
        b"OPTS" => options(argument)?,
        b"PASS" => Command::Password(argument.to_vec()),
        b"PASV" => Command::Passive,
        b"PWD" | b"XPWD" => Command::Where,
        b"QUIT" => Command::Quit,
        b"REIN" => Command::Reinitialize,
        b"REST" => Command::Restart(offset(argument)?),
        b"RETR" => Command::Retrieve(path(argument)?),
        b"SIZE" => Command::Size(path(argument)?),
        b"STAT" => Command::Status(optional(argument).map(|argument| reported(&argument))),
        b"STRU" => confirm(argument, b"F")?,
        b"SYST" => Command::System,
        b"TYPE" => Command::Type(representation(argument)?),
        b"USER" => Command::User(name(argument)?),
        b"APPE" | b"DELE" | b"MFMT" | b"MKD" | b"RMD" | b"RNFR" | b"STOR" | b"STOU" | b"XMKD" | b"XRMD" => {
            Command::Write
        }
        b"RNTO" => Command::RenameTo,
        b"ACCT" | b"ADAT" | b"AUTH" | b"CCC" | b"CONF" | b"ENC" | b"EPRT" | b"LANG" | b"LPRT" | b"LPSV"
        | b"MIC" | b"PBSZ" | b"PORT" | b"PROT" | b"SITE" | b"SMNT" => return Err(Refusal::NotImplemented),
        b"CONNECT" | b"DELETE" | b"EHLO" | b"GET" | b"HEAD" | b"OPTIONS" | b"PATCH" | b"POST" | b"PRI"
        | b"PUT" => return Err(Refusal::Foreign),
        _ => return Err(Refusal::Unknown),
    })
}

fn path(argument: &[u8]) -> Result<Vec<u8>> {
    optional(argument).ok_or(Refusal::Syntax("Say which path."))
}

fn optional(argument: &[u8]) -> Option<Vec<u8>> {
    (!argument.is_empty()).then(|| argument.to_vec())
}

fn name(argument: &[u8]) -> Result<Vec<u8>> {
    optional(argument).ok_or(Refusal::Syntax("Say who you are: USER anonymous."))
}

/// Takes the options of `ls` off the front (`-a`, `-la`, `--`): listings show everything there is in any case.
fn without_options(mut argument: &[u8]) -> &[u8] {
    loop {
        argument = argument.trim_ascii_start();
        if argument.first() != Some(&b'-') {
            return argument;
        }
        let end = argument.iter().position(|byte| *byte == b' ').unwrap_or(argument.len());
        let (option, rest) = argument.split_at(end);
        argument = rest;
        if option == b"--" {
            return argument.trim_ascii_start();
        }
    }
}

/// STAT with nothing but options lists the working folder.
fn reported(argument: &[u8]) -> Vec<u8> {
    optional(without_options(argument)).unwrap_or_else(|| b".".to_vec())
}

/// MODE and STRU: one value is what is done anyway (RFC 959 §3.1.2, §3.4).
fn confirm(argument: &[u8], only: &[u8]) -> Result<Command> {
    match argument.trim_ascii() {
        b"" => Err(Refusal::Syntax("Say which one.")),
        chosen if chosen.eq_ignore_ascii_case(only) => Ok(Command::Confirm),
        _ => Err(Refusal::Parameter),
    }
}

fn representation(argument: &[u8]) -> Result<Representation> {
    match &argument.trim_ascii().to_ascii_uppercase()[..] {
        b"A" | b"A N" => Ok(Representation::Ascii),
        b"I" | b"L 8" | b"L8" => Ok(Representation::Image),
        b"" => Err(Refusal::Syntax("Say which type: A or I.")),
        _ => Err(Refusal::Parameter),
    }
}

fn extended(argument: &[u8]) -> Result<Extended> {
    match argument.trim_ascii() {
        b"" => Ok(Extended::Any),
        all if all.eq_ignore_ascii_case(b"ALL") => Ok(Extended::All),
        protocol => match number(protocol).and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Ok(Extended::Protocol(number)),
            None => Err(Refusal::Syntax("EPSV takes nothing, ALL, 1 or 2.")),
        },
    }
}

fn offset(argument: &[u8]) -> Result<u64> {
    number(argument.trim_ascii()).ok_or(Refusal::Syntax("REST takes a number of bytes."))
}

fn number(digits: &[u8]) -> Option<u64> {
    // `parse` would take a sign too.
    let digits = digits.iter().all(u8::is_ascii_digit).then_some(digits)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// RFC 7151 §3.1: a name, or an address in brackets.
fn host(argument: &[u8]) -> Result<String> {
    let name = argument.trim_ascii();
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    match std::str::from_utf8(name) {
        Ok(name) if !name.is_empty() && name.bytes().all(|byte| valid(&byte)) => {
            Ok(name.to_ascii_lowercase())
        }
        _ => Err(Refusal::Syntax("HOST takes a host's name.")),
    }
}

fn options(argument: &[u8]) -> Result<Command> {
    let argument = argument.trim_ascii();
    let (about, value) = match argument.iter().position(|byte| *byte == b' ') {
        Some(at) => (&argument[..at], argument[at..].trim_ascii()),
        None => (argument, &b""[..]),
    };
    match &about.to_ascii_uppercase()[..] {
        b"UTF8" | b"UTF-8" if value.is_empty() || value.eq_ignore_ascii_case(b"ON") => Ok(Command::Utf8),
        b"UTF8" | b"UTF-8" => Err(Refusal::Parameter),
        b"MLST" => Ok(Command::ChooseFacts(Facts::chosen(value))),
        _ => Err(Refusal::Syntax("OPTS takes UTF8 ON, or MLST and facts.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    #[test]
    fn lines_become_commands() {
        use Command as C;
        for (line, command) in [
            ("noop", C::Nothing),
            ("NoOp  x", C::Nothing),
            ("list -la", C::List(Format::Long, None)),
            ("LIST -a my dir", C::List(Format::Long, Some(bytes("my dir")))),
            ("LIST -a -- -x", C::List(Format::Long, Some(bytes("-x")))),
            ("LIST ", C::List(Format::Long, None)),
            ("NLST -1 d", C::List(Format::Names, Some(bytes("d")))),
            ("MLSD -a", C::List(Format::Facts, Some(bytes("-a")))),
            ("CWD  a ", C::Change(bytes(" a "))),
            ("XCUP", C::Up),
            ("TYPE a n", C::Type(Representation::Ascii)),
            ("TYPE L 8", C::Type(Representation::Image)),
            ("type i", C::Type(Representation::Image)),
            ("MODE s", C::Confirm),
            ("STRU F", C::Confirm),
            ("EPSV", C::ExtendedPassive(Extended::Any)),
            ("EPSV all", C::ExtendedPassive(Extended::All)),
            ("EPSV 2", C::ExtendedPassive(Extended::Protocol(2))),
            ("opts utf8 on", C::Utf8),
            ("OPTS UTF8", C::Utf8),
            ("OPTS MLST size;modify;", C::ChooseFacts(Facts::chosen(b"size;modify;"))),
            ("REST 18446744073709551615", C::Restart(u64::MAX)),
            ("STAT", C::Status(None)),
            ("STAT -l", C::Status(Some(bytes(".")))),
            ("STAT -l d", C::Status(Some(bytes("d")))),
            ("HOST FTP.example.ORG", C::Host("ftp.example.org".to_owned())),
            ("HELP", C::Help(None)),
            ("PASS ", C::Password(vec![])),
            ("STOR x", C::Write),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn wrong_lines_are_refused_with_their_reason() {
        use Refusal as R;
        for (line, refusal) in [
            ("", R::Unknown),
            ("\u{16}\u{3}\u{1}", R::Unknown),
            ("NOOPX", R::Unknown),
            (" NOOP", R::Unknown),
            ("GET / HTTP/1.1", R::Foreign),
            ("PORT 127,0,0,1,0,22", R::NotImplemented),
            ("ACCT x", R::NotImplemented),
            ("MODE Z", R::Parameter),
            ("STRU R", R::Parameter),
            ("TYPE E", R::Parameter),
            ("TYPE L 7", R::Parameter),
            ("OPTS UTF8 OFF", R::Parameter),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(refusal), "{line}");
        }
        for line in [
            "CWD",
            "RETR ",
            "SIZE",
            "USER",
            "REST",
            "REST -1",
            "REST +1",
            "REST 1x",
            "REST 18446744073709551616",
            "EPSV x",
            "EPSV 99999999999",
            "TYPE",
            "OPTS",
            "OPTS x",
            "HOST",
            "HOST a b",
            "MODE",
        ] {
            assert!(matches!(parse(line.as_bytes()), Err(R::Syntax(_))), "{line}");
        }
    }

    #[test]
    fn help_shows_what_is_understood_and_all_of_it() {
        for verb in VERBS {
            assert!(
                !matches!(parse(verb.as_bytes()), Err(Refusal::Unknown | Refusal::NotImplemented)),
                "{verb}"
            );
        }
        assert!(VERBS.is_sorted());
    }

    proptest::proptest! {
        #[test]
        fn any_line_parses(line in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            let _ = parse(&line);
        }
    }
}

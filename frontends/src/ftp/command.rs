//! Lines → typed commands (RFC 959 §5.3, RFC 2428, 3659, 7151). Pure; paths stay bytes until a session resolves them.

mod edit;
mod endpoint;
mod hash;
mod site;
mod switches;

use std::net::SocketAddr;

use vfs::ByteRange;
use vfs::producer::Algorithm;

pub(super) use self::edit::{Edit, Form, dated};
pub(super) use self::hash::{Answer, Hashing};
pub(super) use self::switches::Switches;
use super::facts::Facts;
use super::wire::Line;

/// What a peer wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// ABOR: stop the transfer.
    Abort,
    /// PORT, EPRT: connect to the client.
    Active(SocketAddr),
    /// AUTH TLS: the control connection goes on inside TLS.
    Authenticate,
    /// PBSZ: how large protected pieces are.
    BufferSize,
    /// ALLO, and what else needs nothing done.
    Superfluous,
    /// CDUP: the folder above.
    Up,
    /// CLNT: the client names itself.
    Client,
    /// CSID: the client names itself and wants our name.
    Identify,
    /// CWD: another working folder.
    Change(Vec<u8>),
    /// EPSV: listen, and say the port.
    ExtendedPassive(Extended),
    /// HASH, XCRC and their kin: the hash of a file.
    Hash(Hashing, Vec<u8>),
    /// OPTS HASH: which hash; without one the answer tells.
    ChooseHash(Option<Algorithm>),
    /// FEAT: what goes beyond RFC 959.
    Features,
    /// HELP, with the command it is about.
    Help(Option<Vec<u8>>),
    /// LANG: the language of replies, which is English.
    Language,
    /// HOST: which of several sites (RFC 7151).
    Host(String),
    /// LIST, NLST, MLSD: a folder's rows over a data connection.
    List(Format, Switches, Option<Vec<u8>>),
    /// MDTM: the time of the last change.
    Modified(Vec<u8>),
    /// MLST: one row of facts in the reply.
    Facts(Option<Vec<u8>>),
    /// MODE S, STRU F, PRET: what is so anyway.
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
    /// PROT: whether data connections are inside TLS.
    Protect(Protection),
    /// PWD: the working folder.
    Where,
    /// QUIT: the end.
    Quit,
    /// REIN: forget who is there.
    Reinitialize,
    /// REST, RANG: which bytes the next transfer moves.
    Restart(ByteRange),
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
    /// STOR, APPE, STOU: a file from the client.
    Store(Store, Vec<u8>),
    /// A change of the tree at a path.
    Edit(Edit, Vec<u8>),
    /// RNFR, SITE CPFR: what is to be moved or copied.
    From(Errand, Vec<u8>),
    /// RNTO, SITE CPTO: where to.
    To(Errand, Vec<u8>),
    /// SITE IDLE: how many seconds this session may do nothing; without a number the answer tells.
    IdleLimit(Option<u64>),
    /// SITE HELP: the commands of SITE.
    SiteHelp,
}

/// What becomes of the file that an upload names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// STOR: it is replaced, or goes on at the offset of REST.
    Replace,
    /// APPE: it grows.
    Append,
    /// STOU: it stays, and the upload gets a name of its own.
    Unique,
}

/// What two commands in a row do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// RNFR and RNTO: it gets another name.
    Rename,
    /// SITE CPFR and CPTO: it gets a second copy.
    Copy,
}

/// The levels of PROT (RFC 2228 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// C: none.
    Clear,
    /// P: inside TLS.
    Private,
    /// S and E, which TLS does not have.
    Other,
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
    /// A network protocol that nobody speaks here.
    Protocol,
}

type Result<T, E = Refusal> = std::result::Result<T, E>;

/// Verbs that are answered with more than a refusal, and what follows each: what HELP shows.
pub(super) const VERBS: [(&str, &str); 62] = [
    ("ABOR", ""),
    ("ALLO", "[bytes]"),
    ("APPE", "path"),
    ("AUTH", "TLS"),
    ("CDUP", ""),
    ("CLNT", "name"),
    ("CSID", "name=value;"),
    ("CWD", "path"),
    ("DELE", "path"),
    ("EPRT", "|protocol|address|port|"),
    ("EPSV", "[1|2|ALL]"),
    ("FEAT", ""),
    ("HASH", "path"),
    ("HELP", "[command]"),
    ("HOST", "name"),
    ("LANG", "[en]"),
    ("LIST", "[-alRt] [path]"),
    ("MD5", "path"),
    ("MDTM", "path"),
    ("MFF", "fact=value; path"),
    ("MFMT", "YYYYMMDDhhmmss path"),
    ("MKD", "path"),
    ("MLSD", "[path]"),
    ("MLST", "[path]"),
    ("MODE", "S"),
    ("NLST", "[-alRt] [path]"),
    ("NOOP", ""),
    ("OPTS", "UTF8 ON | MLST facts | HASH algorithm"),
    ("PASS", "password"),
    ("PASV", ""),
    ("PBSZ", "0"),
    ("PORT", "a,b,c,d,high,low"),
    ("PRET", "command"),
    ("PROT", "C|P"),
    ("PWD", ""),
    ("QUIT", ""),
    ("RANG", "first last"),
    ("REIN", ""),
    ("REST", "offset"),
    ("RETR", "path"),
    ("RMD", "path"),
    ("RNFR", "path"),
    ("RNTO", "path"),
    ("SITE", "command"),
    ("SIZE", "path"),
    ("STAT", "[path]"),
    ("STOR", "path"),
    ("STOU", "[path]"),
    ("STRU", "F"),
    ("SYST", ""),
    ("TYPE", "A|I"),
    ("USER", "name"),
    ("XCRC", "path"),
    ("XCUP", ""),
    ("XCWD", "path"),
    ("XMD5", "path"),
    ("XMKD", "path"),
    ("XPWD", ""),
    ("XRMD", "path"),
    ("XSHA1", "path"),
    ("XSHA256", "path"),
    ("XSHA512", "path"),
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
        b"AUTH" => authenticate(argument)?,
        b"PBSZ" => buffer_size(argument)?,
        b"PROT" => Command::Protect(protection(argument)?),
        b"ALLO" => Command::Superfluous,
        b"CDUP" | b"XCUP" => Command::Up,
        b"CLNT" => Command::Client,
        b"CSID" => Command::Identify,
        b"CWD" | b"XCWD" => Command::Change(path(argument)?),
        b"EPRT" => endpoint::extended_port(argument)?,
        b"EPSV" => Command::ExtendedPassive(extended(argument)?),
        b"FEAT" => Command::Features,
        b"HASH" => hash::hash(argument)?,
        b"MD5" => hash::md5(argument)?,
        b"XCRC" => hash::ranged(Algorithm::Crc32, argument)?,
        b"XMD5" => hash::ranged(Algorithm::Md5, argument)?,
        b"XSHA" | b"XSHA1" => hash::ranged(Algorithm::Sha1, argument)?,
        b"XSHA256" => hash::ranged(Algorithm::Sha256, argument)?,
        b"XSHA512" => hash::ranged(Algorithm::Sha512, argument)?,
        b"HELP" => Command::Help(optional(argument)),
        b"HOST" => Command::Host(host(argument)?),
        b"LANG" => language(argument)?,
        b"LIST" => listing(Format::Long, argument),
        b"NLST" => listing(Format::Names, argument),
        // RFC 3659 §7: a path and nothing else.
        b"MLSD" => Command::List(Format::Facts, Switches::default(), optional(argument)),
        b"MDTM" => Command::Modified(path(argument)?),
        b"MLST" => Command::Facts(optional(argument)),
        b"MODE" => confirm(argument, b"S")?,
        b"NOOP" => Command::Nothing,
        b"OPTS" => options(argument)?,
        b"PASS" => Command::Password(argument.to_vec()),
        b"PASV" => Command::Passive,
        b"PORT" => endpoint::port(argument)?,
        // What comes next over the data connection makes no difference here.
        b"PRET" => Command::Confirm,
        b"PWD" | b"XPWD" => Command::Where,
        b"QUIT" => Command::Quit,
        b"REIN" => Command::Reinitialize,
        b"RANG" => Command::Restart(range(argument)?),
        b"REST" => Command::Restart(ByteRange::from(offset(argument)?)),
        b"RETR" => Command::Retrieve(path(argument)?),
        b"SIZE" => Command::Size(path(argument)?),
        b"STAT" => Command::Status(optional(argument).map(|argument| reported(&argument))),
        b"STRU" => confirm(argument, b"F")?,
        b"SYST" => Command::System,
        b"TYPE" => Command::Type(representation(argument)?),
        b"USER" => Command::User(name(argument)?),
        b"APPE" => Command::Store(Store::Append, path(argument)?),
        b"STOR" => Command::Store(Store::Replace, path(argument)?),
        b"STOU" => Command::Store(Store::Unique, argument.to_vec()),
        b"DELE" => Command::Edit(Edit::RemoveFile, path(argument)?),
        b"MKD" | b"XMKD" => Command::Edit(Edit::CreateFolder, path(argument)?),
        b"RMD" | b"XRMD" => Command::Edit(Edit::RemoveFolder, path(argument)?),
        b"MFMT" => edit::modify_time(argument)?,
        b"MFF" => edit::modify_facts(argument)?,
        b"RNFR" => Command::From(Errand::Rename, path(argument)?),
        b"RNTO" => Command::To(Errand::Rename, path(argument)?),
        b"SITE" => site::parse(argument)?,
        b"ACCT" | b"ADAT" | b"CCC" | b"CONF" | b"ENC" | b"LPRT" | b"LPSV" | b"MIC" | b"SMNT" => {
            return Err(Refusal::NotImplemented);
        }
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

fn listing(format: Format, argument: &[u8]) -> Command {
    let (switches, path) = Switches::split(argument);
    Command::List(switches.format(format), switches, optional(path))
}

/// STAT with nothing but options lists the working folder.
fn reported(argument: &[u8]) -> Vec<u8> {
    optional(Switches::split(argument).1).unwrap_or_else(|| b".".to_vec())
}

/// MODE and STRU: one value is what is done anyway (RFC 959 §3.1.2, §3.4).
fn confirm(argument: &[u8], only: &[u8]) -> Result<Command> {
    match argument.trim_ascii() {
        b"" => Err(Refusal::Syntax("Say which one.")),
        chosen if chosen.eq_ignore_ascii_case(only) => Ok(Command::Confirm),
        _ => Err(Refusal::Parameter),
    }
}

/// AUTH: TLS under its names (RFC 4217 §4), and the older one that curl asks for first.
fn authenticate(argument: &[u8]) -> Result<Command> {
    match &argument.trim_ascii().to_ascii_uppercase()[..] {
        b"TLS" | b"TLS-C" | b"SSL" | b"TLS-P" => Ok(Command::Authenticate),
        b"" => Err(Refusal::Syntax("Say which one: AUTH TLS.")),
        _ => Err(Refusal::Parameter),
    }
}

fn buffer_size(argument: &[u8]) -> Result<Command> {
    number(argument.trim_ascii())
        .map(|_| Command::BufferSize)
        .ok_or(Refusal::Syntax("PBSZ takes a number: 0."))
}

fn protection(argument: &[u8]) -> Result<Protection> {
    match &argument.trim_ascii().to_ascii_uppercase()[..] {
        b"C" => Ok(Protection::Clear),
        b"P" => Ok(Protection::Private),
        b"S" | b"E" => Ok(Protection::Other),
        b"" => Err(Refusal::Syntax("Say which level: C or P.")),
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

/// `RANG first last` counts the last byte in; `RANG 1 0` means all (draft-bryan-ftp-range-08 §3).
fn range(argument: &[u8]) -> Result<ByteRange> {
    const USAGE: Refusal = Refusal::Syntax("RANG takes the first byte and the last one, or 1 0 for all.");
    let mut numbers = argument.trim_ascii().split(|byte| *byte == b' ').map(number);
    match (numbers.next().flatten(), numbers.next().flatten(), numbers.next()) {
        (Some(1), Some(0), None) => Ok(ByteRange::default()),
        (Some(first), Some(last), None) if first <= last && last < u64::MAX => {
            Ok(ByteRange { start: first, end: Some(last + 1) })
        }
        _ => Err(USAGE),
    }
}

/// RFC 2640 §4.1: without an argument the language at the start comes back.
fn language(argument: &[u8]) -> Result<Command> {
    let tag = argument.trim_ascii().to_ascii_lowercase();
    match tag.is_empty() || tag == b"en" || tag.starts_with(b"en-") {
        true => Ok(Command::Language),
        false => Err(Refusal::Parameter),
    }
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
        b"HASH" if value.is_empty() => Ok(Command::ChooseHash(None)),
        b"HASH" => match hash::chosen(value) {
            Some(algorithm) => Ok(Command::ChooseHash(Some(algorithm))),
            None => Err(Refusal::Syntax("OPTS HASH takes CRC32, MD5, SHA-1, SHA-256 or SHA-512.")),
        },
        _ => Err(Refusal::Syntax("OPTS takes UTF8 ON, MLST and facts, or HASH and an algorithm.")),
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
            ("list -la", C::List(Format::Long, Switches { long: true, ..Switches::default() }, None)),
            ("NLST -l", C::List(Format::Long, Switches { long: true, ..Switches::default() }, None)),
            ("LIST -a my dir", C::List(Format::Long, Switches::default(), Some(bytes("my dir")))),
            ("LIST -a -- -x", C::List(Format::Long, Switches::default(), Some(bytes("-x")))),
            ("LIST ", C::List(Format::Long, Switches::default(), None)),
            ("NLST -1 d", C::List(Format::Names, Switches::default(), Some(bytes("d")))),
            ("MLSD -a", C::List(Format::Facts, Switches::default(), Some(bytes("-a")))),
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
            ("REST 18446744073709551615", C::Restart(ByteRange::from(u64::MAX))),
            ("RANG 0 9", C::Restart(ByteRange { start: 0, end: Some(10) })),
            ("RANG 1 0", C::Restart(ByteRange::default())),
            ("LANG EN-us", C::Language),
            ("PRET RETR x", C::Confirm),
            ("STAT", C::Status(None)),
            ("STAT -l", C::Status(Some(bytes(".")))),
            ("STAT -l d", C::Status(Some(bytes("d")))),
            ("HOST FTP.example.ORG", C::Host("ftp.example.org".to_owned())),
            ("HELP", C::Help(None)),
            ("PASS ", C::Password(vec![])),
            ("STOR x", C::Store(Store::Replace, bytes("x"))),
            ("APPE x y", C::Store(Store::Append, bytes("x y"))),
            ("STOU", C::Store(Store::Unique, bytes(""))),
            ("DELE x", C::Edit(Edit::RemoveFile, bytes("x"))),
            ("XMKD x", C::Edit(Edit::CreateFolder, bytes("x"))),
            ("RMD x", C::Edit(Edit::RemoveFolder, bytes("x"))),
            ("RNFR a b", C::From(Errand::Rename, bytes("a b"))),
            ("RNTO b", C::To(Errand::Rename, bytes("b"))),
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
            ("EPRT |3|x|22|", R::Protocol),
            ("ACCT x", R::NotImplemented),
            ("LANG fr", R::Parameter),
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
            "RANG",
            "RANG 5",
            "RANG 5 4",
            "RANG 1 2 3",
            "RANG 0 18446744073709551615",
            "REST +1",
            "REST 1x",
            "REST 18446744073709551616",
            "EPRT x",
            "EPSV x",
            "PORT x",
            "EPSV 99999999999",
            "TYPE",
            "OPTS",
            "OPTS x",
            "HOST",
            "HOST a b",
            "MODE",
            "STOR",
            "APPE ",
            "DELE",
            "RNTO",
            "SITE",
        ] {
            assert!(matches!(parse(line.as_bytes()), Err(R::Syntax(_))), "{line}");
        }
    }

    #[test]
    fn help_shows_what_is_understood_and_all_of_it() {
        for (verb, _) in VERBS {
            assert!(
                !matches!(parse(verb.as_bytes()), Err(Refusal::Unknown | Refusal::NotImplemented)),
                "{verb}"
            );
        }
        assert!(VERBS.is_sorted_by_key(|(verb, _)| *verb));
    }

    proptest::proptest! {
        #[test]
        fn any_line_parses(line in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            let _ = parse(&line);
        }
    }
}

//! Lines → commands: the verbs there are, and how what follows each is read.

use vfs::ByteRange;
use vfs::producer::Algorithm;

use super::argument::{
    authenticate, buffer_size, confirm, extended, host, language, listing, name, offset, optional, path,
    protection, range, reported, representation,
};
use super::{
    Command, Edit, Errand, Format, Refusal, Result, Room, Store, Switches, edit, endpoint, hash, site,
};
use crate::ftp::facts::Facts;
use crate::ftp::wire::Line;

/// Verbs that are answered with more than a refusal, and what follows each: what HELP shows.
pub(in crate::ftp) const VERBS: [(&str, &str); 63] = [
    ("ABOR", ""),
    ("ALLO", "[bytes]"),
    ("APPE", "path"),
    ("AUTH", "TLS"),
    ("AVBL", "[path]"),
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
pub(in crate::ftp) fn interpret(line: Line) -> Result<Command> {
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
        b"AVBL" => Command::Room(Room::Number, argument.to_vec()),
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
    use super::super::{Extended, Representation};
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
            ("AVBL", C::Room(Room::Number, bytes(""))),
            ("avbl a b", C::Room(Room::Number, bytes("a b"))),
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

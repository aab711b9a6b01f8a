//! SITE: what other servers have under it and clients ask for. Pure.

use vfs::SetAttributes;

use super::argument::{number, path};
use super::edit::{Edit, Form, mode};
use super::{Command, Errand, Refusal, Result, Room};
use crate::clock::Moment;

const CHMOD: Refusal = Refusal::Syntax("SITE CHMOD takes an octal mode and a path.");
const UTIME: Refusal =
    Refusal::Syntax("SITE UTIME takes YYYYMMDDhhmmss and a path, or a path, three times and UTC.");
const SYMLINK: Refusal = Refusal::Syntax("SITE SYMLINK takes a target and a path, parted by one space.");
const IDLE: Refusal = Refusal::Syntax("SITE IDLE takes a number of seconds.");

/// What the argument of SITE asks for.
pub(super) fn parse(argument: &[u8]) -> Result<Command> {
    let (verb, argument) = halves(argument).unwrap_or((argument, b""));
    match &verb.to_ascii_uppercase()[..] {
        b"" => Err(Refusal::Syntax("SITE HELP tells what there is.")),
        b"HELP" => Ok(Command::SiteHelp),
        b"CHMOD" => chmod(argument),
        b"UTIME" => utime(argument),
        b"CPFR" => Ok(Command::From(Errand::Copy, path(argument)?)),
        b"CPTO" => Ok(Command::To(Errand::Copy, path(argument)?)),
        b"DF" => Ok(Command::Room(Room::Sentence, argument.to_vec())),
        b"SYMLINK" => symlink(argument),
        b"IDLE" => match argument.trim_ascii() {
            b"" => Ok(Command::IdleLimit(None)),
            seconds => Ok(Command::IdleLimit(Some(number(seconds).ok_or(IDLE)?))),
        },
        _ => Err(Refusal::Parameter),
    }
}

fn chmod(argument: &[u8]) -> Result<Command> {
    let (digits, path) = halves(argument).ok_or(CHMOD)?;
    let mode = mode(digits).ok_or(CHMOD)?;
    set(SetAttributes { mode: Some(mode), ..SetAttributes::default() }, path, CHMOD)
}

/// Two forms are about: `YYYYMMDDhhmm[ss] path`, and `path ATIME MTIME CTIME UTC`.
fn utime(argument: &[u8]) -> Result<Command> {
    if let Some((path, accessed, modified)) = times_last(argument) {
        let attributes = SetAttributes {
            modified: Some(modified.time()),
            accessed: Some(accessed.time()),
            ..SetAttributes::default()
        };
        return set(attributes, path, UTIME);
    }
    let (time, path) = halves(argument).ok_or(UTIME)?;
    let modified = moment(time).ok_or(UTIME)?.time();
    set(SetAttributes { modified: Some(modified), ..SetAttributes::default() }, path, UTIME)
}

/// The form with three times, where it is that.
fn times_last(argument: &[u8]) -> Option<(&[u8], Moment, Moment)> {
    let (rest, zone) = last_word(argument)?;
    let (rest, changed) = last_word(rest)?;
    let (rest, modified) = last_word(rest)?;
    let (path, accessed) = last_word(rest)?;
    // The third is when attributes changed, which no system lets anybody set.
    let _ = moment(changed)?;
    zone.eq_ignore_ascii_case(b"UTC").then_some((path, moment(accessed)?, moment(modified)?))
}

fn symlink(argument: &[u8]) -> Result<Command> {
    let (target, path) = halves(argument).ok_or(SYMLINK)?;
    match target.is_empty() || path.is_empty() {
        true => Err(SYMLINK),
        false => Ok(Command::Edit(Edit::Link(target.to_vec()), path.to_vec())),
    }
}

fn set(attributes: SetAttributes, path: &[u8], usage: Refusal) -> Result<Command> {
    if path.is_empty() {
        return Err(usage);
    }
    Ok(Command::Edit(Edit::SetAttributes(attributes, Form::Plain), path.to_vec()))
}

/// A time with or without its seconds.
fn moment(text: &[u8]) -> Option<Moment> {
    match text.len() {
        12 => Moment::parse(&[text, b"00"].concat()),
        _ => Moment::parse(text),
    }
}

fn halves(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..at], &text[at + 1..]))
}

fn last_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|byte| *byte == b' ')?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn what_clients_ask_for_is_understood() {
        let plain = |attributes, path: &str| {
            Command::Edit(Edit::SetAttributes(attributes, Form::Plain), path.as_bytes().to_vec())
        };
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let none = SetAttributes::default();
        for (line, command) in [
            ("help", Command::SiteHelp),
            ("CHMOD 0644 my file", plain(SetAttributes { mode: Some(0o644), ..none }, "my file")),
            ("chmod 600  x", plain(SetAttributes { mode: Some(0o600), ..none }, " x")),
            ("UTIME 197001010001 my file", plain(SetAttributes { modified: at(60), ..none }, "my file")),
            ("UTIME 19700101000001 f", plain(SetAttributes { modified: at(1), ..none }, "f")),
            (
                "UTIME my file 19700101000001 19700101000002 19700101000003 UTC",
                plain(SetAttributes { accessed: at(1), modified: at(2), ..none }, "my file"),
            ),
            ("CPFR a b", Command::From(Errand::Copy, b"a b".to_vec())),
            ("CPTO c", Command::To(Errand::Copy, b"c".to_vec())),
            ("SYMLINK ../a my link", Command::Edit(Edit::Link(b"../a".to_vec()), b"my link".to_vec())),
            ("DF", Command::Room(Room::Sentence, Vec::new())),
            ("df a b", Command::Room(Room::Sentence, b"a b".to_vec())),
            ("IDLE", Command::IdleLimit(None)),
            ("IDLE 60", Command::IdleLimit(Some(60))),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_half_said_is_refused() {
        for line in [
            "",
            "CHMOD",
            "CHMOD 644",
            "CHMOD 644 ",
            "CHMOD u+x f",
            "CHMOD 888 f",
            "UTIME",
            "UTIME f",
            "UTIME 2020 f",
            "CPFR",
            "CPTO ",
            "SYMLINK a",
            "SYMLINK  b",
            "SYMLINK a ",
            "IDLE x",
            "IDLE -1",
        ] {
            assert!(matches!(parse(line.as_bytes()), Err(Refusal::Syntax(_))), "{line}");
        }
        assert_eq!(parse(b"EXEC ls"), Err(Refusal::Parameter));
    }
}

//! What follows a verb: words, numbers and paths, each read by one function.

use vfs::ByteRange;

use super::{Command, Extended, Format, Protection, Refusal, Representation, Result, Switches};

pub(super) fn path(argument: &[u8]) -> Result<Vec<u8>> {
    optional(argument).ok_or(Refusal::Syntax("Say which path."))
}

pub(super) fn optional(argument: &[u8]) -> Option<Vec<u8>> {
    (!argument.is_empty()).then(|| argument.to_vec())
}

pub(super) fn name(argument: &[u8]) -> Result<Vec<u8>> {
    optional(argument).ok_or(Refusal::Syntax("Say who you are: USER anonymous."))
}

pub(super) fn listing(format: Format, argument: &[u8]) -> Command {
    let (switches, path) = Switches::split(argument);
    Command::List(switches.format(format), switches, optional(path))
}

/// STAT with nothing but options lists the working folder.
pub(super) fn reported(argument: &[u8]) -> Vec<u8> {
    optional(Switches::split(argument).1).unwrap_or_else(|| b".".to_vec())
}

/// MODE and STRU: one value is what is done anyway (RFC 959 §3.1.2, §3.4).
pub(super) fn confirm(argument: &[u8], only: &[u8]) -> Result<Command> {
    match argument.trim_ascii() {
        b"" => Err(Refusal::Syntax("Say which one.")),
        chosen if chosen.eq_ignore_ascii_case(only) => Ok(Command::Confirm),
        _ => Err(Refusal::Parameter),
    }
}

/// AUTH: TLS under its names (RFC 4217 §4), and the older one that curl asks for first.
pub(super) fn authenticate(argument: &[u8]) -> Result<Command> {
    match &argument.trim_ascii().to_ascii_uppercase()[..] {
        b"TLS" | b"TLS-C" | b"SSL" | b"TLS-P" => Ok(Command::Authenticate),
        b"" => Err(Refusal::Syntax("Say which one: AUTH TLS.")),
        _ => Err(Refusal::Parameter),
    }
}

pub(super) fn buffer_size(argument: &[u8]) -> Result<Command> {
    number(argument.trim_ascii())
        .map(|_| Command::BufferSize)
        .ok_or(Refusal::Syntax("PBSZ takes a number: 0."))
}

pub(super) fn protection(argument: &[u8]) -> Result<Protection> {
    match &argument.trim_ascii().to_ascii_uppercase()[..] {
        b"C" => Ok(Protection::Clear),
        b"P" => Ok(Protection::Private),
        b"S" | b"E" => Ok(Protection::Other),
        b"" => Err(Refusal::Syntax("Say which level: C or P.")),
        _ => Err(Refusal::Parameter),
    }
}

pub(super) fn representation(argument: &[u8]) -> Result<Representation> {
    match &argument.trim_ascii().to_ascii_uppercase()[..] {
        b"A" | b"A N" => Ok(Representation::Ascii),
        b"I" | b"L 8" | b"L8" => Ok(Representation::Image),
        b"" => Err(Refusal::Syntax("Say which type: A or I.")),
        _ => Err(Refusal::Parameter),
    }
}

pub(super) fn extended(argument: &[u8]) -> Result<Extended> {
    match argument.trim_ascii() {
        b"" => Ok(Extended::Any),
        all if all.eq_ignore_ascii_case(b"ALL") => Ok(Extended::All),
        protocol => match number(protocol).and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Ok(Extended::Protocol(number)),
            None => Err(Refusal::Syntax("EPSV takes nothing, ALL, 1 or 2.")),
        },
    }
}

pub(super) fn offset(argument: &[u8]) -> Result<u64> {
    number(argument.trim_ascii()).ok_or(Refusal::Syntax("REST takes a number of bytes."))
}

/// `RANG first last` counts the last byte in; `RANG 1 0` means all (draft-bryan-ftp-range-08 §3).
pub(super) fn range(argument: &[u8]) -> Result<ByteRange> {
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
pub(super) fn language(argument: &[u8]) -> Result<Command> {
    let tag = argument.trim_ascii().to_ascii_lowercase();
    match tag.is_empty() || tag == b"en" || tag.starts_with(b"en-") {
        true => Ok(Command::Language),
        false => Err(Refusal::Parameter),
    }
}

pub(super) fn number(digits: &[u8]) -> Option<u64> {
    // `parse` would take a sign too.
    let digits = digits.iter().all(u8::is_ascii_digit).then_some(digits)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// RFC 7151 §3.1: a name, or an address in brackets.
pub(super) fn host(argument: &[u8]) -> Result<String> {
    let name = argument.trim_ascii();
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    match std::str::from_utf8(name) {
        Ok(name) if !name.is_empty() && name.bytes().all(|byte| valid(&byte)) => {
            Ok(name.to_ascii_lowercase())
        }
        _ => Err(Refusal::Syntax("HOST takes a host's name.")),
    }
}

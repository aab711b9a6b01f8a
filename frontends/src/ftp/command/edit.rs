//! Changes that one call makes: files and folders removed or made, and attributes (draft-somers-ftp-mfxx-04). Pure.

use vfs::SetAttributes;

use super::argument::path;
use super::{Command, Refusal, Result};
use crate::clock::Moment;

/// A change of the tree at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ftp) enum Edit {
    /// DELE: a file goes.
    RemoveFile,
    /// RMD: an empty folder goes.
    RemoveFolder,
    /// MKD: a folder comes.
    CreateFolder,
    /// Attributes are set; the answer has this form.
    SetAttributes(SetAttributes, Form),
    /// SITE SYMLINK: a link with this text comes.
    Link(Vec<u8>),
}

/// How the answer tells of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ftp) enum Form {
    /// MFMT, MFF: 213 and the facts as they are now.
    Facts,
    /// SITE: 200.
    Plain,
}

/// `MFMT YYYYMMDDhhmmss path`.
pub(super) fn modify_time(argument: &[u8]) -> Result<Command> {
    const USAGE: Refusal = Refusal::Syntax("MFMT takes a time, YYYYMMDDhhmmss, and a path.");
    let (attributes, path) = dated(argument).ok_or(USAGE)?;
    Ok(Command::Edit(Edit::SetAttributes(attributes, Form::Facts), path.to_vec()))
}

/// `MFF Modify=YYYYMMDDhhmmss;UNIX.mode=0644; path`.
pub(super) fn modify_facts(argument: &[u8]) -> Result<Command> {
    const USAGE: Refusal = Refusal::Syntax("MFF takes facts, each with its `;`, a space, and a path.");
    let at = argument.iter().position(|byte| *byte == b' ').ok_or(USAGE)?;
    let facts = argument[..at].strip_suffix(b";").ok_or(USAGE)?;
    let mut attributes = SetAttributes::default();
    for fact in facts.split(|byte| *byte == b';') {
        let equals = fact.iter().position(|byte| *byte == b'=').ok_or(USAGE)?;
        let (name, value) = (&fact[..equals], &fact[equals + 1..]);
        match &name.to_ascii_lowercase()[..] {
            b"modify" => attributes.modified = Some(Moment::parse(value).ok_or(USAGE)?.time()),
            b"unix.mode" => attributes.mode = Some(mode(value).ok_or(USAGE)?),
            _ => return Err(Refusal::Parameter),
        }
    }
    Ok(Command::Edit(Edit::SetAttributes(attributes, Form::Facts), path(&argument[at + 1..])?))
}

/// A time and the path it is for: `YYYYMMDDhhmmss path`.
pub(in crate::ftp) fn dated(argument: &[u8]) -> Option<(SetAttributes, &[u8])> {
    let at = argument.iter().position(|byte| *byte == b' ')?;
    let modified = Moment::parse(&argument[..at])?.time();
    let path = &argument[at + 1..];
    let attributes = SetAttributes { modified: Some(modified), ..SetAttributes::default() };
    (!path.is_empty()).then_some((attributes, path))
}

/// Permission bits in octal, four digits at most; not those that make a program run with its owner's or group's rights: they
/// are no client's to set.
pub(super) fn mode(digits: &[u8]) -> Option<u32> {
    let are_octal = digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
    let fits = (1..=4).contains(&digits.len());
    let mode = digits.iter().fold(0, |sum, digit| sum * 8 + u32::from(digit.wrapping_sub(b'0')));
    (are_octal && fits && mode & 0o6000 == 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn set(attributes: SetAttributes) -> Edit {
        Edit::SetAttributes(attributes, Form::Facts)
    }

    #[test]
    fn facts_become_attributes() {
        let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        let time = SetAttributes { modified, ..SetAttributes::default() };
        let both = SetAttributes { mode: Some(0o640), ..time };
        assert_eq!(modify_time(b"19700101000001 my file"), Ok(Command::Edit(set(time), b"my file".to_vec())));
        assert_eq!(
            modify_facts(b"modify=19700101000001;UNIX.mode=0640; my file"),
            Ok(Command::Edit(set(both), b"my file".to_vec()))
        );
        assert_eq!(modify_facts(b"Create=19700101000001; x"), Err(Refusal::Parameter));
    }

    #[test]
    fn half_a_fact_is_refused() {
        for wrong in ["", "x", "20200101000000", "20200101000000 ", "20201301000000 x"] {
            assert!(matches!(modify_time(wrong.as_bytes()), Err(Refusal::Syntax(_))), "{wrong}");
        }
        for wrong in ["", "x", "; x", "UNIX.mode=0640 x", "UNIX.mode=0640;", "UNIX.mode=8; x", "modify=; x"] {
            assert!(matches!(modify_facts(wrong.as_bytes()), Err(Refusal::Syntax(_))), "{wrong}");
        }
        for wrong in ["", "8", "-1", "00000", "+7", "4755", "2755"] {
            assert_eq!(mode(wrong.as_bytes()), None, "{wrong}");
        }
    }
}

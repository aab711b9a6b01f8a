//! Rows of MLST and MLSD: `fact=value;… name` (RFC 3659 §7.2).

use bytes::Bytes;

use super::date::stamped;
use super::tokens::number;
use super::{Facts, Row};
use crate::metadata::{FileType, Owner};

/// The mode of every link (symlink(7)), and what is longer than any link's text. ProFTPD without `ShowSymlinks`, as for
/// anonymous users, tells both of a link that it otherwise shows as the file it leads to.
const LINK_MODE: u32 = 0o777;
const LINK_BYTES: u64 = 4096;

/// What a row of facts tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backends::ftp) enum Machine {
    /// An entry.
    Entry(Row),
    /// The listed folder itself, by the name that the site has for it.
    Here(Bytes),
    /// The folder above.
    Above,
}

/// Reads one row; `None` where it is none, or does not say what it tells of.
pub(in crate::backends::ftp) fn machine(line: &[u8]) -> Option<Machine> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (facts, name) = (&line[..space], &line[space + 1..]);
    if name.is_empty() || !(facts.is_empty() || facts.contains(&b'=')) {
        return None;
    }
    let mut found = Facts::new(FileType::File);
    let (mut kind, mut user, mut group) = (None, None, None);
    for fact in facts.split(|byte| *byte == b';') {
        let Some(at) = fact.iter().position(|byte| *byte == b'=') else { continue };
        let (key, value) = (fact[..at].to_ascii_lowercase(), &fact[at + 1..]);
        match key.as_slice() {
            b"type" => kind = Some(value),
            b"size" => found.len = number(value),
            b"modify" => found.modified = stamped(value),
            b"unique" => found.unique = Some(Bytes::copy_from_slice(value)),
            b"unix.mode" => found.mode = octal(value),
            b"unix.uid" | b"unix.owner" => user = user.or_else(|| id(value)),
            b"unix.gid" | b"unix.group" => group = group.or_else(|| id(value)),
            _ => {}
        }
    }
    found.owner = user.zip(group).map(|(user, group)| Owner { user, group });
    let kind = kind?;
    let name = Bytes::copy_from_slice(name);
    match kind.to_ascii_lowercase().as_slice() {
        b"cdir" => return Some(Machine::Here(name)),
        b"pdir" => return Some(Machine::Above),
        b"file" => {}
        b"dir" => found.file_type = FileType::Dir,
        kind if kind.starts_with(b"os.unix=slink") || kind.starts_with(b"os.unix=symlink") => {
            found.file_type = FileType::Symlink;
        }
        _ => found.file_type = FileType::Other,
    }
    if found.file_type == FileType::Symlink {
        let target = kind.iter().position(|byte| *byte == b':').map(|at| &kind[at + 1..]);
        found.target = target.filter(|target| !target.is_empty()).map(Bytes::copy_from_slice);
    }
    if found.file_type != FileType::File {
        found.len = None;
    }
    found.may_be_link = found.mode == Some(LINK_MODE) && found.len.is_some_and(|len| len < LINK_BYTES);
    Some(Machine::Entry(Row { name, facts: found }))
}

fn octal(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    // pyftpdlib writes as Python does.
    u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok().map(|mode| mode & 0o7777)
}

fn id(text: &[u8]) -> Option<u32> {
    number(text).and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_tell_what_they_tell_of() {
        for (line, name, file_type, len, target) in [
            ("type=file;size=7;modify=20240229101112; a b", "a b", FileType::File, Some(7), None),
            ("Type=FILE;Size=7; x;y=z", "x;y=z", FileType::File, Some(7), None),
            ("type=dir;size=4096;  lead", " lead", FileType::Dir, None, None),
            ("type=OS.unix=slink:/to/it;size=3; link", "link", FileType::Symlink, None, Some("/to/it")),
            ("type=OS.unix=symlink; link", "link", FileType::Symlink, None, None),
            ("type=OS.unix=chr-1/3; null", "null", FileType::Other, None, None),
            ("size=99999999999999999999;type=file; huge", "huge", FileType::File, None, None),
        ] {
            let Some(Machine::Entry(row)) = machine(line.as_bytes()) else { panic!("{line}") };
            let found = (&row.name[..], row.facts.file_type, row.facts.len, row.facts.target.as_deref());
            assert_eq!(found, (name.as_bytes(), file_type, len, target.map(str::as_bytes)), "{line}");
        }
        assert_eq!(machine(b"type=cdir; /x"), Some(Machine::Here(Bytes::from_static(b"/x"))));
        assert_eq!(machine(b"type=pdir; .."), Some(Machine::Above));
        for line in ["", " ", "type=file;", "DELE y", "-rw-r--r-- 1 a b 7 Feb 29 00:00 x", "size=7; untyped"]
        {
            assert_eq!(machine(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn modes_and_owners_are_numbers() {
        let Some(Machine::Entry(row)) = machine(b"type=file;UNIX.mode=0644;UNIX.uid=7;UNIX.gid=8; x") else {
            panic!("it is an entry")
        };
        assert_eq!((row.facts.mode, row.facts.owner), (Some(0o644), Some(Owner { user: 7, group: 8 })));
    }

    proptest! {
        #[test]
        fn no_row_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            machine(&line);
        }
    }
}

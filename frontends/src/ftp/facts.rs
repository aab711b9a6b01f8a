//! Facts about files as MLST and MLSD tell them (RFC 3659 §7). What a tree does not know is not told.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::Write;

use vfs::{FileSystem, FileType, Identity, Metadata, VPath, Writes};

use crate::clock::Moment;

/// A choice of facts, as `OPTS MLST` makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts(u8);

/// The facts by name, in the order in which a row has them. The place of each is its bit in [`Facts`].
const NAMES: [&str; 8] = ["type", "size", "modify", "perm", "unique", "UNIX.mode", "UNIX.uid", "UNIX.gid"];

const TYPE: Facts = Facts(1 << 0);
const SIZE: Facts = Facts(1 << 1);
const MODIFY: Facts = Facts(1 << 2);
const PERM: Facts = Facts(1 << 3);
const UNIQUE: Facts = Facts(1 << 4);
const MODE: Facts = Facts(1 << 5);
const USER: Facts = Facts(1 << 6);
const GROUP: Facts = Facts(1 << 7);

impl Facts {
    /// All facts: the choice at the start of a session.
    pub(super) const ALL: Self = Self(u8::MAX);

    /// The facts of `OPTS MLST size;modify;`: names nobody knows are passed over, none at all is a choice too.
    pub(super) fn chosen(list: &[u8]) -> Self {
        let known = |name: &&[u8]| NAMES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name));
        Self(
            list.split(|byte| *byte == b';')
                .filter_map(|name| known(&name))
                .fold(0, |all, bit| all | 1 << bit),
        )
    }

    /// The answer to `OPTS MLST`: `type;size;`.
    pub(super) fn list(self) -> String {
        self.names(|chosen| if chosen { ";" } else { "" })
    }

    /// The line of FEAT: every fact, a star at those that are chosen.
    pub(super) fn feature(self) -> String {
        self.names(|chosen| if chosen { "*;" } else { ";" })
    }

    /// The names, each followed by what `end` says for it; no end leaves the name out.
    fn names(self, end: impl Fn(bool) -> &'static str) -> String {
        let mut list = String::new();
        for (bit, name) in NAMES.iter().enumerate() {
            let end = end(self.0 & (1 << bit) != 0);
            if !end.is_empty() {
                list.push_str(name);
                list.push_str(end);
            }
        }
        list
    }

    fn has(self, fact: Self) -> bool {
        self.0 & fact.0 != 0
    }

    /// Appends the chosen facts that are known, each with its `;`, and the space before the name.
    /// `target` is what a link leads to, `rights` what may be done with it.
    pub(super) fn write(
        self,
        out: &mut Vec<u8>,
        file_type: Option<FileType>,
        metadata: Option<&Metadata>,
        target: Option<&[u8]>,
        rights: Option<&str>,
    ) {
        if self.has(TYPE)
            && let Some(file_type) = file_type
        {
            out.extend_from_slice(b"type=");
            write_type(out, file_type, target);
            out.push(b';');
        }
        if let Some(metadata) = metadata {
            self.write_metadata(out, metadata);
        }
        if self.has(PERM)
            && let Some(rights) = rights
        {
            put(out, format_args!("perm={rights};"));
        }
        out.push(b' ');
    }

    fn write_metadata(self, out: &mut Vec<u8>, metadata: &Metadata) {
        if let Some(len) = metadata.len
            && self.has(SIZE)
            && metadata.is_file()
        {
            put(out, format_args!("size={len};"));
        }
        if let Some(moment) = metadata.modified.and_then(Moment::of)
            && self.has(MODIFY)
        {
            put(out, format_args!("modify={};", moment.stamp()));
        }
        if let Some(identity) = &metadata.identity
            && self.has(UNIQUE)
        {
            put(out, format_args!("unique={:016x};", fingerprint(identity)));
        }
        if let Some(mode) = metadata.mode
            && self.has(MODE)
        {
            put(out, format_args!("UNIX.mode={mode:04o};"));
        }
        if let Some(owner) = metadata.owner {
            if self.has(USER) {
                put(out, format_args!("UNIX.uid={};", owner.user));
            }
            if self.has(GROUP) {
                put(out, format_args!("UNIX.gid={};", owner.group));
            }
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes every write");
}

/// RFC 3659 §7.5.1; links as most servers write them. A target that a fact cannot hold is left out.
fn write_type(out: &mut Vec<u8>, file_type: FileType, target: Option<&[u8]>) {
    match file_type {
        FileType::File => out.extend_from_slice(b"file"),
        FileType::Dir => out.extend_from_slice(b"dir"),
        FileType::Symlink => {
            out.extend_from_slice(b"OS.unix=slink:");
            let holds = |byte: &u8| *byte > b' ' && *byte != b';' && *byte != 0x7F;
            if let Some(target) = target.filter(|target| target.iter().all(holds)) {
                out.extend_from_slice(target);
            }
        }
        FileType::Other => out.extend_from_slice(b"OS.unix=other"),
    }
}

/// What a session may change, by what the tree takes in and who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Powers {
    /// Nothing.
    None,
    /// It adds, and changes nothing that is there.
    Adding,
    /// It replaces files as a whole.
    Replacing,
    /// It changes files anywhere.
    Changing,
}

impl Powers {
    /// Those of a session at `path`, which changes what is there where it `overwrites`.
    pub(super) fn of(view: &dyn FileSystem, path: &VPath, overwrites: bool) -> Self {
        match (view.capabilities(path).writes, overwrites) {
            (Writes::None, _) => Self::None,
            (Writes::Sequential | Writes::Anywhere, false) => Self::Adding,
            (Writes::Sequential, true) => Self::Replacing,
            (Writes::Anywhere, true) => Self::Changing,
        }
    }

    /// What may be done with what is of this type (RFC 3659 §7.5.5): entering and listing, or reading; and what changes it.
    /// What `is_fixed` is neither removed nor renamed.
    pub(super) fn over(self, file_type: Option<FileType>, is_fixed: bool) -> Option<&'static str> {
        match (file_type?, self) {
            (FileType::Dir, Self::None) => Some("el"),
            (FileType::Dir, Self::Adding) => Some("celm"),
            (FileType::Dir, Self::Replacing | Self::Changing) if is_fixed => Some("celmp"),
            (FileType::Dir, Self::Replacing | Self::Changing) => Some("cdeflmp"),
            (FileType::File, Self::None | Self::Adding) => Some("r"),
            (FileType::File, Self::Replacing) => Some("dfrw"),
            (FileType::File, Self::Changing) => Some("adfrw"),
            (FileType::Symlink | FileType::Other, _) => None,
        }
    }
}

/// The same number for the same file, whatever its version and name (RFC 3659 §7.5.2).
fn fingerprint(identity: &Identity) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut identity = identity;
    loop {
        match identity {
            Identity::Source { name, validator: _ } => {
                name.hash(&mut hasher);
                return hasher.finish();
            }
            Identity::Member { outer, offset, len } => {
                (offset, len).hash(&mut hasher);
                identity = outer;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use vfs::{Owner, Validator};

    use super::*;

    fn row(facts: Facts, metadata: &Metadata, target: Option<&[u8]>) -> String {
        let mut out = Vec::new();
        let rights = Powers::None.over(Some(metadata.file_type), false);
        facts.write(&mut out, Some(metadata.file_type), Some(metadata), target, rights);
        String::from_utf8(out).unwrap()
    }

    fn source(name: &'static str, version: &str) -> Identity {
        Identity::Source { name: name.into(), validator: Some(Validator::Strong(version.into())) }
    }

    #[test]
    fn rows_tell_what_is_known_and_chosen() {
        let mut file = Metadata::new(FileType::File);
        assert_eq!(row(Facts::ALL, &file, None), "type=file;perm=r; ");
        file.len = Some(12);
        file.modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        file.mode = Some(0o640);
        file.owner = Some(Owner { user: 7, group: 8 });
        assert_eq!(
            row(Facts::ALL, &file, None),
            "type=file;size=12;modify=19700101000001;UNIX.mode=0640;UNIX.uid=7;UNIX.gid=8;perm=r; "
        );
        assert_eq!(row(Facts::chosen(b"SIZE;nope;Modify"), &file, None), "size=12;modify=19700101000001; ");
        assert_eq!(row(Facts::chosen(b""), &file, None), " ");
        let mut folder = Metadata::new(FileType::Dir);
        folder.len = Some(4096);
        assert_eq!(row(Facts::ALL, &folder, None), "type=dir;perm=el; ");
        let link = Metadata::new(FileType::Symlink);
        assert_eq!(row(Facts::ALL, &link, Some(b"../a")), "type=OS.unix=slink:../a; ");
        assert_eq!(row(Facts::ALL, &link, Some(b"a;b")), "type=OS.unix=slink:; ");
        assert_eq!(row(Facts::ALL, &link, Some(b"a\nb")), "type=OS.unix=slink:; ");
    }

    #[test]
    fn rights_follow_what_the_tree_takes_in_and_from_whom() {
        for (file_type, powers, is_fixed, rights) in [
            (FileType::File, Powers::None, false, "r"),
            (FileType::File, Powers::Adding, false, "r"),
            (FileType::File, Powers::Replacing, false, "dfrw"),
            (FileType::File, Powers::Changing, false, "adfrw"),
            (FileType::Dir, Powers::None, false, "el"),
            (FileType::Dir, Powers::Adding, false, "celm"),
            (FileType::Dir, Powers::Replacing, false, "cdeflmp"),
            (FileType::Dir, Powers::Changing, true, "celmp"),
        ] {
            assert_eq!(powers.over(Some(file_type), is_fixed), Some(rights), "{file_type} {powers:?}");
        }
        let mut out = Vec::new();
        Facts::chosen(b"perm").write(&mut out, Some(FileType::File), None, None, Some("r"));
        assert_eq!(out, b"perm=r; ");
    }

    #[test]
    fn a_file_keeps_its_number_over_its_versions() {
        assert_eq!(fingerprint(&source("a", "1")), fingerprint(&source("a", "2")));
        assert_ne!(fingerprint(&source("a", "1")), fingerprint(&source("b", "1")));
        let member = |offset| Identity::Member { outer: source("a", "1").into(), offset, len: 3 };
        assert_ne!(fingerprint(&member(0)), fingerprint(&member(1)));
        assert_ne!(fingerprint(&member(0)), fingerprint(&source("a", "1")));
    }

    #[test]
    fn choices_are_confirmed_and_shown() {
        let chosen = Facts::chosen(b"type;UNIX.mode;");
        assert_eq!(chosen.list(), "type;UNIX.mode;");
        assert_eq!(chosen.feature(), "type*;size;modify;perm;unique;UNIX.mode*;UNIX.uid;UNIX.gid;");
    }
}

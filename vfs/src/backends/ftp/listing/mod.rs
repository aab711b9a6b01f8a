//! Listings: the rows of MLSD, and of LIST in its dialects. Pure.
//!
//! LIST was never specified: a row is read by the dialect that the rows before it had, else by the first one that makes
//! sense of it. What no dialect understands is passed over; a listing of which nothing is understood is none.

mod date;
mod dos;
mod eplf;
mod facts;
mod netware;
mod tokens;
mod unix;
mod vms;

use std::time::SystemTime;

use bytes::Bytes;

pub(super) use self::date::{Clock, stamp, stamped};
pub(super) use self::facts::{Machine, machine};
use crate::metadata::{FileType, Owner};

/// What a site says of one file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) file_type: FileType,
    pub(super) len: Option<u64>,
    pub(super) modified: Option<SystemTime>,
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<Owner>,
    /// What the site itself tells files apart by (RFC 3659 §7.5.2).
    pub(super) unique: Option<Bytes>,
    /// Where a link leads.
    pub(super) target: Option<Bytes>,
    /// The time is rounded, or its year or zone was guessed.
    pub(super) approximate: bool,
    /// Length and mode may be those of a link that the site shows as what it leads to.
    pub(super) may_be_link: bool,
}

/// One entry of a listing, its name as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: Bytes,
    pub(super) facts: Facts,
}

/// What a line of a LIST is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An entry.
    Entry(Row),
    /// The heading of a folder's entries, with the folder's name.
    Heading(Bytes),
    /// Nothing of interest: a sum, a blank.
    Nothing,
    /// No dialect knows it.
    Unknown,
}

/// Reads the lines of one LIST.
#[derive(Debug)]
pub(super) struct Lines {
    clock: Clock,
    dialect: Option<Dialect>,
    /// A VMS name whose other columns follow on the next line.
    pending: Option<Bytes>,
}

type Reader = fn(&[u8], &Clock) -> Option<Row>;

/// A way to write rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Eplf,
    Unix,
    Dos,
    Vms,
    NetWare,
}

impl Dialect {
    /// In the order in which they are tried: what is most peculiar first, NetWare last.
    const ALL: [Self; 5] = [Self::Eplf, Self::Dos, Self::Unix, Self::Vms, Self::NetWare];

    fn reader(self) -> Reader {
        match self {
            Self::Eplf => eplf::row,
            Self::Unix => unix::row,
            Self::Dos => dos::row,
            Self::Vms => vms::row,
            Self::NetWare => netware::row,
        }
    }
}

impl Facts {
    /// Facts that know the type and nothing else.
    pub(super) const fn new(file_type: FileType) -> Self {
        Self {
            file_type,
            len: None,
            modified: None,
            mode: None,
            owner: None,
            unique: None,
            target: None,
            approximate: false,
            may_be_link: false,
        }
    }
}

impl Lines {
    /// A reader for a site whose clock is `clock`.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, dialect: None, pending: None }
    }

    /// Reads one line, without its end.
    pub(super) fn read(&mut self, line: &[u8]) -> Line {
        let joined;
        let line = match self.pending.take() {
            Some(name) if line.first().is_some_and(u8::is_ascii_whitespace) => {
                joined = [&name[..], line].concat();
                &joined
            }
            _ => line,
        };
        if tokens::is_nothing(line) {
            return Line::Nothing;
        }
        let known = self.dialect.into_iter().chain(Dialect::ALL);
        for dialect in known {
            if let Some(row) = dialect.reader()(line, &self.clock) {
                self.dialect = Some(dialect);
                return Line::Entry(row);
            }
        }
        if let Some(folder) = tokens::heading(line) {
            return Line::Heading(folder);
        }
        if vms::is_name_alone(line) {
            self.pending = Some(Bytes::copy_from_slice(line));
            return Line::Nothing;
        }
        Line::Unknown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2024-03-01 12:00 UTC.
    const NOW: i64 = 1_709_294_400;

    fn read(text: &str, zone_minutes: i32) -> Vec<Line> {
        let mut lines = Lines::new(Clock::new(NOW, zone_minutes));
        text.split('\n').map(|line| lines.read(line.as_bytes())).collect()
    }

    /// Name, type, length, seconds, target.
    type Told = (String, FileType, Option<u64>, Option<i64>, Option<String>);

    fn entries(text: &str) -> Vec<Told> {
        let text_of = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let entry = |line| match line {
            Line::Entry(Row { name, facts }) => {
                let seconds = facts.modified.map(|time| {
                    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
                });
                Some((
                    text_of(&name),
                    facts.file_type,
                    facts.len,
                    seconds,
                    facts.target.as_ref().map(text_of),
                ))
            }
            _ => None,
        };
        read(text, 0).into_iter().filter_map(entry).collect()
    }

    #[test]
    fn each_dialect_is_read() {
        use FileType::{Dir, File, Other, Symlink};
        let feb_29 = 1_709_164_800; // 2024-02-29 00:00
        for (line, name, file_type, len, seconds) in [
            // Unix and its variants.
            (
                "-rw-r--r--   1 root  wheel   1234 Feb 29 10:11 a b",
                "a b",
                File,
                Some(1234),
                Some(feb_29 + 36_660),
            ),
            ("drwxr-xr-x 2 0 0 4096 Jan 01  2020 dir", "dir", Dir, None, Some(1_577_836_800)),
            ("drwxr-xr-x 2 0 0 4096 Jan  1 2020 dir", "dir", Dir, None, Some(1_577_836_800)),
            ("-rw-r--r-- 1 root 1234 Mar 1 11:59 nogroup", "nogroup", File, Some(1234), Some(NOW - 60)),
            ("-rw-r--r-- 1 a b 7 Mar  2 11:00  leading", " leading", File, Some(7), Some(NOW + 82_800)),
            ("-rw-r--r-- 1 a b 7 Mar  3 12:00 last-year", "last-year", File, Some(7), Some(1_677_844_800)),
            ("-rw-r--r--+ 1 a b 7 2024-02-29 00:00 iso", "iso", File, Some(7), Some(feb_29)),
            (
                "-rw-r--r--. 1 a b 7 2024-02-29 00:00:01.5 +0100 full",
                "full",
                File,
                Some(7),
                Some(feb_29 - 3599),
            ),
            ("-rw-r--r-- 1 a b 7 29 Feb 00:00 day-first", "day-first", File, Some(7), Some(feb_29)),
            ("-rw-r--r-- 1 my user some group 7 Feb 29 00:00 x", "x", File, Some(7), Some(feb_29)),
            ("brw-rw---- 1 root disk 8, 1 Feb 29 00:00 sda1", "sda1", Other, None, Some(feb_29)),
            (
                "-rw-r--r-- 1 a b 99999999999 Feb 29 00:00 huge",
                "huge",
                File,
                Some(99_999_999_999),
                Some(feb_29),
            ),
            ("lrwxrwxrwx 1 a b 3 Feb 29 00:00 link -> to it", "link", Symlink, None, Some(feb_29)),
            ("-rw-r--r-- 1 a b 3 Feb 29 00:00 no -> link", "no -> link", File, Some(3), Some(feb_29)),
            // DOS.
            ("02-29-24  12:00AM       <DIR>          some dir", "some dir", Dir, None, Some(feb_29)),
            ("02-29-2024  01:00PM             1234 f.txt", "f.txt", File, Some(1234), Some(feb_29 + 46_800)),
            ("02-29-24  13:00             1,234 f.txt", "f.txt", File, Some(1234), Some(feb_29 + 46_800)),
            ("2024-02-29  00:00    <JUNCTION>   there", "there", Dir, None, Some(feb_29)),
            // EPLF.
            ("+i8388621.29609,m1709164800,r,s280,\tdjb.html", "djb.html", File, Some(280), Some(feb_29)),
            ("+m1709164800,/,\tsub dir", "sub dir", Dir, None, Some(feb_29)),
            // VMS.
            (
                "00README.TXT;1      2 29-FEB-2024 10:11 [ANONYMOUS] (RWED,RWED,RE,RE)",
                "00README.TXT",
                File,
                None,
                Some(feb_29 + 36_660),
            ),
            (
                "CORE.DIR;1          1  1-JAN-2020 00:00:00 [SYSTEM] (RWE,RWE,RE,RE)",
                "CORE",
                Dir,
                None,
                Some(1_577_836_800),
            ),
            (
                "LOGIN.COM;7  %RMS-E-PRV, insufficient privilege or file protection violation",
                "LOGIN.COM",
                File,
                None,
                None,
            ),
            // NetWare.
            (
                "d [R----F--] supervisor            512       Feb 29 00:00    login",
                "login",
                Dir,
                None,
                Some(feb_29),
            ),
            (
                "- [RWCEAFMS] rhesus             214059       Feb 29 00:00    cx.exe",
                "cx.exe",
                File,
                Some(214_059),
                Some(feb_29),
            ),
        ] {
            let found = entries(line);
            let found: Vec<_> =
                found.iter().map(|(name, kind, len, at, _)| (&name[..], *kind, *len, *at)).collect();
            assert_eq!(found, [(name, file_type, len, seconds)], "{line}");
        }
    }

    #[test]
    fn links_tell_where_they_lead() {
        let found =
            entries("lrwxrwxrwx 1 a b 3 Feb 29 00:00 a -> b -> c\nlrwxrwxrwx 1 a b 3 Feb 29 00:00 bare");
        assert_eq!((found[0].0.as_str(), found[0].4.as_deref()), ("a", Some("b -> c")));
        assert_eq!((found[1].0.as_str(), found[1].4.as_deref()), ("bare", None));
    }

    #[test]
    fn a_long_vms_name_has_its_columns_on_the_next_line() {
        let text = "Directory DISK$USER:[ANONYMOUS]\n\nA_VERY_LONG_FILE_NAME_INDEED.TXT;12\n              3  29-FEB-2024 \
                    00:00  [A,B]  (RWED,,,)\n\nTotal of 1 file, 3 blocks.";
        let found = entries(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "A_VERY_LONG_FILE_NAME_INDEED.TXT");
    }

    #[test]
    fn what_is_no_entry_is_told_apart() {
        for (line, expected) in [
            ("total 12", Line::Nothing),
            ("", Line::Nothing),
            ("/other/folder:", Line::Heading(Bytes::from_static(b"/other/folder"))),
            ("ls: cannot access 'x': Permission denied", Line::Unknown),
            ("<html><body>", Line::Unknown),
            ("-rw-r--r-- 1 a b 7 Feb 30 00:00 no-such-day", Line::Unknown),
            ("-rw-r--r-- 1 a b 7 Feb 29 00:00 ", Line::Unknown),
        ] {
            assert_eq!(read(line, 0), [expected], "{line}");
        }
    }

    #[test]
    fn a_time_is_of_the_sites_zone() {
        let line = "-rw-r--r-- 1 a b 7 Feb 29 10:00 x";
        let time = |zone| match &read(line, zone)[0] {
            Line::Entry(row) => row.facts.modified.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(time(0).duration_since(time(120)).unwrap().as_secs(), 7200);
        assert_eq!(time(-330).duration_since(time(0)).unwrap().as_secs(), 19_800);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..8)) {
            let mut reader = Lines::new(Clock::new(NOW, 90));
            for line in lines {
                if let Line::Entry(row) = reader.read(&line) {
                    prop_assert!(!row.name.is_empty());
                }
            }
        }

        #[test]
        fn no_line_that_looks_right_makes_it_panic(line in "[-dl+0-9][-rwx,;/\\[\\] 0-9:A-Za-z>.]{0,90}") {
            Lines::new(Clock::new(NOW, -720)).read(line.as_bytes());
        }

        #[test]
        fn an_ls_row_gives_its_name_and_length_back(
            name in "[!-~][ -~]{0,40}",
            len in any::<u64>(),
            owner in "[a-z]{1,12}",
            day in 1u8..29,
        ) {
            let line = format!("-rw-r--r--    1 {owner:<8} {owner:<8} {len:>12} Jan {day:>2} 10:11 {name}");
            let mut reader = Lines::new(Clock::new(NOW, 0));
            let Line::Entry(row) = reader.read(line.as_bytes()) else { panic!("{line}") };
            prop_assert_eq!(&row.name[..], name.as_bytes());
            prop_assert_eq!(row.facts.len, Some(len));
        }
    }
}

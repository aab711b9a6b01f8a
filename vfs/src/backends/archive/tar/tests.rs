//! The scanner against archives that GNU tar, Python and hostile hands made.

use super::Scanner;
use super::header::BLOCK_BYTES;
use crate::backends::archive::entry::{Entry, Kind, Piece};

/// Builds an archive block by block.
#[derive(Default)]
struct Maker(Vec<u8>);

impl Maker {
    fn header(mut self, name: &str, letter: u8, size: u64, change: impl FnOnce(&mut [u8])) -> Self {
        let mut block = [0; BLOCK_BYTES];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..107].copy_from_slice(b"0000644");
        block[108..115].copy_from_slice(b"0001750");
        block[116..123].copy_from_slice(b"0000144");
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[136..147].copy_from_slice(b"11145401322");
        block[156] = letter;
        block[257..263].copy_from_slice(b"ustar\0");
        change(&mut block);
        seal(&mut block);
        self.0.extend_from_slice(&block);
        self
    }

    fn plain(self, name: &str, letter: u8, size: u64) -> Self {
        self.header(name, letter, size, |_| {})
    }

    fn link(self, name: &str, letter: u8, to: &str, size: u64) -> Self {
        self.header(name, letter, size, |block| block[157..157 + to.len()].copy_from_slice(to.as_bytes()))
    }

    fn body(mut self, body: &[u8]) -> Self {
        self.0.extend_from_slice(body);
        self.0.resize(self.0.len().next_multiple_of(BLOCK_BYTES), 0);
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.plain(name, b'0', content.len() as u64).body(content)
    }

    fn pax(self, letter: u8, records: &[(&str, &str)]) -> Self {
        let body: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.plain("./PaxHeaders/x", letter, body.len() as u64).body(body.as_bytes())
    }

    /// Content in which a header hides.
    fn smuggling(self) -> Self {
        let hidden = Self::default().plain("smuggled", b'0', 0).body(&[b'.'; BLOCK_BYTES]);
        self.body(&hidden.0)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 2 * BLOCK_BYTES]);
        self.0
    }
}

fn seal(block: &mut [u8; BLOCK_BYTES]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let len = (1..).map(|digits| rest + digits).find(|len| len.to_string().len() + rest == *len);
    format!("{} {key}={value}\n", len.unwrap())
}

#[derive(Debug, PartialEq)]
struct Scanned {
    entries: Vec<Entry>,
    flaw: Option<(u64, String)>,
    is_cut: bool,
    remark: Option<String>,
}

impl Scanned {
    fn names(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.name.escape_ascii().to_string()).collect()
    }

    fn flaw(&self) -> &str {
        self.flaw.as_ref().map_or("", |(_, what)| what)
    }
}

fn by_pieces(archive: &[u8], size: usize) -> Scanned {
    let mut scanner = Scanner::default();
    for piece in archive.chunks(size) {
        scanner.feed(piece);
    }
    end(scanner)
}

/// With reads as short as `size`, which sources may give.
fn by_jumps(archive: &[u8], size: usize) -> Scanned {
    let mut scanner = Scanner::default();
    while !scanner.is_done() {
        scanner.skip(scanner.skippable());
        let at = usize::try_from(scanner.position()).unwrap().min(archive.len());
        let block = &archive[at..archive.len().min(at + size)];
        if block.is_empty() {
            break;
        }
        scanner.feed(block);
    }
    end(scanner)
}

fn end(mut scanner: Scanner) -> Scanned {
    scanner.finish();
    let flaw = scanner.flaw().map(|flaw| (flaw.at, flaw.damage.what.clone()));
    let is_cut = scanner.flaw().is_some_and(|flaw| flaw.damage.cut);
    Scanned { entries: scanner.take_entries(), flaw, is_cut, remark: scanner.remark().map(str::to_owned) }
}

/// Scans in one piece, and checks that how it is cut makes no difference.
fn scan(archive: &[u8]) -> Scanned {
    let whole = by_pieces(archive, usize::MAX);
    for size in [1, 511, 513, 10_240] {
        assert_eq!(by_pieces(archive, size), whole, "by {size}");
    }
    whole
}

#[test]
fn entries_are_found_by_feeding_and_by_jumping() {
    let archive = Maker::default()
        .plain("dir/", b'5', 0)
        .file("dir/a", b"content")
        .link("dir/s", b'2', "a", 0)
        .link("dir/h", b'1', "dir/a", 0)
        .plain("fifo", b'6', 0)
        .file("last", &[7; 2000])
        .end();
    let found = scan(&archive);
    assert_eq!(found.names(), ["dir/", "dir/a", "dir/s", "dir/h", "fifo", "last"]);
    let kinds: Vec<_> = found.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::Dir, Kind::File, Kind::Symlink, Kind::HardLink, Kind::Other, Kind::File]);
    let a = &found.entries[1];
    assert_eq!(
        (a.header, a.data, a.size, a.mode, a.user, a.group),
        (512, 1024, 7, Some(0o644), Some(1000), Some(100))
    );
    assert_eq!(a.modified, Some((1_234_567_890, 0)));
    assert_eq!((&found.entries[2].link[..], &found.entries[3].link[..]), (&b"a"[..], &b"dir/a"[..]));
    assert_eq!((&found.flaw, found.remark.as_deref()), (&None, None));
    for size in [99, BLOCK_BYTES, 1000] {
        assert_eq!(by_jumps(&archive, size).entries, found.entries, "by {size}");
    }
}

#[test]
fn a_prefix_belongs_to_the_name_in_ustar_only() {
    let prefixed = |magic: &'static [u8]| {
        Maker::default()
            .header("name", b'0', 0, |block| {
                block[257..265].copy_from_slice(magic);
                block[345..348].copy_from_slice(b"pre");
            })
            .end()
    };
    assert_eq!(scan(&prefixed(b"ustar\x0000")).names(), ["pre/name"]);
    assert_eq!(scan(&prefixed(b"ustar  \0")).names(), ["name"]);
    assert_eq!(scan(&prefixed(b"\0\0\0\0\0\0\0\0")).names(), ["name"]);
}

#[test]
fn gnu_long_names_and_links_are_read() {
    let (name, link) = ("n".repeat(300), "l".repeat(600));
    let archive = Maker::default()
        .plain("././@LongLink", b'K', 601)
        .body(link.as_bytes())
        .plain("././@LongLink", b'L', 301)
        .body(name.as_bytes())
        .link("short", b'2', "short", 0)
        .file("next", b"")
        .end();
    let found = scan(&archive);
    assert_eq!(found.names(), [name, "next".to_owned()]);
    assert_eq!(found.entries[0].link, link.as_bytes());
}

#[test]
fn sizes_in_base_256_are_read_and_negative_ones_refused() {
    let sized = |size: [u8; 12]| {
        Maker::default()
            .header("a", b'0', 0, |block| block[124..136].copy_from_slice(&size))
            .body(b"abc")
            .end()
    };
    let found = scan(&sized([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]));
    assert_eq!((found.entries[0].size, found.flaw()), (3, ""));
    let found = scan(&sized([0xff; 12]));
    assert_eq!((found.names().len(), found.flaw()), (0, "a header's size is negative"));
    let huge = [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(scan(&sized(huge)).flaw(), "a file of 9223372036854775807 bytes leads beyond 63 bits");
}

#[test]
fn signed_checksums_are_accepted_and_wrong_ones_are_not() {
    let mut archive = Maker::default().plain("caf\u{e9}", b'0', 0).end();
    let block = &mut archive[..BLOCK_BYTES];
    block[148..156].fill(b' ');
    let sum: i32 = block.iter().map(|byte| i32::from(byte.cast_signed())).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(scan(&archive).names(), ["caf\\xc3\\xa9"]);
    archive[0] ^= 1;
    assert!(scan(&archive).flaw().starts_with("a header's checksum is "));
}

#[test]
fn a_pax_size_overrides_the_headers_and_hides_nothing() {
    for stated in [0, 5, 1024] {
        let archive = Maker::default()
            .pax(b'x', &[("size", "1024")])
            .plain("a", b'0', stated)
            .smuggling()
            .file("tail", b"")
            .end();
        let found = scan(&archive);
        assert_eq!((found.names(), found.entries[0].size), (vec!["a".into(), "tail".into()], 1024));
    }
}

#[test]
fn of_two_pax_sizes_the_last_counts() {
    let archive = Maker::default()
        .pax(b'x', &[("size", "5"), ("size", "1024")])
        .plain("a", b'0', 0)
        .smuggling()
        .file("tail", b"")
        .end();
    assert_eq!(scan(&archive).names(), ["a", "tail"]);
}

#[test]
fn a_pax_size_is_the_next_files_and_no_extensions() {
    let archive = Maker::default()
        .pax(b'x', &[("size", "1024")])
        .plain("././@LongLink", b'L', 5)
        .body(b"long")
        .plain("a", b'0', 0)
        .smuggling()
        .file("tail", b"")
        .end();
    assert_eq!(scan(&archive).names(), ["long", "tail"]);
}

#[test]
fn what_a_global_header_makes_ambiguous_is_refused() {
    for (key, value) in [("size", "1024"), ("path", "x"), ("linkpath", "x"), ("GNU.sparse.size", "9")] {
        let archive = Maker::default()
            .file("before", b"x")
            .pax(b'g', &[(key, value)])
            .plain("a", b'0', 0)
            .smuggling()
            .end();
        let found = scan(&archive);
        assert_eq!(found.names(), ["before"]);
        let wanted = format!("a global PAX header sets \"{key}\", which readers take for different things");
        assert_eq!(found.flaw(), wanted);
    }
}

#[test]
fn harmless_global_records_are_defaults() {
    let archive = Maker::default()
        .pax(b'g', &[("comment", "a commit"), ("mtime", "7"), ("uid", "3")])
        .pax(b'x', &[("mtime", "8.5")])
        .file("a", b"")
        .file("b", b"")
        .end();
    let found = scan(&archive);
    assert_eq!(found.entries[0].modified, Some((8, 500_000_000)));
    assert_eq!((found.entries[1].modified, found.entries[1].user), (Some((7, 0)), Some(3)));
}

#[test]
fn pax_records_that_readers_disagree_on_end_the_archive() {
    for (body, wanted) in [
        (record("size", "+5"), "the PAX number \"size=+5\" is none"),
        (record("size", " 5"), "the PAX number \"size= 5\" is none"),
        (record("size", "5x"), "the PAX number \"size=5x\" is none"),
        (record("path", "a\0b"), "the PAX record \"path\" holds a NUL"),
        ("999 path=a\n".to_owned(), "a PAX record is malformed"),
        ("path=a\n".to_owned(), "a PAX record is malformed"),
    ] {
        let archive = Maker::default()
            .file("before", b"x")
            .plain("x", b'x', body.len() as u64)
            .body(body.as_bytes())
            .file("after", b"")
            .end();
        let found = scan(&archive);
        assert_eq!((found.names(), found.flaw()), (vec!["before".to_owned()], wanted));
    }
}

#[test]
fn a_folder_or_hard_link_has_no_body_unless_records_prove_it() {
    for letter in [b'5', b'1'] {
        let archive = Maker::default().link("a", letter, "b", 1024).smuggling().end();
        assert_eq!(scan(&archive).names()[..2], ["a", "smuggled"]);
    }
    let proven = Maker::default()
        .pax(b'x', &[("size", "1024")])
        .link("a", b'1', "b", 1024)
        .smuggling()
        .file("tail", b"")
        .end();
    assert_eq!(scan(&proven).names(), ["a", "tail"]);
}

#[test]
fn a_symlink_or_old_folder_with_a_body_ends_the_archive() {
    for (name, letter, wanted) in [
        ("a", b'2', "a symbolic link states a body of 1024 bytes"),
        ("a/", b'0', "a folder states a body of 1024 bytes"),
    ] {
        let archive = Maker::default().file("before", b"").link(name, letter, "b", 1024).smuggling().end();
        let found = scan(&archive);
        assert_eq!((found.names(), found.flaw()), (vec!["before".to_owned()], wanted));
    }
}

#[test]
fn a_huge_extension_hides_its_entry_or_ends_the_archive() {
    let long = vec![b'n'; (1 << 20) + 1];
    let named =
        Maker::default().plain("L", b'L', long.len() as u64).body(&long).file("a", b"x").file("b", b"").end();
    assert_eq!(by_pieces(&named, 10_240).names(), ["b"]);
    let records = Maker::default().plain("x", b'x', long.len() as u64).body(&long).file("a", b"").end();
    assert!(by_pieces(&records, 10_240).flaw().starts_with("its PAX records take 1048577 bytes"));
}

#[test]
fn bytes_behind_the_end_are_told_and_not_looked_at() {
    let mut archive = Maker::default().file("a", b"").end();
    archive.extend(Maker::default().file("second", b"").end());
    let found = scan(&archive);
    assert_eq!((found.names(), found.flaw()), (vec!["a".to_owned()], ""));
    assert_eq!(found.remark.as_deref(), Some("there are bytes behind its end, which are not looked at"));
}

#[test]
fn one_block_of_zeros_ends_the_archive_with_a_remark() {
    let archive = Maker::default().file("a", b"").body(&[0; BLOCK_BYTES]).file("tail", b"").end();
    let found = scan(&archive);
    assert_eq!(found.names(), ["a"]);
    assert_eq!(
        found.remark.as_deref(),
        Some("one block of zeros ends it, and what follows is not looked at")
    );
}

#[test]
fn a_bad_header_keeps_what_came_before() {
    let archive = Maker::default().file("a", b"x").body(&[b'?'; BLOCK_BYTES]).file("tail", b"").end();
    let found = scan(&archive);
    assert_eq!(found.names(), ["a"]);
    assert_eq!(found.flaw, Some((1024, "a header's checksum is no number".to_owned())));
}

#[test]
fn what_is_damaged_is_passed_over_where_that_is_asked_for() {
    let garbage = [b'?'; BLOCK_BYTES];
    let records = |size: &str| Maker::default().pax(b'x', &[("size", size)]).0;
    for (name, damage, also) in [
        ("no header", &garbage[..], None),
        ("a link with a body", &Maker::default().link("l", b'2', "a", 9).body(b"smuggled").0, None),
        ("records that make no sense", &records("+5"), None),
        // A file whose header is gone shows what is in it.
        (
            "zeros, and a header in content",
            &[&garbage[..], &[0; 1024], &Maker::default().file("in", b"").0].concat(),
            Some("in"),
        ),
    ] {
        let archive =
            [&Maker::default().file("a", b"x").0[..], damage, &Maker::default().file("b", b"y").end()]
                .concat();
        let mut scanner = Scanner::default().resyncing(true);
        scanner.feed(&archive);
        scanner.finish();
        assert!(scanner.flaw().is_none(), "{name}");
        assert!(scanner.remark().unwrap().starts_with("it is damaged at byte 1"), "{name}");
        let names: Vec<_> = scanner.take_entries().into_iter().map(|entry| entry.name).collect();
        let expected: Vec<_> =
            [Some("a"), also, Some("b")].into_iter().flatten().map(str::as_bytes).collect();
        assert_eq!(names, expected, "{name}");
        assert_eq!(scan(&archive).names(), ["a"], "{name}");
    }
}

#[test]
fn a_cut_archive_says_where() {
    let archive = Maker::default().file("a", b"x").file("b", &[1; 1000]).0;
    for (len, names, cut) in [
        (1024, 1, false),
        (1024 + 100, 1, true),
        (1024 + 512 + 999, 2, true),
        // The padding of the last entry: nobody knows what would have followed.
        (1024 + 512 + 1000, 2, true),
        (archive.len(), 2, false),
    ] {
        let found = scan(&archive[..len]);
        assert_eq!((found.names().len(), found.is_cut), (names, cut), "{len}");
    }
}

#[test]
fn old_sparse_maps_are_read() {
    let archive = Maker::default()
        .header("s", b'S', 5, |block| {
            for (at, number) in [4096, 3, 8192, 2].into_iter().enumerate() {
                let field = 386 + 12 * at;
                block[field..field + 11].copy_from_slice(format!("{number:011o}").as_bytes());
            }
            block[483..494].copy_from_slice(format!("{:011o}", 10_000).as_bytes());
        })
        .body(b"abcde")
        .file("tail", b"")
        .end();
    let found = scan(&archive);
    assert_eq!(found.names(), ["s", "tail"]);
    assert_eq!(found.entries[0].size, 10_000);
    let pieces = [Piece { at: 4096, stored: 0, len: 3 }, Piece { at: 8192, stored: 3, len: 2 }];
    assert_eq!(found.entries[0].sparse.as_deref(), Some(&pieces[..]));
}

#[test]
fn pax_sparse_maps_of_all_versions_are_read() {
    let listed = [
        ("GNU.sparse.size", "10000"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.offset", "4096"),
        ("GNU.sparse.numbytes", "3"),
        ("GNU.sparse.offset", "8192"),
        ("GNU.sparse.numbytes", "2"),
    ];
    let mapped = [
        ("GNU.sparse.size", "10000"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.map", "4096,3,8192,2"),
        ("GNU.sparse.name", "s"),
    ];
    let in_body = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.realsize", "10000"),
        ("GNU.sparse.name", "s"),
    ];
    let inline = Maker::default().pax(b'x', &listed).file("s", b"abcde");
    let named = inline.pax(b'x', &mapped).file("GNUSparseFile.1/s", b"abcde");
    let content = Maker::default().body(b"2\n4096\n3\n8192\n2\n").0;
    let archive = named
        .pax(b'x', &in_body)
        .plain("GNUSparseFile.1/s", b'0', 517)
        .body(&[&content[..], b"abcde"].concat());
    let found = scan(&archive.file("tail", b"").end());
    assert_eq!(found.names(), ["s", "s", "s", "tail"], "{:?}", found.flaw);
    let pieces = [Piece { at: 4096, stored: 0, len: 3 }, Piece { at: 8192, stored: 3, len: 2 }];
    for entry in &found.entries[..3] {
        assert_eq!((entry.size, entry.sparse.as_deref()), (10_000, Some(&pieces[..])));
    }
}

#[test]
fn sparse_maps_that_contradict_themselves_end_the_archive() {
    for (map, size, wanted) in [
        ("8,2,4,3", "100", "a sparse map's pieces overlap or are out of order"),
        ("4,3,6,2", "100", "a sparse map's pieces overlap or are out of order"),
        ("4,3,99,2", "100", "a sparse map leads beyond the file"),
        ("4,3,9223372036854775807,2", "9223372036854775807", "a sparse map leads beyond the file"),
        ("4,3,8,3", "100", "a sparse map counts 6 bytes, and 5 are stored"),
        ("4,3,8", "100", "a sparse map's last piece has no length"),
        ("4,-3", "100", "the PAX number \"map=-3\" is none"),
    ] {
        let records = [("GNU.sparse.size", size), ("GNU.sparse.map", map)];
        let archive = Maker::default().pax(b'x', &records).file("s", b"abcde").end();
        assert_eq!(scan(&archive).flaw(), wanted, "{map}");
    }
}

#[test]
fn a_map_of_absurd_length_allocates_nothing() {
    let records = [("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "9"), ("GNU.sparse.name", "s")];
    let archive = Maker::default().pax(b'x', &records).file("s", b"9000000000000000000\n1\n1\n").end();
    assert_eq!(scan(&archive).flaw(), "a sparse map is too long");
}

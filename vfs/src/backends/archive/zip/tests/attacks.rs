//! Archives that were made to deceive. Each row of the list of attacks on zip readers is a test here: the archive is
//! served as far as it is of one piece, and a contradiction costs the member that it is about.

use super::builder::{Archive, EndLies, Entry, end, extra};
use super::{enter, told};
use crate::error::ErrorKind;

/// A good member, to be found beside a bad one.
fn good() -> Entry {
    Entry::stored("good", b"good content")
}

/// Opens the member "bad" beside a good one, which must not suffer, and gives kind and sentence.
async fn open_bad(bad: Entry) -> (ErrorKind, String) {
    assert_eq!(bad.name, b"bad");
    let entered = enter(Archive::of([good(), bad]).build()).await.unwrap();
    assert_eq!(entered.paths(), ["good", "bad"], "it is listed all the same");
    assert_eq!(entered.read("good").await.unwrap(), "good content");
    told(entered.open("bad").await)
}

#[track_caller]
fn assert_told((kind, what): (ErrorKind, String), expected: (ErrorKind, &str)) {
    assert_eq!(kind, expected.0, "{what}");
    assert!(what.contains(expected.1), "{what}");
}

#[tokio::test]
async fn names_that_climb_out_are_hidden() {
    let names = [
        "../up",
        "a/../../up",
        "/abs",
        "//double//slash",
        "./dot",
        "a/../b",
        "nul\0name",
        "C:\\x",
        "\u{1b}[m",
    ];
    let archive = Archive::of(names.map(|name| Entry::stored(name, b"x")));
    let entered = enter(archive.build()).await.unwrap();
    assert_eq!(entered.paths(), ["abs", "double/slash", "dot", "b", "C:\\x", "\u{1b}[m"]);
    assert_eq!(entered.notes.hidden, 3);
}

#[tokio::test]
async fn backslashes_from_dos_are_separators() {
    let archive = Archive::of([Entry { host: 0, ..Entry::stored("..\\..\\up", b"x") }]);
    assert_eq!(enter(archive.build()).await.unwrap().notes.hidden, 1);
    let archive = Archive::of([Entry { host: 0, ..Entry::stored("dir\\file", b"x") }]);
    let entered = enter(archive.build()).await.unwrap();
    assert_eq!(entered.read("dir/file").await.unwrap(), "x");
}

#[tokio::test]
async fn names_disagree_on_their_encoding() {
    let unicode = |name: &[u8], of: &[u8]| {
        extra(0x7075, &[&[1][..], &crc32fast::hash(of).to_le_bytes(), name].concat())
    };
    let archive = Archive::of([
        Entry { extra: unicode("ü".as_bytes(), b"one"), ..Entry::stored("one", b"") },
        Entry { extra: unicode("ü".as_bytes(), b"else"), ..Entry::stored("two", b"") },
        Entry { flags: 1 << 11, host: 0, ..Entry::stored("ä", b"") },
        Entry { host: 0, ..Entry::stored(b"\x84", b"") },
    ]);
    assert_eq!(enter(archive.build()).await.unwrap().paths(), ["ü", "two", "ä", "ä"]);
}

#[tokio::test]
async fn duplicates_and_case() {
    let names = ["a", "A", "a/b", "a"];
    let archive = Archive::of(names.map(|name| Entry::stored(name, name.as_bytes())));
    assert_eq!(enter(archive.build()).await.unwrap().paths(), names);
}

#[tokio::test]
async fn the_local_header_contradicts_the_directory() {
    let bad = Entry::deflated("bad", b"bad content");
    for (what, bad) in [
        ("name", Entry { local_name: Some(b"dab".to_vec()), ..bad.clone() }),
        ("name", Entry { local_name: Some(b"bad.exe".to_vec()), ..bad.clone() }),
        ("method", Entry { local_method: Some(0), ..bad.clone() }),
        ("encryption", Entry { local_flags: Some(1), ..bad.clone() }),
    ] {
        let expected = format!("directory and local header of this member disagree on its {what}");
        assert_told(open_bad(bad).await, (ErrorKind::Corrupt, &expected));
    }
    // The good member takes 46 bytes; behind the bad one's content there is room for a header.
    let mut nowhere = Entry { offset: Some(47), ..bad };
    nowhere.packed.extend([0; 50]);
    assert_told(
        open_bad(nowhere).await,
        (ErrorKind::Corrupt, "no local header is where the directory places"),
    );
}

#[tokio::test]
async fn lengths_and_checksum_are_lies() {
    let deflated = Entry::deflated("bad", b"bad content");
    let stored = Entry::stored("bad", b"bad content");
    let corrupt = |what| (ErrorKind::Corrupt, what);
    for (bad, expected) in [
        (Entry { crc: 1, ..deflated.clone() }, corrupt("its directory says 0x00000001")),
        (Entry { crc: 1, ..stored.clone() }, corrupt("its directory says 0x00000001")),
        (Entry { len: 5, ..deflated.clone() }, corrupt("it holds more than the 5 bytes")),
        (Entry { len: 50, ..deflated.clone() }, corrupt("it holds 11 bytes, and its directory says 50")),
        (Entry { len: 5, ..stored.clone() }, corrupt("its two lengths differ")),
        (Entry { packed_len: 5, ..deflated.clone() }, (ErrorKind::Truncated, "it ends early")),
        (Entry { packed_len: 60, ..deflated }, corrupt("overlaps another one, or the archive's directory")),
        (Entry { packed_len: 60, len: 60, ..stored }, corrupt("overlaps another one")),
    ] {
        assert_told(open_bad(bad).await, expected);
    }
}

#[tokio::test]
async fn a_damaged_stream_is_told() {
    let mut bad = Entry::deflated("bad", &[7; 1000]);
    bad.packed[0] = 0b111;
    assert_told(
        open_bad(bad).await,
        (ErrorKind::Corrupt, "this member is damaged: its deflate stream is wrong"),
    );
}

#[tokio::test]
async fn overlapping_members_are_refused() {
    // The archive of David Fifield: each member quotes the header of the next one.
    let kernel = Entry::stored("kernel", &[7; 4000]);
    let archive = Archive::of([good(), kernel.clone(), Entry::stored("more", b"more")]);
    let mut bytes = archive.build();
    let at = u32::try_from(bytes.windows(6).position(|it| it == b"kernel").unwrap() - 30).unwrap();
    for (name, offset) in [("the same place", at), ("in its content", at + 100)] {
        let quoting = Entry { offset: Some(offset), ..Entry::stored("quoting", &[7; 4000]) };
        let entries = [good(), kernel.clone(), Entry::stored("more", b"more"), quoting];
        bytes = Archive::of(entries).build();
        let entered = enter(bytes).await.unwrap();
        assert_told(told(entered.open("quoting").await), (ErrorKind::Corrupt, "overlaps another one"));
        assert_eq!(told(entered.open("kernel").await).0, ErrorKind::Corrupt, "{name}");
        assert_eq!(entered.read("good").await.unwrap(), "good content");
    }
}

#[tokio::test]
async fn members_that_overlap_by_what_the_directory_does_not_say_are_refused_from_the_first_read_on() {
    // The local header's extra field moves the content onto the next member.
    let inner = Archive::of([Entry::stored("inner", b"abc")]).build()[..38].to_vec();
    let content = [&[7; 50][..], &inner, &[7; 10]].concat();
    let outer = Entry { local_extra: extra(0x7777, &[0; 96]), ..Entry::stored("outer", &content) };
    let quoted = Entry { offset: Some(35 + 100 + 50), ..Entry::stored("inner", b"abc") };
    let entered = enter(Archive::of([outer, quoted]).build()).await.unwrap();
    assert_told(told(entered.open("outer").await), (ErrorKind::Corrupt, "overlaps another one"));
    assert_eq!(entered.read("inner").await.unwrap(), "abc");
}

#[tokio::test]
async fn two_names_for_one_place_are_refused_both() {
    let twin = Entry { offset: Some(0), ..Entry::stored("two", b"abc") };
    let entered = enter(Archive::of([Entry::stored("one", b"abc"), twin]).build()).await.unwrap();
    for name in ["one", "two"] {
        assert_told(told(entered.open(name).await), (ErrorKind::Corrupt, "overlaps another one"));
    }
}

#[tokio::test]
async fn a_bomb_ends_in_an_error() {
    let zeros = vec![0; 600_000];
    let bomb = Entry { len: 1000, ..Entry::deflated("bad", &zeros) };
    assert_told(open_bad(bomb).await, (ErrorKind::Corrupt, "it holds more than the 1000 bytes"));
    let promise = Entry { len: u32::MAX - 1, ..Entry::deflated("bad", &zeros) };
    assert_told(open_bad(promise).await, (ErrorKind::Corrupt, "cannot hold the 4294967294 bytes"));
}

#[tokio::test]
async fn encrypted_and_unknown_members_are_listed_and_say_why() {
    for (bad, kind, expected) in [
        (Entry { flags: 1, ..Entry::stored("bad", b"x") }, ErrorKind::PermissionDenied, "is encrypted"),
        (Entry { method: 98, ..Entry::stored("bad", b"x") }, ErrorKind::Unsupported, "by ppmd"),
        (Entry { method: 77, ..Entry::stored("bad", b"x") }, ErrorKind::Unsupported, "by method 77"),
        (Entry { disk: 3, ..Entry::stored("bad", b"x") }, ErrorKind::Unsupported, "a split archive"),
    ] {
        assert_told(open_bad(bad).await, (kind, expected));
    }
}

#[tokio::test]
async fn a_member_outside_of_the_archive_is_refused() {
    let outside = Entry { offset: Some(10_000_000), ..Entry::stored("bad", b"x") };
    let expected = "the directory places this member behind the archive's members";
    assert_told(open_bad(outside).await, (ErrorKind::Corrupt, expected));
    let far = [u64::MAX; 3].iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>();
    let all = u32::MAX;
    let bad = Entry { len: all, packed_len: all, offset: Some(all), ..Entry::stored("bad", b"x") };
    assert_told(open_bad(Entry { extra: extra(1, &far), ..bad }).await, (ErrorKind::Corrupt, expected));
}

#[tokio::test]
async fn zip64_fields_of_a_member_contradict_themselves() {
    let one = extra(1, &1_u64.to_le_bytes());
    for extra in [extra(1, b"short"), [one.clone(), one].concat()] {
        let bad = Entry { len: u32::MAX, extra, ..Entry::stored("bad", b"x") };
        assert_told(open_bad(bad).await, (ErrorKind::Corrupt, "zip64 field of this member makes no sense"));
    }
}

#[tokio::test]
async fn a_comment_holds_an_end_record() {
    let decoy = |count, len| end(EndLies::default(), count, len, 0, b"");
    // One that ends before the file does is no end record; nor is one that leads nowhere.
    for comment in [[decoy(1, 46), b"tail".to_vec()].concat(), decoy(1, 46), decoy(0, u32::MAX.into())] {
        let archive = Archive { comment: comment.clone(), ..Archive::of([good()]) };
        let entered = enter(archive.build()).await.unwrap();
        assert_eq!(entered.paths(), ["good"]);
        assert_eq!(entered.read("good").await.unwrap(), "good content");
    }
}

#[tokio::test]
async fn of_several_end_records_the_last_that_leads_to_a_directory_counts() {
    let first = Archive::of([good()]).build();
    let second = Archive { prefix: first, ..Archive::of([Entry::stored("second", b"2")]) }.build();
    assert_eq!(enter(second).await.unwrap().paths(), ["second"]);
}

#[tokio::test]
async fn a_comment_full_of_end_records_ends_the_search() {
    let record = end(EndLies { len: Some(9), ..EndLies::default() }, 1, 9, 9, b"");
    let mut comment = Vec::new();
    for behind in (0..2000_u16).rev() {
        let mut decoy = record.clone();
        decoy[20..].copy_from_slice(&(behind * 22).to_le_bytes());
        comment.extend(decoy);
    }
    let archive = Archive { comment, ..Archive::of([good()]) };
    assert_eq!(told(enter(archive.build()).await).0, ErrorKind::Corrupt);
}

#[tokio::test]
async fn bytes_behind_the_end_are_refused() {
    let bytes = [Archive::of([good()]).build(), b"appended".to_vec()].concat();
    assert_told(told(enter(bytes).await), (ErrorKind::Corrupt, "something was appended"));
}

#[tokio::test]
async fn the_end_record_contradicts_itself() {
    let lies = EndLies::default();
    for (lies, kind, expected) in [
        (EndLies { records_here: Some(7), ..lies }, ErrorKind::Corrupt, "two counts of records"),
        (EndLies { len: Some(1 << 30), ..lies }, ErrorKind::Corrupt, "longer than what is before"),
        (
            EndLies { offset: Some(1 << 30), ..lies },
            ErrorKind::Corrupt,
            "does not reach up to its end record",
        ),
        (
            EndLies { len: Some(20), ..lies },
            ErrorKind::Corrupt,
            "no record of its directory begins at its byte",
        ),
        (EndLies { disk: Some(2), ..lies }, ErrorKind::Unsupported, "split into several"),
    ] {
        let archive = Archive { end: lies, ..Archive::of([good()]) };
        assert_told(told(enter(archive.build()).await), (kind, expected));
    }
}

#[tokio::test]
async fn the_end_records_of_zip64_contradict_each_other() {
    let lies = EndLies::default();
    let wide = Archive { zip64: true, ..Archive::of([good()]) };
    for (archive, expected) in [
        (Archive { end: EndLies { records: Some(2), ..lies }, ..wide.clone() }, "contradict each other"),
        (Archive { end: EndLies { offset: Some(1), ..lies }, ..wide.clone() }, "contradict each other"),
        (Archive { end64: EndLies { records_here: Some(1 << 60), ..lies }, ..wide.clone() }, "two counts"),
        (
            Archive { end64: EndLies { len: Some(u64::MAX), ..lies }, ..wide.clone() },
            "longer than what is before",
        ),
        (
            Archive { end64: EndLies { offset: Some(3), ..lies }, ..wide.clone() },
            "disagree on where it begins",
        ),
    ] {
        assert_told(told(enter(archive.build()).await), (ErrorKind::Corrupt, expected));
    }
    let mut bytes = wide.build();
    let record = bytes.windows(4).position(|it| it == b"PK\x06\x06").unwrap();
    bytes[record] = b'X';
    assert_told(told(enter(bytes).await), (ErrorKind::Corrupt, "is not where it is said to be"));
}

#[tokio::test]
async fn absurd_counts_allocate_nothing_and_are_told() {
    for records in [0, 2, 60_000] {
        let end = EndLies { records: Some(records), ..EndLies::default() };
        let entered = enter(Archive { end, ..Archive::of([good()]) }.build()).await.unwrap();
        assert_eq!(entered.read("good").await.unwrap(), "good content");
        let expected = format!("its directory holds 1 records, and its end record says {records}");
        assert_eq!(entered.notes.damage, Some(expected));
    }
    let end64 = EndLies { records: Some(u64::MAX), ..EndLies::default() };
    let wide = Archive { zip64: true, end64, ..Archive::of([good()]) };
    let damage = enter(wide.build()).await.unwrap().notes.damage.unwrap();
    assert!(damage.ends_with("says 18446744073709551615"), "{damage}");
}

#[tokio::test]
async fn what_comes_before_damage_in_the_directory_is_served() {
    let archive = Archive::of([good(), Entry::stored("lost", b"lost")]).build();
    let record = archive.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    let mut no_record = archive.clone();
    no_record[record] = b'X';
    let mut too_long = archive;
    too_long[record + 29] = 0xff;
    for (bytes, expected) in [
        (no_record, format!("no record of its directory begins at its byte {record}")),
        (too_long, format!("its directory ends within the record at its byte {record}")),
    ] {
        let entered = enter(bytes).await.unwrap();
        assert_eq!((entered.paths(), entered.notes.damage.clone()), (vec!["good"], Some(expected)));
        assert_eq!(entered.read("good").await.unwrap(), "good content");
    }
}

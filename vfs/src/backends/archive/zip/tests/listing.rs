//! What is listed, and with how many reads.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::builder::{Archive, Entry, extra};
use super::{Held, enter, enter_file};
use crate::error::ErrorKind;
use crate::metadata::FileType;

#[tokio::test]
async fn members_are_listed_as_the_directory_has_them() {
    let with =
        |name: &str, attributes: u32| Entry { attributes: attributes << 16, ..Entry::stored(name, b"") };
    let archive = Archive::of([
        with("dir/", 0o040_755),
        with("dir/file", 0o100_600),
        with("run", 0o104_755),
        with("link", 0o120_777),
        with("pipe", 0o010_644),
        with("device", 0o020_644),
        with("no type", 0o644),
        with("no slash", 0o040_700),
        Entry { host: 0, attributes: 0x20, ..Entry::stored("from dos", b"") },
    ]);
    let entered = enter(archive.build()).await.unwrap();
    let found: Vec<_> = entered
        .entries
        .iter()
        .map(|entry| (std::str::from_utf8(&entry.path).unwrap(), entry.file_type, entry.mode))
        .collect();
    assert_eq!(
        found,
        [
            ("dir", FileType::Dir, Some(0o755)),
            ("dir/file", FileType::File, Some(0o600)),
            ("run", FileType::File, Some(0o4755)),
            ("link", FileType::Symlink, Some(0o777)),
            ("pipe", FileType::File, Some(0o644)),
            ("device", FileType::Other, Some(0o644)),
            ("no type", FileType::File, Some(0o644)),
            ("no slash", FileType::Dir, Some(0o700)),
            ("from dos", FileType::File, None),
        ]
    );
    let noon = UNIX_EPOCH + Duration::from_secs(1_709_208_000);
    assert!(entered.entries.iter().all(|entry| entry.modified == Some(noon)));
    assert_eq!(entered.notes, super::Notes::default());
}

#[tokio::test]
async fn an_empty_archive_has_no_members() {
    for prefix in [&b""[..], b"#!/bin/sh\n"] {
        let archive = Archive { prefix: prefix.to_vec(), ..Archive::default() };
        assert!(enter(archive.build()).await.unwrap().entries.is_empty());
    }
}

#[tokio::test]
async fn a_small_archive_is_one_read_and_a_member_one_more() {
    let archive = Archive::of([Entry::deflated("a", b"some content"), Entry::stored("b", b"more")]).build();
    let file = Arc::new(Held::new(archive));
    let entered = enter_file(Arc::clone(&file)).await.unwrap();
    assert_eq!(file.reads(), 1);
    assert_eq!(entered.read("a").await.unwrap(), "some content");
    assert_eq!(file.reads(), 2);
}

#[tokio::test]
async fn a_large_directory_comes_in_batches_whatever_the_reads_give() {
    let entries: Vec<_> = (0..9000)
        .map(|number| Entry::stored(format!("{}{number}", "long name ".repeat(number % 20)), b"x"))
        .collect();
    let names: Vec<_> = entries.iter().map(|entry| String::from_utf8(entry.name.clone()).unwrap()).collect();
    let archive = Archive { zip64: true, prefix: vec![0; 77], ..Archive::of(entries) }.build();
    for piece in [usize::MAX, 100_003] {
        let file = Arc::new(Held { piece, ..Held::new(archive.clone()) });
        let entered = enter_file(Arc::clone(&file)).await.unwrap();
        assert_eq!(entered.paths(), names);
        assert_eq!(entered.notes.damage, None);
        // The end, then 1.3 MiB of directory by as much as a producer reads at once.
        assert!(piece < usize::MAX || file.reads() <= 8, "{} reads", file.reads());
        let last = names.last().unwrap();
        assert_eq!(entered.read(last).await.unwrap(), "x");
    }
}

#[tokio::test]
async fn a_prefix_shifts_every_offset_once() {
    let entries = [Entry::stored("a", b"first"), Entry::deflated("b", b"second")];
    for zip64 in [false, true] {
        let prefix = b"#!/bin/sh\nunzip $0\n".to_vec();
        let archive = Archive { prefix, zip64, ..Archive::of(entries.clone()) };
        let entered = enter(archive.build()).await.unwrap();
        assert_eq!(entered.read("a").await.unwrap(), "first");
        assert_eq!(entered.read("b").await.unwrap(), "second");
    }
}

#[tokio::test]
async fn a_later_record_of_a_name_counts() {
    let archive = Archive::of([Entry::stored("a", b"old"), Entry::stored("a", b"new")]);
    let entered = enter(archive.build()).await.unwrap();
    assert_eq!(entered.paths(), ["a", "a"]);
    assert_eq!(entered.read("a").await.unwrap(), "new");
}

#[tokio::test]
async fn zip64_numbers_of_a_member_are_taken_where_the_narrow_ones_refer_to_them() {
    let wide =
        |numbers: &[u64]| extra(1, &numbers.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<_>>());
    let all = u32::MAX;
    let content = Entry::stored("a", b"0123456789");
    for (name, entry) in [
        ("lengths", Entry { len: all, packed_len: all, extra: wide(&[10, 10]), ..content.clone() }),
        (
            "all",
            Entry {
                len: all,
                packed_len: all,
                offset: Some(all),
                extra: wide(&[10, 10, 0]),
                ..content.clone()
            },
        ),
        ("one", Entry { len: all, extra: wide(&[10]), ..content.clone() }),
        ("none is referred to", Entry { extra: wide(&[99, 99]), ..content.clone() }),
    ] {
        let entered = enter(Archive::of([entry]).build()).await.unwrap();
        assert_eq!(entered.read("a").await.unwrap(), "0123456789", "{name}");
    }
}

#[tokio::test]
async fn what_is_no_zip_archive_is_named() {
    let mut tar = vec![b'a'; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let cut = "the archive is damaged: it begins like a zip archive, and no end record is at its end; \
        it was cut short, or something was appended";
    for (file, kind, expected) in [
        (tar, ErrorKind::InvalidInput, "it is no zip archive but a tar archive without compression"),
        (b"\x1f\x8b\x08".to_vec(), ErrorKind::InvalidInput, "it is no zip archive but a gzip stream"),
        (b"plain text".to_vec(), ErrorKind::InvalidInput, "it is no zip archive but something else"),
        (Vec::new(), ErrorKind::InvalidInput, "it is no zip archive but something else"),
        (b"PK\x03\x04\x14".to_vec(), ErrorKind::Corrupt, cut),
    ] {
        assert_eq!(super::told(enter(file).await), (kind, expected.to_owned()));
    }
    let unknown = Held { len_is_known: false, ..Held::new(Archive::default().build()) };
    assert_eq!(super::told(enter_file(Arc::new(unknown)).await).0, ErrorKind::Unsupported);
}

//! Writing anywhere in a file, seen at once; and trees that write in order only.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::Subject;
use super::expect::Expect;
use super::sample::HELLO;
use super::subject::read_all;
use super::writing::every_combination;
use crate::error::ErrorKind;
use crate::file_system::File;
use crate::options::{OpenOptions, WriteMode};

/// What stands in the file that is opened in every way.
const STANDING: &[u8] = b"0123456789";

pub(super) async fn every_way_to_open_a_file_is_the_standard_librarys(subject: &Subject) {
    let path = subject.at("/hollow/file");
    for options in sensible_in_place(subject) {
        subject.write(&path, STANDING).await;
        let opened = subject.open(&path, &options).await;
        if options.create_new {
            opened.must_be(ErrorKind::AlreadyExists, format!("{options:?} on a file"));
            assert_eq!(
                subject.content(&path).await,
                STANDING,
                "create_new leaves what is there: {options:?}"
            );
        } else {
            let start = if options.truncate { b"" } else { STANDING };
            must_work_as(&*opened.must(format!("{options:?} opens a file")), &options, start).await;
        }
    }
}

pub(super) async fn every_way_to_make_a_file_is_the_standard_librarys(subject: &Subject) {
    let path = subject.at("/hollow/file");
    for options in sensible_in_place(subject) {
        let opened = subject.open(&path, &options).await;
        if options.create || options.create_new {
            must_work_as(&*opened.must(format!("{options:?} makes a file")), &options, b"").await;
            subject.tree().remove_file(&path).await.must("the file was made");
        } else {
            opened.must_be(ErrorKind::NotFound, format!("{options:?} on nothing"));
            assert!(subject.names(&subject.at("/hollow")).await.is_empty(), "{options:?} makes nothing");
        }
    }
}

pub(super) async fn what_is_written_in_place_is_seen_at_once(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let reader = subject.reader(&path).await;
    let writer = update(subject, "/hello.txt").await;
    writer.write_at(0, Bytes::from_static(b"HELLO")).await.must("a write in place succeeds");
    assert_eq!(
        &read_all(&*reader).await[..5],
        b"HELLO",
        "an open reader sees at once what is written in place"
    );
    writer
        .write_at(HELLO.len() as u64, Bytes::from_static(b"more"))
        .await
        .must("a write at the end succeeds");
    let found = subject.metadata(&path).await.must("the file is there");
    assert_eq!(found.len, Some(HELLO.len() as u64 + 4), "the new length is seen at once");
    drop(writer);
    assert!(
        subject.content(&path).await.ends_with(b"more"),
        "what was written in place stays when it is dropped"
    );
}

pub(super) async fn a_write_changes_its_own_bytes_only(subject: &Subject) {
    let path = subject.at("/big");
    let mut wanted = super::sample::big().to_vec();
    let writer = update(subject, "/big").await;
    for (offset, len) in [(0, 1), (65_000, 2000), (10, 3), (99_999, 1), (40_000, 30_000)] {
        let piece = vec![0xAB; len];
        wanted[offset..offset + len].copy_from_slice(&piece);
        writer.write_at(offset as u64, piece.into()).await.must("a write inside the file succeeds");
    }
    assert!(subject.content(&path).await == wanted, "a write changes its own bytes and no others");
}

pub(super) async fn bytes_that_were_read_stay_as_they_were(subject: &Subject) {
    let reader = subject.reader(&subject.at("/hello.txt")).await;
    let read = reader.read_at(0, HELLO.len()).await.must("the file reads");
    let writer = update(subject, "/hello.txt").await;
    writer.write_at(0, Bytes::from_static(b"XXXXX")).await.must("a write in place succeeds");
    assert!(HELLO.starts_with(&read), "bytes that were read do not change in the reader's hands");
}

pub(super) async fn a_write_past_the_end_leaves_zeros(subject: &Subject) {
    for gap in [1, 100, 70_000, 10_000_000] {
        let path = subject.at("/hollow/new");
        subject.write(&path, b"abc").await;
        let writer = update(subject, "/hollow/new").await;
        writer.write_at(3 + gap, Bytes::from_static(b"xyz")).await.must("a write past the end succeeds");
        let content = subject.content(&path).await;
        assert_eq!(
            content.len() as u64,
            6 + gap,
            "a write past the end makes the file as long as it must be"
        );
        assert!(content.starts_with(b"abc") && content.ends_with(b"xyz"), "both ends are what was written");
        let between = &content[3..content.len() - 3];
        assert!(
            between.iter().all(|byte| *byte == 0),
            "what was never written reads as zeros (gap of {gap})"
        );
    }
}

pub(super) async fn set_len_cuts_and_grows(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let writer = update(subject, "/hello.txt").await;
    writer.set_len(5).await.must("set_len cuts");
    assert_eq!(subject.content(&path).await, b"hello", "set_len cuts to the byte");
    writer.set_len(8).await.must("set_len grows");
    let found = subject.content(&path).await;
    assert_eq!(found, b"hello\0\0\0", "what set_len adds reads as zeros, not as what was cut");
    writer.set_len(0).await.must("set_len cuts to nothing");
    assert!(subject.content(&path).await.is_empty(), "set_len cuts to nothing");
}

pub(super) async fn an_open_reader_sees_a_cut_and_growth(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let reader = subject.reader(&path).await;
    subject.write(&path, b"").await;
    let read = reader.read_at(0, 10).await.must("a reader reads a file that was cut");
    assert!(read.is_empty(), "a reader of a file that was cut finds the end");
    subject.write(&path, b"again").await;
    assert_eq!(read_all(&*reader).await, b"again", "a reader sees what is written later");
}

pub(super) async fn appending_ignores_the_offset(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let appender = append(subject, "/hello.txt").await;
    appender.write_at(0, Bytes::from_static(b"one ")).await.must("an append succeeds");
    appender.write_at(999, Bytes::from_static(b"two")).await.must("an append succeeds");
    let content = subject.content(&path).await;
    assert_eq!(content, b"hello, world\none two", "what is appended lands at the end, whatever the offset");
}

pub(super) async fn two_that_append_overwrite_nothing(subject: &Subject) {
    let (first, second) = (append(subject, "/empty").await, append(subject, "/empty").await);
    for (appender, text) in [(&first, &b"a"[..]), (&second, b"b"), (&second, b"c"), (&first, b"d")] {
        appender.write_at(0, Bytes::from_static(text)).await.must("an append succeeds");
    }
    let content = subject.content(&subject.at("/empty")).await;
    assert_eq!(content, b"abcd", "the end is where it is when the write happens, for each that appends");
}

pub(super) async fn many_that_append_overwrite_nothing(subject: &Subject) {
    let mut appenders = JoinSet::new();
    for appender in 0..20_u8 {
        let file = append(subject, "/empty").await;
        appenders.spawn(async move {
            for _ in 0..10 {
                file.write_at(0, vec![b'a' + appender; 7].into()).await?;
            }
            Ok(())
        });
    }
    for outcome in appenders.join_all().await {
        let outcome: crate::Result<()> = outcome;
        outcome.must("an append among many succeeds");
    }
    let content = subject.content(&subject.at("/empty")).await;
    assert_eq!(content.len(), 20 * 10 * 7, "nothing that many append is lost");
    let whole = content.chunks(7).all(|piece| piece.iter().all(|byte| *byte == piece[0]));
    assert!(whole, "what many append is not mixed within one write");
}

pub(super) async fn many_write_their_own_parts_at_once(subject: &Subject) {
    let writer = update(subject, "/empty").await;
    let mut writers = JoinSet::new();
    for part in (0..20_u8).rev() {
        let writer = Arc::clone(&writer);
        writers
            .spawn(async move { writer.write_at(u64::from(part) * 5000, vec![part + 1; 5000].into()).await });
    }
    for outcome in writers.join_all().await {
        outcome.must("a write among many succeeds");
    }
    let content = subject.content(&subject.at("/empty")).await;
    let wanted: Vec<u8> = (0..20_u8).flat_map(|part| vec![part + 1; 5000]).collect();
    assert!(content == wanted, "many that write their own parts of a file do not disturb one another");
}

pub(super) async fn a_write_in_place_has_a_new_validator(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let writer = update(subject, "/hello.txt").await;
    let mut seen = vec![subject.metadata(&path).await.must("the file is there").validator];
    for byte in [b"x", b"y", b"z"] {
        writer.write_at(3, Bytes::from_static(byte)).await.must("a write in place succeeds");
        let validator = subject.metadata(&path).await.must("the file is there").validator;
        assert!(!seen.contains(&validator), "one byte written in place makes a new validator: {validator:?}");
        seen.push(validator);
    }
}

pub(super) async fn a_removed_file_lives_on_for_its_openings(subject: &Subject) {
    let path = subject.at("/big");
    let reader = subject.reader(&path).await;
    subject.tree().remove_file(&path).await.must("an open file is removed");
    subject.metadata(&path).await.must_be(ErrorKind::NotFound, "a removed file is gone from its folder");
    assert!(read_all(&*reader).await == super::sample::big(), "an open file reads on after its removal");
    let found = reader.metadata().await.must("an open file is described after its removal");
    assert_eq!(found.len, Some(100_000), "an open file keeps its length after its removal");
}

pub(super) async fn syncing_keeps_what_was_written(subject: &Subject) {
    let writer = update(subject, "/hello.txt").await;
    writer.write_at(0, Bytes::from_static(b"HELLO")).await.must("a write in place succeeds");
    writer.sync(true).await.must("a sync of data succeeds");
    writer.sync(false).await.must("a sync of everything succeeds");
    let content = subject.content(&subject.at("/hello.txt")).await;
    assert_eq!(&content[..5], b"HELLO", "what was synced is there");
}

pub(super) async fn a_write_out_of_order_is_unsupported(subject: &Subject) {
    let path = subject.at("/hollow/new");
    let file = subject.open(&path, &OpenOptions::writing()).await.must("a new file opens for writing");
    file.write_at(0, Bytes::from_static(b"abc")).await.must("a write at the next offset succeeds");
    for offset in [0, 2, 4, 1000] {
        let written = file.write_at(offset, Bytes::from_static(b"X")).await;
        written.must_be(ErrorKind::Unsupported, "a write at any offset but the next is Unsupported");
    }
    file.write_at(3, Bytes::from_static(b"def")).await.must("a refused write does not move the next offset");
    file.finish().await.must("writing ends well");
    assert_eq!(subject.content(&path).await, b"abcdef", "a refused write writes nothing");
}

fn sensible_in_place(subject: &Subject) -> impl Iterator<Item = OpenOptions> {
    let path = subject.root().clone();
    every_combination()
        .filter(move |options| options.write_mode == WriteMode::InPlace && options.check(&path).is_ok())
}

/// A file that was opened with `options` and holds `start` reads and writes as the standard library's would.
async fn must_work_as(file: &dyn File, options: &OpenOptions, start: &[u8]) {
    let read = file.read_at(0, 100).await;
    if options.read {
        assert_eq!(read.must(format!("{options:?} reads")), start, "{options:?} finds this content");
    } else {
        read.must_be(ErrorKind::InvalidInput, format!("{options:?} does not read"));
    }
    let written = file.write_at(2, Bytes::from_static(b"XY")).await;
    if !(options.write || options.append) {
        let kinds = [ErrorKind::InvalidInput, ErrorKind::ReadOnly];
        written.must_be_one_of(&kinds, format!("{options:?} does not write"));
        return;
    }
    written.must(format!("{options:?} writes"));
    let mut wanted = start.to_vec();
    let at = if options.append { start.len() } else { 2 };
    wanted.resize(wanted.len().max(at + 2), 0);
    wanted[at..at + 2].copy_from_slice(b"XY");
    let found = file.metadata().await.must("an open file is described").len;
    assert_eq!(found, Some(wanted.len() as u64), "{options:?} leaves a file of this length");
    if options.read {
        assert_eq!(read_all(file).await, wanted, "{options:?} leaves this content");
    }
}

async fn update(subject: &Subject, path: &str) -> Arc<dyn File> {
    let options = OpenOptions { write: true, ..OpenOptions::default() };
    subject.open(&subject.at(path), &options).await.must("a file opens for writing in place")
}

async fn append(subject: &Subject, path: &str) -> Arc<dyn File> {
    let options = OpenOptions { append: true, ..OpenOptions::default() };
    subject.open(&subject.at(path), &options).await.must("a file opens for appending")
}

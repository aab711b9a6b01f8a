//! Writing files from their start to their end: what every tree that writes does.

use bytes::Bytes;
use tokio::task::JoinSet;

use super::expect::Expect;
use super::sample::{HELLO, patterned};
use super::{Skill, Subject};
use crate::error::ErrorKind;
use crate::options::{OpenOptions, WriteMode};

/// Callers that want to make the same file.
const RIVALS: usize = 20;

pub(super) async fn a_written_file_reads_back(subject: &Subject) {
    let (path, content) = (subject.at("/hollow/new"), patterned(300_000));
    let file = subject.open(&path, &OpenOptions::writing()).await.must("a new file opens for writing");
    let mut offset = 0;
    for len in [1, 4095, 65_536, 130_368, 100_000] {
        let piece = content.slice(offset..offset + len);
        file.write_at(offset as u64, piece).await.must("a write at the next offset succeeds");
        offset += len;
    }
    file.finish().await.must("writing ends well");
    assert!(subject.content(&path).await == content, "a written file reads back to the byte");
    let found = subject.metadata(&path).await.must("a written file is described");
    assert!(found.is_file(), "a written file is a file");
    if subject.has(Skill::Lengths) {
        assert_eq!(found.len, Some(300_000), "a written file has the length that was written");
    }
}

pub(super) async fn an_empty_file_is_made(subject: &Subject) {
    let path = subject.at("/hollow/new");
    subject.write(&path, b"").await;
    assert!(subject.content(&path).await.is_empty(), "a file that nothing was written to is empty");
    assert!(subject.names(&subject.at("/hollow")).await.contains(&b"new"[..]), "a new file is listed");
}

pub(super) async fn a_write_of_nothing_changes_nothing(subject: &Subject) {
    let path = subject.at("/hollow/new");
    let file = subject.open(&path, &OpenOptions::writing()).await.must("a new file opens for writing");
    file.write_at(0, Bytes::new()).await.must("a write of no bytes succeeds");
    file.write_at(0, Bytes::from_static(b"some")).await.must("and the next offset is still 0");
    file.finish().await.must("writing ends well");
    assert_eq!(subject.content(&path).await, b"some", "a write of no bytes writes none");
}

pub(super) async fn truncating_replaces_the_content(subject: &Subject) {
    let path = subject.at("/hello.txt");
    subject.write(&path, b"new").await;
    assert_eq!(
        subject.content(&path).await,
        b"new",
        "a file that was opened with truncate holds the new bytes only"
    );
}

pub(super) async fn opening_a_missing_file_without_create_is_not_found(subject: &Subject) {
    let before = subject.snapshot().await;
    for options in [
        OpenOptions { write: true, ..OpenOptions::default() },
        OpenOptions { write: true, truncate: true, ..OpenOptions::default() },
        OpenOptions { append: true, ..OpenOptions::default() },
        OpenOptions { read: true, write: true, ..OpenOptions::default() },
    ] {
        let opened = subject.open(&subject.at("/hollow/new"), &options).await;
        opened.must_be(ErrorKind::NotFound, "opening a missing file without create is NotFound");
    }
    before.must_hold(subject, "opening without create makes nothing").await;
}

pub(super) async fn create_new_makes_a_file(subject: &Subject) {
    let path = subject.at("/hollow/new");
    let options = OpenOptions { write: true, create_new: true, ..OpenOptions::default() };
    let file = subject.open(&path, &options).await.must("create_new makes a missing file");
    file.write_at(0, Bytes::from_static(b"mine")).await.must("the new file takes bytes");
    file.finish().await.must("writing ends well");
    assert_eq!(subject.content(&path).await, b"mine", "what create_new made reads back");
}

pub(super) async fn create_new_replaces_nothing(subject: &Subject) {
    let before = subject.snapshot().await;
    for path in ["/hello.txt", "/empty", "/dir", "/hollow"] {
        for options in [
            OpenOptions { write: true, create_new: true, ..OpenOptions::default() },
            OpenOptions { create_new: true, ..OpenOptions::writing() },
            OpenOptions { create_new: true, ..OpenOptions::replacing() },
        ] {
            let opened = subject.open(&subject.at(path), &options).await;
            opened.must_be(
                ErrorKind::AlreadyExists,
                format!("create_new of {path}, which is there, is AlreadyExists"),
            );
        }
    }
    before.must_hold(subject, "create_new of what is there changes nothing").await;
}

pub(super) async fn create_new_has_one_winner(subject: &Subject) {
    let path = subject.at("/hollow/new");
    let mut rivals = JoinSet::new();
    for rival in 0..RIVALS {
        let (tree, path) = (subject.tree().clone(), path.clone());
        rivals.spawn(async move {
            let options = OpenOptions { write: true, create_new: true, ..OpenOptions::default() };
            let file = tree.open(&path, &options).await?;
            file.write_at(0, Bytes::from(rival.to_string())).await?;
            file.finish().await?;
            Ok(rival)
        });
    }
    let mut winners = Vec::new();
    for outcome in rivals.join_all().await {
        match outcome {
            Ok(rival) => winners.push(rival),
            Err(error) => {
                let lost: crate::Result<()> = Err(error);
                lost.must_be(
                    ErrorKind::AlreadyExists,
                    "of many that make one file the losers get AlreadyExists",
                );
            }
        }
    }
    let [winner] = winners[..] else { panic!("of many that make one file one wins; winners: {winners:?}") };
    assert_eq!(subject.content(&path).await, winner.to_string().as_bytes(), "the file is the winner's");
}

pub(super) async fn opening_a_folder_for_writing_is_a_directory(subject: &Subject) {
    let before = subject.snapshot().await;
    for path in [subject.at("/dir"), subject.at("/hollow"), subject.root().clone()] {
        for options in [
            OpenOptions { write: true, ..OpenOptions::default() },
            OpenOptions { append: true, create: true, ..OpenOptions::default() },
            OpenOptions::writing(),
            OpenOptions::replacing(),
        ] {
            let opened = subject.open(&path, &options).await;
            opened.must_be(ErrorKind::IsADirectory, "opening a folder for writing is IsADirectory");
        }
    }
    before.must_hold(subject, "opening a folder for writing changes nothing").await;
}

pub(super) async fn a_file_is_made_in_a_folder_only(subject: &Subject) {
    let before = subject.snapshot().await;
    for options in [
        OpenOptions::writing(),
        OpenOptions::replacing(),
        OpenOptions { write: true, create_new: true, ..OpenOptions::default() },
    ] {
        let opened = subject.open(&subject.at("/missing/new"), &options).await;
        opened.must_be(ErrorKind::NotFound, "making a file in a missing folder is NotFound");
        let opened = subject.open(&subject.at("/hello.txt/new"), &options).await;
        opened.must_be(ErrorKind::NotADirectory, "making a file in a file is NotADirectory");
    }
    before.must_hold(subject, "a file that is refused is not made").await;
}

pub(super) async fn options_that_make_no_sense_are_invalid(subject: &Subject) {
    let before = subject.snapshot().await;
    for options in every_combination() {
        for path in [subject.at("/hello.txt"), subject.at("/hollow/new")] {
            if options.check(&path).is_err() {
                let opened = subject.open(&path, &options).await;
                opened.must_be(ErrorKind::InvalidInput, format!("opening with {options:?} is InvalidInput"));
            }
        }
    }
    before.must_hold(subject, "options that make no sense change nothing").await;
}

pub(super) async fn a_write_after_finish_is_invalid(subject: &Subject) {
    for options in [OpenOptions::writing(), OpenOptions::replacing()] {
        let path = subject.at("/hollow/new");
        let file = subject.open(&path, &options).await.must("a file opens for writing");
        file.write_at(0, Bytes::from_static(b"done")).await.must("it takes bytes");
        file.finish().await.must("writing ends well");
        let late = file.write_at(4, Bytes::from_static(b"late")).await;
        late.must_be(ErrorKind::InvalidInput, "a write after finish is InvalidInput");
        drop(file);
        assert_eq!(subject.content(&path).await, b"done", "a write after finish writes nothing");
    }
}

pub(super) async fn finishing_twice_does_no_harm(subject: &Subject) {
    let path = subject.at("/hollow/new");
    let file = subject.open(&path, &OpenOptions::writing()).await.must("a file opens for writing");
    file.write_at(0, Bytes::from_static(b"done")).await.must("it takes bytes");
    file.finish().await.must("writing ends well");
    file.finish().await.must("a second finish has nothing to do");
    assert_eq!(subject.content(&path).await, b"done", "a second finish changes nothing");
}

pub(super) async fn a_reader_writes_nothing(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let reader = subject.reader(&path).await;
    let kinds = [ErrorKind::InvalidInput, ErrorKind::ReadOnly];
    let written = reader.write_at(0, Bytes::from_static(b"X")).await;
    written.must_be_one_of(&kinds, "writing to a file that was opened for reading is refused");
    reader.set_len(1).await.must_be_one_of(&kinds, "cutting a file that was opened for reading is refused");
    reader.finish().await.must("finish has nothing to do for a reader");
    assert_eq!(subject.content(&path).await, HELLO, "a reader changes nothing");
}

pub(super) async fn a_writer_reads_nothing(subject: &Subject) {
    let writer = subject.open(&subject.at("/hollow/new"), &OpenOptions::writing()).await.must("a file opens");
    let read = writer.read_at(0, 10).await;
    read.must_be(ErrorKind::InvalidInput, "reading a file that was opened for writing is InvalidInput");
}

pub(super) async fn a_new_content_has_a_new_validator(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let mut seen = vec![subject.metadata(&path).await.must("the file is there").validator];
    for content in [b"aaaaaaaaaaaaa", b"bbbbbbbbbbbbb", b"ccccccccccccc"] {
        subject.write(&path, content).await;
        let validator = subject.metadata(&path).await.must("the file is there").validator;
        assert!(
            !seen.contains(&validator),
            "a new content of the same length has a new validator: {validator:?}"
        );
        seen.push(validator);
    }
}

pub(super) async fn a_new_file_has_the_mode_asked_for(subject: &Subject) {
    for (name, mode) in [("/hollow/a", 0o600), ("/hollow/b", 0o700)] {
        let options = OpenOptions { mode: Some(mode), ..OpenOptions::writing() };
        let file = subject.open(&subject.at(name), &options).await.must("a new file opens for writing");
        file.finish().await.must("writing ends well");
        let found = subject.metadata(&subject.at(name)).await.must("it is there");
        assert_eq!(found.mode, Some(mode), "a new file has the permission bits that were asked for");
    }
}

/// Every setting of the access, creation and write mode options, sense or nonsense.
pub(super) fn every_combination() -> impl Iterator<Item = OpenOptions> {
    (0..128_u32).map(|bits| {
        let is_set = |bit: u32| bits & (1 << bit) != 0;
        OpenOptions {
            read: is_set(0),
            write: is_set(1),
            append: is_set(2),
            truncate: is_set(3),
            create: is_set(4),
            create_new: is_set(5),
            write_mode: if is_set(6) { WriteMode::Atomic } else { WriteMode::InPlace },
            ..OpenOptions::default()
        }
    })
}

//! Describing and reading: what every tree does.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::expect::{Expect, poll_once};
use super::sample::{Body, HELLO, big};
use super::subject::read_all;
use super::{Skill, Subject};
use crate::error::{Error, ErrorKind};
use crate::file_system::Writes;
use crate::metadata::{FileType, Validator};
use crate::options::{ListOptions, OpenOptions};
use crate::path::VPath;

/// Where reads past the end begin, from the end.
const PAST_THE_END: [u64; 3] = [1, 1_000_000, 1 << 40];

pub(super) async fn it_can_do_what_it_says(subject: &Subject) {
    let says = subject.tree().capabilities(subject.root());
    let writes = match (subject.has(Skill::Writes), subject.has(Skill::Anywhere)) {
        (false, _) => Writes::None,
        (true, false) => Writes::Sequential,
        (true, true) => Writes::Anywhere,
    };
    assert_eq!(says.writes, writes, "capabilities say what the tree takes in");
    assert_eq!(says.symlinks, subject.has(Skill::Symlinks), "capabilities say whether there are links");
    if subject.has(Skill::Writes) {
        // Of a tree that makes no names it says nothing that a caller could act on.
        let can_link = subject.has(Skill::HardLinks);
        assert_eq!(says.hard_links, can_link, "capabilities say whether a file can be given many names");
    }
    assert_eq!(says.modes, subject.has(Skill::SetModes), "capabilities say whether modes can be set");
    assert_eq!(says.times, subject.has(Skill::SetTimes), "capabilities say whether times can be set");
    let special = subject.special_file().is_some();
    assert_eq!(special, subject.has(Skill::SpecialFiles), "a subject with special files names one");
}

pub(super) async fn the_root_is_a_folder(subject: &Subject) {
    let root = subject.metadata(subject.root()).await.must("the root exists");
    assert_eq!(root.file_type, FileType::Dir, "the root is a folder");
}

pub(super) async fn a_missing_path_is_not_found(subject: &Subject) {
    for path in [subject.at("/missing"), subject.at("/dir/missing"), subject.at("/missing/below/it")] {
        ask_everything(subject, &path, ErrorKind::NotFound, "a missing path is NotFound").await;
    }
}

pub(super) async fn walking_through_a_file_is_not_a_directory(subject: &Subject) {
    for path in [subject.at("/hello.txt/x"), subject.at("/dir/inner.txt/x/y")] {
        ask_everything(subject, &path, ErrorKind::NotADirectory, "walking through a file is NotADirectory")
            .await;
    }
}

pub(super) async fn opening_a_folder_is_a_directory(subject: &Subject) {
    for path in [subject.root().clone(), subject.at("/dir"), subject.at("/hollow")] {
        let opened = subject.open(&path, &OpenOptions::reading()).await;
        opened.must_be(ErrorKind::IsADirectory, "opening a folder is IsADirectory");
    }
}

pub(super) async fn opening_without_an_access_is_invalid(subject: &Subject) {
    let opened = subject.open(&subject.at("/hello.txt"), &OpenOptions::default()).await;
    opened.must_be(ErrorKind::InvalidInput, "opening for neither reading nor writing is InvalidInput");
}

pub(super) async fn an_error_names_what_was_asked(subject: &Subject) {
    let path = subject.at("/dir/missing");
    let errors: [(&str, Error); 4] = [
        ("metadata", subject.metadata(&path).await.must_be(ErrorKind::NotFound, "it is missing")),
        (
            "open",
            subject.open(&path, &OpenOptions::reading()).await.must_be(ErrorKind::NotFound, "it is missing"),
        ),
        (
            "read_dir",
            subject
                .tree()
                .read_dir(&path, &ListOptions::default())
                .await
                .must_be(ErrorKind::NotFound, "it is missing"),
        ),
        ("read_link", subject.tree().read_link(&path).await.must_be(ErrorKind::NotFound, "it is missing")),
    ];
    for (op, error) in errors {
        assert_eq!(error.path(), &path, "an error of {op} names the path that was asked");
        // A tree without links answers `read_link` by describing what is there.
        let ops = if op == "read_link" { vec!["read_link", "metadata"] } else { vec![op] };
        assert!(ops.contains(&error.op()), "an error of {op} names the operation, not {}", error.op());
    }
}

pub(super) async fn read_link_of_what_is_no_link_is_invalid(subject: &Subject) {
    for path in [subject.at("/hello.txt"), subject.at("/dir")] {
        let read = subject.tree().read_link(&path).await;
        read.must_be(ErrorKind::InvalidInput, "read_link of a file or folder is InvalidInput");
    }
}

pub(super) async fn metadata_tells_what_it_is(subject: &Subject) {
    for entry in subject.sample().filter(|entry| !entry.path.starts_with(&subject.at("/many"))) {
        let wanted = match entry.body {
            Body::Dir => FileType::Dir,
            Body::File(_) => FileType::File,
            Body::Link(_) => FileType::Symlink,
        };
        let found = subject.entry(&entry.path).await.must(format!("{} is there", entry.path));
        assert_eq!(found.file_type, wanted, "metadata tells what {} is", entry.path);
    }
}

pub(super) async fn metadata_tells_the_length(subject: &Subject) {
    for (path, content) in files(subject) {
        let found = subject.metadata(&path).await.must(format!("{path} is there"));
        assert_eq!(found.len, Some(content.len() as u64), "metadata tells the exact length of {path}");
    }
}

pub(super) async fn an_unknown_length_stays_unknown(subject: &Subject) {
    let known = subject.metadata(&subject.at("/big")).await.must("the file is there").len;
    assert_eq!(known, None, "a length that the source does not know is not invented");
}

pub(super) async fn metadata_tells_the_mode(subject: &Subject) {
    for entry in subject.sample() {
        if let Some(mode) = entry.mode {
            let found = subject.entry(&entry.path).await.must(format!("{} is there", entry.path));
            assert_eq!(found.mode, Some(mode), "metadata tells the permission bits of {}", entry.path);
        }
    }
}

pub(super) async fn an_unknown_mode_stays_unknown(subject: &Subject) {
    let known = subject.metadata(&subject.at("/script")).await.must("the file is there").mode;
    assert_eq!(known, None, "a mode that the source does not know is not invented");
}

pub(super) async fn metadata_tells_the_time(subject: &Subject) {
    assert_times(subject, |body| *body != Body::Dir).await;
}

pub(super) async fn metadata_tells_the_time_of_folders(subject: &Subject) {
    assert_times(subject, |body| *body == Body::Dir).await;
}

async fn assert_times(subject: &Subject, counts: impl Fn(&Body) -> bool) {
    for entry in subject.sample().filter(|entry| counts(&entry.body)) {
        if let Some(modified) = entry.modified {
            let found = subject.entry(&entry.path).await.must(format!("{} is there", entry.path));
            let behaviour = format!("metadata tells when {} changed last", entry.path);
            subject.assert_same_time(found.modified, modified, &behaviour);
        }
    }
}

pub(super) async fn an_unknown_time_stays_unknown(subject: &Subject) {
    let known = subject.metadata(&subject.at("/hello.txt")).await.must("the file is there").modified;
    assert_eq!(known, None, "a time that the source does not know is not invented");
}

pub(super) async fn an_open_file_is_described_as_its_path_is(subject: &Subject) {
    for text in ["/empty", "/one", "/hello.txt", "/big", "/dir/inner.txt"] {
        let path = subject.at(text);
        let by_path = subject.metadata(&path).await.must("the file is there");
        let open = subject.reader(&path).await;
        let by_file = open.metadata().await.must("an open file is described");
        let told = |found: &crate::Metadata| {
            (found.file_type, found.len, found.modified, found.mode, found.validator.clone())
        };
        assert_eq!(told(&by_file), told(&by_path), "the open file {path} is described as its path is");
        if let (Some(by_file), Some(by_path)) = (&by_file.identity, &by_path.identity) {
            assert_eq!(by_file, by_path, "the open file {path} has the identity of its path");
        }
    }
}

pub(super) async fn an_identity_is_told_again_and_is_no_other_files(subject: &Subject) {
    let hello = subject.reader(&subject.at("/hello.txt")).await.identity();
    let again = subject.reader(&subject.at("/hello.txt")).await.identity();
    assert_eq!(hello, again, "a file that has not changed keeps its identity");
    let other = subject.reader(&subject.at("/one")).await.identity();
    assert!(hello.is_none() || hello != other, "two files never share an identity: {hello:?}");
}

pub(super) async fn the_content_is_read_whole(subject: &Subject) {
    for (path, content) in files(subject) {
        assert!(subject.content(&path).await == content, "{path} reads as it was written");
    }
}

pub(super) async fn an_empty_file_reads_as_nothing(subject: &Subject) {
    let file = subject.reader(&subject.at("/empty")).await;
    let read = file.read_at(0, 1024).await.must("an empty file reads");
    assert!(read.is_empty(), "an empty file reads as nothing");
}

pub(super) async fn a_read_is_never_longer_than_asked(subject: &Subject) {
    let (file, big) = (subject.reader(&subject.at("/big")).await, big());
    for (offset, max) in [(0, 1), (3, 5), (65_530, 12), (70_000, 4096), (99_999, 1)] {
        let read = file.read_at(offset, max).await.must("a read inside the file succeeds");
        assert!(!read.is_empty(), "a read inside the file is not empty");
        assert!(read.len() <= max, "a read of at most {max} bytes brought {}", read.len());
        let at = offset as usize;
        assert!(read == big[at..at + read.len()], "a read from {offset} brings the bytes of {offset}");
    }
}

pub(super) async fn a_read_across_the_end_stops_there(subject: &Subject) {
    let file = subject.reader(&subject.at("/hello.txt")).await;
    let at = HELLO.len() - 3;
    let mut tail = Vec::new();
    while tail.len() < 3 {
        let read = file.read_at((at + tail.len()) as u64, 100).await.must("a read across the end succeeds");
        assert!(!read.is_empty(), "a read before the end is not empty");
        tail.extend_from_slice(&read);
    }
    assert_eq!(tail, &HELLO[at..], "a read across the end brings what is left");
}

pub(super) async fn a_read_at_the_end_is_empty(subject: &Subject) {
    let file = subject.reader(&subject.at("/hello.txt")).await;
    let read = file.read_at(HELLO.len() as u64, 10).await.must("a read at the end succeeds");
    assert!(read.is_empty(), "a read at the end is empty");
}

pub(super) async fn a_read_past_the_end_is_empty(subject: &Subject) {
    let file = subject.reader(&subject.at("/hello.txt")).await;
    for past in PAST_THE_END {
        let read = file.read_at(HELLO.len() as u64 + past, 10).await.must("a read past the end succeeds");
        assert!(read.is_empty(), "a read {past} past the end is empty");
    }
}

pub(super) async fn a_read_of_nothing_is_empty(subject: &Subject) {
    let file = subject.reader(&subject.at("/hello.txt")).await;
    let read = file.read_at(0, 0).await.must("a read of no bytes succeeds");
    assert!(read.is_empty(), "a read of no bytes is empty");
}

pub(super) async fn a_huge_read_is_a_wish_and_no_buffer(subject: &Subject) {
    let file = subject.reader(&subject.at("/hello.txt")).await;
    let read = file.read_at(0, usize::MAX).await.must("a read of as much as there is succeeds");
    assert!(!read.is_empty() && HELLO.starts_with(&read), "a read of as much as there is brings the file");
}

pub(super) async fn one_file_has_many_readers_at_once(subject: &Subject) {
    let (file, big) = (subject.reader(&subject.at("/big")).await, big());
    let mut readers = JoinSet::new();
    for reader in 0..8_u64 {
        let file = Arc::clone(&file);
        readers.spawn(async move {
            let mut pieces = Vec::new();
            for step in 0..16 {
                let offset = (reader * 7919 + step * 6151) % 100_000;
                pieces.push((offset as usize, file.read_at(offset, 3000).await));
            }
            pieces
        });
    }
    for (offset, read) in readers.join_all().await.into_iter().flatten() {
        let read = read.must("readers of one open file do not disturb one another");
        assert!(!read.is_empty(), "a read inside the file is not empty");
        assert!(read == big[offset..offset + read.len()], "each of many readers gets the bytes it asked for");
    }
}

pub(super) async fn a_dropped_call_leaves_nothing_behind(subject: &Subject) {
    let path = subject.at("/big");
    for _ in 0..8 {
        poll_once(subject.metadata(&path)).await;
        poll_once(subject.open(&path, &OpenOptions::reading())).await;
        poll_once(subject.tree().read_dir(subject.root(), &ListOptions::default())).await;
    }
    let file = subject.reader(&path).await;
    for offset in 0..8 {
        poll_once(file.read_at(offset * 10_000, 5000)).await;
    }
    assert!(read_all(&*file).await == big(), "reads that were dropped do not disturb later ones");
}

pub(super) async fn a_special_file_is_shown_and_never_opened(subject: &Subject) {
    let path = subject.special_file().expect("a subject with this skill names one");
    let found = subject.entry(&path).await.must("a special file is described");
    assert_eq!(found.file_type, FileType::Other, "a special file is shown as one");
    for options in [OpenOptions::reading(), OpenOptions { read: true, write: true, ..OpenOptions::default() }]
    {
        let opened = subject.open(&path, &options).await;
        let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnly];
        let kinds = if options.changes() { &kinds[..] } else { &kinds[..1] };
        opened.must_be_one_of(kinds, "opening what is neither file nor folder is PermissionDenied");
    }
}

pub(super) async fn a_validator_holds_while_nothing_changes(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let first = subject.metadata(&path).await.must("the file is there").validator;
    assert!(first.is_some(), "a file has a validator");
    subject.content(&path).await;
    let second = subject.metadata(&path).await.must("the file is there").validator;
    assert_eq!(first, second, "a validator holds while nothing changes, also when the file is read");
}

pub(super) async fn no_validator_is_invented(subject: &Subject) {
    let known = subject.metadata(&subject.at("/hello.txt")).await.must("the file is there").validator;
    assert_eq!(known, None, "a source that cannot tell versions apart has no validator");
}

pub(super) async fn if_match_opens_the_version_asked_for_only(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let validator = subject.metadata(&path).await.must("the file is there").validator;
    let with = |if_match| OpenOptions { if_match, ..OpenOptions::reading() };
    if matches!(validator, Some(Validator::Strong(_))) {
        let open = subject.open(&path, &with(validator)).await.must("the version that stands there opens");
        assert_eq!(read_all(&*open).await, HELLO, "the version that stands there reads");
    }
    let another = Some(Validator::Strong("a version that never was".into()));
    let opened = subject.open(&path, &with(another)).await;
    opened.must_be(ErrorKind::Changed, "opening a version that is gone is Changed");
}

/// Every question that a path can be asked fails with `kind`.
async fn ask_everything(subject: &Subject, path: &VPath, kind: ErrorKind, behaviour: &str) {
    subject.metadata(path).await.must_be(kind, format!("{behaviour} (metadata of {path})"));
    subject.entry(path).await.must_be(kind, format!("{behaviour} (metadata of {path}, links not followed)"));
    let opened = subject.open(path, &OpenOptions::reading()).await;
    opened.must_be(kind, format!("{behaviour} (open {path})"));
    let listed = subject.tree().read_dir(path, &ListOptions::default()).await;
    listed.must_be(kind, format!("{behaviour} (read_dir of {path})"));
    subject.tree().read_link(path).await.must_be(kind, format!("{behaviour} (read_link of {path})"));
}

/// The files of the sample but the many, with their content.
fn files(subject: &Subject) -> impl Iterator<Item = (VPath, Bytes)> {
    let many = subject.at("/many");
    subject.sample().filter_map(move |entry| match entry.body {
        Body::File(content) if !entry.path.starts_with(&many) => Some((entry.path, content)),
        _ => None,
    })
}

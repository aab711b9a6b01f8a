//! Renaming, as rename(2) does.

use tokio::task::JoinSet;

use super::Subject;
use super::expect::Expect;
use super::sample::{HELLO, INNER};
use super::subject::read_all;
use crate::error::{ErrorKind, Result};
use crate::options::RenameOptions;

/// Callers that rename at once.
const RIVALS: usize = 20;

pub(super) async fn rename_moves_a_file(subject: &Subject) {
    rename(subject, "/hello.txt", "/hollow/moved").await.must("a file is renamed to a free name");
    assert_eq!(
        subject.content(&subject.at("/hollow/moved")).await,
        HELLO,
        "a renamed file keeps its content"
    );
    let old = subject.metadata(&subject.at("/hello.txt")).await;
    old.must_be(ErrorKind::NotFound, "a renamed file is gone from where it was");
    assert!(!subject.names(subject.root()).await.contains(&b"hello.txt"[..]), "the old name is not listed");
    assert!(subject.names(&subject.at("/hollow")).await.contains(&b"moved"[..]), "the new name is listed");
}

pub(super) async fn rename_replaces_a_file(subject: &Subject) {
    rename(subject, "/hello.txt", "/one").await.must("a file is renamed over a file");
    assert_eq!(
        subject.content(&subject.at("/one")).await,
        HELLO,
        "the renamed file takes the place of the other"
    );
    let old = subject.metadata(&subject.at("/hello.txt")).await;
    old.must_be(ErrorKind::NotFound, "a renamed file is gone from where it was");
}

pub(super) async fn rename_moves_a_folder_with_all_in_it(subject: &Subject) {
    rename(subject, "/dir", "/hollow/dir").await.must("a folder is renamed to a free name");
    let inner = subject.content(&subject.at("/hollow/dir/inner.txt")).await;
    assert_eq!(inner, INNER, "what was in a renamed folder is in it still");
    let leaf = subject.content(&subject.at("/hollow/dir/sub/leaf")).await;
    assert_eq!(leaf, b"leaf\n", "what was deep in a renamed folder is there still");
    let old = subject.metadata(&subject.at("/dir/inner.txt")).await;
    old.must_be(ErrorKind::NotFound, "a renamed folder is gone from where it was");
}

pub(super) async fn rename_replaces_an_empty_folder(subject: &Subject) {
    rename(subject, "/dir", "/hollow").await.must("a folder is renamed over an empty one");
    let inner = subject.content(&subject.at("/hollow/inner.txt")).await;
    assert_eq!(inner, INNER, "the renamed folder takes the place of the empty one");
}

pub(super) async fn rename_replaces_no_folder_in_use(subject: &Subject) {
    refused(subject, "/hollow", "/dir", ErrorKind::DirectoryNotEmpty, "renaming a folder over one in use")
        .await;
    refused(subject, "/dir/sub", "/dir", ErrorKind::DirectoryNotEmpty, "renaming a folder over its parent")
        .await;
}

pub(super) async fn rename_never_mixes_files_and_folders(subject: &Subject) {
    refused(subject, "/one", "/hollow", ErrorKind::IsADirectory, "renaming a file over an empty folder")
        .await;
    refused(subject, "/hollow", "/one", ErrorKind::NotADirectory, "renaming a folder over a file").await;
    refused(subject, "/dir", "/one", ErrorKind::NotADirectory, "renaming a folder in use over a file").await;
}

pub(super) async fn rename_to_itself_changes_nothing(subject: &Subject) {
    let before = subject.snapshot().await;
    for path in ["/hello.txt", "/dir", "/hollow"] {
        rename(subject, path, path).await.must("renaming a path to itself succeeds");
    }
    before.must_hold(subject, "a path that is renamed to itself stays as it is").await;
}

pub(super) async fn rename_moves_no_folder_into_itself(subject: &Subject) {
    let kind = ErrorKind::InvalidInput;
    refused(subject, "/dir", "/dir/new", kind, "moving a folder into itself").await;
    refused(subject, "/dir", "/dir/sub/new", kind, "moving a folder deep into itself").await;
    refused(subject, "/dir", "/dir/sub", kind, "moving a folder over one in itself").await;
}

pub(super) async fn rename_needs_what_it_moves_and_a_place(subject: &Subject) {
    refused(subject, "/missing", "/hollow/x", ErrorKind::NotFound, "renaming what is missing").await;
    refused(subject, "/missing", "/one", ErrorKind::NotFound, "renaming what is missing over a file").await;
    refused(subject, "/one", "/missing/x", ErrorKind::NotFound, "renaming into a missing folder").await;
    refused(subject, "/one", "/hello.txt/x", ErrorKind::NotADirectory, "renaming into a file").await;
    refused(subject, "/hello.txt/x", "/hollow/x", ErrorKind::NotADirectory, "renaming from below a file")
        .await;
}

pub(super) async fn rename_with_no_replace_replaces_nothing(subject: &Subject) {
    let before = subject.snapshot().await;
    let options = RenameOptions { no_replace: true };
    for (from, to) in [("/hello.txt", "/one"), ("/dir", "/hollow"), ("/one", "/dir"), ("/dir", "/one")] {
        let renamed = subject.tree().rename(&subject.at(from), &subject.at(to), &options).await;
        renamed.must_be(
            ErrorKind::AlreadyExists,
            format!("renaming {from} to {to} with no_replace is AlreadyExists"),
        );
    }
    before.must_hold(subject, "a rename with no_replace replaces nothing").await;
    let moved = subject.tree().rename(&subject.at("/hello.txt"), &subject.at("/hollow/x"), &options).await;
    moved.must("a rename with no_replace to a free name succeeds");
    assert_eq!(subject.content(&subject.at("/hollow/x")).await, HELLO, "and moves the file");
}

pub(super) async fn an_open_file_follows_its_rename(subject: &Subject) {
    let reader = subject.reader(&subject.at("/hello.txt")).await;
    let replaced = subject.reader(&subject.at("/one")).await;
    rename(subject, "/hello.txt", "/one").await.must("an open file is renamed over an open file");
    assert_eq!(read_all(&*reader).await, HELLO, "an open file reads on under its new name");
    assert_eq!(read_all(&*replaced).await, b"1", "an open file that was replaced reads on");
}

pub(super) async fn a_renamed_file_has_its_own_validator(subject: &Subject) {
    let target = subject.at("/one");
    let replaced = subject.metadata(&target).await.must("the file is there").validator;
    rename(subject, "/hello.txt", "/one").await.must("a file is renamed over a file");
    let found = subject.metadata(&target).await.must("the file is there").validator;
    assert!(
        found.is_some() && found != replaced,
        "a name that leads to another file now has another validator"
    );
}

pub(super) async fn one_source_is_renamed_once(subject: &Subject) {
    let outcomes = race(subject, |_| "/hello.txt".into(), |rival| format!("/hollow/{rival}")).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(won, 1, "of many that rename one file one wins");
    for outcome in outcomes.into_iter().filter(Result::is_err) {
        outcome.must_be(ErrorKind::NotFound, "of many that rename one file the losers get NotFound");
    }
    let names = subject.names(&subject.at("/hollow")).await;
    assert_eq!(names.len(), 1, "a file that many rename is in one place: {names:?}");
}

pub(super) async fn many_renames_to_one_name_leave_one_file(subject: &Subject) {
    for rival in 0..RIVALS {
        subject.write(&subject.at(&format!("/hollow/{rival}")), vec![rival as u8; 1000]).await;
    }
    for outcome in race(subject, |rival| format!("/hollow/{rival}"), |_| "/hollow/target".into()).await {
        outcome.must("each of many renames to one name succeeds");
    }
    let names = subject.names(&subject.at("/hollow")).await;
    assert_eq!(names.len(), 1, "many renames to one name leave one file: {names:?}");
    let content = subject.content(&subject.at("/hollow/target")).await;
    let whole = content.len() == 1000 && content.iter().all(|byte| *byte == content[0]);
    assert!(whole, "the file that is left is one of them, whole");
}

async fn rename(subject: &Subject, from: &str, to: &str) -> Result<()> {
    subject.tree().rename(&subject.at(from), &subject.at(to), &RenameOptions::default()).await
}

async fn refused(subject: &Subject, from: &str, to: &str, kind: ErrorKind, what: &str) {
    let before = subject.snapshot().await;
    rename(subject, from, to).await.must_be(kind, format!("{what} is {kind:?}"));
    before.must_hold(subject, &format!("{what} changes nothing")).await;
}

async fn race(
    subject: &Subject,
    from: impl Fn(usize) -> String,
    to: impl Fn(usize) -> String,
) -> Vec<Result<()>> {
    let mut rivals = JoinSet::new();
    for rival in 0..RIVALS {
        let tree = subject.tree().clone();
        let (from, to) = (subject.at(&from(rival)), subject.at(&to(rival)));
        rivals.spawn(async move { tree.rename(&from, &to, &RenameOptions::default()).await });
    }
    rivals.join_all().await
}

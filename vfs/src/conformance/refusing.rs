//! Trees that do not write: every change is `ReadOnly`, and the tree is left as it was.

use std::time::SystemTime;

use bytes::Bytes;

use super::Subject;
use super::expect::Expect;
use super::sample::HELLO;
use crate::error::{ErrorKind, Result};
use crate::options::{OpenOptions, RenameOptions, SetAttributes};
use crate::path::VPath;

pub(super) async fn create_dir_is_read_only(subject: &Subject) {
    let before = subject.snapshot().await;
    for path in paths(subject) {
        refused(subject.tree().create_dir(&path).await, "create_dir", &path);
    }
    before.must_hold(subject, "a tree that does not write makes no folder").await;
}

pub(super) async fn remove_file_is_read_only(subject: &Subject) {
    let before = subject.snapshot().await;
    for path in paths(subject) {
        refused(subject.tree().remove_file(&path).await, "remove_file", &path);
    }
    before.must_hold(subject, "a tree that does not write removes no file").await;
}

pub(super) async fn remove_dir_is_read_only(subject: &Subject) {
    let before = subject.snapshot().await;
    for path in paths(subject) {
        refused(subject.tree().remove_dir(&path).await, "remove_dir", &path);
    }
    before.must_hold(subject, "a tree that does not write removes no folder").await;
}

pub(super) async fn rename_is_read_only(subject: &Subject) {
    let before = subject.snapshot().await;
    for options in [RenameOptions::default(), RenameOptions { no_replace: true }] {
        for (from, to) in
            [("/hello.txt", "/one"), ("/dir", "/hollow"), ("/one", "/new"), ("/missing", "/new")]
        {
            let renamed = subject.tree().rename(&subject.at(from), &subject.at(to), &options).await;
            renamed.must_be(ErrorKind::ReadOnly, "rename in a tree that does not write is ReadOnly");
        }
    }
    before.must_hold(subject, "a tree that does not write renames nothing").await;
}

pub(super) async fn making_a_link_is_read_only(subject: &Subject) {
    let before = subject.snapshot().await;
    for path in paths(subject) {
        refused(subject.tree().symlink(&Bytes::from_static(b"one"), &path).await, "symlink", &path);
    }
    before.must_hold(subject, "a tree that does not write makes no link").await;
}

pub(super) async fn a_second_name_is_read_only(subject: &Subject) {
    let before = subject.snapshot().await;
    for path in paths(subject) {
        let linked = subject.tree().hard_link(&subject.at("/hello.txt"), &path).await;
        linked.must_be(ErrorKind::ReadOnly, "hard_link in a tree that does not write is ReadOnly");
    }
    before.must_hold(subject, "a tree that does not write gives no second name").await;
}

pub(super) async fn setting_attributes_is_read_only(subject: &Subject) {
    let before = subject.snapshot().await;
    let mode = SetAttributes { mode: Some(0o600), ..SetAttributes::default() };
    let time = SetAttributes { modified: Some(SystemTime::UNIX_EPOCH), ..SetAttributes::default() };
    for attributes in [mode, time] {
        for path in paths(subject) {
            for follow in [true, false] {
                let set = subject.tree().set_attributes(&path, &attributes, follow).await;
                refused(set, "set_attributes", &path);
            }
        }
    }
    before.must_hold(subject, "a tree that does not write sets nothing").await;
}

pub(super) async fn opening_for_writing_is_read_only(subject: &Subject) {
    let before = subject.snapshot().await;
    let base = OpenOptions::default();
    for options in [
        OpenOptions { write: true, ..base.clone() },
        OpenOptions { read: true, write: true, ..base.clone() },
        OpenOptions { append: true, ..base.clone() },
        OpenOptions { append: true, create: true, ..base.clone() },
        OpenOptions { write: true, create_new: true, ..base.clone() },
        OpenOptions::writing(),
        OpenOptions::replacing(),
        OpenOptions { create_new: true, ..OpenOptions::replacing() },
    ] {
        for path in ["/hello.txt", "/hollow/new", "/missing/new"] {
            let path = subject.at(path);
            refused(subject.open(&path, &options).await, "open", &path);
        }
    }
    before.must_hold(subject, "a tree that does not write opens nothing for writing").await;
}

pub(super) async fn an_open_file_takes_no_changes(subject: &Subject) {
    let before = subject.snapshot().await;
    let file = subject.reader(&subject.at("/hello.txt")).await;
    let kinds = [ErrorKind::ReadOnly, ErrorKind::InvalidInput];
    let behaviour = "an open file of a tree that does not write takes no changes";
    file.write_at(0, Bytes::from_static(b"X")).await.must_be_one_of(&kinds, behaviour);
    file.set_len(0).await.must_be_one_of(&kinds, behaviour);
    let mode = SetAttributes { mode: Some(0o600), ..SetAttributes::default() };
    file.set_attributes(&mode).await.must_be(ErrorKind::ReadOnly, behaviour);
    file.finish().await.must("finish has nothing to do for a reader");
    file.sync(false).await.must("sync has nothing to do for a reader");
    before.must_hold(subject, behaviour).await;
    assert_eq!(subject.content(&subject.at("/hello.txt")).await, HELLO, "{behaviour}");
}

/// A file, a folder, an empty folder, what is missing, and the root: `ReadOnly` comes before what is wrong with them.
fn paths(subject: &Subject) -> [VPath; 6] {
    ["/hello.txt", "/dir", "/hollow", "/hollow/new", "/missing/new", "/"].map(|path| subject.at(path))
}

fn refused<T>(outcome: Result<T>, op: &str, path: &VPath) {
    let error = outcome.must_be(ErrorKind::ReadOnly, format!("{op} of {path} in a tree that does not write"));
    assert_eq!(error.op(), op, "an error names the operation that was asked");
    assert_eq!(error.path(), path, "an error of {op} names the path that was asked");
}

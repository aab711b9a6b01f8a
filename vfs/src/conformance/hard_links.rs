//! Second names for one file.

use bytes::Bytes;

use super::Subject;
use super::expect::Expect;
use super::sample::HELLO;
use crate::error::ErrorKind;
use crate::options::{OpenOptions, RenameOptions};

pub(super) async fn a_second_name_is_the_same_file(subject: &Subject) {
    let (first, second) = (subject.at("/hello.txt"), subject.at("/hollow/second"));
    subject.tree().hard_link(&first, &second).await.must("a file takes a second name");
    assert_eq!(subject.content(&second).await, HELLO, "the second name reads as the first");
    let links = subject.metadata(&first).await.must("the file is there").links;
    assert!(links.is_none_or(|links| links == 2), "a file with two names counts two, not {links:?}");
    let open = subject.open(&second, &OpenOptions { write: true, ..OpenOptions::default() }).await;
    open.must("the second name opens").write_at(0, Bytes::from_static(b"HELLO")).await.must("it is written");
    assert_eq!(
        &subject.content(&first).await[..5],
        b"HELLO",
        "what is written by one name is read by the other"
    );
}

pub(super) async fn removing_one_name_leaves_the_other(subject: &Subject) {
    let (first, second) = (subject.at("/hello.txt"), subject.at("/hollow/second"));
    subject.tree().hard_link(&first, &second).await.must("a file takes a second name");
    subject.tree().remove_file(&first).await.must("one name is removed");
    assert_eq!(subject.content(&second).await, HELLO, "removing one name leaves the other");
    let links = subject.metadata(&second).await.must("the file is there").links;
    assert!(links.is_none_or(|links| links == 1), "a file with one name left counts one, not {links:?}");
}

pub(super) async fn a_second_name_is_made_where_nothing_is_only(subject: &Subject) {
    let (tree, file, before) = (subject.tree(), subject.at("/hello.txt"), subject.snapshot().await);
    for taken in ["/one", "/dir", "/hello.txt"] {
        let linked = tree.hard_link(&file, &subject.at(taken)).await;
        linked.must_be(ErrorKind::AlreadyExists, "a second name over anything is AlreadyExists");
    }
    let linked = tree.hard_link(&file, &subject.at("/missing/name")).await;
    linked.must_be(ErrorKind::NotFound, "a second name in a missing folder is NotFound");
    let linked = tree.hard_link(&subject.at("/missing"), &subject.at("/hollow/name")).await;
    linked.must_be(ErrorKind::NotFound, "a second name for what is missing is NotFound");
    before.must_hold(subject, "a second name that is refused changes nothing").await;
}

pub(super) async fn a_folder_takes_no_second_name(subject: &Subject) {
    let before = subject.snapshot().await;
    let linked = subject.tree().hard_link(&subject.at("/dir"), &subject.at("/hollow/name")).await;
    // link(2): EPERM.
    linked.must_be(ErrorKind::PermissionDenied, "a second name for a folder is PermissionDenied");
    before.must_hold(subject, "a second name that is refused changes nothing").await;
}

pub(super) async fn a_second_name_for_a_link_is_for_the_link(subject: &Subject) {
    let second = subject.at("/links/second");
    subject.tree().hard_link(&subject.at("/links/to_file"), &second).await.must("a link takes a second name");
    let found = subject.entry(&second).await.must("the second name is there");
    assert!(found.is_symlink(), "hard_link does not follow a link");
}

pub(super) async fn renaming_a_name_to_the_other_changes_nothing(subject: &Subject) {
    let (first, second) = (subject.at("/hello.txt"), subject.at("/hollow/second"));
    subject.tree().hard_link(&first, &second).await.must("a file takes a second name");
    let renamed = subject.tree().rename(&first, &second, &RenameOptions::default()).await;
    renamed.must("renaming one name of a file to another of the same succeeds");
    // rename(2): "rename() does nothing, and returns a success status".
    assert_eq!(subject.content(&first).await, HELLO, "both names stay (the first)");
    assert_eq!(subject.content(&second).await, HELLO, "both names stay (the second)");
}

pub(super) async fn a_second_name_is_unsupported(subject: &Subject) {
    let before = subject.snapshot().await;
    let linked = subject.tree().hard_link(&subject.at("/hello.txt"), &subject.at("/hollow/name")).await;
    linked.must_be(ErrorKind::Unsupported, "a second name in a tree without them is Unsupported");
    before.must_hold(subject, "a second name that is refused changes nothing").await;
}

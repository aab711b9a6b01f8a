//! Folders made, files and folders removed.

use super::Subject;
use super::expect::Expect;
use crate::error::ErrorKind;
use crate::options::RenameOptions;

pub(super) async fn a_folder_is_made(subject: &Subject) {
    let path = subject.at("/hollow/new");
    subject.tree().create_dir(&path).await.must("a folder is made where nothing is");
    let found = subject.metadata(&path).await.must("a new folder is described");
    assert!(found.is_dir(), "what create_dir made is a folder");
    assert!(subject.names(&path).await.is_empty(), "a new folder is empty");
    assert!(subject.names(&subject.at("/hollow")).await.contains(&b"new"[..]), "a new folder is listed");
}

pub(super) async fn a_folder_is_made_where_nothing_is_only(subject: &Subject) {
    let before = subject.snapshot().await;
    for path in [subject.at("/dir"), subject.at("/hello.txt"), subject.root().clone()] {
        let made = subject.tree().create_dir(&path).await;
        made.must_be(ErrorKind::AlreadyExists, "making a folder over anything is AlreadyExists");
    }
    let made = subject.tree().create_dir(&subject.at("/missing/new")).await;
    made.must_be(ErrorKind::NotFound, "making a folder in a missing one is NotFound");
    let made = subject.tree().create_dir(&subject.at("/hello.txt/new")).await;
    made.must_be(ErrorKind::NotADirectory, "making a folder in a file is NotADirectory");
    before.must_hold(subject, "a folder that is refused is not made").await;
}

pub(super) async fn a_file_is_removed(subject: &Subject) {
    let path = subject.at("/dir/inner.txt");
    subject.tree().remove_file(&path).await.must("a file is removed");
    subject.metadata(&path).await.must_be(ErrorKind::NotFound, "a removed file is gone");
    assert!(
        !subject.names(&subject.at("/dir")).await.contains(&b"inner.txt"[..]),
        "a removed file is not listed"
    );
    subject.tree().remove_file(&path).await.must_be(ErrorKind::NotFound, "removing it again is NotFound");
}

pub(super) async fn remove_file_removes_no_folder(subject: &Subject) {
    let before = subject.snapshot().await;
    for path in ["/dir", "/hollow"] {
        let removed = subject.tree().remove_file(&subject.at(path)).await;
        removed.must_be(ErrorKind::IsADirectory, "remove_file of a folder is IsADirectory");
    }
    let removed = subject.tree().remove_file(&subject.at("/missing/file")).await;
    removed.must_be(ErrorKind::NotFound, "remove_file in a missing folder is NotFound");
    let removed = subject.tree().remove_file(&subject.at("/hello.txt/file")).await;
    removed.must_be(ErrorKind::NotADirectory, "remove_file through a file is NotADirectory");
    before.must_hold(subject, "a removal that is refused removes nothing").await;
}

pub(super) async fn an_empty_folder_is_removed(subject: &Subject) {
    let path = subject.at("/hollow");
    subject.tree().remove_dir(&path).await.must("an empty folder is removed");
    subject.metadata(&path).await.must_be(ErrorKind::NotFound, "a removed folder is gone");
    assert!(!subject.names(subject.root()).await.contains(&b"hollow"[..]), "a removed folder is not listed");
    subject.tree().remove_dir(&path).await.must_be(ErrorKind::NotFound, "removing it again is NotFound");
    subject.tree().create_dir(&path).await.must("the name is free again");
}

pub(super) async fn remove_dir_removes_empty_folders_only(subject: &Subject) {
    let before = subject.snapshot().await;
    let removed = subject.tree().remove_dir(&subject.at("/dir")).await;
    removed.must_be(ErrorKind::DirectoryNotEmpty, "remove_dir of a folder in use is DirectoryNotEmpty");
    let removed = subject.tree().remove_dir(&subject.at("/hello.txt")).await;
    removed.must_be(ErrorKind::NotADirectory, "remove_dir of a file is NotADirectory");
    let removed = subject.tree().remove_dir(&subject.at("/missing")).await;
    removed.must_be(ErrorKind::NotFound, "remove_dir of what is missing is NotFound");
    before.must_hold(subject, "a removal that is refused removes nothing").await;
}

pub(super) async fn the_root_stays(subject: &Subject) {
    let (tree, root, before) = (subject.tree(), subject.root(), subject.snapshot().await);
    // A mounted tree's root is a mount point, which is in use; a tree's own root cannot be named in a parent.
    let kinds = [ErrorKind::Busy, ErrorKind::InvalidInput, ErrorKind::DirectoryNotEmpty];
    tree.remove_dir(root).await.must_be_one_of(&kinds, "the root is not removed");
    tree.remove_file(root).await.must_be(ErrorKind::IsADirectory, "remove_file of the root is IsADirectory");
    let kinds = [ErrorKind::Busy, ErrorKind::InvalidInput, ErrorKind::CrossesDevices];
    let moved = tree.rename(root, &subject.at("/hollow/root"), &RenameOptions::default()).await;
    moved.must_be_one_of(&kinds, "the root is not renamed");
    let replaced = tree.rename(&subject.at("/hollow"), root, &RenameOptions::default()).await;
    let kinds = [kinds[0], kinds[1], kinds[2], ErrorKind::DirectoryNotEmpty];
    replaced.must_be_one_of(&kinds, "the root is not replaced");
    before.must_hold(subject, "the root stays, and all below it").await;
}

pub(super) async fn a_refused_change_names_what_was_asked(subject: &Subject) {
    let tree = subject.tree();
    let (missing, dir) = (subject.at("/missing/x"), subject.at("/dir"));
    let errors = [
        ("create_dir", &missing, tree.create_dir(&missing).await),
        ("create_dir", &dir, tree.create_dir(&dir).await),
        ("remove_file", &missing, tree.remove_file(&missing).await),
        ("remove_file", &dir, tree.remove_file(&dir).await),
        ("remove_dir", &missing, tree.remove_dir(&missing).await),
        ("remove_dir", &dir, tree.remove_dir(&dir).await),
        ("rename", &missing, tree.rename(&missing, &dir, &RenameOptions::default()).await),
        ("rename", &missing, tree.rename(&dir, &missing, &RenameOptions::default()).await),
    ];
    for (op, path, outcome) in errors {
        let Err(error) = outcome else { panic!("{op} of {path} is refused") };
        assert_eq!(error.op(), op, "an error names the operation that was asked");
        let named = error.path() == path || (op == "rename" && error.path() == &dir);
        assert!(named, "an error of {op} names the path that was asked, {path}, not {}", error.path());
    }
}

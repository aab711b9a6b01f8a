//! Names are bytes: the odd ones, long ones and deep ones.

use bytes::Bytes;

use super::expect::Expect;
use super::sample::{BYTE_NAME, DEPTH, NEWLINE_NAME};
use super::{Skill, Subject};
use crate::error::{Error, ErrorKind};
use crate::options::{OpenOptions, RenameOptions};
use crate::path::VPath;

/// A name longer than any tree takes.
const TOO_LONG: usize = 256;

pub(super) async fn a_name_with_spaces_is_held(subject: &Subject) {
    holds(subject, b" two  spaces ").await;
}

pub(super) async fn a_name_with_hashes_is_held(subject: &Subject) {
    holds(subject, b"a#b#").await;
}

pub(super) async fn a_name_with_percents_is_held(subject: &Subject) {
    holds(subject, b"100%25 %2e%2F").await;
}

pub(super) async fn a_name_with_a_question_mark_is_held(subject: &Subject) {
    holds(subject, b"what?").await;
}

pub(super) async fn a_name_with_quotes_is_held(subject: &Subject) {
    holds(subject, b"\"quoted\" 'name'").await;
}

pub(super) async fn a_name_with_a_backslash_is_held(subject: &Subject) {
    holds(subject, b"back\\slash").await;
}

pub(super) async fn a_name_like_html_is_held(subject: &Subject) {
    holds(subject, b"<b>&amp;").await;
}

pub(super) async fn a_name_with_separators_is_held(subject: &Subject) {
    holds(subject, b"semi;colon:and,comma").await;
}

pub(super) async fn a_name_with_leading_dots_is_held(subject: &Subject) {
    holds(subject, b".hidden").await;
    holds(subject, b"...").await;
}

pub(super) async fn a_name_with_a_leading_dash_is_held(subject: &Subject) {
    holds(subject, b"-rf").await;
}

pub(super) async fn a_name_beyond_ascii_is_held(subject: &Subject) {
    holds(subject, "zażółć 漢字 é".as_bytes()).await;
}

pub(super) async fn a_name_like_a_marker_is_no_address(subject: &Subject) {
    holds(subject, b"x#tgz:").await;
    holds(subject, b"#zip:").await;
}

pub(super) async fn a_name_of_255_bytes_is_held(subject: &Subject) {
    holds(subject, &[b'n'; 255]).await;
}

pub(super) async fn a_name_with_a_line_feed_is_held(subject: &Subject) {
    holds(subject, NEWLINE_NAME).await;
}

pub(super) async fn a_name_that_is_no_utf8_is_held(subject: &Subject) {
    holds(subject, BYTE_NAME).await;
}

pub(super) async fn a_name_with_a_line_feed_is_refused(subject: &Subject) {
    refuses(subject, NEWLINE_NAME).await;
}

pub(super) async fn a_name_that_is_no_utf8_is_refused(subject: &Subject) {
    refuses(subject, BYTE_NAME).await;
}

pub(super) async fn a_deep_path_is_walked(subject: &Subject) {
    let mut path = subject.at("/deep");
    for level in 1..=DEPTH {
        let below = level.to_string();
        assert!(subject.names(&path).await.contains(below.as_bytes()), "{path} lists the folder below");
        path = path.child(below).expect("a number is a name");
    }
    let leaf = path.child("leaf").expect("it is a name");
    assert_eq!(subject.content(&leaf).await, b"deep\n", "a file at the end of a deep path reads");
}

pub(super) async fn a_deep_path_is_made(subject: &Subject) {
    let mut path = subject.at("/hollow");
    for level in 0..DEPTH {
        path = path.child(level.to_string()).expect("a number is a name");
        subject.tree().create_dir(&path).await.must("folders are made in folders, at any depth");
    }
    let leaf = path.child("leaf").expect("it is a name");
    subject.write(&leaf, b"down here").await;
    assert_eq!(subject.content(&leaf).await, b"down here", "a file is written at the end of a deep path");
}

pub(super) async fn odd_names_are_made_moved_and_removed(subject: &Subject) {
    let (tree, folder) = (subject.tree(), subject.at("/hollow"));
    for name in subject.odd_names() {
        let path = literal(&folder, name);
        let shown = path.to_string();
        subject.write(&path, name).await;
        assert!(subject.names(&folder).await.contains(name), "{shown} is listed by its literal name");
        assert_eq!(subject.content(&path).await, name, "{shown} reads as it was written");
        let moved = subject.at("/dir/moved");
        tree.rename(&path, &moved, &RenameOptions::default()).await.must(format!("{shown} is renamed"));
        assert!(subject.names(&folder).await.is_empty(), "{shown} is gone from where it was");
        tree.rename(&moved, &path, &RenameOptions::default()).await.must(format!("{shown} is named again"));
        tree.remove_file(&path).await.must(format!("{shown} is removed"));
        tree.create_dir(&path).await.must(format!("{shown} is a name for a folder too"));
        tree.remove_dir(&path).await.must(format!("the folder {shown} is removed"));
        assert!(subject.names(&folder).await.is_empty(), "{shown} leaves nothing behind");
    }
}

pub(super) async fn a_name_of_256_bytes_is_too_long(subject: &Subject) {
    let (tree, before) = (subject.tree(), subject.snapshot().await);
    let path = literal(&subject.at("/hollow"), &[b'n'; TOO_LONG]);
    let behaviour = "a name of 256 bytes is NameTooLong";
    tree.create_dir(&path).await.must_be(ErrorKind::NameTooLong, behaviour);
    subject.open(&path, &OpenOptions::writing()).await.must_be(ErrorKind::NameTooLong, behaviour);
    let renamed = tree.rename(&subject.at("/one"), &path, &RenameOptions::default()).await;
    renamed.must_be(ErrorKind::NameTooLong, behaviour);
    if subject.has(Skill::Symlinks) {
        let linked = tree.symlink(&Bytes::from_static(b"x"), &path).await;
        linked.must_be(ErrorKind::NameTooLong, behaviour);
    }
    before.must_hold(subject, "a name that is too long changes nothing").await;
}

pub(super) async fn upper_and_lower_case_are_two_names(subject: &Subject) {
    let (lower, upper) = (subject.at("/hollow/name"), subject.at("/hollow/NAME"));
    subject.write(&lower, b"lower").await;
    subject.write(&upper, b"upper").await;
    assert_eq!(subject.content(&lower).await, b"lower", "upper and lower case are two names");
    assert_eq!(subject.content(&upper).await, b"upper", "upper and lower case are two names");
}

/// The sample's file of this name is listed, described and read.
async fn holds(subject: &Subject, name: &'static [u8]) {
    let folder = subject.at("/names");
    let path = literal(&folder, name);
    assert!(subject.names(&folder).await.contains(name), "{path} is listed by its literal name");
    let found = subject.metadata(&path).await.must(format!("{path} is described"));
    assert!(found.is_file(), "{path} is a file");
    assert_eq!(subject.content(&path).await, name, "{path} reads as it was written");
}

async fn refuses(subject: &Subject, name: &'static [u8]) {
    let before = subject.snapshot().await;
    let path = literal(&subject.at("/hollow"), name);
    let behaviour = "a name that the tree cannot hold is InvalidInput";
    subject.open(&path, &OpenOptions::writing()).await.must_be(ErrorKind::InvalidInput, behaviour);
    subject.tree().create_dir(&path).await.must_be(ErrorKind::InvalidInput, behaviour);
    before.must_hold(subject, "a name that the tree cannot hold changes nothing").await;
}

fn literal(folder: &VPath, name: &[u8]) -> VPath {
    folder.child(Bytes::copy_from_slice(name)).map_err(Error::from).must("the odd names are names")
}

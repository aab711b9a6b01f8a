//! Modes and times: set, kept, and refused where the tree cannot.

use std::time::{Duration, SystemTime};

use super::expect::Expect;
use super::sample::HELLO;
use super::{Skill, Subject};
use crate::error::ErrorKind;
use crate::options::{OpenOptions, SetAttributes};

/// A time with nanoseconds.
const A_TIME: Duration = Duration::new(1_111_111_111, 123_456_789);

/// Another one, after it.
const A_LATER_TIME: Duration = Duration::new(1_222_222_222, 987_654_321);

pub(super) async fn setting_nothing_changes_nothing(subject: &Subject) {
    let before = subject.snapshot().await;
    let nothing = SetAttributes::default();
    for path in ["/hello.txt", "/dir"] {
        let set = subject.tree().set_attributes(&subject.at(path), &nothing, true).await;
        set.must("setting nothing succeeds");
    }
    before.must_hold(subject, "setting nothing changes nothing").await;
    let set = subject.tree().set_attributes(&subject.at("/missing"), &nothing, true).await;
    set.must_be(ErrorKind::NotFound, "setting nothing of what is missing is NotFound");
}

pub(super) async fn a_mode_is_set(subject: &Subject) {
    for (path, mode) in [("/hello.txt", 0o600), ("/hello.txt", 0o755), ("/dir", 0o700), ("/hollow", 0o1777)] {
        let path = subject.at(path);
        let before = subject.metadata(&path).await.must("it is there");
        set(subject, &path, SetAttributes { mode: Some(mode), ..SetAttributes::default() }).await;
        let after = subject.metadata(&path).await.must("it is there");
        assert_eq!(after.mode, Some(mode), "the permission bits of {path} are those that were set");
        assert_eq!(after.modified, before.modified, "setting a mode is no change of the content of {path}");
    }
    assert_eq!(subject.content(&subject.at("/hello.txt")).await, HELLO, "setting a mode leaves the content");
}

pub(super) async fn a_mode_is_set_on_an_open_file(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let options = OpenOptions { write: true, ..OpenOptions::default() };
    let file = subject.open(&path, &options).await.must("a file opens for writing");
    let attributes = SetAttributes { mode: Some(0o604), ..SetAttributes::default() };
    file.set_attributes(&attributes).await.must("a mode is set on an open file");
    let found = subject.metadata(&path).await.must("it is there");
    assert_eq!(found.mode, Some(0o604), "a mode that was set on an open file is the path's");
}

pub(super) async fn times_are_set(subject: &Subject) {
    let (modified, accessed) = (SystemTime::UNIX_EPOCH + A_TIME, SystemTime::UNIX_EPOCH + A_LATER_TIME);
    for path in ["/hello.txt", "/dir", "/empty"] {
        let path = subject.at(path);
        let times =
            SetAttributes { modified: Some(modified), accessed: Some(accessed), ..SetAttributes::default() };
        set(subject, &path, times).await;
        let found = subject.metadata(&path).await.must("it is there");
        subject.assert_same_time(
            found.modified,
            modified,
            "the time of the last change is the one that was set",
        );
        if found.accessed.is_some() {
            subject.assert_same_time(
                found.accessed,
                accessed,
                "the time of the last reading is the one that was set",
            );
        }
    }
}

pub(super) async fn one_time_is_set_and_the_other_stays(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let before = subject.metadata(&path).await.must("it is there");
    let modified = SystemTime::UNIX_EPOCH + A_TIME;
    set(subject, &path, SetAttributes { modified: Some(modified), ..SetAttributes::default() }).await;
    let found = subject.metadata(&path).await.must("it is there");
    assert_eq!(found.accessed, before.accessed, "setting one time leaves the other");
}

pub(super) async fn times_are_set_on_an_open_file(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let options = OpenOptions { write: true, ..OpenOptions::default() };
    let file = subject.open(&path, &options).await.must("a file opens for writing");
    let modified = SystemTime::UNIX_EPOCH + A_TIME;
    let times = SetAttributes { modified: Some(modified), ..SetAttributes::default() };
    file.set_attributes(&times).await.must("a time is set on an open file");
    let found = subject.metadata(&path).await.must("it is there");
    subject.assert_same_time(found.modified, modified, "a time that was set on an open file is the path's");
}

pub(super) async fn a_write_is_a_change(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let long_ago = SystemTime::UNIX_EPOCH + A_TIME;
    set(subject, &path, SetAttributes { modified: Some(long_ago), ..SetAttributes::default() }).await;
    subject.write(&path, b"new").await;
    let found = subject.metadata(&path).await.must("it is there").modified;
    assert!(
        found.is_some_and(|modified| modified > long_ago + Duration::from_secs(3600)),
        "a write is a change"
    );
}

pub(super) async fn reading_is_no_change(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let before = subject.metadata(&path).await.must("it is there").modified;
    subject.content(&path).await;
    let after = subject.metadata(&path).await.must("it is there").modified;
    assert_eq!(before, after, "reading is no change");
}

pub(super) async fn attributes_follow_a_link_where_asked(subject: &Subject) {
    let (link, target) = (subject.at("/links/to_file"), subject.at("/hello.txt"));
    let (time, later) = (SystemTime::UNIX_EPOCH + A_TIME, SystemTime::UNIX_EPOCH + A_LATER_TIME);
    let with = |modified| SetAttributes { modified: Some(modified), ..SetAttributes::default() };
    subject.tree().set_attributes(&link, &with(time), true).await.must("times are set through a link");
    subject.tree().set_attributes(&link, &with(later), false).await.must("times are set on a link itself");
    let found = subject.metadata(&target).await.must("the target is there").modified;
    subject.assert_same_time(found, time, "following, the target gets the time");
    let found = subject.entry(&link).await.must("the link is there").modified;
    subject.assert_same_time(found, later, "not following, the link gets the time");
}

pub(super) async fn setting_what_is_missing_is_not_found(subject: &Subject) {
    let attributes = subject.something_to_set();
    let set = subject.tree().set_attributes(&subject.at("/missing"), &attributes, true).await;
    set.must_be(ErrorKind::NotFound, "setting attributes of what is missing is NotFound");
    let set = subject.tree().set_attributes(&subject.at("/hello.txt/x"), &attributes, true).await;
    set.must_be(ErrorKind::NotADirectory, "setting attributes through a file is NotADirectory");
}

pub(super) async fn setting_a_mode_is_unsupported(subject: &Subject) {
    let before = subject.snapshot().await;
    let mode = SetAttributes { mode: Some(0o600), ..SetAttributes::default() };
    let both = SetAttributes { modified: Some(SystemTime::UNIX_EPOCH + A_TIME), ..mode };
    for attributes in [mode, both] {
        let set = subject.tree().set_attributes(&subject.at("/hello.txt"), &attributes, true).await;
        set.must_be(ErrorKind::Unsupported, "setting a mode in a tree without them is Unsupported");
    }
    before.must_hold(subject, "where one attribute cannot be set, none is").await;
}

pub(super) async fn setting_a_time_is_unsupported(subject: &Subject) {
    let before = subject.snapshot().await;
    let time = SetAttributes { modified: Some(SystemTime::UNIX_EPOCH + A_TIME), ..SetAttributes::default() };
    let both = SetAttributes { mode: Some(0o600), ..time };
    for attributes in [time, both] {
        let set = subject.tree().set_attributes(&subject.at("/hello.txt"), &attributes, true).await;
        set.must_be(ErrorKind::Unsupported, "setting a time in a tree that cannot is Unsupported");
    }
    before.must_hold(subject, "where one attribute cannot be set, none is").await;
}

async fn set(subject: &Subject, path: &crate::VPath, attributes: SetAttributes) {
    let set = subject.tree().set_attributes(path, &attributes, true).await;
    set.must(format!("setting {attributes:?} of {path} succeeds"));
}

impl Subject {
    /// Attributes that this tree can set, nothing where it can set none.
    fn something_to_set(&self) -> SetAttributes {
        SetAttributes {
            mode: self.has(Skill::SetModes).then_some(0o600),
            modified: self.has(Skill::SetTimes).then_some(SystemTime::UNIX_EPOCH + A_TIME),
            ..SetAttributes::default()
        }
    }
}

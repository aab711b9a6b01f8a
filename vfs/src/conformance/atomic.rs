//! Writing a file as a whole: nobody sees it before it is finished, and a drop leaves what was there.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Subject;
use super::expect::{Expect, poll_once};
use super::sample::HELLO;
use super::subject::read_all;
use crate::error::ErrorKind;
use crate::file_system::File;
use crate::options::OpenOptions;

/// Writers of one file at once.
const RIVALS: usize = 20;

pub(super) async fn an_atomic_file_is_invisible_before_finish(subject: &Subject) {
    let path = subject.at("/hollow/new");
    let part = replace(subject, "/hollow/new", b"new").await;
    subject.metadata(&path).await.must_be(ErrorKind::NotFound, "an atomic file is not there before finish");
    let opened = subject.open(&path, &OpenOptions::reading()).await;
    opened.must_be(ErrorKind::NotFound, "an atomic file does not open before finish");
    let listed = subject.names(&subject.at("/hollow")).await;
    assert!(
        listed.is_empty(),
        "neither an atomic file nor its part file is listed before finish: {listed:?}"
    );
    part.finish().await.must("finish publishes");
    assert_eq!(subject.content(&path).await, b"new", "finish publishes what was written");
}

pub(super) async fn the_old_content_stays_until_finish(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let part = replace(subject, "/hello.txt", b"new").await;
    assert_eq!(subject.content(&path).await, HELLO, "the old content stays until finish");
    part.finish().await.must("finish publishes");
    assert_eq!(subject.content(&path).await, b"new", "finish puts the new content in place of the old");
}

pub(super) async fn a_drop_leaves_the_old_content(subject: &Subject) {
    let before = subject.snapshot().await.without_folder_times();
    drop(replace(subject, "/hello.txt", b"never finished").await);
    drop(replace(subject, "/hollow/new", b"never finished").await);
    let after = subject.snapshot().await.without_folder_times();
    before.must_equal(&after, "an atomic file that is dropped before finish leaves all as it was");
}

pub(super) async fn an_atomic_writer_leaves_nothing_behind(subject: &Subject) {
    let folder = subject.at("/dir");
    let before = subject.names(&folder).await;
    for round in 0..4 {
        let part = replace(subject, "/dir/inner.txt", b"round").await;
        assert_eq!(subject.names(&folder).await, before, "a part file is not listed while it is written");
        if round % 2 == 0 {
            part.finish().await.must("finish publishes");
        }
        drop(part);
        assert_eq!(subject.names(&folder).await, before, "no part file is left in the listing");
    }
}

pub(super) async fn finish_publishes_once(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let part = replace(subject, "/hello.txt", b"first").await;
    part.finish().await.must("finish publishes");
    subject.write(&path, b"of somebody else").await;
    part.finish().await.must("a second finish has nothing to do");
    drop(part);
    assert_eq!(subject.content(&path).await, b"of somebody else", "finish publishes once");
}

pub(super) async fn an_atomic_create_new_replaces_nothing(subject: &Subject) {
    let path = subject.at("/hollow/new");
    let options = OpenOptions { create_new: true, ..OpenOptions::replacing() };
    let part = subject.open(&path, &options).await.must("an atomic file opens where nothing is");
    part.write_at(0, Bytes::from_static(b"mine")).await.must("it takes bytes");
    subject.write(&path, b"theirs").await;
    part.finish()
        .await
        .must_be(ErrorKind::AlreadyExists, "publishing over what has come meanwhile is AlreadyExists");
    drop(part);
    assert_eq!(
        subject.content(&path).await,
        b"theirs",
        "create_new replaces nothing when it is finished either"
    );
    let listed = subject.names(&subject.at("/hollow")).await;
    assert_eq!(listed.len(), 1, "an atomic file that lost leaves nothing behind: {listed:?}");
}

pub(super) async fn an_atomic_create_new_has_one_winner(subject: &Subject) {
    let options = OpenOptions { create_new: true, ..OpenOptions::replacing() };
    let won: Vec<_> = race(subject, &options).await.into_iter().filter(Result::is_ok).collect();
    assert_eq!(won.len(), 1, "of many that publish a new file one wins");
    let content = subject.content(&subject.at("/hollow/new")).await;
    must_be_one_rivals(&content);
}

pub(super) async fn of_many_atomic_writers_the_last_wins_whole(subject: &Subject) {
    for outcome in race(subject, &OpenOptions::replacing()).await {
        outcome.must("each of many atomic writers publishes");
    }
    let content = subject.content(&subject.at("/hollow/new")).await;
    must_be_one_rivals(&content);
    let listed = subject.names(&subject.at("/hollow")).await;
    assert_eq!(listed.len(), 1, "many atomic writers leave one file: {listed:?}");
}

pub(super) async fn the_finish_that_comes_last_wins(subject: &Subject) {
    let first = replace(subject, "/hello.txt", b"opened first").await;
    let second = replace(subject, "/hello.txt", b"opened second").await;
    second.finish().await.must("finish publishes");
    first.finish().await.must("finish publishes");
    let content = subject.content(&subject.at("/hello.txt")).await;
    assert_eq!(content, b"opened first", "of two atomic writers the one that finishes last wins");
}

pub(super) async fn a_reader_of_the_old_content_keeps_it(subject: &Subject) {
    let reader = subject.reader(&subject.at("/hello.txt")).await;
    let part = replace(subject, "/hello.txt", b"new").await;
    part.finish().await.must("finish publishes");
    let content = read_all(&*reader).await;
    assert_eq!(content, HELLO, "a file that was open before goes on from the old content");
}

pub(super) async fn an_atomic_file_starts_empty(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let part = subject.open(&path, &OpenOptions::replacing()).await.must("an atomic file opens");
    part.finish().await.must("finish publishes a file that nothing was written to");
    assert!(subject.content(&path).await.is_empty(), "an atomic file starts empty, whatever it replaces");
}

pub(super) async fn a_published_file_has_a_new_validator(subject: &Subject) {
    let path = subject.at("/hello.txt");
    let before = subject.metadata(&path).await.must("the file is there").validator;
    let part = replace(subject, "/hello.txt", HELLO).await;
    part.finish().await.must("finish publishes");
    let after = subject.metadata(&path).await.must("the file is there").validator;
    assert_ne!(before, after, "a file that was published anew has a new validator");
}

pub(super) async fn a_dropped_finish_leaves_the_old_or_the_new(subject: &Subject) {
    let path = subject.at("/hello.txt");
    for _ in 0..8 {
        let part = replace(subject, "/hello.txt", b"new").await;
        poll_once(part.finish()).await;
        drop(part);
        let content = subject.content(&path).await;
        assert!(
            content == HELLO || content == b"new",
            "a dropped finish leaves the old content or the new, whole"
        );
    }
}

pub(super) async fn an_atomic_file_is_written_anywhere(subject: &Subject) {
    let part = replace(subject, "/hollow/new", b"abcdef").await;
    part.write_at(8, Bytes::from_static(b"ij")).await.must("an atomic file takes a write past its end");
    part.write_at(0, Bytes::from_static(b"AB")).await.must("an atomic file takes a write at its start");
    part.set_len(9).await.must("an atomic file is cut");
    let found = part.metadata().await.must("an atomic file is described while it is written");
    assert_eq!(found.len, Some(9), "an atomic file is described as it stands");
    part.finish().await.must("finish publishes");
    let content = subject.content(&subject.at("/hollow/new")).await;
    assert_eq!(content, b"ABcdef\0\0i", "an atomic file is written anywhere before finish");
}

/// An atomic file that holds `content` and is not finished.
async fn replace(subject: &Subject, path: &str, content: &'static [u8]) -> Arc<dyn File> {
    let part = subject.open(&subject.at(path), &OpenOptions::replacing()).await;
    let part = part.must("a file opens for being replaced");
    part.write_at(0, Bytes::from_static(content)).await.must("an atomic file takes bytes");
    part
}

/// Many write the same file and finish at the same moment.
async fn race(subject: &Subject, options: &OpenOptions) -> Vec<crate::Result<()>> {
    let start = Arc::new(Barrier::new(RIVALS));
    let mut rivals = JoinSet::new();
    for rival in 0..RIVALS {
        let (tree, path) = (Arc::clone(subject.tree()), subject.at("/hollow/new"));
        let (options, start) = (options.clone(), Arc::clone(&start));
        rivals.spawn(async move {
            let part = tree.open(&path, &options).await.must("an atomic file opens where nothing is");
            part.write_at(0, vec![rival as u8; 3000 + rival].into()).await.must("an atomic file takes bytes");
            start.wait().await;
            part.finish().await
        });
    }
    rivals.join_all().await
}

fn must_be_one_rivals(content: &[u8]) {
    let rival = usize::from(content[0]);
    let is_whole = content.len() == 3000 + rival && content.iter().all(|byte| usize::from(*byte) == rival);
    assert!(is_whole, "the content is one writer's, whole");
}

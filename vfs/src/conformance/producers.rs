//! Open files as producers: `producer::of`, by the file's own way or by reads.

use std::sync::Arc;

use super::Subject;
use super::expect::{Expect, poll_once};
use super::sample::{HELLO, big};
use super::subject::read_all;
use crate::error::{Error, ErrorKind, Result};
use crate::options::ByteRange;
use crate::producer::{self, Chunk, FileSpan, Peeked, Producer, ProducerExt};

/// What the tests pull from.
type Source = Peeked<Box<dyn Producer>>;

pub(super) async fn a_whole_file_is_produced(subject: &Subject) {
    for (path, content) in [("/big", &big()[..]), ("/hello.txt", HELLO), ("/one", b"1")] {
        let produced = drain(source(subject, path, ByteRange::whole()).await).await;
        assert!(produced.must("a whole file is produced") == content, "{path} is produced as it reads");
    }
}

pub(super) async fn an_empty_file_produces_nothing(subject: &Subject) {
    let produced = drain(source(subject, "/empty", ByteRange::whole()).await).await;
    assert!(produced.must("an empty file is produced").is_empty(), "an empty file produces no chunk");
}

pub(super) async fn a_range_is_produced_to_the_byte(subject: &Subject) {
    let big = big();
    for (start, len) in [(0, 1), (0, 10), (5, 10), (65_530, 100), (99_999, 1), (1000, 90_000)] {
        let produced = drain(source(subject, "/big", ByteRange::at(start, len)).await).await;
        let wanted = &big[start as usize..(start + len) as usize];
        assert!(
            produced.must("a range is produced") == wanted,
            "{len} bytes from {start} are produced to the byte"
        );
    }
}

pub(super) async fn a_range_to_the_end_is_produced(subject: &Subject) {
    let produced = drain(source(subject, "/big", ByteRange::from(99_000)).await).await;
    assert!(
        produced.must("a range to the end is produced") == big()[99_000..],
        "a range to the end is the rest"
    );
}

pub(super) async fn a_range_up_to_the_last_byte_is_whole(subject: &Subject) {
    let produced = drain(source(subject, "/big", ByteRange::at(0, 100_000)).await).await;
    assert!(produced.must("a range of all bytes ends well") == big(), "a range of all bytes is the file");
}

pub(super) async fn an_empty_range_produces_nothing(subject: &Subject) {
    let produced = drain(source(subject, "/big", ByteRange::at(10, 0)).await).await;
    assert!(
        produced.must("a range of no bytes is produced").is_empty(),
        "a range of no bytes produces nothing"
    );
}

pub(super) async fn a_range_from_the_end_produces_nothing(subject: &Subject) {
    for start in [HELLO.len() as u64, HELLO.len() as u64 + 1000] {
        let produced = drain(source(subject, "/hello.txt", ByteRange::from(start)).await).await;
        let produced = produced.must("a range without an end, from the end on, is produced");
        assert!(produced.is_empty(), "a range without an end, from the end on, produces nothing");
    }
}

pub(super) async fn read_range_past_end(subject: &Subject) {
    let range = ByteRange::at(5, HELLO.len() as u64);
    let mut source = source(subject, "/hello.txt", range).await;
    let mut produced = Vec::new();
    let error = loop {
        match source.more().await {
            Some(Ok(chunk)) => produced.extend(bytes_of(chunk).await.must("a chunk is read")),
            Some(Err(error)) => break error,
            None => panic!("a range whose end the file does not reach is Truncated; it ended well"),
        }
    };
    assert_eq!(error.kind(), ErrorKind::Truncated, "a range whose end the file does not reach is Truncated");
    assert!(HELLO[5..].starts_with(&produced), "before that it brings bytes of the file only");
    assert!(source.more().await.is_none(), "after an error a producer is at its end");
}

pub(super) async fn a_range_behind_the_end_is_truncated(subject: &Subject) {
    let produced = drain(source(subject, "/hello.txt", ByteRange::at(1000, 10)).await).await;
    produced.must_be(ErrorKind::Truncated, "a stated range behind the end is Truncated");
}

pub(super) async fn a_producer_stays_at_its_end(subject: &Subject) {
    let mut source = source(subject, "/hello.txt", ByteRange::whole()).await;
    while source.more().await.is_some() {}
    assert!(source.more().await.is_none(), "a producer at its end stays there");
}

pub(super) async fn no_chunk_is_empty_or_overlong(subject: &Subject) {
    let mut source = source(subject, "/big", ByteRange::at(1, 99_998)).await;
    let mut sum = 0;
    while let Some(chunk) = source.more().await {
        let chunk = chunk.must("a range is produced");
        assert!(!chunk.is_empty(), "no chunk is empty");
        assert!(chunk.len() <= FileSpan::MAX_BYTES, "a chunk holds a MiB at most");
        sum += chunk.len();
    }
    assert_eq!(sum, 99_998, "the chunks of a range add up to it");
}

pub(super) async fn what_a_hint_says_is_left_is_left(subject: &Subject) {
    let mut source = source(subject, "/big", ByteRange::at(100, 90_000)).await;
    let mut left = 90_000;
    loop {
        let hint = source.hint().remaining;
        assert!(hint.is_none_or(|hint| hint == left), "a hint says {hint:?} are left where {left} are");
        let Some(chunk) = source.more().await else { break };
        left -= chunk.must("a range is produced").len() as u64;
    }
    assert_eq!(left, 0, "a range is produced to its end");
}

pub(super) async fn waiting_for_a_chunk_takes_nothing(subject: &Subject) {
    let mut source = source(subject, "/big", ByteRange::whole()).await;
    let mut produced = Vec::new();
    loop {
        poll_once(source.ready()).await;
        source.ready().await;
        match source.more().await {
            Some(chunk) => {
                produced.extend(bytes_of(chunk.must("it is produced")).await.must("a chunk is read"))
            }
            None => break,
        }
    }
    assert!(produced == big(), "`ready` and its drop lose nothing");
}

pub(super) async fn two_producers_of_one_file_are_independent(subject: &Subject) {
    let file = subject.reader(&subject.at("/big")).await;
    let mut front = producer::of(Arc::clone(&file), ByteRange::at(0, 60_000)).peeked();
    let back = producer::of(Arc::clone(&file), ByteRange::from(40_000)).peeked();
    let first = front.more().await.expect("the front has a chunk").must("it is produced");
    let mut produced = bytes_of(first).await.must("a chunk is read");
    let back = drain(back).await.must("the other is produced meanwhile");
    produced.extend(drain(front).await.must("the first goes on"));
    assert!(
        produced == big()[..60_000] && back == big()[40_000..],
        "two producers of one file are independent"
    );
}

pub(super) async fn a_producer_that_is_dropped_leaves_its_file(subject: &Subject) {
    let file = subject.reader(&subject.at("/big")).await;
    for _ in 0..4 {
        let mut source = producer::of(Arc::clone(&file), ByteRange::whole()).peeked();
        source.more().await.expect("a file has a first chunk").must("it is produced");
        poll_once(source.more()).await;
    }
    assert!(read_all(&*file).await == big(), "producers that were dropped do not disturb their file");
}

pub(super) async fn a_producer_keeps_its_file_open(subject: &Subject) {
    let source = source(subject, "/big", ByteRange::whole()).await;
    // The last handle of a caller has gone in `source`; a front end drops its own while it sends.
    assert!(drain(source).await.must("it is produced") == big(), "a producer keeps its file open");
}

async fn source(subject: &Subject, path: &str, range: ByteRange) -> Source {
    producer::of(subject.reader(&subject.at(path)).await, range).peeked()
}

async fn drain(mut source: Source) -> Result<Vec<u8>> {
    let mut produced = Vec::new();
    while let Some(chunk) = source.more().await {
        produced.extend(bytes_of(chunk?).await?);
    }
    Ok(produced)
}

/// The bytes of a chunk, read where they are still in a file.
async fn bytes_of(chunk: Chunk) -> Result<Vec<u8>> {
    match chunk {
        Chunk::Bytes(bytes) => Ok(bytes.to_vec()),
        Chunk::Span(span) => {
            let read = tokio::task::spawn_blocking(move || span.read_blocking()).await;
            let read = read.expect("reading a span does not panic");
            read.map(|bytes| bytes.to_vec())
                .map_err(|error| Error::from_io(error, "read_at", &crate::VPath::root()))
        }
    }
}

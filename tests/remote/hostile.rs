//! An origin that lies, breaks off and hangs: right bytes or a clear error, in bounded time, and nothing left behind.

use std::sync::LazyLock;
use std::time::Duration;

use support::{Answer, Heard, Origin};
use tokio::runtime::Handle;
use tokio::time::Instant;
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::producer::{Chunk, ProducerExt};
use vfs::{ByteRange, Error, ErrorKind, FileSystem, OpenOptions, VPath, producer};

/// The longest that any case may take: asking again, waiting for a head and for a stalled body.
const LONGEST: Duration = Duration::from_secs(90);

/// Length of the file. It is more than what sockets and the transfer hold, so that nothing is there by chance.
const LEN: usize = 6 << 20;

/// A range that is too far away for a reader of the start to get there.
const FAR: ByteRange = ByteRange { start: 5 << 20, end: Some((5 << 20) + 1000) };

const TAG: &str = "\"one\"";

/// One way to misbehave, and what has to come of it.
struct Case {
    name: &'static str,
    range: ByteRange,
    expected: Expected,
    answer: fn(&Heard) -> Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    TheRightBytes,
    An(ErrorKind),
}

use Expected::{An, TheRightBytes};

macro_rules! cases {
    ($($name:ident reads $range:expr => $expected:expr, $answer:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                case(stringify!($name)).run().await;
            }
        )*

        const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            range: $range,
            expected: $expected,
            answer: $answer,
        }),*];
    };
}

cases! {
    an_honest_site_is_read reads FAR => TheRightBytes, |heard| honest(heard);
    a_range_that_is_ignored_is_found_in_the_whole reads FAR => TheRightBytes, |_| whole();
    a_wrong_part_is_no_answer reads FAR => An(ErrorKind::Corrupt), |heard| match heard.range() {
        None => whole(),
        Some(_) => part("0-999", LEN, 0..1000),
    };
    a_part_that_was_not_asked_for_is_no_answer reads ByteRange::whole() => An(ErrorKind::Corrupt), |_| {
        part("0-999", LEN, 0..1000)
    };
    a_wrong_total_is_another_file reads FAR => An(ErrorKind::Changed), |heard| match heard.range() {
        None => whole(),
        Some((first, end)) => {
            let end = end.unwrap_or(LEN);
            part(&format!("{first}-{}", end - 1), LEN + 1, first..end)
        }
    };
    a_part_without_a_name_is_no_answer reads FAR => An(ErrorKind::Corrupt), |heard| match heard.range() {
        None => whole(),
        Some(_) => Answer::head("206 Partial Content", &[("Content-Length", "5"), ("ETag", TAG)]).send("hello"),
    };
    a_file_without_a_length_is_read_to_its_end reads ByteRange::whole() => TheRightBytes, |_| {
        Answer::head("200 OK", &[("Connection", "close")]).send(content()).close()
    };
    a_part_of_a_file_without_a_length_is_found reads FAR => TheRightBytes, |_| {
        Answer::head("200 OK", &[("Connection", "close")]).send(content()).close()
    };
    a_short_body_without_a_tag_is_truncated reads ByteRange::whole() => An(ErrorKind::Truncated), |_| {
        Answer::head("200 OK", &[("Content-Length", &LEN.to_string())]).send(&content()[..LEN / 2]).close()
    };
    a_short_part_is_completed reads FAR => TheRightBytes, |heard| match (heard.number, heard.range()) {
        (1, Some((first, _))) => part(&format!("{first}-{}", first + 9), LEN, first..first + 10),
        _ => honest(heard),
    };
    a_long_body_is_no_answer reads FAR => An(ErrorKind::Corrupt), |heard| match heard.range() {
        None => whole(),
        Some((first, _)) => Answer::head(
            "206 Partial Content",
            &[("Content-Range", &format!("bytes {first}-{}/{LEN}", first + 999)), ("Connection", "close")],
        )
        .send(&content()[first..first + 2000])
        .close(),
    };
    two_lengths_are_no_answer reads ByteRange::whole() => An(ErrorKind::Corrupt), |_| {
        Answer::head("200 OK", &[("Content-Length", "5"), ("Transfer-Encoding", "chunked")]).send("0\r\n\r\n")
    };
    a_break_at_half_is_continued reads ByteRange::whole() => TheRightBytes, |heard| match heard.number {
        0 => head_of_whole().send(&content()[..LEN / 2]).close(),
        _ => honest(heard),
    };
    a_site_that_comes_back_after_a_break_is_continued reads ByteRange::whole() => TheRightBytes, |heard| match heard.number {
        0 => head_of_whole().send(&content()[..LEN / 2]).close(),
        1..4 => Answer::default().close(),
        _ => honest(heard),
    };
    a_break_under_a_weak_tag_is_truncated reads ByteRange::whole() => An(ErrorKind::Truncated), |_| {
        Answer::head("200 OK", &[("Content-Length", &LEN.to_string()), ("ETag", "W/\"one\"")])
            .send(&content()[..LEN / 2])
            .close()
    };
    a_site_that_breaks_off_for_ever_is_given_up reads ByteRange::whole() => An(ErrorKind::Truncated), |heard| {
        let first = heard.range().map_or(0, |(first, _)| first);
        match heard.range() {
            None => head_of_whole(),
            Some(_) => head_of_part(first..LEN),
        }
        .send(&content()[first..(first + 1000).min(LEN)])
        .close()
    };
    a_break_before_the_head_is_asked_again reads ByteRange::whole() => TheRightBytes, |heard| match heard.number {
        0 => Answer::default().close(),
        _ => honest(heard),
    };
    who_hangs_up_at_once_gives_a_bad_answer reads ByteRange::whole() => An(ErrorKind::BadAnswer), |_| {
        Answer::default().close()
    };
    what_is_no_http_is_a_bad_answer reads ByteRange::whole() => An(ErrorKind::BadAnswer), |_| {
        Answer::default().send("220 ftp.example.org ready\r\n").close()
    };
    a_head_without_an_end_is_a_bad_answer reads ByteRange::whole() => An(ErrorKind::BadAnswer), |_| {
        let field = format!("X-Padding: {}\r\n", "x".repeat(1000));
        Answer::default().send("HTTP/1.1 200 OK\r\n").send(field.repeat(2000)).close()
    };
    a_black_hole_before_the_head_times_out reads ByteRange::whole() => An(ErrorKind::TimedOut), |_| {
        Answer::black_hole()
    };
    a_black_hole_in_the_head_times_out reads ByteRange::whole() => An(ErrorKind::TimedOut), |_| {
        Answer::default().send("HTTP/1.1 200 OK\r\nContent-Le").hang()
    };
    a_black_hole_in_the_body_times_out reads ByteRange::whole() => An(ErrorKind::TimedOut), |_| {
        head_of_whole().send(&content()[..1000]).hang()
    };
    a_black_hole_behind_a_range_times_out reads FAR => An(ErrorKind::TimedOut), |heard| match heard.range() {
        None => whole(),
        Some(_) => Answer::black_hole(),
    };
    a_redirect_loop_ends reads ByteRange::whole() => An(ErrorKind::Loop), |heard| {
        redirect(&format!("/f?{}", heard.number))
    };
    a_redirect_into_the_house_is_refused reads ByteRange::whole() => An(ErrorKind::PermissionDenied), |_| {
        redirect("http://169.254.169.254/latest/meta-data")
    };
    a_redirect_to_another_address_of_this_machine_is_refused reads ByteRange::whole() => An(ErrorKind::PermissionDenied), |_| {
        redirect("http://127.0.0.2:1/")
    };
    a_redirect_to_another_port_of_the_address_is_refused reads ByteRange::whole() => An(ErrorKind::PermissionDenied), |_| {
        redirect("http://127.0.0.1:1/")
    };
    a_redirect_to_another_port_by_name_is_refused reads ByteRange::whole() => An(ErrorKind::PermissionDenied), |_| {
        redirect("http://localhost:1/")
    };
    a_redirect_to_a_file_of_this_machine_is_refused reads ByteRange::whole() => An(ErrorKind::PermissionDenied), |_| {
        redirect("file:///etc/passwd")
    };
    another_content_of_the_same_length_is_another_file reads FAR => An(ErrorKind::Changed), |heard| {
        let tag = if heard.number == 0 { TAG } else { "\"two\"" };
        Answer::honest(heard, content(), tag)
    };
    a_change_behind_a_break_is_no_continuation reads ByteRange::whole() => An(ErrorKind::Changed), |heard| {
        match heard.number {
            0 => head_of_whole().send(&content()[..LEN / 2]).close(),
            _ => Answer::head("200 OK", &[("Content-Length", &LEN.to_string()), ("ETag", "\"two\"")])
                .send(vec![0; LEN]),
        }
    };
    gzip_against_the_request_is_no_answer reads ByteRange::whole() => An(ErrorKind::Corrupt), |heard| {
        assert_eq!(heard.field("accept-encoding"), Some("identity"));
        let fields = [("Content-Length", "20"), ("Content-Encoding", "gzip")];
        Answer::head("200 OK", &fields).send([31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    };
    a_busy_site_is_asked_again_when_it_says reads ByteRange::whole() => TheRightBytes, |heard| match heard.number {
        0 => Answer::head("503 Service Unavailable", &[("Retry-After", "1"), ("Content-Length", "0")]),
        _ => honest(heard),
    };
    a_site_that_is_busy_for_long_is_not_waited_for reads ByteRange::whole() => An(ErrorKind::Busy), |heard| {
        assert_eq!(heard.number, 0, "it said when to come back");
        Answer::head("503 Service Unavailable", &[("Retry-After", "3600"), ("Content-Length", "0")])
    };
}

/// A trickle takes its time, and is no stall: its case has a file and a bound of its own.
#[tokio::test]
async fn a_trickle_is_read() {
    let origin = Origin::start(|_| {
        let fields = [("Content-Length", "100"), ("ETag", TAG)];
        Answer::head("200 OK", &fields).trickle(&content()[..100], Duration::from_secs(1))
    });
    let origin = origin.await;
    let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
    let file = tree.open(&path(), &OpenOptions::reading()).await.unwrap();
    tokio::time::pause();
    let begun = Instant::now();
    let read = collect(producer::of(file, ByteRange::whole())).await.unwrap();
    assert!(read == content()[..100]);
    assert!(begun.elapsed() <= Duration::from_secs(120), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_trickled_head_is_not_waited_for() {
    let origin = Origin::start(|heard| match heard.number {
        0 => Answer::default().trickle("HTTP/1.1 200 OK\r\n".repeat(100), Duration::from_secs(1)),
        _ => unreachable!("what timed out is not asked again"),
    });
    let origin = origin.await;
    let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
    let path = path();
    let options = OpenOptions::reading();
    let opening = tree.open(&path, &options);
    let heard = async {
        while origin.heard().is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        std::future::pending::<()>().await;
    };
    let error = tokio::select! {
        opened = opening => opened.unwrap_err(),
        () = heard => unreachable!("it waits for ever"),
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

/// All of them again and again: a process that kept something of each would grow.
#[tokio::test]
async fn nothing_is_kept_of_what_went_wrong() {
    let quick = |case: &&Case| !case.name.starts_with("a_black_hole");
    for case in CASES.iter().filter(quick) {
        case.run_in(false).await;
    }
    let before = resident_bytes();
    for _ in 0..3 {
        for case in CASES.iter().filter(quick) {
            case.run_in(false).await;
        }
    }
    let grown = resident_bytes().saturating_sub(before);
    // Each round moves more than 100 MiB; what an allocator keeps at hand is far less.
    assert!(grown < 48 << 20, "{} MiB more", grown >> 20);
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).unwrap()
}

impl Case {
    async fn run(&self) {
        self.run_in(true).await;
    }

    /// `pauses`: time stands still while somebody hangs, so that deadlines come at once and to the second.
    async fn run_in(&self, pauses: bool) {
        let tasks = alive_tasks();
        let origin = Origin::start(self.answer).await;
        let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
        let begun = Instant::now();
        let hanging = async {
            origin.hangs().await;
            assert!(pauses);
            tokio::time::pause();
            std::future::pending::<()>().await;
        };
        let found = tokio::select! {
            found = read(&tree, self.range) => found,
            () = hanging => unreachable!("it waits for ever"),
        };
        let took = begun.elapsed();
        assert!(took <= LONGEST, "{}: {took:?}", self.name);
        match (found, self.expected) {
            (Ok(bytes), TheRightBytes) => {
                let end = self.range.end.map_or(LEN, |end| end as usize);
                assert!(bytes == content()[self.range.start as usize..end], "{}: other bytes", self.name);
            }
            (Err(error), An(kind)) => assert_eq!(error.kind(), kind, "{}: {error:?}", self.name),
            (found, expected) => {
                panic!("{}: {expected:?} expected, found {:?}", self.name, found.map(|bytes| bytes.len()));
            }
        }
        assert!(origin.heard().len() <= 8, "{}: {} requests", self.name, origin.heard().len());
        drop(tree);
        origin.is_left_alone().await;
        drop(origin);
        // Tasks that were told to end do so when they are polled next.
        for _ in 0..10_000 {
            if alive_tasks() == tasks {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{}: {} tasks are left", self.name, alive_tasks() - tasks);
    }
}

fn alive_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn path() -> VPath {
    VPath::parse("/f").unwrap()
}

async fn read(tree: &HttpFs, range: ByteRange) -> Result<Vec<u8>, Error> {
    let file = tree.open(&path(), &OpenOptions::reading()).await?;
    collect(producer::of(file, range)).await
}

async fn collect(producer: Box<dyn producer::Producer>) -> Result<Vec<u8>, Error> {
    let mut producer = producer.peeked();
    let mut bytes = Vec::new();
    while let Some(chunk) = producer.more().await {
        match chunk? {
            Chunk::Bytes(chunk) => bytes.extend_from_slice(&chunk),
            Chunk::Span(_) => unreachable!("a remote file makes bytes"),
        }
    }
    Ok(bytes)
}

/// The file's content: no two pieces of it alike.
fn content() -> &'static [u8] {
    static CONTENT: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..LEN as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
    &CONTENT
}

fn honest(heard: &Heard) -> Answer {
    Answer::honest(heard, content(), TAG)
}

fn head_of_whole() -> Answer {
    Answer::head("200 OK", &[("Content-Length", &LEN.to_string()), ("ETag", TAG)])
}

fn whole() -> Answer {
    head_of_whole().send(content())
}

fn head_of_part(range: std::ops::Range<usize>) -> Answer {
    let named = format!("bytes {}-{}/{LEN}", range.start, range.end - 1);
    let len = range.len().to_string();
    Answer::head("206 Partial Content", &[("Content-Range", &named), ("Content-Length", &len), ("ETag", TAG)])
}

/// A part that names itself `named` of `total`, and holds `range`.
fn part(named: &str, total: usize, range: std::ops::Range<usize>) -> Answer {
    let (named, len) = (format!("bytes {named}/{total}"), range.len().to_string());
    Answer::head("206 Partial Content", &[("Content-Range", &named), ("Content-Length", &len), ("ETag", TAG)])
        .send(&content()[range])
}

fn redirect(to: &str) -> Answer {
    Answer::head("302 Found", &[("Location", to), ("Content-Length", "0")])
}

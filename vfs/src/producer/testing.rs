//! What the tests of producers share: a scripted source, a drain that checks every promise on the way, and cold files.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use rustix::fs::Advice;

use super::{Chunk, FileSpan, Hint, Producer, Readiness, SpanFile, failure};
use crate::error::{Error, ErrorKind, Result};

/// What [`keeps_the_contract`] lets its source give.
pub(super) const CONTENT: &[u8] = b"0123456789";

/// What a scripted source does when it is polled.
pub(super) enum Step {
    /// Gives a chunk.
    Chunk(Chunk),
    /// Is `Pending` once, and wakes at once.
    Wait,
    /// Is `Pending` until [`Remote::release`].
    Hold,
    /// Fails.
    Fail(ErrorKind),
}

/// A source that follows a script and ends after it. Its hint is exact, unless it is made [`Script::secretive`].
pub(super) struct Script {
    steps: VecDeque<Step>,
    secretive: bool,
    shared: Arc<Shared>,
}

/// The test's hand on a [`Script`] that it has given away.
pub(super) struct Remote(Arc<Shared>);

#[derive(Default)]
struct Shared {
    polls: AtomicUsize,
    releases: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> (Self, Remote) {
        let shared = Arc::new(Shared::default());
        let remote = Remote(Arc::clone(&shared));
        (Self { steps: steps.into_iter().collect(), secretive: false, shared }, remote)
    }

    /// Gives `chunks`, none of them late.
    pub(super) fn of<C: Into<Chunk>>(chunks: impl IntoIterator<Item = C>) -> Self {
        Self::new(chunks.into_iter().map(|chunk| Step::Chunk(chunk.into()))).0
    }

    /// The same, with a hint that knows nothing.
    pub(super) fn secretive(mut self) -> Self {
        self.secretive = true;
        self
    }

    fn is_released(&self) -> bool {
        self.shared.releases.load(Ordering::SeqCst) > 0
    }
}

impl Remote {
    /// How often the source was polled.
    pub(super) fn polls(&self) -> usize {
        self.0.polls.load(Ordering::SeqCst)
    }

    /// Lets the next [`Step::Hold`] pass, and wakes whoever polled last.
    pub(super) fn release(&self) {
        self.0.releases.fetch_add(1, Ordering::SeqCst);
        if let Some(waker) = self.0.waker.lock().unwrap().take() {
            waker.wake();
        }
    }

    /// True once the source was dropped.
    pub(super) fn is_dropped(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Producer for Script {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        self.shared.polls.fetch_add(1, Ordering::SeqCst);
        if matches!(self.steps.front(), Some(Step::Hold)) && self.is_released() {
            self.shared.releases.fetch_sub(1, Ordering::SeqCst);
            self.steps.pop_front();
        }
        if matches!(self.steps.front(), Some(Step::Hold)) {
            *self.shared.waker.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(match self.steps.pop_front() {
            Some(Step::Chunk(chunk)) => Some(Ok(chunk)),
            Some(Step::Fail(kind)) => {
                self.steps.clear();
                Some(Err(failure(kind, "script")))
            }
            Some(Step::Wait | Step::Hold) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => None,
        })
    }

    fn hint(&self) -> Hint {
        if self.secretive && !self.steps.is_empty() {
            return Hint::UNKNOWN;
        }
        let readiness = match self.steps.front() {
            Some(Step::Wait) => Readiness::Later,
            Some(Step::Hold) if self.is_released() => Readiness::Unknown,
            Some(Step::Hold) => Readiness::Later,
            Some(Step::Chunk(_) | Step::Fail(_)) | None => Readiness::Now,
        };
        let lengths = self.steps.iter().map(|step| match step {
            Step::Chunk(chunk) => Some(chunk.len() as u64),
            Step::Wait | Step::Hold => Some(0),
            Step::Fail(_) => None,
        });
        Hint { readiness, remaining: lengths.sum() }
    }
}

/// All that came out of a producer.
pub(super) struct Drained {
    /// The bytes, spans read.
    pub(super) bytes: Vec<u8>,
    /// The length of each chunk.
    pub(super) lengths: Vec<usize>,
    /// How it failed, if it did.
    pub(super) error: Option<Error>,
}

impl Drained {
    /// The kind of its error, and that it had one.
    pub(super) fn kind(&self) -> Option<ErrorKind> {
        self.error.as_ref().map(Error::kind)
    }
}

/// Pulls until the end, and checks what every producer promises: no empty chunk; `Now` is never `Pending`; the bytes
/// left count down to nothing; after an error or the end there is nothing for ever.
pub(super) async fn drain(mut producer: impl Producer) -> Drained {
    let mut drained = Drained { bytes: Vec::new(), lengths: Vec::new(), error: None };
    while let Some(item) = poll_fn(|cx| poll_checked(&mut producer, cx)).await {
        match item {
            Ok(chunk) => {
                drained.lengths.push(chunk.len());
                drained.bytes.extend_from_slice(&bytes_of(chunk));
            }
            Err(error) => {
                drained.error = Some(error);
                break;
            }
        }
    }
    assert_ended(&mut producer);
    drained
}

/// One poll, held against the hint before and after it.
pub(super) fn poll_checked(
    producer: &mut impl Producer,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Chunk>>> {
    let before = producer.hint();
    let polled = producer.poll_more(cx);
    match &polled {
        Poll::Pending => assert_ne!(before.readiness, Readiness::Now, "promised not to be Pending"),
        Poll::Ready(Some(Ok(chunk))) => {
            assert!(!chunk.is_empty(), "an empty chunk came out");
            if let Some(remaining) = before.remaining {
                assert!(chunk.len() as u64 <= remaining, "more came than was left");
                assert_eq!(producer.hint().remaining, Some(remaining - chunk.len() as u64));
            }
        }
        Poll::Ready(None) => assert!(matches!(before.remaining, None | Some(0)), "less came than was left"),
        Poll::Ready(Some(Err(_))) => {}
    }
    polled
}

fn assert_ended(producer: &mut impl Producer) {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert_eq!(producer.hint(), Hint::END);
        assert!(matches!(producer.poll_more(&mut cx), Poll::Ready(None)), "came back after its end");
    }
}

/// The bytes of a chunk, read where it is a span.
pub(super) fn bytes_of(chunk: Chunk) -> bytes::Bytes {
    match chunk {
        Chunk::Bytes(bytes) => bytes,
        Chunk::Span(span) => span.read_blocking().unwrap(),
    }
}

/// Checks an adaptor over a source of [`CONTENT`]: it asks for nothing before it is asked, is `Pending` while its source
/// is and wakes the last waker, passes the source's error on, and ends for good.
pub(super) async fn keeps_the_contract<P: Producer>(wrap: impl Fn(Script) -> P) {
    let content = || Step::Chunk(Chunk::from(CONTENT));

    let (source, remote) = Script::new([content()]);
    let mut producer = wrap(source);
    producer.hint();
    assert_eq!(remote.polls(), 0, "pulled before it was asked");
    assert!(matches!(poll_with(&mut producer, Waker::noop()), Poll::Ready(Some(Ok(_)))));
    assert_eq!(remote.polls(), 1, "pulled more than it was asked for");
    assert_eq!(drain(producer).await.kind(), None);

    let (source, remote) = Script::new([Step::Hold, content()]);
    wakes_the_last(wrap(source), &remote);

    for steps in [vec![Step::Fail(ErrorKind::Busy)], vec![Step::Wait, content(), Step::Fail(ErrorKind::Busy)]]
    {
        assert_eq!(drain(wrap(Script::new(steps).0)).await.kind(), Some(ErrorKind::Busy));
    }
    assert_eq!(
        drain(wrap(Script::new([Step::Wait, content(), Step::Wait]).0.secretive())).await.kind(),
        None
    );
}

/// Checks that of two wakers the second one is woken, and that the producer then has something.
pub(super) fn wakes_the_last(mut producer: impl Producer, remote: &Remote) {
    let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    assert!(poll_with(&mut producer, &Arc::clone(&first).into()).is_pending());
    assert!(poll_with(&mut producer, &Arc::clone(&last).into()).is_pending());
    assert_eq!((first.count(), last.count()), (0, 0), "woken with nothing at hand");
    remote.release();
    assert_eq!((first.count(), last.count()), (0, 1), "the last waker is the one to wake");
    assert!(matches!(poll_with(&mut producer, Waker::noop()), Poll::Ready(Some(Ok(_)))));
}

/// One checked poll with a waker of one's own.
pub(super) fn poll_with(producer: &mut impl Producer, waker: &Waker) -> Poll<Option<Result<Chunk>>> {
    poll_checked(producer, &mut Context::from_waker(waker))
}

/// A waker that counts.
#[derive(Default)]
pub(super) struct Wakes(AtomicUsize);

impl Wakes {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// An open file that was just written, so it lies in memory.
pub(super) fn warm_file(content: &[u8]) -> SpanFile {
    SpanFile::new(written_file(content))
}

/// An open file that lies on the disk alone. `None`, and a word about it, where the file system keeps its pages.
pub(super) fn cold_file(content: &[u8]) -> Option<SpanFile> {
    let file = written_file(content);
    file.sync_all().unwrap();
    let file = SpanFile::new(file);
    chill(&file);
    let is_cold = !FileSpan::new(file.clone(), 0, content.len() as u64).is_resident();
    if !is_cold {
        eprintln!("skipped: the file system below the test program keeps its pages in memory");
    }
    is_cold.then_some(file)
}

/// Lets the page cache forget the file.
pub(super) fn chill(file: &SpanFile) {
    rustix::fs::fadvise(file, 0, None, Advice::DontNeed).unwrap();
}

/// Beside the test program, because the folder for temporary files is often in memory.
fn written_file(content: &[u8]) -> std::fs::File {
    let program = std::env::current_exe().unwrap();
    let mut file = tempfile::tempfile_in(program.parent().unwrap()).unwrap();
    file.write_all(content).unwrap();
    file
}

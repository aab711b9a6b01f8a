//! Tests of producers together: random stacks of them, and consumers that rest.

use std::task::Waker;
use std::time::Duration;

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::testing::{Script, Step, cold_file, drain, poll_with, warm_file};
use super::{
    Capacity, Chunk, Ended, FileSpan, Outcome, Producer, ProducerExt, Rate, SpanFile, chain, channel, file,
};
use crate::jobs::Disk;
use crate::options::ByteRange;

/// A layer of a random stack.
#[derive(Clone, Debug)]
enum Layer {
    Peek,
    Coalesce(usize),
    OnEnd,
    Escape(String, String),
    Range(u64, Option<u64>),
    Throttle(u64, u64),
    StallTimeout,
    ExactLength,
    Lower,
    MapErr,
    Chain,
    Channel(usize, usize),
}

/// How a source gives its content.
#[derive(Clone, Debug)]
struct Cut {
    len: usize,
    is_span: bool,
    waits: bool,
}

fn layers() -> impl Strategy<Value = Vec<Layer>> {
    let layer = prop_oneof![
        Just(Layer::Peek),
        (0..40_usize).prop_map(Layer::Coalesce),
        Just(Layer::OnEnd),
        ("[ab]{1,3}", "[abc]{0,3}").prop_map(|(from, to)| Layer::Escape(from, to)),
        (0..20_u64, prop::option::of(0..60_u64)).prop_map(|(start, len)| Layer::Range(start, len)),
        (1..1000_u64, 1..50_u64).prop_map(|(rate, burst)| Layer::Throttle(rate, burst)),
        Just(Layer::StallTimeout),
        Just(Layer::ExactLength),
        Just(Layer::Lower),
        Just(Layer::MapErr),
        Just(Layer::Chain),
        (0..4_usize, 0..40_usize).prop_map(|(chunks, bytes)| Layer::Channel(chunks, bytes)),
    ];
    prop::collection::vec(layer, 0..7)
}

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let cut = (1..20_usize, any::<bool>(), any::<bool>());
    prop::collection::vec(cut.prop_map(|(len, is_span, waits)| Cut { len, is_span, waits }), 1..12)
}

/// The content as the cuts have it; the last one takes what is left.
fn source(content: &[u8], cuts: &[Cut], is_secretive: bool) -> Script {
    let file = warm_file(content);
    let mut steps = Vec::new();
    let mut at = 0;
    for (index, cut) in cuts.iter().enumerate() {
        let left = content.len() - at;
        let len = if index + 1 == cuts.len() { left } else { cut.len.min(left) };
        if cut.waits {
            steps.push(Step::Wait);
        }
        if len > 0 {
            steps.push(Step::Chunk(piece(content, &file, at, len, cut.is_span)));
        }
        at += len;
    }
    let script = Script::new(steps).0;
    if is_secretive { script.secretive() } else { script }
}

fn piece(content: &[u8], file: &SpanFile, at: usize, len: usize, is_span: bool) -> Chunk {
    if is_span {
        Chunk::Span(FileSpan::new(file.clone(), at as u64, len as u64))
    } else {
        Chunk::from(content[at..at + len].to_vec())
    }
}

/// Puts one layer on top, and does to the expected bytes what it should do to the real ones.
fn stack(producer: Box<dyn Producer>, expected: &mut Vec<u8>, layer: &Layer) -> Box<dyn Producer> {
    let disk = Disk::new();
    match layer {
        Layer::Peek => producer.peeked().boxed(),
        Layer::Coalesce(min) => producer.coalesce(*min).boxed(),
        Layer::OnEnd => {
            let len = expected.len() as u64;
            let check = move |ended: Ended| match ended.outcome {
                Outcome::Finished => assert_eq!(ended.bytes, len),
                // A layer above needed no more.
                Outcome::Dropped => assert!(ended.bytes <= len),
                Outcome::Failed(error) => panic!("nothing fails here: {error}"),
            };
            producer.on_end(check).boxed()
        }
        Layer::Escape(from, to) => {
            *expected = String::from_utf8_lossy(expected).replace(from, to).into_bytes();
            producer.escape(from.clone(), to.clone(), &disk).boxed()
        }
        Layer::Range(start, len) => {
            // No further than there is something: `Truncated` has tests of its own.
            let start = (*start).min(expected.len() as u64);
            let end = len.map(|len| (start + len).min(expected.len() as u64));
            expected.truncate(end.map_or(usize::MAX, |end| end as usize));
            expected.drain(..start as usize);
            producer.range(ByteRange { start, end }).boxed()
        }
        Layer::Throttle(rate, burst) => {
            producer.throttle(&Rate::new((*rate).try_into().unwrap(), (*burst).try_into().unwrap())).boxed()
        }
        Layer::StallTimeout => {
            let hours = Duration::from_secs(100 * 3600);
            producer.stall_timeout(hours, hours).boxed()
        }
        Layer::ExactLength => producer.exact_length(expected.len() as u64).boxed(),
        Layer::Lower => producer.lower(&disk).boxed(),
        Layer::MapErr => producer.map_err(|error| error).boxed(),
        Layer::Chain => {
            expected.splice(0..0, *b"first");
            expected.extend_from_slice(b"last");
            chain([
                super::once("first").boxed(),
                producer,
                super::lines([""; 0]).boxed(),
                super::once("last").boxed(),
            ])
            .boxed()
        }
        Layer::Channel(chunks, bytes) => {
            let (mut output, receiver) = channel(Capacity { chunks: *chunks, bytes: *bytes });
            let mut producer = producer.peeked();
            tokio::spawn(async move {
                while let Some(chunk) = producer.more().await {
                    output.send(chunk.unwrap()).await.unwrap();
                }
                output.finish();
            });
            receiver.boxed()
        }
    }
}

/// Takes the chunked coding off.
fn decode(mut coded: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = coded.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&coded[..line]).unwrap(), 16).unwrap();
        let (data, rest) = coded[line + 2..].split_at(size);
        body.extend_from_slice(data);
        coded = rest.strip_prefix(b"\r\n").unwrap();
        if size == 0 {
            assert!(coded.is_empty());
            return body;
        }
    }
}

proptest! {
    #[test]
    fn any_stack_over_any_chunks_gives_the_same_bytes(
        content in "[abc]{0,100}",
        cuts in cuts(),
        is_secretive: bool,
        layers in layers(),
        is_chunked: bool,
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut expected = content.into_bytes();
            let mut producer = source(&expected, &cuts, is_secretive).boxed();
            for layer in &layers {
                producer = stack(producer, &mut expected, layer);
            }
            let drained = if is_chunked {
                let mut drained = drain(producer.chunked()).await;
                drained.bytes = decode(&drained.bytes);
                drained
            } else {
                drain(producer).await
            };
            assert_eq!(drained.kind(), None);
            assert_eq!(String::from_utf8(drained.bytes).unwrap(), String::from_utf8(expected).unwrap());
        });
    }
}

/// Consumers that stop reading at the same time: more than the disk has places, many more than the pool has threads.
const RESTING: usize = 200;

/// Lets consumers take a chunk and rest, and others ask for one and rest; then blocking work must still get through, on
/// a disk of its own and on theirs.
fn rest_and_work(content: &[u8], open: &SpanFile, is_lowered: bool) {
    let runtime = Builder::new_current_thread().enable_time().max_blocking_threads(2).build().unwrap();
    let all = async {
        let disk = Disk::new();
        let len = content.len() as u64;
        let mut consumers: Vec<_> = (0..RESTING)
            .map(|_| {
                let region = file(open.clone(), 0, len, &disk);
                if is_lowered { region.lower(&disk).boxed() } else { region.boxed() }.peeked()
            })
            .collect();
        for consumer in &mut consumers {
            // A job goes into the queue for each of them, before any is done; half of them never come back for it.
            let _ = poll_with(consumer, Waker::noop());
        }
        for consumer in consumers.iter_mut().step_by(2) {
            assert!(consumer.more().await.unwrap().is_ok());
        }
        for disk in [Disk::new(), disk] {
            assert_eq!(disk.run("test", || 7).await.unwrap(), 7);
        }
        for consumer in consumers {
            assert_eq!(drain(consumer).await.kind(), None);
        }
    };
    // Where a consumer holds up another one, nothing of this ever ends.
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), all).await }).unwrap();
}

#[test]
fn consumers_that_rest_leave_the_blocking_pool_free() {
    let content = vec![7; FileSpan::MAX_BYTES + 1000];
    for is_lowered in [false, true] {
        rest_and_work(&content, &warm_file(&content), is_lowered);
        if let Some(open) = cold_file(&content) {
            rest_and_work(&content, &open, is_lowered);
        }
    }
}

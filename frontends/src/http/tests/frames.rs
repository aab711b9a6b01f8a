//! HTTP/2 frame by frame: what RFC 9113 and RFC 7541 have a server do with peers that break their rules.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use vfs::backends::memory::MemoryFs;
use vfs::{FileSystem, StatOptions, VPath};

use super::{Options, pattern, pipe, tree};
use crate::http::Bounds;
use crate::site::Site;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 32;

/// Both ends of a request's head.
const WHOLE: u8 = END_STREAM | END_HEADERS;

// Error codes (RFC 9113 §7).
const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;
const CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `GET /a` of the host `x`, from the static table but for the path and the host (RFC 7541 §6).
const GET: &[u8] = b"\x82\x86\x04\x02/a\x01\x01x";

/// `POST /a`, likewise.
const POST: &[u8] = b"\x83\x86\x04\x02/a\x01\x01x";

/// What becomes of a connection.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// Its end, with one of these codes where any is said.
    Ends(&'static [u32]),
    /// The end of the stream 1 with one of these codes, or of all.
    Resets(&'static [u32]),
    /// An answer on the stream 1.
    Answers,
    /// Nothing at all: it goes on.
    GoesOn,
}

/// A frame as it was read.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// The error code that it holds.
    fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request's head, and fields after it that are not in any table.
fn head(first: &[u8], fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = first.to_vec();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            // A length below 127 is one byte (RFC 7541 §5.1).
            block.push(u8::try_from(text.len()).ok().filter(|len| *len < 127).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn get(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, head(GET, fields))
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn number(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// One connection that has exchanged its settings.
struct Talk {
    client: DuplexStream,
}

impl Talk {
    async fn new(options: Options) -> Self {
        Self::with(
            Site::new(Arc::new(tree(&[(b"/a", b"alpha"), (b"/large", &pattern(200_000))]).await)),
            options,
        )
        .await
    }

    async fn with(site: Site, options: Options) -> Self {
        let (mut client, _serving) = pipe(&Arc::new(site), options, 1 << 20);
        client.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, [])].concat()).await.unwrap();
        Self { client }
    }

    async fn send(&mut self, bytes: &[u8]) {
        // Who is refused may have been hung up on.
        let _ = self.client.write_all(bytes).await;
    }

    /// The next frame; `None` at the end.
    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.client.read_exact(&mut head).await.ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        self.client.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// What it comes to. The connection's own settings and windows are no answer to anything.
    async fn outcome(&mut self, expected: Expected) -> Result<(), String> {
        self.send(&frame(PING, 0, 0, b"the last")).await;
        let begun = Instant::now();
        let mut seen = Vec::new();
        loop {
            let found = self.read().await;
            if begun.elapsed() > Duration::from_secs(1) {
                return Err(format!("nothing but {seen:?}"));
            }
            let Some(found) = found else {
                return match expected {
                    Expected::Ends(_) | Expected::Resets(_) => Ok(()),
                    _ => Err(format!("it ended after {seen:?}")),
                };
            };
            match (found.kind, expected) {
                // The h2 crate has PROTOCOL_ERROR for most of what RFC 9113 has a narrower code for.
                (GOAWAY, Expected::Ends(codes) | Expected::Resets(codes))
                    if found.code() == PROTOCOL || codes.contains(&found.code()) =>
                {
                    return Ok(());
                }
                (RST_STREAM, Expected::Resets(codes))
                    if found.stream == 1 && codes.contains(&found.code()) =>
                {
                    return Ok(());
                }
                (HEADERS, Expected::Answers) if found.stream == 1 => return Ok(()),
                (GOAWAY | RST_STREAM, _) => return Err(format!("{found:?} after {seen:?}")),
                (PING, Expected::GoesOn) if found.flags == ACK => return Ok(()),
                _ => seen.push((found.kind, found.stream)),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_its_client_resets_leaves_the_old_file() {
    const PUT: &[u8] = b"\x02\x03PUT\x86\x04\x02/a\x01\x01x";
    for fields in [&[][..], &[("content-length", "50000")]] {
        let tree = Arc::new(tree(&[(b"/a", b"alpha")]).await);
        let mut talk = Talk::with(Site::new(Arc::<MemoryFs>::clone(&tree)), Options::default()).await;
        let begin = frame(HEADERS, END_HEADERS, 1, head(PUT, fields));
        let reset = frame(RST_STREAM, 0, 1, number(0));
        talk.send(&[begin, frame(DATA, 0, 1, [b'n'; 16_000]), reset].concat()).await;
        // Paused: time goes on when nothing is left to do.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = tree.metadata(&VPath::parse("/a").unwrap(), &StatOptions::default()).await.unwrap();
        assert_eq!(found.len, Some(5), "{fields:?}");
    }
}

/// Sends the frames and compares what becomes of it.
async fn check(cases: Vec<(&str, Vec<Vec<u8>>, Expected)>) {
    let mut failures = Vec::new();
    for (name, frames, expected) in cases {
        let mut talk = Talk::new(Options::default()).await;
        talk.send(&frames.concat()).await;
        if let Err(found) = talk.outcome(expected).await {
            failures.push(format!("{name}: {expected:?}, not {found}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn frames_have_their_sizes_and_places() {
    use Expected::{Answers, Ends, GoesOn, Resets};
    let large = vec![0; 16_385];
    check(vec![
        ("§3.4 a request", vec![get(&[])], Answers),
        ("§4.1 an unknown frame is passed over", vec![frame(0x16, 0, 0, b"?"), get(&[])], Answers),
        ("§4.1 unknown flags are passed over", vec![frame(PING, 0x16, 0, b"8 bytes!")], GoesOn),
        ("§4.1 the reserved bit is passed over", vec![frame(PING, 0, 1 << 31, b"8 bytes!")], GoesOn),
        (
            "§4.2 DATA of 16,385 bytes",
            vec![frame(HEADERS, END_HEADERS, 1, POST), frame(DATA, END_STREAM, 1, &large)],
            Resets(&[FRAME_SIZE]),
        ),
        ("§4.2 HEADERS of 16,385 bytes", vec![frame(HEADERS, WHOLE, 1, &large)], Ends(&[FRAME_SIZE])),
        ("§6.1 DATA on the connection", vec![frame(DATA, END_STREAM, 0, b"x")], Ends(&[PROTOCOL])),
        (
            "§6.1 DATA with more padding than it is long",
            vec![frame(HEADERS, END_HEADERS, 1, POST), frame(DATA, PADDED | END_STREAM, 1, b"\x05abcd")],
            Ends(&[PROTOCOL]),
        ),
        ("§6.2 HEADERS on the connection", vec![frame(HEADERS, WHOLE, 0, GET)], Ends(&[PROTOCOL])),
        (
            "§6.2 HEADERS with more padding than they are long",
            vec![frame(HEADERS, WHOLE | PADDED, 1, [b"\x40", GET].concat())],
            Ends(&[PROTOCOL]),
        ),
        (
            "§6.2 HEADERS with padding",
            vec![frame(HEADERS, WHOLE | PADDED, 1, [b"\x02", GET, b"\0\0"].concat())],
            Answers,
        ),
        (
            "§6.2 HEADERS with a priority",
            vec![frame(HEADERS, WHOLE | WITH_PRIORITY, 1, [b"\0\0\0\0\x10", GET].concat())],
            Answers,
        ),
        ("§6.3 PRIORITY on the connection", vec![frame(PRIORITY, 0, 0, [0; 5])], Ends(&[PROTOCOL])),
        (
            "§6.3 PRIORITY of 4 bytes",
            vec![frame(HEADERS, END_HEADERS, 1, POST), frame(PRIORITY, 0, 1, [0; 4])],
            Resets(&[FRAME_SIZE]),
        ),
        ("§6.3 PRIORITY on what is to come", vec![frame(PRIORITY, 0, 1, [0, 0, 0, 0, 9]), get(&[])], Answers),
        ("§6.4 RST_STREAM on the connection", vec![frame(RST_STREAM, 0, 0, number(8))], Ends(&[PROTOCOL])),
        (
            "§6.4 RST_STREAM of 3 bytes",
            vec![frame(HEADERS, END_HEADERS, 1, POST), frame(RST_STREAM, 0, 1, [0; 3])],
            Ends(&[FRAME_SIZE]),
        ),
        ("§6.5 SETTINGS on a stream", vec![frame(SETTINGS, 0, 1, [])], Ends(&[PROTOCOL])),
        ("§6.5 SETTINGS of 5 bytes", vec![frame(SETTINGS, 0, 0, [0; 5])], Ends(&[FRAME_SIZE])),
        ("§6.5 an ACK that says something", vec![frame(SETTINGS, ACK, 0, [0; 6])], Ends(&[FRAME_SIZE])),
        ("§6.5.2 a push that is neither", vec![setting(2, 2)], Ends(&[PROTOCOL])),
        ("§6.5.2 a window above 2^31-1", vec![setting(4, 1 << 31)], Ends(&[FLOW_CONTROL])),
        ("§6.5.2 frames below 16,384", vec![setting(5, 16_383)], Ends(&[PROTOCOL])),
        ("§6.5.2 frames above 2^24-1", vec![setting(5, 1 << 24)], Ends(&[PROTOCOL])),
        ("§6.5.2 an unknown setting", vec![setting(0xff, 7), get(&[])], Answers),
        (
            "§6.6 PUSH_PROMISE",
            vec![
                frame(HEADERS, END_HEADERS, 1, POST),
                frame(PUSH_PROMISE, END_HEADERS, 1, [&number(2)[..], GET].concat()),
            ],
            Ends(&[PROTOCOL]),
        ),
        ("§6.7 PING on a stream", vec![frame(PING, 0, 1, b"8 bytes!")], Ends(&[PROTOCOL])),
        ("§6.7 PING of 6 bytes", vec![frame(PING, 0, 0, b"6 byte")], Ends(&[FRAME_SIZE])),
        ("§6.7 PING with ACK", vec![frame(PING, ACK, 0, b"8 bytes!")], GoesOn),
        ("§6.8 GOAWAY on a stream", vec![frame(GOAWAY, 0, 1, [0; 8])], Ends(&[PROTOCOL])),
        ("§6.9 a window of nothing more", vec![frame(WINDOW_UPDATE, 0, 0, number(0))], Ends(&[PROTOCOL])),
        (
            "§6.9 a stream's window of nothing more",
            vec![frame(HEADERS, END_HEADERS, 1, POST), frame(WINDOW_UPDATE, 0, 1, number(0))],
            Resets(&[PROTOCOL]),
        ),
        ("§6.9 WINDOW_UPDATE of 3 bytes", vec![frame(WINDOW_UPDATE, 0, 0, [0; 3])], Ends(&[FRAME_SIZE])),
        (
            "§6.9.1 a window above 2^31-1",
            vec![
                frame(WINDOW_UPDATE, 0, 0, number(i32::MAX as u32)),
                frame(WINDOW_UPDATE, 0, 0, number(i32::MAX as u32)),
            ],
            Ends(&[FLOW_CONTROL]),
        ),
        (
            "§6.9.1 a stream's window above 2^31-1",
            vec![
                frame(HEADERS, END_HEADERS, 1, POST),
                frame(WINDOW_UPDATE, 0, 1, number(i32::MAX as u32)),
                frame(WINDOW_UPDATE, 0, 1, number(i32::MAX as u32)),
            ],
            Resets(&[FLOW_CONTROL]),
        ),
        (
            "§6.9.2 a setting that lifts a stream's window above 2^31-1",
            vec![
                setting(4, 65_535),
                frame(HEADERS, END_HEADERS, 1, POST),
                frame(WINDOW_UPDATE, 0, 1, number(i32::MAX as u32 - 65_535)),
                setting(4, 65_536),
            ],
            Ends(&[FLOW_CONTROL]),
        ),
        (
            "§6.10 CONTINUATION twice",
            vec![
                frame(HEADERS, END_STREAM, 1, &GET[..2]),
                frame(CONTINUATION, 0, 1, &GET[2..6]),
                frame(CONTINUATION, END_HEADERS, 1, &GET[6..]),
            ],
            Answers,
        ),
        (
            "§6.10 something else in between",
            vec![frame(HEADERS, END_STREAM, 1, &GET[..2]), frame(PING, 0, 0, b"8 bytes!")],
            Ends(&[PROTOCOL]),
        ),
        (
            "§6.10 something unknown in between",
            vec![frame(HEADERS, END_STREAM, 1, &GET[..2]), frame(0x16, 0, 1, b"?")],
            Ends(&[PROTOCOL]),
        ),
        (
            "§6.10 another stream in between",
            vec![frame(HEADERS, END_STREAM, 1, &GET[..2]), frame(HEADERS, WHOLE, 3, GET)],
            Ends(&[PROTOCOL]),
        ),
        (
            "§6.10 CONTINUATION on the connection",
            vec![frame(HEADERS, END_STREAM, 1, &GET[..2]), frame(CONTINUATION, END_HEADERS, 0, &GET[2..])],
            Ends(&[PROTOCOL]),
        ),
        (
            "§6.10 CONTINUATION of nothing",
            vec![frame(HEADERS, END_HEADERS, 1, POST), frame(CONTINUATION, END_HEADERS, 1, GET)],
            Ends(&[PROTOCOL]),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams_begin_and_end_once() {
    use Expected::{Ends, Resets};
    check(vec![
        ("§5.1 DATA before HEADERS", vec![frame(DATA, END_STREAM, 1, b"x")], Ends(&[PROTOCOL])),
        ("§5.1 RST_STREAM before HEADERS", vec![frame(RST_STREAM, 0, 1, number(8))], Ends(&[PROTOCOL])),
        ("§5.1 WINDOW_UPDATE before HEADERS", vec![frame(WINDOW_UPDATE, 0, 1, number(9))], Ends(&[PROTOCOL])),
        ("§5.1 CONTINUATION before HEADERS", vec![frame(CONTINUATION, WHOLE, 1, GET)], Ends(&[PROTOCOL])),
        (
            "§5.1 DATA after the end",
            vec![get(&[]), frame(DATA, END_STREAM, 1, b"x")],
            Resets(&[STREAM_CLOSED]),
        ),
        ("§5.1 HEADERS after the end", vec![get(&[]), get(&[])], Resets(&[STREAM_CLOSED, PROTOCOL])),
        (
            "§5.1 DATA after a reset",
            vec![
                frame(HEADERS, END_HEADERS, 1, POST),
                frame(RST_STREAM, 0, 1, number(8)),
                frame(DATA, 0, 1, b"x"),
            ],
            Resets(&[STREAM_CLOSED]),
        ),
        (
            "§5.1 HEADERS after a reset",
            vec![
                frame(HEADERS, END_HEADERS, 1, POST),
                frame(RST_STREAM, 0, 1, number(8)),
                frame(HEADERS, WHOLE, 1, GET),
            ],
            Resets(&[STREAM_CLOSED, PROTOCOL]),
        ),
        ("§5.1.1 a stream that is the server's", vec![frame(HEADERS, WHOLE, 2, GET)], Ends(&[PROTOCOL])),
        (
            "§5.1.1 a stream below the last one",
            vec![frame(HEADERS, WHOLE, 5, GET), frame(HEADERS, WHOLE, 3, GET)],
            Ends(&[PROTOCOL, STREAM_CLOSED]),
        ),
        (
            "§8.1 a second head that does not end",
            vec![
                frame(HEADERS, END_HEADERS, 1, POST),
                frame(HEADERS, END_HEADERS, 1, head(b"", &[("x", "y")])),
            ],
            Resets(&[PROTOCOL]),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_head_is_that_of_one_request() {
    use Expected::{Answers, Ends, Resets};
    let first = |block: &[u8]| vec![frame(HEADERS, WHOLE, 1, block)];
    let long = |body: &[u8], len: &str| {
        vec![
            frame(HEADERS, END_HEADERS, 1, head(POST, &[("content-length", len)])),
            frame(DATA, END_STREAM, 1, body),
        ]
    };
    check(vec![
        ("§8.2.1 a name with a capital", vec![get(&[("X-A", "b")])], Resets(&[PROTOCOL])),
        ("§8.2.1 a name with a space", vec![get(&[("x a", "b")])], Resets(&[PROTOCOL])),
        ("§8.2.1 a value with a line's end", vec![get(&[("x", "a\r\nb: c")])], Resets(&[PROTOCOL])),
        ("§8.2.2 Connection", vec![get(&[("connection", "keep-alive")])], Resets(&[PROTOCOL])),
        ("§8.2.2 Transfer-Encoding", vec![get(&[("transfer-encoding", "chunked")])], Resets(&[PROTOCOL])),
        ("§8.2.2 TE of something else", vec![get(&[("te", "gzip")])], Resets(&[PROTOCOL])),
        ("§8.2.2 TE of trailers", vec![get(&[("te", "trailers")])], Answers),
        ("§8.3 a pseudo-field nobody knows", vec![get(&[(":test", "x")])], Resets(&[PROTOCOL])),
        ("§8.3 a pseudo-field of answers", vec![get(&[(":status", "200")])], Resets(&[PROTOCOL])),
        (
            "§8.3 a pseudo-field after the fields",
            first(&[&head(b"", &[("x", "y")]), GET].concat()),
            Resets(&[PROTOCOL]),
        ),
        ("§8.3 a pseudo-field twice", first(&[b"\x82", GET].concat()), Resets(&[PROTOCOL])),
        (
            "§8.3 a pseudo-field in trailers, which h2 passes over",
            vec![
                frame(HEADERS, END_HEADERS, 1, POST),
                frame(HEADERS, WHOLE, 1, head(b"", &[(":path", "/")])),
            ],
            Answers,
        ),
        ("§8.3.1 no method", first(&GET[1..]), Resets(&[PROTOCOL])),
        ("§8.3.1 no scheme", first(&[&GET[..1], &GET[2..]].concat()), Resets(&[PROTOCOL])),
        ("§8.3.1 no path", first(b"\x82\x86\x01\x01x"), Resets(&[PROTOCOL])),
        ("§8.3.1 an empty path", first(b"\x82\x86\x04\x00\x01\x01x"), Resets(&[PROTOCOL])),
        ("§8.3.1 two hosts are answered", vec![get(&[("host", "other")])], Answers),
        ("§8.1.1 more than was said", long(b"four", "1"), Resets(&[PROTOCOL])),
        ("§8.1.1 less than was said", long(b"four", "9"), Resets(&[PROTOCOL])),
        ("RFC 7541 §6.1 the field 0", first(b"\x80"), Ends(&[COMPRESSION])),
        ("RFC 7541 §2.3.3 a field that no table has", first(b"\xff\x80\x01"), Ends(&[COMPRESSION])),
        (
            "RFC 7541 §4.2 a table's size after the fields",
            first(&[GET, b"\x20"].concat()),
            Ends(&[COMPRESSION]),
        ),
        (
            "RFC 7541 §6.3 a table that is too large",
            first(&[b"\x3f\xe1\x7f", GET].concat()),
            Ends(&[COMPRESSION]),
        ),
        (
            "RFC 7541 §5.2 padding longer than 7 bits",
            first(b"\x82\x86\x04\x82\xff\xff"),
            Ends(&[COMPRESSION]),
        ),
        ("RFC 7541 §5.2 padding of zeros", first(b"\x82\x86\x04\x81\x60"), Ends(&[COMPRESSION])),
        (
            "RFC 7541 §5.1 a number without an end",
            first(b"\x82\x86\x04\x7f\xff\xff\xff\xff\xff\xff"),
            Ends(&[COMPRESSION]),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_gets_no_more_than_it_has_room_for() {
    let mut talk = Talk::new(Options::default()).await;
    let large = b"\x82\x86\x04\x06/large\x01\x01x";
    talk.send(&[setting(4, 1), frame(HEADERS, WHOLE, 1, large)].concat()).await;
    let data = loop {
        let found = talk.read().await.unwrap();
        if found.kind == DATA {
            break found.payload;
        }
    };
    assert_eq!(data, pattern(1));
    // A window may shrink below nothing, and opens again from there (RFC 9113 §6.9.2).
    talk.send(&[setting(4, 0), frame(WINDOW_UPDATE, 0, 1, number(2))].concat()).await;
    let data = loop {
        let found = talk.read().await.unwrap();
        if found.kind == DATA {
            break found.payload;
        }
    };
    assert_eq!(data, pattern(2)[1..]);
}

#[tokio::test(start_paused = true)]
async fn who_floods_is_shown_the_door() {
    let bounds = Bounds { streams: 2, reset_streams: 3, head_bytes: 20_000, ..Bounds::default() };
    let options = || Options { bounds: bounds.clone(), ..Options::default() };
    let mut talk = Talk::new(options()).await;
    let told = talk.read().await.unwrap();
    assert_eq!(told.kind, SETTINGS);
    let told: Vec<_> = told.payload.chunks(6).map(|pair| (pair[1], &pair[2..])).collect();
    assert!(told.contains(&(3, &number(2))) && told.contains(&(6, &number(20_000))), "{told:?}");

    // One stream more than was agreed on; nobody took notice of the agreement yet.
    talk.send(&frame(SETTINGS, ACK, 0, [])).await;
    let begin = |stream| frame(HEADERS, END_HEADERS, stream, head(b"\x82\x86\x04\x06/large\x01\x01x", &[]));
    talk.send(&[begin(3), begin(5), begin(1)].concat()).await;
    talk.outcome(Expected::Resets(&[REFUSED, PROTOCOL])).await.unwrap();

    // Rapid reset (CVE-2023-44487).
    let mut talk = Talk::new(options()).await;
    let resets: Vec<u8> = (0..200_u32)
        .flat_map(|at| [begin(2 * at + 1), frame(RST_STREAM, 0, 2 * at + 1, number(8))].concat())
        .collect();
    talk.send(&resets).await;
    talk.outcome(Expected::Ends(&[CALM])).await.unwrap();

    // Streams that the peer makes us reset (CVE-2025-8671).
    let mut talk = Talk::new(Options::default()).await;
    let resets: Vec<u8> = (0..400_u32)
        .flat_map(|at| {
            [begin(2 * at + 1), frame(WINDOW_UPDATE, 0, 2 * at + 1, number(i32::MAX as u32))].concat()
        })
        .collect();
    talk.send(&resets).await;
    talk.outcome(Expected::Ends(&[CALM])).await.unwrap();

    // A head without an end.
    let mut talk = Talk::new(options()).await;
    talk.send(&frame(HEADERS, END_STREAM, 1, GET)).await;
    let field = head(b"", &[("x", &"y".repeat(120))]).repeat(100);
    for _ in 0..40 {
        talk.send(&frame(CONTINUATION, 0, 1, &field)).await;
    }
    talk.outcome(Expected::Ends(&[CALM, PROTOCOL])).await.unwrap();

    // A head that ends, and is longer than was agreed on.
    let mut talk = Talk::new(options()).await;
    let long = head(GET, &[("x", &"y".repeat(120))]).to_vec();
    let fields = head(b"", &[("x", &"y".repeat(120))]).repeat(125);
    talk.send(&frame(HEADERS, END_STREAM, 1, &long)).await;
    talk.send(&[frame(CONTINUATION, 0, 1, &fields), frame(CONTINUATION, END_HEADERS, 1, &fields)].concat())
        .await;
    talk.outcome(Expected::Answers).await.unwrap();
}

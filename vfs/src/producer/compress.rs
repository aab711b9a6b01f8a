//! [`Compress`]: content under a content coding, made while it is pulled.

use std::fmt;
use std::io::{self, Write};
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::job::Job;
use super::{Chunk, Hint, Lower, Producer};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::{self, Disk};
use crate::path::VPath;

/// What one job compresses, at least, unless the source lets us wait or ends.
const BLOCK_BYTES: usize = 256 * 1024;

/// Levels at which a server is seldom slower than its clients' lines.
const GZIP_LEVEL: u32 = 5;
const ZSTD_LEVEL: i32 = 3;
const BROTLI_LEVEL: u32 = 4;

/// Windows, as powers of two: what a stream that a slow client pulls holds is a few times as much.
const ZSTD_WINDOW: u32 = 19;
const BROTLI_WINDOW: u32 = 18;

/// A way to make content shorter (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
}

impl Coding {
    /// Its name in HTTP's registry of content codings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
        }
    }

    /// The suffix of files that are compressed this way.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Brotli => ".br",
        }
    }
}

/// Compresses its source: each block of 256 KiB in a job, at most as many at once in the process as there are cores.
/// Spans are read. Where the source lets us wait or fails, what came is flushed, so that a slow source is seen as it comes,
/// and a broken one as far as it came. A drop lets the job under way run to its end. What it holds is the encoder's window: 1 to 3 MiB.
pub struct Compress<P> {
    source: Lower<P>,
    /// It is away while a job has it, and gone at the end.
    encoder: Option<Encoder>,
    block: Vec<Bytes>,
    block_bytes: usize,
    /// The encoder may hold some of what came.
    holds: bool,
    working: Option<Job<Worked>>,
    /// Why it breaks off, until all that came before has left.
    failed: Option<Error>,
}

/// The encoder, unless it is finished, and what came out.
type Worked = io::Result<(Option<Encoder>, Bytes)>;

/// What becomes of an encoder after a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    /// All that went in can be read by who gets what came out.
    Flush,
    Finish,
}

impl<P: Producer> Compress<P> {
    pub(super) fn new(source: P, coding: Coding, disk: Disk) -> Self {
        let encoder = Some(Encoder::new(coding));
        let source = Lower::new(source, disk);
        let block = Vec::new();
        Self { source, encoder, block, block_bytes: 0, holds: false, working: None, failed: None }
    }

    fn work(&mut self, then: Then) {
        let Some(encoder) = self.encoder.take() else { return };
        let block = std::mem::take(&mut self.block);
        self.block_bytes = 0;
        self.holds = then == Then::GoOn;
        self.working = Some(Box::pin(jobs::cpu("compress", move || encoder.work(&block, then))));
    }

    fn accept(&mut self, done: Result<Worked>) -> Result<Bytes> {
        let (encoder, bytes) = done?.map_err(|error| failure().with_source(error))?;
        self.encoder = encoder;
        Ok(bytes)
    }
}

impl<P: Producer> Producer for Compress<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        loop {
            if let Some(working) = &mut self.working {
                let done = ready!(working.as_mut().poll(cx));
                self.working = None;
                match self.accept(done) {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => return Poll::Ready(Some(Ok(Chunk::Bytes(bytes)))),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            }
            if let Some(error) = self.failed.take() {
                self.encoder = None;
                return Poll::Ready(Some(Err(error)));
            }
            if self.encoder.is_none() {
                return Poll::Ready(None);
            }
            match self.source.poll_bytes(cx) {
                Poll::Pending if self.block.is_empty() => return Poll::Pending,
                Poll::Pending => self.work(Then::Flush),
                Poll::Ready(None) => self.work(Then::Finish),
                Poll::Ready(Some(Err(error))) => {
                    self.failed = Some(error);
                    if self.holds || !self.block.is_empty() {
                        self.work(Then::Flush);
                    }
                }
                Poll::Ready(Some(Ok(bytes))) => {
                    self.block_bytes += bytes.len();
                    self.block.push(bytes);
                    if self.block_bytes >= BLOCK_BYTES {
                        self.work(Then::GoOn);
                    }
                }
            }
        }
    }

    fn hint(&self) -> Hint {
        if self.encoder.is_none() && self.working.is_none() { Hint::END } else { Hint::UNKNOWN }
    }
}

impl<P> fmt::Debug for Compress<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compress").field("block_bytes", &self.block_bytes).finish_non_exhaustive()
    }
}

/// One stream that is being compressed.
pub(super) enum Encoder {
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    /// Without a frame of its own, as zip has it (RFC 1951).
    Deflate(Box<flate2::write::DeflateEncoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    /// It could not be had; the first block says why.
    Broken(io::Error),
}

impl Encoder {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Self::Gzip(Box::new(flate2::write::GzEncoder::new(Vec::new(), level)))
            }
            Coding::Zstd => zstd_encoder().map_or_else(Self::Broken, |encoder| Self::Zstd(Box::new(encoder))),
            Coding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BLOCK_BYTES,
                BROTLI_LEVEL,
                BROTLI_WINDOW,
            ))),
        }
    }

    /// An encoder for a member of a zip archive.
    pub(super) fn deflate(level: u32) -> Self {
        let level = flate2::Compression::new(level);
        Self::Deflate(Box::new(flate2::write::DeflateEncoder::new(Vec::new(), level)))
    }

    /// Compresses one block; gives itself back unless it is finished, and what came out.
    pub(super) fn work(mut self, block: &[Bytes], then: Then) -> Worked {
        for piece in block {
            self.writer()?.write_all(piece)?;
        }
        match then {
            Then::GoOn => {}
            Then::Flush => self.writer()?.flush()?,
            Then::Finish => return Ok((None, self.finish()?.into())),
        }
        let out = match &mut self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Deflate(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Broken(error) => return Err(error.kind().into()),
        };
        let out = std::mem::take(out);
        Ok((Some(self), out.into()))
    }

    fn writer(&mut self) -> io::Result<&mut dyn Write> {
        match self {
            Self::Gzip(encoder) => Ok(encoder),
            Self::Deflate(encoder) => Ok(encoder),
            Self::Zstd(encoder) => Ok(encoder),
            Self::Brotli(encoder) => Ok(encoder),
            Self::Broken(error) => Err(error.kind().into()),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Deflate(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Broken(error) => Err(error),
        }
    }
}

fn zstd_encoder() -> io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    encoder.window_log(ZSTD_WINDOW)?;
    Ok(encoder)
}

fn failure() -> Error {
    Error::new(ErrorKind::Internal, "compress", &VPath::root())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::task::Waker;

    use super::super::testing::{Script, drain, poll_with, warm_file};
    use super::super::{Capacity, FileSpan, ProducerExt, channel, once};
    use super::*;

    const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Zstd, Coding::Brotli];

    fn expand(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut content),
            Coding::Zstd => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut content),
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut content),
        }
        .unwrap();
        content
    }

    fn content() -> Vec<u8> {
        (0..3 * BLOCK_BYTES + 17).map(|at| (at / 100 % 251) as u8).collect()
    }

    #[tokio::test]
    async fn what_is_compressed_expands_to_what_it_was() {
        let content = content();
        let file = warm_file(&content);
        for coding in CODINGS {
            let span = Chunk::Span(FileSpan::new(file.clone(), 0, content.len() as u64));
            for source in [
                Script::of([span]),
                Script::of([Chunk::from(content.clone())]),
                Script::of(Vec::<Chunk>::new()),
            ] {
                let is_empty = source.hint() == Hint::END;
                let drained = drain(source.compress(coding, &Disk::new())).await;
                assert_eq!(drained.kind(), None, "{coding:?}");
                let expected = if is_empty { &[][..] } else { &content[..] };
                assert!(expand(coding, &drained.bytes) == expected, "{coding:?}");
                assert!(drained.bytes.len() < content.len() / 4, "{coding:?} {}", drained.bytes.len());
            }
        }
    }

    #[tokio::test]
    async fn what_a_slow_source_gave_can_be_read_before_more_comes() {
        for coding in CODINGS {
            let (mut output, source) = channel(Capacity::default());
            let mut compressed = source.compress(coding, &Disk::new()).peeked();
            output.send("first row").await.unwrap();
            let Some(Ok(Chunk::Bytes(bytes))) = compressed.more().await else { panic!("{coding:?}") };
            let mut start = [0; 9];
            match coding {
                Coding::Gzip => flate2::read::GzDecoder::new(&bytes[..]).read_exact(&mut start),
                Coding::Zstd => zstd::stream::read::Decoder::new(&bytes[..]).unwrap().read_exact(&mut start),
                Coding::Brotli => brotli::Decompressor::new(&bytes[..], 64).read_exact(&mut start),
            }
            .unwrap();
            assert_eq!(&start, b"first row", "{coding:?}");
            drop(output);
            // The source went away without an end, so there is none here either.
            let error = compressed.more().await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Truncated);
            assert!(compressed.more().await.is_none());
        }
    }

    #[tokio::test]
    async fn what_came_before_an_error_can_be_read() {
        for coding in CODINGS {
            let content = content();
            let (mut output, source) = channel(Capacity { chunks: 4, bytes: 2 * content.len() });
            output.send(content.clone()).await.unwrap();
            output.send("last row").await.unwrap();
            output.fail(Error::new(ErrorKind::Unavailable, "read", &VPath::root()));
            let drained = drain(source.compress(coding, &Disk::new())).await;
            assert_eq!(drained.kind(), Some(ErrorKind::Unavailable), "{coding:?}");
            let mut start = vec![0; content.len() + 8];
            match coding {
                Coding::Gzip => flate2::read::GzDecoder::new(&drained.bytes[..]).read_exact(&mut start),
                Coding::Zstd => {
                    zstd::stream::read::Decoder::new(&drained.bytes[..]).unwrap().read_exact(&mut start)
                }
                Coding::Brotli => brotli::Decompressor::new(&drained.bytes[..], 64).read_exact(&mut start),
            }
            .unwrap();
            assert!(start.ends_with(b"last row"), "{coding:?}");
        }
    }

    #[tokio::test]
    async fn it_waits_with_its_source_and_ends_once() {
        let (output, source) = channel(Capacity::default());
        let mut compressed = source.compress(Coding::Gzip, &Disk::new());
        assert!(poll_with(&mut compressed, Waker::noop()).is_pending());
        drop(output);
        let mut ended = once("x").compress(Coding::Gzip, &Disk::new()).peeked();
        while ended.more().await.is_some() {}
        assert!(ended.more().await.is_none());
        assert_eq!(ended.hint(), Hint::END);
    }
}

//! What a transfer writes: bytes from the client into a file. While one piece is being written the next one is read, and
//! so the pieces grow with the client's speed: a fast one fills [`PIECE_BYTES`], a slow one holds a few KiB.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use vfs::File;

use super::Ended;
use crate::ftp::ascii::LocalLineEnds;
use crate::ftp::calls::{Publication, Upload};
use crate::transport::Transport;

/// The most that is written at once; as much again may be on its way.
const PIECE_BYTES: usize = 512 * 1024;

/// What is written before the end of the upload, at least: a client that sends little by little costs a write each.
const MIN_PIECE_BYTES: usize = 16 * 1024;

/// Room for one read where the buffer has none left.
const READ_BYTES: usize = 64 * 1024;

/// An upload into its file.
pub(super) struct Receiving {
    file: Arc<dyn File>,
    /// Where the next piece goes.
    offset: u64,
    /// Line ends that are converted.
    line_ends: Option<LocalLineEnds>,
    /// How it gets its name in the end.
    publication: Option<Publication>,
    /// What came and is not written yet.
    buffer: BytesMut,
    stage: Stage,
    /// A write, or the last word to the file.
    call: Option<Call>,
}

type Call = Pin<Box<dyn Future<Output = vfs::Result<()>> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The client sends.
    Reading,
    /// It has sent all; what is left is written.
    Ended,
    /// The file is being finished.
    Finishing,
}

/// What an upload does next.
pub(super) enum Received {
    /// So many bytes came.
    Bytes(usize),
    /// The file is whole.
    Finished,
}

impl Receiving {
    pub(super) fn new(upload: Upload) -> Self {
        Self {
            file: upload.file,
            offset: upload.offset,
            line_ends: upload.converts.then(LocalLineEnds::default),
            publication: upload.publication,
            buffer: BytesMut::new(),
            stage: Stage::Reading,
            call: None,
        }
    }

    /// True while the client is waited for, and not the tree.
    pub(super) fn awaits_peer(&self) -> bool {
        self.stage == Stage::Reading && self.call.is_none()
    }

    /// Polls for the next bytes, or for the end of it all.
    pub(super) fn poll_receive(
        &mut self,
        stream: &mut Box<dyn Transport>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Received, Ended>> {
        loop {
            self.poll_call(cx)?;
            match self.stage {
                Stage::Reading if self.buffer.len() >= PIECE_BYTES => {
                    ready!(self.poll_free());
                    self.write();
                }
                Stage::Reading => match self.poll_read(stream, cx)? {
                    Poll::Ready(0) => self.stage = Stage::Ended,
                    Poll::Ready(count) => return Poll::Ready(Ok(Received::Bytes(count))),
                    // What is here is written while nothing more comes.
                    Poll::Pending if self.buffer.len() >= MIN_PIECE_BYTES && self.call.is_none() => {
                        self.write()
                    }
                    Poll::Pending => return Poll::Pending,
                },
                Stage::Ended => {
                    ready!(self.poll_free());
                    self.end();
                }
                Stage::Finishing => {
                    ready!(self.poll_free());
                    return Poll::Ready(Ok(Received::Finished));
                }
            }
        }
    }

    /// Moves the call under way on.
    fn poll_call(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        if let Some(call) = &mut self.call
            && let Poll::Ready(done) = call.as_mut().poll(cx)
        {
            self.call = None;
            done.map_err(Ended::TargetFailed)?;
        }
        Ok(())
    }

    /// Ready where no call is under way; else the call has been polled and wakes us.
    fn poll_free(&self) -> Poll<()> {
        if self.call.is_none() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_read(
        &mut self,
        stream: &mut Box<dyn Transport>,
        cx: &mut Context<'_>,
    ) -> Result<Poll<usize>, Ended> {
        if self.buffer.capacity() == self.buffer.len() {
            self.buffer.reserve(READ_BYTES.max(self.buffer.len()));
        }
        match pin!(stream.read_buf(&mut self.buffer)).poll(cx) {
            Poll::Ready(read) => Ok(Poll::Ready(read.map_err(Ended::PeerLost)?)),
            Poll::Pending => {
                if self.buffer.is_empty() {
                    // A client that is waited for holds no memory.
                    self.buffer = BytesMut::new();
                }
                Ok(Poll::Pending)
            }
        }
    }

    /// Writes what came.
    fn write(&mut self) {
        let came = self.buffer.split().freeze();
        let piece = match &mut self.line_ends {
            Some(ends) => ends.convert(&came).into(),
            None => came,
        };
        self.write_piece(piece);
    }

    /// Writes what is left, or finishes the file where nothing is.
    fn end(&mut self) {
        if !self.buffer.is_empty() {
            return self.write();
        }
        let rest = self.line_ends.as_mut().map_or(&b""[..], LocalLineEnds::end);
        if !rest.is_empty() {
            return self.write_piece(Bytes::from_static(rest));
        }
        let (file, publication) = (Arc::clone(&self.file), self.publication.take());
        self.call = Some(Box::pin(async move {
            file.finish().await?;
            match publication {
                Some(publication) => publication.publish().await,
                None => Ok(()),
            }
        }));
        self.stage = Stage::Finishing;
    }

    fn write_piece(&mut self, piece: Bytes) {
        let (file, offset) = (Arc::clone(&self.file), self.offset);
        self.offset += piece.len() as u64;
        self.call = Some(Box::pin(async move { file.write_at(offset, piece).await }));
    }
}

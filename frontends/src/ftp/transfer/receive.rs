//! What a transfer writes: bytes from the client into a file. While one piece is being written the next one is read, and
//! so the pieces grow with the client's speed: a fast one fills [`PIECE_BYTES`], a slow one holds a few KiB.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use vfs::File;

use super::Ended;
use crate::ftp::ascii::LocalLineEnds;
use crate::ftp::calls::{Ending, Upload};
use crate::transport::Transport;

/// The most that is written at once; as much again may be on its way.
const PIECE_BYTES: usize = 512 * 1024;

/// What is written before the end of the upload, at least: a client that sends little by little costs a write each.
const MIN_PIECE_BYTES: usize = 16 * 1024;

/// Room for one read where the buffer has none left.
const READ_BYTES: usize = 64 * 1024;

/// How long the last bytes of an upload that broke off may take to be written.
const SAVING_TIME: Duration = Duration::from_secs(1);

/// An upload into its file.
pub(super) struct Receiving {
    file: Arc<dyn File>,
    /// Where the next piece goes.
    offset: u64,
    /// What lies behind this goes before anything is written, and not before something came.
    cut: Option<u64>,
    /// Line ends that are converted.
    line_ends: Option<LocalLineEnds>,
    /// What makes it whole; `None` once that is under way.
    ending: Option<Ending>,
    /// What came and is not written yet.
    buffer: BytesMut,
    stage: Stage,
    /// A write, or the last word to the file.
    call: Option<Call>,
}

type Call = Pin<Box<dyn Future<Output = vfs::Result<()>> + Send>>;

/// The last bytes of an upload that broke off, on their way into the file.
pub(super) type Saving = Pin<Box<dyn Future<Output = ()> + Send>>;

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
            cut: upload.cut,
            line_ends: upload.converts.then(LocalLineEnds::default),
            ending: Some(upload.ending),
            buffer: BytesMut::new(),
            stage: Stage::Reading,
            call: None,
        }
    }

    /// True while the client is waited for, and not the tree.
    pub(super) fn awaits_peer(&self) -> bool {
        self.stage == Stage::Reading && self.call.is_none()
    }

    /// Writes what came of an upload that breaks off, at most for [`SAVING_TIME`]; `None` where nothing is left to be written,
    /// or nothing is to stay.
    pub(super) fn save(mut self) -> Option<Saving> {
        if !self.ending.as_ref().is_some_and(Ending::keeps_what_came) {
            return None;
        }
        let under_way = self.call.take();
        if !self.buffer.is_empty() {
            self.write();
        }
        let rest = self.call.take();
        if under_way.is_none() && rest.is_none() {
            return None;
        }
        let written = async move {
            for call in [under_way, rest].into_iter().flatten() {
                call.await?;
            }
            self.file.finish().await
        };
        Some(Box::pin(async move {
            match timeout(SAVING_TIME, written).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the last bytes of an upload were not written"),
                Err(_) => tracing::warn!("the last bytes of an upload were not written in time"),
            }
        }))
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
        let (file, cut, ending) = (Arc::clone(&self.file), self.cut.take(), self.ending.take());
        self.call = Some(Box::pin(async move {
            cut_at(&*file, cut).await?;
            file.finish().await?;
            match ending {
                Some(ending) => ending.conclude(&*file).await,
                None => Ok(()),
            }
        }));
        self.stage = Stage::Finishing;
    }

    fn write_piece(&mut self, piece: Bytes) {
        let (file, cut, offset) = (Arc::clone(&self.file), self.cut.take(), self.offset);
        self.offset += piece.len() as u64;
        self.call = Some(Box::pin(async move {
            cut_at(&*file, cut).await?;
            file.write_at(offset, piece).await
        }));
    }
}

async fn cut_at(file: &dyn File, cut: Option<u64>) -> vfs::Result<()> {
    match cut {
        Some(len) => file.set_len(len).await,
        None => Ok(()),
    }
}

//! [`File`] as tokio's `AsyncRead`, `AsyncWrite` and `AsyncSeek`, and the same by shared reference for
//! [`blocking`](crate::blocking).

use std::future::poll_fn;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

use super::File;

impl AsyncRead for File {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.io.get_mut().poll_read(&this.opened, cx, buf)
    }
}

impl AsyncWrite for File {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.io.get_mut().poll_write(&this.opened, cx, data, this.max_write)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io.get_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.io.get_mut().poll_shutdown(&this.opened, cx)
    }
}

impl AsyncSeek for File {
    fn start_seek(self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        self.get_mut().io.get_mut().start_seek(to);
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        this.io.get_mut().poll_seek(&this.opened, cx)
    }
}

/// As the traits, for one who shares the handle; calls take turns.
impl File {
    pub(crate) async fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut io = self.io.lock().await;
        let mut buf = ReadBuf::new(buf);
        poll_fn(|cx| io.poll_read(&self.opened, cx, &mut buf)).await?;
        Ok(buf.filled().len())
    }

    /// Returns when the write has ended, so that its failure is its own.
    pub(crate) async fn write_now(&self, data: &[u8]) -> io::Result<usize> {
        let mut io = self.io.lock().await;
        let len = poll_fn(|cx| io.poll_write(&self.opened, cx, data, self.max_write)).await?;
        poll_fn(|cx| io.poll_flush(cx)).await?;
        Ok(len)
    }

    pub(crate) async fn seek_now(&self, to: SeekFrom) -> io::Result<u64> {
        let mut io = self.io.lock().await;
        io.start_seek(to);
        poll_fn(|cx| io.poll_seek(&self.opened, cx)).await
    }
}

//! [`File`] as tokio's `AsyncRead`, `AsyncWrite` and `AsyncSeek`, and the same by shared reference for
//! [`blocking`](crate::blocking).

use std::future::poll_fn;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
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
        let is_last = Arc::strong_count(&this.handles) == 1;
        if is_last || this.opened.is_atomic {
            this.io.get_mut().poll_shutdown(&this.opened, cx)
        } else {
            this.io.get_mut().poll_flush(cx)
        }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::Waker;

    use async_trait::async_trait;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::error::{Error, ErrorKind, Result};
    use crate::{FileType, Identity, Metadata, OpenOptions, SeekCost, VPath};

    /// A file whose calls pass a gate, one permit each, and are written down.
    #[derive(Debug)]
    struct Gated {
        content: Mutex<Vec<u8>>,
        gate: Semaphore,
        calls: Mutex<Vec<String>>,
        done: Semaphore,
        finished: AtomicUsize,
        seek_cost: SeekCost,
        knows_len: bool,
    }

    impl Gated {
        fn new(content: &[u8]) -> Self {
            Self {
                content: Mutex::new(content.to_vec()),
                gate: Semaphore::new(0),
                calls: Mutex::default(),
                done: Semaphore::new(0),
                finished: AtomicUsize::new(0),
                seek_cost: SeekCost::Free,
                knows_len: true,
            }
        }

        fn open(content: &[u8]) -> Arc<Self> {
            let file = Self::new(content);
            file.gate.add_permits(Semaphore::MAX_PERMITS / 2);
            Arc::new(file)
        }

        async fn pass(&self, call: String) {
            self.calls.lock().unwrap().push(call);
            self.gate.acquire().await.unwrap().forget();
        }

        fn calls(&self) -> Vec<String> {
            std::mem::take(&mut *self.calls.lock().unwrap())
        }

        fn content(&self) -> Vec<u8> {
            self.content.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl crate::File for Gated {
        async fn metadata(&self) -> Result<Metadata> {
            let len = self.knows_len.then(|| self.content().len() as u64);
            Ok(Metadata { len, ..Metadata::new(FileType::File) })
        }

        fn identity(&self) -> Option<Identity> {
            None
        }

        async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
            self.pass(format!("read {max} at {offset}")).await;
            let content = self.content();
            let rest = content.get(offset as usize..).unwrap_or_default();
            Ok(Bytes::copy_from_slice(&rest[..rest.len().min(max)]))
        }

        async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
            self.pass(format!("write {} at {offset}", data.len())).await;
            if &data[..] == b"fail" {
                return Err(Error::new(ErrorKind::StorageFull, "write_at", &VPath::root()));
            }
            let (start, end) = (offset as usize, offset as usize + data.len());
            let mut content = self.content.lock().unwrap();
            let len = content.len().max(end);
            content.resize(len, 0);
            content[start..end].copy_from_slice(&data);
            self.done.add_permits(1);
            Ok(())
        }

        async fn finish(&self) -> Result<()> {
            self.finished.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        fn seek_cost(&self) -> SeekCost {
            self.seek_cost
        }
    }

    fn handle(file: &Arc<Gated>, options: &OpenOptions) -> File {
        File::new(Arc::<Gated>::clone(file), VPath::parse("/gated").unwrap(), options)
    }

    fn reading_and_writing() -> OpenOptions {
        OpenOptions { read: true, write: true, ..OpenOptions::default() }
    }

    /// Polls once: what there is without waiting.
    fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut future = Box::pin(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_write_lets_its_caller_go_and_the_next_one_waits() {
        let gated = Arc::new(Gated::new(b""));
        let mut file = handle(&gated, &reading_and_writing());
        assert_eq!(at_once(file.write(b"one")).unwrap().unwrap(), 3);
        for _ in 0..2 {
            assert!(at_once(file.write(b"given up")).is_none());
            assert!(at_once(file.flush()).is_none());
            assert!(at_once(file.read(&mut [0; 8])).is_none());
            assert!(at_once(file.metadata()).is_none());
        }
        assert_eq!(gated.calls(), ["write 3 at 0"]);
        gated.gate.add_permits(2);
        file.write_all(b"two").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(gated.calls(), ["write 3 at 3"]);
        assert_eq!(gated.content(), b"onetwo");
    }

    #[tokio::test]
    async fn a_failed_write_is_told_once_and_leaves_the_cursor() {
        let gated = Arc::new(Gated::new(b""));
        let mut file = handle(&gated, &reading_and_writing());
        file.write_all(b"fail").await.unwrap();
        gated.gate.add_permits(3);
        // A description is no place to tell it, so it is kept.
        file.metadata().await.unwrap();
        let failure = file.flush().await.unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::StorageFull);
        assert_eq!(failure.to_string(), "write_at /gated: no space left");
        file.flush().await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 0);
        // What fails at once is told at once; `sync_all` and `close` tell it too.
        assert_eq!(file.write(b"fail").await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.write_all(b"good").await.unwrap();
        file.write_all(b"fail").await.unwrap();
        gated.gate.add_permits(1);
        assert_eq!(file.sync_all().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(gated.content(), b"good");
    }

    #[tokio::test]
    async fn a_read_that_is_given_up_loses_nothing() {
        let gated = Arc::new(Gated::new(b"0123456789"));
        let mut file = handle(&gated, &OpenOptions::reading());
        assert!(at_once(file.read(&mut [0; 8])).is_none());
        gated.gate.add_permits(9);
        let mut two = [0; 2];
        file.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"01");
        // The rest of the long read is not kept: it may be another by now.
        gated.content.lock().unwrap()[2..4].copy_from_slice(b"ab");
        file.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"ab");
        assert_eq!(gated.calls(), ["read 8 at 0", "read 2 at 2"]);
    }

    #[tokio::test]
    async fn only_where_going_back_costs_more_is_read_than_asked_for() {
        for (seek_cost, options, calls) in [
            (SeekCost::Free, OpenOptions::reading(), vec!["read 2 at 0", "read 2 at 2", "read 2 at 1"]),
            (SeekCost::Request, reading_and_writing(), vec!["read 2 at 0", "read 2 at 2", "read 2 at 1"]),
            (SeekCost::Request, OpenOptions::reading(), vec!["read 262144 at 0", "read 262144 at 1"]),
        ] {
            let gated = Arc::new(Gated { seek_cost, ..Gated::new(b"0123456789") });
            gated.gate.add_permits(9);
            let mut file = handle(&gated, &options);
            let mut two = [0; 2];
            for expected in [b"01", b"23"] {
                file.read_exact(&mut two).await.unwrap();
                assert_eq!(&two, expected);
            }
            file.seek(SeekFrom::Start(1)).await.unwrap();
            file.read_exact(&mut two).await.unwrap();
            assert_eq!(&two, b"12");
            assert_eq!(gated.calls(), calls, "{seek_cost:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn clones_that_read_at_once_share_the_bytes_between_them() {
        let content: Vec<u8> = (0..=255).cycle().take(4096).collect();
        let file = handle(&Gated::open(&content), &OpenOptions::reading());
        let mut readers = Vec::new();
        for _ in 0..4 {
            let mut clone = file.try_clone().await.unwrap();
            readers.push(tokio::spawn(async move {
                let mut read = Vec::new();
                while let Ok(byte) = clone.read_u8().await {
                    read.push(byte);
                }
                read
            }));
        }
        let mut counts = [0; 256];
        for reader in readers {
            for byte in reader.await.unwrap() {
                counts[usize::from(byte)] += 1;
            }
        }
        assert_eq!(counts, [16; 256]);
    }

    #[tokio::test]
    async fn a_write_under_way_outlives_its_handle_unless_the_file_is_atomic() {
        let gated = Arc::new(Gated::new(b""));
        let mut file = handle(&gated, &OpenOptions::writing());
        file.write_all(b"kept").await.unwrap();
        drop(file);
        gated.gate.add_permits(1);
        gated.done.acquire().await.unwrap().forget();
        assert_eq!(gated.content(), b"kept");

        let mut file = handle(&gated, &OpenOptions::replacing());
        file.write_all(b"lost").await.unwrap();
        drop(file);
        assert_eq!(Arc::strong_count(&gated), 1, "nobody is left to write");
        assert_eq!(gated.finished.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_file_written_in_place_is_finished_with_its_last_handle() {
        let gated = Gated::open(b"");
        let first = handle(&gated, &OpenOptions::writing());
        let second = first.try_clone().await.unwrap();
        first.close().await.unwrap();
        assert_eq!(gated.finished.load(Ordering::Relaxed), 0);
        second.close().await.unwrap();
        assert_eq!(gated.finished.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn closing_finishes_and_so_does_shutdown() {
        let gated = Gated::open(b"");
        let mut file = handle(&gated, &OpenOptions::replacing());
        file.write_all(b"x").await.unwrap();
        file.close().await.unwrap();
        assert_eq!((gated.content(), gated.finished.load(Ordering::Relaxed)), (b"x".to_vec(), 1));
        let mut file = handle(&gated, &OpenOptions::replacing());
        file.shutdown().await.unwrap();
        drop(file);
        assert_eq!(gated.finished.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn long_writes_go_in_pieces_that_can_be_made_smaller() {
        let gated = Gated::open(b"");
        let mut file = handle(&gated, &OpenOptions::writing());
        file.write_all(&vec![7; (1 << 20) + 5]).await.unwrap();
        file.set_max_buf_size(3);
        file.write_all(&[8; 4]).await.unwrap();
        file.flush().await.unwrap();
        let pieces = ["write 1048576 at 0", "write 5 at 1048576", "write 3 at 1048581", "write 1 at 1048584"];
        assert_eq!(gated.calls(), pieces);
        file.set_max_buf_size(usize::MAX);
        assert_eq!(file.max_buf_size(), 1 << 20);
    }

    #[tokio::test]
    async fn a_handle_does_what_it_was_opened_for() {
        let gated = Gated::open(b"0123456789");
        let bad = io::Error::from(rustix::io::Errno::BADF).kind();
        let mut reader = handle(&gated, &OpenOptions::reading());
        assert_eq!(reader.write(b"x").await.unwrap_err().kind(), bad);
        assert_eq!(reader.write_at(b"x", 0).await.unwrap_err().kind(), bad);
        assert_eq!(reader.set_len(0).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let mut writer = handle(&gated, &OpenOptions::writing());
        assert_eq!(writer.read(&mut [0; 2]).await.unwrap_err().kind(), bad);
        let refused = writer.read_at(&mut [0; 2], 0).await.unwrap_err();
        assert_eq!(refused.to_string(), "read /gated: invalid request: the file was not opened for reading");
        assert!(gated.calls().is_empty());
    }

    #[tokio::test]
    async fn a_seek_that_leads_nowhere_leaves_the_cursor() {
        let gated = Arc::new(Gated { knows_len: false, ..Gated::new(b"0123456789") });
        let mut file = handle(&gated, &OpenOptions::reading());
        file.seek(SeekFrom::Start(4)).await.unwrap();
        for (to, kind) in [
            (SeekFrom::Current(-5), io::ErrorKind::InvalidInput),
            (SeekFrom::Start(u64::MAX), io::ErrorKind::InvalidInput),
            (SeekFrom::Current(i64::MAX), io::ErrorKind::InvalidInput),
            (SeekFrom::End(0), io::ErrorKind::Unsupported),
        ] {
            assert_eq!(file.seek(to).await.unwrap_err().kind(), kind, "{to:?}");
            assert_eq!(file.stream_position().await.unwrap(), 4);
        }
    }
}

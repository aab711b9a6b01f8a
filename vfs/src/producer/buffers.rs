//! Sources of bytes in memory: [`once`], [`lines`] and [`buffers`]. They are never `Pending`.

use std::fmt;
use std::iter::Fuse;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::{Chunk, Hint, Producer, Readiness};
use crate::error::Result;

/// Lines are gathered until they are this long together.
const LINES_BYTES: usize = 4 * 1024;

/// One chunk, or none where it is empty.
pub fn once(chunk: impl Into<Chunk>) -> Once {
    Once(Some(chunk.into()).filter(|chunk| !chunk.is_empty()))
}

/// The lines of `lines`, each with CR LF behind it, in chunks of about 4 KiB. The iterator is asked when the consumer
/// asks. What is inside a line is not looked at.
pub fn lines<I>(lines: I) -> Lines<I::IntoIter>
where
    I: IntoIterator<Item: AsRef<[u8]>, IntoIter: Send>,
{
    Lines(lines.into_iter().fuse())
}

/// The buffers of `buffers`, one after the other, without the empty ones. The iterator is asked when the consumer asks.
pub fn buffers<I>(buffers: I) -> Buffers<I::IntoIter>
where
    I: IntoIterator<Item: Into<Bytes>, IntoIter: Send>,
{
    Buffers(buffers.into_iter().fuse())
}

/// Made by [`once`].
#[derive(Debug)]
pub struct Once(Option<Chunk>);

/// Made by [`lines`].
pub struct Lines<I>(Fuse<I>);

/// Made by [`buffers`].
pub struct Buffers<I>(Fuse<I>);

impl Producer for Once {
    fn poll_more(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        Poll::Ready(self.0.take().map(Ok))
    }

    fn hint(&self) -> Hint {
        let remaining = self.0.as_ref().map_or(0, Chunk::len);
        Hint { readiness: Readiness::Now, remaining: Some(remaining as u64) }
    }
}

impl<I: Iterator<Item: AsRef<[u8]>> + Send> Producer for Lines<I> {
    fn poll_more(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let mut gathered = BytesMut::new();
        while gathered.len() < LINES_BYTES
            && let Some(line) = self.0.next()
        {
            gathered.extend_from_slice(line.as_ref());
            gathered.extend_from_slice(b"\r\n");
        }
        Poll::Ready((!gathered.is_empty()).then(|| Ok(gathered.freeze().into())))
    }

    fn hint(&self) -> Hint {
        hint_of(&self.0)
    }
}

impl<I: Iterator<Item: Into<Bytes>> + Send> Producer for Buffers<I> {
    fn poll_more(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let next = self.0.by_ref().map(Into::into).find(|bytes: &Bytes| !bytes.is_empty());
        Poll::Ready(next.map(|bytes| Ok(bytes.into())))
    }

    fn hint(&self) -> Hint {
        hint_of(&self.0)
    }
}

/// An iterator is never late; of its length only the end is known.
fn hint_of(items: &impl Iterator) -> Hint {
    let at_end = items.size_hint().1 == Some(0);
    Hint { readiness: Readiness::Now, remaining: at_end.then_some(0) }
}

impl<I> fmt::Debug for Lines<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl<I> fmt::Debug for Buffers<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::Waker;

    use super::super::testing::{drain, poll_with};
    use super::*;

    #[tokio::test]
    async fn once_gives_its_chunk_and_an_empty_one_is_none() {
        for (content, lengths) in [(&b"0123"[..], vec![4]), (b"", vec![])] {
            let drained = drain(once(content)).await;
            assert_eq!((drained.bytes, drained.lengths), (content.to_vec(), lengths));
        }
    }

    #[tokio::test]
    async fn lines_are_gathered_and_end_with_cr_lf() {
        assert_eq!(drain(lines(["a", "", "b"])).await.bytes, b"a\r\n\r\nb\r\n");
        assert_eq!(drain(lines::<[&str; 0]>([])).await.bytes, b"");
        let many = drain(lines(std::iter::repeat_n("0123456789abcd", 1000))).await;
        assert_eq!(many.lengths, [4096, 4096, 4096, 3712]);
    }

    #[tokio::test]
    async fn buffers_come_as_they_are_without_the_empty_ones() {
        let drained = drain(buffers(["", "ab", "", "", "cde", ""])).await;
        assert_eq!((drained.bytes, drained.lengths), (b"abcde".to_vec(), vec![2, 3]));
    }

    #[test]
    fn iterators_are_asked_when_the_consumer_asks() {
        thread_local!(static ASKED: Cell<usize> = const { Cell::new(0) });
        let counted = || (0..3).inspect(|_| ASKED.set(ASKED.get() + 1)).map(|_| "0123");
        let mut source = buffers(counted());
        source.hint();
        assert_eq!(ASKED.get(), 0);
        assert!(poll_with(&mut source, Waker::noop()).is_ready());
        assert_eq!(ASKED.get(), 1);
        lines(counted()).hint();
        assert_eq!(ASKED.get(), 1);
    }
}

//! [`Chunked`]: the chunked transfer coding of HTTP/1.1 (RFC 9112 §7.1).

use std::fmt;
use std::task::{Context, Poll, ready};

use super::{Chunk, Hint, Producer, Readiness};
use crate::error::Result;

/// Puts each chunk between its size and CR LF, and the last chunk behind all; without extensions and trailers. Spans
/// stay spans, between the bytes that frame them. After an error the last chunk does not come, so that the receiver sees
/// that something is missing (RFC 9112 §8).
pub struct Chunked<P> {
    inner: P,
    /// The chunk whose size has gone out.
    data: Option<Chunk>,
    /// A chunk was begun: its CR LF goes out with the next size.
    open: bool,
    ended: bool,
}

impl<P: Producer> Chunked<P> {
    pub(super) fn new(inner: P) -> Self {
        Self { inner, data: None, open: false, ended: false }
    }

    /// Ends the chunk before, and begins one of `len` bytes; 0 is the end of the body.
    fn frame(&mut self, len: usize) -> Chunk {
        let before = if self.open { "\r\n" } else { "" };
        let after = if len == 0 { "\r\n" } else { "" };
        self.open = true;
        format!("{before}{len:x}\r\n{after}").into()
    }
}

impl<P: Producer> Producer for Chunked<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(data)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let item = loop {
            match ready!(self.inner.poll_more(cx)) {
                // It would read as the end of the body, and what follows as the next answer.
                Some(Ok(chunk)) if chunk.is_empty() => {}
                item => break item,
            }
        };
        self.ended = !matches!(item, Some(Ok(_)));
        Poll::Ready(Some(match item {
            Some(Ok(chunk)) => {
                let frame = self.frame(chunk.len());
                self.data = Some(chunk);
                Ok(frame)
            }
            Some(Err(error)) => Err(error),
            None => Ok(self.frame(0)),
        }))
    }

    fn hint(&self) -> Hint {
        if self.data.is_some() {
            return Hint { readiness: Readiness::Now, remaining: None };
        }
        if self.ended {
            return Hint::END;
        }
        Hint { readiness: self.inner.hint().readiness, remaining: None }
    }
}

impl<P> fmt::Debug for Chunked<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunked")
            .field("data", &self.data)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CONTENT, Script, Step, drain, keeps_the_contract, warm_file};
    use super::super::{FileSpan, ProducerExt};
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn keeps_the_contract_of_its_source() {
        keeps_the_contract(Script::chunked).await;
    }

    #[tokio::test]
    async fn chunks_are_framed() {
        for (chunks, coded) in [
            (vec![], "0\r\n\r\n"),
            (vec!["abc"], "3\r\nabc\r\n0\r\n\r\n"),
            (vec!["0123456789abcdef", "x"], "10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n"),
            (vec!["a", "", "b"], "1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
        ] {
            let drained = drain(Script::of(chunks).chunked()).await;
            assert_eq!(String::from_utf8(drained.bytes).unwrap(), coded);
        }
    }

    #[tokio::test]
    async fn after_an_error_the_last_chunk_does_not_come() {
        let (source, _) = Script::new([Step::Chunk("abc".into()), Step::Fail(ErrorKind::Busy)]);
        let drained = drain(source.chunked()).await;
        assert_eq!((drained.kind(), drained.bytes), (Some(ErrorKind::Busy), b"3\r\nabc".to_vec()));
    }

    #[tokio::test]
    async fn a_span_stays_a_span() {
        let span = FileSpan::new(warm_file(CONTENT), 0, 10);
        let mut chunked = Script::of([Chunk::Span(span)]).chunked().peeked();
        assert!(matches!(chunked.more().await, Some(Ok(Chunk::Bytes(size))) if size == "a\r\n"));
        assert!(matches!(chunked.more().await, Some(Ok(Chunk::Span(span))) if span.len() == 10));
        assert!(matches!(chunked.more().await, Some(Ok(Chunk::Bytes(last))) if last == "\r\n0\r\n\r\n"));
    }
}

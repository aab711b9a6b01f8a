//! [`Timeout`]: a deadline for every call, so that a source that stops answering costs a caller a stated time at most.

use std::future::Future;
use std::time::Duration;

use super::around::{Around, Call, Pace};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::producer::{Producer, ProducerExt};

/// How long calls may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutOptions {
    /// One call: a description, an opening, one `read_at`, one batch of a listing; for a file's own producer the wait
    /// for its first chunk and for each later one. Default 30 s.
    pub call: Duration,
    /// `sync` and `finish`, whose work grows with what was written. Default 5 minutes.
    pub settle: Duration,
}

/// Ends calls that take too long with `TimedOut`; the work is dropped then.
///
/// The time is for one answer and never for a whole transfer: reading and listing go on for as long as they get on, and
/// how long their consumer takes does not count.
/// A lock is waited for as long as its caller wishes.
#[derive(Debug, Default)]
pub struct Timeout {
    options: TimeoutOptions,
}

impl Timeout {
    /// A deadline of `options` for every call.
    pub fn new(options: TimeoutOptions) -> Self {
        Self { options }
    }
}

impl Around for Timeout {
    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let limit = match call.pace {
            Pace::Prompt => self.options.call,
            Pace::Settling => self.options.settle,
            Pace::Patient => return work.await,
        };
        match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => {
                let detail = format!("the source did not answer within {limit:?}");
                Err(Error::new(ErrorKind::TimedOut, call.op, call.path)
                    .with_detail(detail)
                    .with_retry(Retry::Now))
            }
        }
    }

    fn producer(&self, producer: Box<dyn Producer>) -> Box<dyn Producer> {
        Box::new(producer.stall_timeout(self.options.call, self.options.call))
    }
}

impl Default for TimeoutOptions {
    fn default() -> Self {
        Self { call: Duration::from_secs(30), settle: Duration::from_secs(300) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::fake::{Fake, path};
    use crate::file_system::FileSystem;
    use crate::layers::Layered;
    use crate::options::{ByteRange, ListOptions, OpenOptions, StatOptions};
    use crate::producer::{self, Chunk};

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_ends_at_its_deadline_and_says_what_was_waited_for() {
        let fake = Fake::with(&[("/f", "text")]);
        let tree = Layered::new(fake.clone().shared(), Arc::<Timeout>::default());
        let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
        let mut listing = tree.read_dir(&path("/"), &ListOptions::default()).await.unwrap();
        fake.hang();

        let begun = Instant::now();
        let error = tree.metadata(&path("/f"), &StatOptions::default()).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::TimedOut, Duration::from_secs(30)));
        assert_eq!(error.to_string(), "metadata /f: no answer in time: the source did not answer within 30s");
        assert_eq!(file.read_at(0, 1).await.unwrap_err().op(), "read_at");
        assert_eq!(listing.next().await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(listing.next().await.is_none());

        let begun = Instant::now();
        assert_eq!(file.finish().await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), Duration::from_secs(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_may_take_longer_than_any_of_its_calls() {
        let fake = Fake::with(&[("/f", "text")]);
        fake.delay(Duration::from_secs(20));
        let tree = Layered::new(fake.shared(), Arc::<Timeout>::default());
        let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
        let begun = Instant::now();
        for offset in 0..4 {
            assert_eq!(file.read_at(offset, 1).await.unwrap().len(), 1);
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(80));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_whose_own_producer_stops_is_given_up() {
        let fake = Fake::with(&[("/f", "text")]);
        let tree = Layered::new(fake.clone().shared(), Arc::<Timeout>::default());
        let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
        let mut flows = producer::of(Arc::clone(&file), ByteRange::whole()).peeked();
        assert!(matches!(flows.more().await, Some(Ok(Chunk::Bytes(bytes))) if bytes == "text"));
        fake.hang();
        let mut stalls = producer::of(file, ByteRange::whole()).peeked();
        let begun = Instant::now();
        assert_eq!(stalls.more().await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
    }
}

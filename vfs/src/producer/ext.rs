//! [`ProducerExt`]: the adaptors, as methods of every producer.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Chunked, Coalesce, Coding, Compress, Ended, Escape, ExactLength, Lower, MapErr, OnEnd, Peeked, Producer,
    Range, Rate, StallTimeout, Throttle,
};
use crate::error::Error;
use crate::jobs::Disk;
use crate::options::ByteRange;

/// What every producer can do; `more().await` and the like live on [`Peeked`].
pub trait ProducerExt: Producer + Sized {
    /// Adds the slot that [`Peeked::ready`] keeps a chunk in.
    fn peeked(self) -> Peeked<Self> {
        Peeked::new(self)
    }

    /// Puts it on the heap, as [`chain`](super::chain()) and [`File::native`](crate::File::native) want it.
    fn boxed(self) -> Box<dyn Producer>
    where
        Self: 'static,
    {
        Box::new(self)
    }

    /// Gathers small chunks into chunks of `min` bytes or more; see [`Coalesce`].
    fn coalesce(self, min: usize) -> Coalesce<Self> {
        Coalesce::new(self, min)
    }

    /// Compresses what it makes; see [`Compress`]. Spans are read, through `disk` where they have to be waited for.
    fn compress(self, coding: Coding, disk: &Disk) -> Compress<Self> {
        Compress::new(self, coding, disk.clone())
    }

    /// Calls `f` once, when it ends, fails or is dropped; see [`OnEnd`].
    fn on_end<F: FnOnce(Ended) + Send>(self, f: F) -> OnEnd<Self, F> {
        OnEnd::new(self, f)
    }

    /// Frames the chunks as HTTP/1.1 has it; see [`Chunked`].
    fn chunked(self) -> Chunked<Self> {
        Chunked::new(self)
    }

    /// Replaces each `from` by `to`; see [`Escape`]. Spans are read, through `disk` where they have to be waited for.
    fn escape(self, from: impl Into<Bytes>, to: impl Into<Bytes>, disk: &Disk) -> Escape<Self> {
        Escape::new(self, from.into(), to.into(), disk)
    }

    /// Gives the bytes of `range` alone; see [`Range`].
    fn range(self, range: ByteRange) -> Range<Self> {
        Range::new(self, range)
    }

    /// Gives no more than `rate` allows, together with all who share it; see [`Throttle`].
    fn throttle(self, rate: &Rate) -> Throttle<Self> {
        Throttle::new(self, rate.clone())
    }

    /// Fails with `TimedOut` where the source lets its consumer wait for the first chunk longer than `first`, or for a
    /// later one longer than `between`; see [`StallTimeout`].
    fn stall_timeout(self, first: Duration, between: Duration) -> StallTimeout<Self> {
        StallTimeout::new(self, first, between)
    }

    /// Gives `len` bytes or an error; see [`ExactLength`].
    fn exact_length(self, len: u64) -> ExactLength<Self> {
        ExactLength::new(self, len)
    }

    /// Turns spans into bytes; see [`Lower`]. What has to be waited for is read through `disk`.
    fn lower(self, disk: &Disk) -> Lower<Self> {
        Lower::new(self, disk.clone())
    }

    /// Changes the error it may end with, as the namespace does to add the path.
    fn map_err<F: FnMut(Error) -> Error + Send>(self, f: F) -> MapErr<Self, F> {
        MapErr::new(self, f)
    }
}

impl<P: Producer> ProducerExt for P {}

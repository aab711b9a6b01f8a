//! A producer of one's own, and `ready()`: a clock that ticks when it is time, and a consumer that takes a tick only
//! when it wants one.

// What it prints is what it shows.
#![allow(clippy::print_stdout)]

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Interval, interval};
use vfs::Result;
use vfs::producer::{Chunk, Hint, Producer, ProducerExt};

/// Ticks `left` times, one tick every interval.
struct Clock {
    interval: Interval,
    left: u32,
}

impl Producer for Clock {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        // Not yet time: the interval has our waker, and we are Pending.
        ready!(self.interval.poll_tick(cx));
        self.left -= 1;
        Poll::Ready(Some(Ok(Chunk::from(format!("{} left\n", self.left)))))
    }

    fn hint(&self) -> Hint {
        if self.left == 0 { Hint::END } else { Hint::UNKNOWN }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut clock = Clock { interval: interval(Duration::from_millis(20)), left: 3 }.peeked();
    loop {
        let mut waited = 0;
        // Waits for a tick, and does something else as long as there is none. Giving up loses nothing.
        while tokio::time::timeout(Duration::from_millis(1), clock.ready()).await.is_err() {
            waited += 1;
        }
        match clock.more().await.transpose()? {
            Some(tick) => println!("{waited:2} pauses, then {} bytes", tick.len()),
            None => return Ok(()),
        }
    }
}

//! The task that owns a control connection: it does one piece of work after the other, each to its end.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::site::Site;
use super::wire::Wire;
use crate::backends::remote::Connection;

/// How often an idle connection is kept from being forgotten, by a NOOP.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long a connection that nobody needs is kept.
const IDLE: Duration = Duration::from_secs(90);

/// What a piece of work is while it runs.
pub(super) type Doing<'w, T> = Pin<Box<dyn Future<Output = T> + Send + 'w>>;

/// A piece of work.
pub(super) type Work = Box<dyn for<'w> FnOnce(&'w mut Wire) -> Doing<'w, ()> + Send>;

/// A piece of work, and the right to a connection, which the worker gives back when it is free again.
pub(super) struct Order {
    pub(super) work: Work,
    pub(super) right: Connection,
}

/// A worker that waits for an order. Its drop lets the worker say goodbye and end.
#[derive(Debug)]
pub(super) struct Worker {
    orders: Sender<Order>,
    since: Instant,
}

impl Worker {
    /// Starts a worker over a connection that is logged in, with its first order.
    pub(super) fn start(wire: Wire, site: Weak<Site>, first: Order) {
        tokio::spawn(serve(wire, site, first));
    }

    /// Hands it an order.
    ///
    /// # Errors
    /// Gives the order back where the worker has ended.
    pub(super) async fn take(self, order: Order) -> Result<(), Order> {
        self.orders.send(order).await.map_err(|refused| refused.0)
    }

    /// True where the connection is there, as far as is known without asking.
    pub(super) fn is_there(&self) -> bool {
        !self.orders.is_closed()
    }

    /// How long it has been idle.
    pub(super) fn idle_for(&self) -> Duration {
        self.since.elapsed()
    }
}

async fn serve(mut wire: Wire, site: Weak<Site>, first: Order) {
    let mut next = Some(first);
    while let Some(Order { work, right }) = next {
        work(&mut wire).await;
        let Some(site) = site.upgrade().filter(|_| wire.is_sound()) else {
            // The connection goes before the right to it.
            drop(wire);
            drop(right);
            return;
        };
        let (orders, mut received) = mpsc::channel(1);
        site.rest(Worker { orders, since: Instant::now() });
        drop(site);
        drop(right);
        next = wait(&mut wire, &mut received).await;
    }
    wire.quit().await;
}

/// The next order. `None`: there is none for so long that the connection may go, nobody can give one any more, or the
/// connection has gone.
async fn wait(wire: &mut Wire, orders: &mut Receiver<Order>) -> Option<Order> {
    let end = Instant::now() + IDLE;
    while Instant::now() < end {
        let nudge = Instant::now() + KEEP_ALIVE;
        match timeout_at(nudge.min(end), orders.recv()).await {
            Ok(order) => return order,
            Err(_) if Instant::now() >= end => break,
            Err(_) => {}
        }
        if wire.ask("NOOP", None).await.is_err() {
            break;
        }
    }
    // An order may have come meanwhile; where the connection is lost it fails and is given to another.
    orders.close();
    orders.try_recv().ok()
}

/// Keeps the right to a connection for `period`, so that a site that has enough of us gets fewer.
pub(super) fn hold_back(right: Connection, period: Duration, site: &Arc<Site>) {
    let site = Arc::downgrade(site);
    tokio::spawn(async move {
        sleep_until(Instant::now() + period).await;
        drop(right);
        if let Some(site) = site.upgrade() {
            site.release();
        }
    });
}

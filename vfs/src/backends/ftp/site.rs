//! [`Site`]: the connections to one site, and the work that is done on them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::config::{Address, FtpOptions};
use super::error::Fault;
use super::lore::Lore;
use super::names::Names;
use super::wire::Wire;
use super::worker::{Doing, Order, Work, Worker, hold_back};
use crate::backends::remote::{Connection, Connections, Deadlines, RetryBudget, Trust};
use crate::error::{Error, ErrorKind, Result};
use crate::path::VPath;
use crate::traffic::Traffic;

/// Times that one piece of work is done again at most.
const RETRIES: u32 = 2;

/// How long a site that had too many connections gets fewer.
const FEWER: Duration = Duration::from_secs(60);

/// An idle connection is asked whether it still lives before a change is made on it, unless it was used this lately.
const FRESH: Duration = Duration::from_secs(1);

/// What every connection to one site is made of.
pub(super) struct Dialled {
    pub(super) address: Address,
    pub(super) deadlines: Deadlines,
    pub(super) lore: Lore,
    pub(super) trust: Trust,
    pub(super) traffic: Arc<Traffic>,
}

/// One site.
pub(super) struct Site {
    pub(super) names: Names,
    pub(super) dialled: Arc<Dialled>,
    /// Held by who makes something where nothing is only, from looking to making.
    pub(super) exclusive: tokio::sync::Mutex<()>,
    limit: usize,
    connections: Connections,
    idle: Mutex<Vec<Worker>>,
    held_back: AtomicUsize,
    budget: RetryBudget,
}

/// Whether a piece of work may be done again when its connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It only looks.
    Yes,
    /// It changes something: once begun, nobody knows how far it came.
    No,
}

/// What is known of the connection that a piece of work was done on.
struct Done<T> {
    /// `None`: the connection had gone before the work was begun.
    outcome: Option<Result<T, Fault>>,
    /// It had been idle before: it may have died without anybody noticing.
    was_idle: bool,
}

impl Site {
    /// A site that nobody has dialled yet.
    ///
    /// # Errors
    /// `InvalidInput` where the authorities are none.
    pub(super) fn new(address: Address, options: &FtpOptions) -> Result<Arc<Self>> {
        let trust = Trust::with(&options.authorities)
            .map_err(|why| Error::new(ErrorKind::InvalidInput, "connect", &VPath::root()).with_detail(why))?;
        Ok(Arc::new(Self {
            names: Names::new(address.encoding, address.base.clone()),
            dialled: Arc::new(Dialled {
                address,
                deadlines: options.deadlines,
                lore: Lore::default(),
                trust,
                traffic: Arc::clone(&options.traffic),
            }),
            exclusive: tokio::sync::Mutex::default(),
            limit: options.connections.max(1),
            connections: Connections::new(options.connections),
            idle: Mutex::default(),
            held_back: AtomicUsize::new(0),
            budget: RetryBudget::new(),
        }))
    }

    pub(super) fn lore(&self) -> &Lore {
        &self.dialled.lore
    }

    /// True where somebody waits for a connection.
    pub(super) fn is_busy(&self) -> bool {
        self.connections.are_wanted()
    }

    /// Counts a fault where it is the site's; a clear "no" is an answer.
    pub(super) fn note_failure(&self, fault: &Fault) {
        if fault.is_lost() || fault.may_pass() {
            self.dialled.traffic.count_error();
        }
    }

    /// Pays for doing something once more; `None`: that was done often enough.
    pub(super) fn pay(&self, failures: u32) -> Option<Duration> {
        self.budget.spend(failures)
    }

    /// Does `work` on a connection, and again where that may help. A dropped future lets the work go on to its end, with
    /// nobody hearing of it.
    ///
    /// # Errors
    /// What the work came to, as an error of `op` on `path`.
    pub(super) async fn run<T, W>(
        self: &Arc<Self>,
        op: &'static str,
        path: &VPath,
        again: Again,
        work: W,
    ) -> Result<T>
    where
        T: Send + 'static,
        W: for<'w> Fn(&'w mut Wire) -> Doing<'w, Result<T, Fault>> + Clone + Send + 'static,
    {
        self.attempt(again, work).await.map_err(|fault| fault.into_error(op, path))
    }

    /// As [`Site::run`], with the fault as it is.
    pub(super) async fn attempt<T, W>(self: &Arc<Self>, again: Again, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: for<'w> Fn(&'w mut Wire) -> Doing<'w, Result<T, Fault>> + Clone + Send + 'static,
    {
        let (mut failures, mut stale) = (0, 0);
        loop {
            let Done { outcome, was_idle } = self.once(again, work.clone()).await;
            let may_redo = again == Again::Yes || outcome.is_none();
            let fault = match outcome {
                Some(Ok(done)) => {
                    self.budget.earn();
                    return Ok(done);
                }
                Some(Err(fault)) => fault,
                None => vanished(),
            };
            // The connection had died in the pool: that is nobody's failure.
            if may_redo && fault.may_pass() && was_idle && fault.is_lost() && stale < self.limit {
                stale += 1;
                continue;
            }
            self.note_failure(&fault);
            if !may_redo || !fault.may_pass() {
                return Err(fault);
            }
            failures += 1;
            match self.budget.spend(failures).filter(|_| failures <= RETRIES) {
                Some(delay) => sleep(delay).await,
                None => return Err(fault),
            }
        }
    }

    async fn once<T, W>(self: &Arc<Self>, again: Again, work: W) -> Done<T>
    where
        T: Send + 'static,
        W: for<'w> Fn(&'w mut Wire) -> Doing<'w, Result<T, Fault>> + Send + 'static,
    {
        let (answer, heard) = oneshot::channel();
        let work: Work = Box::new(move |wire| {
            Box::pin(async move {
                // Nobody may listen any more.
                let _ = answer.send(work(wire).await);
            })
        });
        match self.order(again, work).await {
            Ok(was_idle) => Done { outcome: heard.await.ok(), was_idle },
            Err(fault) => Done { outcome: Some(Err(fault)), was_idle: false },
        }
    }

    /// Hands `work` to a connection. Tells whether that one had been idle.
    ///
    /// # Errors
    /// Where none can be had; then nothing of the work was done. A dropped future leaves nothing behind.
    pub(super) async fn order(self: &Arc<Self>, again: Again, work: Work) -> Result<bool, Fault> {
        let right = self.right().await?;
        self.dialled.traffic.count_request();
        let mut order = Order { work, right };
        while let Some(worker) = self.next_idle() {
            if again == Again::No && worker.idle_for() > FRESH {
                order.work = checked(order.work);
            }
            match worker.take(order).await {
                Ok(()) => return Ok(true),
                Err(refused) => order = refused,
            }
        }
        let Order { work, mut right } = order;
        loop {
            match Wire::connect(Arc::clone(&self.dialled)).await {
                Ok(wire) => {
                    Worker::start(wire, Arc::downgrade(self), Order { work, right });
                    return Ok(false);
                }
                // It has enough of us: one connection less, where there is another one to wait for.
                Err(Fault::Lost(lost)) if lost.kind == ErrorKind::Busy && self.hold() => {
                    hold_back(right, FEWER, self);
                    right = self.right().await?;
                    if let Some(worker) = self.next_idle() {
                        match worker.take(Order { work, right }).await {
                            Ok(()) => return Ok(true),
                            Err(_) => return Err(Fault::Lost(lost)),
                        }
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The right to one more connection.
    async fn right(&self) -> Result<Connection, Fault> {
        let limit = self.dialled.deadlines.first_byte;
        timeout(limit, self.connections.acquire()).await.map_err(|_| {
            let detail = format!("all connections to the site are in use for {limit:?}");
            Error::new(ErrorKind::Busy, "connect", &VPath::root()).with_detail(detail).into()
        })
    }

    /// A worker has nothing to do.
    pub(super) fn rest(&self, worker: Worker) {
        self.idle().push(worker);
    }

    fn next_idle(&self) -> Option<Worker> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find(Worker::is_there)
    }

    /// Counts one connection that is held back. One at least is left.
    fn hold(&self) -> bool {
        let is_possible = |held: usize| (held + 1 < self.limit).then_some(held + 1);
        self.held_back.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_possible).is_ok()
    }

    /// One connection is not held back any more.
    pub(super) fn release(&self) {
        self.held_back.fetch_sub(1, Ordering::Relaxed);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work that is not begun on a connection that has gone.
fn checked(work: Work) -> Work {
    Box::new(move |wire| {
        Box::pin(async move {
            // Where this fails the worker ends, and the work's caller hears that nothing was done.
            if wire.ask("NOOP", None).await.is_ok() {
                work(wire).await;
            }
        })
    })
}

fn vanished() -> Fault {
    Fault::lost(ErrorKind::Unavailable, "the connection to the site has gone")
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("address", &self.dialled.address).finish_non_exhaustive()
    }
}

impl fmt::Debug for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialled").field("address", &self.address).finish_non_exhaustive()
    }
}

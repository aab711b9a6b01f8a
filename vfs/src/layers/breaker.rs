//! [`Breaker`]: stops asking a source that does not answer, and finds out when it is back.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::around::{Around, Call, Pace};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::file_system::Availability;
use crate::path::VPath;

/// No round.
const UNREST: u64 = u64::MAX;

/// When a source counts as down, and how often it is tried then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Failures in a row. Default 3.
    pub failures: u32,
    /// Rest before the first try; each failed try doubles it. Default 5 s.
    pub first_rest: Duration,
    /// The longest rest. Default 5 minutes.
    pub longest_rest: Duration,
}

/// Fails calls at once while their source is down.
///
/// - Closed: calls pass. `failures` of them in a row open it. A failure is `Unavailable`, or `TimedOut` on a path that
///   has not counted yet: one file that hangs does not take the others with it. `Busy` says nothing; every other end is
///   an answer, also one that cannot be used, and starts the count anew.
/// - Open: calls are `Unavailable` with [`Retry::After`] and the last trouble as their source.
/// - After the rest one call is let through as a probe, and the others still fail. Its answer closes the breaker, its
///   failure doubles the rest; dropped, it hands its turn to the next call. A path that had timed out probes badly: while
///   it hangs a call on another path is let through as well, and takes the probe's place.
///
/// Calls that began before the breaker changed do not count any more. A file's own producers are not counted: the next
/// opening meets the same trouble. A probe takes as long as the tree below lets it, so a timeout belongs below.
#[derive(Debug)]
pub struct Breaker {
    options: BreakerOptions,
    state: Mutex<State>,
    /// The round, while the breaker is closed and the last call was answered; else [`UNREST`]. Written under the lock. A
    /// call that finds it and is answered takes no lock: with a lock the calls of all threads would meet there.
    calm: AtomicU64,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Counts the changes of phase, so that a call knows whether it still speaks of the present.
    round: u64,
    answered: bool,
}

#[derive(Debug)]
enum Phase {
    Closed { failures: u32, hung: Hung },
    Open { until: Instant, outage: Outage },
    Probing { outage: Outage, probe: Probe },
}

/// The paths that have timed out since the last answer: at most as many as failures are counted.
type Hung = Vec<VPath>;

/// What is known of a source that is down.
#[derive(Clone, Debug)]
struct Outage {
    rest: Duration,
    trouble: Error,
    hung: Hung,
}

/// What a probe can find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// How the source fares.
    Telling,
    /// Little where it fails: its path had timed out before.
    Doubtful,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(options: BreakerOptions) -> Self {
        let state = State { phase: Phase::closed(), round: 0, answered: false };
        Self { options, state: Mutex::new(state), calm: AtomicU64::new(UNREST) }
    }

    /// How the source fares, by what was seen last. Asks nobody.
    pub fn availability(&self) -> Availability {
        let state = self.state();
        match state.phase {
            Phase::Closed { .. } if state.answered => Availability::Ok,
            Phase::Closed { .. } => Availability::Unknown,
            Phase::Open { .. } | Phase::Probing { .. } => Availability::Unavailable,
        }
    }

    /// Lets a call through or says why not.
    fn admit<'a>(&'a self, call: Call<'a>) -> Result<Pass<'a>> {
        let round = self.calm.load(Ordering::Acquire);
        if round != UNREST {
            return Ok(self.pass(round, call, false));
        }
        let mut state = self.state();
        let now = Instant::now();
        let (wait, outage) = match &state.phase {
            Phase::Closed { .. } => return Ok(self.pass(state.round, call, false)),
            Phase::Open { until, outage } => (until.saturating_duration_since(now), outage),
            Phase::Probing { outage, probe: Probe::Doubtful }
                if outage.probe_on(call.path) == Probe::Telling =>
            {
                (Duration::ZERO, outage)
            }
            Phase::Probing { outage, .. } => (self.options.first_rest, outage),
        };
        if wait.is_zero() && call.pace == Pace::Prompt {
            let (outage, probe) = (outage.clone(), outage.probe_on(call.path));
            state.enter(Phase::Probing { outage, probe });
            return Ok(self.pass(state.round, call, true));
        }
        let wait = wait.max(Duration::from_secs(1));
        let detail = format!("the source failed before and is tried again in {} s", wait.as_secs());
        Err(Error::new(ErrorKind::Unavailable, call.op, call.path)
            .with_detail(detail)
            .with_source(outage.trouble.clone())
            .with_retry(Retry::After(wait)))
    }

    fn pass<'a>(&'a self, round: u64, call: Call<'a>, probe: bool) -> Pass<'a> {
        Pass { breaker: self, round, path: call.path, probe }
    }

    /// Takes in how a call ended.
    fn learn(&self, pass: &Pass<'_>, verdict: Verdict) {
        if matches!(verdict, Verdict::Answered) && self.calm.load(Ordering::Acquire) == pass.round {
            return;
        }
        let mut state = self.state();
        if pass.round != state.round {
            return;
        }
        let state = &mut *state;
        match (verdict, &mut state.phase) {
            (Verdict::Answered, Phase::Closed { failures, hung }) => {
                *failures = 0;
                hung.clear();
                state.answered = true;
            }
            (Verdict::Answered, Phase::Probing { .. }) => {
                state.answered = true;
                state.enter(Phase::closed());
            }
            (Verdict::Unreached(trouble), Phase::Closed { .. }) => self.count(state, trouble),
            (Verdict::Hung(trouble), Phase::Closed { hung, .. }) => {
                if !hung.contains(pass.path) {
                    hung.push(pass.path.clone());
                    self.count(state, trouble);
                }
            }
            (Verdict::Unreached(trouble), Phase::Probing { outage, .. })
            | (Verdict::Hung(trouble), Phase::Probing { outage, probe: Probe::Telling }) => {
                let rest = (outage.rest * 2).min(self.options.longest_rest);
                let outage = Outage { rest, trouble, hung: std::mem::take(&mut outage.hung) };
                state.open(outage);
            }
            (Verdict::Hung(_), Phase::Probing { outage, .. }) => {
                let outage = outage.clone();
                state.open(outage);
            }
            (Verdict::Nothing, Phase::Probing { outage, .. }) => {
                let outage = outage.clone();
                state.enter(Phase::Open { until: Instant::now(), outage });
            }
            (Verdict::Nothing, Phase::Closed { .. }) | (_, Phase::Open { .. }) => {}
        }
        let is_calm = state.answered && matches!(state.phase, Phase::Closed { failures: 0, .. });
        self.calm.store(if is_calm { state.round } else { UNREST }, Ordering::Release);
    }

    /// Counts a failure of a source that counts as up.
    fn count(&self, state: &mut State, trouble: Error) {
        let Phase::Closed { failures, hung } = &mut state.phase else { return };
        *failures += 1;
        if *failures >= self.options.failures {
            let hung = std::mem::take(hung);
            state.open(Outage { rest: self.options.first_rest, trouble, hung });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(BreakerOptions::default())
    }
}

impl Around for Breaker {
    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let pass = self.admit(call)?;
        let result = work.await;
        pass.end(Verdict::of(&result));
        result
    }
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self { failures: 3, first_rest: Duration::from_secs(5), longest_rest: Duration::from_secs(300) }
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.round += 1;
    }

    fn open(&mut self, outage: Outage) {
        self.enter(Phase::Open { until: Instant::now() + outage.rest, outage });
    }
}

impl Phase {
    fn closed() -> Self {
        Self::Closed { failures: 0, hung: Hung::new() }
    }
}

impl Outage {
    /// What a call on `path` would find out.
    fn probe_on(&self, path: &VPath) -> Probe {
        if self.hung.contains(path) { Probe::Doubtful } else { Probe::Telling }
    }
}

/// What a call's end says about its source.
enum Verdict {
    Answered,
    /// The source is not there.
    Unreached(Error),
    /// It did not answer in time, on this path.
    Hung(Error),
    Nothing,
}

impl Verdict {
    fn of<T>(result: &Result<T>) -> Self {
        match result {
            Err(error) => match error.kind() {
                ErrorKind::Unavailable => Self::Unreached(error.clone()),
                ErrorKind::TimedOut => Self::Hung(error.clone()),
                ErrorKind::Busy => Self::Nothing,
                _ => Self::Answered,
            },
            Ok(_) => Self::Answered,
        }
    }
}

/// A call that was let through.
struct Pass<'a> {
    breaker: &'a Breaker,
    round: u64,
    path: &'a VPath,
    probe: bool,
}

impl Pass<'_> {
    fn end(mut self, verdict: Verdict) {
        self.probe = false;
        self.breaker.learn(&self, verdict);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // A probe whose caller went away: the next call takes its turn.
        if self.probe {
            self.breaker.learn(self, Verdict::Nothing);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fake::{Fake, path};
    use crate::file_system::FileSystem;
    use crate::layers::Layered;
    use crate::options::StatOptions;

    fn broken() -> (Fake, Arc<Breaker>, Layered<Breaker>) {
        let fake = Fake::with(&[("/f", "")]);
        let breaker = Arc::new(Breaker::default());
        let tree = Layered::new(fake.clone().shared(), Arc::clone(&breaker));
        (fake, breaker, tree)
    }

    async fn ask(tree: &Layered<Breaker>) -> Option<ErrorKind> {
        tree.metadata(&path("/f"), &StatOptions::default()).await.err().map(|error| error.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_and_an_answered_probe_closes_it() {
        let (fake, breaker, tree) = broken();
        assert_eq!(breaker.availability(), Availability::Unknown);
        assert_eq!(ask(&tree).await, None);
        assert_eq!(breaker.availability(), Availability::Ok);

        fake.fail(Some(ErrorKind::Unavailable));
        ask(&tree).await;
        ask(&tree).await;
        fake.fail(Some(ErrorKind::NotFound));
        ask(&tree).await;
        fake.fail(Some(ErrorKind::Unavailable));
        ask(&tree).await;
        ask(&tree).await;
        assert_eq!(breaker.availability(), Availability::Ok, "an answer starts the count anew");
        ask(&tree).await;
        assert_eq!(breaker.availability(), Availability::Unavailable);

        let asked = fake.calls();
        let error = tree.metadata(&path("/f"), &StatOptions::default()).await.unwrap_err();
        assert_eq!(error.retry(), Retry::After(Duration::from_secs(5)));
        assert_eq!((error.kind(), fake.calls()), (ErrorKind::Unavailable, asked), "it fails without asking");

        fake.fail(None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(breaker.availability(), Availability::Unavailable);
        assert_eq!(ask(&tree).await, None);
        assert_eq!(breaker.availability(), Availability::Ok);
    }

    #[tokio::test(start_paused = true)]
    async fn each_failed_probe_doubles_the_rest_up_to_its_bound() {
        let (fake, _, tree) = broken();
        fake.fail(Some(ErrorKind::Unavailable));
        for _ in 0..3 {
            ask(&tree).await;
        }
        for rest in [5, 10, 20, 40, 80, 160, 300, 300] {
            tokio::time::advance(Duration::from_secs(rest) - Duration::from_millis(1)).await;
            let asked = fake.calls();
            ask(&tree).await;
            assert_eq!(fake.calls(), asked, "before {rest} s it is not asked");
            tokio::time::advance(Duration::from_millis(1)).await;
            ask(&tree).await;
            assert_eq!(fake.calls(), asked + 1, "after {rest} s it is");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_goes_at_a_time_and_a_dropped_one_hands_its_turn_on() {
        let (fake, breaker, tree) = broken();
        fake.fail(Some(ErrorKind::Unavailable));
        for _ in 0..3 {
            ask(&tree).await;
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        fake.fail(None);
        fake.hang();
        let tree = Arc::new(tree);
        let probe = tokio::spawn({
            let tree = Arc::clone(&tree);
            async move { ask(&tree).await }
        });
        while fake.calls() < 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(&tree).await, Some(ErrorKind::Unavailable), "a second call is no probe");
        assert_eq!(fake.calls(), 4);
        probe.abort();
        assert!(probe.await.unwrap_err().is_cancelled());
        fake.wake();
        assert_eq!(ask(&tree).await, None);
        assert_eq!(breaker.availability(), Availability::Ok);
    }

    #[tokio::test(start_paused = true)]
    async fn what_began_before_a_change_does_not_count_after_it() {
        let (fake, breaker, tree) = broken();
        let tree = Arc::new(tree);
        fake.hang();
        let late: Vec<_> = (0..5)
            .map(|_| {
                let tree = Arc::clone(&tree);
                tokio::spawn(async move { ask(&tree).await })
            })
            .collect();
        while fake.calls() < 5 {
            tokio::task::yield_now().await;
        }
        let call = |kind| {
            let root = VPath::root();
            let pass = breaker.admit(Call { op: "open", path: &root, pace: Pace::Prompt }).unwrap();
            pass.end(Verdict::of(&Err::<(), _>(Error::new(kind, "open", &VPath::root()))));
        };
        for _ in 0..3 {
            call(ErrorKind::Unavailable);
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        call(ErrorKind::NotFound);
        assert_eq!(breaker.availability(), Availability::Ok);
        fake.fail(Some(ErrorKind::TimedOut));
        fake.wake();
        for call in late {
            assert_eq!(call.await.unwrap(), Some(ErrorKind::TimedOut));
        }
        assert_eq!(breaker.availability(), Availability::Ok);
    }

    /// A call on `at` that ends like that; false where it was not let through.
    fn ends(breaker: &Breaker, at: &str, kind: Option<ErrorKind>) -> bool {
        let path = path(at);
        let Ok(pass) = breaker.admit(Call { op: "open", path: &path, pace: Pace::Prompt }) else {
            return false;
        };
        pass.end(Verdict::of(&match kind {
            Some(kind) => Err(Error::new(kind, "open", &path)),
            None => Ok(()),
        }));
        true
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_hangs_or_a_page_that_fails_says_nothing_about_the_others() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            assert!(ends(&breaker, "/hung", Some(ErrorKind::TimedOut)));
        }
        for page in 0..10 {
            assert!(ends(&breaker, &format!("/cgi/{page}"), Some(ErrorKind::BadAnswer)));
        }
        assert_eq!(breaker.availability(), Availability::Ok);
        for at in ["/a", "/b", "/c"] {
            assert!(ends(&breaker, at, Some(ErrorKind::TimedOut)));
        }
        assert_eq!(breaker.availability(), Availability::Unavailable, "all that was asked for hangs");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_what_hangs_does_not_keep_the_others_out() {
        let breaker = Breaker::default();
        let hung = ["/a", "/b", "/c"].map(path);
        for at in ["/a", "/b", "/c"] {
            ends(&breaker, at, Some(ErrorKind::TimedOut));
        }
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(5)).await;
            assert!(ends(&breaker, "/a", Some(ErrorKind::TimedOut)), "the rest does not grow by it");
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        let call = Call { op: "open", path: &hung[1], pace: Pace::Prompt };
        let doubtful = breaker.admit(call).unwrap();
        assert!(!ends(&breaker, "/c", None), "one of them at a time");
        assert!(ends(&breaker, "/good", None));
        assert_eq!(breaker.availability(), Availability::Ok);
        doubtful.end(Verdict::Hung(Error::new(ErrorKind::TimedOut, "open", &hung[1])));
        assert_eq!(breaker.availability(), Availability::Ok, "what began before does not count");
    }
}

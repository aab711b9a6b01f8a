//! How a case says what it expected.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::error::{Error, ErrorKind, Result};

/// What a case expects of a call. Panics with the behaviour that is broken.
pub(super) trait Expect<T> {
    /// It succeeds.
    fn must(self, behaviour: impl Display) -> T;

    /// It fails with `kind`.
    fn must_be(self, kind: ErrorKind, behaviour: impl Display) -> Error;

    /// It fails with one of `kinds`, where the sources differ for good reasons.
    fn must_be_one_of(self, kinds: &[ErrorKind], behaviour: impl Display) -> Error;
}

impl<T> Expect<T> for Result<T> {
    #[track_caller]
    fn must(self, behaviour: impl Display) -> T {
        self.unwrap_or_else(|error| panic!("{behaviour}; it failed: {error:?}"))
    }

    #[track_caller]
    fn must_be(self, kind: ErrorKind, behaviour: impl Display) -> Error {
        self.must_be_one_of(&[kind], behaviour)
    }

    #[track_caller]
    fn must_be_one_of(self, kinds: &[ErrorKind], behaviour: impl Display) -> Error {
        match self {
            Err(error) if kinds.contains(&error.kind()) => error,
            Err(error) => panic!("{behaviour}: {kinds:?}; it failed with {:?}: {error:?}", error.kind()),
            Ok(_) => panic!("{behaviour}: {kinds:?}; it succeeded"),
        }
    }
}

/// Polls `future` once and drops it: what a caller that goes away does.
pub(super) async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

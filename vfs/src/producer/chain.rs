//! [`chain`]: several producers, one after the other.

use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Poll, ready};

use super::{Chunk, Hint, Producer, Readiness};
use crate::error::Result;

/// The chunks of all `parts`, strictly first in, first out. A part is not asked before the one ahead of it has ended, and
/// is dropped as soon as it ends. The error of one part ends the chain and drops the rest.
pub fn chain(parts: impl IntoIterator<Item = Box<dyn Producer>>) -> Chain {
    Chain { parts: parts.into_iter().collect() }
}

/// Made by [`chain`].
pub struct Chain {
    parts: VecDeque<Box<dyn Producer>>,
}

impl Producer for Chain {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        while let Some(part) = self.parts.front_mut() {
            match ready!(part.poll_more(cx)) {
                Some(Ok(chunk)) => return Poll::Ready(Some(Ok(chunk))),
                Some(Err(error)) => {
                    self.parts.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                None => drop(self.parts.pop_front()),
            }
        }
        Poll::Ready(None)
    }

    fn hint(&self) -> Hint {
        let remaining = self.parts.iter().map(|part| part.hint().remaining).sum();
        Hint { readiness: self.readiness(), remaining }
    }
}

impl Chain {
    /// A part that may be at its end says nothing about the part behind it, which is then asked in the same poll.
    fn readiness(&self) -> Readiness {
        let mut may_be_behind = true;
        for part in &self.parts {
            let hint = part.hint();
            match (hint.readiness, hint.remaining) {
                (Readiness::Now, Some(0)) => {}
                (Readiness::Now, Some(_)) => return Readiness::Now,
                (Readiness::Now, None) => may_be_behind = false,
                (Readiness::Later, _) if may_be_behind => return Readiness::Later,
                (Readiness::Later | Readiness::Unknown, _) => return Readiness::Unknown,
            }
        }
        Readiness::Now
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("parts", &self.parts.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::testing::{CONTENT, Remote, Script, Step, drain, keeps_the_contract, poll_with};
    use super::super::{ProducerExt, once};
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn keeps_the_contract_of_its_parts() {
        keeps_the_contract(|source| chain([source.boxed()])).await;
        keeps_the_contract(|source| chain([once("").boxed(), source.boxed(), once("").boxed()])).await;
    }

    #[tokio::test]
    async fn parts_come_first_in_first_out() {
        let parts = ["first ", "", "second ", "third"].map(|part| once(part).boxed());
        assert_eq!(drain(chain(parts)).await.bytes, b"first second third");
        assert!(drain(chain([])).await.lengths.is_empty());
    }

    #[tokio::test]
    async fn a_part_is_asked_when_its_turn_comes_and_dropped_when_it_ends() {
        let (parts, remotes): (Vec<_>, Vec<Remote>) = (0..3)
            .map(|_| Script::new([Step::Chunk(CONTENT.into())]))
            .map(|(part, remote)| (part.boxed(), remote))
            .unzip();
        let mut chain = chain(parts);
        for turn in 0..3 {
            assert!(poll_with(&mut chain, Waker::noop()).is_ready());
            for (at, remote) in remotes.iter().enumerate() {
                assert_eq!(remote.is_dropped(), at < turn, "part {at} in turn {turn}");
                assert_eq!(remote.polls() > 0, at <= turn, "part {at} in turn {turn}");
            }
        }
        assert!(drain(chain).await.lengths.is_empty());
    }

    #[tokio::test]
    async fn an_error_ends_the_chain_and_drops_the_rest() {
        let (failing, _) = Script::new([Step::Chunk(CONTENT.into()), Step::Fail(ErrorKind::Busy)]);
        let (rest, remote) = Script::new([Step::Chunk(CONTENT.into())]);
        let drained = drain(chain([failing.boxed(), rest.boxed()])).await;
        assert_eq!((drained.bytes, drained.error.unwrap().kind()), (CONTENT.to_vec(), ErrorKind::Busy));
        assert!(remote.is_dropped());
        assert_eq!(remote.polls(), 0);
    }

    #[test]
    fn readiness_looks_past_what_has_ended_and_no_further() {
        let ended = || once("").boxed();
        let now = || once("x").boxed();
        let later = || Script::new([Step::Wait]).0.boxed();
        let now_or_ended = || super::super::buffers(["x"]).boxed();
        for (parts, readiness) in [
            (vec![], Readiness::Now),
            (vec![ended(), now(), later()], Readiness::Now),
            (vec![ended(), later()], Readiness::Later),
            (vec![now_or_ended(), later()], Readiness::Unknown),
            (vec![now_or_ended(), ended()], Readiness::Now),
        ] {
            assert_eq!(chain(parts).hint().readiness, readiness);
        }
    }
}

//! [`MapErr`]: changes the error that a producer may end with.

use std::fmt;
use std::task::{Context, Poll};

use super::{Chunk, Hint, Producer};
use crate::error::{Error, Result};

/// Passes its source's chunks, and its error through a function: how the path of the namespace comes into the errors of
/// a producer that does not know it. Has no limits and no errors of its own.
pub struct MapErr<P, F> {
    inner: P,
    map: F,
}

impl<P, F> MapErr<P, F> {
    pub(super) fn new(inner: P, map: F) -> Self {
        Self { inner, map }
    }
}

impl<P: Producer, F: FnMut(Error) -> Error + Send> Producer for MapErr<P, F> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        self.inner.poll_more(cx).map_err(&mut self.map)
    }

    fn hint(&self) -> Hint {
        self.inner.hint()
    }
}

impl<P, F> fmt::Debug for MapErr<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapErr").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ProducerExt;
    use super::super::testing::{CONTENT, Script, Step, drain, keeps_the_contract};
    use crate::error::ErrorKind;
    use crate::path::VPath;

    #[tokio::test]
    async fn keeps_the_contract_of_its_source() {
        keeps_the_contract(|source| source.map_err(|error| error)).await;
    }

    #[tokio::test]
    async fn an_error_gets_its_path() {
        let mount = VPath::parse("/pub/a.txt").unwrap();
        let (source, _) = Script::new([Step::Chunk(CONTENT.into()), Step::Fail(ErrorKind::Busy)]);
        let drained = drain(source.map_err(|error| error.readdressed(|_| mount.clone()))).await;
        assert_eq!(drained.bytes, CONTENT);
        assert_eq!(*drained.error.unwrap().path(), mount);
    }
}

//! [`Upload`]: a file that is being written.
//!
//! What is written is collected and sent a piece at a time, the first by STOR, the others by APPE, so that a writer who
//! takes its time holds no connection. An atomic one goes to a hidden name beside the target and is renamed at the end.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::changes::Changes;
use super::data::Use;
use super::error::Fault;
use super::site::{Again, Site};
use super::stat::stat;
use super::wire::Wire;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::metadata::{FileType, Identity, Metadata};
use crate::path::VPath;

/// What is collected before it is sent.
const PIECE_BYTES: usize = 4 << 20;

/// Names of unfinished uploads: a dot, 16 hexadecimal digits, and this.
const PART_SUFFIX: &[u8] = b".vfsd-upload";

const PART_DIGITS: usize = 16;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// At its end, under its name.
    Append,
    /// From its start, under its name, which is there and empty.
    InPlace,
    /// As a whole; `exclusive`: where nothing is only.
    Atomic { exclusive: bool },
}

/// An open file that is written.
pub(super) struct Upload {
    inner: Arc<Inner>,
}

struct Inner {
    site: Arc<Site>,
    changes: Arc<Changes>,
    path: VPath,
    /// The target on the wire.
    target: Vec<u8>,
    /// Where the bytes go until they are all there.
    place: Vec<u8>,
    mode: Mode,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The next offset.
    next: u64,
    collected: BytesMut,
    /// Something stands at `place`.
    has_begun: bool,
    ended: Option<Result<()>>,
}

/// True for the name of an unfinished upload, which is not listed.
pub(super) fn is_part(name: &[u8]) -> bool {
    let digits = name.strip_prefix(b".").and_then(|rest| rest.strip_suffix(PART_SUFFIX));
    digits.is_some_and(|digits| digits.len() == PART_DIGITS && digits.iter().all(u8::is_ascii_hexdigit))
}

impl Upload {
    /// A file of which nothing is written yet.
    pub(super) fn new(
        site: Arc<Site>,
        changes: Arc<Changes>,
        path: &VPath,
        target: Vec<u8>,
        mode: Mode,
    ) -> Self {
        let place = match mode {
            Mode::Atomic { .. } => beside(&target),
            Mode::Append | Mode::InPlace => target.clone(),
        };
        let state = State { has_begun: mode == Mode::InPlace || mode == Mode::Append, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        Self { inner: Arc::new(Inner { site, changes, path: path.clone(), target, place, mode, state }) }
    }

    /// Does `work` to its end, whoever goes.
    async fn detached<F>(&self, work: impl FnOnce(Arc<Inner>, OwnedMutexGuard<State>) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let state = Arc::clone(&self.inner.state).lock_owned().await;
        let done = tokio::spawn(work(Arc::clone(&self.inner), state)).await;
        done.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "write_at", &VPath::root())))
    }
}

#[async_trait]
impl File for Upload {
    async fn metadata(&self) -> Result<Metadata> {
        let mut metadata = Metadata::new(FileType::File);
        if self.inner.mode != Mode::Append {
            metadata.len = Some(self.inner.state.lock().await.next);
        }
        Ok(metadata)
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    async fn read_at(&self, _offset: u64, _max: usize) -> Result<Bytes> {
        Err(refusal(ErrorKind::InvalidInput, "read_at", "the file was opened for writing"))
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        {
            let mut state = self.inner.state.lock().await;
            if state.ended.is_some() {
                return Err(refusal(ErrorKind::InvalidInput, "write_at", "the file was finished"));
            }
            if self.inner.mode != Mode::Append && offset != state.next {
                let detail = "an FTP site takes a file in order: the next offset only";
                return Err(refusal(ErrorKind::Unsupported, "write_at", detail));
            }
            state.next += data.len() as u64;
            state.collected.extend_from_slice(&data);
            if state.collected.len() < PIECE_BYTES {
                return Ok(());
            }
        }
        self.detached(|inner, mut state| async move {
            if state.collected.len() < PIECE_BYTES {
                return Ok(());
            }
            let sent = inner.send(&mut state).await;
            if let Err(error) = &sent {
                state.ended = Some(Err(error.clone()));
                inner.remove_part(&state).await;
            }
            sent
        })
        .await
    }

    async fn finish(&self) -> Result<()> {
        self.detached(|inner, mut state| async move {
            if state.ended.is_none() {
                let ended = inner.finish(&mut state).await;
                if ended.is_err() {
                    inner.remove_part(&state).await;
                }
                state.ended = Some(ended);
            }
            state.ended.clone().unwrap_or(Ok(()))
        })
        .await
    }
}

impl Inner {
    /// Sends what is collected.
    async fn send(&self, state: &mut State) -> Result<()> {
        let what = if state.has_begun { Use::Append } else { Use::Store };
        let (place, bytes) = (self.place.clone(), state.collected.split().freeze());
        let at = (self.mode != Mode::Append).then(|| state.next - bytes.len() as u64);
        state.has_begun = true;
        let root = VPath::root();
        let sent = self.site.run("write_at", &root, Again::No, move |wire| {
            let (place, bytes) = (place.clone(), bytes.clone());
            Box::pin(async move { store(wire, &place, what, bytes, at).await })
        });
        let sent = sent.await;
        self.changes.note(&self.path);
        sent
    }

    async fn finish(&self, state: &mut State) -> Result<()> {
        if !state.has_begun || !state.collected.is_empty() {
            self.send(state).await?;
        }
        let Mode::Atomic { exclusive } = self.mode else { return Ok(()) };
        // Of those that publish through this mount only where nothing is, one wins.
        let _turn = if exclusive { Some(self.site.exclusive.lock().await) } else { None };
        let (place, target) = (self.place.clone(), self.target.clone());
        let root = VPath::root();
        let published = self.site.run("finish", &root, Again::No, move |wire| {
            let (place, target) = (place.clone(), target.clone());
            Box::pin(async move { publish(wire, &place, &target, exclusive).await })
        });
        published.await?;
        self.changes.note(&self.path);
        Ok(())
    }

    /// Removes what an atomic upload left. What cannot be removed stays: there is nobody to tell.
    async fn remove_part(&self, state: &State) {
        if !state.has_begun || !matches!(self.mode, Mode::Atomic { .. }) {
            return;
        }
        let place = self.place.clone();
        let removed = self.site.attempt(Again::Yes, move |wire| {
            let place = place.clone();
            Box::pin(async move { wire.ask_of("DELE", &place).await })
        });
        let _ = removed.await;
    }
}

impl Drop for Upload {
    /// What was written in place stays; an atomic file vanishes.
    fn drop(&mut self) {
        let inner = Arc::clone(&self.inner);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let mut state = inner.state.lock().await;
            if state.ended.is_some() {
                return;
            }
            state.ended = Some(Ok(()));
            match inner.mode {
                Mode::Atomic { .. } => inner.remove_part(&state).await,
                Mode::Append | Mode::InPlace if state.collected.is_empty() => {}
                Mode::Append | Mode::InPlace => {
                    // A drop tells nobody what failed; `finish` would have.
                    let _ = inner.send(&mut state).await;
                }
            }
        });
    }
}

/// Sends `bytes` to `place`, all of them. `at`: how long that is before, where somebody knows.
pub(super) async fn store(
    wire: &mut Wire,
    place: &[u8],
    what: Use,
    bytes: Bytes,
    at: Option<u64>,
) -> Result<(), Fault> {
    let stored = store_once(wire, place, what, bytes.clone()).await;
    let Err(fault) = &stored else { return stored };
    // What replaces the whole may be sent again, whatever came of it; what is added, where nothing of it came.
    let is_doubted = fault.is_break() && (what == Use::Store || at.is_some());
    if is_doubted {
        wire.doubt_session();
    }
    if !wire.renew().await? {
        return stored;
    }
    if is_doubted && what == Use::Append && stat(wire, place, true).await?.len != at {
        return stored;
    }
    store_once(wire, place, what, bytes).await
}

async fn store_once(wire: &mut Wire, place: &[u8], what: Use, bytes: Bytes) -> Result<(), Fault> {
    let mut data = wire.open(what, place, 0).await?;
    let stall = wire.stall();
    match data.send(bytes, stall).await {
        Ok(()) => wire.finish(data).await,
        Err(fault) => Err(wire.leave(data, fault).await),
    }
}

async fn publish(wire: &mut Wire, place: &[u8], target: &[u8], exclusive: bool) -> Result<(), Fault> {
    if exclusive && stat(wire, target, false).await.is_ok() {
        let error = Error::new(ErrorKind::AlreadyExists, "finish", &VPath::root());
        return Err(error.with_detail("somebody else made it meanwhile").into());
    }
    rename(wire, place, target).await
}

/// RNFR and RNTO (RFC 959 §4.1.3), in one go.
pub(super) async fn rename(wire: &mut Wire, from: &[u8], to: &[u8]) -> Result<(), Fault> {
    wire.expect_of("RNFR", from, &[350]).await?;
    wire.expect_of("RNTO", to, &[200, 250]).await.map(drop)
}

/// A name of its own in the target's folder.
fn beside(target: &[u8]) -> Vec<u8> {
    let folder = target.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let mut place = target[..folder].to_vec();
    // The state is random: no two uploads have one name.
    let number = RandomState::new().hash_one(target);
    place.extend_from_slice(format!(".{number:0PART_DIGITS$x}").as_bytes());
    place.extend_from_slice(PART_SUFFIX);
    place
}

fn refusal(kind: ErrorKind, op: &'static str, detail: &'static str) -> Error {
    Error::new(kind, op, &VPath::root()).with_detail(detail)
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("path", &self.inner.path)
            .field("mode", &self.inner.mode)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_known_by_its_name_and_lies_beside_its_target() {
        let place = beside(b"a/b/c");
        assert!(place.starts_with(b"a/b/.") && is_part(&place[4..]), "{place:?}");
        assert!(is_part(&beside(b"c")));
        assert_ne!(beside(b"c"), beside(b"c"));
        for name in [&b".x.vfsd-upload"[..], b"0123456789abcdef.vfsd-upload", b".0123456789abcdef"] {
            assert!(!is_part(name));
        }
    }
}

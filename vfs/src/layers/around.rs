//! [`Around`] and [`Layered`]: one tree for every layer that wraps single calls, so that delegation is written once.
//!
//! A call is one method of the tree, one method of an open file, or one batch of a listing.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::error::{ErrorKind, Result};
use crate::file_system::{Capabilities, Describe, DirEntry, DirStream, File, FileSystem, SeekCost};
use crate::metadata::{Identity, Metadata};
use crate::options::{
    ByteRange, LinkTarget, ListOptions, Lock, LockWait, OpenOptions, RenameOptions, SetAttributes,
    StatOptions,
};
use crate::path::VPath;
use crate::producer::Producer;

/// What is being asked, for messages and for those who treat calls differently.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The method's name.
    pub op: &'static str,
    /// What it is about, as the inner tree addresses it.
    pub path: &'a VPath,
    /// How long it may take by its nature.
    pub pace: Pace,
}

/// How long a call may take by its nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The source answers when it can: almost every call.
    Prompt,
    /// The work grows with what was written before: `sync` and `finish`.
    Settling,
    /// It waits for other callers because its own asked for that: a lock. Neither deadlines nor permits fit it.
    Patient,
}

/// Something that goes around single calls.
pub trait Around: fmt::Debug + Send + Sync + 'static {
    /// Carries out `work`, or refuses without polling it. Dropping the future drops `work`.
    fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send;

    /// Goes around an open file's own producer. Default: it passes as it is, spans untouched.
    fn producer(&self, producer: Box<dyn Producer>) -> Box<dyn Producer> {
        producer
    }
}

/// What is shared goes around calls as it does itself.
impl<A: Around> Around for Arc<A> {
    fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send {
        (**self).around(call, work)
    }

    fn producer(&self, producer: Box<dyn Producer>) -> Box<dyn Producer> {
        (**self).producer(producer)
    }
}

/// One around the other: the first is the outer one. A call through both is one future and one open file, where a tree
/// around a tree makes two of each.
impl<A: Around, B: Around> Around for (A, B) {
    fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send {
        self.0.around(call, self.1.around(call, work))
    }

    fn producer(&self, producer: Box<dyn Producer>) -> Box<dyn Producer> {
        self.0.producer(self.1.producer(producer))
    }
}

/// A tree whose every call goes through `A`, those of its open files and listings included.
#[derive(Debug)]
pub struct Layered<A> {
    inner: Arc<dyn FileSystem>,
    around: Arc<A>,
}

impl<A: Around> Layered<A> {
    /// Puts `around` over `inner`. The caller may keep a clone to ask it things.
    pub fn new(inner: Arc<dyn FileSystem>, around: Arc<A>) -> Self {
        Self { inner, around }
    }

    async fn call<T: Send>(
        &self,
        op: &'static str,
        path: &VPath,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.around.around(Call { op, path, pace: Pace::Prompt }, work).await
    }
}

#[async_trait]
impl<A: Around> FileSystem for Layered<A> {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        self.inner.capabilities(path)
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        self.call("metadata", path, self.inner.metadata(path, options)).await
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let stream = self.call("read_dir", path, self.inner.read_dir(path, options)).await?;
        let (around, path) = (Arc::clone(&self.around), path.clone());
        let describer = stream.describer().map(|inner| -> Arc<dyn Describe> {
            Arc::new(LayeredDescriber { inner, around: Arc::clone(&around), path: path.clone() })
        });
        let batches = Batches { around, path, state: State::Idle(stream) };
        Ok(DirStream::new(batches).with_describer(describer))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        let inner = self.call("open", path, self.inner.open(path, options)).await?;
        Ok(Arc::new(LayeredFile { inner, around: Arc::clone(&self.around), path: path.clone() }))
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        self.call("create_dir", path, self.inner.create_dir(path)).await
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        self.call("remove_file", path, self.inner.remove_file(path)).await
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        self.call("remove_dir", path, self.inner.remove_dir(path)).await
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        self.call("rename", from, self.inner.rename(from, to, options)).await
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        self.call("symlink", path, self.inner.symlink(target, path)).await
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        self.call("hard_link", link, self.inner.hard_link(original, link)).await
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        self.call("read_link", path, self.inner.read_link(path)).await
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        self.call("set_attributes", path, self.inner.set_attributes(path, attributes, follow)).await
    }
}

struct LayeredDescriber<A> {
    inner: Arc<dyn Describe>,
    around: Arc<A>,
    path: VPath,
}

#[async_trait]
impl<A: Around> Describe for LayeredDescriber<A> {
    async fn describe(&self, names: Vec<Bytes>) -> Result<Vec<std::result::Result<Metadata, ErrorKind>>> {
        let call = Call { op: "read_dir", path: &self.path, pace: Pace::Prompt };
        self.around.around(call, self.inner.describe(names)).await
    }
}

#[derive(Debug)]
struct LayeredFile<A> {
    inner: Arc<dyn File>,
    around: Arc<A>,
    path: VPath,
}

impl<A: Around> LayeredFile<A> {
    async fn call<T: Send>(
        &self,
        op: &'static str,
        pace: Pace,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.around.around(Call { op, path: &self.path, pace }, work).await
    }
}

#[async_trait]
impl<A: Around> File for LayeredFile<A> {
    async fn metadata(&self) -> Result<Metadata> {
        self.call("metadata", Pace::Prompt, self.inner.metadata()).await
    }

    fn identity(&self) -> Option<Identity> {
        self.inner.identity()
    }

    fn opened_as(&self) -> Option<Metadata> {
        self.inner.opened_as()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        self.call("read_at", Pace::Prompt, self.inner.read_at(offset, max)).await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.call("write_at", Pace::Prompt, self.inner.write_at(offset, data)).await
    }

    async fn set_len(&self, len: u64) -> Result<()> {
        self.call("set_len", Pace::Prompt, self.inner.set_len(len)).await
    }

    async fn set_attributes(&self, attributes: &SetAttributes) -> Result<()> {
        self.call("set_attributes", Pace::Prompt, self.inner.set_attributes(attributes)).await
    }

    async fn sync(&self, data_only: bool) -> Result<()> {
        self.call("sync", Pace::Settling, self.inner.sync(data_only)).await
    }

    async fn lock(&self, lock: Lock, wait: LockWait) -> Result<()> {
        let waits = lock != Lock::Unlock && wait != LockWait::Never;
        let pace = if waits { Pace::Patient } else { Pace::Prompt };
        self.call("lock", pace, self.inner.lock(lock, wait)).await
    }

    async fn finish(&self) -> Result<()> {
        self.call("finish", Pace::Settling, self.inner.finish()).await
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        let producer = Arc::clone(&self.inner).native(range)?;
        Some(self.around.producer(producer))
    }

    fn seek_cost(&self) -> SeekCost {
        self.inner.seek_cost()
    }
}

/// A listing whose every batch is a call. The batch under way lives here, so a dropped `next()` loses nothing.
struct Batches<A> {
    around: Arc<A>,
    path: VPath,
    state: State,
}

enum State {
    Idle(DirStream),
    Asking(Pin<Box<dyn Future<Output = Result<Option<Step>>> + Send>>),
    Ended,
}

/// A batch, and the stream that it came from.
type Step = (Vec<DirEntry>, DirStream);

impl<A: Around> Stream for Batches<A> {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut asking = match std::mem::replace(&mut self.state, State::Ended) {
            State::Idle(stream) => Box::pin(batch(Arc::clone(&self.around), self.path.clone(), stream)),
            State::Asking(asking) => asking,
            State::Ended => return Poll::Ready(None),
        };
        let Poll::Ready(step) = asking.as_mut().poll(cx) else {
            self.state = State::Asking(asking);
            return Poll::Pending;
        };
        Poll::Ready(step.transpose().map(|step| {
            step.map(|(batch, stream)| {
                self.state = State::Idle(stream);
                batch
            })
        }))
    }
}

async fn batch<A: Around>(around: Arc<A>, path: VPath, mut stream: DirStream) -> Result<Option<Step>> {
    let work = async move { Ok(stream.next().await.transpose()?.map(|batch| (batch, stream))) };
    around.around(Call { op: "read_dir", path: &path, pace: Pace::Prompt }, work).await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::error::ErrorKind;
    use crate::fake::{Fake, path};

    /// Notes each call and lets it through.
    #[derive(Debug, Default)]
    struct Notes(Mutex<Vec<(&'static str, Pace)>>);

    impl Around for Notes {
        async fn around<T: Send>(
            &self,
            call: Call<'_>,
            work: impl Future<Output = Result<T>> + Send,
        ) -> Result<T> {
            self.0.lock().unwrap().push((call.op, call.pace));
            work.await
        }
    }

    #[tokio::test]
    async fn calls_of_the_tree_its_files_and_its_listings_go_around() {
        let notes = Arc::new(Notes::default());
        let tree = Layered::new(Fake::with(&[("/d/f", "text")]).shared(), Arc::clone(&notes));
        tree.metadata(&path("/d"), &StatOptions::default()).await.unwrap();
        let entries = tree.read_dir(&path("/d"), &ListOptions::default()).await.unwrap();
        assert_eq!(entries.collect(9).await.unwrap()[0].name, "f");
        let file = tree.open(&path("/d/f"), &OpenOptions::reading()).await.unwrap();
        assert_eq!(file.read_at(1, 2).await.unwrap(), "ex");
        file.finish().await.unwrap();
        let refused = file.lock(Lock::Shared, LockWait::Forever).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        // The listing's second batch is the call that finds its end.
        let ops = [("metadata", Pace::Prompt), ("read_dir", Pace::Prompt), ("read_dir", Pace::Prompt)];
        let rest = [
            ("read_dir", Pace::Prompt),
            ("open", Pace::Prompt),
            ("read_at", Pace::Prompt),
            ("finish", Pace::Settling),
            ("lock", Pace::Patient),
        ];
        assert_eq!(*notes.0.lock().unwrap(), [&ops[..], &rest[..]].concat());
    }

    /// Notes its name when a call goes in and when it comes out.
    #[derive(Debug)]
    struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Around for Named {
        async fn around<T: Send>(
            &self,
            _: Call<'_>,
            work: impl Future<Output = Result<T>> + Send,
        ) -> Result<T> {
            self.1.lock().unwrap().push(self.0);
            let result = work.await;
            self.1.lock().unwrap().push(self.0);
            result
        }
    }

    #[tokio::test]
    async fn of_a_pair_the_first_is_around_the_second() {
        let notes = Arc::default();
        let pair = (Named("outer", Arc::clone(&notes)), Arc::new(Named("inner", Arc::clone(&notes))));
        let tree = Layered::new(Fake::with(&[("/f", "")]).shared(), Arc::new(pair));
        tree.metadata(&path("/f"), &StatOptions::default()).await.unwrap();
        assert_eq!(*notes.lock().unwrap(), ["outer", "inner", "inner", "outer"]);
    }

    #[tokio::test]
    async fn a_listing_that_is_not_waited_for_loses_no_batch() {
        let fake = Fake::with(&[("/a", ""), ("/b", "")]);
        let tree = Layered::<Notes>::new(fake.clone().shared(), Arc::default());
        let mut listing = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
        fake.hang();
        assert!(futures_poll(listing.next()).is_pending());
        fake.wake();
        assert_eq!(listing.next().await.unwrap().unwrap().len(), 2);
        assert!(listing.next().await.is_none());
    }

    /// Polls once and drops.
    fn futures_poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        std::pin::pin!(future).poll(&mut Context::from_waker(std::task::Waker::noop()))
    }
}

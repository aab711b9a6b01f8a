//! An open file of a tree in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::node::Node;
use super::tree::{Publication, Tree};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::metadata::{Identity, Metadata};
use crate::options::{Lock, LockWait, OpenOptions, SetAttributes};
use crate::path::VPath;

/// One opening. Its drop gives back its locks; a part file that was not published goes with it.
#[derive(Debug)]
pub(super) struct MemoryFile {
    tree: Arc<Tree>,
    node: Arc<Node>,
    /// The holder of this opening's locks.
    holder: u64,
    reads: bool,
    appends: bool,
    /// Taken before the tree's shape and the node's state, and held through a write, so that no write can slip in
    /// behind `finish`.
    writing: Mutex<Writing>,
}

/// How far this opening's writing is.
#[derive(Debug)]
pub(super) enum Writing {
    /// It was opened for reading.
    No,
    /// What is written is seen at once.
    InPlace,
    /// The node has no name yet.
    Part(Publication),
    /// `finish` has been called.
    Ended,
}

impl MemoryFile {
    pub(super) fn new(tree: &Arc<Tree>, node: Arc<Node>, options: &OpenOptions, writing: Writing) -> Self {
        Self {
            holder: tree.next_serial(),
            tree: Arc::clone(tree),
            node,
            reads: options.read,
            appends: options.append,
            writing: Mutex::new(writing),
        }
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to write, for as long as one write takes.
    fn writable(&self, op: &'static str) -> Result<MutexGuard<'_, Writing>> {
        let writing = self.writing();
        let detail = match *writing {
            Writing::InPlace | Writing::Part(_) => return Ok(writing),
            Writing::No => "the file is not open for writing",
            Writing::Ended => "writing has been finished",
        };
        Err(failure(ErrorKind::InvalidInput, op).with_detail(detail))
    }

    fn failure(&self, kind: ErrorKind, op: &'static str) -> Error {
        self.tree.explain(failure(kind, op))
    }
}

#[async_trait]
impl File for MemoryFile {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(self.node.metadata(&self.tree.name))
    }

    fn identity(&self) -> Option<Identity> {
        Some(self.node.identity(&self.tree.name))
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        if !self.reads {
            let detail = "the file is not open for reading";
            return Err(failure(ErrorKind::InvalidInput, "read_at").with_detail(detail));
        }
        Ok(self.node.state().content.read(offset, max))
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        let _writing = self.writable("write_at")?;
        let mut state = self.node.state();
        let offset = if self.appends { state.content.len() } else { offset };
        state.content.write(offset, &data).map_err(|kind| self.failure(kind, "write_at"))?;
        if !data.is_empty() {
            state.content_changed();
        }
        Ok(())
    }

    async fn set_len(&self, len: u64) -> Result<()> {
        let _writing = self.writable("set_len")?;
        self.node.set_len(len).map_err(|kind| self.failure(kind, "set_len"))
    }

    async fn set_attributes(&self, attributes: &SetAttributes) -> Result<()> {
        self.node.set(attributes).map_err(|kind| self.failure(kind, "set_attributes"))
    }

    async fn lock(&self, lock: Lock, wait: LockWait) -> Result<()> {
        self.node.locks.apply(lock, wait, self.holder).await.map_err(|kind| self.failure(kind, "lock"))
    }

    async fn finish(&self) -> Result<()> {
        let mut writing = self.writing();
        match &*writing {
            Writing::No | Writing::Ended => return Ok(()),
            Writing::InPlace => {}
            Writing::Part(publication) => {
                self.tree.publish(publication, &self.node).map_err(|kind| self.failure(kind, "finish"))?
            }
        }
        *writing = Writing::Ended;
        Ok(())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.node.locks.give_back(self.holder);
    }
}

/// An open file does not know its path: the namespace adds it on the way up.
fn failure(kind: ErrorKind, op: &'static str) -> Error {
    Error::new(kind, op, &VPath::root())
}

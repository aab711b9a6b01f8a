//! One file, folder or link of a tree in memory, under however many names.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use super::budget::{Budget, Charge};
use super::content::Content;
use super::lock::Locks;
use crate::error::ErrorKind;
use crate::metadata::{FileType, Identity, Metadata, Owner, Validator};
use crate::options::{LinkTarget, SetAttributes};

/// What one file, folder or link costs its tree beside names and content.
pub(super) const NODE_BYTES: u64 = 512;

/// Permission bits, without those of the type.
const MODE_BITS: u32 = 0o7777;

/// One file, folder or link. It lives as long as a name or an opening leads to it.
#[derive(Debug)]
pub(super) struct Node {
    /// Its number in the tree, never used again.
    pub(super) serial: u64,
    pub(super) body: Body,
    pub(super) locks: Locks,
    /// Taken last: whoever holds this takes no other lock.
    state: Mutex<State>,
    _charge: Charge,
}

#[derive(Debug)]
pub(super) enum Body {
    File,
    /// Its entries are in the tree's table, under its serial.
    Dir,
    Link(LinkTarget),
}

/// What changes about a node.
#[derive(Debug)]
pub(super) struct State {
    pub(super) content: Content,
    /// Counts the changes of the content.
    version: u64,
    links: u64,
    mode: u32,
    owner: Owner,
    created: SystemTime,
    modified: SystemTime,
    accessed: SystemTime,
    changed: SystemTime,
}

impl Node {
    /// A node without a name yet.
    pub(super) fn new(
        serial: u64,
        body: Body,
        mode: Option<u32>,
        owner: Owner,
        budget: &Arc<Budget>,
    ) -> Result<Self, ErrorKind> {
        let (text, default_mode) = match &body {
            Body::File => (0, 0o644),
            Body::Dir => (0, 0o755),
            Body::Link(target) => (target.len() as u64, 0o777),
        };
        let now = SystemTime::now();
        let state = State {
            content: Content::empty(budget),
            version: 0,
            links: 0,
            mode: mode.unwrap_or(default_mode) & MODE_BITS,
            owner,
            created: now,
            modified: now,
            accessed: now,
            changed: now,
        };
        let charge = Charge::new(budget, NODE_BYTES + text)?;
        Ok(Self { serial, body, locks: Locks::default(), state: Mutex::new(state), _charge: charge })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_dir(&self) -> bool {
        matches!(self.body, Body::Dir)
    }

    pub(super) fn file_type(&self) -> FileType {
        match self.body {
            Body::File => FileType::File,
            Body::Dir => FileType::Dir,
            Body::Link(_) => FileType::Symlink,
        }
    }

    /// Describes it; `tree` is the name of its tree.
    pub(super) fn metadata(&self, tree: &str) -> Metadata {
        let state = self.state();
        let validator = self.validator_of(&state, tree);
        Metadata {
            len: match &self.body {
                Body::File => Some(state.content.len()),
                Body::Dir => None,
                Body::Link(target) => Some(target.len() as u64),
            },
            modified: Some(state.modified),
            accessed: Some(state.accessed),
            created: Some(state.created),
            changed: Some(state.changed),
            mode: Some(state.mode),
            owner: Some(state.owner),
            links: Some(state.links),
            identity: Some(self.identity_with(validator.clone(), tree)),
            validator,
            ..Metadata::new(self.file_type())
        }
    }

    /// What content this is, as things stand.
    pub(super) fn identity(&self, tree: &str) -> Identity {
        self.identity_with(self.validator(tree), tree)
    }

    /// The version of a file; folders and links have none.
    pub(super) fn validator(&self, tree: &str) -> Option<Validator> {
        self.validator_of(&self.state(), tree)
    }

    /// Cuts or grows the file; the same length is no change.
    pub(super) fn set_len(&self, len: u64) -> Result<(), ErrorKind> {
        let mut state = self.state();
        if len != state.content.len() {
            state.content.set_len(len)?;
            state.content_changed();
        }
        Ok(())
    }

    /// Sets attributes, all or none.
    pub(super) fn set(&self, attributes: &SetAttributes) -> Result<(), ErrorKind> {
        if attributes.is_empty() {
            return Ok(());
        }
        if attributes.mode.is_some() && matches!(self.body, Body::Link(_)) {
            // As chmod(2) on Linux: the bits of a link mean nothing.
            return Err(ErrorKind::Unsupported);
        }
        let mut state = self.state();
        state.mode = attributes.mode.map_or(state.mode, |mode| mode & MODE_BITS);
        state.modified = attributes.modified.unwrap_or(state.modified);
        state.accessed = attributes.accessed.unwrap_or(state.accessed);
        state.owner.user = attributes.user.unwrap_or(state.owner.user);
        state.owner.group = attributes.group.unwrap_or(state.owner.group);
        state.changed = SystemTime::now();
        Ok(())
    }

    fn validator_of(&self, state: &State, tree: &str) -> Option<Validator> {
        let text = || format!("{tree}-{:x}-{:x}", self.serial, state.version).into();
        matches!(self.body, Body::File).then(|| Validator::Strong(text()))
    }

    fn identity_with(&self, validator: Option<Validator>, tree: &str) -> Identity {
        Identity::Source { name: Bytes::from(format!("memory:{tree}/{:x}", self.serial)), validator }
    }
}

impl State {
    /// Notes that the content is another one now.
    pub(super) fn content_changed(&mut self) {
        self.version += 1;
        self.modified = SystemTime::now();
        self.changed = self.modified;
    }

    /// Notes that a folder's entries are others now.
    pub(super) fn entries_changed(&mut self) {
        self.modified = SystemTime::now();
        self.changed = self.modified;
    }

    /// Notes a name more.
    pub(super) fn named(&mut self) {
        self.links += 1;
        self.changed = SystemTime::now();
    }

    /// Notes a name less.
    pub(super) fn unnamed(&mut self) {
        self.links = self.links.saturating_sub(1);
        self.changed = SystemTime::now();
    }
}

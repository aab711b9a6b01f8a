//! What the fake tree holds.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::metadata::{FileType, Identity, Metadata, Validator};
use crate::path::VPath;

/// Most links that are followed for one call.
const LINKS: usize = 8;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) nodes: BTreeMap<VPath, Node>,
    pub(super) calls: usize,
    pub(super) fails: Option<ErrorKind>,
    pub(super) delay: Duration,
    versions: u64,
    pub(super) named: Option<&'static str>,
    pub(super) anonymous: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Dir,
    File { content: Bytes, version: u64 },
    Link(Bytes),
}

impl State {
    pub(super) fn file(&mut self, content: Bytes) -> Node {
        self.versions += 1;
        Node::File { content, version: self.versions }
    }

    pub(super) fn folders_to(&mut self, path: &VPath) {
        for count in 1..path.segments().len() {
            self.nodes.insert(path.prefix(count), Node::Dir);
        }
    }

    pub(super) fn node(&self, path: &VPath) -> Option<Node> {
        if path.is_root() { Some(Node::Dir) } else { self.nodes.get(path).cloned() }
    }

    /// Walks links: where `path` really is. The last place need not exist.
    pub(super) fn resolve(&self, op: &'static str, asked: &VPath, follow: bool) -> Result<VPath> {
        let mut ahead: Vec<Bytes> = names(asked);
        ahead.reverse();
        let mut at = VPath::root();
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                at = at.parent().unwrap_or_default();
                continue;
            }
            let next = at.child(name).unwrap();
            match self.node(&next) {
                Some(Node::Link(target)) if follow || !ahead.is_empty() => {
                    links += 1;
                    if links > LINKS {
                        return Err(Error::new(ErrorKind::Loop, op, asked));
                    }
                    if target.starts_with(b"/") {
                        at = VPath::root();
                    }
                    let parts = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
                    ahead.extend(parts.rev().map(Bytes::copy_from_slice));
                }
                Some(Node::File { .. } | Node::Link(_)) if !ahead.is_empty() => {
                    return Err(Error::new(ErrorKind::NotADirectory, op, asked));
                }
                None if !ahead.is_empty() => return Err(Error::new(ErrorKind::NotFound, op, asked)),
                _ => at = next,
            }
        }
        Ok(at)
    }

    pub(super) fn describe(&self, path: &VPath, node: &Node) -> Metadata {
        match node {
            Node::Dir => Metadata::new(FileType::Dir),
            Node::Link(_) => Metadata::new(FileType::Symlink),
            Node::File { content, version } => {
                let validator = Some(Validator::Strong(version.to_string().into()));
                let identity = self.named.map(|name| Identity::Source {
                    name: Bytes::from(format!("{name}{path}")),
                    validator: validator.clone(),
                });
                let len = Some(content.len() as u64);
                let validator = validator.filter(|_| !self.anonymous);
                Metadata { len, validator, identity, ..Metadata::new(FileType::File) }
            }
        }
    }

    /// Where something new may be put.
    pub(super) fn free(&self, op: &'static str, path: &VPath) -> Result<VPath> {
        let at = self.resolve(op, path, false)?;
        match self.node(&at) {
            Some(_) => Err(Error::new(ErrorKind::AlreadyExists, op, path)),
            None => Ok(at),
        }
    }

    pub(super) fn is_empty_dir(&self, path: &VPath) -> bool {
        !self.nodes.keys().any(|key| key != path && key.starts_with(path))
    }
}

fn names(path: &VPath) -> Vec<Bytes> {
    path.segments()
        .iter()
        .map(|segment| {
            assert!(segment.markers().is_empty(), "a backend was given the marker of {path}");
            segment.name().clone()
        })
        .collect()
}

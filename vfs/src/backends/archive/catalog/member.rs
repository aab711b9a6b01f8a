//! What a catalog hands out: numbers of nodes, and members as they stand.

use std::sync::Arc;

use bytes::Bytes;

use crate::backends::archive::entry::Piece;

/// A node's number; it stays the same while entries are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct NodeId(pub(super) u32);

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Shape {
    File,
    Dir,
    Symlink,
    Other,
    /// A hard link that leads to no earlier file.
    Broken,
}

/// A node as it is handed out.
#[derive(Clone, Debug)]
pub(in super::super) struct Member {
    pub(in super::super) shape: Shape,
    pub(in super::super) header: u64,
    pub(in super::super) data: u64,
    pub(in super::super) size: u64,
    pub(in super::super) pieces: Option<Arc<[Piece]>>,
    pub(in super::super) link: Option<Bytes>,
    pub(in super::super) mode: Option<u32>,
    pub(in super::super) owner: Option<(u32, u32)>,
    pub(in super::super) modified: Option<(i64, u32)>,
}

impl NodeId {
    /// The root of each tree.
    pub(in super::super) const ROOT: Self = Self(0);

    pub(in super::super) fn from_number(number: u32) -> Self {
        Self(number)
    }

    pub(in super::super) fn number(self) -> u32 {
        self.0
    }
}

impl Member {
    /// What stands for a node that cannot be read.
    pub(in super::super) fn broken() -> Self {
        Self {
            shape: Shape::Broken,
            header: 0,
            data: 0,
            size: 0,
            pieces: None,
            link: None,
            mode: None,
            owner: None,
            modified: None,
        }
    }
}

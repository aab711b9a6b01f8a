//! One name of a catalog, in as few bytes as it takes.

use super::member::{Member, Shape};

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// A name, what stands under it, and its neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) header: u64,
    pub(super) data: u64,
    pub(super) size: u64,
    pub(super) seconds: i64,
    pub(super) nanos: u32,
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) name_at: u32,
    /// The key of the folder that holds it.
    pub(super) folder: u32,
    /// A folder's own key; a new one each time it becomes a folder, so that old children are out of reach.
    pub(super) key: u32,
    pub(super) next: u32,
    pub(super) mode: u16,
    pub(super) name_len: u8,
    pub(super) shape: Shape,
    pub(super) known: Known,
}

/// The children of a folder, as a list; its place in the catalog is the folder's key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Children {
    pub(super) first: u32,
    pub(super) last: u32,
}

/// Which of the fields mean something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) mode: bool,
    pub(super) owner: bool,
    pub(super) modified: bool,
    /// False for a folder that was made up.
    pub(super) entry: bool,
}

impl Children {
    pub(super) const NONE: Self = Self { first: NONE, last: NONE };
}

impl Node {
    /// Takes over what a member says.
    pub(super) fn describe(&mut self, member: &Member) {
        (self.header, self.data, self.size) = (member.header, member.data, member.size);
        (self.seconds, self.nanos) = member.modified.unwrap_or_default();
        self.mode = member.mode.unwrap_or_default() as u16;
        (self.user, self.group) = member.owner.unwrap_or_default();
        self.known.mode = member.mode.is_some();
        self.known.owner = member.owner.is_some();
        self.known.modified = member.modified.is_some();
    }

    /// A folder without an entry.
    pub(super) fn made_up(folder: u32, name_at: u32, name_len: u8, key: u32) -> Self {
        Self {
            header: 0,
            data: 0,
            size: 0,
            seconds: 0,
            nanos: 0,
            user: 0,
            group: 0,
            name_at,
            folder,
            key,
            next: NONE,
            mode: 0,
            name_len,
            shape: Shape::Dir,
            known: Known::default(),
        }
    }

    pub(super) fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        &names[self.name_at as usize..][..usize::from(self.name_len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_small() {
        assert!(size_of::<Node>() <= 72, "{}", size_of::<Node>());
    }
}

//! [`PackedNames`]: an archive's names in about a tenth of the memory that a catalog takes, a block at a time.
//!
//! Nodes are numbered from the root down, folder by folder, and sorted by name in each: so a folder's children follow
//! one another, and a name is found by halving. A block holds 256 nodes and is one zstd frame; a lookup unpacks the
//! blocks that it comes by. They stay in the budget for a while.
//!
//! Layout of a node, numbers as in `wire`:
//!
//! ```text
//! shape          1   0 file, 1 folder, 2 symbolic link, 3 something else, 4 broken hard link
//! shared         1   bytes of the name that the node before has too, within the block
//! name               the rest of it, with its length
//! header             signed, from where the member before ends
//! data               signed, from the header
//! size
//! mode, owner        or nothing, each
//! time               or nothing
//! link               symbolic links
//! map                files: 0, or 1 and the stored pieces
//! first, count       folders: their children
//! ```

use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use super::wire::{Reader, put, put_bytes, put_option, put_pieces, put_signed, put_time};
use crate::backends::archive::budget::Owner;
use crate::backends::archive::catalog::{Catalog, Member, NodeId, Shape};
use crate::backends::archive::walk::Tree;
use crate::error::ErrorKind;

/// Nodes of a block.
const BLOCK_NODES: usize = 256;

/// A block's nodes unpacked, at most: each with a name, a link or a map. A map alone may have a megabyte.
const MAX_BLOCK_BYTES: usize = 16 << 20;

/// How hard zstd tries. At 9 this alone was a fifth of the work of a plain tar's pass, and indexes were hardly smaller.
const ZSTD_LEVEL: i32 = 3;

/// The names of an archive that was read through.
#[derive(Debug)]
pub(in super::super) struct PackedNames {
    pub(super) blocks: Bytes,
    /// Where each block ends.
    pub(super) ends: Vec<u32>,
    pub(super) nodes: u32,
    pub(super) hidden: u64,
    owner: Owner,
}

/// Some nodes, unpacked.
#[derive(Debug, Default)]
pub(in super::super) struct NameBlock {
    nodes: Vec<Node>,
    names: Vec<u8>,
}

#[derive(Debug)]
struct Node {
    member: Member,
    name_at: usize,
    name_len: usize,
    first: u32,
    count: u32,
}

impl PackedNames {
    /// `None` where blocks and numbers do not fit.
    pub(super) fn new(blocks: Bytes, ends: Vec<u32>, nodes: u32, hidden: u64, owner: Owner) -> Option<Self> {
        let fits = ends.len() == (nodes as usize).div_ceil(BLOCK_NODES)
            && nodes > 0
            && ends.is_sorted()
            && ends.last().is_some_and(|end| *end as usize == blocks.len());
        owner.charge(blocks.len() + ends.len() * 4);
        fits.then_some(Self { blocks, ends, nodes, hidden, owner })
    }

    pub(in super::super) fn len(&self) -> usize {
        self.nodes as usize - 1
    }

    pub(in super::super) fn hidden(&self) -> u64 {
        self.hidden
    }

    /// The node; a broken one where the index is.
    pub(in super::super) fn member(&self, id: NodeId) -> Member {
        self.look(id.number(), |_, node| node.member.clone()).unwrap_or_else(|_| Member::broken())
    }

    /// The node's own name.
    pub(in super::super) fn name(&self, id: NodeId) -> Bytes {
        self.look(id.number(), |block, node| Bytes::copy_from_slice(block.name(node))).unwrap_or_default()
    }

    /// At most `max` of what the folder holds, from behind `after` on.
    pub(in super::super) fn children(
        &self,
        folder: NodeId,
        after: Option<NodeId>,
        max: usize,
    ) -> Result<Vec<NodeId>, ErrorKind> {
        let (first, end) = self.range(folder.number())?;
        let from = after.map_or(first, |after| after.number() + 1).max(first);
        let end = end.min(from.saturating_add(u32::try_from(max).unwrap_or(u32::MAX)));
        // So that what is listed can be described.
        for block in (from / BLOCK_NODES as u32..end.div_ceil(BLOCK_NODES as u32)).filter(|_| from < end) {
            self.block(block)?;
        }
        Ok((from..end).map(NodeId::from_number).collect())
    }

    /// Where a folder's children are; a file has none.
    fn range(&self, folder: u32) -> Result<(u32, u32), ErrorKind> {
        let (first, count) = self.look(folder, |_, node| (node.first, node.count))?;
        // Behind the folder, as the numbering has it: so no walk can go round.
        let end = first.checked_add(count).filter(|end| *end <= self.nodes && (count == 0 || first > folder));
        Ok((first, end.ok_or(ErrorKind::Corrupt)?))
    }

    fn look<T>(&self, node: u32, look: impl FnOnce(&NameBlock, &Node) -> T) -> Result<T, ErrorKind> {
        let block = self.block(node / BLOCK_NODES as u32)?;
        let found = block.nodes.get(node as usize % BLOCK_NODES).ok_or(ErrorKind::Corrupt)?;
        Ok(look(&block, found))
    }

    fn block(&self, number: u32) -> Result<Arc<NameBlock>, ErrorKind> {
        if let Some(block) = self.owner.names(number.into()) {
            return Ok(block);
        }
        let block = Arc::new(self.unpack(number as usize).ok_or(ErrorKind::Corrupt)?);
        self.owner.keep_names(number.into(), Arc::clone(&block));
        Ok(block)
    }

    fn unpack(&self, number: usize) -> Option<NameBlock> {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        let frame = self.blocks.get(start..*self.ends.get(number)? as usize)?;
        let bytes = unpack_frame(frame, MAX_BLOCK_BYTES)?;
        let nodes = (self.nodes as usize - number * BLOCK_NODES).min(BLOCK_NODES);
        NameBlock::read(&bytes, nodes)
    }

    /// Puts all names back into a catalog, where an archive has grown.
    pub(in super::super) fn unpack_into(&self, catalog: &mut Catalog) -> Option<()> {
        for number in 0..self.nodes {
            let (name, member, first, count) = self
                .look(number, |block, node| {
                    (block.name(node).to_vec(), node.member.clone(), node.first, node.count)
                })
                .ok()?;
            catalog.restore(number, &name, &member, first, count)?;
        }
        Some(())
    }
}

impl Tree for PackedNames {
    fn find(&self, folder: u32, name: &[u8]) -> Result<Option<u32>, ErrorKind> {
        let (mut low, mut high) = self.range(folder)?;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.look(middle, |block, node| block.name(node).cmp(name))? {
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    fn shape(&self, node: u32) -> Result<Shape, ErrorKind> {
        self.look(node, |_, node| node.member.shape)
    }

    fn link(&self, node: u32) -> Result<Option<Bytes>, ErrorKind> {
        self.look(node, |_, node| node.member.link.clone())
    }
}

impl NameBlock {
    /// What it takes in memory, about.
    pub(in super::super) fn memory_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.names.capacity()
    }

    fn name(&self, node: &Node) -> &[u8] {
        &self.names[node.name_at..][..node.name_len]
    }

    fn read(bytes: &[u8], nodes: usize) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut block = Self { nodes: Vec::with_capacity(nodes), names: Vec::new() };
        let mut end = 0;
        for _ in 0..nodes {
            let node = block.read_node(&mut reader, end)?;
            end = end_of(&node.member);
            block.nodes.push(node);
        }
        block.names.shrink_to_fit();
        reader.is_empty().then_some(block)
    }

    fn read_node(&mut self, reader: &mut Reader<'_>, before: u64) -> Option<Node> {
        let shape = match reader.byte()? {
            0 => Shape::File,
            1 => Shape::Dir,
            2 => Shape::Symlink,
            3 => Shape::Other,
            4 => Shape::Broken,
            _ => return None,
        };
        let shared = usize::from(reader.byte()?);
        let rest = reader.bytes()?;
        let name_at = self.names.len();
        if let Some(last) = self.nodes.last() {
            let from = last.name_at;
            let shared = (shared <= last.name_len).then_some(shared)?;
            self.names.extend_from_within(from..from + shared);
        } else if shared > 0 {
            return None;
        }
        self.names.extend_from_slice(rest);
        let header = before.checked_add_signed(reader.signed()?)?;
        let data = header.checked_add_signed(reader.signed()?)?;
        let size = reader.number()?;
        data.checked_add(size)?;
        let mode = reader.option()?.map(u32::try_from).transpose().ok()?;
        let owner = match reader.byte()? {
            0 => None,
            1 => Some((reader.small()?, reader.small()?)),
            _ => return None,
        };
        let modified = reader.time()?;
        let link = if shape == Shape::Symlink { Some(Bytes::copy_from_slice(reader.bytes()?)) } else { None };
        let pieces = match shape {
            Shape::File if reader.byte()? == 1 => Some(reader.pieces(size)?.into()),
            _ => None,
        };
        let (first, count) = if shape == Shape::Dir { (reader.small()?, reader.small()?) } else { (0, 0) };
        let member = Member { shape, header, data, size, pieces, link, mode, owner, modified };
        Some(Node { member, name_at, name_len: self.names.len() - name_at, first, count })
    }
}

/// Packs a catalog that nobody adds to any more, some blocks at a time.
pub(in super::super) struct Packer {
    catalog: Arc<Catalog>,
    /// The catalog's nodes in their new order; a folder's children begin at the number beside it.
    order: Vec<(NodeId, u32, u32)>,
    blocks: Vec<u8>,
    ends: Vec<u32>,
    next: usize,
}

/// Blocks that are packed in one job.
const BLOCKS_A_JOB: usize = 64;

impl Packer {
    /// Numbers the nodes anew.
    pub(super) fn new(catalog: Arc<Catalog>) -> Self {
        let mut order = vec![(NodeId::ROOT, 0, 0)];
        let mut at = 0;
        while at < order.len() {
            let mut children = catalog.children(order[at].0, None, usize::MAX);
            children.sort_unstable_by(|one, other| catalog.name(*one).cmp(catalog.name(*other)));
            (order[at].1, order[at].2) = (order.len() as u32, children.len() as u32);
            order.extend(children.into_iter().map(|id| (id, 0, 0)));
            at += 1;
        }
        Self { catalog, order, blocks: Vec::new(), ends: Vec::new(), next: 0 }
    }

    /// Packs the next blocks; false where all are packed.
    pub(super) fn go_on(&mut self) -> bool {
        for _ in 0..BLOCKS_A_JOB {
            let nodes = self.order[self.next..].iter().take(BLOCK_NODES);
            let count = nodes.len();
            if count == 0 {
                return false;
            }
            let mut raw = Vec::new();
            let (mut before, mut end): (&[u8], u64) = (b"", 0);
            for (id, first, children) in nodes {
                let (name, member) = (self.catalog.name(*id), self.catalog.member(*id));
                write_node(&mut raw, name, before, &member, end, (*first, *children));
                (before, end) = (name, end_of(&member));
            }
            self.next += count;
            self.blocks.extend_from_slice(&pack_frame(&raw, ZSTD_LEVEL));
            self.ends.push(u32::try_from(self.blocks.len()).unwrap_or(u32::MAX));
        }
        true
    }

    /// The packed names. `None` where they take more than 4 GiB.
    pub(super) fn finish(&mut self, owner: Owner) -> Option<PackedNames> {
        let (nodes, hidden) = (u32::try_from(self.order.len()).ok()?, self.catalog.hidden());
        PackedNames::new(mem::take(&mut self.blocks).into(), mem::take(&mut self.ends), nodes, hidden, owner)
    }
}

fn write_node(
    out: &mut Vec<u8>,
    name: &[u8],
    before: &[u8],
    member: &Member,
    end: u64,
    (first, count): (u32, u32),
) {
    out.push(match member.shape {
        Shape::File => 0,
        Shape::Dir => 1,
        Shape::Symlink => 2,
        Shape::Other => 3,
        Shape::Broken => 4,
    });
    let shared = name.iter().zip(before).take_while(|(one, other)| one == other).count();
    out.push(shared as u8);
    put_bytes(out, &name[shared..]);
    put_signed(out, member.header.wrapping_sub(end).cast_signed());
    put_signed(out, member.data.wrapping_sub(member.header).cast_signed());
    put(out, member.size);
    put_option(out, member.mode.map(u64::from));
    match member.owner {
        Some((user, group)) => {
            out.push(1);
            put(out, user.into());
            put(out, group.into());
        }
        None => out.push(0),
    }
    put_time(out, member.modified);
    match member.shape {
        Shape::Symlink => put_bytes(out, member.link.as_deref().unwrap_or_default()),
        Shape::File => match &member.pieces {
            Some(pieces) => {
                out.push(1);
                put_pieces(out, pieces);
            }
            None => out.push(0),
        },
        Shape::Dir => {
            put(out, first.into());
            put(out, count.into());
        }
        Shape::Other | Shape::Broken => {}
    }
}

/// Where the next member's header often is.
fn end_of(member: &Member) -> u64 {
    let end = member.data.saturating_add(member.size);
    end.checked_next_multiple_of(512).unwrap_or(end)
}

/// A zstd frame that holds `bytes`.
pub(super) fn pack_frame(bytes: &[u8], level: i32) -> Vec<u8> {
    zstd::bulk::compress(bytes, level).expect("a level is right, and memory is there")
}

/// What a frame holds, `limit` bytes at most; no more is allocated than the frame's header states.
pub(super) fn unpack_frame(frame: &[u8], limit: usize) -> Option<Vec<u8>> {
    let stated = zstd::zstd_safe::get_frame_content_size(frame).ok()??;
    let stated = usize::try_from(stated).ok().filter(|stated| *stated <= limit)?;
    zstd::bulk::decompress(frame, stated).ok()
}

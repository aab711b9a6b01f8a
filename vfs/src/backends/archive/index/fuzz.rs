//! Any bytes for each part of an index: nothing may panic, and what is read must be usable.

use std::sync::Arc;

use super::journal::Replayed;
use super::names::PackedNames;
use super::{layout, wire};
use crate::backends::archive::budget::Budget;
use crate::backends::archive::catalog::{Catalog, NodeId};
use crate::backends::archive::walk::Tree;

/// Takes `data` for each section in turn, for the footer, and for a frame of a journal.
pub(in super::super) fn fuzz(data: &[u8]) {
    let _ = layout::read_about(data);
    let _ = layout::read_footer(data, data.len() as u64);
    if let Some(points) = layout::read_points(data) {
        assert!(points.is_sorted_by_key(|point| point.output));
    }
    let _ = layout::read_words(data).map(|words| layout::sums_fit(&words, Some(data.len() as u64)));
    let mut replayed = Replayed::nothing(1000);
    let _ = replayed.take(data);
    let _ = wire::Reader::new(data).entry(b"a/b");
    check_names(data);
}

fn check_names(data: &[u8]) {
    let owner = Budget::new(1 << 20).owner();
    let frame = zstd::bulk::compress(data, 1).expect("a level is right, and memory is there");
    let (Some(nodes), ends) = (data.first().map(|first| u32::from(*first) + 1), vec![frame.len() as u32])
    else {
        return;
    };
    let Some(names) = PackedNames::new(frame.into(), ends, nodes, 0, owner) else { return };
    let names = Arc::new(names);
    for node in 0..nodes {
        let id = NodeId::from_number(node);
        let _ = (names.member(id), names.name(id), names.find(node, b"a"));
        if let Ok(children) = names.children(id, None, 10) {
            assert!(children.iter().all(|child| child.number() > node && child.number() < nodes));
        }
    }
    let _ = names.unpack_into(&mut Catalog::new(1000));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::archive::trial::Random;

    #[test]
    fn smoke() {
        let mut random = Random(7);
        let packed = sample();
        for round in 0..300 {
            let mut data = match round % 3 {
                0 => (0..random.below(300)).map(|_| random.next() as u8).collect(),
                _ => packed.clone(),
            };
            for _ in 0..random.below(6) {
                if let Some(at) = data.len().checked_sub(1) {
                    let at = random.below(at + 1);
                    data[at] = random.next() as u8;
                }
            }
            data.truncate(random.below(data.len() + 1).max(data.len() / 2));
            fuzz(&data);
        }
    }

    /// A block of two nodes.
    fn sample() -> Vec<u8> {
        let mut block = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
        block.extend_from_slice(&[0, 0, 1, b'a', 0, 2, 10, 0, 0, 0, 0]);
        block
    }
}

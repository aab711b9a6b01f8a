//! Any bytes through the scanner: nothing may panic, and how the bytes are cut or jumped over makes no difference.

use super::{BLOCK_BYTES, Scanner};
use crate::backends::archive::entry::Entry;

/// Takes `data` for an archive, and panics where something is wrong.
pub(in super::super) fn fuzz(data: &[u8]) {
    for resyncs in [false, true] {
        check(data, &|| Scanner::default().resyncing(resyncs));
    }
}

fn check(data: &[u8], scanner: &dyn Fn() -> Scanner) {
    let (whole, whole_end) = by_pieces(scanner(), data, usize::MAX);
    for size in [1, 511, 700] {
        assert!(by_pieces(scanner(), data, size) == (whole.clone(), whole_end), "by {size}");
    }
    assert!(whole.is_sorted_by_key(|entry| entry.header), "entries come in order");
    for entry in &whole {
        assert!(entry.header < entry.data && entry.data <= data.len() as u64, "{entry:?}");
    }
    let (jumped, jumped_end) = by_jumps(scanner(), data);
    assert!(jumped == whole && jumped_end == whole_end, "by jumps");
}

/// What was found, and where it broke off.
type Scanned = (Vec<Entry>, Option<u64>);

fn by_pieces(mut scanner: Scanner, data: &[u8], size: usize) -> Scanned {
    data.chunks(size).for_each(|piece| scanner.feed(piece));
    end(scanner)
}

fn by_jumps(mut scanner: Scanner, data: &[u8]) -> Scanned {
    while !scanner.is_done() {
        let left = data.len() as u64 - scanner.position();
        scanner.skip(scanner.skippable().min(left));
        let at = usize::try_from(scanner.position()).expect("a position in the data");
        let piece = &data[at..data.len().min(at + BLOCK_BYTES)];
        if piece.is_empty() {
            break;
        }
        scanner.feed(piece);
    }
    end(scanner)
}

fn end(mut scanner: Scanner) -> Scanned {
    scanner.finish();
    (scanner.take_entries(), scanner.flaw().map(|flaw| flaw.at))
}

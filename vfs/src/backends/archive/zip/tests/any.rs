//! Archives by chance.

use proptest::prelude::*;

use super::builder::{Archive, Entry};
use crate::backends::archive::zip::fuzz::fuzz;

/// Archives of many kinds, to be damaged.
fn seeds() -> Vec<Vec<u8>> {
    let entries = [
        Entry::stored("dir/", b""),
        Entry::stored("dir/a", b"stored content"),
        Entry::deflated("dir/b", &b"deflated content ".repeat(20)),
        Entry { host: 0, ..Entry::stored(b"\x84\\c", b"x") },
    ];
    let plain = Archive::of(entries);
    let wide = Archive { zip64: true, prefix: b"prefix".to_vec(), ..plain.clone() };
    let commented = Archive { comment: wide.build(), ..plain.clone() };
    [plain, wide, commented].iter().map(Archive::build).collect()
}

#[test]
fn every_cut_and_every_changed_byte_is_harmless() {
    for seed in seeds() {
        for at in 0..seed.len() {
            fuzz(&seed[..at]);
            let mut changed = seed.clone();
            changed[at] = !changed[at];
            fuzz(&changed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_harmless(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz(&data);
        fuzz(&[&data[..], b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &(data.len() as u32).to_le_bytes(), &[0; 6]].concat());
    }

    #[test]
    fn any_changes_of_an_archive_are_harmless(
        which in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut archive = seeds().swap_remove(which);
        for (at, byte) in changes {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        fuzz(&archive);
    }
}

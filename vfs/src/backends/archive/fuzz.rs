//! Any bytes through each reader of this room: what the fuzz targets of `tests/fuzz` call, and these tests with their
//! corpus. Nothing may panic, loop or grow beyond its bounds; built for them alone.

use super::{bzip2, gzip, index, tar, xz, zip, zstd};

/// Sends bytes through one reader.
pub type Target = fn(&[u8]);

/// A reader by the name of its target.
pub const TARGETS: [(&str, Target); 7] = [
    ("tar", tar::fuzz::fuzz),
    ("gzip", gzip::fuzz::fuzz),
    ("zip", zip::fuzz::fuzz),
    ("bzip2", bzip2::fuzz::fuzz),
    ("xz", xz::fuzz::fuzz),
    ("zstd", zstd::fuzz::fuzz),
    ("index", index::fuzz::fuzz),
];

/// Lets the reader that `target` names have `data`; it panics where something is wrong.
///
/// # Panics
/// Also where there is no such target.
pub fn run(target: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    found.expect("a target is one of `TARGETS`").1(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_harmless_and_so_are_its_cuts_and_changes() {
        for (target, fuzz) in TARGETS {
            let folder = format!("{}/../tests/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
            let mut seeds = 0;
            for entry in std::fs::read_dir(&folder).unwrap() {
                let seed = std::fs::read(entry.unwrap().path()).unwrap();
                fuzz(&seed);
                // Few of them: this is a look, not a run.
                for at in (0..seed.len()).step_by(1 + seed.len() / 64) {
                    fuzz(&seed[..at]);
                    let mut changed = seed.clone();
                    changed[at] = !changed[at];
                    fuzz(&changed);
                }
                seeds += 1;
            }
            assert!(seeds > 0, "{folder} is empty");
        }
    }
}

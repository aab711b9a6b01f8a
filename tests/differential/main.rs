//! One script of random operations through `vfs::fs` on a local tree and through `std::fs` on a folder: the same
//! results, the same `io::ErrorKind`, and in the end the same files.
//!
//! `..` is left out, since ours is lexical. A script that finds a difference is shortened before it is reported.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

mod script;
mod sides;

use std::path::Path;
use std::sync::Arc;

use vfs::FileSystem;
use vfs::backends::local::{LocalFs, LocalOptions};
use vfs::fs::Fs;

use crate::script::{Operation, script};
use crate::sides::{Ours, Theirs};

/// Operations of one script.
const STEPS: usize = 2500;

/// Steps between two looks at all files.
const LOOK_EVERY: usize = 100;

/// The tree that is compared with the host.
async fn tree(root: &Path) -> Arc<dyn FileSystem> {
    let options = LocalOptions { writable: true, ..LocalOptions::default() };
    Arc::new(LocalFs::open_with(root, &options).expect("a folder that was just made"))
}

/// Where the sides part, and how.
struct Difference {
    step: usize,
    report: String,
}

async fn first_difference(operations: &[Operation]) -> Option<Difference> {
    let (host, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut theirs = Theirs::new(&host.path().canonicalize().unwrap());
    let mut ours = Ours::new(Fs::new(tree(root.path()).await));
    for (step, operation) in operations.iter().enumerate() {
        if theirs.copies_onto_itself(operation) {
            continue;
        }
        let (expected, got) = (theirs.run(operation), ours.run(operation).await);
        let is_other_fault = |kind| expected.is_err() && theirs.faults(operation).contains(&kind);
        if expected != got && !got.as_ref().is_err_and(|kind| is_other_fault(*kind)) {
            let report = format!("std::fs said {expected:?}\nvfs::fs said {got:?}");
            return Some(Difference { step, report });
        }
        if step % LOOK_EVERY == 0 || step + 1 == operations.len() {
            let mut expected = Vec::new();
            theirs.walk(Path::new(""), &mut expected).unwrap();
            let got = ours.walk().await.unwrap();
            if expected != got {
                let report = format!("std::fs left {expected:#?}\nvfs::fs left {got:#?}");
                return Some(Difference { step, report });
            }
        }
    }
    None
}

/// Leaves out what the difference does not need: halves first, then ever smaller pieces.
async fn shortened(mut operations: Vec<Operation>) -> Vec<Operation> {
    let mut piece = operations.len() / 2;
    while piece > 0 {
        let mut start = 0;
        while start < operations.len() {
            let mut fewer = operations.clone();
            fewer.drain(start..(start + piece).min(operations.len()));
            match first_difference(&fewer).await {
                Some(found) => {
                    fewer.truncate(found.step + 1);
                    operations = fewer;
                }
                None => start += piece,
            }
        }
        piece /= 2;
    }
    operations
}

async fn compare(seed: u64) {
    let mut operations = script(seed, STEPS);
    let Some(found) = first_difference(&operations).await else { return };
    operations.truncate(found.step + 1);
    let short = shortened(operations).await;
    let report = first_difference(&short).await.map_or(found.report, |short| short.report);
    let steps: Vec<_> = short.iter().map(|operation| format!("    {operation:?}")).collect();
    panic!("seed {seed}, step {}:\n{report}\nafter\n{}", found.step, steps.join("\n"));
}

macro_rules! seeds {
    ($($name:ident: $seed:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            compare($seed).await;
        }
    )*};
}

seeds! {
    seed_1: 1;
    seed_2: 2;
    seed_3: 0x5eed;
    seed_4: 0x00c0_ffee;
}

//! Asks a site every case that applies in one test: a site takes longer to start than a case to ask.

use std::collections::HashMap;

use tokio::task::JoinSet;
use vfs::conformance::{self, Case, Skill, Subject};

/// Cases that are asked at once.
const AT_ONCE: usize = 8;

/// Asks every case that applies, but for those in `differ`, each on a subject of its own, and names all that fail. At
/// least `least` cases must apply.
pub(crate) async fn ask_all(
    make: impl AsyncFn(&Case) -> Subject,
    lacks: &[Skill],
    differ: &[&str],
    least: usize,
) {
    let (mut asked, mut failed) = (JoinSet::new(), Vec::new());
    let mut names = HashMap::new();
    for case in conformance::cases() {
        if differ.contains(&case.name) {
            continue;
        }
        let subject = make(case).await.lacking(lacks);
        if !case.applies_to(&subject) {
            continue;
        }
        names.insert(asked.spawn(async move { case.run(&subject).await }).id(), case.name);
        while asked.len() >= AT_ONCE {
            failed.extend(
                asked.join_next_with_id().await.and_then(|ended| ended.err()).map(|error| error.id()),
            );
        }
    }
    while let Some(ended) = asked.join_next_with_id().await {
        failed.extend(ended.err().map(|error| error.id()));
    }
    let failed: Vec<_> = failed.iter().map(|id| names[id]).collect();
    assert!(failed.is_empty(), "failed: {failed:#?}");
    assert!(names.len() >= least, "{} cases applied", names.len());
}

//! Our own FTP front end, read back as a remote site.

use std::collections::HashMap;

use tokio::task::JoinSet;
use vfs::conformance::{self, Skill, Subject};

use crate::trees::{ftp, ftp_writable};

/// FTP tells modes, and no name on it holds a line feed. The site prints names that look like markers with their `#`
/// doubled, and the folders whose links were taken out of the sample have a time of their own.
const FTP_LACKS: &[Skill] = &[
    Skill::Writes,
    Skill::Symlinks,
    Skill::NewlineNames,
    Skill::MarkerNames,
    Skill::FolderTimes,
    Skill::Locks,
    Skill::SpecialFiles,
];

/// A writable one takes files in order, and times of the last change alone.
const FTP_WRITABLE_LACKS: &[Skill] = &[
    Skill::Anywhere,
    Skill::Symlinks,
    Skill::HardLinks,
    Skill::NewlineNames,
    Skill::MarkerNames,
    Skill::FolderTimes,
    Skill::Locks,
    Skill::SpecialFiles,
];

/// Names that look like markers, again; a reader that opened before a publication hears `Changed` after it; a file is
/// not opened for writing without being cut; and MFMT sets the time of the last change, to the second.
const DIFFER_BY_WRITABLE_FTP: [&str; 5] = [
    "a_dropped_finish_leaves_the_old_or_the_new",
    "a_mode_is_set_on_an_open_file",
    "odd_names_are_made_moved_and_removed",
    "times_are_set",
    "times_are_set_on_an_open_file",
];

/// Cases that are asked at once.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ftp_site_of_our_own_is_a_tree_like_any_other() {
    ask_all(ftp, FTP_LACKS, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writable_ftp_site_of_our_own_is_a_tree_like_any_other() {
    ask_all(ftp_writable, FTP_WRITABLE_LACKS, &DIFFER_BY_WRITABLE_FTP).await;
}

/// Asks every case that applies, each on a subject of its own, and names all that fail.
async fn ask_all<F>(make: impl Fn() -> F, lacks: &[Skill], differ: &[&str])
where
    F: Future<Output = Subject>,
{
    let (mut asked, mut failed) = (JoinSet::new(), Vec::new());
    let mut names = HashMap::new();
    for case in conformance::cases() {
        let subject = make().await.lacking(lacks);
        if !case.applies_to(&subject) || differ.contains(&case.name) {
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
    assert!(names.len() > 60, "{} cases applied", names.len());
}

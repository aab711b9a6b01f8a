//! Our own FTP front end, read back as a remote site.

use std::sync::Arc;
use std::time::Duration;

use support::Served;
use vfs::backends::ftp::{FtpFs, FtpOptions};
use vfs::backends::memory::MemoryFs;
use vfs::conformance::{Body, Entry, Skill, Subject, fill, sample};
use vfs::{FileSystem, VPath};

use crate::asked::ask_all;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ftp_site_of_our_own_is_a_tree_like_any_other() {
    ask_all(async |_| site(false).await, FTP_LACKS, &[], 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writable_ftp_site_of_our_own_is_a_tree_like_any_other() {
    ask_all(async |_| site(true).await, FTP_WRITABLE_LACKS, &DIFFER_BY_WRITABLE_FTP, 60).await;
}

/// Our own FTP front end over the sample, as a remote site, without links and without the name that FTP cannot carry.
async fn site(writable: bool) -> Subject {
    let origin = Arc::new(MemoryFs::new());
    fill(&*origin, &VPath::root()).await.unwrap();
    let many = VPath::parse("/many").unwrap();
    // The cases that need the many files make them, where the tree lets them.
    let is_left_out = |entry: &Entry| {
        matches!(entry.body, Body::Link(_))
            || entry.path.segments().iter().any(|segment| segment.name().ends_with(b":"))
            || entry.path.to_bytes().contains(&b'\n')
            || writable && entry.path != many && entry.path.starts_with(&many)
    };
    for entry in sample().into_iter().filter(is_left_out) {
        origin.remove_file(&entry.path).await.unwrap();
    }
    let served = Served::start(origin).await;
    let options = FtpOptions { writable, ..FtpOptions::default() };
    let tree = FtpFs::new(&served.ftp.url("ftp", "/"), &options).unwrap();
    Subject::new(Arc::new(tree)).with_time_grain(Duration::from_secs(1)).keeping(served)
}

//! Our own front ends, read back as remote sites.

use vfs::conformance::{self, Skill, Subject};

use crate::trees::{ftp, http};

/// What HTTP does not carry over: the site prints names that look like markers with their `#` doubled, and those are the
/// names that a reader of its listing sees; and a folder's time stands in the listing alone.
const DIFFER: [&str; 7] = [
    "a_folder_lists_what_the_sample_puts_there",
    "a_name_like_a_marker_is_no_address",
    "listed_metadata_is_the_entrys_own",
    "metadata_tells_the_length",
    "metadata_tells_the_time",
    "metadata_tells_what_it_is",
    "the_content_is_read_whole",
];

/// What FTP does not carry over: names that look like markers, as above; and the folders whose links were taken out of
/// the sample have a time of their own.
const DIFFER_BY_FTP: [&str; 5] = [
    "a_folder_lists_what_the_sample_puts_there",
    "a_name_like_a_marker_is_no_address",
    "metadata_tells_the_length",
    "metadata_tells_the_time",
    "the_content_is_read_whole",
];

const LACKS: &[Skill] = &[Skill::Writes, Skill::Symlinks, Skill::Modes, Skill::Locks, Skill::SpecialFiles];

/// FTP tells modes, and no name on it holds a line feed.
const FTP_LACKS: &[Skill] =
    &[Skill::Writes, Skill::Symlinks, Skill::NewlineNames, Skill::Locks, Skill::SpecialFiles];

#[tokio::test]
async fn a_site_of_our_own_is_a_tree_like_any_other() {
    ask_all(&http().await.lacking(LACKS), &DIFFER).await;
}

#[tokio::test]
async fn an_ftp_site_of_our_own_is_a_tree_like_any_other() {
    ask_all(&ftp().await.lacking(FTP_LACKS), &DIFFER_BY_FTP).await;
}

async fn ask_all(subject: &Subject, differ: &[&str]) {
    let mut asked = 0;
    for case in conformance::cases() {
        if case.applies_to(subject) && !differ.contains(&case.name) {
            case.run(subject).await;
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked} cases applied");
}

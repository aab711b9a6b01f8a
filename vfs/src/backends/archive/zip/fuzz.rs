//! Any bytes as a zip archive: nothing may panic, no path may leave the root, and no member may be longer than it says.

use super::ending;
use super::member::WHOLE_BYTES;
use super::tests::{Entered, enter};
use super::{Content, ZipEntry};

/// Members that are opened.
const OPENED: usize = 16;

/// Takes `data` for an archive, and panics where something is wrong.
pub(super) fn fuzz(data: &[u8]) {
    let _ = ending::find(data, u64::MAX / 2);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    runtime.block_on(async {
        if let Ok(entered) = enter(data.to_vec()).await {
            entered.entries.iter().for_each(check_entry);
            check_members(&entered, data.len() as u64).await;
        }
    });
}

fn check_entry(entry: &ZipEntry) {
    assert!(!entry.path.contains(&0));
    for name in entry.path.split(|byte| *byte == b'/') {
        assert!(!matches!(name, b"" | b"." | b".."), "{:?}", entry.path);
    }
}

async fn check_members(entered: &Entered, len: u64) {
    for entry in entered.entries.iter().take(OPENED) {
        match entered.zip.open(&entry.member).await {
            Ok(Content::Whole(bytes)) => {
                assert!(bytes.len() as u64 == entry.member.len && entry.member.len <= WHOLE_BYTES);
            }
            Ok(Content::Stored(range) | Content::Packed(_, range)) => {
                assert!(range.start <= len && range.end.is_some_and(|end| end <= len));
            }
            Err(error) => assert!(error.detail().is_some(), "{error} says why"),
        }
    }
}

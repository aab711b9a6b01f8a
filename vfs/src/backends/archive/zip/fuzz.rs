//! Any bytes as a zip archive: nothing may panic, no path may leave the root, and no member may be longer than it says.

use std::sync::Arc;

use super::super::trial::Held;
use super::ending;
use super::member::WHOLE_BYTES;
use super::{Content, Directory, Zip, ZipEntry};
use crate::error::Result;

/// Members that are opened.
const OPENED: usize = 16;

/// Takes `data` for an archive, and panics where something is wrong.
pub(in super::super) fn fuzz(data: &[u8]) {
    let _ = ending::find(data, u64::MAX / 2);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    runtime.block_on(async {
        if let Ok((zip, entries)) = enter(data).await {
            entries.iter().for_each(check_entry);
            check_members(&zip, &entries, data.len() as u64).await;
        }
    });
}

async fn enter(data: &[u8]) -> Result<(Zip, Vec<ZipEntry>)> {
    let mut directory = Directory::find(Arc::new(Held(data.to_vec()))).await?;
    let mut entries = Vec::new();
    while let Some(batch) = directory.next().await? {
        entries.extend(batch);
    }
    let (zip, _) = directory.finish().await?;
    Ok((zip, entries))
}

fn check_entry(entry: &ZipEntry) {
    assert!(!entry.path.contains(&0));
    for name in entry.path.split(|byte| *byte == b'/') {
        assert!(!matches!(name, b"" | b"." | b".."), "{:?}", entry.path);
    }
}

async fn check_members(zip: &Zip, entries: &[ZipEntry], len: u64) {
    for entry in entries.iter().take(OPENED) {
        match zip.open(&entry.member).await {
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

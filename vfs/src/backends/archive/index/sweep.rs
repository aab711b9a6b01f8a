//! Sweeping the folder of indexes: what was not used for the longest time goes, so that the folder stays within a bound.

use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Leftovers of a pass that nobody took up for so long are given up: its archive is gone, or nobody wants it.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A file of ours.
struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
    is_index: bool,
}

/// Removes indexes until all of them take `limit` bytes at most; `newest`, which was just written, stays in any case.
/// Journals and unfinished indexes go when they are a week old. Files that are not ours are left alone.
///
/// # Errors
/// What listing the folder says. A file that cannot be removed is passed over.
pub(super) fn sweep(folder: &Path, newest: &Path, limit: u64, now: SystemTime) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder)? {
        kept.extend(ours(&entry?));
    }
    // The one that was used last comes first.
    kept.sort_unstable_by_key(|kept| (kept.path != newest, std::cmp::Reverse(kept.used)));
    let mut total = 0_u64;
    for Kept { path, bytes, used, is_index } in kept {
        let is_stale = now.duration_since(used).is_ok_and(|age| age > STALE);
        total = if is_index { total.saturating_add(bytes) } else { total };
        let is_over = is_index && total > limit && path != newest;
        if is_over || !is_index && is_stale {
            total = if is_index { total - bytes } else { total };
            // Another process may have done it, or the disk is read-only: then it stays.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// Notes that an index is in use.
pub(super) fn touch(index: &File) {
    // Where that is not allowed, it is swept sooner.
    let _ = index.set_modified(SystemTime::now());
}

fn ours(entry: &DirEntry) -> Option<Kept> {
    let path = entry.path();
    let is_index = match path.extension()?.to_str()? {
        "index" => true,
        "journal" | "tmp" => false,
        _ => return None,
    };
    let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
    Some(Kept { bytes: metadata.len(), used: metadata.modified().ok()?, path, is_index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (name, bytes, days) in [
            ("new.index", 400, 30),
            ("old.index", 400, 3),
            ("used.index", 400, 1),
            ("large.index", 900, 2),
            ("young.journal", 5000, 2),
            ("stale.journal", 10, 8),
            ("stale.tmp", 10, 9),
            ("foreign", 9000, 100),
        ] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_len(bytes).unwrap();
            file.set_modified(now - Duration::from_secs(days * 24 * 3600)).unwrap();
        }
        sweep(folder.path(), &folder.path().join("new.index"), 1300, now).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["foreign", "new.index", "old.index", "used.index", "young.journal"]);
        sweep(folder.path(), &folder.path().join("new.index"), 0, now).unwrap();
        assert!(folder.path().join("new.index").exists());
        assert!(!folder.path().join("used.index").exists());
    }
}

//! The sample as a folder of the host, for servers that show one.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use vfs::backends::local::{Links, LocalFs, LocalOptions};
use vfs::conformance::{Body, Entry, Skill, Subject, fill, sample};
use vfs::{FileSystem, SetAttributes, VPath};

/// The sample in a folder that every server may read, without what a site that lacks `lacks` cannot show.
pub(crate) async fn shown_folder(lacks: &[Skill]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fill_folder(folder.path(), lacks, true).await;
    folder
}

/// The same in `folder`, which is there; `has_many`: with the many files too.
pub(crate) async fn fill_folder(folder: &Path, lacks: &[Skill], has_many: bool) {
    let options = LocalOptions { links: Links::Beneath, writable: true };
    let tree = Arc::new(LocalFs::open_with(folder, &options).unwrap());
    if has_many {
        fill(&*tree, &VPath::root()).await.unwrap();
    } else {
        Subject::filled(Arc::<LocalFs>::clone(&tree)).await;
    }
    let many = VPath::parse("/many").unwrap();
    let is_there = |entry: &Entry| has_many || entry.path == many || !entry.path.starts_with(&many);
    for entry in sample().into_iter().rev().filter(is_there) {
        let mode = match entry.body {
            Body::Link(_) | Body::File(_) if !is_shown(&entry, lacks) => {
                tree.remove_file(&entry.path).await.unwrap();
                continue;
            }
            Body::Link(_) => continue,
            _ if !lacks.contains(&Skill::Modes) => entry.mode,
            Body::Dir => Some(0o755),
            Body::File(_) => Some(0o644),
        };
        let attributes = SetAttributes { mode, modified: entry.modified, ..SetAttributes::default() };
        tree.set_attributes(&entry.path, &attributes, false).await.unwrap();
    }
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

fn is_shown(entry: &Entry, lacks: &[Skill]) -> bool {
    let name = entry.path.file_name().unwrap().name();
    let is_left_out = lacks.contains(&Skill::NewlineNames) && name.contains(&b'\n')
        || lacks.contains(&Skill::BackslashNames) && name.contains(&b'\\')
        || lacks.contains(&Skill::ByteNames) && std::str::from_utf8(name).is_err()
        || lacks.contains(&Skill::Symlinks) && matches!(entry.body, Body::Link(_));
    !is_left_out
}

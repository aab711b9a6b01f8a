//! [`Snapshot`]: a whole tree at one moment, to show that a refused change has changed nothing.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;

use super::Subject;
use super::expect::Expect;
use crate::error::Error;
use crate::metadata::{FileType, Owner};
use crate::options::ListOptions;
use crate::path::VPath;

/// Everything that can be seen of a tree but the times of reading.
#[derive(Debug, PartialEq)]
pub(super) struct Snapshot(BTreeMap<VPath, Seen>);

#[derive(Debug, PartialEq)]
struct Seen {
    file_type: Option<FileType>,
    len: Option<u64>,
    modified: Option<SystemTime>,
    mode: Option<u32>,
    owner: Option<Owner>,
    links: Option<u64>,
    content: Option<Bytes>,
}

impl Snapshot {
    /// Looks at everything. Of `/many` only the names: thousands of requests a snapshot would be too much for a remote
    /// tree.
    pub(super) async fn of(subject: &Subject) -> Self {
        let mut seen = BTreeMap::from([(subject.root().clone(), see(subject, subject.root()).await)]);
        let mut folders = vec![subject.root().clone()];
        let many = subject.at("/many");
        while let Some(folder) = folders.pop() {
            for entry in subject.listing(&folder, &ListOptions::default()).await {
                let path =
                    folder.child(entry.name).map_err(Error::from).must(format!("{folder} lists names"));
                let found =
                    if folder == many { Seen::type_only(entry.file_type) } else { see(subject, &path).await };
                if found.file_type == Some(FileType::Dir) {
                    folders.push(path.clone());
                }
                seen.insert(path, found);
            }
        }
        Self(seen)
    }

    /// The same without the times of folders, which a part file beside its target moves.
    pub(super) fn without_folder_times(mut self) -> Self {
        for seen in self.0.values_mut().filter(|seen| seen.file_type == Some(FileType::Dir)) {
            seen.modified = None;
        }
        self
    }

    /// Panics with the first difference where the tree is not as it was.
    pub(super) async fn must_hold(&self, subject: &Subject, behaviour: &str) {
        self.must_equal(&Self::of(subject).await, behaviour);
    }

    /// As [`Snapshot::must_hold`], for a snapshot that is taken already.
    pub(super) fn must_equal(&self, now: &Self, behaviour: &str) {
        for (path, was) in &self.0 {
            let is = now.0.get(path);
            assert!(is == Some(was), "{behaviour}; yet {path} was {was:?} and is {is:?}");
        }
        let new = now.0.keys().find(|path| !self.0.contains_key(path));
        assert!(new.is_none(), "{behaviour}; yet {new:?} is new");
    }
}

impl Seen {
    fn type_only(file_type: Option<FileType>) -> Self {
        Self { file_type, len: None, modified: None, mode: None, owner: None, links: None, content: None }
    }
}

async fn see(subject: &Subject, path: &VPath) -> Seen {
    let found = subject.entry(path).await.must(format!("{path} is described"));
    let content = match found.file_type {
        FileType::File => Some(subject.content(path).await.into()),
        FileType::Symlink => {
            Some(subject.tree().read_link(path).await.must(format!("{path} tells its text")))
        }
        FileType::Dir | FileType::Other => None,
    };
    Seen {
        file_type: Some(found.file_type),
        len: found.len,
        modified: found.modified,
        mode: found.mode,
        owner: found.owner,
        links: found.links,
        content,
    }
}

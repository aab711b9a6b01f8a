//! RETR of an archive that is not there, named after a folder that is: it is made while it is sent.

use std::sync::Arc;

use vfs::jobs::Disk;
use vfs::producer::Packing;
use vfs::{Error, ErrorKind, ListOptions, StatOptions, VPath};

use super::{Ask, Content, Failure, Opening, Outcome};

impl Ask {
    /// What RETR answers where nothing has the name: the folder before the suffix as an archive, with what this session may
    /// read of it. Where there is no such folder, `missing` says what there was to say.
    pub(super) async fn pack(self, missing: Error, wanted: Wanted, disk: &Disk) -> Outcome {
        let Some((folder, packing)) = packed_folder(&self.path) else {
            return self.fail(Failure::Tree(missing));
        };
        let entries = match self.view.read_dir(&folder, &ListOptions::with_metadata()).await {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return self.fail(Failure::Tree(missing));
            }
            Err(error) => return self.fail(Failure::Tree(error)),
        };
        match wanted {
            Wanted::Part => self.fail(Failure::PartOfPacked),
            Wanted::Lines => self.fail(Failure::LinesOfPacked),
            Wanted::Whole => {
                let content = packing.pack(Arc::clone(&self.view), &folder, entries, disk);
                Outcome::Opened(Opening {
                    path: self.path,
                    content: Content::Out(content),
                    len: None,
                    is_file: true,
                })
            }
        }
    }

    /// Why SIZE has no answer where nothing has the name: of an archive that RETR would make the length is not known.
    pub(super) async fn why_unmeasured(&self, missing: Error) -> Failure {
        let Some((folder, _)) = packed_folder(&self.path).filter(|_| missing.kind() == ErrorKind::NotFound)
        else {
            return Failure::Tree(missing);
        };
        match self.view.metadata(&folder, &StatOptions::default()).await {
            Ok(found) if found.is_dir() => Failure::LenUnknown,
            _ => Failure::Tree(missing),
        }
    }
}

/// What a client wants of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// What lies behind an offset, or a range. Made anew, its bytes need not be the same.
    Part,
    /// All of it, with line ends that would spoil it.
    Lines,
}

/// The folder that an archive of this name would be made of: `/a/b.tar.gz` is one of `/a/b`.
fn packed_folder(path: &VPath) -> Option<(VPath, Packing)> {
    let name = path.file_name().filter(|name| name.markers().is_empty())?;
    let (stem, packing) = Packing::of_name(name.name())?;
    let mut folder = path.parent()?;
    // A marker that the suffix has hidden leads inside: `x.tgz#tgz:.zip` is made of what `x.tgz` holds.
    folder.join_segment(stem).ok()?;
    Some((folder, packing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_named_after_its_folder() {
        for (path, folder) in [
            ("/a.tar", Some(("/a", Packing::Tar))),
            ("/a/b c.tar.gz", Some(("/a/b c", Packing::TarGz))),
            ("/a.b.tar.zst", Some(("/a.b", Packing::TarZst))),
            ("/a.zip", Some(("/a", Packing::Zip))),
            ("/x.tgz#tgz:.zip", Some(("/x.tgz#tgz:", Packing::Zip))),
            ("/x.tar.tar", Some(("/x.tar", Packing::Tar))),
            ("/", None),
            ("/a", None),
            ("/.tar", None),
            ("/d/..tar", None),
            ("/d/...tar", None),
            ("/d.tar#tar:", None),
            ("/a.TAR", None),
        ] {
            let found = packed_folder(&VPath::parse(path).unwrap());
            assert_eq!(found, folder.map(|(path, packing)| (VPath::parse(path).unwrap(), packing)), "{path}");
        }
    }
}

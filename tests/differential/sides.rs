//! The two sides of the comparison: the same operations through `vfs::fs` and through `std::fs`.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use vfs::fs::{DirBuilder, File, Fs, OpenOptions, Permissions};

use crate::script::{Operation, SLOTS};

/// What a step said, in words that both sides use.
pub(crate) type Outcome = Result<String, io::ErrorKind>;

/// The host, through the standard library.
pub(crate) struct Theirs {
    root: PathBuf,
    files: [Option<std::fs::File>; SLOTS],
}

/// A tree, through `vfs::fs`.
pub(crate) struct Ours {
    fs: Fs,
    files: [Option<File>; SLOTS],
}

/// What one side knows of a file: kind, bits with their type; and for all but folders length and names.
type Facts = (u32, Option<(u64, u64)>);

fn told<T: std::fmt::Debug>(result: io::Result<T>) -> Outcome {
    result.map(|value| format!("{value:?}")).map_err(|error| error.kind())
}

/// Content in a few words.
fn summary(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{} bytes, {:x}", content.len(), hasher.finish())
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
}

impl Theirs {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), files: [const { None }; SLOTS] }
    }

    /// True where both names lead to one file: a copy onto itself, which the standard library lets empty the file and
    /// `vfs::fs` refuses.
    pub(crate) fn copies_onto_itself(&self, operation: &Operation) -> bool {
        let Operation::Copy(from, to) = operation else { return false };
        let of = |path| std::fs::metadata(self.root.join(path)).map(|found| (found.dev(), found.ino()));
        match (of(from.literal()), of(to.literal())) {
            (Ok(from), Ok(to)) => from == to,
            _ => false,
        }
    }

    /// What each of the two paths of a rename or link is refused for by itself. Where both are at fault it is open which
    /// is told: the kernel walks them in one order, a tree that opens the folders first in another.
    pub(crate) fn faults(&self, operation: &Operation) -> Vec<io::ErrorKind> {
        let (Operation::Rename(from, to) | Operation::HardLink(from, to)) = operation else {
            return Vec::new();
        };
        let (from, to) = (self.root.join(from.literal()), self.root.join(to.literal()));
        let folder = to.parent().map(|folder| std::fs::metadata(folder.join(".")));
        let faults = [std::fs::symlink_metadata(from).err(), folder.and_then(Result::err)];
        faults.into_iter().flatten().map(|error| error.kind()).collect()
    }

    pub(crate) fn run(&mut self, operation: &Operation) -> Outcome {
        use Operation as Op;
        let at = |place: &crate::script::Place| self.root.join(place.literal());
        match operation {
            Op::CreateDir(place) => told(std::fs::create_dir(at(place))),
            Op::CreateDirAll(place) => told(std::fs::create_dir_all(at(place))),
            Op::MakeDir { place, recursive, mode } => {
                told(std::fs::DirBuilder::new().recursive(*recursive).mode(*mode).create(at(place)))
            }
            Op::Write(place, content) => told(std::fs::write(at(place), &content.0)),
            Op::Read(place) => told(std::fs::read(at(place)).map(|content| summary(&content))),
            Op::ReadToString(place) => {
                told(std::fs::read_to_string(at(place)).map(|text| summary(text.as_bytes())))
            }
            Op::Copy(from, to) => told(std::fs::copy(at(from), at(to))),
            Op::Rename(from, to) => told(std::fs::rename(at(from), at(to))),
            Op::HardLink(original, link) => told(std::fs::hard_link(at(original), at(link))),
            Op::Symlink(text, link) => told(symlink(text.literal(), at(link))),
            Op::ReadLink(place) => told(std::fs::read_link(at(place))),
            Op::Canonicalize(place) => told(
                std::fs::canonicalize(at(place))
                    .map(|found| found.strip_prefix(&self.root).expect("links stay inside").to_owned()),
            ),
            Op::Exists(place) => told(std::fs::exists(at(place))),
            Op::Metadata(place) => told(std::fs::metadata(at(place)).map(|found| facts(&found))),
            Op::SymlinkMetadata(place) => {
                told(std::fs::symlink_metadata(at(place)).map(|found| facts(&found)))
            }
            Op::ReadDir(place) => told(list(&at(place))),
            Op::RemoveFile(place) => told(std::fs::remove_file(at(place))),
            Op::RemoveDir(place) => told(std::fs::remove_dir(at(place))),
            Op::RemoveDirAll(place) => told(std::fs::remove_dir_all(at(place))),
            Op::SetPermissions(place, mode) => {
                told(std::fs::set_permissions(at(place), std::fs::Permissions::from_mode(*mode)))
            }
            Op::Open(slot, place, switches) => {
                let opened = std::fs::OpenOptions::new()
                    .read(switches.read)
                    .write(switches.write)
                    .append(switches.append)
                    .truncate(switches.truncate)
                    .create(switches.create)
                    .create_new(switches.create_new)
                    .mode(switches.mode)
                    .open(at(place));
                match opened {
                    // The standard library opens folders for reading, `vfs::fs` does not.
                    Ok(file) if file.metadata().is_ok_and(|found| found.is_dir()) => {
                        Err(io::ErrorKind::IsADirectory)
                    }
                    opened => told(opened.map(|file| drop(self.files[*slot].replace(file)))),
                }
            }
            Op::FileClose(slot) => told(Ok(self.files[*slot].take().is_some())),
            Op::FileClone(slot, to) => match &self.files[*slot] {
                None => Ok("empty".to_owned()),
                Some(file) => {
                    let clone = file.try_clone().map_err(|error| error.kind())?;
                    self.files[*to] = Some(clone);
                    Ok(String::new())
                }
            },
            Op::FileRead(slot, _)
            | Op::FileWrite(slot, _)
            | Op::FileSeek(slot, _)
            | Op::FileReadAt(slot, ..)
            | Op::FileWriteAt(slot, ..)
            | Op::FileSetLen(slot, _)
            | Op::FileSetModified(slot, _)
            | Op::FileMetadata(slot)
            | Op::FileSync(slot) => match &mut self.files[*slot] {
                None => Ok("empty".to_owned()),
                Some(file) => on_file(file, operation),
            },
        }
    }

    /// Everything below `folder`, path by path.
    pub(crate) fn walk(&self, folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
        for name in list(&self.root.join(folder))? {
            let path = folder.join(OsString::from_vec(name.0));
            let host = self.root.join(&path);
            let described = std::fs::symlink_metadata(&host)?;
            let content = if described.is_file() { summary(&std::fs::read(&host)?) } else { String::new() };
            found.push(format!("{path:?} {:?} {content}", facts(&described)));
            if described.is_dir() {
                self.walk(&path, found)?;
            }
        }
        Ok(())
    }
}

fn on_file(file: &mut std::fs::File, operation: &Operation) -> Outcome {
    use Operation as Op;
    match operation {
        Op::FileRead(_, max) => {
            let mut content = vec![0; *max];
            told(file.read(&mut content).map(|len| summary(&content[..len])))
        }
        Op::FileWrite(_, content) => told(file.write_all(&content.0).and_then(|()| file.flush())),
        Op::FileSeek(_, to) => told(file.seek(*to)),
        Op::FileReadAt(_, max, offset) => {
            let mut content = vec![0; *max];
            told(file.read_at(&mut content, *offset).map(|len| summary(&content[..len])))
        }
        Op::FileWriteAt(_, content, offset) => told(file.write_all_at(&content.0, *offset)),
        Op::FileSetLen(_, len) => told(file.set_len(*len)),
        Op::FileSetModified(_, seconds) => {
            told(file.set_modified(time(*seconds)).and_then(|()| file.metadata()?.modified()))
        }
        Op::FileMetadata(_) => told(file.metadata().map(|found| facts(&found))),
        _ => told(file.sync_all()),
    }
}

fn facts(found: &std::fs::Metadata) -> Facts {
    (found.mode(), (!found.is_dir()).then(|| (found.len(), found.nlink())))
}

/// Literal names, and which of them are folders or links.
fn list(folder: &Path) -> io::Result<Vec<(Vec<u8>, bool, bool)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let file_type = entry.file_type()?;
        names.push((entry.file_name().as_bytes().to_vec(), file_type.is_dir(), file_type.is_symlink()));
    }
    names.sort();
    Ok(names)
}

impl Ours {
    pub(crate) fn new(fs: Fs) -> Self {
        Self { fs, files: [const { None }; SLOTS] }
    }

    pub(crate) async fn run(&mut self, operation: &Operation) -> Outcome {
        use Operation as Op;
        let fs = &self.fs;
        match operation {
            Op::CreateDir(place) => told(fs.create_dir(place.printed()).await),
            Op::CreateDirAll(place) => told(fs.create_dir_all(place.printed()).await),
            Op::MakeDir { place, recursive, mode } => {
                let mut builder = DirBuilder::new();
                builder.recursive(*recursive).mode(*mode);
                told(fs.create_dir_with(place.printed(), &builder).await)
            }
            Op::Write(place, content) => told(fs.write(place.printed(), &content.0).await),
            Op::Read(place) => told(fs.read(place.printed()).await.map(|content| summary(&content))),
            Op::ReadToString(place) => {
                told(fs.read_to_string(place.printed()).await.map(|text| summary(text.as_bytes())))
            }
            Op::Copy(from, to) => told(fs.copy(from.printed(), to.printed()).await),
            Op::Rename(from, to) => told(fs.rename(from.printed(), to.printed()).await),
            Op::HardLink(original, link) => told(fs.hard_link(original.printed(), link.printed()).await),
            // A link's text is literal on both sides.
            Op::Symlink(text, link) => told(fs.symlink(text.literal(), link.printed()).await),
            Op::ReadLink(place) => told(fs.read_link(place.printed()).await),
            Op::Canonicalize(place) => told(fs.canonicalize(place.printed()).await.map(|found| {
                let path = vfs::VPath::parse(found.as_os_str().as_bytes()).expect("a printed path");
                let names = path.segments().iter().map(|segment| OsString::from_vec(segment.name().to_vec()));
                names.collect::<PathBuf>()
            })),
            Op::Exists(place) => told(fs.exists(place.printed()).await),
            Op::Metadata(place) => told(fs.metadata(place.printed()).await.map(|found| known(&found))),
            Op::SymlinkMetadata(place) => {
                told(fs.symlink_metadata(place.printed()).await.map(|found| known(&found)))
            }
            Op::ReadDir(place) => told(self.list(&place.printed()).await),
            Op::RemoveFile(place) => told(fs.remove_file(place.printed()).await),
            Op::RemoveDir(place) => told(fs.remove_dir(place.printed()).await),
            Op::RemoveDirAll(place) => told(fs.remove_dir_all(place.printed()).await),
            Op::SetPermissions(place, mode) => {
                told(fs.set_permissions(place.printed(), Permissions::from_mode(*mode)).await)
            }
            Op::Open(slot, place, switches) => {
                let mut options = OpenOptions::new();
                options
                    .read(switches.read)
                    .write(switches.write)
                    .append(switches.append)
                    .truncate(switches.truncate)
                    .create(switches.create)
                    .create_new(switches.create_new)
                    .mode(switches.mode);
                let opened = fs.open_with(place.printed(), &options).await;
                told(opened.map(|file| drop(self.files[*slot].replace(file))))
            }
            Op::FileClose(slot) => match self.files[*slot].take() {
                Some(file) => told(file.close().await.map(|()| true)),
                None => told(Ok(false)),
            },
            Op::FileClone(slot, to) => match &self.files[*slot] {
                None => Ok("empty".to_owned()),
                Some(file) => {
                    let clone = file.try_clone().await.map_err(|error| error.kind())?;
                    self.files[*to] = Some(clone);
                    Ok(String::new())
                }
            },
            Op::FileRead(slot, _)
            | Op::FileWrite(slot, _)
            | Op::FileSeek(slot, _)
            | Op::FileReadAt(slot, ..)
            | Op::FileWriteAt(slot, ..)
            | Op::FileSetLen(slot, _)
            | Op::FileSetModified(slot, _)
            | Op::FileMetadata(slot)
            | Op::FileSync(slot) => match &mut self.files[*slot] {
                None => Ok("empty".to_owned()),
                Some(file) => on_our_file(file, operation).await,
            },
        }
    }

    /// Everything below `folder`, in the words of [`Theirs::walk`].
    pub(crate) async fn walk(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![(PathBuf::new(), PathBuf::from("/"))];
        // Depth first, as the recursion on the other side: children go on top in reverse.
        while let Some((literal, printed)) = folders.pop() {
            if !literal.as_os_str().is_empty() {
                let described = self.fs.symlink_metadata(&printed).await?;
                let content =
                    if described.is_file() { summary(&self.fs.read(&printed).await?) } else { String::new() };
                found.push(format!("{literal:?} {:?} {content}", known(&described)));
                if !described.is_dir() {
                    continue;
                }
            }
            for (name, ..) in self.list(&printed).await?.into_iter().rev() {
                let shown = vfs::path::printed_name(&name).into_owned();
                folders
                    .push((literal.join(OsString::from_vec(name)), printed.join(OsString::from_vec(shown))));
            }
        }
        Ok(found)
    }

    async fn list(&self, folder: &Path) -> io::Result<Vec<(Vec<u8>, bool, bool)>> {
        let mut listing = self.fs.read_dir(folder).await?;
        let mut names = Vec::new();
        while let Some(entry) = listing.next_entry().await? {
            let file_type = entry.file_type().await?;
            names.push((entry.inner().name.to_vec(), file_type.is_dir(), file_type.is_symlink()));
        }
        names.sort();
        Ok(names)
    }
}

async fn on_our_file(file: &mut File, operation: &Operation) -> Outcome {
    use Operation as Op;
    match operation {
        Op::FileRead(_, max) => {
            let mut content = vec![0; *max];
            told(file.read(&mut content).await.map(|len| summary(&content[..len])))
        }
        Op::FileWrite(_, content) => {
            let written = file.write_all(&content.0).await;
            told(match written {
                Ok(()) => file.flush().await,
                Err(error) => Err(error),
            })
        }
        Op::FileSeek(_, to) => told(file.seek(*to).await),
        Op::FileReadAt(_, max, offset) => {
            let mut content = vec![0; *max];
            told(file.read_at(&mut content, *offset).await.map(|len| summary(&content[..len])))
        }
        Op::FileWriteAt(_, content, offset) => told(file.write_all_at(&content.0, *offset).await),
        Op::FileSetLen(_, len) => told(file.set_len(*len).await),
        Op::FileSetModified(_, seconds) => {
            let set = file.set_modified(time(*seconds)).await;
            told(match set {
                Ok(()) => file.metadata().await.and_then(|found| found.modified()),
                Err(error) => Err(error),
            })
        }
        Op::FileMetadata(_) => told(file.metadata().await.map(|found| known(&found))),
        _ => told(file.sync_all().await),
    }
}

fn known(found: &vfs::fs::Metadata) -> Facts {
    (found.mode(), (!found.is_dir()).then(|| (found.len(), found.nlink())))
}

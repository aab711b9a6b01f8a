//! Requests that change the tree: PUT, DELETE, MKCOL, MOVE, COPY, and the form of a folder's page.
//!
//! Files are replaced whole: until an upload is complete the old one stays, and one that breaks off leaves nothing. Only
//! a part with a place of its own (`Content-Range`) is written into the file as it comes, so that it can be gone on with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use vfs::jobs::Disk;
use vfs::{
    ErrorKind, File, FileSystem, FileType, Metadata, OpenOptions, RenameOptions, StatOptions, VPath, Writes,
    walk,
};

use super::command::{Change, Deed, Depth, Errand, Refusal};
use super::incoming::{Filling, Incoming, fill};
use super::session::{Facts, Failure, Outcome};
use super::wire::{FormEvent, FormReader, Placed};

/// Files of one form.
const FORM_FILES: usize = 1000;

/// Bytes of a form's field that is no file.
const FIELD_BYTES: usize = 4096;

/// Carries out a change, unless its path takes none. Of what is copied nothing is asked but that it can be read.
pub(super) async fn change<B>(
    tree: &dyn FileSystem,
    change: Change,
    body: &mut Incoming<B>,
    limit: Option<u64>,
    disk: &Disk,
) -> Result<Outcome, Failure>
where
    B: http_body::Body + Unpin,
{
    let Change { place, deed, conditions, body_bytes } = change;
    let path = place.path;
    let is_copied = matches!(deed, Ok(Deed::Copy(..)));
    if !is_copied && allowed(tree, &path) == Allowed::Reading {
        return unchangeable(tree, &path).await;
    }
    let deed = deed?;
    if let (Some(limit), Some(len)) = (limit, body_bytes)
        && len > limit
    {
        return Err(Refusal::TooLong(limit).into());
    }
    if let Deed::TakeForm(boundary) = &deed {
        return take_form(tree, &path, boundary, body).await;
    }
    let found = look(tree, &path, matches!(deed, Deed::Store(_))).await?;
    let version = found.as_ref().map(|found| (found.validator.as_ref(), found.modified));
    if !conditions.allow_change(version) {
        return Ok(Outcome::PreconditionFailed);
    }
    match deed {
        Deed::Store(_) if place.is_folder => Err(Refusal::FolderName.into()),
        Deed::Store(Some(part)) if limit.is_some_and(|limit| part.end() > limit) => {
            Err(Refusal::TooLong(limit.unwrap_or_default()).into())
        }
        Deed::Store(Some(part)) => store_part(tree, &path, part, body_bytes, found, body).await,
        Deed::Store(None) => {
            let mut options = OpenOptions::replacing();
            options.create_new = conditions.wants_new();
            options.if_match = found.as_ref().filter(|_| conditions.wants_version()).and_then(version_of);
            store(tree, &path, &options, found.is_some(), body).await
        }
        Deed::Remove => remove(tree, &path, found, place.is_folder).await,
        Deed::MakeFolder if found.is_some() => Ok(Outcome::NotAllowed(allowed(tree, &path))),
        Deed::MakeFolder => {
            tree.create_dir(&path).await.map_err(beside)?;
            Ok(Outcome::Created)
        }
        Deed::Move(errand) => go(tree, &path, found, &errand, disk).await,
        Deed::Copy(errand, depth) => copy(tree, &path, found, &errand, depth, disk).await,
        Deed::TakeForm(_) => Ok(Outcome::Changed),
    }
}

/// The methods that `path` takes.
pub(super) fn allowed(tree: &dyn FileSystem, path: &VPath) -> Allowed {
    if tree.capabilities(path).writes == Writes::None { Allowed::Reading } else { Allowed::Changing }
}

/// Why `path` takes no changes: nobody may make any, or the asker may not.
async fn unchangeable(tree: &dyn FileSystem, path: &VPath) -> Result<Outcome, Failure> {
    // An opening that creates and cuts nothing leaves everything as it is, should it succeed.
    let options = OpenOptions { write: true, ..OpenOptions::default() };
    match tree.open(path, &options).await {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error.into()),
        _ => Ok(Outcome::NotAllowed(Allowed::Reading)),
    }
}

/// What may be done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Only reading.
    Reading,
    /// Changes too.
    Changing,
}

/// What is at `path`, if anything.
async fn look(tree: &dyn FileSystem, path: &VPath, follow: bool) -> vfs::Result<Option<Metadata>> {
    match tree.metadata(path, &StatOptions { follow, ..StatOptions::default() }).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn version_of(found: &Metadata) -> Option<vfs::Validator> {
    found.validator.clone()
}

/// RFC 4918 §9.3.1, §9.7.1, §9.9.4: where the folder around it is missing, that is a conflict and not a miss.
fn beside(error: vfs::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Refusal::NoParent.into(),
        _ => error.into(),
    }
}

/// Where somebody was quicker than the conditions of the request.
fn conditional(error: vfs::Error, options: &OpenOptions) -> Result<Outcome, Failure> {
    match error.kind() {
        ErrorKind::AlreadyExists if options.create_new => Ok(Outcome::PreconditionFailed),
        ErrorKind::Changed if options.if_match.is_some() => Ok(Outcome::PreconditionFailed),
        _ => Err(beside(error)),
    }
}

async fn store<B>(
    tree: &dyn FileSystem,
    path: &VPath,
    options: &OpenOptions,
    is_there: bool,
    body: &mut Incoming<B>,
) -> Result<Outcome, Failure>
where
    B: http_body::Body + Unpin,
{
    let file = match tree.open(path, options).await {
        Ok(file) => file,
        Err(error) => return conditional(error, options),
    };
    fill(&file, 0, body).await?;
    if let Err(error) = file.finish().await {
        return conditional(error, options);
    }
    stored(tree, path, !is_there).await
}

/// What became of an upload: with its version, so that the client can go on from there.
async fn stored(tree: &dyn FileSystem, path: &VPath, is_new: bool) -> Result<Outcome, Failure> {
    let facts = tree.metadata(path, &StatOptions::default()).await.ok().map(|found| Facts::of(&found));
    Ok(Outcome::Stored { is_new, facts })
}

/// A part is written where it belongs, at once (RFC 9110 §14.5). It may begin where the file ends, or before.
async fn store_part<B>(
    tree: &dyn FileSystem,
    path: &VPath,
    part: Placed,
    body_bytes: Option<u64>,
    found: Option<Metadata>,
    body: &mut Incoming<B>,
) -> Result<Outcome, Failure>
where
    B: http_body::Body + Unpin,
{
    if body_bytes.is_some_and(|len| len != part.len) {
        return Err(Refusal::BadPlace.into());
    }
    let len = match &found {
        Some(found) => found.len.unwrap_or(0),
        None => 0,
    };
    if part.start > len {
        return Ok(Outcome::Unsatisfiable(len));
    }
    let options = OpenOptions { write: true, create: part.start == 0, ..OpenOptions::default() };
    let file = tree.open(path, &options).await.map_err(beside)?;
    // Nothing is written behind the place that was named.
    let (mut filling, mut left) = (Filling::new(Arc::clone(&file), part.start), part.len);
    while let Some(bytes) = body.next().await? {
        left = left.checked_sub(bytes.len() as u64).ok_or(Refusal::BadPlace)?;
        filling.add(bytes).await?;
    }
    let end = filling.end().await?;
    if end != part.end() {
        return Err(Refusal::BodyBroke.into());
    }
    if part.total == Some(end) && end < len {
        file.set_len(end).await?;
    }
    file.finish().await?;
    stored(tree, path, found.is_none()).await
}

async fn remove(
    tree: &dyn FileSystem,
    path: &VPath,
    found: Option<Metadata>,
    is_folder: bool,
) -> Result<Outcome, Failure> {
    if path.is_root() {
        return Err(Refusal::Whole.into());
    }
    let Some(found) = found.filter(|found| found.is_dir() || !is_folder) else { return Err(missing(path)) };
    if found.is_dir() {
        remove_folder(tree, path).await?;
    } else {
        tree.remove_file(path).await?;
    }
    Ok(Outcome::Changed)
}

/// Removes a folder with all that is in it, or nothing: it is set aside first, which is refused where anything in it may not
/// be changed.
async fn remove_folder(tree: &dyn FileSystem, path: &VPath) -> Result<(), Failure> {
    match Aside::set(tree, path).await {
        Ok(aside) => aside.remove().await,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error.into()),
        // A tree that renames nothing, or a mount point.
        Err(_) => Ok(walk::remove_dir_all(tree, path).await?),
    }
}

/// Something that was given another name for a while, beside its own, so that what takes its place can fail.
struct Aside<'a> {
    tree: &'a dyn FileSystem,
    path: &'a VPath,
    aside: VPath,
}

impl<'a> Aside<'a> {
    async fn set(tree: &'a dyn FileSystem, path: &'a VPath) -> vfs::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!(".vfsd-aside-{:x}-{:x}", since.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed));
        let aside = path.parent().unwrap_or_default().child(name)?;
        tree.rename(path, &aside, &RenameOptions { no_replace: true }).await?;
        Ok(Self { tree, path, aside })
    }

    /// Removes it; what cannot be removed has its own name again.
    async fn remove(self) -> Result<(), Failure> {
        let found = self.tree.metadata(&self.aside, &StatOptions::no_follow()).await?;
        let removed = match found.is_dir() {
            true => walk::remove_dir_all(self.tree, &self.aside).await,
            false => self.tree.remove_file(&self.aside).await,
        };
        if removed.is_err() {
            self.restore().await;
        }
        Ok(removed?)
    }

    /// Gives it its own name again. What has that by now is half of what was to take its place.
    async fn restore(self) {
        _ = walk::remove_dir_all(self.tree, self.path).await;
        _ = self.tree.remove_file(self.path).await;
        if let Err(error) = self.tree.rename(&self.aside, self.path, &RenameOptions::default()).await {
            tracing::error!(path = %self.path, aside = %self.aside, %error, "what was set aside has kept that name");
        }
    }
}

fn missing(path: &VPath) -> Failure {
    vfs::Error::new(ErrorKind::NotFound, "metadata", path).into()
}

/// MOVE (RFC 4918 §9.9): a rename, or a copy where the two ends lie on different mounts.
async fn go(
    tree: &dyn FileSystem,
    path: &VPath,
    found: Option<Metadata>,
    errand: &Errand,
    disk: &Disk,
) -> Result<Outcome, Failure> {
    let found = found.ok_or_else(|| missing(path))?;
    let Some(way) = make_way(tree, path, found.file_type, errand).await? else {
        return Ok(Outcome::PreconditionFailed);
    };
    let options = RenameOptions { no_replace: !errand.overwrites };
    let moved = match tree.rename(path, &errand.to, &options).await {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            walk::copy_all(tree, path, &errand.to, disk).await
        }
        moved => {
            return way.settle(moved).await;
        }
    };
    let outcome = way.settle(moved).await?;
    if found.is_dir() {
        remove_folder(tree, path).await?;
    } else {
        tree.remove_file(path).await?;
    }
    Ok(outcome)
}

/// COPY (RFC 4918 §9.8).
async fn copy(
    tree: &dyn FileSystem,
    path: &VPath,
    found: Option<Metadata>,
    errand: &Errand,
    depth: Depth,
    disk: &Disk,
) -> Result<Outcome, Failure> {
    let found = found.ok_or_else(|| missing(path))?;
    let Some(way) = make_way(tree, path, found.file_type, errand).await? else {
        return Ok(Outcome::PreconditionFailed);
    };
    let done = match (found.file_type, depth) {
        (FileType::Dir, Depth::Zero) => tree.create_dir(&errand.to).await,
        _ => walk::copy_all(tree, path, &errand.to, disk).await,
    };
    way.settle(done).await
}

/// What was found at a destination.
enum Way<'a> {
    /// Nothing.
    Free,
    /// A file, which a file replaces in one step.
    Replaced,
    /// Something that is set aside until what takes its place is whole.
    Cleared(Aside<'a>),
}

impl Way<'_> {
    /// Ends what was done: what was in the way goes for good, or is back.
    async fn settle(self, done: vfs::Result<()>) -> Result<Outcome, Failure> {
        match (self, done) {
            (Way::Free, Ok(())) => Ok(Outcome::Created),
            (Way::Replaced, Ok(())) => Ok(Outcome::Changed),
            (Way::Cleared(old), Ok(())) => {
                old.remove().await?;
                Ok(Outcome::Changed)
            }
            (Way::Cleared(old), Err(error)) => {
                old.restore().await;
                Err(beside(error))
            }
            (_, Err(error)) => Err(beside(error)),
        }
    }
}

/// Sets aside what is at the destination where it may be replaced and would be in the way. `None` where it may not.
async fn make_way<'a>(
    tree: &'a dyn FileSystem,
    path: &VPath,
    file_type: FileType,
    errand: &'a Errand,
) -> Result<Option<Way<'a>>, Failure> {
    let to = &errand.to;
    if path.is_root() || to.is_root() || path.is_covered_by(to) || to.is_covered_by(path) {
        return Err(Refusal::Whole.into());
    }
    match look(tree, to, false).await? {
        None => Ok(Some(Way::Free)),
        Some(_) if !errand.overwrites => Ok(None),
        Some(there) if !there.is_dir() && file_type == FileType::File => Ok(Some(Way::Replaced)),
        Some(_) => Ok(Some(Way::Cleared(Aside::set(tree, to).await?))),
    }
}

/// A form's fields as they come: `replace` and `folder` count for the files after them.
struct Form<'a> {
    tree: &'a dyn FileSystem,
    path: &'a VPath,
    replaces: bool,
    field: Field,
    files: usize,
}

enum Field {
    /// Nothing is done with it.
    Unknown,
    Replace,
    Folder(Vec<u8>),
    File(Arc<dyn File>, Filling),
}

/// What a page's form brings goes into the folder `path`.
async fn take_form<B>(
    tree: &dyn FileSystem,
    path: &VPath,
    boundary: &[u8],
    body: &mut Incoming<B>,
) -> Result<Outcome, Failure>
where
    B: http_body::Body + Unpin,
{
    let mut form = Form { tree, path, replaces: false, field: Field::Unknown, files: 0 };
    let mut reader = FormReader::new(boundary);
    while let Some(bytes) = body.next().await? {
        reader.push(&bytes);
        while let Some(event) = reader.next().map_err(|_| Refusal::BadForm)? {
            match event {
                FormEvent::Field { name, file } => form.begin(&name, file).await?,
                FormEvent::Content(bytes) => form.add(bytes).await?,
                FormEvent::FieldEnd => form.end().await?,
                FormEvent::End => return Ok(Outcome::FormTaken),
            }
        }
    }
    Err(Refusal::BodyBroke.into())
}

impl Form<'_> {
    async fn begin(&mut self, name: &[u8], file: Option<Vec<u8>>) -> Result<(), Failure> {
        self.field = match (name, file) {
            (b"replace", None) => Field::Replace,
            (b"folder", None) => Field::Folder(Vec::new()),
            // Where no file was chosen.
            (_, Some(name)) if name.is_empty() => Field::Unknown,
            (_, Some(name)) => {
                self.files += 1;
                if self.files > FORM_FILES {
                    return Err(Refusal::BadForm.into());
                }
                let options = OpenOptions { create_new: !self.replaces, ..OpenOptions::replacing() };
                let file = self.tree.open(&self.child(name)?, &options).await.map_err(taken)?;
                Field::File(Arc::clone(&file), Filling::new(file, 0))
            }
            _ => Field::Unknown,
        };
        Ok(())
    }

    async fn add(&mut self, bytes: Bytes) -> Result<(), Failure> {
        match &mut self.field {
            Field::Replace => self.replaces = true,
            Field::Folder(name) if name.len() + bytes.len() > FIELD_BYTES => {
                return Err(Refusal::BadForm.into());
            }
            Field::Folder(name) => name.extend_from_slice(&bytes),
            Field::File(_, filling) => filling.add(bytes).await?,
            Field::Unknown => {}
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.field, Field::Unknown) {
            Field::Folder(name) if !name.trim_ascii().is_empty() => {
                let path = self.child(name.trim_ascii().to_vec())?;
                self.tree.create_dir(&path).await.map_err(taken)?;
            }
            Field::File(file, filling) => {
                filling.end().await?;
                file.finish().await.map_err(taken)?;
            }
            Field::Folder(_) | Field::Replace | Field::Unknown => {}
        }
        Ok(())
    }

    /// A name that a browser sends is a name and no path.
    fn child(&self, name: Vec<u8>) -> Result<VPath, Failure> {
        self.path.child(name).map_err(|error| vfs::Error::from(error).into())
    }
}

fn taken(error: vfs::Error) -> Failure {
    match error.kind() {
        ErrorKind::AlreadyExists => Refusal::Exists.into(),
        _ => error.into(),
    }
}

//! Requests that change the tree: PUT, DELETE, MKCOL, MOVE, COPY, and the form of a folder's page.
//!
//! What takes many calls is one of the [`Chores`]: it is carried through though its client leaves.
//!
//! Files are replaced whole: until an upload is complete the old one stays, and one that breaks off leaves nothing. Only
//! a part with a place of its own (`Content-Range`) is written into the file as it comes, so that it can be gone on with.
//!
//! Who may write and see nothing (a drop box) is answered without being told what is there.

mod form;
mod moving;
mod storing;

use std::time::SystemTime;

use vfs::jobs::Disk;
use vfs::{ErrorKind, FileSystem, Metadata, OpenOptions, StatOptions, VPath, Validator, Writes};

use super::chores::Chores;
use super::command::{Change, Deed, Refusal};
use super::incoming::Incoming;
use super::session::{Failure, Outcome};
use super::wire::Conditions;
use crate::auth::Entry;

/// Carries out a change, unless its path takes none. Of what is copied nothing is asked but that it can be read.
pub(super) async fn change<B>(
    entry: &Entry,
    change: Change,
    body: &mut Incoming<B>,
    limit: Option<u64>,
    disk: &Disk,
    chores: &Chores,
) -> Result<Outcome, Failure>
where
    B: http_body::Body + Unpin,
{
    let tree = &*entry.view;
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
        return form::take(tree, &path, boundary, body).await;
    }
    let there = look(tree, &path, matches!(deed, Deed::Store(_))).await?;
    if !conditions.allow_change(there.version()) {
        return Ok(Outcome::PreconditionFailed);
    }
    match deed {
        Deed::Store(_) if place.is_folder => Err(Refusal::FolderName.into()),
        Deed::Store(Some(part)) if limit.is_some_and(|limit| part.end() > limit) => {
            Err(Refusal::TooLong(limit.unwrap_or_default()).into())
        }
        Deed::Store(Some(part)) => {
            let options = OpenOptions { write: true, create: part.start == 0, ..OpenOptions::default() };
            let options = there.bound(options, &conditions);
            storing::store_part(tree, &path, &options, part, body_bytes, &there, body).await
        }
        Deed::Store(None) => {
            let options = there.bound(OpenOptions::replacing(), &conditions);
            storing::store(tree, &path, &options, &there, body).await
        }
        Deed::MakeFolder => make_folder(tree, &path, &there).await,
        deed => {
            // The entry goes along: who has left is still counted.
            let (entry, disk) = (entry.clone(), disk.clone());
            chores
                .see_through(async move {
                    let tree = &*entry.view;
                    match deed {
                        Deed::Remove => moving::remove(tree, &path, there, place.is_folder).await,
                        Deed::Move(errand) => moving::go(tree, &path, there, &errand, &disk).await,
                        Deed::Copy(errand, depth) => {
                            moving::copy(tree, &path, there, &errand, depth, &disk).await
                        }
                        Deed::Store(_) | Deed::MakeFolder | Deed::TakeForm(_) => Ok(Outcome::Changed),
                    }
                })
                .await
        }
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

/// What the asker may know of what is at a path.
enum There {
    /// Nothing is there.
    Nothing,
    /// Whatever is there is not shown to who asks.
    Hidden,
    Found(Box<Metadata>),
}

impl There {
    /// What conditions are judged by. What is hidden has no version that anybody could have seen.
    fn version(&self) -> Option<(Option<&Validator>, Option<SystemTime>)> {
        self.found().map(|found| (found.validator.as_ref(), found.modified))
    }

    fn found(&self) -> Option<&Metadata> {
        match self {
            Self::Found(found) => Some(found),
            Self::Nothing | Self::Hidden => None,
        }
    }

    /// An opening that insists on what the conditions were judged by, so that who was quicker in between is noticed.
    fn bound(&self, options: OpenOptions, conditions: &Conditions) -> OpenOptions {
        let wanted = self.found().filter(|_| conditions.wants_version());
        OpenOptions {
            create_new: conditions.wants_new(),
            if_match: wanted.and_then(|found| found.validator.clone()),
            ..options
        }
    }
}

async fn look(tree: &dyn FileSystem, path: &VPath, follow: bool) -> vfs::Result<There> {
    match tree.metadata(path, &StatOptions { follow, ..StatOptions::default() }).await {
        Ok(found) => Ok(There::Found(Box::new(found))),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(There::Nothing),
            ErrorKind::PermissionDenied => Ok(There::Hidden),
            _ => Err(error),
        },
    }
}

/// RFC 4918 §9.3.1, §9.7.1, §9.9.4: where the folder around it is missing, that is a conflict and not a miss.
fn beside(error: vfs::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Refusal::NoParent.into(),
        _ => error.into(),
    }
}

async fn make_folder(tree: &dyn FileSystem, path: &VPath, there: &There) -> Result<Outcome, Failure> {
    if there.found().is_some() {
        return Ok(Outcome::NotAllowed(allowed(tree, path)));
    }
    match tree.create_dir(path).await {
        Ok(()) => Ok(Outcome::Created),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Ok(Outcome::NotAllowed(allowed(tree, path)))
        }
        Err(error) => Err(beside(error)),
    }
}

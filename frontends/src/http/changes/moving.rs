//! DELETE, MOVE and COPY: what is in the way is set aside until what takes its place is whole.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use vfs::jobs::Disk;
use vfs::{ErrorKind, FileSystem, FileType, Metadata, RenameOptions, StatOptions, VPath, walk};

use super::super::command::{Depth, Errand, Refusal};
use super::super::session::{Failure, Outcome};
use super::{There, beside, look};

/// DELETE (RFC 9110 §9.3.5): a folder goes with all that is in it, a hidden one where it holds nothing.
pub(super) async fn remove(
    tree: &dyn FileSystem,
    path: &VPath,
    there: There,
    is_folder: bool,
) -> Result<Outcome, Failure> {
    if path.is_root() {
        return Err(Refusal::Whole.into());
    }
    match there {
        There::Found(found) if found.is_dir() => remove_folder(tree, path).await?,
        There::Hidden if is_folder => tree.remove_dir(path).await?,
        There::Found(_) | There::Hidden if !is_folder => tree.remove_file(path).await?,
        _ => return Err(missing(path)),
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

/// What goes elsewhere must be seen: what it is decides what it may replace.
async fn shown(tree: &dyn FileSystem, path: &VPath, there: There) -> Result<Metadata, Failure> {
    match there {
        There::Found(found) => Ok(*found),
        There::Nothing => Err(missing(path)),
        // It says why.
        There::Hidden => Ok(tree.metadata(path, &StatOptions::no_follow()).await?),
    }
}

fn missing(path: &VPath) -> Failure {
    vfs::Error::new(ErrorKind::NotFound, "metadata", path).into()
}

/// MOVE (RFC 4918 §9.9): a rename, or a copy where the two ends lie on different mounts.
pub(super) async fn go(
    tree: &dyn FileSystem,
    path: &VPath,
    there: There,
    errand: &Errand,
    disk: &Disk,
) -> Result<Outcome, Failure> {
    let found = shown(tree, path, there).await?;
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
pub(super) async fn copy(
    tree: &dyn FileSystem,
    path: &VPath,
    there: There,
    errand: &Errand,
    depth: Depth,
    disk: &Disk,
) -> Result<Outcome, Failure> {
    let found = shown(tree, path, there).await?;
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
        There::Nothing => Ok(Some(Way::Free)),
        There::Found(_) | There::Hidden if !errand.overwrites => Ok(None),
        There::Hidden => Ok(Some(Way::Replaced)),
        There::Found(there) if !there.is_dir() && file_type == FileType::File => Ok(Some(Way::Replaced)),
        There::Found(_) => Ok(Some(Way::Cleared(Aside::set(tree, to).await?))),
    }
}

//! DELETE, MOVE and COPY: what everybody sees of a folder is the old one or the new one, whole.
//!
//! What is not whole yet, and what is on its way out, has a name of [`Aside`] meanwhile.

use vfs::jobs::Disk;
use vfs::{Aside, ErrorKind, FileSystem, FileType, Metadata, RenameOptions, StatOptions, VPath, walk};

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
    let removed = match there {
        There::Found(found) if found.is_dir() => remove_folder(tree, path).await,
        There::Hidden if is_folder => tree.remove_dir(path).await,
        There::Found(_) | There::Hidden if !is_folder => tree.remove_file(path).await,
        _ => return Err(missing(path)),
    };
    removed.map_err(in_use)?;
    Ok(Outcome::Changed)
}

/// Removes a folder with all that is in it: it is out of sight first, which is refused where anything in it may not be
/// changed. Where something of it cannot be removed, what is left has its name again.
async fn remove_folder(tree: &dyn FileSystem, path: &VPath) -> vfs::Result<()> {
    let gone = Aside::Gone.beside(path)?;
    match tree.rename(path, &gone, &RenameOptions::default()).await {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(error),
        // A tree that renames nothing, or a mount point.
        Err(_) => return walk::remove_dir_all(tree, path).await,
    }
    let removed = walk::remove_dir_all(tree, &gone).await;
    if removed.is_err() {
        give_back(tree, &gone, path).await;
    }
    removed
}

/// Gives what is `aside` the name `path` again.
async fn give_back(tree: &dyn FileSystem, aside: &VPath, path: &VPath) {
    if let Err(error) = tree.rename(aside, path, &RenameOptions::default()).await {
        tracing::error!(%path, %aside, %error, "what was set aside has kept that name");
    }
}

/// Removes what nobody is to see any more. What of it stays is for the sweep.
async fn discard(tree: &dyn FileSystem, path: &VPath) {
    let removed = match tree.metadata(path, &StatOptions::no_follow()).await {
        Ok(found) if found.is_dir() => walk::remove_dir_all(tree, path).await,
        Ok(_) => tree.remove_file(path).await,
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        tracing::warn!(%path, %error, "what is no longer wanted could not be removed");
    }
}

/// Something that has made room for what takes its place: it lies under its own name in a folder of [`Aside::Kept`], so that
/// it finds back though nobody here is left to see to it.
struct Kept {
    path: VPath,
    holder: VPath,
    held: VPath,
}

impl Kept {
    async fn set(tree: &dyn FileSystem, path: &VPath) -> vfs::Result<Self> {
        let holder = Aside::Kept.beside(path)?;
        let name =
            path.file_name().ok_or_else(|| vfs::Error::new(ErrorKind::InvalidInput, "rename", path))?;
        let held = holder.child(name.name().clone())?;
        tree.create_dir(&holder).await?;
        let kept = Self { path: path.clone(), holder, held };
        if let Err(error) = tree.rename(path, &kept.held, &RenameOptions::default()).await {
            discard(tree, &kept.holder).await;
            return Err(error);
        }
        Ok(kept)
    }

    /// Ends it, for good or by giving it back, after what was `done`.
    async fn settle(self, tree: &dyn FileSystem, done: vfs::Result<()>) -> vfs::Result<()> {
        if done.is_err() {
            give_back(tree, &self.held, &self.path).await;
            // Where it could not be given back it stays: a folder that holds something is not removed.
            _ = tree.remove_dir(&self.holder).await;
        } else {
            discard(tree, &self.holder).await;
        }
        done
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
    let Some(way) = find_way(tree, path, found.file_type, errand).await? else {
        return Ok(Outcome::PreconditionFailed);
    };
    let options = RenameOptions { no_replace: !errand.overwrites };
    match put(tree, path, &errand.to, way, &options).await {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {}
        moved => return way.outcome(path, moved),
    }
    let outcome = way.outcome(path, copy_whole(tree, path, &errand.to, way, disk).await)?;
    let removed = if found.is_dir() { remove_folder(tree, path).await } else { tree.remove_file(path).await };
    removed.map_err(in_use)?;
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
    let Some(way) = find_way(tree, path, found.file_type, errand).await? else {
        return Ok(Outcome::PreconditionFailed);
    };
    let done = match (found.file_type, depth) {
        (FileType::Dir, Depth::Zero) if way == Way::Free => tree.create_dir(&errand.to).await,
        (FileType::Dir, Depth::Zero) => {
            let new = Aside::Gone.beside(&errand.to)?;
            tree.create_dir(&new).await?;
            put_new(tree, &new, &errand.to, way).await
        }
        _ => copy_whole(tree, path, &errand.to, way, disk).await,
    };
    way.outcome(path, done)
}

/// What was found at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing.
    Free,
    /// A file, which a file replaces in one step.
    Replaced,
    /// Something that makes room when what takes its place is whole.
    Taken,
}

impl Way {
    /// What is answered where `done` is what became of `path`. Of what lies below, the one that failed is named.
    fn outcome(self, path: &VPath, done: vfs::Result<()>) -> Result<Outcome, Failure> {
        match (self, done) {
            (Self::Free, Ok(())) => Ok(Outcome::Created),
            (Self::Replaced | Self::Taken, Ok(())) => Ok(Outcome::Changed),
            (_, Err(error)) if error.path() != path && error.path().is_covered_by(path) => {
                Err(Refusal::Member(error.path().clone(), error.kind()).into())
            }
            (_, Err(error)) if error.kind() == ErrorKind::Busy => Err(Refusal::InUse.into()),
            (_, Err(error)) => Err(beside(error)),
        }
    }
}

/// What is at the destination, and whether it may be replaced. `None` where it may not.
async fn find_way(
    tree: &dyn FileSystem,
    path: &VPath,
    file_type: FileType,
    errand: &Errand,
) -> Result<Option<Way>, Failure> {
    let to = &errand.to;
    if path.is_root() || to.is_root() || path.is_covered_by(to) || to.is_covered_by(path) {
        return Err(Refusal::Whole.into());
    }
    match look(tree, to, false).await? {
        There::Nothing => Ok(Some(Way::Free)),
        There::Found(_) | There::Hidden if !errand.overwrites => Ok(None),
        There::Hidden => Ok(Some(Way::Replaced)),
        There::Found(there) if !there.is_dir() && file_type == FileType::File => Ok(Some(Way::Replaced)),
        There::Found(_) => Ok(Some(Way::Taken)),
    }
}

/// Copies what is at `from` to `to`: nothing of it is seen before it is whole.
async fn copy_whole(
    tree: &dyn FileSystem,
    from: &VPath,
    to: &VPath,
    way: Way,
    disk: &Disk,
) -> vfs::Result<()> {
    let is_file = tree.metadata(from, &StatOptions::no_follow()).await?.file_type == FileType::File;
    if is_file && way != Way::Taken {
        return walk::copy_all(tree, from, to, disk).await;
    }
    let new = Aside::Gone.beside(to)?;
    if let Err(error) = walk::copy_all(tree, from, &new, disk).await {
        discard(tree, &new).await;
        // It is the one that was to be copied which the client knows.
        return Err(
            error.readdressed(|at| at.strip_prefix(&new).map_or(at.clone(), |rest| from.append(&rest)))
        );
    }
    match put_new(tree, &new, to, way).await {
        // A tree that renames nothing: it is made in its place, or not at all.
        Err(error) if error.kind() == ErrorKind::Unsupported && way == Way::Free => {
            let copied = walk::copy_all(tree, from, to, disk).await;
            if copied.is_err() {
                discard(tree, to).await;
            }
            copied
        }
        put => put,
    }
}

/// Gives `new`, which is whole, its name; it is gone where it does not get it.
async fn put_new(tree: &dyn FileSystem, new: &VPath, to: &VPath, way: Way) -> vfs::Result<()> {
    let put = put(tree, new, to, way, &RenameOptions::default()).await;
    if put.is_err() {
        discard(tree, new).await;
    }
    put
}

/// Renames `from` to `to`, where what is in the way makes room.
async fn put(
    tree: &dyn FileSystem,
    from: &VPath,
    to: &VPath,
    way: Way,
    options: &RenameOptions,
) -> vfs::Result<()> {
    if way != Way::Taken {
        return tree.rename(from, to, options).await;
    }
    let kept = Kept::set(tree, to).await?;
    let done = tree.rename(from, to, options).await;
    kept.settle(tree, done).await
}

/// Why something is not removed.
fn in_use(error: vfs::Error) -> Failure {
    match error.kind() {
        ErrorKind::Busy => Refusal::InUse.into(),
        _ => error.into(),
    }
}

//! [`RightsFs`]: a tree as one asker may use it. The only place where reading, listing and writing are decided.
//!
//! Decisions are made by path alone, before the tree is asked: what is forbidden is `PermissionDenied` whether it exists
//! or not, so answers give no names away.

mod file;
mod links;
mod rules;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use self::file::GuardedFile;
pub use self::rules::{Access, Rules};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem};
use crate::metadata::Metadata;
use crate::options::{LinkTarget, ListOptions, OpenOptions, RenameOptions, SetAttributes, StatOptions};
use crate::path::VPath;

/// What a call needs to be granted.
type Need = fn(Access) -> bool;

const SEE: Need = Access::is_visible;
const READ: Need = |access| access.read;
const LIST: Need = |access| access.list;
const WRITE: Need = |access| access.write;

/// The tree `inner` under [`Rules`].
///
/// - A description needs `read` or `list`, an opening `read`, `write` or both, a listing `list`. Entries that may neither
///   be read nor listed are left out of listings.
/// - Creating, removing and renaming need `write` on the path and on its folder; `rename` and `hard_link` on both ends.
///   Neither may give a file more rights than it had, and a folder with a rule of its own below it is not renamed, nor
///   is anything renamed to its place (`PermissionDenied`).
/// - Links lead around no rule. Where what is needed is not granted everywhere, each segment of a path is described
///   first (one call a segment), and the rules are asked about the end as well. The end is then addressed itself:
///   an absolute link, or one that climbs out of an archive, is `PermissionDenied`, and one that climbs out of its
///   mount means what the whole tree has there. Where what is needed is granted everywhere, nothing is asked in
///   addition, and the inner tree follows links as it does.
/// - Symbolic links can be made only by those who have the same rights everywhere.
///
/// Between looking and acting there is a moment: who may rename folders beside links that lie in the tree already can
/// try to use it. A tree in which such links lead out of what its users may write belongs in a mount of its own.
#[derive(Debug)]
pub struct RightsFs {
    inner: Arc<dyn FileSystem>,
    rules: RwLock<Arc<Rules>>,
}

impl RightsFs {
    /// Shows `inner` as `rules` allow.
    pub fn new(inner: Arc<dyn FileSystem>, rules: impl Into<Arc<Rules>>) -> Self {
        Self { inner, rules: RwLock::new(rules.into()) }
    }

    /// Shows it as other `rules` allow, from the next call on and to everybody who holds it. What is open or being listed by
    /// then stays as it was allowed.
    pub fn replace(&self, rules: impl Into<Arc<Rules>>) {
        let replaced: Result<(), Infallible> = self.replace_with(rules, || Ok(()));
        let Ok(()) = replaced;
    }

    /// The same together with a `change` of what is shown: no call begins between the two. Where `change` fails the rules
    /// stay as they were. Calls that begin meanwhile block their thread, so it must not take longer than a moment.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn replace_with<T, E>(
        &self,
        rules: impl Into<Arc<Rules>>,
        change: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut held = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change()?;
        *held = rules.into();
        Ok(changed)
    }

    /// What holds for one call, from its beginning to its end.
    fn guard(&self) -> Guard<'_> {
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        Guard { inner: &*self.inner, rules }
    }
}

/// The tree under the rules of one call.
struct Guard<'a> {
    inner: &'a dyn FileSystem,
    rules: Arc<Rules>,
}

impl Guard<'_> {
    /// Refuses what the rule for the path as it was asked for does not grant; then finds out where links lead, if that
    /// could matter, and refuses by the rule for that.
    async fn allow<'a>(
        &self,
        op: &'static str,
        path: &'a VPath,
        follow: bool,
        need: Need,
    ) -> Result<Allowed<'a>> {
        self.check(op, path, path, need)?;
        if need(self.rules.everywhere()) {
            return Ok(Allowed { asked: path, real: Cow::Borrowed(path), follow });
        }
        let real = links::resolve(self.inner, op, path, follow).await?;
        self.check(op, path, &real, need)?;
        // The end is no link by now. Should it become one, it is not followed.
        Ok(Allowed { asked: path, real: Cow::Owned(real), follow: false })
    }

    /// The same for a call that changes the path's folder.
    async fn allow_entry<'a>(&self, op: &'static str, path: &'a VPath) -> Result<Allowed<'a>> {
        self.check_folder(op, path, path)?;
        let allowed = self.allow(op, path, false, WRITE).await?;
        self.check_folder(op, path, &allowed.real)?;
        Ok(allowed)
    }

    fn check(&self, op: &'static str, asked: &VPath, path: &VPath, need: Need) -> Result<()> {
        if need(self.rules.access(path)) { Ok(()) } else { Err(denied(op, asked)) }
    }

    fn check_folder(&self, op: &'static str, asked: &VPath, path: &VPath) -> Result<()> {
        match path.parent() {
            Some(folder) => self.check(op, asked, &folder, WRITE),
            None => Ok(()),
        }
    }

    /// What may be done with both the path as it was asked for and its end. Where nobody looked for the end, that is what
    /// may be done everywhere.
    fn access(&self, allowed: &Allowed<'_>) -> Access {
        match &allowed.real {
            Cow::Borrowed(_) if allowed.follow => self.rules.everywhere(),
            real => self.rules.access(allowed.asked).and(self.rules.access(real)),
        }
    }

    /// Refuses to give a file a name under which more may be done with it.
    fn check_gain(&self, op: &'static str, from: &Allowed<'_>, to: &Allowed<'_>) -> Result<()> {
        if self.access(from).grants(self.rules.access(&to.real)) {
            return Ok(());
        }
        let detail = format!("{} has other rights", to.asked);
        Err(denied(op, from.asked).with_detail(detail))
    }

    /// Refuses to move what holds a rule of its own, which would stay behind.
    fn check_subtree(&self, op: &'static str, allowed: &Allowed<'_>) -> Result<()> {
        if self.rules.differ_below(allowed.asked) || self.rules.differ_below(&allowed.real) {
            return Err(denied(op, allowed.asked).with_detail("something in it has other rights"));
        }
        Ok(())
    }
}

/// A path that was found to be allowed.
struct Allowed<'a> {
    asked: &'a VPath,
    /// Where it leads: the inner tree is asked for this.
    real: Cow<'a, VPath>,
    /// Whether the inner tree is to follow a link in the last place.
    follow: bool,
}

impl Allowed<'_> {
    /// Errors are on the path that was asked for.
    fn addressed(&self, error: Error) -> Error {
        match self.real {
            Cow::Borrowed(_) => error,
            Cow::Owned(_) => error.readdressed(|_| self.asked.clone()),
        }
    }
}

fn denied(op: &'static str, path: &VPath) -> Error {
    Error::new(ErrorKind::PermissionDenied, op, path)
}

#[async_trait]
impl FileSystem for RightsFs {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        let guard = self.guard();
        let inner = guard.inner.capabilities(path);
        if guard.rules.access(path).write { inner } else { inner.read_only() }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let guard = self.guard();
        let allowed = guard.allow("metadata", path, options.follow, SEE).await?;
        let options = StatOptions { follow: allowed.follow, ..options.clone() };
        guard.inner.metadata(&allowed.real, &options).await.map_err(|error| allowed.addressed(error))
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let guard = self.guard();
        let allowed = guard.allow("read_dir", path, true, LIST).await?;
        let listing = guard.inner.read_dir(&allowed.real, options).await;
        let listing = listing.map_err(|error| allowed.addressed(error))?;
        if !guard.rules.differ_below(path) && !guard.rules.differ_below(&allowed.real) {
            return Ok(listing);
        }
        let (rules, asked, real) = (Arc::clone(&guard.rules), path.clone(), allowed.real.into_owned());
        let shows = move |name: &bytes::Bytes| {
            let is_visible = |folder: &VPath| {
                folder.child(name.clone()).is_ok_and(|path| rules.access(&path).is_visible())
            };
            is_visible(&asked) && is_visible(&real)
        };
        Ok(listing.map(move |batch| {
            let mut batch = batch?;
            batch.retain(|entry| shows(&entry.name));
            Ok(batch)
        }))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        let guard = self.guard();
        options.check(path)?;
        let need: Need = match (options.read, options.changes()) {
            (true, true) => |access| access.read && access.write,
            (false, true) => WRITE,
            (_, false) => READ,
        };
        let creates = options.create || options.create_new;
        if creates {
            guard.check_folder("open", path, path)?;
        }
        // A new file takes the place of no link.
        let follow = options.follow && !options.create_new;
        let allowed = guard.allow("open", path, follow, need).await?;
        if creates {
            guard.check_folder("open", path, &allowed.real)?;
        }
        let options = OpenOptions { follow: allowed.follow, ..options.clone() };
        let file = guard.inner.open(&allowed.real, &options).await;
        let file = file.map_err(|error| allowed.addressed(error))?;
        Ok(GuardedFile::guard(file, guard.access(&allowed), path))
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        let guard = self.guard();
        let allowed = guard.allow_entry("create_dir", path).await?;
        guard.inner.create_dir(&allowed.real).await.map_err(|error| allowed.addressed(error))
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        let guard = self.guard();
        let allowed = guard.allow_entry("remove_file", path).await?;
        guard.inner.remove_file(&allowed.real).await.map_err(|error| allowed.addressed(error))
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        let guard = self.guard();
        let allowed = guard.allow_entry("remove_dir", path).await?;
        guard.inner.remove_dir(&allowed.real).await.map_err(|error| allowed.addressed(error))
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        let guard = self.guard();
        let from = guard.allow_entry("rename", from).await?;
        let to = guard.allow_entry("rename", to).await?;
        guard.check_subtree("rename", &from)?;
        guard.check_subtree("rename", &to)?;
        guard.check_gain("rename", &from, &to)?;
        let moved = guard.inner.rename(&from.real, &to.real, options).await;
        moved.map_err(|error| from.addressed(error))
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        let guard = self.guard();
        guard.check("symlink", path, path, WRITE)?;
        if !guard.rules.are_uniform() {
            let detail = "links are made only by those who have the same rights everywhere";
            return Err(denied("symlink", path).with_detail(detail));
        }
        guard.inner.symlink(target, path).await
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        let guard = self.guard();
        let from = guard.allow("hard_link", original, false, WRITE).await?;
        let to = guard.allow_entry("hard_link", link).await?;
        guard.check_subtree("hard_link", &from)?;
        guard.check_gain("hard_link", &from, &to)?;
        let linked = guard.inner.hard_link(&from.real, &to.real).await;
        linked.map_err(|error| to.addressed(error))
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        let guard = self.guard();
        let allowed = guard.allow("read_link", path, false, READ).await?;
        guard.inner.read_link(&allowed.real).await.map_err(|error| allowed.addressed(error))
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        let guard = self.guard();
        let allowed = guard.allow("set_attributes", path, follow, WRITE).await?;
        let set = guard.inner.set_attributes(&allowed.real, attributes, allowed.follow).await;
        set.map_err(|error| allowed.addressed(error))
    }
}

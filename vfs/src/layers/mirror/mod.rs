//! [`Mirror`]: a tree that keeps what was read of a remote one, and goes on serving it when that one is gone.
//!
//! - A file is fetched once, however many read it, in blocks of 256 KiB; a range fetches the blocks that it touches. Readers
//!   see bytes as soon as they are on the disk, and an error where the source fails: never an early end.
//! - Whether what is kept still holds is decided by [`Rules`] and [`Tolerances`]; who asks is asked once for all
//!   ([`Revalidate`] collapses). Another version has other bytes on the disk: readers of the old one finish it.
//! - Listings, folders and missing names are kept too. Where no file is costs whoever wants a file ([`Sought::File`]) one
//!   question, and then none for [`Tolerances::missing`]; who looks for anything asks again where only a file was denied.
//! - What cannot be right is an error and takes the place of nothing: see [`Apt`] and [`Pip`], and what a preset knows to be
//!   no page of HTML.
//!
//! The tree is read-only. Where the cache folder fails or is full, what does not fit is passed through: each reader asks the
//! source then, within the source's own bound of connections.
//!
//! [`Revalidate`]: crate::options::Freshness::Revalidate
//! [`Sought::File`]: crate::options::Sought::File

mod answer;
mod asking;
mod file;
mod finding;
mod flight;
mod freshness;
mod holding;
mod listing;
mod object;
mod packages;
mod pages;
mod pattern;
mod rules;
mod run;
mod set;
mod sets;
mod store;
#[cfg(test)]
mod tests;
mod upkeep;

use std::num::NonZeroU64;
use std::sync::Arc;

use async_trait::async_trait;

use self::answer::Answer;
use self::file::MirrorFile;
use self::finding::{Want, is_outage, not_kept};
pub use self::freshness::Tolerances;
use self::holding::Hot;
pub use self::packages::Apt;
pub use self::pages::Pip;
pub use self::pattern::{Pattern, PatternError};
pub use self::rules::{Preset, Rule, Rules};
use self::set::Releases;
pub use self::set::Sets;
pub use self::sets::Site;
use self::store::{Kind, Part};
pub use self::store::{Store, StoreOptions, Usage};
pub use self::upkeep::Status;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem};
use crate::metadata::{FileType, Metadata};
use crate::options::{Intent, LinkTarget, ListOptions, OpenOptions, Sought, StatOptions};
use crate::path::VPath;
use crate::producer::Rate;

/// What a mirror does besides keeping.
#[derive(Clone, Debug, Default)]
pub struct MirrorOptions {
    /// What may be kept how long, whatever the source says.
    pub rules: Rules,
    /// Which files belong together and change together. Default: none do.
    pub sets: Sets,
    /// How it deals with time.
    pub tolerances: Tolerances,
    /// Bytes a second that are fetched to be kept. Default: as many as come.
    pub download: Option<NonZeroU64>,
}

/// A tree that keeps what was read of `inner`; see the [module](self).
#[derive(Clone, Debug)]
pub struct Mirror(Arc<Core>);

#[derive(Debug)]
struct Core {
    inner: Arc<dyn FileSystem>,
    /// Names `inner` among all that share the store.
    source: Arc<str>,
    store: Arc<Store>,
    options: MirrorOptions,
    /// What was used last, of all mirrors of the store.
    hot: Arc<Hot>,
    releases: Releases,
    /// How fast is fetched.
    rate: Option<Rate>,
}

/// Something that can be kept of a path.
#[derive(Clone, Debug)]
struct Subject {
    path: VPath,
    part: Part,
}

impl Subject {
    /// What stands at `path`.
    fn entry(path: &VPath) -> Self {
        Self { path: path.clone(), part: Part::Entry }
    }
}

impl Mirror {
    /// A mirror of `inner`, which `source` names for good (its URL): what was kept under that name is served again.
    pub fn new(
        inner: Arc<dyn FileSystem>,
        source: impl Into<Arc<str>>,
        store: Arc<Store>,
        options: MirrorOptions,
    ) -> Self {
        let rate = options.download.map(Rate::shared);
        let hot = store.at_hand().hot();
        let core = Arc::new(Core {
            inner,
            source: source.into(),
            store,
            options,
            hot,
            releases: Releases::default(),
            rate,
        });
        if let Sets::Pip(pip, 0) = &core.options.sets {
            pip.belongs_to(&core);
        }
        Self(core)
    }

    /// True for a link, where the source has any and can be asked.
    async fn is_link(&self, path: &VPath) -> bool {
        let inner = &self.0.inner;
        !self.0.is_offline()
            && inner.capabilities(path).symlinks
            && inner.metadata(path, &StatOptions::no_follow()).await.is_ok_and(|found| found.is_symlink())
    }
}

#[async_trait]
impl FileSystem for Mirror {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        let pages = match self.0.options.sets {
            Sets::Pip(_, 0) => pages::MEDIA,
            _ => &[],
        };
        Capabilities { pages, ..self.0.inner.capabilities(path).read_only() }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        const OP: &str = "metadata";
        if !options.follow && !self.0.is_offline() && self.0.inner.capabilities(path).symlinks {
            match self.0.inner.metadata(path, options).await {
                Err(error) if is_outage(&error) => {}
                answer => return answer,
            }
        }
        let want =
            Want { op: OP, freshness: options.freshness, intent: Intent::Header, sought: options.sought };
        match self.0.find(&Subject::entry(path), want).await {
            Ok(Answer::Kept(object, status)) => Ok(object.describe(status)),
            Ok(Answer::Passed(file)) => file.metadata().await,
            Ok(Answer::Listed(_)) => Ok(Metadata::new(FileType::Dir)),
            // The root exists, whatever its source has to say.
            Err(error) if path.is_root() && is_outage(&error) => Ok(Metadata::new(FileType::Dir)),
            // Neither a file nor a folder.
            Err(error) if error.kind() == ErrorKind::InvalidInput && !self.0.is_offline() => {
                self.0.inner.metadata(path, options).await
            }
            Err(error) => Err(error),
        }
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        const OP: &str = "read_dir";
        let subject = Subject { path: path.clone(), part: Part::Listing };
        let freshness = options.freshness;
        if self.0.lacks_folder(path, freshness).await {
            return Err(Error::new(ErrorKind::NotFound, OP, path));
        }
        let want = Want { op: OP, freshness, intent: Intent::Whole, sought: Sought::Anything };
        match self.0.find(&subject, want).await? {
            Answer::Kept(object, _) => {
                let mut entries = listing::entries(&object, path, options.metadata);
                match entries.next().await {
                    // Nobody has seen anything of it yet.
                    Some(Err(_)) if object.is_bypassed() => self.0.inner.read_dir(path, options).await,
                    first => Ok(listing::begun(first, entries)),
                }
            }
            Answer::Listed(listing) => Ok(listing),
            Answer::Passed(_) => Err(Error::new(ErrorKind::Internal, OP, path)),
        }
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        const OP: &str = "open";
        options.check(path)?;
        if options.changes() {
            return Err(Error::new(ErrorKind::ReadOnly, OP, path));
        }
        if let (Some(media), Sets::Pip(pip, 0)) = (options.page, &self.0.options.sets) {
            return self.0.open_page(pip, path, media, options.freshness).await;
        }
        if path.is_root() {
            return Err(Error::new(ErrorKind::IsADirectory, OP, path));
        }
        if !options.follow && self.is_link(path).await {
            return Err(Error::new(ErrorKind::Loop, OP, path));
        }
        let OpenOptions { freshness, intent, sought, .. } = *options;
        let found = self.0.find(&Subject::entry(path), Want { op: OP, freshness, intent, sought }).await?;
        let file: Arc<dyn File> = match found {
            Answer::Kept(object, _) if object.kind() == Kind::Folder => {
                return Err(Error::new(ErrorKind::IsADirectory, OP, path));
            }
            Answer::Kept(object, status) => {
                let described = object.describe(status);
                Arc::new(MirrorFile::new(object, described))
            }
            Answer::Passed(file) => file,
            Answer::Listed(_) => return Err(Error::new(ErrorKind::IsADirectory, OP, path)),
        };
        if let Some(wanted) = &options.if_match
            && file.metadata().await?.validator.as_ref() != Some(wanted)
        {
            return Err(Error::new(ErrorKind::Changed, OP, path));
        }
        Ok(file)
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        if self.0.is_offline() {
            return Err(not_kept("read_link", path));
        }
        self.0.inner.read_link(path).await
    }
}

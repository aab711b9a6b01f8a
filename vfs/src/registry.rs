//! Who enters which archive and connects which URL: [`Registry`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, FileSystem};
use crate::path::{Scheme, VPath};

/// Makes a tree of an archive file.
#[async_trait]
pub trait EnterArchive: fmt::Debug + Send + Sync + 'static {
    /// The tree inside `file`, which `path` names in messages. A file of another format is `InvalidInput` and says what
    /// was found instead.
    async fn enter(&self, scheme: Scheme, file: Arc<dyn File>, path: &VPath) -> Result<Arc<dyn FileSystem>>;

    /// Offers what was found beside `file` and may be its index, before it is entered. Default: nobody wants it.
    ///
    /// # Errors
    /// Why it is not used; entering goes on without.
    async fn offer(&self, _file: &Arc<dyn File>, _index: Arc<dyn File>) -> Result<()> {
        Ok(())
    }
}

/// Where the index of the archive at `path` lies, if it lies beside it: `/pub/x.tgz` has `/pub/.x.tgz.vfsd-index`. `None`
/// for the root, and where the name would be too long.
pub fn index_beside(path: &VPath) -> Option<VPath> {
    let name = path.file_name()?.name();
    let name = [b".", &name[..], INDEX_SUFFIX].concat();
    path.parent()?.child(name).ok()
}

/// What the name of an index ends in that lies beside its archive.
const INDEX_SUFFIX: &[u8] = b".vfsd-index";

/// Makes a tree of a source's URL.
#[async_trait]
pub trait ConnectSource: fmt::Debug + Send + Sync + 'static {
    /// The tree at `url`, whose scheme is one that this was registered for. A source that is down is no error: the tree
    /// answers `Unavailable` until it comes alive.
    async fn connect(&self, url: &str) -> Result<Arc<dyn FileSystem>>;
}

/// Scheme → how to enter an archive; URL → how to connect a source.
#[derive(Clone, Default)]
pub struct Registry {
    archives: HashMap<Scheme, Arc<dyn EnterArchive>>,
    sources: HashMap<String, Arc<dyn ConnectSource>>,
}

impl Registry {
    /// A registry that knows nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds a way into archives; a later one for the same scheme replaces it.
    #[must_use]
    pub fn with_archive(mut self, scheme: Scheme, enter: Arc<dyn EnterArchive>) -> Self {
        self.archives.insert(scheme, enter);
        self
    }

    /// Adds a kind of source by its URL scheme, in lower case and without the colon.
    #[must_use]
    pub fn with_source(mut self, scheme: &str, connect: Arc<dyn ConnectSource>) -> Self {
        self.sources.insert(scheme.to_owned(), connect);
        self
    }

    /// Enters the archive `file` at `path`.
    ///
    /// # Errors
    /// `Unsupported` where nobody knows the scheme; else what the archive says.
    pub async fn enter(
        &self,
        scheme: Scheme,
        file: Arc<dyn File>,
        path: &VPath,
    ) -> Result<Arc<dyn FileSystem>> {
        let Some(enter) = self.archives.get(&scheme) else {
            let detail = format!("archives cannot be entered by #{scheme}: yet");
            return Err(Error::new(ErrorKind::Unsupported, "enter", path).with_detail(detail));
        };
        enter.enter(scheme, file, path).await
    }

    /// Offers what may be the index of the archive `file` to whoever enters it by `scheme`.
    ///
    /// # Errors
    /// As [`EnterArchive::offer`].
    pub async fn offer(&self, scheme: Scheme, file: &Arc<dyn File>, index: Arc<dyn File>) -> Result<()> {
        match self.archives.get(&scheme) {
            Some(enter) => enter.offer(file, index).await,
            None => Ok(()),
        }
    }

    /// Connects the source `url`.
    ///
    /// # Errors
    /// `Unsupported` where nobody knows its scheme, with the schemes that are known; else what the source says.
    pub async fn connect(&self, url: &str) -> Result<Arc<dyn FileSystem>> {
        let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let Some(connect) = self.sources.get(&scheme) else {
            let mut known: Vec<_> = self.sources.keys().map(|scheme| format!("{scheme}:")).collect();
            known.sort();
            let detail =
                format!("\"{scheme}:\" is no source that is known here; known: {}", known.join(", "));
            return Err(Error::new(ErrorKind::Unsupported, "connect", &VPath::root()).with_detail(detail));
        };
        connect.connect(url).await
    }

    /// True where `url` starts with a known scheme.
    pub fn knows_source(&self, url: &str) -> bool {
        url.split_once(':').is_some_and(|(scheme, _)| self.sources.contains_key(&scheme.to_ascii_lowercase()))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("archives", &self.archives.keys())
            .field("sources", &self.sources.keys())
            .finish()
    }
}

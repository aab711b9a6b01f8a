//! Where the program keeps what it can have again: indexes of archives, and what mirrors have fetched.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use vfs::backends::archive::{IndexOptions, IndexPlace};
use vfs::layers::mirror::{Store, StoreOptions};

/// The folder below the cache folder where indexes of archives lie.
const INDEX_FOLDER: &str = "archives";

/// The folder below the cache folder where mirrors keep what they fetch.
const MIRROR_FOLDER: &str = "mirror";

/// The cache folder, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache(Option<PathBuf>);

impl Cache {
    /// `$XDG_CACHE_HOME/vfsd`, else `~/.cache/vfsd`, as the XDG base directory specification has it; none where neither
    /// is known.
    pub fn usual() -> Self {
        Self::of(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
    }

    /// Nothing is kept.
    pub fn off() -> Self {
        Self(None)
    }

    /// This folder.
    pub fn at(folder: PathBuf) -> Self {
        Self(Some(folder))
    }

    /// True where nothing is kept.
    pub fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// How indexes of archives are kept.
    pub(crate) fn indexes(&self) -> IndexOptions {
        let place = match &self.0 {
            Some(folder) => IndexPlace::Folder(folder.join(INDEX_FOLDER)),
            None => IndexPlace::Memory,
        };
        IndexOptions { place, ..IndexOptions::default() }
    }

    /// The folder in which mirrors keep what they fetch, in use by this process alone.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) async fn store(&self, options: StoreOptions) -> vfs::Result<Option<Arc<Store>>> {
        match &self.0 {
            Some(folder) => Store::open(&folder.join(MIRROR_FOLDER), options).await.map(Some),
            None => Ok(None),
        }
    }

    fn of(cache: Option<OsString>, home: Option<OsString>) -> Self {
        // A relative path there is to be ignored.
        let absolute = |text: OsString| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
        let caches = cache.and_then(absolute);
        let caches = caches.or_else(|| home.and_then(absolute).map(|home| home.join(".cache")));
        Self(caches.map(|caches| caches.join("vfsd")))
    }
}

impl FromStr for Cache {
    type Err = Infallible;

    /// A folder, or `off`.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(if text == "off" { None } else { Some(PathBuf::from(text)) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_folder_is_where_the_environment_says() {
        for (cache, home, folder) in [
            (Some("/c"), Some("/h"), Some("/c/vfsd")),
            (Some("relative"), Some("/h"), Some("/h/.cache/vfsd")),
            (None, Some("/h"), Some("/h/.cache/vfsd")),
            (None, None, None),
        ] {
            let found = Cache::of(cache.map(OsString::from), home.map(OsString::from));
            assert_eq!(found, Cache(folder.map(PathBuf::from)), "{cache:?} {home:?}");
        }
        assert!("off".parse::<Cache>().unwrap().is_off());
    }
}

//! `[cache]`: where is kept what can be had again, and how much of it.

use serde::Deserialize;
use toml::Spanned;
use vfs::layers::mirror::StoreOptions;

use super::listen::rate;
use super::mount::path_of_host;
use super::refusal::{Document, Refusal};
use crate::cache::Cache;
use crate::units::parse_size;

/// The cache folder and its bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheFolder {
    /// Where. `None`: the usual place, where nobody else uses that.
    pub place: Option<Cache>,
    /// How much mirrors keep there.
    pub options: StoreOptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCache {
    folder: Option<Spanned<String>>,
    size: Option<Spanned<String>>,
    keep_free: Option<Spanned<String>>,
    download: Option<Spanned<String>>,
}

impl TryFrom<(RawCache, &Document<'_>)> for CacheFolder {
    type Error = Refusal;

    fn try_from((raw, document): (RawCache, &Document<'_>)) -> Result<Self, Refusal> {
        let defaults = StoreOptions::default();
        let size = |written: Option<Spanned<String>>, default| match written {
            Some(written) => parse_size(written.get_ref()).map_err(|says| Refusal::new(written.span(), says)),
            None => Ok(default),
        };
        let place = match raw.folder {
            None => None,
            Some(written) if written.get_ref() == "off" => Some(Cache::off()),
            Some(written) => {
                let path = document.folder.join(written.get_ref().as_bytes());
                let path = path.map_err(|error| Refusal::new(written.span(), error.to_string()))?;
                Some(Cache::at(path_of_host(&path)))
            }
        };
        let options = StoreOptions {
            bytes: size(raw.size, defaults.bytes)?,
            keep_free: size(raw.keep_free, defaults.keep_free)?,
            download: rate(raw.download)?,
        };
        Ok(Self { place, options })
    }
}

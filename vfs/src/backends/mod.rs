//! Where a tree's files come from. Backends know the vocabulary and never one another.

pub mod archive;
pub mod http;
pub mod local;
pub mod memory;
pub mod remote;

use std::sync::Arc;

use crate::registry::Registry;

use self::archive::{ArchiveOptions, ArchiveService};
use self::http::HttpSource;
use self::memory::ConnectMemory;

/// The default registry: every archive that can be entered and every source that can be connected.
///
/// The sources: `memory:`, `http:` and `https:`.
pub fn registry(archives: ArchiveOptions) -> Registry {
    let service = Arc::new(ArchiveService::new(archives));
    let http = Arc::new(HttpSource::default());
    let registry = Registry::empty()
        .with_source("memory", Arc::new(ConnectMemory))
        .with_source("http", Arc::<HttpSource>::clone(&http))
        .with_source("https", http);
    ArchiveService::SCHEMES
        .iter()
        .fold(registry, |registry, scheme| registry.with_archive(*scheme, Arc::clone(&service) as _))
}

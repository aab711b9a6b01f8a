//! Where a tree's files come from. Backends know the vocabulary and never one another.

pub mod archive;
pub mod local;
pub mod memory;

use std::sync::Arc;

use crate::registry::Registry;

use self::archive::{ArchiveOptions, ArchiveService};
use self::memory::ConnectMemory;

/// The default registry: every archive that can be entered and every source that can be connected, `memory:` among them.
pub fn registry(archives: ArchiveOptions) -> Registry {
    let service = Arc::new(ArchiveService::new(archives));
    let registry = Registry::empty().with_source("memory", Arc::new(ConnectMemory));
    ArchiveService::SCHEMES
        .iter()
        .fold(registry, |registry, scheme| registry.with_archive(*scheme, Arc::clone(&service) as _))
}

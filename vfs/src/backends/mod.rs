//! Where a tree's files come from. Backends know the vocabulary and never one another.

pub mod archive;
pub mod ftp;
pub mod http;
pub mod local;
pub mod memory;
pub mod remote;

use std::sync::Arc;

use crate::registry::Registry;

use self::archive::{ArchiveOptions, ArchiveService};
use self::ftp::FtpSource;
use self::http::HttpSource;
use self::memory::ConnectMemory;

/// The default registry: every archive that can be entered and every source that can be connected.
///
/// The sources: `memory:`, `http:` and `https:`, `ftp:`, `ftpes:` and `ftps:`.
pub fn registry(archives: ArchiveOptions) -> Registry {
    let service = Arc::new(ArchiveService::new(archives));
    let http = Arc::new(HttpSource::default());
    let ftp = Arc::new(FtpSource::default());
    let registry = Registry::empty()
        .with_source("ftp", Arc::<FtpSource>::clone(&ftp))
        .with_source("ftpes", Arc::<FtpSource>::clone(&ftp))
        .with_source("ftps", ftp)
        .with_source("memory", Arc::new(ConnectMemory))
        .with_source("http", Arc::<HttpSource>::clone(&http))
        .with_source("https", http);
    ArchiveService::SCHEMES
        .iter()
        .fold(registry, |registry, scheme| registry.with_archive(*scheme, Arc::clone(&service) as _))
}

//! [`AdminFs`]: what an operator's programs ask, as a tree of two files. A front end shows it, as it shows any tree.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use vfs::{
    Capabilities, DirEntry, DirStream, Error, ErrorKind, File, FileSystem, FileType, Identity, ListOptions,
    Metadata, OpenOptions, Result, StatOptions, VPath,
};

/// What `/metrics` is.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What `/healthz` is.
const HEALTH_TYPE: &str = "text/plain; charset=utf-8";

/// `/metrics`, made anew for each opening, and `/healthz`, which is `Unavailable` while the server is stopping. Read-only.
pub struct AdminFs {
    metrics: Box<dyn Fn() -> String + Send + Sync>,
    is_healthy: Box<dyn Fn() -> bool + Send + Sync>,
}

impl AdminFs {
    /// Asks `metrics` and `is_healthy` whenever somebody asks here. They must not wait for anything.
    pub fn new(
        metrics: impl Fn() -> String + Send + Sync + 'static,
        is_healthy: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { metrics: Box::new(metrics), is_healthy: Box::new(is_healthy) }
    }

    fn file(&self, op: &'static str, path: &VPath) -> Result<Page> {
        let page =
            |text: String, content_type| Page { content: text.into(), content_type, made: SystemTime::now() };
        match &path.to_bytes()[..] {
            b"/metrics" => Ok(page((self.metrics)(), METRICS_TYPE)),
            b"/healthz" if (self.is_healthy)() => Ok(page("ok\n".to_owned(), HEALTH_TYPE)),
            b"/healthz" => Err(Error::new(ErrorKind::Unavailable, op, path)),
            b"/" => Err(Error::new(ErrorKind::IsADirectory, op, path)),
            _ => Err(Error::new(ErrorKind::NotFound, op, path)),
        }
    }
}

#[async_trait]
impl FileSystem for AdminFs {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities::default()
    }

    async fn metadata(&self, path: &VPath, _options: &StatOptions) -> Result<Metadata> {
        match path.is_root() {
            true => Ok(Metadata::new(FileType::Dir)),
            false => self.file("metadata", path).map(|page| page.about()),
        }
    }

    async fn read_dir(&self, path: &VPath, _options: &ListOptions) -> Result<DirStream> {
        if !path.is_root() {
            let found = self.file("read_dir", path).map(|_| ErrorKind::NotADirectory);
            return Err(found.map_or_else(|error| error, |kind| Error::new(kind, "read_dir", path)));
        }
        let entry = |name: &'static [u8]| DirEntry::new(Bytes::from_static(name), Some(FileType::File));
        Ok(DirStream::ready(vec![entry(b"healthz"), entry(b"metrics")]))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        options.check(path)?;
        if options.changes() {
            return Err(Error::new(ErrorKind::ReadOnly, "open", path));
        }
        Ok(Arc::new(self.file("open", path)?))
    }
}

/// What one opening saw.
#[derive(Debug)]
struct Page {
    content: Bytes,
    content_type: &'static str,
    made: SystemTime,
}

impl Page {
    fn about(&self) -> Metadata {
        let mut about = Metadata::new(FileType::File);
        about.len = Some(self.content.len() as u64);
        about.modified = Some(self.made);
        about.content_type = Some(self.content_type.into());
        // The next one who asks gets another.
        about.provenance.provisional = true;
        about
    }
}

#[async_trait]
impl File for Page {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(self.about())
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.content.len());
        let end = start.saturating_add(max).min(self.content.len());
        Ok(self.content.slice(start..end))
    }
}

impl fmt::Debug for AdminFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminFs").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn two_files_are_there_and_one_tells_of_the_stop() {
        let healthy = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&healthy);
        let tree = AdminFs::new(|| "m 1\n".to_owned(), move || asked.load(Ordering::Relaxed));
        let read = async |path: &str| {
            let file = tree.open(&VPath::parse(path).unwrap(), &OpenOptions::reading()).await;
            match file {
                Ok(file) => Ok(file.read_at(0, 100).await.unwrap()),
                Err(error) => Err(error.kind()),
            }
        };
        assert_eq!(read("/metrics").await.unwrap(), "m 1\n");
        assert_eq!(read("/healthz").await.unwrap(), "ok\n");
        healthy.store(false, Ordering::Relaxed);
        assert_eq!(read("/healthz").await.unwrap_err(), ErrorKind::Unavailable);
        assert_eq!(read("/other").await.unwrap_err(), ErrorKind::NotFound);
        assert_eq!(read("/").await.unwrap_err(), ErrorKind::IsADirectory);
    }
}

//! A file that does what files do on bad days.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use vfs::{
    Capabilities, DirStream, Error, ErrorKind, File, FileSystem, FileType, Identity, ListOptions, Metadata,
    OpenOptions, Result, StatOptions, VPath,
};

/// A tree of one file, `/odd`, which says that it has `len` bytes, has `content`, and then ends or fails.
#[derive(Clone, Debug)]
pub(super) struct Odd {
    pub(super) len: Option<u64>,
    pub(super) content: &'static [u8],
    pub(super) fails: bool,
}

#[async_trait]
impl FileSystem for Odd {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities::default()
    }

    async fn metadata(&self, path: &VPath, _options: &StatOptions) -> Result<Metadata> {
        Err(Error::new(ErrorKind::Internal, "metadata", path))
    }

    async fn read_dir(&self, path: &VPath, _options: &ListOptions) -> Result<DirStream> {
        Err(Error::new(ErrorKind::PermissionDenied, "read_dir", path))
    }

    async fn open(&self, path: &VPath, _options: &OpenOptions) -> Result<Arc<dyn File>> {
        match path.to_bytes().as_slice() {
            b"/odd" => Ok(Arc::new(self.clone())),
            b"/" => Err(Error::new(ErrorKind::IsADirectory, "open", path)),
            b"/down" => Err(Error::new(ErrorKind::Unavailable, "open", path)
                .with_detail("secret detail")
                .with_source("secret source")),
            b"/hang" => std::future::pending().await,
            _ => Err(Error::new(ErrorKind::NotFound, "open", path)),
        }
    }
}

#[async_trait]
impl File for Odd {
    async fn metadata(&self) -> Result<Metadata> {
        let mut metadata = Metadata::new(FileType::File);
        metadata.len = self.len;
        Ok(metadata)
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let rest = &self.content[usize::try_from(offset).unwrap().min(self.content.len())..];
        if rest.is_empty() && self.fails {
            return Err(Error::new(ErrorKind::Unavailable, "read_at", &VPath::root()));
        }
        Ok(Bytes::from_static(&rest[..max.min(rest.len())]))
    }
}

//! [`FtpFs`]: a remote site as a tree.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::batches::Batches;
use super::changes::Changes;
use super::config::{Address, FtpOptions};
use super::error::Fault;
use super::file::FtpFile;
use super::listing::{Facts, Row};
use super::names::Names;
use super::site::{Again, Site};
use super::stat::{stat, target};
use super::transfer::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirEntry, DirStream, File, FileSystem, Writes};
use crate::metadata::{FileType, Metadata};
use crate::options::{LinkTarget, ListOptions, OpenOptions, RenameOptions, SetAttributes, StatOptions};
use crate::path::VPath;
use crate::registry::ConnectSource;

/// A remote FTP(S) site.
///
/// The root is a folder without being asked, so a mount of a site that is down can be made. Links are shown as what they
/// are and followed by the site itself.
#[derive(Debug)]
pub struct FtpFs {
    site: Arc<Site>,
    /// The tree's root, without login.
    url: String,
    changes: Arc<Changes>,
    is_writable: bool,
}

/// Connects `ftp:`, `ftpes:` and `ftps:` URLs.
#[derive(Clone, Debug, Default)]
pub struct FtpSource {
    options: FtpOptions,
}

impl FtpSource {
    /// Connects with these wishes.
    pub fn new(options: FtpOptions) -> Self {
        Self { options }
    }
}

#[async_trait]
impl ConnectSource for FtpSource {
    async fn connect(&self, url: &str) -> Result<Arc<dyn FileSystem>> {
        Ok(Arc::new(FtpFs::new(url, &self.options)?))
    }
}

impl FtpFs {
    /// The tree at `url`: `ftp://[user[:password]@]host[:port]/folder/`, `ftpes:` with TLS after AUTH TLS, `ftps:` with
    /// TLS from the start. Behind a `?` may stand `tls=explicit`, `encoding=latin1`, `tz=+02:00` (of the times that a
    /// LIST tells), `password-file=…` and `password-env=…`. Nobody is asked yet.
    ///
    /// # Errors
    /// `InvalidInput` where the URL is none of a site.
    pub fn new(url: &str, options: &FtpOptions) -> Result<Self> {
        let address = Address::parse(url, options)?;
        let base = address.base.iter().map(|name| percent_encode(name, NON_ALPHANUMERIC).to_string() + "/");
        let url = address.url() + &base.collect::<String>();
        let site = Site::new(address, options)?;
        Ok(Self { site, url, changes: Arc::default(), is_writable: options.writable })
    }

    pub(super) fn names(&self) -> &Names {
        &self.site.names
    }

    pub(super) fn site(&self) -> &Arc<Site> {
        &self.site
    }

    pub(super) fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    pub(super) fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// What stands at `path`.
    pub(super) async fn facts(&self, path: &VPath, follow: bool, op: &'static str) -> Result<Facts> {
        if path.is_root() {
            return Ok(Facts::new(FileType::Dir));
        }
        match self.facts_at(path, follow, op).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(self.judge_missing(path, op, error).await)
            }
            facts => facts,
        }
    }

    async fn facts_at(&self, path: &VPath, follow: bool, op: &'static str) -> Result<Facts> {
        let wire_path = self.names().to_wire(path, op)?;
        self.site
            .run(op, path, Again::Yes, move |wire| {
                let path = wire_path.clone();
                Box::pin(async move { stat(wire, &path, follow).await })
            })
            .await
    }

    /// Looks for a file among the ancestors of what is missing.
    async fn judge_missing(&self, path: &VPath, op: &'static str, error: Error) -> Error {
        let mut ancestor = path.parent();
        while let Some(above) = ancestor.filter(|above| !above.is_root()) {
            match self.facts_at(&above, true, op).await {
                Ok(facts) if facts.file_type == FileType::Dir => break,
                Ok(_) => return Error::new(ErrorKind::NotADirectory, op, path),
                Err(above_error) if above_error.kind() == ErrorKind::NotFound => ancestor = above.parent(),
                Err(_) => break,
            }
        }
        error
    }

    fn describe(&self, path: &VPath, facts: &Facts) -> Metadata {
        facts.metadata(&self.url_of(path), self.changes.of(path))
    }

    fn url_of(&self, path: &VPath) -> String {
        let names = path
            .segments()
            .iter()
            .map(|segment| percent_encode(segment.name(), NON_ALPHANUMERIC).to_string());
        self.url.clone() + &names.collect::<Vec<_>>().join("/")
    }

    async fn open_to_read(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        const OP: &str = "open";
        let facts = self.facts(path, true, OP).await?;
        match facts.file_type {
            FileType::Dir => return Err(Error::new(ErrorKind::IsADirectory, OP, path)),
            FileType::File => {}
            FileType::Symlink | FileType::Other => {
                let detail = format!("it is a {}", facts.file_type);
                return Err(Error::new(ErrorKind::PermissionDenied, OP, path).with_detail(detail));
            }
        }
        if !options.follow && self.facts(path, false, OP).await?.file_type == FileType::Symlink {
            return Err(Error::new(ErrorKind::Loop, OP, path).with_detail("it is a link"));
        }
        let metadata = self.describe(path, &facts);
        if options.if_match.is_some() && metadata.validator != options.if_match {
            let detail = "the site has another version than the one asked for";
            return Err(Error::new(ErrorKind::Changed, OP, path).with_detail(detail));
        }
        let source = Source { site: Arc::clone(&self.site), path: self.names().to_wire(path, OP)?, facts };
        Ok(Arc::new(FtpFile::new(source, metadata)))
    }
}

#[async_trait]
impl FileSystem for FtpFs {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        if !self.is_writable {
            return Capabilities::default();
        }
        // What FEAT will tell is not known before the first connection.
        let times = self.site.lore().features().is_none_or(|features| features.mfmt);
        Capabilities { writes: Writes::Sequential, modes: true, times, ..Capabilities::default() }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let facts = self.facts(path, options.follow, "metadata").await?;
        Ok(self.describe(path, &facts))
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        const OP: &str = "read_dir";
        let folder = self.names().to_wire(path, OP)?;
        let batches = match Batches::start(&self.site, folder).await {
            Ok(batches) => batches,
            Err(fault) => return Err(self.judge_listing(path, fault).await),
        };
        let (names, url, metadata) = (self.names().clone(), self.url_of(path), options.metadata);
        let (changes, folder) = (Arc::clone(&self.changes), path.clone());
        let entry = move |row: Row| {
            let name = names.of_wire(&row.name);
            let separator = if url.ends_with('/') { "" } else { "/" };
            let url = || format!("{url}{separator}{}", percent_encode(&name, NON_ALPHANUMERIC));
            let change = || folder.child(name.clone()).map_or(0, |path| changes.of(&path));
            let described = metadata.then(|| row.facts.metadata(&url(), change()));
            DirEntry { metadata: described, ..DirEntry::new(name, Some(row.facts.file_type)) }
        };
        Ok(batches.into_entries(path, entry))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        options.check(path)?;
        if options.changes() {
            self.check_writable("open", path)?;
            return self.open_to_write(path, options).await;
        }
        self.open_to_read(path, options).await
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        self.check_writable("create_dir", path)?;
        self.make_folder(path).await
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        self.check_writable("remove_file", path)?;
        self.remove(path).await
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        self.check_writable("remove_dir", path)?;
        self.remove_folder(path).await
    }

    /// Atomic where the site's own RNTO is. With `no_replace` it is one among the calls on this mount, and no more.
    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        self.check_writable("rename", from)?;
        self.move_to(from, to, options).await
    }

    async fn symlink(&self, _target: &LinkTarget, path: &VPath) -> Result<()> {
        self.check_writable("symlink", path)?;
        Err(Error::new(ErrorKind::Unsupported, "symlink", path).with_detail("FTP makes no links"))
    }

    async fn hard_link(&self, _original: &VPath, link: &VPath) -> Result<()> {
        self.check_writable("hard_link", link)?;
        Err(Error::new(ErrorKind::Unsupported, "hard_link", link).with_detail("FTP gives no second names"))
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, _follow: bool) -> Result<()> {
        self.check_writable("set_attributes", path)?;
        self.set(path, attributes).await
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        const OP: &str = "read_link";
        let facts = self.facts(path, false, OP).await?;
        let refuse = |kind, detail| Err(Error::new(kind, OP, path).with_detail(detail));
        match (facts.file_type, facts.target) {
            (FileType::Symlink, Some(target)) => Ok(self.names().of_wire(&target)),
            (FileType::Symlink, None) => match self.target(path, OP).await? {
                Some(target) => Ok(self.names().of_wire(&target)),
                None => {
                    refuse(ErrorKind::Unsupported, "the site does not tell where the link leads".to_owned())
                }
            },
            (file_type, _) => refuse(ErrorKind::InvalidInput, format!("it is a {file_type}, not a link")),
        }
    }
}

impl FtpFs {
    async fn target(&self, path: &VPath, op: &'static str) -> Result<Option<Bytes>> {
        let wire_path = self.names().to_wire(path, op)?;
        self.site
            .run(op, path, Again::Yes, move |wire| {
                let path = wire_path.clone();
                Box::pin(async move { target(wire, &path).await })
            })
            .await
    }

    /// What it means that a folder cannot be listed.
    async fn judge_listing(&self, path: &VPath, fault: Fault) -> Error {
        const OP: &str = "read_dir";
        let is_refusal = matches!(fault.code(), Some(500..));
        let error = fault.into_error(OP, path);
        if !is_refusal || path.is_root() {
            return error;
        }
        match self.facts(path, true, OP).await {
            Ok(facts) if facts.file_type == FileType::Dir => error_of_closed_folder(error, path),
            Ok(_) => Error::new(ErrorKind::NotADirectory, OP, path),
            Err(missing) => missing,
        }
    }
}

/// It is there, and may not be looked into.
fn error_of_closed_folder(error: Error, path: &VPath) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::new(ErrorKind::PermissionDenied, "read_dir", path).with_source(error),
        _ => error,
    }
}

//! [`HttpFs`]: a remote site as a tree.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use reqwest::header::{ACCEPT_RANGES, CONTENT_LENGTH, HeaderMap};
use reqwest::{StatusCode, Url};

use super::client::{Answer, Ask, Client, Reached, SharedClient};
use super::config::{HttpOptions, Site};
use super::dav::{self, Depth};
use super::file::HttpFile;
use super::folders::Folders;
use super::listing::{self, Listed, Wanted};
use super::manner::{Manner, Manners};
use super::response::{Facts, read};
use super::transfer::{Fetched, Source, is_packed};
use super::url::{url_of_file, url_of_folder, url_of_keys};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem};
use crate::metadata::Metadata;
use crate::options::{ByteRange, Held, Intent, ListOptions, OpenOptions, Sought, StatOptions};
use crate::path::VPath;
use crate::registry::ConnectSource;
use crate::traffic::TrafficTotals;

/// A remote HTTP(S) site, read-only.
///
/// A file is what answers under its own URL; a folder is what its URL redirects to with a `/` at the end, what another
/// folder lists as one, or what has a listing. The root is a folder without being asked, so a mount of a site that is
/// down can be made.
///
/// Some sites deny a folder that is asked for without its `/`. Hence who asks for anything costs a second request where
/// the first is denied, unless the site was seen to redirect; who asks for a file ([`Sought::File`]) costs it only where
/// the site was seen to hide a folder so.
#[derive(Debug)]
pub struct HttpFs {
    client: SharedClient,
    folders: Arc<Folders>,
    /// HEAD was refused: one byte is asked for instead.
    refuses_head: AtomicBool,
    /// The site was seen to redirect a folder's URL to the one with a `/`: then a missing file is no folder either.
    redirects_folders: AtomicBool,
    /// The site was seen to deny a folder's URL without the `/`.
    hides_folders: AtomicBool,
    manners: Manners,
}

/// Connects `http:` and `https:` URLs.
#[derive(Clone, Debug, Default)]
pub struct HttpSource {
    options: HttpOptions,
}

impl HttpSource {
    /// Connects with these wishes.
    pub fn new(options: HttpOptions) -> Self {
        Self { options }
    }
}

#[async_trait]
impl ConnectSource for HttpSource {
    async fn connect(&self, url: &str) -> Result<Arc<dyn FileSystem>> {
        Ok(Arc::new(HttpFs::new(url, self.options.clone())?))
    }
}

impl HttpFs {
    /// The tree at `url`, which may hold a login. Nobody is asked yet.
    ///
    /// # Errors
    /// `InvalidInput` where the URL is none of a site.
    pub fn new(url: &str, options: HttpOptions) -> Result<Self> {
        let site = Site::parse(url, options)?;
        Ok(Self {
            client: Arc::new(Client::new(site)?),
            folders: Arc::default(),
            refuses_head: AtomicBool::new(false),
            redirects_folders: AtomicBool::new(false),
            hides_folders: AtomicBool::new(false),
            manners: Manners::default(),
        })
    }

    /// What was asked of the site so far, and what came of it.
    pub fn traffic(&self) -> TrafficTotals {
        self.client.traffic().totals()
    }

    /// Asks what stands at `path`, or whether `held` still does, by HEAD or, where that is refused, for one byte.
    async fn probe(
        &self,
        path: &VPath,
        sought: Sought,
        held: Option<&Held>,
        op: &'static str,
    ) -> Result<Probed> {
        let url = url_of_file(self.client.base(), path);
        let probed = match self.probe_url(&url, path, held, op).await {
            Err(error) if self.is_enough(&error, sought) => return Err(error),
            Err(error) if may_be_folder(&error) => return self.missing(path, op, error).await,
            probed => probed?,
        };
        self.note(path, matches!(probed, Probed::Folder));
        Ok(probed)
    }

    async fn probe_url(
        &self,
        url: &Url,
        path: &VPath,
        held: Option<&Held>,
        op: &'static str,
    ) -> Result<Probed> {
        if !self.refuses_head.load(Ordering::Relaxed) {
            match self.client.ask(url, &Ask { held: held.cloned(), ..Ask::head() }, op, path).await {
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    let probed = self.probe_byte(url, path, op).await?;
                    self.refuses_head.store(true, Ordering::Relaxed);
                    return Ok(probed);
                }
                Ok(Reached::Answer(answer)) if is_unchanged(&answer) => {
                    let facts = held.map(|held| Facts::unchanged(held, answer.response.headers()));
                    return facts.map(Probed::File).ok_or_else(|| Error::new(ErrorKind::Corrupt, op, path));
                }
                Ok(Reached::Answer(answer)) if hides_length(answer.response.headers()) => {}
                reached => return described(reached?, None, op, path),
            }
        }
        self.probe_byte(url, path, op).await
    }

    /// Asks for one byte, which tells what HEAD would have told.
    async fn probe_byte(&self, url: &Url, path: &VPath, op: &'static str) -> Result<Probed> {
        let first_byte = ByteRange::at(0, 1);
        match self.client.ask(url, &Ask { range: Some(first_byte), ..Ask::get() }, op, path).await {
            // An empty file has no first byte.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                described(self.client.ask(url, &Ask::get(), op, path).await?, None, op, path)
            }
            reached => described(reached?, Some(first_byte), op, path),
        }
    }

    /// True where the site's word that there is no file is all that was asked for.
    fn is_enough(&self, error: &Error, sought: Sought) -> bool {
        let may_hide = self.hides_folders.load(Ordering::Relaxed) || self.manners.get() == Manner::Bucket;
        error.kind() == ErrorKind::NotFound && sought == Sought::File && !may_hide
    }

    /// What a missing file means: a folder of a site that does not redirect to it, something below a file, or nothing.
    async fn missing(&self, path: &VPath, op: &'static str, error: Error) -> Result<Probed> {
        if error.kind() == ErrorKind::Unsupported && self.manners.get() == Manner::Unknown {
            let url = url_of_folder(self.client.base(), path);
            if self.speaks_dav(&url, path, &error).await {
                self.manners.set(Manner::WebDav);
            }
        }
        if self.is_folder(path, op).await? {
            self.hides_folders.store(true, Ordering::Relaxed);
            self.folders.note(path);
            return Ok(Probed::Folder);
        }
        if error.kind() != ErrorKind::NotFound {
            return Err(error);
        }
        Err(self.judge_missing(path, op, error).await)
    }

    async fn is_folder(&self, path: &VPath, op: &'static str) -> Result<bool> {
        let url = url_of_folder(self.client.base(), path);
        let asked = match self.manners.get() {
            Manner::Bucket => {
                let source = self.source(url_of_keys(self.client.base(), path), page());
                listing::read(source, self.wanted(path, false), true).await.map(drop)
            }
            Manner::WebDav => {
                let source = self.source(url, Ask::propfind(Depth::Itself));
                listing::read(source, self.wanted(path, false), false).await.map(drop)
            }
            Manner::Unknown | Manner::Pages if self.redirects_folders.load(Ordering::Relaxed) => {
                return Ok(false);
            }
            Manner::Unknown | Manner::Pages => self.probe_url(&url, path, None, op).await.map(drop),
        };
        match asked {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            asked => asked.map(|()| true),
        }
    }

    /// Looks for a file among the ancestors. Those that were seen as folders are not asked again, so this costs a
    /// request only where nothing near was ever there.
    async fn judge_missing(&self, path: &VPath, op: &'static str, error: Error) -> Error {
        let mut ancestor = path.parent();
        while let Some(above) = ancestor.filter(|above| !above.is_root() && !self.folders.holds(above)) {
            match self.probe_url(&url_of_file(self.client.base(), &above), &above, None, op).await {
                Ok(Probed::File(_)) => return Error::new(ErrorKind::NotADirectory, op, path),
                Ok(Probed::Folder) => {
                    self.note(&above, true);
                    break;
                }
                Err(_) => ancestor = above.parent(),
            }
        }
        error
    }

    /// Remembers what was seen at `path`: it may be a folder, and what it lies in is one.
    fn note(&self, path: &VPath, is_folder: bool) {
        if is_folder {
            self.redirects_folders.store(true, Ordering::Relaxed);
            self.folders.note(path);
        }
        if let Some(parent) = path.parent() {
            self.folders.note(&parent);
        }
    }

    /// The entries of the folder `path`, in the way in which this site tells them.
    async fn list(&self, path: &VPath, metadata: bool) -> Result<DirStream> {
        let url = url_of_folder(self.client.base(), path);
        let wanted = || self.wanted(path, metadata);
        let listed = match self.manners.get() {
            Manner::WebDav => {
                let source = self.source(url, Ask::propfind(Depth::Children));
                listing::read(source, wanted(), false).await?
            }
            Manner::Bucket => Listed::Bucket,
            Manner::Pages => listing::read(self.source(url, page()), wanted(), false).await?,
            Manner::Unknown => match listing::read(self.source(url.clone(), page()), wanted(), false).await {
                Err(error) if self.speaks_dav(&url, path, &error).await => {
                    let source = self.source(url, Ask::propfind(Depth::Children));
                    let listed = listing::read(source, wanted(), false).await.map_err(|_| error)?;
                    self.manners.set(Manner::WebDav);
                    listed
                }
                listed => listed?,
            },
        };
        match listed {
            Listed::Entries(entries) => Ok(entries),
            Listed::Bucket => {
                self.manners.set(Manner::Bucket);
                let source = self.source(url_of_keys(self.client.base(), path), page());
                match listing::read(source, wanted(), true).await? {
                    Listed::Entries(entries) => Ok(entries),
                    Listed::Bucket => Err(Error::new(ErrorKind::Internal, "read_dir", path)),
                }
            }
        }
    }

    /// Asks whether the site speaks WebDAV, after it refused to make a page with `error`. A "no" is asked for once. What is
    /// not there cannot say so: then the root is asked.
    async fn speaks_dav(&self, url: &Url, path: &VPath, error: &Error) -> bool {
        use ErrorKind::{NotADirectory, NotFound, PermissionDenied, Unsupported};
        if !matches!(error.kind(), NotADirectory | NotFound | PermissionDenied | Unsupported) {
            return false;
        }
        let asked = if error.kind() == NotFound { self.client.base() } else { url };
        match self.client.ask(asked, &Ask::options(), "read_dir", path).await {
            Ok(Reached::Answer(answer)) if dav::is_spoken(answer.response.headers()) => return true,
            // A login that is wanted, or trouble, is no answer.
            Err(error) if !matches!(error.kind(), Unsupported | NotFound) => {}
            Ok(_) | Err(_) => self.manners.set(Manner::Pages),
        }
        false
    }

    fn source(&self, url: Url, question: Ask) -> Source {
        Source { client: Arc::clone(&self.client), url, question }
    }

    fn wanted<'a>(&'a self, path: &'a VPath, metadata: bool) -> Wanted<'a> {
        Wanted { path, metadata, folders: &self.folders }
    }

    /// The page that the site makes of the folder `path`.
    async fn open_page(
        &self,
        path: &VPath,
        media: &'static str,
        held: Option<&Held>,
    ) -> Result<Arc<dyn File>> {
        let url = url_of_folder(self.client.base(), path);
        let source = self.source(url, Ask { accept: media, ..Ask::get() });
        match source.fetch(ByteRange::whole(), None, held, "open", path).await? {
            Fetched::File(found) => Ok(Arc::new(HttpFile::new(source, found.facts, Some(found.body)))),
            Fetched::Unchanged(facts) => Ok(Arc::new(HttpFile::new(source, *facts, None))),
            Fetched::Folder => Err(Error::new(ErrorKind::NotFound, "open", path)),
        }
    }

    async fn open_for(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        const OP: &str = "open";
        let (held, sought) = (options.held.as_ref(), options.sought);
        let url = url_of_file(self.client.base(), path);
        let source = self.source(url, Ask::get());
        if options.intent != Intent::Whole {
            return match self.probe(path, sought, held, OP).await? {
                Probed::File(facts) => Ok(Arc::new(HttpFile::new(source, facts, None))),
                Probed::Folder => Err(Error::new(ErrorKind::IsADirectory, OP, path)),
            };
        }
        match source.fetch(ByteRange::whole(), None, held, OP, path).await {
            Ok(Fetched::File(found)) if found.url.path().ends_with('/') => {
                Err(Error::new(ErrorKind::IsADirectory, OP, path))
            }
            Ok(Fetched::File(found)) => {
                self.note(path, false);
                Ok(Arc::new(HttpFile::new(source, found.facts, Some(found.body))))
            }
            Ok(Fetched::Unchanged(facts)) => Ok(Arc::new(HttpFile::new(source, *facts, None))),
            Ok(Fetched::Folder) => {
                self.note(path, true);
                Err(Error::new(ErrorKind::IsADirectory, OP, path))
            }
            Err(error) if self.is_enough(&error, sought) => Err(error),
            Err(error) if may_be_folder(&error) => match self.missing(path, OP, error).await? {
                Probed::Folder => Err(Error::new(ErrorKind::IsADirectory, OP, path)),
                // It came between the two questions.
                Probed::File(facts) => Ok(Arc::new(HttpFile::new(source, facts, None))),
            },
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl FileSystem for HttpFs {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities::default()
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        if path.is_root() || self.folders.holds(path) {
            return Ok(self.folders.describe(path));
        }
        let url = url_of_file(self.client.base(), path);
        Ok(match self.probe(path, options.sought, None, "metadata").await? {
            Probed::File(facts) => facts.metadata(url.as_str()),
            Probed::Folder => self.folders.describe(path),
        })
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        const OP: &str = "read_dir";
        match self.list(path, options.metadata).await {
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_root() => {
                self.folders.forget(path);
                match self.probe_url(&url_of_file(self.client.base(), path), path, None, OP).await {
                    Ok(Probed::File(_)) => Err(Error::new(ErrorKind::NotADirectory, OP, path)),
                    _ => Err(self.judge_missing(path, OP, error).await),
                }
            }
            listed => {
                let listed = listed?;
                self.folders.note(path);
                Ok(listed)
            }
        }
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        options.check(path)?;
        if options.changes() {
            return Err(Error::new(ErrorKind::ReadOnly, "open", path));
        }
        let is_folder = path.is_root() || self.folders.holds(path);
        let file = match options.page {
            Some(media) => self.open_page(path, media, options.held.as_ref()).await?,
            None if is_folder => return Err(Error::new(ErrorKind::IsADirectory, "open", path)),
            None => self.open_for(path, options).await?,
        };
        if let Some(wanted) = &options.if_match
            && file.metadata().await?.validator.as_ref() != Some(wanted)
        {
            let detail = "the site has another version than the one asked for";
            return Err(Error::new(ErrorKind::Changed, "open", path).with_detail(detail));
        }
        Ok(file)
    }
}

/// How a listing's page is asked for.
fn page() -> Ask {
    Ask { accept: listing::ACCEPT, ..Ask::get() }
}

/// Apache leaves the length out of its answer to HEAD where it is 0 (RFC 9110 §8.6 allows it). A site that sends ranges
/// knows its files' lengths.
fn hides_length(headers: &HeaderMap) -> bool {
    let sends_ranges =
        headers.get(ACCEPT_RANGES).is_some_and(|unit| unit.as_bytes().eq_ignore_ascii_case(b"bytes"));
    sends_ranges && !headers.contains_key(CONTENT_LENGTH)
}

/// Sites that do not redirect to a folder deny that there is a file, or that the question fits.
fn may_be_folder(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported)
}

/// What stands at a path.
enum Probed {
    File(Facts),
    Folder,
}

fn is_unchanged(answer: &Answer) -> bool {
    answer.response.status() == StatusCode::NOT_MODIFIED
}

fn described(reached: Reached, asked: Option<ByteRange>, op: &'static str, path: &VPath) -> Result<Probed> {
    let Answer { response, url, .. } = match reached {
        Reached::Answer(answer) => *answer,
        Reached::Folder => return Ok(Probed::Folder),
    };
    if url.path().ends_with('/') {
        return Ok(Probed::Folder);
    }
    read(response.status(), response.headers(), asked, is_packed(&url))
        .map(|(facts, _)| Probed::File(facts))
        .map_err(|fault| Error::new(ErrorKind::Corrupt, op, path).with_detail(fault.to_string()))
}

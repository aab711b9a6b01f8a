//! The listings of HTTP sites: a folder's page, in whatever way its server makes one, as entries.
//!
//! The page is read while it comes: [`tokens`] cuts markup, [`html`], [`xml`] and [`json`] make rows, [`row`] makes
//! entries. A page counts as a listing by a sign of [`dialects`] or a link to its parent; another page is
//! `NotADirectory`, never an empty folder, and a page that stops in the middle `Truncated`. A size that is rounded is no
//! length, and a listing costs one request.

mod dialects;
mod facts;
mod html;
mod json;
mod row;
#[cfg(test)]
mod tests;
mod tokens;
mod xml;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use reqwest::Url;

use self::html::HtmlRows;
use self::json::JsonRows;
use self::row::{Row, entry_of};
use self::xml::{Kind, NextPage, XmlRows};
use super::folders::Folders;
use super::transfer::{Fetched, Found, Source, Transfer};
use crate::backends::remote::Seen;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::file_system::{DirEntry, DirStream};
use crate::options::ByteRange;
use crate::path::VPath;
use crate::producer::{Chunk, Producer};

/// What a listing is asked for as. Pages come before JSON, whose shape is any server's own.
pub(super) const ACCEPT: &str =
    "text/html,application/xhtml+xml,application/xml;q=0.9,application/json;q=0.8,*/*;q=0.5";

/// What its errors are called.
const OP: &str = "read_dir";

/// Bytes in which a page must show that it is a listing.
const SIGN_BYTES: usize = 64 * 1024;

/// Entries of one listing at most; more are `LimitExceeded`.
const ENTRIES: usize = 2_000_000;

/// Pages of one bucket's listing at most; more are `LimitExceeded`.
const PAGES: usize = 20_000;

/// A folder that is to be listed.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// What it is called in messages.
    pub(super) path: &'a VPath,
    /// What the listing tells beyond types is wanted too.
    pub(super) metadata: bool,
    /// Where its folders are noted.
    pub(super) folders: &'a Arc<Folders>,
}

/// What came of asking for a listing.
#[derive(Debug)]
pub(super) enum Listed {
    Entries(DirStream),
    /// The URL is a bucket's, and the bucket is to be asked in another way.
    Bucket,
}

/// Lists the folder at the URL of `source`. `is_bucket` says that the question is one to a bucket.
///
/// # Errors
/// `NotADirectory` where the page is no listing; what the site refuses with.
pub(super) async fn read(source: Source, wanted: Wanted<'_>, is_bucket: bool) -> Result<Listed> {
    let Wanted { path, metadata, folders } = wanted;
    let source = Arc::new(source);
    let (page, url) = Page::fetch(&source, path).await?;
    let mut listing = Listing {
        page,
        next: None,
        pages: 1,
        source,
        rows: VecDeque::new(),
        names: Seen::default(),
        base: url,
        path: path.clone(),
        metadata,
        folders: Arc::clone(folders),
        has_ended: false,
    };
    let mut seen = 0;
    while !listing.page.format.is_listing() {
        match poll_fn(|cx| listing.poll_page(cx)).await? {
            Some(bytes) if seen + bytes < SIGN_BYTES => seen += bytes,
            _ if listing.page.format.is_listing() => break,
            _ => {
                let detail = "the site answers with a page that is no listing of a folder";
                return Err(Error::new(ErrorKind::NotADirectory, OP, path).with_detail(detail));
            }
        }
    }
    if listing.page.format.kind() == Some(Kind::Bucket) && !is_bucket {
        return Ok(Listed::Bucket);
    }
    match listing.page.format.kind() {
        // A bucket answers questions about what is not there, too.
        Some(Kind::Bucket) if !path.is_root() && listing.first_is_dir().await?.is_none() => {
            return Err(Error::new(ErrorKind::NotFound, OP, path));
        }
        Some(Kind::Multistatus) if listing.first_is_dir().await? != Some(true) => {
            return Err(Error::new(ErrorKind::NotADirectory, OP, path));
        }
        _ => {}
    }
    Ok(Listed::Entries(DirStream::new(listing)))
}

/// One document of a listing, on its way.
struct Page {
    transfer: Transfer,
    format: Format,
}

impl Page {
    /// Asks for a document; gives the URL that it came from, too.
    async fn fetch(source: &Arc<Source>, path: &VPath) -> Result<(Self, Url)> {
        let Found { facts, body, url } = match source.fetch(None, OP, path).await? {
            Fetched::File(found) => *found,
            Fetched::Folder | Fetched::Unchanged(_) => return Err(Error::new(ErrorKind::Loop, OP, path)),
        };
        let format = Format::of(facts.content_type.as_deref());
        let transfer = Transfer::start(source, &facts, ByteRange::whole(), Some(body));
        Ok((Self { transfer, format }, url))
    }
}

/// How a listing is written.
enum Format {
    Html(HtmlRows),
    Xml(XmlRows),
    Json(JsonRows),
}

impl Format {
    fn of(content_type: Option<&str>) -> Self {
        let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match &media.to_ascii_lowercase()[..] {
            "application/json" | "text/json" => Self::Json(JsonRows::default()),
            "application/xml" | "text/xml" => Self::Xml(XmlRows::default()),
            _ => Self::Html(HtmlRows::default()),
        }
    }

    fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Row>) {
        match self {
            Self::Html(html) => html.feed(bytes, rows),
            Self::Xml(xml) => xml.feed(bytes, rows),
            Self::Json(json) => json.feed(bytes, rows),
        }
    }

    /// The page is at its end.
    fn finish(&mut self, rows: &mut Vec<Row>) {
        match self {
            Self::Html(html) => html.finish(rows),
            Self::Xml(_) | Self::Json(_) => {}
        }
    }

    /// False where the page is known to stop in the middle, however it was sent.
    fn is_whole(&self) -> bool {
        match self {
            Self::Html(html) => html.is_whole(),
            Self::Xml(xml) => xml.is_whole(),
            Self::Json(json) => json.is_whole(),
        }
    }

    fn is_listing(&self) -> bool {
        match self {
            Self::Html(html) => html.is_listing(),
            Self::Xml(xml) => xml.kind().is_some(),
            Self::Json(json) => json.is_listing(),
        }
    }

    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Xml(xml) => xml.kind(),
            Self::Html(_) | Self::Json(_) => None,
        }
    }

    fn first_is_dir(&self) -> Option<bool> {
        match self {
            Self::Xml(xml) => xml.first_is_dir(),
            Self::Html(_) | Self::Json(_) => None,
        }
    }

    /// Where the listing goes on, at the document's end.
    fn next_page(&mut self) -> Option<NextPage> {
        match self {
            Self::Xml(xml) => xml.next_page(),
            Self::Html(_) | Self::Json(_) => None,
        }
    }
}

/// A listing on its way.
struct Listing {
    page: Page,
    /// The document after this one.
    next: Option<Fetching>,
    pages: usize,
    source: Arc<Source>,
    rows: VecDeque<Row>,
    names: Seen,
    base: Url,
    path: VPath,
    metadata: bool,
    folders: Arc<Folders>,
    has_ended: bool,
}

type Fetching = Pin<Box<dyn Future<Output = Result<Page>> + Send>>;

impl Listing {
    /// Reads until something was told of; gives whether that is a folder.
    async fn first_is_dir(&mut self) -> Result<Option<bool>> {
        while self.page.format.first_is_dir().is_none() && !self.has_ended {
            poll_fn(|cx| self.poll_page(cx)).await?;
        }
        Ok(self.page.format.first_is_dir())
    }

    /// Reads one chunk of the page; gives its length, `None` at the end.
    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>>> {
        if let Some(next) = &mut self.next {
            self.page = ready!(next.as_mut().poll(cx))?;
            self.next = None;
        }
        let mut rows = Vec::new();
        let read = match ready!(self.page.transfer.poll_more(cx)) {
            Some(Ok(Chunk::Bytes(bytes))) => {
                self.page.format.feed(&bytes, &mut rows);
                Some(bytes.len())
            }
            Some(Ok(Chunk::Span(span))) => Some(span.len()),
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => {
                self.page.format.finish(&mut rows);
                if self.page.format.is_listing() && !self.page.format.is_whole() {
                    let detail = "the site's listing stops in the middle";
                    return Poll::Ready(Err(Error::new(ErrorKind::Truncated, OP, &self.path)
                        .with_detail(detail)
                        .with_retry(Retry::Now)));
                }
                match self.page.format.next_page() {
                    Some(next) => self.turn_to(&next)?,
                    None => self.has_ended = true,
                }
                None
            }
        };
        self.rows.extend(rows);
        Poll::Ready(Ok(read))
    }

    fn turn_to(&mut self, next: &NextPage) -> Result<()> {
        self.pages += 1;
        if self.pages > PAGES {
            let detail = format!("the listing has more than {PAGES} pages");
            return Err(Error::new(ErrorKind::LimitExceeded, OP, &self.path).with_detail(detail));
        }
        let (source, path) =
            (Arc::new(self.source.with_parameter(next.parameter, &next.value)), self.path.clone());
        if source.url == self.source.url {
            let detail = "the site's listing goes on with the page before, for ever";
            return Err(Error::new(ErrorKind::Corrupt, OP, &self.path).with_detail(detail));
        }
        self.source = Arc::clone(&source);
        self.next = Some(Box::pin(async move { Ok(Page::fetch(&source, &path).await?.0) }));
        Ok(())
    }

    /// The entries of the rows that are there, a batch at most.
    fn batch(&mut self) -> Result<Vec<DirEntry>> {
        let mut batch = Vec::new();
        while batch.len() < DirStream::BATCH
            && let Some(row) = self.rows.pop_front()
        {
            let Some(entry) = entry_of(&row, &self.base, self.metadata) else { continue };
            if !self.names.is_new(&entry.name) {
                continue;
            }
            if let Some(limit) = self.names.exceeds(ENTRIES) {
                let detail = format!("the listing has more than {limit}");
                return Err(Error::new(ErrorKind::LimitExceeded, OP, &self.path).with_detail(detail));
            }
            if entry.is_dir()
                && let Ok(folder) = self.path.child(entry.name.clone())
            {
                self.folders.note_listed(&folder, entry.metadata.as_ref());
            }
            batch.push(entry);
        }
        Ok(batch)
    }
}

impl Stream for Listing {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let batch = self.batch()?;
            if !batch.is_empty() {
                return Poll::Ready(Some(Ok(batch)));
            }
            if self.has_ended {
                return Poll::Ready(None);
            }
            ready!(self.poll_page(cx))?;
        }
    }
}

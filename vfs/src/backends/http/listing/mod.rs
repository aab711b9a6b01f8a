//! The listings of HTTP sites: a folder's page, in whatever way its server makes one, as entries.
//!
//! The page is read while it comes: [`tokens`] cuts markup, [`html`], [`xml`] and [`json`] make rows, [`row`] makes
//! entries. A page counts as a listing by a sign of [`dialects`] or a link to its parent; another page is
//! `NotADirectory`, never an empty folder. A size that is rounded is no length, and a listing costs one request.

mod dialects;
mod facts;
mod html;
mod json;
mod row;
#[cfg(test)]
mod tests;
mod tokens;
mod xml;

use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use reqwest::Url;

use self::html::HtmlRows;
use self::json::JsonRows;
use self::row::{Row, entry_of};
use self::xml::XmlRows;
use super::folders::Folders;
use super::transfer::{Fetched, Found, Source, Transfer};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{DirEntry, DirStream};
use crate::options::ByteRange;
use crate::path::VPath;
use crate::producer::{Chunk, Producer};

/// What a listing is asked for as. Pages come before JSON, whose shape is any server's own.
pub(super) const ACCEPT: &str =
    "text/html,application/xhtml+xml,application/xml;q=0.9,application/json;q=0.8,*/*;q=0.5";

/// Bytes in which a page must show that it is a listing.
const SIGN_BYTES: usize = 64 * 1024;

/// Entries of one listing at most; more are `LimitExceeded`.
const ENTRIES: usize = 2_000_000;

/// Lists the folder at the URL of `source`, which `path` names in messages, and notes which entries are folders.
///
/// # Errors
/// `NotADirectory` where the page is no listing; what the site refuses with.
pub(super) async fn read(
    source: Source,
    path: &VPath,
    metadata: bool,
    folders: &Arc<Folders>,
) -> Result<DirStream> {
    const OP: &str = "read_dir";
    let Found { facts, body, url } = match source.fetch(ByteRange::whole(), None, OP, path).await? {
        Fetched::File(found) => *found,
        Fetched::Folder => return Err(Error::new(ErrorKind::Loop, OP, path)),
    };
    let format = Format::of(facts.content_type.as_deref());
    let transfer = Transfer::start(&Arc::new(source), &facts, ByteRange::whole(), Some(body));
    let mut listing = Listing {
        transfer,
        format,
        rows: VecDeque::new(),
        names: Names::default(),
        base: url,
        path: path.clone(),
        metadata,
        folders: Arc::clone(folders),
        has_ended: false,
    };
    let mut seen = 0;
    while !listing.format.is_listing() {
        match poll_fn(|cx| listing.poll_page(cx)).await? {
            Some(bytes) if seen + bytes < SIGN_BYTES => seen += bytes,
            _ if listing.format.is_listing() => break,
            _ => {
                let detail = "the site answers with a page that is no listing of a folder";
                return Err(Error::new(ErrorKind::NotADirectory, OP, path).with_detail(detail));
            }
        }
    }
    Ok(DirStream::new(listing))
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

    fn is_listing(&self) -> bool {
        match self {
            Self::Html(html) => html.is_listing(),
            Self::Xml(xml) => xml.is_listing(),
            Self::Json(json) => json.is_listing(),
        }
    }
}

/// A listing on its way.
struct Listing {
    transfer: Transfer,
    format: Format,
    rows: VecDeque<Row>,
    names: Names,
    base: Url,
    path: VPath,
    metadata: bool,
    folders: Arc<Folders>,
    has_ended: bool,
}

impl Listing {
    /// Reads one chunk of the page; gives its length, `None` at the end.
    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>>> {
        let mut rows = Vec::new();
        let read = match ready!(self.transfer.poll_more(cx)) {
            Some(Ok(Chunk::Bytes(bytes))) => {
                self.format.feed(&bytes, &mut rows);
                Some(bytes.len())
            }
            Some(Ok(Chunk::Span(span))) => Some(span.len()),
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => {
                self.format.finish(&mut rows);
                self.has_ended = true;
                None
            }
        };
        self.rows.extend(rows);
        Poll::Ready(Ok(read))
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
            if self.names.0.len() > ENTRIES {
                let detail = format!("the listing has more than {ENTRIES} entries");
                return Err(Error::new(ErrorKind::LimitExceeded, "read_dir", &self.path).with_detail(detail));
            }
            if entry.is_dir()
                && let Ok(folder) = self.path.child(entry.name.clone())
            {
                self.folders.note(&folder);
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

/// Names that were given, as 64-bit hashes under a key of this listing's own.
#[derive(Default)]
struct Names(HashSet<u64>, RandomState);

impl Names {
    fn is_new(&mut self, name: &[u8]) -> bool {
        let hash = self.1.hash_one(name);
        self.0.insert(hash)
    }
}

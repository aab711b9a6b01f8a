//! Rows of an XML listing: nginx's, WebDAV's, and what object stores send for a bucket.

use super::facts::{any_time, rfc3339};
use super::row::{Row, Size};
use super::tokens::{Tag, Token, Tokens};

/// Bytes of one field that are kept at most.
const FIELD_BYTES: usize = 4 * 1024;

/// Makes rows of a document while it comes.
#[derive(Debug, Default)]
pub(super) struct XmlRows {
    tokens: Tokens,
    kind: Option<Kind>,
    /// The row that is being told of.
    row: Option<Row>,
    /// The text of the innermost element so far.
    text: Vec<u8>,
    pages: Pages,
    /// Whether the first that was told of is a folder: in WebDAV that is the one that is listed.
    first: Option<bool>,
    /// The document's own element has ended.
    has_ended: bool,
}

/// Which documents list something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// nginx: `<list>`.
    List,
    /// RFC 4918 §14.16.
    Multistatus,
    /// S3 and its kin.
    Bucket,
}

/// What a bucket's document says of those that follow it.
#[derive(Debug, Default)]
struct Pages {
    is_truncated: bool,
    token: Option<String>,
    marker: Option<String>,
    last_key: Option<String>,
}

/// Where a bucket's listing goes on: a parameter of the next question, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NextPage {
    pub(super) parameter: &'static str,
    pub(super) value: String,
}

impl XmlRows {
    pub(super) fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Row>) {
        let Self { tokens, kind, row, text, pages, first, has_ended } = self;
        tokens.feed(bytes, |token| match token {
            Token::Open(tag) => {
                text.clear();
                match *kind {
                    None => *kind = Kind::of(local(&tag.name)),
                    Some(kind) => open(kind, local(&tag.name), &tag, row),
                }
            }
            Token::Text(piece) => {
                if text.len() + piece.len() <= FIELD_BYTES {
                    text.extend(piece);
                }
            }
            Token::Close(name) => {
                let text = std::mem::take(text);
                *has_ended |= kind.is_some() && Kind::of(local(&name)) == *kind;
                if let Some(kind) = *kind
                    && close(kind, local(&name), text, row, pages)
                {
                    first.get_or_insert(row.as_ref().is_some_and(|row| row.is_dir));
                    rows.extend(row.take().filter(|row| row.name.is_some() || !row.links.is_empty()));
                }
            }
        });
    }

    /// False where the document stops in the middle.
    pub(super) fn is_whole(&self) -> bool {
        self.has_ended
    }

    /// What the document lists, where it does.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Whether the first that was told of is a folder; `None`: nothing was, yet.
    pub(super) fn first_is_dir(&self) -> Option<bool> {
        self.first
    }

    /// Where the listing goes on, at the document's end.
    pub(super) fn next_page(&mut self) -> Option<NextPage> {
        let Pages { is_truncated, token, marker, last_key } = std::mem::take(&mut self.pages);
        if !is_truncated {
            return None;
        }
        match token {
            Some(value) => Some(NextPage { parameter: "continuation-token", value }),
            // Stores that know the first version alone leave the marker out without a delimiter.
            None => marker.or(last_key).map(|value| NextPage { parameter: "marker", value }),
        }
    }
}

impl Kind {
    /// The kind whose documents are an element of this name.
    fn of(element: &str) -> Option<Self> {
        match element {
            "list" => Some(Self::List),
            "multistatus" => Some(Self::Multistatus),
            "listbucketresult" => Some(Self::Bucket),
            _ => None,
        }
    }
}

/// The name without its namespace's prefix: `D:href` is `href`.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

fn open(kind: Kind, name: &str, tag: &Tag, row: &mut Option<Row>) {
    match (kind, name) {
        // `<file mtime="2024-02-29T12:34:56Z" size="1234">name</file>`, `<directory mtime="…">name</directory>`.
        (Kind::List, "file" | "directory") => {
            *row = Some(Row {
                is_dir: name == "directory",
                size: tag.attribute("size").and_then(|size| size.parse().ok()).map(Size::Exact),
                modified: tag.attribute("mtime").and_then(rfc3339),
                ..Row::default()
            });
        }
        (Kind::Multistatus, "response") | (Kind::Bucket, "contents") => *row = Some(Row::default()),
        (Kind::Bucket, "commonprefixes") => *row = Some(Row { is_dir: true, ..Row::default() }),
        (Kind::Multistatus, "collection") => {
            if let Some(row) = row {
                row.is_dir = true;
            }
        }
        _ => {}
    }
}

/// Takes an element that has ended with `text`; true where it was a row's own.
fn close(kind: Kind, name: &str, text: Vec<u8>, row: &mut Option<Row>, pages: &mut Pages) -> bool {
    let plain = || String::from_utf8_lossy(&text).trim().to_owned();
    let Some(row) = row else {
        match (kind, name) {
            (Kind::Bucket, "istruncated") => pages.is_truncated = plain() == "true",
            (Kind::Bucket, "nextcontinuationtoken") => pages.token = Some(plain()),
            (Kind::Bucket, "nextmarker") => pages.marker = Some(String::from_utf8_lossy(&text).into_owned()),
            _ => {}
        }
        return false;
    };
    match (kind, name) {
        (Kind::List, "file" | "directory") => {
            row.name = Some(text);
            return true;
        }
        (Kind::Multistatus, "response") | (Kind::Bucket, "contents" | "commonprefixes") => return true,
        (Kind::Multistatus, "href") => row.links = vec![path_of(text.trim_ascii()).to_vec()],
        (Kind::Multistatus, "getcontentlength") | (Kind::Bucket, "size") => {
            row.size = plain().parse().ok().map(Size::Exact);
        }
        (Kind::Multistatus, "getlastmodified") | (Kind::Bucket, "lastmodified") => {
            row.modified = any_time(&plain());
        }
        (Kind::Bucket, "key" | "prefix") => {
            pages.last_key = Some(String::from_utf8_lossy(&text).into_owned());
            row.name = name_of_key(&text, row.is_dir);
        }
        _ => {}
    }
    false
}

/// A server behind another one does not always know its own name, and means itself.
fn path_of(href: &[u8]) -> &[u8] {
    let Some(host) = href.windows(3).position(|sign| sign == b"://").map(|at| at + 3) else { return href };
    href[host..].iter().position(|byte| *byte == b'/').map_or(b"/", |at| &href[host + at..])
}

/// The last name of a key. A key that ends in `/` is a folder: `a/b/` among the prefixes is `b/`, and as an object it
/// stands for the folder that is being listed.
fn name_of_key(key: &[u8], is_prefix: bool) -> Option<Vec<u8>> {
    let bare = key.strip_suffix(b"/");
    if bare.is_some() != is_prefix {
        return None;
    }
    bare.unwrap_or(key).rsplit(|byte| *byte == b'/').next().map(<[u8]>::to_vec)
}

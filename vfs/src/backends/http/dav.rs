//! What is asked over WebDAV (RFC 4918), for sites that make no pages of their folders.

use reqwest::Method;
use reqwest::header::HeaderMap;

/// How far below a folder a `PROPFIND` looks (RFC 4918 §10.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// The folder itself.
    Itself,
    /// And what lies in it.
    Children,
}

/// What is wanted of each entry.
pub(super) const WANTED: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
    <propfind xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>";

/// The method that lists.
pub(super) fn propfind() -> Method {
    Method::from_bytes(b"PROPFIND").expect("it is a token, as every method")
}

/// True where the site says that it speaks WebDAV (RFC 4918 §10.1).
pub(super) fn is_spoken(headers: &HeaderMap) -> bool {
    headers.contains_key("dav")
}

impl Depth {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Itself => "0",
            Self::Children => "1",
        }
    }
}

//! An index of Python packages: its pages (PEP 503 in HTML, PEP 691 in JSON), the files that they name, and what these must
//! sum to. Pure.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::{Digest, parse_digest};
use crate::path::VPath;

/// Projects that one file name may belong to, at most: `a-b-c-1.0.tar.gz` is of `a`, `a-b` or `a-b-c`.
const PROJECTS: usize = 8;

/// What a segment of a URL's path holds unescaped (RFC 3986 §2.3).
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A site that a page may name, and where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    url: Url,
    at: VPath,
}

/// One page, its links leading to mounts where the files that they name are mirrored.
#[derive(Clone, Debug, Default)]
pub(in crate::layers::mirror) struct Page {
    pub(in crate::layers::mirror) bytes: Bytes,
    /// What files must sum to: by site, and path in it.
    digests: HashMap<(usize, VPath), Digest>,
}

/// Where a page is read.
#[derive(Clone, Copy, Debug)]
pub(in crate::layers::mirror) struct Place<'a> {
    /// The first one is the index's own.
    pub(in crate::layers::mirror) sites: &'a [Site],
    /// The folder whose page it is, in the index.
    pub(in crate::layers::mirror) path: &'a VPath,
}

/// Where a link leads.
struct Target {
    site: usize,
    path: VPath,
    /// The link, as it is to be written here.
    link: String,
    digest: Option<Digest>,
}

impl Site {
    /// The site at `url`, mounted at `at`. `None` where the URL is none.
    pub fn new(url: &str, at: VPath) -> Option<Self> {
        let mut url = Url::parse(url).ok().filter(Url::has_host)?;
        _ = url.set_username("");
        _ = url.set_password(None);
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Some(Self { url, at })
    }

    /// What of `url` lies below this site's, still escaped.
    fn below<'a>(&self, url: &'a Url) -> Option<&'a str> {
        let is_same = url.origin() == self.url.origin() && url.query().is_none();
        url.path().strip_prefix(self.url.path()).filter(|_| is_same)
    }
}

impl Page {
    /// Reads a page of JSON.
    ///
    /// # Errors
    /// `None` where it is none.
    pub(in crate::layers::mirror) fn of_json(text: &[u8], place: Place<'_>) -> Option<Self> {
        let mut page: Value = serde_json::from_slice(text).ok()?;
        let mut digests = HashMap::new();
        for file in page.get_mut("files").and_then(Value::as_array_mut).into_iter().flatten() {
            let sum = |of: Option<&Value>| parse_digest(of?.get("sha256")?.as_str()?.as_bytes());
            let (digest, metadata) = (
                sum(file.get("hashes")),
                sum(file.get("core-metadata")).or_else(|| sum(file.get("dist-info-metadata"))),
            );
            let Some(link) = file.get_mut("url") else { continue };
            let Some(target) = link.as_str().and_then(|link| place.target(link)) else { continue };
            *link = Value::String(target.link.clone());
            target.note(&mut digests, digest, metadata);
        }
        Some(Self { bytes: serde_json::to_vec(&page).ok()?.into(), digests })
    }

    /// Reads a page of HTML; what cannot be understood stays as it is.
    pub(in crate::layers::mirror) fn of_html(text: &[u8], place: Place<'_>) -> Self {
        let mut bytes = Vec::with_capacity(text.len());
        let (mut digests, mut copied) = (HashMap::new(), 0);
        for anchor in (Anchors { text, at: 0 }) {
            let link = unescaped(&text[anchor.link.clone()]);
            let Some(target) = place.target(&link) else { continue };
            bytes.extend_from_slice(&text[copied..anchor.link.start]);
            bytes.extend_from_slice(escaped(&target.link).as_bytes());
            copied = anchor.link.end;
            let metadata = anchor.metadata.map(|range| unescaped(&text[range]));
            let metadata = metadata.and_then(|text| parse_digest(text.strip_prefix("sha256=")?.as_bytes()));
            target.note(&mut digests, None, metadata);
        }
        bytes.extend_from_slice(&text[copied..]);
        Self { bytes: bytes.into(), digests }
    }

    /// What the file at `path` of the site must sum to.
    pub(in crate::layers::mirror) fn digest(&self, site: usize, path: &VPath) -> Option<Digest> {
        self.digests.get(&(site, path.clone())).copied()
    }
}

impl Place<'_> {
    /// Where `link` leads from here; `None` where nothing is mirrored.
    fn target(&self, link: &str) -> Option<Target> {
        let index = self.sites.first()?;
        let own = relative(&VPath::root(), self.path);
        let base = index.url.join(&own).ok()?.join("./").ok()?;
        let mut url = base.join(link.trim()).ok()?;
        let fragment = url.fragment().map(str::to_owned);
        url.set_fragment(None);
        let sites = self.sites.iter().enumerate();
        let near = sites.filter_map(|(nth, site)| Some((nth, site, site.below(&url)?)));
        let (nth, site, rest) = near.min_by_key(|(_, _, rest)| rest.len())?;
        let path = decoded(rest)?;
        let is_folder = if rest.is_empty() || rest.ends_with('/') { "/" } else { "" };
        let mut whole = site.at.clone();
        for segment in path.segments() {
            whole.push_name(segment.name().clone()).ok()?;
        }
        let mut here = index.at.clone();
        for segment in self.path.segments() {
            here.push_name(segment.name().clone()).ok()?;
        }
        let mut link = relative(&here, &whole).trim_end_matches('/').to_owned() + is_folder;
        let digest = fragment.as_deref().and_then(|fragment| {
            let pairs = fragment.split('&');
            pairs.filter_map(|pair| pair.strip_prefix("sha256=")).find_map(|hex| parse_digest(hex.as_bytes()))
        });
        if let Some(fragment) = fragment {
            link.push('#');
            link.push_str(&fragment);
        }
        Some(Target { site: nth, path, link, digest })
    }
}

impl Target {
    /// Notes what the page says of the file and of the metadata beside it (PEP 658).
    fn note(
        self,
        digests: &mut HashMap<(usize, VPath), Digest>,
        stated: Option<Digest>,
        metadata: Option<Digest>,
    ) {
        if let Some((name, digest)) = self.path.file_name().map(|name| name.name().clone()).zip(metadata)
            && let Some(beside) =
                self.path.parent().and_then(|folder| folder.child([&name[..], b".metadata"].concat()).ok())
        {
            digests.insert((self.site, beside), digest);
        }
        if let Some(digest) = stated.or(self.digest) {
            digests.insert((self.site, self.path), digest);
        }
    }
}

/// The projects that the file `name` may belong to, by their folders' names in an index (PEP 503, normalized names).
pub(in crate::layers::mirror) fn projects_of(name: &[u8]) -> Vec<String> {
    let Ok(name) = std::str::from_utf8(name) else { return Vec::new() };
    let ends = name.match_indices('-').map(|(at, _)| at);
    ends.take(PROJECTS).map(|end| normalized(&name[..end])).filter(|name| !name.is_empty()).collect()
}

fn normalized(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// The way from the page of the folder `from` to `to`, as a relative reference (RFC 3986 §4.2).
fn relative(from: &VPath, to: &VPath) -> String {
    let (from, to) = (from.segments(), to.segments());
    let shared = from.iter().zip(to).take_while(|(a, b)| a.name() == b.name()).count();
    let mut link = "../".repeat(from.len() - shared);
    if link.is_empty() {
        link.push_str("./");
    }
    for segment in &to[shared..] {
        match std::str::from_utf8(segment.name()) {
            Ok(name) => link.extend(utf8_percent_encode(name, &SEGMENT)),
            Err(_) => link.extend(percent_encoding::percent_encode(segment.name(), &SEGMENT)),
        }
        link.push('/');
    }
    link
}

/// A URL's path as names; `None` where one is none.
fn decoded(path: &str) -> Option<VPath> {
    let mut found = VPath::root();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let name: Vec<u8> = percent_decode_str(segment).collect();
        found.push_name(name).ok()?;
    }
    Some(found)
}

/// Finds the links of a page.
struct Anchors<'a> {
    text: &'a [u8],
    at: usize,
}

struct Anchor {
    link: Range<usize>,
    /// What is said of the metadata beside the file.
    metadata: Option<Range<usize>>,
}

impl Iterator for Anchors<'_> {
    type Item = Anchor;

    fn next(&mut self) -> Option<Anchor> {
        loop {
            self.at += self.text.get(self.at..)?.iter().position(|sign| *sign == b'<')?;
            let rest = &self.text[self.at..];
            if rest.starts_with(b"<!--") {
                let end = rest.windows(3).position(|three| three == b"-->")?;
                self.at += end + 3;
                continue;
            }
            let is_anchor =
                rest.len() > 2 && rest[1].eq_ignore_ascii_case(&b'a') && rest[2].is_ascii_whitespace();
            self.at += if is_anchor { 2 } else { 1 };
            if is_anchor && let Some(anchor) = self.attributes() {
                return Some(anchor);
            }
        }
    }
}

impl Anchors<'_> {
    /// Reads the attributes of the tag that is begun.
    fn attributes(&mut self) -> Option<Anchor> {
        let (mut link, mut metadata) = (None, None);
        loop {
            self.skip(|sign| sign.is_ascii_whitespace() || sign == b'/');
            let name = self.skip(|sign| !(sign.is_ascii_whitespace() || matches!(sign, b'=' | b'>' | b'/')));
            if name.is_empty() {
                let is_whole = self.text.get(self.at) == Some(&b'>');
                return link.filter(|_| is_whole).map(|link| Anchor { link, metadata });
            }
            self.skip(|sign| sign.is_ascii_whitespace());
            if self.text.get(self.at) != Some(&b'=') {
                continue;
            }
            self.at += 1;
            self.skip(|sign| sign.is_ascii_whitespace());
            let value = match self.text.get(self.at) {
                Some(quote @ (b'"' | b'\'')) => {
                    self.at += 1;
                    let value = self.skip(|sign| sign != *quote);
                    self.at += 1;
                    value
                }
                _ => self.skip(|sign| !(sign.is_ascii_whitespace() || sign == b'>')),
            };
            match &self.text[name].to_ascii_lowercase()[..] {
                b"href" => link = link.or(Some(value)),
                b"data-core-metadata" => metadata = Some(value),
                b"data-dist-info-metadata" => metadata = metadata.or(Some(value)),
                _ => {}
            }
        }
    }

    fn skip(&mut self, goes_on: impl Fn(u8) -> bool) -> Range<usize> {
        let start = self.at.min(self.text.len());
        let len = self.text[start..].iter().position(|sign| !goes_on(*sign));
        self.at = len.map_or(self.text.len(), |len| start + len);
        start..self.at
    }
}

/// The entities that an attribute of a URL may need.
const ENTITIES: [(&str, &str); 6] =
    [("&amp;", "&"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">")];

fn unescaped(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    // The ampersand last, or what it makes would be read once more.
    let others =
        ENTITIES[1..].iter().fold(text.into_owned(), |text, (entity, sign)| text.replace(entity, sign));
    others.replace(ENTITIES[0].0, ENTITIES[0].1)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::path;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn sites() -> Vec<Site> {
        [
            ("https://pypi.org/simple", "/pypi"),
            ("https://files.pythonhosted.org/", "/a b/files"),
            ("https://pypi.org/", "/rest"),
        ]
        .into_iter()
        .map(|(url, at)| Site::new(url, path(at)).unwrap())
        .collect()
    }

    fn html(text: &str) -> (String, Page) {
        let (sites, at) = (sites(), path("/foo"));
        let page = Page::of_html(text.as_bytes(), Place { sites: &sites, path: &at });
        (String::from_utf8(page.bytes.to_vec()).unwrap(), page)
    }

    #[test]
    fn links_lead_to_where_the_files_are_mirrored() {
        for (link, expected) in [
            (
                "https://files.pythonhosted.org/p/ab/foo-1.0.tar.gz#sha256=00",
                "../../a%20b/files/p/ab/foo-1.0.tar.gz#sha256=00",
            ),
            ("https://files.pythonhosted.org/p/a%2Bb.whl", "../../a%20b/files/p/a%2Bb.whl"),
            ("//files.pythonhosted.org/x", "../../a%20b/files/x"),
            ("/simple/bar/", "../bar/"),
            ("../bar/", "../bar/"),
            ("foo-1.0.whl", "./foo-1.0.whl"),
            ("../../packages/foo.whl", "../../rest/packages/foo.whl"),
            // Elsewhere, and what only looks alike.
            ("https://example.org/foo.whl", "https://example.org/foo.whl"),
            ("http://files.pythonhosted.org/x", "http://files.pythonhosted.org/x"),
            ("https://files.pythonhosted.org.evil.org/x", "https://files.pythonhosted.org.evil.org/x"),
            ("https://files.pythonhosted.org/x?y=1&amp;z", "https://files.pythonhosted.org/x?y=1&amp;z"),
            ("javascript:alert(1)", "javascript:alert(1)"),
        ] {
            let (found, _) = html(&format!("<a class=x HREF=\"{link}\" data-x='y'>t</a>"));
            assert_eq!(found, format!("<a class=x HREF=\"{expected}\" data-x='y'>t</a>"), "{link}");
        }
    }

    #[test]
    fn what_is_no_link_stays_as_it_is() {
        for text in [
            "<!-- <a href=\"/simple/x/\"> -->",
            "<abbr href=\"/simple/x/\">",
            "<a name=\"/simple/x/\">",
            "<a",
            "<a href",
            "<a href=\"",
            "a < b",
            "",
        ] {
            assert_eq!(html(text).0, text);
        }
        assert_eq!(html("<a href=/simple/x/>").0, "<a href=../x/>");
    }

    #[test]
    fn a_page_says_what_its_files_sum_to() {
        let link = format!("https://files.pythonhosted.org/p/foo-1.0.whl#egg=x&amp;sha256={EMPTY}");
        let (_, page) = html(&format!("<a href='{link}' data-dist-info-metadata='sha256={EMPTY}'>x</a>"));
        let empty = parse_digest(EMPTY.as_bytes());
        assert_eq!(page.digest(1, &path("/p/foo-1.0.whl")), empty);
        assert_eq!(page.digest(1, &path("/p/foo-1.0.whl.metadata")), empty);
        assert_eq!(page.digest(0, &path("/p/foo-1.0.whl")), None);

        let (sites, at) = (sites(), path("/foo"));
        let json = format!(
            r#"{{"meta":{{"api-version":"1.1"}},"name":"foo","files":[
                {{"filename":"foo-1.0.whl","url":"https://files.pythonhosted.org/p/foo-1.0.whl","hashes":{{"sha256":"{EMPTY}"}},
                  "core-metadata":{{"sha256":"{EMPTY}"}},"yanked":false}},
                {{"filename":"other","url":"https://example.org/other","hashes":{{}}}}, 7]}}"#
        );
        let page = Page::of_json(json.as_bytes(), Place { sites: &sites, path: &at }).unwrap();
        let read: Value = serde_json::from_slice(&page.bytes).unwrap();
        assert_eq!(read["files"][0]["url"], "../../a%20b/files/p/foo-1.0.whl");
        assert_eq!(read["files"][1]["url"], "https://example.org/other");
        assert_eq!(read["files"][0]["yanked"], false);
        assert_eq!(page.digest(1, &path("/p/foo-1.0.whl")), empty);
        assert_eq!(page.digest(1, &path("/p/foo-1.0.whl.metadata")), empty);
        for damaged in ["", "{", "<html>"] {
            assert!(Page::of_json(damaged.as_bytes(), Place { sites: &sites, path: &at }).is_none());
        }
    }

    #[test]
    fn a_file_name_tells_its_project() {
        for (name, projects) in [
            ("foo-1.0-py3-none-any.whl", &["foo", "foo-1-0", "foo-1-0-py3", "foo-1-0-py3-none"][..]),
            ("Zope.Interface-5.0.tar.gz", &["zope-interface"]),
            ("my-odd__pkg-1.tar.gz", &["my", "my-odd-pkg"]),
            ("README", &[]),
            ("-", &[]),
        ] {
            assert_eq!(projects_of(name.as_bytes()), projects, "{name}");
        }
    }
}

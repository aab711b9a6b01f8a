//! `[[mount]]` and the command line's `[AT=]SOURCE`: what stands where in the tree.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use frontends::http::Pages;
use serde::Deserialize;
use toml::Spanned;
use vfs::VPath;

use super::mirror::{Mirror, RawMirror};
use super::refusal::{ConfigError, Document, Origin, Refusal};
use super::remote::{RawRemote, Remote, without_password};

/// One source and its place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it stands; outside of archives.
    pub at: VPath,
    /// Where its files come from.
    pub source: Source,
    /// Clients may change it, as far as their rights go. Default false.
    pub writable: bool,
    /// How long what is read from it over HTTP may be kept: the value of `Cache-Control`. Default: `no-cache`.
    pub cache_control: Option<String>,
    /// Whether scripts of its pages (HTML, SVG) run in the name of the site over HTTP. Default: where it is neither writable
    /// nor an archive; a mirror's do.
    pub pages: Option<Pages>,
    /// How it is asked, where it is a site.
    pub remote: Remote,
    /// What is kept of it, where it is remote and not writable.
    pub mirror: Mirror,
    /// Where it was written.
    pub origin: Origin,
}

/// Where a mount's files come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder of this machine, or an archive or folder that a chained path leads to, as an address in the host's tree.
    Path(VPath),
    /// Whatever the registry connects: `memory:`, `https://…/`.
    Url(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMount {
    at: Spanned<String>,
    source: Spanned<String>,
    #[serde(default)]
    writable: bool,
    cache_control: Option<Spanned<String>>,
    pages: Option<RawPages>,
    remote: Option<Spanned<RawRemote>>,
    mirror: Option<Spanned<RawMirror>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawPages {
    /// Their scripts run in the name of the site.
    Trust,
    /// They do not.
    Sandbox,
}

impl TryFrom<(RawMount, &Document<'_>)> for Mount {
    type Error = Refusal;

    fn try_from((raw, document): (RawMount, &Document<'_>)) -> Result<Self, Refusal> {
        let at = parse_at(raw.at.get_ref().as_bytes()).map_err(|says| Refusal::new(raw.at.span(), says))?;
        let source = Source::parse(raw.source.get_ref().as_bytes(), document.folder)
            .map_err(|says| Refusal::new(raw.source.span(), says))?;
        let cache_control = raw.cache_control.map(header_value).transpose()?;
        let origin = document.origin(raw.source.span());
        let remote = match raw.remote {
            Some(written) if !source.is_remote() => {
                let cure = "the source is on this machine: remove \"remote\", or name a URL";
                return Err(Refusal::new(written.span(), cure));
            }
            Some(written) => {
                let span = written.span();
                let remote = Remote::try_from((written.into_inner(), document))?;
                if remote.is_for_ftp() && !source.is_ftp() {
                    let cure = "encoding and time_zone are for FTP sites: HTTP has one of its own for both";
                    return Err(Refusal::new(span, cure));
                }
                remote
            }
            None => Remote::default(),
        };
        let mirror = match raw.mirror {
            Some(written) if !source.is_remote() => {
                let cure = "the source is on this machine: remove \"mirror\", or name a URL";
                return Err(Refusal::new(written.span(), cure));
            }
            Some(written) if raw.writable => {
                let cure = "a mirror takes no changes: remove \"mirror\" or \"writable\"";
                return Err(Refusal::new(written.span(), cure));
            }
            Some(written) => Mirror::try_from(written.into_inner())?,
            None => Mirror::default(),
        };
        let pages = raw.pages.map(|pages| match pages {
            RawPages::Trust => Pages::Trusted,
            RawPages::Sandbox => Pages::Caged,
        });
        Ok(Self { at, source, writable: raw.writable, cache_control, pages, remote, mirror, origin })
    }
}

impl Mount {
    /// Parses `[AT=]SOURCE`, which stands behind `option`. AT starts with `/` and ends at the first `=`; it is `/` where
    /// it is left out. A relative source starts in `folder`. A source with `=` in its absolute path is written
    /// `/=/srv/a=b`. It is read-only.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn parse(option: &str, text: &OsStr, folder: &VPath) -> Result<Self, ConfigError> {
        let text = text.as_bytes();
        // A login in a URL is no business of whoever reads the message.
        let shown = std::str::from_utf8(text).map(without_password);
        let origin = Origin::of_argument(option, shown.as_deref().map_or(text, str::as_bytes));
        let equals = text.iter().position(|byte| *byte == b'=').filter(|_| text.starts_with(b"/"));
        let parts = match equals {
            Some(equals) => {
                parse_at(&text[..equals]).and_then(|at| Ok((at, Source::parse(&text[equals + 1..], folder)?)))
            }
            None => Source::parse(text, folder).map(|source| (VPath::root(), source)),
        };
        match parts {
            Ok((at, source)) => Ok(Self {
                at,
                source,
                writable: false,
                cache_control: None,
                pages: None,
                remote: Remote::default(),
                mirror: Mirror::default(),
                origin,
            }),
            Err(says) => Err(ConfigError::new(&origin, says)),
        }
    }

    /// Whether scripts of its pages run.
    pub(crate) fn trusted_pages(&self) -> Pages {
        let is_archive = match &self.source {
            Source::Path(path) => path.archive_depth() > 0 || super::path_of_host(path).is_file(),
            Source::Url(_) => false,
        };
        let usual = if self.writable || is_archive { Pages::Caged } else { Pages::Filed };
        self.pages.unwrap_or(usual)
    }

    /// True where both put the same source at the same place in the same way, wherever they are written.
    pub fn is_same(&self, other: &Self) -> bool {
        self.at == other.at
            && self.source == other.source
            && self.writable == other.writable
            && self.remote == other.remote
            && self.mirror == other.mirror
    }
}

impl Source {
    /// True where it lies on another machine: its URL names a host.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Url(url) if url.contains("://"))
    }

    /// Its URL, where it has one.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Path(_) => String::new(),
        }
    }

    /// True where it is an FTP site, with TLS or without.
    fn is_ftp(&self) -> bool {
        matches!(self, Self::Url(url) if ["ftp://", "ftpes://", "ftps://"].iter().any(|scheme| url.starts_with(scheme)))
    }

    fn parse(text: &[u8], folder: &VPath) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the source is empty: write a folder, as in \".\"".to_owned());
        }
        match std::str::from_utf8(text) {
            Ok(url) if is_url(url) => Ok(Self::Url(url.to_owned())),
            _ => folder.join(text).map(Self::Path).map_err(|error| error.to_string()),
        }
    }
}

/// A text that a header can hold.
fn header_value(written: Spanned<String>) -> Result<String, Refusal> {
    if written.get_ref().bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(written.into_inner());
    }
    Err(Refusal::new(
        written.span(),
        "it is no value of a header: write one line of ASCII, as in \"max-age=3600\"",
    ))
}

pub(super) fn parse_at(text: &[u8]) -> Result<VPath, String> {
    if !text.starts_with(b"/") {
        let text = vfs::path::escaped(text);
        return Err(format!("\"{text}\" is no place in the tree: start it with \"/\""));
    }
    let at = VPath::parse(text).map_err(|error| error.to_string())?;
    match at.archive_depth() {
        0 => Ok(at),
        _ => Err("nothing can be mounted inside an archive: choose a place outside".to_owned()),
    }
}

/// True for `scheme://…` and for `scheme:` alone, which is how `memory:` is written (RFC 3986 §3.1 for the scheme).
/// A file with such a name is written `./scheme:`.
fn is_url(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
            && (rest.is_empty() || rest.starts_with("//"))
    })
}

/// A path of this machine as an address in the host's tree, its names taken literally.
pub(crate) fn host_path(path: &Path) -> VPath {
    let mut address = VPath::root();
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => {
                address.push_name(name.as_bytes().to_vec()).expect("a component holds neither / nor NUL")
            }
            std::path::Component::ParentDir => address = address.parent().unwrap_or_default(),
            _ => {}
        }
    }
    address
}

/// The path of this machine that an address in the host's tree names; markers are left out.
pub(crate) fn path_of_host(address: &VPath) -> PathBuf {
    let names = address.segments().iter().map(|segment| OsStr::from_bytes(segment.name()));
    Path::new("/").join(names.collect::<PathBuf>())
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.at, self.source)?;
        if self.writable { f.write_str(", writable") } else { Ok(()) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Url(url) => vfs::path::escaped(without_password(url).as_bytes()).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_a_place_and_a_source() {
        let folder = VPath::parse("/home/me").unwrap();
        for (text, expected) in [
            (".", "/ from /home/me"),
            ("a=b", "/ from /home/me/a=b"),
            ("/srv", "/ from /srv"),
            ("/pub=.", "/pub from /home/me"),
            ("/pub/x=../you", "/pub/x from /home/you"),
            ("/=/srv/a=b", "/ from /srv/a=b"),
            ("./x.tgz#tgz:/sub", "/ from /home/me/x.tgz#tgz:/sub"),
            ("memory:", "/ from memory:"),
            ("./memory:", "/ from /home/me/memory:"),
            ("a:b", "/ from /home/me/a:b"),
            ("/s=https://example.org/a=b", "/s from https://example.org/a=b"),
            ("/s=https://me:secret@example.org/", "/s from https://me:…@example.org/"),
        ] {
            assert_eq!(
                Mount::parse("MOUNT", OsStr::new(text), &folder).unwrap().to_string(),
                expected,
                "{text}"
            );
        }
        for text in ["", "/pub=", "/x#tgz:=.", "#tgz:"] {
            let refused = Mount::parse("MOUNT", OsStr::new(text), &folder).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("MOUNT {text}: ")), "{refused}");
        }
    }

    #[test]
    fn host_paths_go_there_and_back() {
        for path in ["/", "/a b/#tgz:", "/x#tgz:"] {
            let address = host_path(Path::new(path));
            assert_eq!((path_of_host(&address), address.archive_depth()), (PathBuf::from(path), 0));
        }
    }
}

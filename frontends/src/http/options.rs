//! [`Options`]: what a site wants of HTTP alone.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use vfs::VPath;

/// Wishes for HTTP. The defaults compress texts, take uploads of any length where the tree takes them, and let no other
/// site's scripts read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Compress texts while they are sent, and send what lies compressed beside a file. Default: true.
    pub compress: bool,
    /// Longest upload in bytes; longer ones are 413. Default: as long as the tree takes.
    pub upload_bytes: Option<u64>,
    /// Sites whose scripts may read here (CORS), as `https://example.org`, or `*` for all. Default: none.
    pub origins: Vec<String>,
    /// How long files may be kept by who gets them. Listeners of one process share it.
    pub lifetimes: Arc<Lifetimes>,
    /// Bounds of requests and connections.
    pub bounds: Bounds,
}

/// `Cache-Control` of files at and below a path of the whole tree; the longest path that covers one decides. Default:
/// `no-cache`, so that whoever keeps a file asks whether it still holds.
#[derive(Debug, Default)]
pub struct Lifetimes(ArcSwap<Vec<(VPath, HeaderValue)>>);

/// What one request and one connection may take, beside the [`Limits`](crate::Limits) that all protocols share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long a request's head may take from its first byte to its last. Default: 10 s.
    pub head: Duration,
    /// Bytes of a request's head; longer ones are 431. Default: 64 KiB. HTTP/1 takes 8 KiB at least.
    pub head_bytes: usize,
    /// Fields of an HTTP/1 request's head; more are 431. Default: 100.
    pub fields: usize,
    /// Bytes a second that a request's body must bring, after 10 s that it has for nothing; slower ones are 408. A body that
    /// was faster may rest, for as long as [`Limits::stall`](crate::Limits::stall) says. Default: 500; `None`: any.
    pub slowest_upload: Option<NonZeroU64>,
    /// Streams at once on an HTTP/2 connection. Default: 128.
    pub streams: u32,
    /// Streams that an HTTP/2 peer may reset before they were looked at; more end the connection. Default: 20.
    pub reset_streams: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            head_bytes: 64 * 1024,
            fields: FIELDS,
            slowest_upload: NonZeroU64::new(500),
            streams: 128,
            reset_streams: 20,
        }
    }
}

/// It may be kept, and is asked about before it is used. What may change at any time has no other lifetime, and where none is
/// said caches make one up (RFC 9111 §4.2.2).
const ASKED: HeaderValue = HeaderValue::from_static("no-cache");

/// Fields of a head that the parser has room for without asking for memory.
pub(super) const FIELDS: usize = 100;

impl Default for Options {
    fn default() -> Self {
        Self {
            compress: true,
            upload_bytes: None,
            origins: Vec::new(),
            lifetimes: Arc::default(),
            bounds: Bounds::default(),
        }
    }
}

impl Options {
    /// What a script of `origin` is told: the value of `Access-Control-Allow-Origin`.
    pub(super) fn allowed_origin(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }
}

impl Lifetimes {
    /// Of files at and below these paths. A value that no header can hold is left out.
    pub fn new<'a>(said: impl IntoIterator<Item = (&'a VPath, &'a str)>) -> Self {
        let lifetimes = Self::default();
        lifetimes.replace(said);
        lifetimes
    }

    /// Takes others from now on.
    pub fn replace<'a>(&self, said: impl IntoIterator<Item = (&'a VPath, &'a str)>) {
        let rule = |(path, value): (&VPath, _)| Some((path.clone(), HeaderValue::from_str(value).ok()?));
        self.0.store(Arc::new(said.into_iter().filter_map(rule).collect()));
    }

    /// What `Cache-Control` a file at `path` gets, for who sees the folder `root` as `/`.
    pub(super) fn of(&self, root: &VPath, path: &VPath) -> HeaderValue {
        let rules = self.0.load();
        if rules.is_empty() {
            return ASKED;
        }
        let path = root.append(path);
        let covering = rules.iter().filter(|(cover, _)| path.is_covered_by(cover));
        covering.max_by_key(|(cover, _)| cover.segments().len()).map_or(ASKED, |(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_decides() {
        let paths = ["/", "/pub", "/pub/x"].map(|path| VPath::parse(path).unwrap());
        let lifetimes = Lifetimes::new(paths.iter().zip(["no-cache", "max-age=60", "immutable"]));
        let at =
            |root: &str, path: &str| lifetimes.of(&VPath::parse(root).unwrap(), &VPath::parse(path).unwrap());
        for (path, value) in
            [("/a", "no-cache"), ("/pub/a", "max-age=60"), ("/pub/x/y", "immutable"), ("/public", "no-cache")]
        {
            assert_eq!(at("/", path), value, "{path}");
        }
        assert_eq!(at("/pub/x", "/y"), "immutable");
        lifetimes.replace([(&paths[1], "max-age=1"), (&paths[2], "a\nb")]);
        assert_eq!((at("/", "/a"), at("/pub", "/x")), (ASKED, HeaderValue::from_static("max-age=1")));
    }

    #[test]
    fn origins_are_named_or_all() {
        let origin = HeaderValue::from_static("https://a.example");
        let told = |origins: &[&str]| {
            let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
            Options { origins, ..Options::default() }.allowed_origin(&origin)
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&["https://b.example"]), None);
        assert_eq!(told(&["https://b.example", "https://a.example"]).unwrap(), origin);
        assert_eq!(told(&["*"]).unwrap(), "*");
    }
}

//! [`Options`]: what a site wants of HTTP alone.

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
    /// `Cache-Control` of files at and below a path; the longest path that covers one decides. Default: none is sent.
    pub cache_control: Vec<(VPath, HeaderValue)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { compress: true, upload_bytes: None, origins: Vec::new(), cache_control: Vec::new() }
    }
}

impl Options {
    /// Files at and below `path` get this `Cache-Control`. A value that no header can hold is left out.
    pub fn keep(&mut self, path: &VPath, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.cache_control.push((path.clone(), value));
        }
    }

    /// What `Cache-Control` a file at `path` gets.
    pub(super) fn cache_control(&self, path: &VPath) -> Option<HeaderValue> {
        let covering = self.cache_control.iter().filter(|(cover, _)| path.is_covered_by(cover));
        covering.max_by_key(|(cover, _)| cover.segments().len()).map(|(_, value)| value.clone())
    }

    /// What a script of `origin` is told: the value of `Access-Control-Allow-Origin`.
    pub(super) fn allowed_origin(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_decides() {
        let rule = |path: &str, value| (VPath::parse(path).unwrap(), HeaderValue::from_static(value));
        let cache_control =
            vec![rule("/", "no-cache"), rule("/pub", "max-age=60"), rule("/pub/x", "immutable")];
        let options = Options { cache_control, ..Options::default() };
        for (path, value) in
            [("/a", "no-cache"), ("/pub/a", "max-age=60"), ("/pub/x/y", "immutable"), ("/public", "no-cache")]
        {
            assert_eq!(options.cache_control(&VPath::parse(path).unwrap()).unwrap(), value, "{path}");
        }
        assert_eq!(Options::default().cache_control(&VPath::root()), None);
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

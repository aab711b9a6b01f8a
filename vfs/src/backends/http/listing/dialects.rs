//! The servers whose pages are known, each by what only its listings hold.
//!
//! A page that shows none of these signs, and has no link to its parent, is not taken for a listing. What the rows hold is
//! found alike for all: see [`facts`](super::facts).

/// One server's way to list a folder.
#[derive(Debug)]
pub(super) struct Dialect {
    /// The server, for the log.
    pub(super) name: &'static str,
    /// Texts, in lower case, of which every one stands in the beginning of the page.
    signs: &'static [&'static str],
    /// A page that begins with `<html>` or `<body>` ends with it: one that does not was cut. Apache leaves the end to a
    /// README.
    pub(super) has_end: bool,
}

impl Dialect {
    const fn new(name: &'static str, signs: &'static [&'static str]) -> Self {
        Self { name, signs, has_end: false }
    }

    const fn ending(name: &'static str, signs: &'static [&'static str]) -> Self {
        Self { name, signs, has_end: true }
    }
}

/// Bytes of the page's beginning that are searched for signs.
pub(super) const BEGINNING: usize = 16 * 1024;

/// Those whose pages are HTML, the more particular ones first.
pub(super) const DIALECTS: &[Dialect] = &[
    Dialect::new("fancyindex", &["<table id=\"list\"", "index of"]),
    Dialect::ending("lighttpd", &["summary=\"directory listing\""]),
    Dialect::new("Apache table", &["<title>index of", "<table", "alt=\"["]),
    Dialect::new("Apache fancy", &["<title>index of", "<pre>", "?c=n"]),
    Dialect::new("Apache plain", &["<title>index of", "<ul>"]),
    Dialect::ending("nginx", &["<title>index of", "<hr><pre>"]),
    Dialect::new("Artifactory", &["<title>index of", "<pre>"]),
    Dialect::new("Node http-server", &["<title>index of", "node.js"]),
    Dialect::ending("Caddy", &["<tr class=\"file\"", "data-order="]),
    Dialect::ending("Caddy 2.7", &["caddy-logo", "class=\"breadcrumbs\""]),
    Dialect::new("rclone", &["<table", "data-order=", "datetime="]),
    Dialect::new("Node serve", &["<title>files within"]),
    Dialect::ending("Python", &["<title>directory listing for"]),
    Dialect::ending("Tomcat", &["<title>directory listing for [", "<table"]),
    Dialect::ending("Jetty", &["<title>directory: ", "<table"]),
    Dialect::ending("IIS", &["<pre><a href=\"/", "[to parent directory]"]),
    Dialect::ending("IIS root", &["<pre>", "&lt;dir&gt;"]),
    Dialect::new("h2o", &["<ul><li><a href=\"..\">parent directory"]),
    Dialect::new("webfs", &["<h1>listing:", "<pre>"]),
    Dialect::new("dufs", &["<title>index of", "dufs"]),
    Dialect::new("copyparty", &["copyparty", "<table"]),
    Dialect::new("miniserve", &["miniserve", "class=\"directory"]),
    Dialect::new("miniserve of files", &["miniserve", "class=\"file"]),
    Dialect::new("Nexus", &["<title>index of", "<table"]),
    Dialect::new("another index", &["<title>index of"]),
    Dialect::new("another heading", &["<h1>index of"]),
];

/// The dialect of a page that begins like this; `beginning` is in lower case.
pub(super) fn dialect_of(beginning: &str) -> Option<&'static Dialect> {
    let bare = is_bare_pre(beginning);
    let known = DIALECTS.iter().find(|dialect| dialect.signs.iter().all(|sign| beginning.contains(sign)));
    known.or(bare.then_some(&GO))
}

/// Go's file server sends nothing but `<pre>` and the links.
static GO: Dialect = Dialect::new("Go", &[]);

fn is_bare_pre(beginning: &str) -> bool {
    let text = beginning.trim_start();
    let text = text.strip_prefix("<!doctype html>").unwrap_or(text).trim_start();
    let text = text.strip_prefix("<meta name=\"viewport\" content=\"width=device-width\">").unwrap_or(text);
    text.trim_start().starts_with("<pre>\n<a href=\"") || text.trim() == "<pre>\n</pre>"
}

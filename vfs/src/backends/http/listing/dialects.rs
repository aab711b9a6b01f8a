//! The servers whose pages are known, each by what only its listings hold.
//!
//! A page that shows none of these signs, and has no link to its parent, is not taken for a listing. What the rows hold is
//! found alike for all: see [`facts`](super::facts).

/// One server's way to list a folder.
pub(super) struct Dialect {
    /// The server, for the log.
    pub(super) name: &'static str,
    /// Texts, in lower case, of which every one stands in the beginning of the page.
    signs: &'static [&'static str],
}

/// Bytes of the page's beginning that are searched for signs.
pub(super) const BEGINNING: usize = 16 * 1024;

/// Those whose pages are HTML, the more particular ones first.
pub(super) const DIALECTS: &[Dialect] = &[
    Dialect { name: "fancyindex", signs: &["<table id=\"list\"", "index of"] },
    Dialect { name: "lighttpd", signs: &["summary=\"directory listing\""] },
    Dialect { name: "Apache table", signs: &["<title>index of", "<table", "alt=\"["] },
    Dialect { name: "Apache fancy", signs: &["<title>index of", "<pre>", "?c=n"] },
    Dialect { name: "Apache plain", signs: &["<title>index of", "<ul>"] },
    Dialect { name: "nginx", signs: &["<title>index of", "<hr><pre>"] },
    Dialect { name: "Artifactory", signs: &["<title>index of", "<pre>"] },
    Dialect { name: "Node http-server", signs: &["<title>index of", "node.js"] },
    Dialect { name: "Caddy", signs: &["<tr class=\"file\"", "data-order="] },
    Dialect { name: "rclone", signs: &["<table", "data-order=", "datetime="] },
    Dialect { name: "Node serve", signs: &["<title>files within"] },
    Dialect { name: "Python", signs: &["<title>directory listing for"] },
    Dialect { name: "Tomcat", signs: &["<title>directory listing for [", "<table"] },
    Dialect { name: "Jetty", signs: &["<title>directory: ", "<table"] },
    Dialect { name: "IIS", signs: &["<pre><a href=\"/", "[to parent directory]"] },
    Dialect { name: "IIS root", signs: &["<pre>", "&lt;dir&gt;"] },
    Dialect { name: "h2o", signs: &["<ul><li><a href=\"..\">parent directory"] },
    Dialect { name: "webfs", signs: &["<h1>listing:", "<pre>"] },
    Dialect { name: "dufs", signs: &["<title>index of", "dufs"] },
    Dialect { name: "copyparty", signs: &["copyparty", "<table"] },
    Dialect { name: "miniserve", signs: &["miniserve", "class=\"directory"] },
    Dialect { name: "miniserve of files", signs: &["miniserve", "class=\"file"] },
    Dialect { name: "Nexus", signs: &["<title>index of", "<table"] },
    Dialect { name: "another index", signs: &["<title>index of"] },
    Dialect { name: "another heading", signs: &["<h1>index of"] },
];

/// The dialect of a page that begins like this; `beginning` is in lower case.
pub(super) fn dialect_of(beginning: &str) -> Option<&'static Dialect> {
    let bare = is_bare_pre(beginning);
    let known = DIALECTS.iter().find(|dialect| dialect.signs.iter().all(|sign| beginning.contains(sign)));
    known.or(bare.then_some(&GO))
}

/// Go's file server sends nothing but `<pre>` and the links.
const GO: Dialect = Dialect { name: "Go", signs: &[] };

fn is_bare_pre(beginning: &str) -> bool {
    let text = beginning.trim_start();
    let text = text.strip_prefix("<!doctype html>").unwrap_or(text).trim_start();
    let text = text.strip_prefix("<meta name=\"viewport\" content=\"width=device-width\">").unwrap_or(text);
    text.trim_start().starts_with("<pre>\n<a href=\"") || text.trim() == "<pre>\n</pre>"
}

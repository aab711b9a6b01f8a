//! A page of each dialect, and the entries that it holds.

use reqwest::Url;

use super::row::{Row, entry_of};
use super::{DirEntry, Format};

/// Entries as `name size`: `/` at the end of a folder's name, `~` where no exact size is told.
fn entries(content_type: &str, page: &str, piece: usize) -> Option<Vec<String>> {
    let mut format = Format::of(Some(content_type));
    let mut rows: Vec<Row> = Vec::new();
    page.as_bytes().chunks(piece).for_each(|bytes| format.feed(bytes, &mut rows));
    format.finish(&mut rows);
    let base = Url::parse("http://host/t/").unwrap();
    let shown = |entry: DirEntry| {
        let slash = if entry.is_dir() { "/" } else { "" };
        let len = entry.metadata.and_then(|metadata| metadata.len);
        let len = len.map_or_else(|| "~".to_owned(), |len| len.to_string());
        format!("{}{slash} {len}", String::from_utf8_lossy(&entry.name))
    };
    let rows = rows.iter().filter_map(|row| entry_of(row, &base, true)).map(shown);
    format.is_listing().then(|| rows.collect())
}

#[test]
fn every_dialect_is_read() {
    const HTML: &str = "text/html; charset=utf-8";
    const JSON: &str = "application/json";
    for (dialect, content_type, page, expected) in [
        (
            "nginx",
            HTML,
            "<html>\n<head><title>Index of /t/</title></head>\n<body>\n<h1>Index of /t/</h1><hr><pre>\
             <a href=\"../\">../</a>\n<a href=\"d/\">d/</a>     20-Nov-2026 07:18       -\n\
             <a href=\"a%26b%3Fc\">a&amp;b?c..&gt;</a>  29-Feb-2024 12:34   1234\n\
             <a href=\"big\">big</a>  29-Feb-2024 12:34   5M\n</pre><hr></body></html>",
            &["d/ ~", "a&b?c 1234", "big ~"][..],
        ),
        (
            "nginx, empty",
            HTML,
            "<html><head><title>Index of /t/</title></head><body><h1>Index of /t/</h1><hr><pre>\
             <a href=\"../\">../</a>\n</pre><hr></body></html>",
            &[],
        ),
        (
            "nginx JSON",
            JSON,
            "[\n{ \"name\":\"d\", \"type\":\"directory\", \"mtime\":\"Thu, 29 Feb 2024 12:34:56 GMT\" },\n\
             { \"name\":\"q\\\"\\u00e9\\ud83d\\ude00\", \"type\":\"file\", \"mtime\":\"x\", \"size\":7 }\n]",
            &["d/ ~", "q\"\u{e9}\u{1f600} 7"],
        ),
        (
            "nginx XML",
            "text/xml",
            "<?xml version=\"1.0\"?>\n<list>\n<directory mtime=\"2024-02-29T12:34:56Z\">d</directory>\n\
             <file mtime=\"2024-02-29T12:34:56Z\" size=\"1234\">a &amp; b</file>\n</list>\n",
            &["d/ ~", "a & b 1234"],
        ),
        (
            "fancyindex",
            HTML,
            "<title>Index of /t/</title><table id=\"list\"><thead><tr><th><a href=\"?C=N&amp;O=A\">Name</a></th></tr>\
             </thead><tbody><tr><td class=\"link\"><a href=\"../\">Parent directory/</a></td><td>-</td></tr>\
             <tr><td class=\"link\"><a href=\"f.txt\" title=\"f.txt\">f.txt</a></td><td class=\"size\">            12 B\
             </td><td class=\"date\">2026-Nov-20 07:18</td></tr></tbody></table>",
            &["f.txt 12"],
        ),
        (
            "Apache plain",
            HTML,
            "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\"><html><head><title>Index of /t</title></head>\
             <body><h1>Index of /t</h1>\n<ul><li><a href=\"/\"> Parent Directory</a></li>\n\
             <li><a href=\"x%20y\"> x y</a></li>\n<li><a href=\"d/\"> d/</a></li>\n</ul></body></html>",
            &["x y ~", "d/ ~"],
        ),
        (
            "Apache fancy",
            HTML,
            "<title>Index of /t</title><h1>Index of /t</h1><pre><img src=\"/icons/blank.gif\" alt=\"Icon \"> \
             <a href=\"?C=N;O=D\">Name</a> <a href=\"?C=M;O=A\">Last modified</a><hr>\
             <img src=\"/icons/back.gif\" alt=\"[PARENTDIR]\"> <a href=\"/\">Parent Directory</a>    -   \n\
             <img src=\"/icons/unknown.gif\" alt=\"[   ]\"> <a href=\"./colon:x.txt\">colon:x.txt</a>  \
             2024-02-29 12:34   44   of 7 bytes\n\
             <img alt=\"[   ]\"> <a href=\"r\">r</a>  2024-02-29 12:34  4.8M  \n<hr></pre>",
            &["colon:x.txt 44", "r ~"],
        ),
        (
            "Apache table",
            HTML,
            "<title>Index of /t</title><table><tr><th><a href=\"?C=N;O=D\">Name</a></th></tr>\
             <tr><td valign=\"top\"><a href=\"d/\"><img alt=\"[DIR]\"></a></td><td><a href=\"d/\">d/</a></td>\
             <td>2024-02-29 12:34  </td><td>  - </td><td>&nbsp;</td></tr>\
             <tr><td valign=\"top\"><img alt=\"[TXT]\"></td><td><a href=\"%3cb%3e\">&lt;b&gt;</a></td>\
             <td>2024-02-29 12:34  </td><td>1.2K</td></tr></table>",
            &["d/ ~", "<b> ~"],
        ),
        (
            "lighttpd",
            HTML,
            "<div class=\"list\"><table summary=\"Directory Listing\"><tbody>\
             <tr class=\"d\"><td class=\"n\"><a href=\"../\">..</a>/</td><td class=\"m\">&nbsp;</td></tr>\
             <tr><td class=\"n\"><a href=\"a%26b\">a&#x26;b</a></td><td class=\"m\">2024-Feb-29 12:34:56</td>\
             <td class=\"s\">0.1K</td><td class=\"t\">text/plain</td></tr></tbody></table></div>",
            &["a&b ~"],
        ),
        (
            "Caddy",
            HTML,
            "<table><tr class=\"file\"><td></td><td><a href=\"./x.txt\"><span class=\"name\">x.txt</span></a></td>\
             <td class=\"size\" data-order=\"1234\">1.2 KiB</td>\
             <td class=\"timestamp\"><time datetime=\"2024-02-29T12:34:56Z\">02/29/2024</time></td></tr>\
             <tr class=\"file\"><td><a href=\"./d/\">d</a></td><td data-order=\"-1\">&mdash;</td></tr></table>",
            &["x.txt 1234", "d/ ~"],
        ),
        (
            "Caddy 2.7, at the root",
            HTML,
            "<!DOCTYPE html><html><head><title>/</title><style>.caddy-logo { height: 2.5em; }</style></head><body>\
             <header><div class=\"breadcrumbs\">Folder Path</div><h1><a href=\"\"></a></h1></header><table><thead><tr><th>\
             <a href=\"?sort=name&amp;order=asc\">Name</a></th></tr></thead><tbody><tr class=\"file\"><td></td><td>\
             <a href=\"./d/\"><svg></svg><span class=\"name\">d</span></a></td><td>&mdash;</td></tr><tr class=\"file\">\
             <td></td><td><a href=\"./f\"><span class=\"name\">f</span></a></td><td class=\"size\" data-size=\"1234\">\
             <div class=\"sizebar-text\">1.2 KiB</div></td><td><time datetime=\"2024-02-29T12:34:56Z\">02/29/2024</time>\
             </td></tr></tbody></table></body></html>",
            &["d/ ~", "f 1234"],
        ),
        (
            "Caddy JSON",
            JSON,
            "[{\"name\":\"d/\",\"size\":0,\"url\":\"./d/\",\"mod_time\":\"2024-02-29T12:34:56.789Z\",\"mode\":2147484141,\
             \"is_dir\":true,\"is_symlink\":false},{\"name\":\"f\",\"size\":3,\"is_dir\":false}]",
            &["d/ ~", "f 3"],
        ),
        (
            "Python",
            HTML,
            "<title>Directory listing for /t/</title><h1>Directory listing for /t/</h1><hr>\n<ul>\n\
             <li><a href=\"link\">link@</a></li>\n<li><a href=\"d/\">d/</a></li>\n</ul>\n<hr>",
            &["link ~", "d/ ~"],
        ),
        (
            "rclone, empty",
            HTML,
            "<html><body><header><h1><a href=\"../\">/</a><a href=\"\">d</a>/</h1></header><table><tbody><tr><td></td><td>\
             <a href=\"..\"><span class=\"goup\">Go up</span></a></td><td>&mdash;</td></tr></tbody></table></body></html>",
            &[],
        ),
        ("Go", HTML, "<pre>\n<a href=\"a%20b\">a b</a>\n<a href=\"d/\">d/</a>\n</pre>\n", &["a b ~", "d/ ~"]),
        (
            "IIS",
            HTML,
            "<title>host - /t/</title><H1>host - /t/</H1><hr>\n<pre><A HREF=\"/\">[To Parent Directory]</A><br><br> \
             6/12/2014  3:25 AM        &lt;dir&gt; <A HREF=\"/t/d/\">d</A><br> \
             6/12/2014  3:25 PM           77 <A HREF=\"/t/f.txt\">f.txt</A><br></pre><hr>",
            &["d/ ~", "f.txt 77"],
        ),
        (
            "h2o",
            HTML,
            "<TITLE>Index of /t/</TITLE><H2>Index of /t/</H2><UL>\n<LI><A HREF=\"..\">Parent Directory</A>\n\
             <LI><A HREF=\"d/\">d/</A>\n<LI><A HREF=\"f\">f</A>\n</UL>",
            &["d/ ~", "f ~"],
        ),
        (
            "webfs",
            HTML,
            "<head><title>127.0.0.1:38123/t/</title></head>\n<body bgcolor=white text=black>\n<h1>listing: \n\
             <a href=\"/\">/</a><a href=\"/t/\">t/</a></h1><hr noshade size=1><pre>\n<b>access      user      group     \
             date             size  name</b>\n\ndrwxr-xr-x  root      root      Nov 20 12:40    &lt;DIR&gt;  \
             <a href=\"d/\">d</a>\n-rw-r--r--  root      root      Nov 20 12:40    12  B  <a href=\"back\\slash\">\
             back\\slash</a>\n-rw-r--r--  root      root      Nov 20 12:40  4882 kB  <a href=\"big\">big</a>\n</pre>",
            &["d/ ~", "back\\slash 12", "big ~"],
        ),
        (
            "Node http-server",
            HTML,
            "<title>Index of /t/</title><table><tr><td><i class=\"icon\"></i></td><td class=\"perms\"><code>(-rw-r--r--)\
             </code></td><td class=\"last-modified\">20-Nov-2026 07:18</td><td class=\"file-size\"><code>12B</code></td>\
             <td class=\"display-name\"><a href=\"./f\">f</a></td></tr></table><address>Node.js v18</address>",
            &["f 12"],
        ),
        (
            "dufs JSON",
            JSON,
            "{\"href\":\"/t\",\"kind\":\"Index\",\"paths\":[{\"path_type\":\"Dir\",\"name\":\"d\",\"mtime\":1709210096000,\
             \"size\":1},{\"path_type\":\"File\",\"name\":\"f\",\"mtime\":1709210096000,\"size\":12}]}",
            &["d/ ~", "f 12"],
        ),
        (
            "copyparty JSON",
            JSON,
            "{\"dirs\":[{\"href\":\"d/\",\"sz\":0,\"ts\":1709210096}],\"files\":[{\"href\":\"a%20b\",\"sz\":12,\
             \"ts\":1709210096,\"ext\":\"txt\"}]}",
            &["d/ ~", "a b 12"],
        ),
        (
            "Artifactory",
            HTML,
            "<title>Index of repo/t</title><h1>Index of repo/t</h1><pre>Name  Last modified  Size</pre><hr/>\n<pre>\
             <a href=\"../\">../</a>\n<a href=\"d/\">d/</a>  05-Mar-2024 10:00    -\n\
             <a href=\"f.jar\">f.jar</a>  05-Mar-2024 10:00  1.23 KB\n</pre>",
            &["d/ ~", "f.jar ~"],
        ),
        (
            "Tomcat",
            HTML,
            "<title>Directory Listing For [/t/] - Up To [/]</title><table><tr><td><a href=\"/t/f\"><tt>f</tt></a></td>\
             <td><tt>1.2 kb</tt></td><td><tt>Thu, 29 Feb 2024 12:34:00 GMT</tt></td></tr></table>",
            &["f ~"],
        ),
        (
            "Jetty",
            HTML,
            "<title>Directory: /t/</title><table class=\"listing\"><tr><td class=\"name\"><a href=\"/t/f\">f&nbsp;</a></td>\
             <td class=\"lastmodified\">Feb 29, 2024 12:34:56 PM</td><td class=\"size\">12 bytes</td></tr></table>",
            &["f ~"],
        ),
    ] {
        for piece in [1, 7, page.len()] {
            let found = entries(content_type, page, piece);
            let found = found.unwrap_or_else(|| panic!("{dialect} is not taken for a listing"));
            assert_eq!(found, expected, "{dialect}, in pieces of {piece}");
        }
    }
}

#[test]
fn a_page_that_is_no_listing_is_none() {
    for (content_type, page) in [
        ("text/html", "<html><title>Welcome</title><p><a href=\"about.html\">About us</a>"),
        ("text/html", ""),
        ("text/html", "<title>404</title><h1>Not here</h1>"),
        ("text/plain", "just text"),
        ("text/html", "<p>404 no such page</p><a href=\"../\">back</a> <a href=\"about\">about</a>"),
        ("text/html", "<ul><li><a href=\"../\">Home</a></li><li><a href=\"about\">About</a></li></ul>"),
        ("application/json", "{\"name\":\"error\",\"type\":\"x\"}"),
        ("application/json", "{\"name\":\"error\",\"size\":1}"),
        ("application/json", "{\"errors\":[{\"name\":\"error\",\"type\":\"fatal\"}]}"),
        ("application/json", "{\"error\":\"no\"}"),
        ("application/json", "{\"name\":\"package\",\"version\":\"1.0.0\"}"),
        ("application/json", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
        ("text/xml", "<rss><channel><title>News</title></channel></rss>"),
    ] {
        assert_eq!(entries(content_type, page, 16), None, "{page}");
    }
}

#[test]
fn a_page_without_its_end_is_not_whole() {
    for (content_type, page, end) in [
        (
            "text/html",
            "<html><head><title>Index of /t/</title></head><body><h1>Index of /t/</h1><hr><pre>\
             <a href=\"../\">../</a>\n<a href=\"f\">f</a>  29-Feb-2024 12:34   1234\n",
            "</pre><hr></body></html>",
        ),
        ("application/json", "[{\"name\":\"f\",\"type\":\"file\"},{\"name\":\"g\",\"type\":\"file\"}", "]"),
        ("text/xml", "<?xml version=\"1.0\"?><list><file size=\"1\">f</file>", "</list>"),
    ] {
        let is_whole = |page: &str| {
            let mut format = Format::of(Some(content_type));
            format.feed(page.as_bytes(), &mut Vec::new());
            format.finish(&mut Vec::new());
            assert!(format.is_listing(), "{page}");
            format.is_whole()
        };
        assert!(!is_whole(page), "{page}");
        assert!(is_whole(&format!("{page}{end}")), "{page}{end}");
    }
}

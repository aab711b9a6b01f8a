//! Listings that are odd, cut or none: the entries that are there, or a clear error, and never a folder that looks empty.

use support::{Answer, Heard, Origin};
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::{Error, ErrorKind, FileSystem, ListOptions, VPath};

/// The names in the folder `folder` of an origin that answers so.
async fn names(
    folder: &str,
    answer: impl Fn(&Heard) -> Answer + Send + Sync + 'static,
) -> Result<Vec<String>, Error> {
    let origin = Origin::start(answer).await;
    let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
    let listing = tree.read_dir(&VPath::parse(folder).unwrap(), &ListOptions::default()).await?;
    let entries = listing.collect(1000).await?;
    Ok(entries.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect())
}

/// A page that ends with its connection, as HTTP/1.0 has it.
fn page(media: &str, text: impl AsRef<[u8]>) -> Answer {
    Answer::head("200 OK", &[("Content-Type", media), ("Connection", "close")]).send(text).close()
}

#[tokio::test]
async fn a_folder_is_known_by_its_name_however_the_site_encodes_it() {
    let dav = |heard: &Heard| match heard.method() {
        "OPTIONS" => Answer::head("200 OK", &[("DAV", "1,2"), ("Content-Length", "0")]),
        "PROPFIND" if heard.target() == "/c%2B%2B%20%281%29/" => {
            let text = "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/c++%20(1)/</D:href>\
                <D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop></D:propstat></D:response>\
                <D:response><D:href>/c++%20(1)/g</D:href></D:response></D:multistatus>";
            let fields = [("Content-Type", "text/xml"), ("Content-Length", &text.len().to_string()[..])];
            Answer::head("207 Multi-Status", &fields).send(text)
        }
        _ => Answer::head("403 Forbidden", &[("Content-Length", "0")]),
    };
    assert_eq!(names("/c++ (1)", dav).await.unwrap(), ["g"]);
    let iis = |_: &Heard| {
        page(
            "text/html",
            "<html><head><title>host - /x/</title></head><body><pre><A HREF=\"/\">[To Parent Directory]</A><br>\
             6/12/2014  3:25 PM  77 <A HREF=\"/Program%20Files%20(x86)/f1.txt\">f1.txt</A><br></pre></body></html>",
        )
    };
    assert_eq!(names("/Program Files (x86)", iis).await.unwrap(), ["f1.txt"]);
}

#[tokio::test]
async fn a_folder_that_is_another_page_holds_what_that_lists() {
    let site = |heard: &Heard| match heard.target() {
        "/d/" => Answer::head("302 Found", &[("Location", "/d/index.html"), ("Content-Length", "0")]),
        _ => page(
            "text/html",
            "<html><head><title>Index of /d/</title></head><body><h1>Index of /d/</h1><hr><pre><a href=\"../\">../</a>\n\
             <a href=\"f\">f</a>  29-Feb-2024 12:34  7\n<a href=\"/d/g/\">g/</a>  29-Feb-2024 12:34  -\n</pre></body></html>",
        ),
    };
    assert_eq!(names("/d", site).await.unwrap(), ["f", "g"]);
}

/// 1000 rows of each kind, without the last 600.
#[tokio::test]
async fn a_listing_that_stops_in_the_middle_is_truncated() {
    type Row = fn(usize) -> String;
    let kinds: [(&str, &str, Row); 3] = [
        (
            "text/html",
            "<html>\n<head><title>Index of /</title></head>\n<body>\n<h1>Index of /</h1><hr><pre><a href=\"../\">../</a>\n",
            |at| format!("<a href=\"f{at}\">f{at}</a>  29-Feb-2024 12:34  7\n"),
        ),
        ("application/json", "[\n", |at| {
            format!("{{ \"name\":\"f{at}\", \"type\":\"file\", \"size\":7 }},\n")
        }),
        ("text/xml", "<?xml version=\"1.0\"?>\n<list>\n", |at| format!("<file size=\"7\">f{at}</file>\n")),
    ];
    for (media, beginning, row) in kinds {
        let text = format!("{beginning}{}", (0..400).map(row).collect::<String>());
        let error = names("/", move |_| page(media, &text)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{media}: {error:?}");
    }
}

#[tokio::test]
async fn what_speaks_of_an_error_is_no_folder() {
    for (media, text) in [
        ("application/json", "{\"name\":\"error\",\"type\":\"x\"}"),
        (
            "text/html",
            "<html><body><p><a href=\"../\">back</a> <a href=\"about\">404 no such page</a></p></body></html>",
        ),
    ] {
        let error = names("/", move |_| page(media, text)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory, "{text}: {error:?}");
    }
}

#[tokio::test]
async fn bytes_of_a_link_are_those_of_the_name() {
    let origin = Origin::start(|_| {
        page("text/html", b"<html><title>Index of /</title><pre><a href=\"\xff\xfe\">x</a>\n</pre></html>")
    });
    let origin = origin.await;
    let tree = HttpFs::new(&origin.url, HttpOptions::default()).unwrap();
    let listing = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
    let entries = listing.collect(100).await.unwrap();
    assert_eq!(entries.iter().map(|entry| &entry.name[..]).collect::<Vec<_>>(), [b"\xff\xfe"]);
}

#[tokio::test]
async fn a_redirect_may_be_written_in_any_bytes() {
    let site = |heard: &Heard| match heard.target() {
        "/d/" => {
            Answer::default().send("HTTP/1.1 302 Found\r\nLocation: /caf\u{e9}/\r\nContent-Length: 0\r\n\r\n")
        }
        "/caf%C3%A9/" => page("application/json", "[{\"name\":\"f\",\"type\":\"file\"}]"),
        _ => Answer::head("404 Not Found", &[("Content-Length", "0")]),
    };
    assert_eq!(names("/d", site).await.unwrap(), ["f"]);
}

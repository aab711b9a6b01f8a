//! Listings as they are asked for: in which order, how much of them, and whole folders as archives.

use super::odd::Odd;
use super::{Server, tree};

/// The links of a page's rows, and the next page's.
fn rows(page: &str) -> (Vec<String>, Option<String>) {
    let start = page.find("<pre>").unwrap();
    let end = page.find("</pre>").unwrap();
    let rows = page[start..end].split("<a href=\"").skip(1);
    let links = rows.map(|rest| rest.split('"').next().unwrap().to_owned()).filter(|link| link != "../");
    let next = page[end..].split("rel=\"next\" href=\"").nth(1);
    (links.collect(), next.map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&")))
}

async fn server() -> Server {
    let files: [(&[u8], &[u8]); 5] =
        [(b"/b", b"1"), (b"/C", b"22222"), (b"/a", b"333"), (b"/dir/x", b""), (b"/else/y", b"")];
    Server::start(tree(&files).await).await
}

#[tokio::test]
async fn rows_come_in_the_order_that_is_asked_for() {
    let server = server().await;
    for (query, expected) in [
        ("", "dir/ else/ C a b"),
        ("?order=desc", "else/ dir/ b a C"),
        ("?sort=size", "dir/ else/ b a C"),
        ("?sort=size&order=desc", "dir/ else/ C a b"),
        ("?q=C", "C"),
        ("?q=L", "else/"),
        ("?q=nothing", ""),
        ("?limit=2", "dir/ else/"),
        ("?after=else/", "C a b"),
        ("?sort=size&order=desc&value=3&after=a", "b"),
    ] {
        let page = server.get(&format!("/{query}"), "").await;
        assert_eq!(rows(page.text()).0.join(" "), expected, "{query}");
    }
    let json = server.get("/?format=ndjson&sort=size&order=desc&limit=3", "").await;
    assert_eq!(json.text().matches("\"href\"").count(), 3);
    assert!(json.text().contains("\"size\":5"), "{}", json.text());
    server.stop().await;
}

#[tokio::test]
async fn pages_follow_one_another_and_hold_every_row_once() {
    let files: Vec<_> =
        (0..300).map(|at| (format!("/f{:03} &\"", at * 7 % 300), vec![b'x'; at % 5])).collect();
    let files: Vec<(&[u8], &[u8])> = files.iter().map(|(name, len)| (name.as_bytes(), &len[..])).collect();
    let server = Server::start(tree(&files).await).await;
    for sort in
        ["limit=70", "limit=70&sort=size", "limit=70&sort=size&order=desc", "limit=70&sort=time&order=desc"]
    {
        let mut query = format!("?{sort}");
        let mut seen = Vec::new();
        let mut pages = 0;
        loop {
            let page = server.get(&format!("/{query}"), "").await;
            let (links, next) = rows(page.text());
            assert!(links.len() <= 70);
            seen.extend(links);
            pages += 1;
            match next {
                Some(next) => query = next,
                None => break,
            }
        }
        assert_eq!((pages, seen.len()), (5, 300), "{sort}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 300, "{sort}");
    }
    server.stop().await;
}

#[tokio::test]
async fn only_entries_are_links_and_a_page_runs_its_own_script_alone() {
    let server = Server::start(tree(&[(b"/d/a.tar.gz", b"x"), (b"/d/b.txt", b"y")]).await).await;
    let page = server.get("/d/", "").await;
    let all: Vec<_> =
        page.text().split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(all, ["../", "../", "a.tar.gz", "b.txt"]);
    assert!(page.text().contains("formaction=\"a.tar.gz%23tgz%3A/\""), "{}", page.text());
    let policy = page.field("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.field("cache-control"), Some("no-store"));
    server.stop().await;
}

#[tokio::test]
async fn a_folder_comes_as_an_archive() {
    let server = Server::start(tree(&[(b"/d/e/f", b"content"), (b"/g", b"")]).await).await;
    for (query, media, magic, name) in [
        ("tar", "application/x-tar", &b"d/\0"[..], "d.tar"),
        ("tar.gz", "application/gzip", b"\x1f\x8b", "d.tar.gz"),
        ("tar.zst", "application/zstd", b"\x28\xb5\x2f\xfd", "d.tar.zst"),
        ("zip", "application/zip", b"PK\x03\x04", "d.zip"),
    ] {
        let reply = server.get(&format!("/d/?download={query}"), "").await;
        assert_eq!((reply.status, reply.field("content-type")), (200, Some(media)));
        let disposition = format!("attachment; filename=\"{name}\"");
        assert_eq!(reply.field("content-disposition"), Some(&disposition[..]));
        assert!(reply.body.starts_with(magic), "{query}");
    }
    assert_eq!(server.get("/none/?download=zip", "").await.status, 404);
    let without_slash = server.get("/d?download=zip", "").await;
    assert_eq!(without_slash.field("location"), Some("/d/?download=zip"));
    server.stop().await;
    // A tree that cannot be listed is an error and no empty archive.
    let server = Server::start(Odd { len: Some(5), content: b"abc", fails: false }).await;
    assert_eq!(server.get("/?download=tar", "").await.status, 403);
    server.stop().await;
}

//! One tree under several names.

use std::sync::Arc;

use vfs::VPath;
use vfs::backends::memory::MemoryFs;

use super::{Options, Reply, Server, tree};
use crate::site::{Hosts, Named, Site};

/// A site of two names, with these wishes for the rest.
async fn site(refuses_others: bool) -> Site {
    let files: [(&[u8], &[u8]); 4] =
        [(b"/a/one", b"1"), (b"/b/two", b"2"), (b"/b/sub/three", b"3"), (b"/secret", b"s")];
    let tree = Arc::new(tree(&files).await);
    tree_with_link(&tree).await;
    let mut site = Site::new(tree);
    let folders = [("a.example", "/a"), ("*.b.example", "/b"), ("127.0.0.1", "/b/sub")];
    let folders = folders.map(|(name, path)| (name.to_owned(), VPath::parse(path).unwrap())).into();
    site.hosts = Arc::new(Hosts::new(Named { folders, refuses_others }));
    site
}

async fn tree_with_link(tree: &Arc<MemoryFs>) {
    use vfs::FileSystem;
    tree.symlink(&"../secret".into(), &VPath::parse("/a/out").unwrap()).await.unwrap();
}

async fn get(server: &Server, head: &str) -> Reply {
    Reply::only(&server.exchange(format!("GET {head}Connection: close\r\n\r\n")).await)
}

#[tokio::test]
async fn a_name_shows_its_folder_and_nothing_around_it() {
    for refuses_others in [false, true] {
        let server = Server::of(site(refuses_others).await).await;
        let other = if refuses_others { 421 } else { 200 };
        for (head, status, text) in [
            ("/one HTTP/1.1\r\nHost: a.example\r\n", 200, "1"),
            ("/one HTTP/1.1\r\nHost: A.Example.:8080\r\n", 200, "1"),
            ("http://a.example/one HTTP/1.1\r\nHost: other\r\n", 200, "1"),
            ("/two HTTP/1.1\r\nHost: x.b.example\r\n", 200, "2"),
            ("/three HTTP/1.1\r\nHost: 127.0.0.1:80\r\n", 200, "3"),
            ("/two HTTP/1.1\r\nHost: a.example\r\n", 404, ""),
            ("/../secret HTTP/1.1\r\nHost: a.example\r\n", 404, ""),
            ("/out HTTP/1.1\r\nHost: a.example\r\n", 403, ""),
            ("/secret HTTP/1.1\r\nHost: b.example\r\n", other, "s"),
            ("/secret HTTP/1.1\r\nHost: evil.example\r\n", other, "s"),
            ("/secret HTTP/1.1\r\nHost:\r\n", other, "s"),
            ("/secret HTTP/1.0\r\n", other, "s"),
        ] {
            let reply = get(&server, head).await;
            assert_eq!(reply.status, status, "{head} {refuses_others}: {}", reply.text());
            if status == 200 {
                assert_eq!(reply.text(), text, "{head}");
            }
        }
        let options = server.exchange("OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
        assert_eq!(Reply::only(&options).status, if refuses_others { 421 } else { 204 });
        server.stop().await;
    }
}

#[tokio::test]
async fn what_is_said_of_a_mount_holds_under_every_name() {
    let options = Options::default();
    options.lifetimes.replace([(&VPath::parse("/b").unwrap(), "max-age=7")]);
    let server = Server::over(Arc::new(site(false).await), options).await;
    for (target, host, value) in [
        ("/b/two", "other", Some("max-age=7")),
        ("/two", "x.b.example", Some("max-age=7")),
        ("/one", "a.example", Some("no-cache")),
    ] {
        let reply = get(&server, &format!("{target} HTTP/1.1\r\nHost: {host}\r\n")).await;
        assert_eq!((reply.status, reply.field("cache-control")), (200, value), "{host}");
    }
    server.stop().await;
}

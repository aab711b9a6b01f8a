//! Servers of other people, read as remote sites: what can be asked of a tree that only shows things.

use std::sync::Arc;
use std::time::Duration;

use support::WebServer;
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::conformance::{self, Skill, Subject};
use vfs::{FileSystem, ListOptions, VPath};

use crate::shown::shown_folder;

/// What no site has: it takes no changes, and tells neither modes nor, but in the parent's listing, times of folders.
const SITES_LACK: [Skill; 6] =
    [Skill::Writes, Skill::Symlinks, Skill::Modes, Skill::Locks, Skill::SpecialFiles, Skill::FolderTimes];

/// nginx shows no names that start with a dot.
#[tokio::test]
async fn nginx() {
    assert_is_a_tree(WebServer::Nginx, &[Skill::DotNames], &[]).await;
}

#[tokio::test]
async fn nginx_in_json() {
    assert_is_a_tree(WebServer::NginxJson, &[Skill::DotNames], &[]).await;
}

#[tokio::test]
async fn nginx_in_xml() {
    assert_is_a_tree(WebServer::NginxXml, &[Skill::DotNames], &[]).await;
}

#[tokio::test]
async fn apache_plain() {
    assert_is_a_tree(WebServer::ApachePlain, &[Skill::ListedMetadata], &[]).await;
}

#[tokio::test]
async fn apache_fancy() {
    assert_is_a_tree(WebServer::ApacheFancy, &[], &[]).await;
}

#[tokio::test]
async fn apache_table() {
    assert_is_a_tree(WebServer::ApacheTable, &[], &[]).await;
}

#[tokio::test]
async fn apache_over_webdav() {
    assert_is_a_tree(WebServer::ApacheDav, &[], &[]).await;
}

/// lighttpd answers for what would stand below a file with the file itself, as if the rest were a script's argument.
#[tokio::test]
async fn lighttpd() {
    assert_is_a_tree(
        WebServer::Lighttpd,
        &[Skill::ByteNames, Skill::NewlineNames],
        &["walking_through_a_file_is_not_a_directory"],
    )
    .await;
}

/// Go makes names UTF-8, and so what is no UTF-8 unreachable.
#[tokio::test]
async fn caddy() {
    assert_is_a_tree(WebServer::Caddy, &[Skill::ByteNames], &[]).await;
}

#[tokio::test]
async fn python() {
    assert_is_a_tree(WebServer::Python, &[Skill::ListedMetadata, Skill::ByteNames], &[]).await;
}

/// rclone shows control characters as pictures of them.
#[tokio::test]
async fn rclone() {
    assert_is_a_tree(WebServer::Rclone, &[Skill::NewlineNames], &[]).await;
}

#[tokio::test]
async fn rclone_over_webdav() {
    assert_is_a_tree(WebServer::RcloneDav, &[Skill::NewlineNames], &[]).await;
}

/// webfs escapes nothing: a name like markup is markup, and cannot be told from it. All others are read.
#[tokio::test]
async fn webfs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let names = ["<b>&amp;", "\"quoted\"", "back\\slash", "plain", "semi;colon", "x#tgz:", "100%25"];
    for name in names {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    let Some(web) = WebServer::Webfs.serve(folder.path()) else { return };
    let tree = HttpFs::new(&web.url, HttpOptions::default()).unwrap();
    let listing = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
    let found = listing.collect(100).await.unwrap();
    let found: Vec<_> = found.iter().map(|entry| String::from_utf8_lossy(&entry.name)).collect();
    assert!(
        ["plain", "back\\slash", "semi;colon"].iter().all(|name| found.iter().any(|found| found == name)),
        "{found:?}"
    );
    assert!(found.len() <= names.len(), "{found:?}");
}

/// Servers and we do not encode the same characters of a folder's name; what it holds is listed all the same.
#[tokio::test]
async fn folders_of_odd_names_hold_what_lies_in_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let names = ["a (1)", "c++", "it's, @&=:;$*!", "[x]{y}|^`~", "100%25", "plain"];
    for name in names {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("f"), name).unwrap();
    }
    for server in [
        WebServer::ApacheDav,
        WebServer::RcloneDav,
        WebServer::ApacheTable,
        WebServer::Nginx,
        WebServer::Lighttpd,
        WebServer::Caddy,
        WebServer::Webfs,
    ] {
        let Some(web) = server.serve(folder.path()) else { continue };
        let tree = HttpFs::new(&web.url, HttpOptions::default()).unwrap();
        for name in names {
            let path = VPath::root().child(name.to_owned()).unwrap();
            let listing = tree.read_dir(&path, &ListOptions::default()).await.unwrap();
            let found = listing.collect(10).await.unwrap();
            let found: Vec<_> = found.iter().map(|entry| String::from_utf8_lossy(&entry.name)).collect();
            assert_eq!(found, ["f"], "{server:?} {name}");
        }
    }
}

/// Asks every case that applies, but for those in `differ`.
async fn assert_is_a_tree(server: WebServer, lacks: &[Skill], differ: &[&str]) {
    let lacks = [&SITES_LACK[..], lacks].concat();
    let folder = shown_folder(&lacks).await;
    let Some(web) = server.serve(folder.path()) else { return };
    let mut asked = 0;
    let mut failed = Vec::new();
    for case in conformance::cases() {
        // A tree of its own each, so that no case lives on what another one has made it remember.
        let tree = HttpFs::new(&web.url, HttpOptions::default()).unwrap();
        let subject = Subject::new(Arc::new(tree)).with_time_grain(Duration::from_secs(60)).lacking(&lacks);
        if !case.applies_to(&subject) || differ.contains(&case.name) {
            continue;
        }
        asked += 1;
        if tokio::spawn(async move { case.run(&subject).await }).await.is_err() {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "{server:?} fails {failed:?}");
    assert!(asked > 50, "{asked} cases applied");
}

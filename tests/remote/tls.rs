//! Sites over TLS, and HTTP/2 under it.

use support::{Web, WebServer};
use tempfile::TempDir;
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::{ErrorKind, FileSystem, ListOptions, OpenOptions, StatOptions, VPath};

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

fn site() -> Option<(TempDir, Web)> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("f"), "content").unwrap();
    let web = WebServer::NginxTls.serve(folder.path())?;
    Some((folder, web))
}

fn trusting(web: &Web) -> HttpFs {
    let options = HttpOptions { authorities: web.authority(), ..HttpOptions::default() };
    HttpFs::new(&web.url, options).unwrap()
}

#[tokio::test]
async fn a_site_under_a_named_authority_is_read_over_http_2() {
    let Some((_folder, web)) = site() else { return };
    let tree = trusting(&web);
    let listing = tree.read_dir(&path("/"), &ListOptions::default()).await.unwrap();
    assert_eq!(listing.collect(10).await.unwrap().len(), 1);
    let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
    assert_eq!(&file.read_at(0, 100).await.unwrap()[..], b"content");
    let asked = web.access_log();
    assert_eq!(asked, "HTTP/2.0 GET /\nHTTP/2.0 GET /f\n");
}

#[tokio::test]
async fn a_site_under_an_unknown_authority_is_not_asked() {
    let Some((_folder, web)) = site() else { return };
    let tree = HttpFs::new(&web.url, HttpOptions::default()).unwrap();
    let error = tree.metadata(&path("/f"), &StatOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    assert_eq!(web.access_log(), "");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let Some((_folder, web)) = site() else { return };
    let options = HttpOptions { authorities: web.authority(), ..HttpOptions::default() };
    let tree = HttpFs::new(&web.url.replace("127.0.0.1", "localhost"), options).unwrap();
    let error = tree.metadata(&path("/f"), &StatOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(web.access_log(), "");
}

#[tokio::test]
async fn a_redirect_away_from_tls_is_refused() {
    let Some((_folder, web)) = site() else { return };
    let error = trusting(&web).open(&path("/to-plain/f"), &OpenOptions::reading()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("from https: to http:"), "{error}");
}

#[tokio::test]
async fn authorities_that_are_none_are_refused() {
    let options = HttpOptions { authorities: b"not PEM".to_vec(), ..HttpOptions::default() };
    let error = HttpFs::new("https://example.org/", options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

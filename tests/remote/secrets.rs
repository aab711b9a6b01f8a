//! A login goes to the site that it was given for, and is shown nowhere.

use support::{Answer, Origin};
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::backends::remote::Login;
use vfs::{ErrorKind, FileSystem, OpenOptions, StatOptions, VPath};

fn path() -> VPath {
    VPath::parse("/f").unwrap()
}

fn options() -> HttpOptions {
    let login = Login { user: "me".to_owned(), password: Some("s3cret".to_owned()) };
    HttpOptions { login: Some(login), allow_private: true, ..HttpOptions::default() }
}

#[tokio::test]
async fn a_redirect_takes_no_login_along() {
    let other = Origin::start(|heard| Answer::honest(heard, b"ok", "\"x\"")).await;
    let target = other.url.clone();
    let origin = Origin::start(move |_| {
        Answer::head("302 Found", &[("Location", &format!("{target}f")), ("Content-Length", "0")])
    });
    let origin = origin.await;
    let tree = HttpFs::new(&origin.url, options()).unwrap();
    let file = tree.open(&path(), &OpenOptions::reading()).await.unwrap();
    assert_eq!(&file.read_at(0, 10).await.unwrap()[..], b"ok");
    assert_eq!(origin.heard()[0].field("authorization"), Some("Basic bWU6czNjcmV0"));
    assert_eq!(other.heard()[0].field("authorization"), None);
    // Another port is another origin (RFC 6454 §4), and what it says about logins is not ours.
    assert_eq!(other.heard()[0].field("cookie"), None);
}

#[tokio::test]
async fn a_login_in_a_redirect_is_not_used() {
    let other = Origin::start(|heard| Answer::honest(heard, b"ok", "\"x\"")).await;
    let target = other.url.replace("//", "//you:theirs@");
    let origin = Origin::start(move |_| {
        Answer::head("302 Found", &[("Location", &format!("{target}f")), ("Content-Length", "0")])
    });
    let origin = origin.await;
    let options = HttpOptions { allow_private: true, ..HttpOptions::default() };
    let tree = HttpFs::new(&origin.url, options).unwrap();
    tree.metadata(&path(), &StatOptions::default()).await.unwrap();
    assert_eq!(other.heard()[0].field("authorization"), None);
}

#[tokio::test]
async fn nothing_that_is_printed_holds_the_password() {
    let origin = Origin::start(|_| Answer::head("401 Unauthorized", &[("Content-Length", "0")])).await;
    let in_url = origin.url.replace("//", "//me:s3cret@");
    for (url, options) in [(&in_url, HttpOptions::default()), (&origin.url, options())] {
        let shown = format!("{options:?}");
        let tree = HttpFs::new(url, options).unwrap();
        let error = tree.open(&path(), &OpenOptions::reading()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert_eq!(origin.heard().last().unwrap().field("authorization"), Some("Basic bWU6czNjcmV0"));
        for shown in [shown, format!("{tree:?}"), format!("{error:?}"), error.to_string()] {
            assert!(!shown.contains("s3cret") && !shown.contains("bWU6czNjcmV0"), "{shown}");
        }
    }
    let dead = HttpFs::new("http://me:s3cret@127.0.0.1:1/", HttpOptions::default()).unwrap();
    let error = dead.open(&path(), &OpenOptions::reading()).await.unwrap_err();
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

//! Attacks on the door, through both of its ways: whatever links say, nothing outside of the folder is seen.

use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags};

use super::testing::{Scene, failure, kind, path, read};
use super::{Links, LocalFs, LocalOptions};
use crate::error::ErrorKind;
use crate::file_system::FileSystem;
use crate::options::{ListOptions, OpenOptions, RenameOptions, SetAttributes, StatOptions};
use crate::path::VPath;

/// A tree with every kind of link, and what must not be read beside it.
fn scene() -> Scene {
    let scene = Scene::new();
    std::fs::write(scene.outside("secret"), "outside").unwrap();
    std::fs::create_dir(scene.outside("dir")).unwrap();
    std::fs::write(scene.outside("dir/secret"), "outside").unwrap();
    scene.write("in", "inside");
    std::fs::create_dir(scene.inside("dir")).unwrap();
    scene.write("dir/in", "deep");
    for (name, target) in [
        ("climbing", "../secret"),
        ("climbing-dir", "../dir"),
        ("passwd", "../../../../../../../../etc/passwd"),
        ("there-and-back", "../inside/in"),
        ("first", "second"),
        ("second", "dir/third"),
        ("dir/third", "../../secret"),
        ("dir/up", "../in"),
        ("dir/here", "."),
        ("dir/top", ".."),
        ("relative", "dir/in"),
        ("slashed-file", "in/"),
        ("slashed-dir", "dir/"),
        ("absolute", "/etc/passwd"),
        ("from-the-top", "/in"),
        ("dangling", "nothing"),
        ("circle", "circle"),
        ("ping", "pong"),
        ("pong", "ping"),
    ] {
        scene.link(name, target);
    }
    scene.link("absolute-outside", scene.outside("secret"));
    scene.link("absolute-inside", scene.inside("in"));
    scene
}

#[tokio::test]
async fn links_that_leave_are_refused() {
    let scene = scene();
    for tree in scene.doors(Links::Beneath) {
        for text in [
            "/climbing",
            "/climbing-dir/secret",
            "/passwd",
            "/there-and-back",
            "/first",
            "/second",
            "/dir/third",
            "/dir/top/climbing",
            "/absolute",
            "/from-the-top",
            "/absolute-outside",
            "/absolute-inside",
        ] {
            let refused = failure(read(&tree, text).await);
            assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{text}");
            assert_eq!(refused.detail(), Some("the link leaves the mounted folder"));
            let described = tree.metadata(&path(text), &StatOptions::default()).await;
            assert_eq!(kind(described), ErrorKind::PermissionDenied, "{text}");
        }
    }
}

#[tokio::test]
async fn links_that_stay_are_followed() {
    let scene = scene();
    for links in [Links::Beneath, Links::ReRooted] {
        for tree in scene.doors(links) {
            for (text, content) in [
                ("/dir/up", "inside"),
                ("/relative", "deep"),
                ("/dir/here/here/in", "deep"),
                ("/dir/top/in", "inside"),
                ("/slashed-dir/in", "deep"),
            ] {
                assert_eq!(read(&tree, text).await.unwrap(), content, "{text}");
            }
            for (text, refusal) in [
                ("/slashed-file", ErrorKind::NotADirectory),
                ("/in/x", ErrorKind::NotADirectory),
                ("/slashed-dir", ErrorKind::IsADirectory),
                ("/dangling", ErrorKind::NotFound),
                ("/dangling/x", ErrorKind::NotFound),
                ("/circle", ErrorKind::Loop),
                ("/ping/x", ErrorKind::Loop),
            ] {
                assert_eq!(kind(read(&tree, text).await), refusal, "{text}");
            }
        }
    }
}

#[tokio::test]
async fn re_rooted_links_resolve_inside() {
    let scene = scene();
    scene.write("secret", "re-rooted");
    for tree in scene.doors(Links::ReRooted) {
        for (text, content) in [
            ("/climbing", "re-rooted"),
            ("/first", "re-rooted"),
            ("/from-the-top", "inside"),
            ("/dir/top/from-the-top", "inside"),
        ] {
            assert_eq!(read(&tree, text).await.unwrap(), content, "{text}");
        }
        for text in ["/passwd", "/absolute", "/absolute-outside", "/there-and-back"] {
            assert_eq!(kind(read(&tree, text).await), ErrorKind::NotFound, "{text}");
        }
    }
}

#[tokio::test]
async fn no_change_reaches_through_a_link_that_leaves() {
    let scene = scene();
    let before = std::fs::metadata(scene.outside("secret")).unwrap().modified().unwrap();
    for tree in scene.doors(Links::Beneath) {
        let (below, victim) = (path("/climbing-dir/new"), path("/climbing-dir/secret"));
        let attributes = SetAttributes { mode: Some(0), ..SetAttributes::default() };
        let new = OpenOptions { create_new: true, ..OpenOptions::writing() };
        let not_new = OpenOptions { create_new: true, ..OpenOptions::replacing() };
        for refused in [
            tree.create_dir(&below).await,
            tree.remove_file(&victim).await,
            tree.remove_dir(&victim).await,
            tree.rename(&path("/in"), &below, &RenameOptions::default()).await,
            tree.rename(&victim, &path("/stolen"), &RenameOptions::default()).await,
            tree.symlink(&"x".into(), &below).await,
            tree.hard_link(&victim, &path("/stolen")).await,
            tree.hard_link(&path("/in"), &below).await,
            tree.set_attributes(&path("/climbing"), &attributes, true).await,
            tree.open(&path("/climbing"), &OpenOptions::writing()).await.map(drop),
            tree.open(&path("/climbing"), &OpenOptions::replacing()).await.map(drop),
            tree.open(&below, &new).await.map(drop),
            tree.open(&below, &not_new).await.map(drop),
            tree.read_dir(&path("/climbing-dir"), &ListOptions::default()).await.map(drop),
            tree.read_link(&victim).await.map(drop),
        ] {
            assert_eq!(kind(refused), ErrorKind::PermissionDenied);
        }
    }
    assert_eq!(std::fs::read(scene.outside("secret")).unwrap(), b"outside");
    assert_eq!(std::fs::metadata(scene.outside("secret")).unwrap().modified().unwrap(), before);
    assert_eq!(std::fs::read_dir(scene.outside("dir")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_write_follows_a_link_that_stays() {
    for links in [Links::Beneath, Links::ReRooted] {
        for options in [OpenOptions::writing(), OpenOptions::replacing()] {
            let scene = scene();
            for tree in scene.doors(links) {
                for text in ["/relative", "/dangling"] {
                    let file = tree.open(&path(text), &options).await.unwrap();
                    file.write_at(0, "new".into()).await.unwrap();
                    file.finish().await.unwrap();
                }
                assert_eq!(std::fs::read(scene.inside("dir/in")).unwrap(), b"new");
                assert_eq!(std::fs::read(scene.inside("nothing")).unwrap(), b"new");
                std::fs::remove_file(scene.inside("nothing")).unwrap();
                assert!(std::fs::symlink_metadata(scene.inside("relative")).unwrap().is_symlink());
            }
        }
    }
}

#[tokio::test]
async fn forty_links_are_followed_and_no_more() {
    let scene = Scene::new();
    scene.write("0", "end");
    for step in 1..=41 {
        scene.link(&step.to_string(), (step - 1).to_string());
    }
    for tree in scene.doors(Links::Beneath) {
        assert_eq!(read(&tree, "/40").await.unwrap(), "end");
        assert_eq!(kind(read(&tree, "/41").await), ErrorKind::Loop);
    }
}

#[tokio::test]
async fn magic_links_lead_nowhere() {
    let process = std::path::Path::new("/proc/self");
    for links in [Links::Beneath, Links::ReRooted] {
        let tree = LocalFs::open_with(process, &LocalOptions { links, ..LocalOptions::default() });
        let walking = super::lookup::Root::open(process, links).unwrap().walking();
        for tree in [tree.unwrap(), LocalFs::of(walking, false, process)] {
            for text in ["/root/etc/passwd", "/cwd", "/exe", "/root"] {
                assert_eq!(kind(read(&tree, text).await), ErrorKind::Loop, "{text}");
            }
            let described = tree.metadata(&path("/exe"), &StatOptions::no_follow()).await.unwrap();
            assert!(described.is_symlink());
        }
    }
}

/// A folder and a link to the outside trade places as fast as they can while both doors look up a name below them.
#[test]
fn a_link_that_is_swapped_in_is_never_walked_through() {
    const LOOKUPS: usize = 4_000;

    let scene = Scene::new();
    std::fs::create_dir(scene.outside("trap")).unwrap();
    std::fs::write(scene.outside("trap/name"), "outside").unwrap();
    std::fs::create_dir(scene.inside("folder")).unwrap();
    scene.write("folder/name", "inside");
    scene.link("trap", scene.outside("trap"));
    let (one, other) = (scene.inside("folder"), scene.inside("trap"));
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        // Dropped by a failed assertion too, so that the swapping ends and the failure is told.
        let _swapping = StopOnDrop(&done);
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let (mut seen, mut refused) = (0, 0);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for tree in scene.doors(Links::Beneath) {
            for _ in 0..LOOKUPS {
                match runtime.block_on(read(&tree, "/folder/name")) {
                    Ok(content) => {
                        assert_eq!(content, "inside");
                        seen += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
                        refused += 1;
                    }
                }
            }
        }
        assert!(seen > 0 && refused > 0, "{seen} seen, {refused} refused: nothing was swapped");
    });
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_path_that_is_too_long_says_so() {
    let scene = Scene::new();
    let fits = format!("/{}", ["d"; 2_047].join("/"));
    for tree in scene.doors(Links::Beneath) {
        let long_name = VPath::root().child(vec![b'n'; 256]).unwrap();
        let described = tree.metadata(&long_name, &StatOptions::default()).await;
        assert_eq!(kind(described), ErrorKind::NameTooLong);
        // 4,093 bytes are looked for, 4,097 are not.
        let described = tree.metadata(&path(&fits), &StatOptions::default()).await;
        assert_eq!(kind(described), ErrorKind::NotFound);
        let described = tree.metadata(&path(&format!("{fits}/d/d")), &StatOptions::default()).await;
        assert_eq!(kind(described), ErrorKind::NameTooLong);
    }
}

#[tokio::test]
async fn every_name_that_the_host_takes_is_found_and_listed() {
    let scene = Scene::new();
    let names = [
        b"new\nline".to_vec(),
        b"\xff\xfe no text".to_vec(),
        vec![b'n'; 255],
        b"x#tgz:".to_vec(),
        b"%2e%2e".to_vec(),
        b" ".to_vec(),
        b"\"?*\\".to_vec(),
        b"...".to_vec(),
    ];
    for name in &names {
        let on_host = std::ffi::OsString::from_vec(name.clone());
        std::fs::write(scene.inside("").join(on_host), name).unwrap();
    }
    for tree in scene.doors(Links::Beneath) {
        for name in &names {
            let path = VPath::root().child(name.clone()).unwrap();
            let file = tree.open(&path, &OpenOptions::reading()).await.unwrap();
            assert_eq!(&file.read_at(0, 300).await.unwrap(), name);
        }
        let listing = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
        let mut listed: Vec<_> =
            listing.collect(100).await.unwrap().into_iter().map(|entry| entry.name.to_vec()).collect();
        let mut names = names.to_vec();
        listed.sort();
        names.sort();
        assert_eq!(listed, names);
    }
}

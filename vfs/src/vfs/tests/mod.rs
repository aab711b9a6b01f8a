//! The namespace over small fakes.

mod archives;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::*;
use crate::error::{Error, ErrorKind};
use crate::fake::{Fake, path};
use crate::file_system::{Availability, DirEntry, Writes};
use crate::metadata::Metadata;
use crate::options::{ByteRange, LinkTarget, ListOptions, OpenOptions, RenameOptions, StatOptions};
use crate::producer::{self, ProducerExt};
use crate::walk::remove_dir_all;

/// A namespace of writable mounts.
fn namespace(mounts: &[(&str, &Fake)]) -> Arc<Vfs> {
    let vfs = Vfs::new(Registry::empty());
    for (at, tree) in mounts {
        mount(&vfs, at, tree);
    }
    vfs
}

fn mount(vfs: &Vfs, at: &str, tree: &Fake) {
    let options = MountOptions { writable: true, ..MountOptions::default() };
    vfs.mount(&path(at), tree.clone().shared(), options).unwrap();
}

async fn stat(vfs: &dyn FileSystem, at: &str) -> Result<Metadata> {
    vfs.metadata(&path(at), &StatOptions::default()).await
}

async fn entries(vfs: &dyn FileSystem, at: &str) -> Result<Vec<DirEntry>> {
    let mut entries = vfs.read_dir(&path(at), &ListOptions::default()).await?.collect(99).await?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

async fn names(vfs: &dyn FileSystem, at: &str) -> Vec<String> {
    let entries = entries(vfs, at).await.unwrap();
    entries.into_iter().map(|entry| String::from_utf8(entry.name.to_vec()).unwrap()).collect()
}

async fn read(vfs: &dyn FileSystem, at: &str) -> Result<Bytes> {
    vfs.open(&path(at), &OpenOptions::reading()).await?.read_at(0, 999).await
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("the call fails").kind()
}

#[tokio::test]
async fn folders_that_lead_to_mounts_exist_and_the_longest_mount_wins() {
    let (outer, inner) = (Fake::with(&[("/f", "outer")]), Fake::with(&[("/f", "inner")]));
    let vfs = namespace(&[("/a/b", &outer), ("/a/b/c/d", &inner)]);
    assert_eq!(names(&*vfs, "/").await, ["a"]);
    assert_eq!(names(&*vfs, "/a").await, ["b"]);
    assert_eq!(names(&*vfs, "/a/b").await, ["c", "f"]);
    assert_eq!(names(&*vfs, "/a/b/c").await, ["d"]);
    for folder in ["/", "/a", "/a/b", "/a/b/c", "/a/b/c/d"] {
        assert!(stat(&*vfs, folder).await.unwrap().is_dir(), "{folder}");
        assert_eq!(kind(read(&*vfs, folder).await), ErrorKind::IsADirectory, "{folder}");
    }
    assert_eq!(read(&*vfs, "/a/b/f").await.unwrap(), "outer");
    assert_eq!(read(&*vfs, "/a/b/c/d/f").await.unwrap(), "inner");
    for missing in ["/x", "/a/x", "/a/b/x", "/a/b/c/x"] {
        let error = stat(&*vfs, missing).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::NotFound, &path(missing)));
    }
    assert_eq!(kind(vfs.read_link(&path("/a/b/c")).await), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn mounts_lie_over_what_the_tree_lists_and_no_name_comes_twice() {
    let root = Fake::with(&[("/over", "a file"), ("/folder/own", ""), ("/blocked", "a file"), ("/z", "")]);
    let other = Fake::with(&[("/f", "")]);
    let vfs = namespace(&[("/", &root), ("/over", &other), ("/folder/m", &other), ("/blocked/m", &other)]);
    let listed = entries(&*vfs, "/").await.unwrap();
    let listed: Vec<_> = listed.iter().map(|entry| (&entry.name[..], entry.is_dir(), entry.mount)).collect();
    assert_eq!(
        listed,
        [
            (&b"blocked"[..], true, None),
            (b"folder", true, None),
            (b"over", true, Some(Availability::Unknown)),
            (b"z", false, None),
        ]
    );
    assert_eq!(other.calls(), 0, "a listing asks no mount in it");
    assert_eq!(names(&*vfs, "/folder").await, ["m", "own"]);
    assert_eq!(names(&*vfs, "/blocked").await, ["m"], "a mount below makes a folder of it");
    assert!(stat(&*vfs, "/blocked").await.unwrap().is_dir());
    assert_eq!(names(&*vfs, "/over").await, ["f"]);
    let answered = entries(&*vfs, "/").await.unwrap();
    assert_eq!(answered[2].mount, Some(Availability::Ok));
}

#[tokio::test(start_paused = true)]
async fn a_mount_that_never_answers_costs_only_those_who_ask_it() {
    let (root, hung) = (Fake::with(&[("/f", "text")]), Fake::with(&[("/g", "")]));
    hung.hang();
    let vfs = namespace(&[("/", &root), ("/hung", &hung)]);
    let begun = Instant::now();
    assert_eq!(names(&*vfs, "/").await, ["f", "hung"]);
    assert_eq!(read(&*vfs, "/f").await.unwrap(), "text");
    assert_eq!((begun.elapsed(), hung.calls()), (Duration::ZERO, 0));

    let asking = tokio::spawn({
        let vfs = Arc::clone(&vfs);
        async move { kind(stat(&*vfs, "/hung/g").await) }
    });
    while hung.calls() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&*vfs, "/f").await.unwrap(), "text");
    assert_eq!(begun.elapsed(), Duration::ZERO);

    assert_eq!(asking.await.unwrap(), ErrorKind::TimedOut);
    // One path that hangs says little of the others: three that do are an outage.
    for other in ["/hung/h", "/hung/i"] {
        assert_eq!(kind(stat(&*vfs, other).await), ErrorKind::TimedOut);
    }
    let begun = Instant::now();
    assert_eq!(kind(stat(&*vfs, "/hung/g").await), ErrorKind::Unavailable);
    assert_eq!(entries(&*vfs, "/").await.unwrap()[1].mount, Some(Availability::Unavailable));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(vfs.mounts()[1].availability, Availability::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_hung_parent_does_not_hide_what_is_mounted_in_it() {
    let (parent, child) = (Fake::with(&[]), Fake::with(&[("/f", "text")]));
    parent.hang();
    let vfs = namespace(&[("/", &parent), ("/way/child", &child)]);
    let begun = Instant::now();
    assert_eq!(read(&*vfs, "/way/child/f").await.unwrap(), "text");
    assert_eq!(names(&*vfs, "/way/child").await, ["f"]);
    assert!(stat(&*vfs, "/way/child").await.unwrap().is_dir());
    assert_eq!((begun.elapsed(), parent.calls()), (Duration::ZERO, 0));
    // A listing that ended without the parent's part would look whole: it is an error.
    assert_eq!(kind(entries(&*vfs, "/way").await), ErrorKind::TimedOut);
    // That it is a folder is known all the same.
    assert!(stat(&*vfs, "/way").await.unwrap().is_dir());
    assert_eq!(kind(stat(&*vfs, "/other").await), ErrorKind::TimedOut);
}

#[tokio::test]
async fn errors_name_the_path_that_was_asked_for() {
    let fake = Fake::with(&[("/d/f", "text")]);
    let vfs = namespace(&[("/m", &fake)]);
    let file = vfs.open(&path("/m/d/f"), &OpenOptions::reading()).await.unwrap();
    let mut listing = vfs.read_dir(&path("/m/d"), &ListOptions::default()).await.unwrap();
    fake.fail(Some(ErrorKind::Corrupt));
    let mut bytes = producer::of(Arc::clone(&file), ByteRange::whole()).peeked();
    for (error, at) in [
        (stat(&*vfs, "/m/d").await.unwrap_err(), "/m/d"),
        (file.read_at(0, 1).await.unwrap_err(), "/m/d/f"),
        (file.set_len(0).await.unwrap_err(), "/m/d/f"),
        (listing.next().await.unwrap().unwrap_err(), "/m/d"),
        (bytes.more().await.unwrap().unwrap_err(), "/m/d/f"),
        (vfs.create_dir(&path("/m/new")).await.unwrap_err(), "/m/new"),
    ] {
        assert_eq!(error.path(), &path(at), "{error}");
    }
}

#[tokio::test]
async fn names_do_not_move_between_mounts_and_mount_points_stay() {
    let (root, other) = (Fake::with(&[("/f", ""), ("/d/g", "")]), Fake::with(&[("/h", "")]));
    let vfs = namespace(&[("/", &root), ("/way/m", &other)]);
    let rename = async |from, to| {
        vfs.rename(&path(from), &path(to), &RenameOptions::default()).await.map_err(|e| e.kind())
    };
    assert_eq!(rename("/f", "/way/m/f").await, Err(ErrorKind::CrossesDevices));
    assert_eq!(kind(vfs.hard_link(&path("/f"), &path("/way/m/f")).await), ErrorKind::CrossesDevices);
    for place in ["/way", "/way/m"] {
        assert_eq!(rename(place, "/x").await, Err(ErrorKind::Busy));
        assert_eq!(rename("/d", place).await, Err(ErrorKind::Busy));
        assert_eq!(kind(vfs.remove_dir(&path(place)).await), ErrorKind::Busy);
        assert_eq!(kind(vfs.remove_file(&path(place)).await), ErrorKind::IsADirectory);
        assert_eq!(kind(vfs.create_dir(&path(place)).await), ErrorKind::AlreadyExists);
        let link = vfs.symlink(&LinkTarget::from("f"), &path(place)).await;
        assert_eq!(kind(link), ErrorKind::AlreadyExists);
        assert_eq!(kind(vfs.hard_link(&path("/f"), &path(place)).await), ErrorKind::AlreadyExists);
        assert_eq!(kind(vfs.open(&path(place), &OpenOptions::writing()).await), ErrorKind::IsADirectory);
        let new = OpenOptions { create_new: true, ..OpenOptions::writing() };
        assert_eq!(kind(vfs.open(&path(place), &new).await), ErrorKind::AlreadyExists);
    }
    assert_eq!((root.calls(), other.calls()), (0, 0), "all of it is known from the table");
    assert_eq!(rename("/f", "/d/f").await, Ok(()));
    assert!(root.content("/d/f").is_some());
    vfs.hard_link(&path("/way/m/h"), &path("/way/m/h2")).await.unwrap();
    assert!(other.content("/h2").is_some());
    assert_eq!(kind(vfs.create_dir(&path("/way/new")).await), ErrorKind::ReadOnly);
    assert_eq!(kind(vfs.open(&path("/way/new"), &OpenOptions::writing()).await), ErrorKind::ReadOnly);
}

#[tokio::test]
async fn nothing_is_changed_where_nothing_is_mounted_or_the_mount_is_read_only() {
    let fake = Fake::with(&[("/f", "")]);
    let vfs = Vfs::new(Registry::empty());
    vfs.mount(&path("/m"), fake.clone().shared(), MountOptions::default()).unwrap();
    for at in ["/new", "/m/new", "/x/new"] {
        assert_eq!(kind(vfs.create_dir(&path(at)).await), ErrorKind::ReadOnly, "{at}");
        assert_eq!(kind(vfs.open(&path(at), &OpenOptions::writing()).await), ErrorKind::ReadOnly, "{at}");
        assert_eq!(vfs.capabilities(&path(at)).writes, Writes::None);
    }
    assert_eq!((fake.calls(), vfs.mounts()[0].writable), (0, false));
}

#[tokio::test]
async fn unmounting_detaches_and_leaves_what_is_mounted_below() {
    let (outer, inner) = (Fake::with(&[("/f", "outer")]), Fake::with(&[("/g", "inner")]));
    let vfs = namespace(&[("/m", &outer), ("/m/below", &inner)]);
    let again = vfs.mount(&path("/m"), inner.clone().shared(), MountOptions::default());
    assert_eq!(kind(again), ErrorKind::AlreadyExists);
    let inside = vfs.mount(&path("/m/x.tgz#tgz:/d"), inner.clone().shared(), MountOptions::default());
    assert_eq!(kind(inside), ErrorKind::InvalidInput);

    let file = vfs.open(&path("/m/f"), &OpenOptions::reading()).await.unwrap();
    vfs.unmount(&path("/m")).unwrap();
    assert_eq!(file.read_at(0, 9).await.unwrap(), "outer");
    assert_eq!(kind(stat(&*vfs, "/m/f").await), ErrorKind::NotFound);
    assert_eq!(names(&*vfs, "/m").await, ["below"]);
    assert_eq!(read(&*vfs, "/m/below/g").await.unwrap(), "inner");
    for gone in ["/m", "/x", "/m/below#tgz:"] {
        assert_eq!(kind(vfs.unmount(&path(gone))), ErrorKind::NotFound);
    }
    mount(&vfs, "/m", &outer);
    assert_eq!(read(&*vfs, "/m/f").await.unwrap(), "outer");
    let mounts: Vec<_> = vfs.mounts().into_iter().map(|mount| (mount.at, mount.id)).collect();
    assert_eq!(mounts, [(path("/m"), MountId(3)), (path("/m/below"), MountId(2))]);
}

#[tokio::test]
async fn a_change_is_seen_whole_or_not_at_all() {
    let (old, new) = (Fake::with(&[("/f", "old")]), Fake::with(&[("/f", "new")]));
    let vfs = namespace(&[("/m", &old), ("/taken", &old)]);
    let before = vfs.mounts();
    let changed = vfs.change(|changes| {
        changes.unmount(&path("/m"))?;
        changes.mount(&path("/m"), new.clone().shared(), MountOptions::default())?;
        assert_eq!(vfs.mounts(), before, "not before it is whole");
        Ok(())
    });
    changed.unwrap();
    assert_eq!(read(&*vfs, "/m/f").await.unwrap(), "new");

    let before = vfs.mounts();
    let refused = vfs.change(|changes| {
        changes.unmount(&path("/m"))?;
        changes.mount(&path("/taken"), new.clone().shared(), MountOptions::default())
    });
    assert_eq!((kind(refused), vfs.mounts()), (ErrorKind::AlreadyExists, before));
}

#[tokio::test]
async fn removing_a_folder_with_everything_in_it_stops_at_mounts() {
    let (root, other) = (Fake::with(&[("/d/f", ""), ("/e/g", "")]), Fake::with(&[("/kept", "")]));
    let vfs = namespace(&[("/", &root), ("/d/sub/m", &other)]);
    assert_eq!(kind(remove_dir_all(&*vfs, &path("/d")).await), ErrorKind::Busy);
    assert!(root.content("/d/f").is_some(), "nothing was removed");
    assert!(other.content("/kept").is_some());
    remove_dir_all(&*vfs, &path("/e")).await.unwrap();
    assert!(root.content("/e/g").is_none());
}

#[tokio::test]
async fn a_subtree_shows_a_folder_as_its_root() {
    let fake = Fake::with(&[("/users/ann/f", "text"), ("/secret", "")]);
    let vfs = namespace(&[("/m", &fake)]);
    let view = vfs.subtree(&path("/m/users/ann"));
    assert_eq!(names(&*view, "/").await, ["f"]);
    assert_eq!(read(&*view, "/f").await.unwrap(), "text");
    assert_eq!(kind(stat(&*view, "/../../secret").await), ErrorKind::NotFound);
    view.rename(&path("/f"), &path("/g"), &RenameOptions::default()).await.unwrap();
    assert!(fake.content("/users/ann/g").is_some());

    let file = view.open(&path("/g"), &OpenOptions::reading()).await.unwrap();
    fake.fail(Some(ErrorKind::Corrupt));
    let mut bytes = producer::of(Arc::clone(&file), ByteRange::whole()).peeked();
    for error in [
        stat(&*view, "/g").await.unwrap_err(),
        file.read_at(0, 1).await.unwrap_err(),
        bytes.more().await.unwrap().unwrap_err(),
    ] {
        assert_eq!(error.path(), &path("/g"), "nothing above the view is named");
    }
}

#[tokio::test(start_paused = true)]
async fn a_remote_mount_remembers_descriptions_for_a_moment() {
    let fake = Fake::with(&[("/f", "")]);
    let vfs = Vfs::new(Registry::empty());
    let options = MountOptions { remote: true, ..MountOptions::default() };
    vfs.mount(&path("/m"), fake.clone().shared(), options).unwrap();
    for _ in 0..3 {
        stat(&*vfs, "/m/f").await.unwrap();
    }
    assert_eq!(fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mounting_and_unmounting_never_shows_a_third_state() {
    const READERS: usize = 50;
    const ROUNDS: usize = 200;

    let (below, over) = (Fake::with(&[("/m/f", "below")]), Fake::with(&[("/f", "over")]));
    let vfs = namespace(&[("/", &below)]);
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let vfs = Arc::clone(&vfs);
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    let content = read(&*vfs, "/m/f").await.unwrap();
                    assert!(content == "below" || content == "over", "{content:?}");
                    assert_eq!(names(&*vfs, "/m").await, ["f"]);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for _ in 0..ROUNDS {
        mount(&vfs, "/m", &over);
        tokio::task::yield_now().await;
        vfs.unmount(&path("/m")).unwrap();
        tokio::task::yield_now().await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[test]
fn a_source_is_shown_without_its_password() {
    for (url, shown) in [
        ("ftp://ann:se@cret@host:21/a", "ftp://ann@host:21/a"),
        ("ftp://ann@host/", "ftp://ann@host/"),
        ("https://host/a:b@c", "https://host/a:b@c"),
        ("memory:", "memory:"),
    ] {
        assert_eq!(without_password(url), shown);
    }
}

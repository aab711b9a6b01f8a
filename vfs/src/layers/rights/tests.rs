//! Rights over a small tree.

use bytes::Bytes;

use super::*;
use crate::fake::{Fake, path};
use crate::file_system::Writes;

const WRITE_ONLY: Access = Access { write: true, ..Access::NONE };
const READ_ONLY: Access = Access { read: true, ..Access::NONE };

fn guarded(fake: &Fake, rules: &[(&str, Access)]) -> RightsFs {
    let rules = Rules::new(rules.iter().map(|(cover, access)| (path(cover), *access))).unwrap();
    RightsFs::new(fake.clone().shared(), rules)
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

const DENIED: Option<ErrorKind> = Some(ErrorKind::PermissionDenied);

async fn read(tree: &RightsFs, at: &str) -> Result<Bytes> {
    tree.open(&path(at), &OpenOptions::reading()).await?.read_at(0, 99).await
}

async fn stat(tree: &RightsFs, at: &str) -> Result<Metadata> {
    tree.metadata(&path(at), &StatOptions::default()).await
}

async fn names(tree: &RightsFs, at: &str) -> Result<Vec<Bytes>> {
    let entries = tree.read_dir(&path(at), &ListOptions::default()).await?.collect(99).await?;
    Ok(entries.into_iter().map(|entry| entry.name).collect())
}

async fn write(tree: &RightsFs, at: &str) -> Result<()> {
    tree.open(&path(at), &OpenOptions::writing()).await?.write_at(0, Bytes::from("new")).await
}

#[tokio::test]
async fn what_is_forbidden_gives_no_names_away() {
    let fake = Fake::with(&[("/pub/f", "text"), ("/secret/f", ""), ("/drop/f", "dropped")]);
    let tree = guarded(&fake, &[("/", Access::READ), ("/secret", Access::NONE), ("/drop", WRITE_ONLY)]);
    assert_eq!(names(&tree, "/").await.unwrap(), ["pub"]);
    assert_eq!(read(&tree, "/pub/f").await.unwrap(), "text");
    let asked = fake.calls();
    for at in ["/secret", "/secret/f", "/secret/none", "/secret/none/deeper", "/drop/f", "/drop/none"] {
        assert_eq!(
            stat(&tree, at).await.unwrap_err().to_string(),
            format!("metadata {at}: permission denied")
        );
        assert_eq!(kind(read(&tree, at).await), DENIED, "{at}");
        assert_eq!(kind(names(&tree, at).await), DENIED, "{at}");
        assert_eq!(kind(tree.read_link(&path(at)).await), DENIED, "{at}");
    }
    assert_eq!(fake.calls(), asked, "the tree is not even asked");
}

#[tokio::test]
async fn reading_without_listing_needs_the_names() {
    let fake = Fake::with(&[("/d/f", "text")]);
    let tree = guarded(&fake, &[("/", Access::READ), ("/d", READ_ONLY)]);
    assert_eq!(kind(names(&tree, "/d").await), DENIED);
    assert_eq!(read(&tree, "/d/f").await.unwrap(), "text");
    assert_eq!(kind(stat(&tree, "/d/none").await), Some(ErrorKind::NotFound));
    let listed = guarded(&fake, &[("/", Access { list: true, ..Access::NONE })]);
    assert_eq!(names(&listed, "/d").await.unwrap(), ["f"]);
    assert_eq!(kind(read(&listed, "/d/f").await), DENIED);
}

#[tokio::test]
async fn changes_need_writing_on_the_path_and_on_its_folder() {
    let fake = Fake::with(&[("/f", "text"), ("/w/f", ""), ("/w/ro/g", "kept"), ("/w/d/x", "")]);
    let tree = guarded(&fake, &[("/", Access::READ), ("/w", Access::ALL), ("/w/ro", Access::READ)]);
    let rename = async |from, to| kind(tree.rename(&path(from), &path(to), &RenameOptions::default()).await);
    let link = async |from, to| kind(tree.hard_link(&path(from), &path(to)).await);

    for at in ["/f", "/new", "/w/ro/g", "/w/ro/new", "/w/ro", "/w"] {
        assert_eq!(kind(tree.create_dir(&path(at)).await), DENIED, "{at}");
        assert_eq!(kind(tree.remove_file(&path(at)).await), DENIED, "{at}");
        assert_eq!(kind(tree.remove_dir(&path(at)).await), DENIED, "{at}");
        assert_eq!(kind(write(&tree, at).await), DENIED, "{at}");
        assert_eq!(rename("/w/f", at).await, DENIED, "{at}");
        assert_eq!(rename(at, "/w/new").await, DENIED, "{at}");
        assert_eq!(link(at, "/w/new").await, DENIED, "{at}");
        assert_eq!(link("/w/f", at).await, DENIED, "{at}");
    }
    for at in ["/f", "/w/ro/g"] {
        assert_eq!(kind(tree.set_attributes(&path(at), &SetAttributes::default(), true).await), DENIED);
        assert_eq!(tree.capabilities(&path(at)).writes, Writes::None);
        let file = tree.open(&path(at), &OpenOptions::reading()).await.unwrap();
        assert_eq!(kind(file.set_attributes(&SetAttributes::default()).await), DENIED);
        assert_eq!(kind(file.write_at(0, Bytes::from("x")).await), DENIED);
    }
    assert_eq!(fake.content("/w/ro/g").unwrap(), "kept");

    assert_eq!(kind(write(&tree, "/w/f").await), None);
    assert_eq!(rename("/w/f", "/w/d/f").await, None);
    assert_eq!(link("/w/d/f", "/w/f2").await, None);
    assert_eq!(kind(tree.remove_file(&path("/w/f2")).await), None);
    assert_eq!(fake.content("/w/d/f").unwrap(), "new");
    assert_eq!(tree.capabilities(&path("/w")).writes, Writes::Anywhere);
}

#[tokio::test]
async fn a_rename_smuggles_nothing_out_of_its_rule() {
    let fake = Fake::with(&[("/d/s/key", "secret"), ("/drop/f", "dropped"), ("/e/f", "")]);
    let tree = guarded(
        &fake,
        &[("/", Access::ALL), ("/d/s", Access::NONE), ("/drop", WRITE_ONLY), ("/n/x", Access::NONE)],
    );
    let rename = async |from, to| kind(tree.rename(&path(from), &path(to), &RenameOptions::default()).await);
    assert_eq!(rename("/d", "/x").await, DENIED, "its rule would stay behind");
    assert_eq!(rename("/e", "/n").await, DENIED, "a rule waits there");
    assert_eq!(rename("/drop/f", "/e/g").await, DENIED, "it could be read there");
    assert_eq!(kind(tree.hard_link(&path("/drop/f"), &path("/e/g")).await), DENIED);
    assert_eq!(rename("/e/f", "/drop/g").await, None, "rights may be given up");
    assert!(fake.content("/d/s/key").is_some() && fake.content("/drop/g").is_some());
}

#[tokio::test]
async fn links_lead_around_no_rule() {
    let fake = Fake::with(&[("/pub/f", "text"), ("/s/key", "secret"), ("/s/open/g", "good"), ("/w/f", "")]);
    for (at, target) in [
        ("/pub/key", "../s/key"),
        ("/pub/folder", "../s"),
        ("/pub/twice", "folder/key"),
        ("/pub/abs", "/s/key"),
        ("/pub/fine", "f"),
        ("/pub/up", "../pub/f"),
        ("/pub/through", "../s/open"),
        ("/pub/circle", "circle"),
        ("/pub/above", "../../s/key"),
        ("/pub/all", ".."),
        ("/w/out", "../pub/f"),
        ("/w/new", "../pub/new"),
        ("/w/pub", "../pub"),
    ] {
        fake.link(at, target);
    }
    let tree = guarded(
        &fake,
        &[("/", Access::READ), ("/s", Access::NONE), ("/s/open", Access::READ), ("/w", Access::ALL)],
    );
    for at in [
        "/pub/key",
        "/pub/folder",
        "/pub/folder/key",
        "/pub/folder/none",
        "/pub/twice",
        "/pub/abs",
        "/pub/above",
        "/pub/all/s/key",
    ] {
        for result in [
            stat(&tree, at).await.map(drop),
            read(&tree, at).await.map(drop),
            names(&tree, at).await.map(drop),
        ] {
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.path()), (ErrorKind::PermissionDenied, &path(at)));
        }
    }
    for (at, content) in [
        ("/pub/fine", "text"),
        ("/pub/up", "text"),
        ("/pub/through/g", "good"),
        ("/pub/folder/open/g", "good"),
    ] {
        assert_eq!(read(&tree, at).await.unwrap(), content, "{at}");
    }
    assert_eq!(kind(stat(&tree, "/pub/circle").await), Some(ErrorKind::Loop));
    assert!(tree.metadata(&path("/pub/key"), &StatOptions::no_follow()).await.unwrap().is_symlink());
    let listed = names(&tree, "/pub/all").await.unwrap();
    assert!(listed.contains(&Bytes::from("pub")) && !listed.contains(&Bytes::from("s")), "{listed:?}");

    for at in ["/w/out", "/w/new", "/w/pub/f", "/w/pub/new"] {
        assert_eq!(kind(write(&tree, at).await), DENIED, "{at}");
    }
    assert_eq!(kind(tree.remove_file(&path("/w/pub/f")).await), DENIED);
    assert_eq!(kind(tree.create_dir(&path("/w/pub/d")).await), DENIED);
    assert_eq!(kind(tree.set_attributes(&path("/w/out"), &SetAttributes::default(), true).await), DENIED);
    assert_eq!(kind(tree.hard_link(&path("/w/pub/f"), &path("/w/g")).await), DENIED);
    assert_eq!(kind(tree.symlink(&LinkTarget::from("../s"), &path("/w/l")).await), DENIED);
    assert_eq!(fake.content("/pub/f").unwrap(), "text");
    // The link itself lies where it may be removed.
    assert_eq!(kind(tree.remove_file(&path("/w/out")).await), None);
}

#[tokio::test]
async fn what_is_granted_everywhere_costs_no_call() {
    let fake = Fake::with(&[("/d/f", "text")]);
    fake.link("/l", "d/f");
    for rules in [
        &[("/", Access::READ)][..],
        &[("/", Access::READ), ("/d", Access::ALL), ("/x.tgz#tgz:", Access::READ)],
    ] {
        let tree = guarded(&fake, rules);
        let before = fake.calls();
        stat(&tree, "/d/f").await.unwrap();
        tree.open(&path("/l"), &OpenOptions::reading()).await.unwrap();
        tree.read_dir(&path("/d"), &ListOptions::default()).await.unwrap();
        assert_eq!(fake.calls() - before, 3);
    }
    let tree = RightsFs::new(fake.clone().shared(), Rules::unrestricted());
    let before = fake.calls();
    tree.rename(&path("/d/f"), &path("/d/g"), &RenameOptions::default()).await.unwrap();
    tree.symlink(&LinkTarget::from("d/g"), &path("/l2")).await.unwrap();
    assert_eq!(fake.calls() - before, 2);
}

#[tokio::test]
async fn errors_are_on_the_path_that_was_asked_for() {
    let fake = Fake::with(&[("/real/f", ""), ("/s/key", "")]);
    fake.link("/l", "real");
    let tree = guarded(&fake, &[("/", Access::READ), ("/s", Access::NONE)]);
    let error = stat(&tree, "/l/none").await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::NotFound, &path("/l/none")));
    let error = stat(&tree, "/l/f/below").await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::NotADirectory, &path("/l/f/below")));
}

#[tokio::test]
async fn a_file_that_was_opened_for_reading_through_a_link_takes_no_changes_by_the_links_own_rule() {
    let fake = Fake::with(&[("/etc/conf", "text"), ("/in/own", "")]);
    fake.link("/in/l", "../etc/conf");
    let tree = guarded(&fake, &[("/", Access::READ), ("/in", Access::ALL)]);
    let mode = SetAttributes { mode: Some(0o777), ..SetAttributes::default() };
    let file = tree.open(&path("/in/l"), &OpenOptions::reading()).await.unwrap();
    assert_eq!(kind(file.set_attributes(&mode).await), DENIED);
    assert_eq!(kind(tree.set_attributes(&path("/in/l"), &mode, true).await), DENIED);
}

#[tokio::test]
async fn other_rules_hold_from_the_next_call_on() {
    let fake = Fake::with(&[("/d/f", "x"), ("/d/g", "y")]);
    let tree = guarded(&fake, &[("/", Access::READ)]);
    let file = tree.open(&path("/d/f"), &OpenOptions::reading()).await.unwrap();
    tree.replace(Rules::new([(path("/"), Access::READ), (path("/d"), Access::NONE)]).unwrap());
    assert_eq!(kind(read(&tree, "/d/f").await), DENIED);
    assert_eq!(kind(names(&tree, "/d").await), DENIED);
    // What is open goes on.
    assert_eq!(file.read_at(0, 9).await.unwrap(), "x");
    let failed: std::result::Result<(), _> = tree.replace_with(Rules::unrestricted(), || Err("no change"));
    assert_eq!(failed, Err("no change"));
    assert_eq!(kind(read(&tree, "/d/f").await), DENIED, "rules come with their change");
    tree.replace(Rules::unrestricted());
    assert_eq!(read(&tree, "/d/f").await.unwrap(), "x");
}

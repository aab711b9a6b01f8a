//! The cache over a small tree that counts its calls.

use bytes::Bytes;

use super::*;
use crate::fake::{Fake, path};

fn cached(files: &[(&str, &str)], options: MetaCacheOptions) -> (Fake, MetaCache) {
    let fake = Fake::with(files);
    (fake.clone(), MetaCache::new(fake.shared(), options))
}

async fn stat(tree: &MetaCache, text: &str, freshness: Freshness) -> Result<Metadata> {
    tree.metadata(&path(text), &StatOptions { freshness, ..StatOptions::default() }).await
}

async fn len(tree: &MetaCache, text: &str) -> Option<u64> {
    stat(tree, text, Freshness::Any).await.ok()?.len
}

#[tokio::test(start_paused = true)]
async fn fresh_answers_come_from_here_and_say_their_age() {
    let (fake, tree) = cached(&[("/f", "text")], MetaCacheOptions::default());
    let first = stat(&tree, "/f", Freshness::Any).await.unwrap();
    assert_eq!((first.provenance.cache, first.provenance.age), (CacheStatus::Miss, None));
    tokio::time::advance(Duration::from_secs(4)).await;
    let second = stat(&tree, "/f", Freshness::Any).await.unwrap();
    assert_eq!(second.provenance.cache, CacheStatus::Hit);
    assert_eq!(second.provenance.age, Some(Duration::from_secs(4)));
    assert_eq!(fake.calls(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    stat(&tree, "/f", Freshness::Any).await.unwrap();
    assert_eq!(fake.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_remembered_for_a_shorter_time_and_other_errors_are_not() {
    let (fake, tree) = cached(&[("/f", "")], MetaCacheOptions::default());
    for _ in 0..2 {
        let error = stat(&tree, "/none", Freshness::Any).await.unwrap_err();
        assert_eq!(error.to_string(), "metadata /none: no such file or folder");
    }
    assert_eq!(fake.calls(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    stat(&tree, "/none", Freshness::Any).await.unwrap_err();
    assert_eq!(fake.calls(), 2);
    for _ in 0..2 {
        stat(&tree, "/f/below", Freshness::Any).await.unwrap_err();
    }
    assert_eq!(fake.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn freshness_is_honoured() {
    let (fake, tree) = cached(&[("/f", "text"), ("/g", "")], MetaCacheOptions::default());
    let error = stat(&tree, "/f", Freshness::StoredOnly).await.unwrap_err();
    assert_eq!((error.kind(), fake.calls()), (ErrorKind::Unavailable, 0));
    stat(&tree, "/f", Freshness::Any).await.unwrap();
    fake.put("/f", "longer text");
    assert_eq!(len(&tree, "/f").await, Some(4));
    assert_eq!(stat(&tree, "/f", Freshness::Revalidate).await.unwrap().len, Some(11));
    assert_eq!(len(&tree, "/f").await, Some(11), "what was asked anew is kept");
    tokio::time::advance(Duration::from_secs(60)).await;
    let stale = stat(&tree, "/f", Freshness::StoredOnly).await.unwrap();
    assert_eq!((stale.len, stale.provenance.cache), (Some(11), CacheStatus::Stale));
    let options = OpenOptions { freshness: Freshness::StoredOnly, ..OpenOptions::reading() };
    assert_eq!(tree.open(&path("/g"), &options).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_listing_with_metadata_fills_it() {
    let (fake, tree) = cached(&[("/d/a", "1"), ("/d/b", "22"), ("/e/c", "")], MetaCacheOptions::default());
    fake.link("/d/l", "a");
    let list = async |folder: &str, options| {
        tree.read_dir(&path(folder), &options).await.unwrap().collect(9).await.unwrap()
    };
    list("/d", ListOptions::with_metadata()).await;
    list("/e", ListOptions::default()).await;
    let asked = fake.calls();
    assert_eq!((len(&tree, "/d/a").await, len(&tree, "/d/b").await), (Some(1), Some(2)));
    assert!(tree.metadata(&path("/d/l"), &StatOptions::no_follow()).await.unwrap().is_symlink());
    assert_eq!(fake.calls(), asked);
    assert_eq!(
        (len(&tree, "/d/l").await, fake.calls()),
        (Some(1), asked + 1),
        "a followed link is asked for"
    );
    assert_eq!((len(&tree, "/e/c").await, fake.calls()), (Some(0), asked + 2));
}

#[tokio::test]
async fn own_changes_are_seen_at_once() {
    let (_, tree) = cached(&[("/d/f", "text"), ("/x/y", "")], MetaCacheOptions::default());
    assert_eq!(len(&tree, "/d/f").await, Some(4));
    let file = tree.open(&path("/d/f"), &OpenOptions::writing()).await.unwrap();
    assert_eq!(len(&tree, "/d/f").await, Some(0), "opening cut it");
    file.write_at(0, Bytes::from("new")).await.unwrap();
    assert_eq!(len(&tree, "/d/f").await, Some(3));

    assert!(stat(&tree, "/e/f", Freshness::Any).await.is_err());
    tree.rename(&path("/d"), &path("/e"), &RenameOptions::default()).await.unwrap();
    assert_eq!((len(&tree, "/d/f").await, len(&tree, "/e/f").await), (None, Some(3)));
    assert!(stat(&tree, "/n", Freshness::Any).await.is_err());
    tree.create_dir(&path("/n")).await.unwrap();
    assert!(stat(&tree, "/n", Freshness::Any).await.unwrap().is_dir());
    tree.remove_file(&path("/e/f")).await.unwrap();
    assert_eq!(len(&tree, "/e/f").await, None);
}

#[tokio::test]
async fn an_answer_that_was_under_way_during_a_change_is_not_kept() {
    let (fake, tree) = cached(&[("/f", "text")], MetaCacheOptions::default());
    let tree = Arc::new(tree);
    fake.hang();
    let early = tokio::spawn({
        let tree = Arc::clone(&tree);
        async move { len(&tree, "/f").await }
    });
    while fake.calls() < 1 {
        tokio::task::yield_now().await;
    }
    drop(tree.kept.change(&path("/f")));
    fake.wake();
    assert_eq!(early.await.unwrap(), Some(4));
    assert_eq!(tree.kept.len(), 0);
}

#[tokio::test]
async fn it_keeps_no_more_than_it_may() {
    let options = MetaCacheOptions { entries: 8, ..MetaCacheOptions::default() };
    let (_, tree) = cached(&[("/f", "")], options);
    for count in 0..100 {
        stat(&tree, &format!("/none{count}"), Freshness::Any).await.unwrap_err();
        assert!(tree.kept.len() <= 8);
    }
    let last = stat(&tree, "/none99", Freshness::StoredOnly).await.unwrap_err();
    assert_eq!(last.kind(), ErrorKind::NotFound, "the newest is kept");
}

//! What is kept: how long it counts, what survives, what goes.

use std::fs;

use super::*;
use crate::metadata::CacheStatus;

const LEN: usize = 3 * BLOCK_BYTES as usize + 77;

#[tokio::test(start_paused = true)]
async fn what_is_fresh_costs_no_request_and_says_its_age() {
    let scene = scene().await;
    scene.origin.say(fresh_for(100));
    let bytes = content(LEN, 1);
    scene.origin.put("/f", &bytes);
    let first = scene.open("/f").await.unwrap().metadata().await.unwrap();
    assert_eq!(first.provenance.cache, CacheStatus::Miss);
    scene.read("/f").await.unwrap();
    scene.origin.take_counts();
    tokio::time::advance(Duration::from_secs(90)).await;
    let second = scene.open("/f").await.unwrap().metadata().await.unwrap();
    assert_eq!(second.provenance.cache, CacheStatus::Hit);
    assert_eq!(second.provenance.age.unwrap().as_secs(), 90);
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(scene.origin.take_counts(), Counts::default());
}

#[tokio::test(start_paused = true)]
async fn what_still_holds_is_asked_for_once_and_not_fetched_again() {
    let scene = scene().await;
    scene.origin.say(fresh_for(10));
    let bytes = content(LEN, 2);
    scene.origin.put("/f", &bytes);
    scene.read("/f").await.unwrap();
    scene.origin.take_counts();
    tokio::time::advance(Duration::from_secs(100)).await;
    let again = scene.open("/f").await.unwrap().metadata().await.unwrap();
    assert_eq!(again.provenance.cache, CacheStatus::Revalidated);
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(scene.origin.take_counts(), Counts { opens: 1, bytes: 0, listings: 0 });
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_is_served_where_the_source_is_down() {
    let scene = scene().await;
    scene.origin.say(fresh_for(10));
    let bytes = content(LEN, 3);
    scene.origin.put("/f", &bytes);
    scene.read("/f").await.unwrap();
    scene.origin.go_down();
    tokio::time::advance(Duration::from_secs(6 * 24 * 60 * 60)).await;
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    let stale = scene.open("/f").await.unwrap().metadata().await.unwrap();
    assert_eq!(stale.provenance.cache, CacheStatus::Stale);
    tokio::time::advance(Duration::from_secs(2 * 24 * 60 * 60)).await;
    assert_eq!(scene.read("/f").await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_asked_for_once_a_minute() {
    let scene = scene().await;
    for _ in 0..3 {
        assert_eq!(scene.read("/none").await.unwrap_err().kind(), ErrorKind::NotFound);
        let error = scene.mirror.metadata(&path("/none"), &StatOptions::default()).await.unwrap_err();
        assert_eq!(error.to_string(), "metadata /none: no such file or folder");
    }
    assert_eq!(scene.origin.take_counts().opens, 1);
    tokio::time::advance(Duration::from_secs(61)).await;
    // A source that is down has not said that it is there by now.
    scene.origin.go_down();
    assert_eq!(scene.read("/none").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(scene.read("/other").await.unwrap_err().kind(), ErrorKind::Unavailable);
    scene.origin.come_up();
    let bytes = content(5, 0);
    scene.origin.put("/none", &bytes);
    assert_eq!(scene.read("/none").await.unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_removed_is_gone_here_too() {
    let scene = scene().await;
    scene.origin.say(fresh_for(10));
    scene.origin.put("/f", &content(LEN, 4));
    scene.read("/f").await.unwrap();
    scene.origin.remove("/f");
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(scene.read("/f").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_kept_is_passed_through() {
    let scene = scene().await;
    scene.origin.say(crate::metadata::Caching { storable: false, fresh_for: None, must_revalidate: false });
    let bytes = content(LEN, 5);
    scene.origin.put("/f", &bytes);
    for _ in 0..2 {
        assert_eq!(scene.read("/f").await.unwrap(), bytes);
    }
    assert_eq!(scene.origin.take_counts().bytes, 2 * LEN as u64);
    assert!(data_files(scene.folder.path()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn files_folders_and_listings_survive_a_restart_without_their_source() {
    let scene = scene().await;
    let bytes = content(LEN, 6);
    scene.origin.put("/sub/f", &bytes);
    scene.origin.put("/sub/g", &bytes);
    scene.read("/sub/f").await.unwrap();
    assert_eq!(scene.names("/sub").await.unwrap(), ["f", "g"]);
    let folder = scene.mirror.metadata(&path("/sub"), &StatOptions::default()).await.unwrap();
    assert!(folder.is_dir());
    scene.origin.go_down();
    let scene = scene.restarted(MirrorOptions::default()).await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(scene.read("/sub/f").await.unwrap(), bytes);
    assert_eq!(scene.names("/sub").await.unwrap(), ["f", "g"]);
    let folder = scene.mirror.metadata(&path("/sub"), &StatOptions::default()).await.unwrap();
    assert!(folder.is_dir());
    assert_eq!(scene.read("/sub/g").await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_listing_is_asked_for_again_when_its_time_is_over_and_nobody_waits_for_it() {
    let scene = scene().await;
    let bytes = content(5, 0);
    scene.origin.put("/a", &bytes);
    for _ in 0..2 {
        assert_eq!(scene.names("/").await.unwrap(), ["a"]);
    }
    assert_eq!(scene.origin.take_counts().listings, 1);
    scene.origin.put("/b", &bytes);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(scene.names("/").await.unwrap(), ["a"], "the old one is served while the new one comes");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.names("/").await.unwrap(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn offline_the_source_is_never_asked() {
    let scene = scene().await;
    let bytes = content(LEN, 7);
    scene.origin.put("/f", &bytes);
    scene.origin.put("/g", &bytes);
    scene.read("/f").await.unwrap();
    let tolerances = Tolerances { offline: true, ..Tolerances::default() };
    let scene = scene.restarted(MirrorOptions { tolerances, ..MirrorOptions::default() }).await;
    scene.origin.take_counts();
    tokio::time::advance(Duration::from_secs(1000 * 24 * 60 * 60)).await;
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(scene.read("/g").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(scene.origin.take_counts(), Counts::default());
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_damaged_between_two_runs_is_fetched_anew() {
    let scene = scene().await;
    let bytes = content(LEN, 8);
    scene.origin.put("/f", &bytes);
    scene.read("/f").await.unwrap();
    let (origin, folder) = scene.restarted(MirrorOptions::default()).await.ended().await;
    // As if the machine had stopped and a page did not reach the disk, or the disk had forgotten it.
    let data = data_files(folder.path()).remove(0);
    let mut damaged = fs::read(&data).unwrap();
    damaged[BLOCK_BYTES as usize + 5] ^= 1;
    fs::write(&data, damaged).unwrap();
    let mirror = mirror_in(folder.path(), &origin, MirrorOptions::default(), StoreOptions::default()).await;
    let scene = Scene { origin, mirror, folder };
    scene.origin.take_counts();
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(scene.origin.take_counts().bytes, BLOCK_BYTES);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_cut_or_removed_is_fetched_anew() {
    for is_removed in [false, true] {
        let scene = scene().await;
        scene.origin.say(fresh_for(1000));
        let bytes = content(LEN, 9);
        scene.origin.put("/f", &bytes);
        scene.read("/f").await.unwrap();
        let data = data_files(scene.folder.path()).remove(0);
        let (origin, folder) = scene.ended().await;
        if is_removed {
            fs::remove_file(&data).unwrap();
        } else {
            fs::File::options().write(true).open(&data).unwrap().set_len(BLOCK_BYTES + 5).unwrap();
        }
        let mirror =
            mirror_in(folder.path(), &origin, MirrorOptions::default(), StoreOptions::default()).await;
        let scene = Scene { origin, mirror, folder };
        assert_eq!(scene.read("/f").await.unwrap(), bytes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_in_use_is_refused() {
    let scene = scene().await;
    let error = Store::open(scene.folder.path(), StoreOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("another process uses the cache folder"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_damaged_or_anothers_is_not_believed() {
    let scene = scene().await;
    let (bytes, other) = (content(LEN, 9), content(LEN, 10));
    scene.origin.put("/f", &bytes);
    scene.origin.put("/g", &other);
    scene.read("/f").await.unwrap();
    scene.read("/g").await.unwrap();
    let record = |at| {
        let name = scene.mirror.0.key(&path(at), Part::Entry).to_string();
        scene.folder.path().join("v1/o").join(&name[..2]).join(name + ".meta")
    };
    let (of_f, of_g) = (record("/f"), record("/g"));
    let (origin, folder) = scene.ended().await;
    // The one is cut, the other is the first one's.
    let whole = fs::read(&of_f).unwrap();
    fs::write(&of_g, &whole).unwrap();
    fs::write(&of_f, &whole[..whole.len() / 2]).unwrap();
    let mirror = mirror_in(folder.path(), &origin, MirrorOptions::default(), StoreOptions::default()).await;
    let scene = Scene { origin, mirror, folder };
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(scene.read("/g").await.unwrap(), other);
}

#[tokio::test(start_paused = true)]
async fn what_was_used_longest_ago_goes_when_there_is_too_much() {
    let options = StoreOptions { bytes: 3 << 20, keep_free: 0, download: None };
    let scene = with_options(MirrorOptions::default(), options).await;
    scene.origin.say(fresh_for(1_000_000));
    let bytes = content(LEN, 11);
    for name in ["/a", "/b", "/c", "/d", "/e"] {
        scene.origin.put(name, &bytes);
        scene.read(name).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert!(scene.mirror.0.store.usage().bytes <= options.bytes, "{:?}", scene.mirror.0.store.usage());
    assert_eq!(data_files(scene.folder.path()).len(), 3);
    let scene = scene.restarted(MirrorOptions::default()).await;
    scene.origin.take_counts();
    for name in ["/e", "/a"] {
        assert_eq!(scene.read(name).await.unwrap(), bytes);
    }
    assert_eq!(scene.origin.take_counts().bytes, LEN as u64, "/a had gone, /e had not");
}

#[tokio::test(start_paused = true)]
async fn what_is_purged_is_fetched_anew() {
    let scene = scene().await;
    scene.origin.say(fresh_for(1000));
    let (old, new) = (content(LEN, 12), content(LEN, 13));
    scene.origin.put("/f", &old);
    scene.read("/f").await.unwrap();
    scene.origin.put("/f", &new);
    assert_eq!(scene.read("/f").await.unwrap(), old);
    scene.mirror.purge(&path("/f")).await.unwrap();
    assert_eq!(scene.read("/f").await.unwrap(), new);
}

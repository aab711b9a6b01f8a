//! What an operator does with what is kept, and where the bounds are.

use std::num::NonZeroU64;

use super::*;

const LEN: usize = 3 * BLOCK_BYTES as usize + 77;

#[tokio::test(start_paused = true)]
async fn purging_a_folder_forgets_all_below_and_who_reads_goes_on() {
    let scene = scene().await;
    scene.origin.say(fresh_for(1000));
    let bytes = content(LEN, 1);
    for at in ["/d/a", "/d/e/b", "/dd"] {
        scene.origin.put(at, &bytes);
        scene.read(at).await.unwrap();
    }
    scene.names("/d").await.unwrap();
    let status = scene.mirror.status(&path("/d")).await.unwrap();
    assert_eq!((status.whole_files, status.listings, status.bytes), (2, 1, 2 * LEN as u64));
    let reading = scene.open("/d/a").await.unwrap();
    assert_eq!(scene.mirror.purge(&path("/d")).await.unwrap(), 3);
    assert_eq!(pull(reading, ByteRange::whole()).await.unwrap(), bytes);
    assert_eq!(scene.mirror.status(&path("/d")).await.unwrap(), Status::default());
    scene.origin.take_counts();
    scene.read("/dd").await.unwrap();
    assert_eq!(scene.origin.take_counts().opens, 0);
    scene.read("/d/a").await.unwrap();
    assert_eq!(scene.origin.take_counts().bytes, LEN as u64);
}

#[tokio::test(start_paused = true)]
async fn what_is_purged_while_it_comes_does_not_come_back() {
    let scene = scene().await;
    scene.origin.say(fresh_for(1000));
    let bytes = content(LEN, 2);
    scene.origin.put("/f", &bytes);
    scene.origin.hold_back_from(BLOCK_BYTES);
    let reading = scene.open("/f").await.unwrap();
    let reader = tokio::spawn(pull(Arc::clone(&reading), ByteRange::whole()));
    reading.read_at(0, 10).await.unwrap();
    assert_eq!(scene.mirror.purge(&path("/f")).await.unwrap(), 1);
    scene.origin.hold_back_from(u64::MAX);
    assert_eq!(reader.await.unwrap().unwrap(), bytes);
    assert_eq!(scene.mirror.status(&path("/")).await.unwrap(), Status::default());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_asks_whatever_the_age() {
    let scene = scene().await;
    scene.origin.say(fresh_for(1000));
    let (old, new) = (content(LEN, 3), content(LEN, 4));
    scene.origin.put("/f", &old);
    scene.read("/f").await.unwrap();
    scene.names("/").await.unwrap();
    scene.origin.put("/f", &new);
    scene.origin.put("/g", &new);
    assert_eq!(scene.read("/f").await.unwrap(), old);
    assert_eq!(scene.mirror.refresh(&path("/")).await.unwrap(), 2);
    assert_eq!(scene.read("/f").await.unwrap(), new);
    assert_eq!(scene.names("/").await.unwrap(), ["f", "g"]);
    scene.origin.go_down();
    assert_eq!(scene.mirror.refresh(&path("/f")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(scene.read("/f").await.unwrap(), new);
}

#[tokio::test(start_paused = true)]
async fn what_is_pinned_stays_also_after_a_restart() {
    let options = StoreOptions { bytes: 3 << 20, keep_free: 0, download: None };
    let scene = with_options(MirrorOptions::default(), options).await;
    scene.origin.say(fresh_for(1_000_000));
    let bytes = content(LEN, 5);
    let keep = async |scene: &Scene, names: &[&str]| {
        for name in names {
            scene.origin.put(name, &bytes);
            scene.read(name).await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    };
    keep(&scene, &["/p/a"]).await;
    scene.mirror.pin(&path("/p"), true).await.unwrap();
    assert!(scene.mirror.status(&path("/p/a")).await.unwrap().is_pinned);
    keep(&scene, &["/b", "/c", "/d", "/e"]).await;
    let (origin, folder) = scene.ended().await;
    let mirror = mirror_in(folder.path(), &origin, MirrorOptions::default(), options).await;
    let scene = Scene { origin, mirror, folder };
    assert_eq!(scene.mirror.pins(), [path("/p")]);
    let kept = data_files(scene.folder.path()).len() as u64;
    while scene.mirror.usage().entries < kept {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    keep(&scene, &["/f", "/g", "/h"]).await;
    scene.origin.take_counts();
    assert_eq!(scene.read("/p/a").await.unwrap(), bytes);
    assert_eq!(scene.origin.take_counts(), Counts::default());
    scene.mirror.pin(&path("/p"), false).await.unwrap();
    keep(&scene, &["/i", "/j", "/k", "/l"]).await;
    assert_eq!(scene.mirror.status(&path("/p")).await.unwrap(), Status::default());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_passed_through() {
    let options = StoreOptions { bytes: 1 << 20, keep_free: 0, download: None };
    let scene = with_options(MirrorOptions::default(), options).await;
    let (small, large) = (content(1000, 6), content(2 << 20, 7));
    scene.origin.put("/small", &small);
    scene.origin.put("/large", &large);
    scene.read("/small").await.unwrap();
    for _ in 0..2 {
        assert_eq!(scene.read("/large").await.unwrap(), large);
    }
    let status = scene.mirror.status(&path("/")).await.unwrap();
    assert_eq!((status.whole_files, status.bytes), (1, 1000));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_others_have_filled_is_left_to_them() {
    // Nobody has so much free.
    let options = StoreOptions { bytes: 1 << 40, keep_free: 1 << 60, download: None };
    let scene = with_options(MirrorOptions::default(), options).await;
    let bytes = content(LEN, 8);
    for at in ["/a", "/b", "/c", "/d"] {
        scene.origin.put(at, &bytes);
        for _ in 0..2 {
            assert_eq!(scene.read(at).await.unwrap(), bytes);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    assert!(scene.mirror.usage().bytes < LEN as u64, "{:?}", scene.mirror.usage());
}

#[tokio::test(start_paused = true)]
async fn what_is_fetched_is_as_fast_as_is_allowed() {
    for is_of_all in [false, true] {
        let rate = NonZeroU64::new(100 * 1024);
        let (own, all) = if is_of_all { (None, rate) } else { (rate, None) };
        let options = MirrorOptions { download: own, ..MirrorOptions::default() };
        let scene = with_options(options, StoreOptions { download: all, ..StoreOptions::default() }).await;
        scene.origin.say(fresh_for(1000));
        let bytes = content(1 << 20, 9);
        scene.origin.put("/f", &bytes);
        let begun = tokio::time::Instant::now();
        assert_eq!(scene.read("/f").await.unwrap(), bytes);
        let took = begun.elapsed().as_secs_f64();
        assert!((7.0..12.0).contains(&took), "{took} s");
        let begun = tokio::time::Instant::now();
        scene.read("/f").await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_fetched_ahead_once() {
    let scene = scene().await;
    scene.origin.say(fresh_for(1000));
    scene.origin.put("/d/f", &content(LEN, 10));
    for _ in 0..2 {
        assert_eq!(scene.mirror.warm(&path("/d/f")).await.unwrap(), LEN as u64);
    }
    assert_eq!(scene.origin.take_counts().bytes, LEN as u64);
    assert_eq!(scene.mirror.warm(&path("/d")).await.unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(scene.mirror.warm(&path("/none")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn what_is_there_in_part_and_changed_since_is_learned_before_the_first_byte() {
    let scene = scene().await;
    scene.origin.say(fresh_for(1000));
    let (old, new) = (content(LEN, 11), content(LEN, 12));
    scene.origin.put("/f", &old);
    let part = scene.open_for("/f", Intent::Range).await.unwrap();
    part.read_at(0, 10).await.unwrap();
    drop(part);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let scene = scene.restarted(MirrorOptions::default()).await;
    scene.origin.put("/f", &new);
    assert_eq!(scene.read("/f").await.unwrap(), new);
    // And where the source cannot be had, that is the answer, not the beginning of the file.
    scene.mirror.purge(&path("/f")).await.unwrap();
    let part = scene.open_for("/f", Intent::Range).await.unwrap();
    part.read_at(0, 10).await.unwrap();
    drop(part);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let scene = scene.restarted(MirrorOptions::default()).await;
    scene.origin.go_down();
    assert_eq!(scene.open("/f").await.unwrap_err().kind(), ErrorKind::Unavailable);
    let part = scene.open_for("/f", Intent::Range).await.unwrap();
    assert_eq!(part.read_at(0, 10).await.unwrap(), new[..10]);
}

#[tokio::test(start_paused = true)]
async fn offline_what_is_there_in_part_is_no_reason_to_dial() {
    let scene = scene().await;
    scene.origin.say(fresh_for(1000));
    let bytes = content(LEN, 13);
    scene.origin.put("/f", &bytes);
    let part = scene.open_for("/f", Intent::Range).await.unwrap();
    part.read_at(0, 10).await.unwrap();
    drop(part);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let tolerances = Tolerances { offline: true, ..Tolerances::default() };
    let scene = scene.restarted(MirrorOptions { tolerances, ..MirrorOptions::default() }).await;
    scene.origin.take_counts();
    assert_eq!(scene.open("/f").await.unwrap_err().kind(), ErrorKind::Unavailable);
    let part = scene.open_for("/f", Intent::Range).await.unwrap();
    assert_eq!(part.read_at(0, 10).await.unwrap(), bytes[..10]);
    part.read_at(BLOCK_BYTES, 10).await.unwrap_err();
    assert_eq!(scene.origin.take_counts(), Counts::default());
}

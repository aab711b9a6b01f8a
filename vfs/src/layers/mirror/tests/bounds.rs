//! How much is kept, and what goes.

use std::fs;

use super::*;

const LEN: usize = 3 * BLOCK_BYTES as usize + 77;

fn small() -> StoreOptions {
    StoreOptions { bytes: 3 << 20, keep_free: 0, download: None }
}

/// Bytes that this process holds open below `folder` under no name any more.
fn held_without_a_name(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path());
    let nameless = open.filter(|path| {
        let place = fs::read_link(path).unwrap_or_default().to_string_lossy().into_owned();
        place.starts_with(folder.to_str().unwrap()) && place.ends_with("(deleted)")
    });
    nameless.map(|path| fs::metadata(path).map_or(0, |found| found.blocks() * 512)).sum()
}

#[tokio::test(start_paused = true)]
async fn what_is_let_go_of_is_closed_too() {
    let scene = with_options(MirrorOptions::default(), small()).await;
    scene.origin.say(fresh_for(1_000_000));
    let bytes = content(LEN, 1);
    for nth in 0..20 {
        let name = format!("/{nth}");
        scene.origin.put(&name, &bytes);
        scene.read(&name).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(scene.mirror.usage().bytes <= small().bytes, "{:?}", scene.mirror.usage());
    assert_eq!(held_without_a_name(scene.folder.path()), 0);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_reads_stays_and_counts() {
    let scene = with_options(MirrorOptions::default(), small()).await;
    scene.origin.say(fresh_for(1_000_000));
    let bytes = content(LEN, 2);
    scene.origin.put("/read", &bytes);
    let reading = scene.open("/read").await.unwrap();
    reading.read_at(0, 10).await.unwrap();
    for nth in 0..8 {
        let name = format!("/{nth}");
        scene.origin.put(&name, &bytes);
        scene.read(&name).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(held_without_a_name(scene.folder.path()), 0);
    assert_eq!(scene.mirror.status(&path("/read")).await.unwrap().partial_files, 1);
    assert_eq!(pull(reading, ByteRange::whole()).await.unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn what_is_used_all_the_time_stays() {
    let scene = with_options(MirrorOptions::default(), small()).await;
    scene.origin.say(fresh_for(1_000_000));
    let bytes = content(LEN, 3);
    for name in ["/first", "/a", "/b", "/c", "/d", "/e", "/f"] {
        scene.origin.put(name, &bytes);
        scene.read(name).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.read("/first").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(scene.mirror.status(&path("/first")).await.unwrap().whole_files, 1);
    assert_eq!(scene.mirror.status(&path("/a")).await.unwrap().whole_files, 0);
}

/// The next run knows too what was used, although nothing was fetched.
#[tokio::test(start_paused = true)]
async fn what_is_used_is_noted_on_the_disk() {
    let scene = scene().await;
    scene.origin.say(fresh_for(1_000_000));
    scene.origin.put("/f", &content(LEN, 4));
    scene.read("/f").await.unwrap();
    let name = scene.mirror.0.key(&path("/f"), Part::Entry).to_string();
    let record = scene.folder.path().join("v1/o").join(&name[..2]).join(name + ".meta");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    fs::File::options().write(true).open(&record).unwrap().set_modified(long_ago).unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    scene.read("/f").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(fs::metadata(&record).unwrap().modified().unwrap() > long_ago);
}

#[tokio::test(start_paused = true)]
async fn names_that_are_missing_are_bounded_too() {
    let options = StoreOptions { bytes: 1 << 20, ..small() };
    let scene = with_options(MirrorOptions::default(), options).await;
    for nth in 0..1000 {
        scene.read(&format!("/{nth}")).await.unwrap_err();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(scene.mirror.usage().bytes <= options.bytes, "{:?}", scene.mirror.usage());
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_cannot_be_kept_is_passed_through() {
    // Nobody has so much free.
    let full = StoreOptions { bytes: 1 << 40, keep_free: 1 << 60, download: None };
    for is_broken in [false, true] {
        let options = if is_broken { small() } else { full };
        let scene = with_options(MirrorOptions::default(), options).await;
        scene.origin.put("/d/a", &content(5, 0));
        if is_broken {
            let kept = scene.folder.path().join("v1/o");
            _ = fs::remove_dir_all(&kept);
            fs::write(&kept, "in the way").unwrap();
        }
        for _ in 0..3 {
            assert_eq!(scene.names("/d").await.unwrap(), ["a"], "{is_broken}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

//! Cache folders that are none, damaged, of another version, of another machine, or gone.

use std::fs;
use std::path::Path;

use super::*;

const LEN: usize = 3 * BLOCK_BYTES as usize + 77;

/// A folder in which `/f` is kept, with nobody using it.
async fn filled() -> (Origin, TempDir, Bytes) {
    let scene = scene().await;
    scene.origin.say(fresh_for(1_000_000));
    let bytes = content(LEN, 1);
    scene.origin.put("/f", &bytes);
    scene.read("/f").await.unwrap();
    let (origin, folder) = scene.ended().await;
    (origin, folder, bytes)
}

async fn opened(origin: Origin, folder: TempDir) -> Scene {
    let mirror = mirror_in(folder.path(), &origin, MirrorOptions::default(), StoreOptions::default()).await;
    origin.take_counts();
    Scene { origin, mirror, folder }
}

impl Scene {
    /// The source and a copy of the folder.
    async fn copied(&self) -> (Origin, TempDir) {
        let there = tempfile::tempdir().unwrap();
        copy(self.folder.path(), there.path());
        (self.origin.clone(), there)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_is_a_file_is_refused_with_its_path() {
    let place = tempfile::NamedTempFile::new().unwrap();
    let error = Store::open(place.path(), StoreOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains(place.path().to_str().unwrap()), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_from_another_machine_is_believed_where_its_sums_fit() {
    let (origin, folder, bytes) = filled().await;
    let there = tempfile::tempdir().unwrap();
    copy(folder.path(), there.path());
    let scene = opened(origin, there).await;
    scene.origin.go_down();
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
}

fn flip_a_bit(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[BLOCK_BYTES as usize + 5] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// A copy may have a lock that is older than its records: nothing in a folder says that it can be believed.
#[tokio::test(start_paused = true)]
async fn no_lock_makes_what_is_damaged_believed() {
    let place = tempfile::tempdir().unwrap();
    let first = opened(Origin::new(), place).await;
    let (origin, folder) = first.ended().await;
    let older = fs::read(folder.path().join("v1/lock")).unwrap();
    let scene = opened(origin, folder).await;
    scene.origin.say(fresh_for(1_000_000));
    let bytes = content(LEN, 1);
    scene.origin.put("/f", &bytes);
    scene.read("/f").await.unwrap();
    // Its run has noted all by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for lock in [&older[..], b"", b"\xff\xfe", b"vfsd mirror 1\nrun -7\n"] {
        let (origin, folder) = scene.copied().await;
        fs::write(folder.path().join("v1/lock"), lock).unwrap();
        flip_a_bit(&data_files(folder.path())[0]);
        let copy = opened(origin, folder).await;
        assert_eq!(copy.read("/f").await.unwrap(), bytes);
        assert_eq!(copy.origin.take_counts().bytes, BLOCK_BYTES);
    }
}

/// A link in a copied folder leads to somebody else's file, which stays as it is.
#[tokio::test(start_paused = true)]
async fn a_link_in_the_folder_is_removed_and_not_followed() {
    for place in ["data", "meta", "ab", "o", "tmp", "lock", "pins"] {
        let (origin, folder, bytes) = filled().await;
        let data = data_files(folder.path()).remove(0);
        let (ab, v1) = (data.parent().unwrap(), folder.path().join("v1"));
        let name = data.file_name().unwrap().to_str().unwrap();
        let linked = match place {
            "data" => data.clone(),
            "meta" => ab.join(format!("{}.meta", &name[..32])),
            "ab" => ab.to_owned(),
            name => v1.join(name),
        };
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("target");
        if linked.is_dir() {
            copy(&linked, &target);
            fs::remove_dir_all(&linked).unwrap();
        } else {
            fs::write(&target, "mine").unwrap();
            _ = fs::remove_file(&linked);
        }
        let before = survey(elsewhere.path());
        std::os::unix::fs::symlink(&target, &linked).unwrap();
        let scene = opened(origin, folder).await;
        assert_eq!(scene.read("/f").await.unwrap(), bytes, "{place}");
        scene.mirror.pin(&path("/f"), true).await.unwrap();
        assert_eq!(survey(elsewhere.path()), before, "{place}");
        assert!(!linked.is_symlink(), "{place}");
        assert_eq!(scene.read("/f").await.unwrap(), bytes, "{place}");
    }
}

/// Every file below a folder, with its content and the time of its last change.
fn survey(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(survey(&entry.path()));
        } else {
            let changed = entry.metadata().unwrap().modified().unwrap();
            found.push((entry.path(), fs::read(entry.path()).unwrap(), changed));
        }
    }
    found.sort();
    found
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_while_it_is_served_is_fetched_anew() {
    for is_weak in [false, true] {
        let scene = scene().await;
        scene.origin.say(fresh_for(1_000_000));
        if is_weak {
            scene.origin.weaken_validators();
        }
        let bytes = content(LEN, 5);
        scene.origin.put("/f", &bytes);
        for cut in [BLOCK_BYTES + 5, 0] {
            assert_eq!(scene.read("/f").await.unwrap(), bytes);
            let data = data_files(scene.folder.path()).remove(0);
            fs::File::options().write(true).open(&data).unwrap().set_len(cut).unwrap();
            let file = scene.open_for("/f", Intent::Range).await.unwrap();
            let range = ByteRange::at(2 * BLOCK_BYTES, 10);
            assert_eq!(pull(file, range).await.unwrap(), bytes[range.start as usize..][..10]);
            assert_eq!(scene.read("/f").await.unwrap(), bytes, "cut at {cut}");
        }
    }
}

/// A hole in what comes would pass for whole blocks.
#[tokio::test(start_paused = true)]
async fn what_is_cut_while_it_comes_is_an_error() {
    let scene = scene().await;
    scene.origin.say(fresh_for(1_000_000));
    let bytes = content(LEN, 8);
    scene.origin.put("/f", &bytes);
    scene.origin.hold_back_from(BLOCK_BYTES + BLOCK_BYTES / 2);
    let file = scene.open("/f").await.unwrap();
    let reader = tokio::spawn(pull(Arc::clone(&file), ByteRange::whole()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let data = data_files(scene.folder.path()).remove(0);
    fs::File::options().write(true).open(&data).unwrap().set_len(5).unwrap();
    scene.origin.hold_back_from(u64::MAX);
    assert_eq!(reader.await.unwrap().unwrap_err().kind(), ErrorKind::Changed);
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
}

/// What the disk does not have is no word of the site's, and a folder that is gone is made again.
#[tokio::test(start_paused = true)]
async fn what_somebody_deletes_of_a_running_cache_is_made_again() {
    for gone in ["v1/tmp", "v1/o", "v1", ""] {
        let scene = scene().await;
        scene.origin.say(fresh_for(100));
        let bytes = content(LEN, 6);
        scene.origin.put("/f", &bytes);
        scene.origin.put("/g", &bytes);
        scene.read("/f").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        fs::remove_dir_all(scene.folder.path().join(gone)).unwrap();
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert_eq!(scene.read("/f").await.unwrap(), bytes, "{gone}");
        assert_eq!(scene.read("/g").await.unwrap(), bytes, "{gone}");
        let scene = scene.restarted(MirrorOptions::default()).await;
        scene.origin.take_counts();
        assert_eq!(scene.read("/g").await.unwrap(), bytes, "{gone}");
        assert_eq!(scene.origin.take_counts().bytes, 0, "{gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_another_version_are_fetched_anew() {
    let (origin, folder, bytes) = filled().await;
    for entry in fs::read_dir(folder.path().join("v1/o")).unwrap() {
        for file in fs::read_dir(entry.unwrap().path()).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|kind| kind == "meta") {
                let mut record = fs::read(&file).unwrap();
                record.truncate(record.len() - 4);
                record[..8].copy_from_slice(b"vfsdmir9");
                let sum = crc32fast::hash(&record).to_le_bytes();
                fs::write(&file, [record, sum.to_vec()].concat()).unwrap();
            }
        }
    }
    let scene = opened(origin, folder).await;
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(scene.origin.take_counts().bytes, LEN as u64);
}

#[tokio::test(start_paused = true)]
async fn data_of_another_file_is_never_served_under_a_name() {
    let (origin, folder, bytes) = filled().await;
    let scene = opened(origin, folder).await;
    let other = content(LEN, 2);
    scene.origin.put("/g", &other);
    scene.read("/g").await.unwrap();
    let data = data_files(scene.folder.path());
    let (origin, folder) = scene.ended().await;
    let part = folder.path().join("part");
    fs::rename(&data[0], &part).unwrap();
    fs::rename(&data[1], &data[0]).unwrap();
    fs::rename(&part, &data[1]).unwrap();
    let scene = opened(origin, folder).await;
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(scene.read("/g").await.unwrap(), other);
}

/// On a disk that is mounted so, or one of somebody else's.
#[test]
fn a_folder_that_cannot_be_written_is_served_and_the_rest_passed_through() {
    const NOBODY: u32 = 65_534;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (origin, folder, bytes) = runtime().block_on(filled());
    forbid_writing(folder.path());
    let reading = async {
        let scene = opened(origin, folder).await;
        let other = content(LEN, 7);
        scene.origin.put("/d/g", &other);
        for _ in 0..2 {
            assert_eq!(scene.read("/d/g").await.unwrap(), other);
            assert_eq!(scene.names("/d").await.unwrap(), ["g"]);
            assert_eq!(scene.read("/none").await.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(scene.origin.take_counts().bytes, 2 * LEN as u64);
        scene.origin.go_down();
        assert_eq!(scene.read("/f").await.unwrap(), bytes);
        scene.mirror.pin(&path("/f"), true).await.unwrap_err();
        scene.folder
    };
    // The kernel keeps users a thread: what this one gives up, the others keep.
    std::thread::scope(|threads| {
        let reader = threads.spawn(move || {
            if rustix::process::geteuid().is_root() {
                rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(NOBODY)).unwrap();
            }
            runtime().block_on(reading)
        });
        drop(reader.join().unwrap());
    });
}

fn forbid_writing(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            forbid_writing(&entry);
        } else {
            fs::set_permissions(&entry, fs::Permissions::from_mode(0o444)).unwrap();
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_written_any_more_it_is_passed_through() {
    let (origin, folder, bytes) = filled().await;
    let scene = opened(origin, folder).await;
    scene.read("/f").await.unwrap();
    let kept = scene.folder.path().join("v1/o");
    fs::remove_dir_all(&kept).unwrap();
    fs::write(&kept, "in the way").unwrap();
    let other = content(LEN, 3);
    scene.origin.put("/g", &other);
    for _ in 0..2 {
        assert_eq!(scene.read("/g").await.unwrap(), other);
        // What is open stays so.
        assert_eq!(scene.read("/f").await.unwrap(), bytes);
        assert_eq!(scene.names("/").await.unwrap(), ["f", "g"]);
        assert_eq!(scene.read("/none").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(scene.names("/none").await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    // What is asked about again still holds, though that cannot be noted.
    tokio::time::advance(Duration::from_secs(10_000_000)).await;
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
}

/// The records can be written, the bytes cannot: the disk is full.
#[tokio::test(start_paused = true)]
async fn what_has_no_room_is_passed_through() {
    let full = StoreOptions { bytes: 0, ..StoreOptions::default() };
    let scene = with_options(MirrorOptions::default(), full).await;
    let bytes = content(LEN, 4);
    scene.origin.put("/sub/f", &bytes);
    for _ in 0..2 {
        assert_eq!(scene.names("/sub").await.unwrap(), ["f"]);
        assert_eq!(scene.read("/sub/f").await.unwrap(), bytes);
        let range = scene.open_for("/sub/f", Intent::Range).await.unwrap();
        assert_eq!(range.read_at(BLOCK_BYTES, 10).await.unwrap(), bytes[BLOCK_BYTES as usize..][..10]);
        tokio::time::advance(Duration::from_secs(100)).await;
    }
    assert!(data_files(scene.folder.path()).is_empty());
}

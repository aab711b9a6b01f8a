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

#[tokio::test(start_paused = true)]
async fn a_state_that_is_nonsense_costs_nothing_but_looking() {
    for nonsense in [&b""[..], b"\xff\xfe", b"vfsd mirror 1\nrun -7\n", b"vfsd mirror 9\nrun 1\n"] {
        let (origin, folder, bytes) = filled().await;
        fs::write(folder.path().join("v1/lock"), nonsense).unwrap();
        let scene = opened(origin, folder).await;
        assert_eq!(scene.read("/f").await.unwrap(), bytes);
        assert_eq!(scene.origin.take_counts().bytes, 0);
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

//! Several mirrors of one store: a version has one writer, and an answer that must not be kept one reader.

use super::*;
use crate::options::Freshness;

const LEN: usize = 5 * BLOCK_BYTES as usize + 1234;

/// Another mirror of the same source over the same store, as a second mount or a changed one has it.
fn again(scene: &Scene, options: MirrorOptions) -> Mirror {
    Mirror::new(Arc::new(scene.origin.clone()), "test:", Arc::clone(&scene.mirror.0.store), options)
}

#[tokio::test(start_paused = true)]
async fn two_mirrors_of_one_source_fetch_once() {
    let scene = scene().await;
    scene.origin.weaken_validators();
    scene.origin.say(fresh_for(100));
    let bytes = content(LEN, 1);
    scene.origin.put("/f", &bytes);
    scene.origin.hold_back_from(2 * BLOCK_BYTES + 7);
    let other = again(&scene, MirrorOptions::default());
    let first = scene.open("/f").await.unwrap();
    first.read_at(0, 10).await.unwrap();
    let second = other.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
    assert_eq!(second.read_at(BLOCK_BYTES, 10).await.unwrap(), bytes[BLOCK_BYTES as usize..][..10]);
    scene.origin.hold_back_from(u64::MAX);
    for file in [first, second] {
        assert_eq!(pull(file, ByteRange::whole()).await.unwrap(), bytes);
    }
    assert_eq!(scene.origin.take_counts(), Counts { opens: 1, bytes: LEN as u64, listings: 0 });
}

/// A mount is changed while a version without a name is being fetched: the next fetch writes elsewhere.
#[tokio::test(start_paused = true)]
async fn no_two_fetches_write_one_file() {
    let scene = scene().await;
    scene.origin.weaken_validators();
    scene.origin.say(fresh_for(100));
    let (old, new) = (content(LEN, 2), content(LEN, 3));
    scene.origin.put("/f", &old);
    scene.origin.hold_back_from(2 * BLOCK_BYTES + 7);
    let file = scene.open("/f").await.unwrap();
    let reader = tokio::spawn(pull(Arc::clone(&file), ByteRange::whole()));
    file.read_at(BLOCK_BYTES, 10).await.unwrap();
    // What was fetched is noted on the disk, as it is now and then.
    let object = scene.mirror.0.live_object(scene.mirror.0.key(&path("/f"), Part::Entry)).unwrap();
    object.save().await.unwrap();
    scene.origin.put("/f", &new);
    let rules = Rules::new([("**", Rule::Volatile(Duration::ZERO))], Preset::Generic).unwrap();
    let changed = again(&scene, MirrorOptions { rules, ..MirrorOptions::default() });
    let options = OpenOptions { freshness: Freshness::Revalidate, ..OpenOptions::reading() };
    tokio::time::advance(Duration::from_secs(3)).await;
    let second = changed.open(&path("/f"), &options).await.unwrap();
    let second = tokio::spawn(pull(second, ByteRange::whole()));
    scene.origin.hold_back_from(u64::MAX);
    assert_eq!(second.await.unwrap().unwrap(), new);
    assert_eq!(reader.await.unwrap().unwrap(), old);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_kept_is_asked_for_by_each_himself() {
    const CROWD: u32 = 12;
    let scene = scene().await;
    scene.origin.say(crate::metadata::Caching { storable: false, fresh_for: None, must_revalidate: false });
    let bytes = content(LEN, 4);
    scene.origin.put("/f", &bytes);
    let mut readers = Vec::new();
    for _ in 0..CROWD {
        let mirror = scene.mirror.clone();
        readers.push(tokio::spawn(async move {
            let file = mirror.open(&path("/f"), &OpenOptions::reading()).await?;
            pull(file, ByteRange::whole()).await
        }));
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap(), bytes);
    }
    assert_eq!(scene.origin.take_counts().opens, CROWD, "no answer was read by two");
}

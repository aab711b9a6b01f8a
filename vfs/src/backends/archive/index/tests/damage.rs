//! Indexes, and archives, that are not what they were.

use flate2::Compression;

use super::*;
use crate::backends::archive::tests::gzip_at;

#[tokio::test]
async fn a_damaged_or_foreign_index_is_ignored_and_made_anew() {
    let files = sample(8);
    let (cache, source) = (Cache::new(), Source::new(gzip(&tar(&files))));
    drop(cache.index(Scheme::Tgz, &source).await);
    let good = fs::read(cache.file("index")).unwrap();
    let len = good.len();
    let damage = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    };
    let mut cases =
        vec![Vec::new(), good[..len / 2].to_vec(), good[..len - 1].to_vec(), b"something else".repeat(99)];
    // The magic, the version, each of the footer's parts, and each section by way of its place.
    cases.extend([0, 9, len - 1, len - 10, len - 14].map(damage));
    for section in 0..5 {
        let place = len - 116 + section * 20;
        let at = u64::from_le_bytes(good[place..place + 8].try_into().unwrap()) as usize;
        assert!(at < len - 116);
        cases.extend([damage(place), damage(place + 8), damage(place + 16), damage(at)]);
    }
    for (number, bad) in cases.into_iter().enumerate() {
        fs::write(cache.file("index"), &bad).unwrap();
        source.take_read();
        let tree = cache.index(Scheme::Tgz, &source).await;
        let whole = source.content.lock().unwrap().len() as u64;
        assert!(source.take_read() >= whole, "case {number} was believed");
        drop(tree);
        assert!(fs::read(cache.file("index")).unwrap() == good, "case {number} was not replaced");
    }
}

#[tokio::test]
async fn a_damaged_state_of_a_point_is_an_error_and_the_index_is_made_anew() {
    let files = sample(60);
    let (cache, source) = (Cache::new(), Source::new(gzip(&tar(&files))));
    drop(cache.index(Scheme::Tgz, &source).await);
    let mut bytes = fs::read(cache.file("index")).unwrap();
    bytes[12..400].fill(7);
    fs::write(cache.file("index"), &bytes).unwrap();
    let tree = cache.index(Scheme::Tgz, &source).await;
    let mut errors = 0;
    // From the end, so that no decoder that rests saves a point.
    for (name, wanted) in files.iter().rev() {
        let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
        match read(&*file, 0, 1000).await {
            Ok(found) => assert!(found == wanted[..1000]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                errors += 1;
            }
        }
    }
    assert!(errors > 0);
    let anew = async {
        while !cache.files("index").first().is_some_and(|path| fs::read(path).is_ok_and(|now| now != bytes)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), anew).await.unwrap();
    check(&*tree, &files, 11).await;
}

#[tokio::test]
async fn other_bytes_under_the_same_version_are_an_error_and_never_served() {
    let files = sample(60);
    let (cache, source) = (Cache::new(), Source::new(tar(&files)));
    source.change("1", |content| *content = stored_gzip(content));
    drop(cache.index(Scheme::Tgz, &source).await);
    let tree = cache.index(Scheme::Tgz, &source).await;
    // Stored blocks decode to whatever is in them.
    source.change("1", |content| {
        let (mut at, half) = (10, content.len() / 2);
        while at < half {
            at += 5 + usize::from(u16::from_le_bytes([content[at + 1], content[at + 2]]));
        }
        content[at + 1000..at + 3000].iter_mut().for_each(|byte| *byte ^= 0x20);
        let (sum, end) = (crc32fast::hash(&unstored(content)), content.len() - 8);
        content[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    });
    let mut errors = 0;
    for (name, wanted) in &files {
        let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
        match read(&*file, 0, wanted.len()).await {
            Ok(found) => assert!(found == *wanted, "{name}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                errors += 1;
                break;
            }
        }
    }
    assert!(errors > 0);
    gone(&cache).await;
    // The same tree is entered anew: what the file holds by now is served, and indexed.
    let plain = unstored(&source.content.lock().unwrap());
    let mut changed = 0;
    for (name, wanted) in &files {
        let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
        let found = read(&*file, 0, wanted.len()).await.unwrap();
        assert!(plain.windows(found.len()).any(|part| part == found), "{name}");
        changed += u32::from(found != *wanted);
    }
    assert!(changed > 0);
    let there = async {
        while cache.files("index").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), there).await.unwrap();
}

/// What a gzip file of stored blocks holds, whatever its sums say.
fn unstored(mut gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    gzip = &gzip[10..];
    loop {
        let len = usize::from(u16::from_le_bytes([gzip[1], gzip[2]]));
        plain.extend_from_slice(&gzip[5..5 + len]);
        if gzip[0] & 1 == 1 {
            return plain;
        }
        gzip = &gzip[5 + len..];
    }
}

fn stored_gzip(plain: &[u8]) -> Vec<u8> {
    gzip_at(Compression::none(), plain)
}

/// Returns when the index has been removed.
async fn gone(cache: &Cache) {
    let gone = async {
        while !cache.files("index").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
}

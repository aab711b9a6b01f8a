//! Passes that are killed, go on, and meet archives that grew.

use super::*;

#[tokio::test]
async fn a_pass_reads_each_byte_once() {
    let archive = gzip(&tar(&sample(60)));
    let (cache, source) = (Cache::new(), Source::new(archive.clone()));
    let service = cache.service();
    service.index(Scheme::Tgz, Arc::clone(&source) as _, &path("/archive"), |_| {}).await.unwrap();
    let sampled = 3 * (128 + 64) * 1024;
    let head = 2 * 100_000;
    assert!(source.take_read() <= archive.len() as u64 + sampled + head);
}

#[tokio::test]
async fn a_killed_pass_goes_on_where_it_was() {
    let files = sample(120);
    let archive = gzip(&tar(&files));
    let len = archive.len() as u64;
    let (cache, source) = (Cache::new(), Source::new(archive));
    source.gate.store(len / 2, Ordering::SeqCst);
    let service = cache.service();
    let tree = service.enter(Scheme::Tgz, Arc::clone(&source) as _, &path("/archive")).await.unwrap();
    source.reached.notified().await;
    // The process is gone: nothing it holds in memory comes back.
    drop((tree, service));
    let journal = fs::read(cache.file("journal")).unwrap();
    for cut in [0, 100] {
        // The last frame may have been cut, or more of it.
        let copy = Cache::new();
        let folder = copy.folder.path().join("indexes");
        fs::create_dir(&folder).unwrap();
        let name = cache.file("journal").file_name().unwrap().to_owned();
        fs::write(folder.join(name), &journal[..journal.len() - cut]).unwrap();
        let source = Source::new(Arc::unwrap_or_clone(Arc::clone(&source.content.lock().unwrap())));
        let tree = copy.index(Scheme::Tgz, &source).await;
        let read = source.take_read();
        // Besides: the samples, three times, and the beginning, twice.
        let allowed = len / 2 + len / 10 + 900_000 + len / 20;
        assert!(read <= allowed, "{read} of {len}, {allowed} allowed");
        check(&*tree, &files, 3).await;
        let again = copy.index(Scheme::Tgz, &source).await;
        check(&*again, &files, 4).await;
        assert_eq!((copy.files("index").len(), copy.files("journal").len()), (1, 0));
    }
}

#[tokio::test]
async fn a_grown_archive_is_extended_and_a_changed_one_is_read_anew() {
    let files = sample(120);
    let archive = gzip(&tar(&files));
    let cut = archive.len() * 3 / 4;
    let (cache, source) = (Cache::new(), Source::new(archive[..cut].to_vec()));
    let tree = cache.index(Scheme::Tgz, &source).await;
    assert_eq!(names(&*tree, "/").await.unwrap_err().kind(), ErrorKind::Truncated);
    drop(tree);
    source.change("2", |content| content.extend_from_slice(&archive[cut..]));
    source.take_read();
    let tree = cache.index(Scheme::Tgz, &source).await;
    assert!(source.take_read() < archive.len() as u64 / 2 + 1_000_000);
    assert_eq!(names(&*tree, "/").await.unwrap().len(), 7);
    check(&*tree, &files, 5).await;
    let other = sample(119);
    source.change("3", |content| *content = gzip(&tar(&other)));
    let tree = cache.index(Scheme::Tgz, &source).await;
    assert!(source.take_read() >= source.content.lock().unwrap().len() as u64);
    check(&*tree, &other, 6).await;
}

#[tokio::test]
async fn a_pass_through_what_was_appended_goes_on_where_it_was_killed() {
    let files = sample(160);
    let archive = gzip(&tar(&files));
    let (first, gate) = (archive.len() / 4, archive.len() * 3 / 4);
    let (cache, source) = (Cache::new(), Source::new(archive[..first].to_vec()));
    drop(cache.index(Scheme::Tgz, &source).await);
    source.change("2", |content| content.extend_from_slice(&archive[first..]));
    source.gate.store(gate as u64, Ordering::SeqCst);
    let service = cache.service();
    let tree = service.enter(Scheme::Tgz, Arc::clone(&source) as _, &path("/archive")).await.unwrap();
    source.reached.notified().await;
    drop((tree, service));
    // The process that held them is gone.
    let cache = {
        let copy = Cache::new();
        fs::create_dir(copy.folder.path().join("indexes")).unwrap();
        for file in [cache.file("index"), cache.file("journal")] {
            fs::copy(&file, copy.folder.path().join("indexes").join(file.file_name().unwrap())).unwrap();
        }
        copy
    };
    let source = Source::new(archive.clone());
    source.change("2", |_| ());
    let tree = cache.index(Scheme::Tgz, &source).await;
    // A quarter, what was found since the last frame, the samples and the beginning.
    let (read, allowed) = (source.take_read(), archive.len() as u64 * 2 / 5 + 900_000);
    assert!(read <= allowed, "{read} of {}, {allowed} allowed", archive.len());
    check(&*tree, &files, 8).await;
    let again = cache.index(Scheme::Tgz, &source).await;
    check(&*again, &files, 9).await;
    assert_eq!((cache.files("index").len(), cache.files("journal").len()), (1, 0));
}

#[tokio::test]
async fn a_plain_tar_that_was_appended_to_is_extended() {
    let files = sample(40);
    let (cache, source) = (Cache::new(), Source::new(tar(&files[..30])));
    drop(cache.index(Scheme::Tar, &source).await);
    source.change("2", |content| *content = tar(&files));
    let tree = cache.index(Scheme::Tar, &source).await;
    check(&*tree, &files, 7).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_for_a_while_is_asked_again() {
    let files = sample(30);
    let (cache, source) = (Cache::new(), Source::new(gzip(&tar(&files))));
    source.failing.store(3, Ordering::SeqCst);
    let service = cache.service();
    let tree = service.enter(Scheme::Tgz, Arc::clone(&source) as _, &path("/archive")).await.unwrap();
    service.index(Scheme::Tgz, Arc::clone(&source) as _, &path("/archive"), |_| {}).await.unwrap();
    assert_eq!(source.failing.load(Ordering::SeqCst), 0);
    check(&*tree, &files, 9).await;
}

#[tokio::test]
async fn many_readers_of_one_block_have_it_decoded_once() {
    let files = sample(60);
    let (cache, source) = (Cache::new(), Source::new(gzip(&tar(&files))));
    drop(cache.index(Scheme::Tgz, &source).await);
    let tree = cache.index(Scheme::Tgz, &source).await;
    let (name, wanted) = &files[40];
    let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
    source.take_read();
    let readers: Vec<_> = (0..64)
        .map(|_| {
            let file = Arc::clone(&file);
            tokio::spawn(async move { read(&*file, 0, 10).await.unwrap() })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), wanted[..10]);
    }
    assert!(source.take_read() < 1_500_000, "one block's way");
}

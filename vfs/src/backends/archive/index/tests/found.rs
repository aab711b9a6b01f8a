//! Indexes that are found again, and what they spare.

use super::*;

#[tokio::test]
async fn an_index_gives_the_same_bytes_names_and_descriptions_and_nothing_is_read_through() {
    let files = sample(60);
    for (scheme, archive) in [(Scheme::Tgz, gzip(&tar(&files))), (Scheme::Tar, tar(&files))] {
        let (cache, source) = (Cache::new(), Source::new(archive));
        let first = cache.index(scheme, &source).await;
        check(&*first, &files, 1).await;
        assert_eq!(
            (cache.files("index").len(), cache.files("journal").len(), cache.files("tmp").len()),
            (1, 0, 0)
        );
        source.take_read();
        let again = cache.index(scheme, &source).await;
        assert!(source.take_read() < 600_000, "{scheme}: the samples and the beginning");
        assert_eq!(names(&*again, "/").await.unwrap(), names(&*first, "/").await.unwrap());
        for folder in ["/folder-0", "/folder-6/sub"] {
            assert_eq!(names(&*again, folder).await.unwrap(), names(&*first, folder).await.unwrap());
        }
        for name in ["/folder-3", "/folder-3/sub/file-10", "/folder-3/sub"] {
            let options = crate::options::StatOptions::default();
            let wanted = first.metadata(&path(name), &options).await.unwrap();
            assert_eq!(again.metadata(&path(name), &options).await.unwrap(), wanted, "{name}");
        }
        assert_eq!(
            again.open(&path("/none"), &OpenOptions::reading()).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        check(&*again, &files, 2).await;
    }
}

#[tokio::test]
async fn every_format_that_is_read_through_is_found_again() {
    let files = sample(40);
    let plain = tar(&files);
    for (scheme, archive) in [
        (Scheme::Tbz2, bzip2(&plain)),
        (Scheme::Txz, by_parts(&plain, |part| liblzma::encode_all(part, 0).unwrap())),
        (Scheme::Tzst, by_parts(&plain, |part| zstd::bulk::compress(part, 1).unwrap())),
    ] {
        let (cache, source) = (Cache::new(), Source::new(archive));
        let first = cache.index(scheme, &source).await;
        check(&*first, &files, 1).await;
        let wanted = names(&*first, "/folder-0/sub").await.unwrap();
        drop(first);
        assert_eq!(cache.files("index").len(), 1, "{scheme}");
        source.take_read();
        let service = cache.service();
        let again = service.enter(scheme, Arc::clone(&source) as _, &path("/archive")).await.unwrap();
        assert_eq!(names(&*again, "/folder-0/sub").await.unwrap(), wanted, "{scheme}");
        assert!(source.take_read() < 700_000, "{scheme}: the samples and the beginning");
        check(&*again, &files, 2).await;
    }
}

#[tokio::test]
async fn a_bare_file_and_an_archive_in_an_archive_are_found_again() {
    let files = sample(40);
    let inner = gzip(&tar(&files));
    let (cache, bare) = (Cache::new(), Source::new(gzip(&inner)));
    drop(cache.index(Scheme::Gz, &bare).await);
    let again = cache.index(Scheme::Gz, &bare).await;
    let found = names(&*again, "/").await.unwrap();
    let member = again.open(&path(&format!("/{}", found[0])), &OpenOptions::reading()).await.unwrap();
    assert_eq!(member.metadata().await.unwrap().len, Some(inner.len() as u64));
    assert!(read(&*member, 1_000_000, 100_000).await.unwrap() == inner[1_000_000..1_100_000]);

    let outer = tar(&[("inner.tgz".to_owned(), inner)]);
    let (cache, source) = (Cache::new(), Source::new(gzip(&outer)));
    for round in 0..2 {
        let tree = cache.index(Scheme::Tgz, &source).await;
        let nested = tree.open(&path("/inner.tgz"), &OpenOptions::reading()).await.unwrap();
        let service = cache.service();
        let tree = service.enter(Scheme::Tgz, Arc::clone(&nested), &path("/inner")).await.unwrap();
        service.index(Scheme::Tgz, nested, &path("/inner"), |_| {}).await.unwrap();
        check(&*tree, &files, 3 + round).await;
        assert_eq!(cache.files("index").len(), 2, "one each level");
    }
}

#[tokio::test]
async fn what_is_read_through_in_no_time_leaves_nothing_behind() {
    let (cache, source) = (Cache::new(), Source::new(gzip(&tar(&sample(1)))));
    let place = IndexPlace::Folder(cache.folder.path().join("indexes"));
    let index = IndexOptions { place, worth: Duration::from_secs(3600), ..IndexOptions::default() };
    let service = ArchiveService::new(ArchiveOptions { index, ..ArchiveOptions::default() });
    service.index(Scheme::Tgz, source, &path("/archive"), |_| {}).await.unwrap();
    assert!(!cache.folder.path().join("indexes").exists());
}

#[tokio::test]
async fn a_listing_that_is_under_way_while_the_index_is_written_goes_on() {
    let files = sample(900);
    let (cache, source) = (Cache::new(), Source::new(tar(&files)));
    let service = cache.service();
    let tree = service.enter(Scheme::Tar, Arc::clone(&source) as _, &path("/archive")).await.unwrap();
    let folder = path("/folder-0/sub");
    let mut listing = tree.read_dir(&folder, &ListOptions::default()).await.unwrap();
    let mut found: Vec<_> = listing.next().await.unwrap().unwrap();
    service.index(Scheme::Tar, Arc::clone(&source) as _, &path("/archive"), |_| {}).await.unwrap();
    // Entered anew by now, with its names in another order.
    check(&*tree, &files, 10).await;
    while let Some(batch) = listing.next().await {
        found.extend(batch.unwrap());
    }
    let mut found: Vec<_> =
        found.into_iter().map(|entry| String::from_utf8(entry.name.to_vec()).unwrap()).collect();
    found.sort();
    assert_eq!(found, names(&*tree, "/folder-0/sub").await.unwrap());
    assert_eq!(found.len(), 900_usize.div_ceil(7));
}

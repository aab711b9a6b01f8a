//! More than anybody should be made to take: content, work, names, depth, disk space.

use super::*;

/// Bounds that a small bomb goes beyond.
fn early() -> ArchiveOptions {
    ArchiveOptions { ratio_from: 10 << 20, ..ArchiveOptions::default() }
}

#[tokio::test]
async fn zeros_are_no_bomb_as_long_as_they_are_few() {
    let files = [vec![0; 24 << 20], b"last".to_vec()];
    let tree = enter(Scheme::Tgz, gzip_at(Compression::best(), &tar(&files))).await;
    let (count, error) = names(&*tree).await;
    assert_eq!((count, error.map(|error| error.kind())), (2, None));
    assert_eq!(read(&*open(&*tree, 1).await.unwrap(), 0, 9).await.unwrap(), b"last");
}

#[tokio::test]
async fn a_bomb_of_any_packing_ends_in_an_error_and_keeps_what_came_before() {
    let plain = tar(&[b"first".to_vec(), vec![0; 24 << 20]]);
    for (scheme, packed) in [
        (Scheme::Tgz, gzip_at(Compression::best(), &plain)),
        (Scheme::Tbz2, bzip2(&plain)),
        (Scheme::Txz, xz(&plain)),
        (Scheme::Tzst, zstd(&plain)),
    ] {
        let tree = enter_with(early(), scheme, stored(packed)).await.unwrap();
        let (count, error) = names(&*tree).await;
        assert_eq!((count, error.map(|error| error.kind())), (2, Some(ErrorKind::LimitExceeded)), "{scheme}");
        let first = open(&*tree, 0).await.unwrap();
        assert_eq!(read(&*first, 0, 9).await.unwrap(), b"first", "{scheme}");
    }
}

#[tokio::test]
async fn a_pass_that_takes_too_much_work_ends_in_an_error() {
    let options = ArchiveOptions { work: Duration::ZERO, ..ArchiveOptions::default() };
    let plain = tar(&[b"first".to_vec(), content(1, 3 << 20), b"last".to_vec()]);
    let tree = enter_with(options, Scheme::Tgz, stored(gzip(&plain))).await.unwrap();
    let (count, error) = names(&*tree).await;
    assert_eq!((count, error.map(|error| error.kind())), (2, Some(ErrorKind::LimitExceeded)));
    assert_eq!(read(&*open(&*tree, 0).await.unwrap(), 0, 9).await.unwrap(), b"first");
}

#[tokio::test]
async fn of_too_many_names_the_first_are_served() {
    let files: Vec<_> = (0..10).map(|number: u8| vec![number]).collect();
    let members: Vec<_> = (0..10).map(|number: u8| Entry::stored(number.to_string(), &[number])).collect();
    for (scheme, bytes) in [
        (Scheme::Tar, tar(&files)),
        (Scheme::Tgz, gzip(&tar(&files))),
        (Scheme::Zip, Archive::of(members).build()),
    ] {
        let options = ArchiveOptions { names: 4, ..ArchiveOptions::default() };
        let tree = enter_with(options, scheme, stored(bytes)).await.unwrap();
        let (count, error) = names(&*tree).await;
        // The root counts.
        assert_eq!((count, error.map(|error| error.kind())), (3, Some(ErrorKind::LimitExceeded)), "{scheme}");
        assert_eq!(read(&*open(&*tree, 2).await.unwrap(), 0, 9).await.unwrap(), [2], "{scheme}");
    }
}

#[tokio::test]
async fn an_archive_in_an_archive_without_end_costs_what_the_path_asks_for() {
    let mut bytes = b"the end".to_vec();
    for _ in 0..20 {
        bytes = gzip(&bytes);
    }
    let service = Arc::new(ArchiveService::new(ArchiveOptions::default()));
    let registry = ArchiveService::SCHEMES.iter().fold(Registry::empty(), |registry, scheme| {
        registry.with_archive(*scheme, Arc::clone(&service) as _)
    });
    let space = crate::Vfs::new(registry);
    let tree = enter(Scheme::Gz, gzip(&bytes)).await;
    space.mount(&VPath::root(), tree, crate::MountOptions::default()).unwrap();
    let open = async |markers: usize| {
        let path = VPath::parse(format!("/archive{}/archive", "#gz:".repeat(markers))).unwrap();
        space.open(&path, &OpenOptions::reading()).await
    };
    let deepest = open(4).await.unwrap();
    assert_eq!(deepest.read_at(0, 2).await.unwrap()[..], [0x1f, 0x8b]);
    assert_eq!(kind(open(5).await), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_does_not_fit_on_the_disk_is_an_error_and_no_memory() {
    let files = [content(1, 300_000), content(2, 2_000_000), content(3, 300_000)];
    let packed = zstd(&tar(&files));
    let options = ArchiveOptions { spool_bytes: 1 << 20, ..ArchiveOptions::default() };
    let tree = enter_with(options, Scheme::Tzst, stored(packed)).await.unwrap();
    assert_eq!(names(&*tree).await.0, 3, "names are found without the disk");
    assert!(read(&*open(&*tree, 0).await.unwrap(), 0, 300_000).await.unwrap() == files[0]);
    assert_eq!(kind(read(&*open(&*tree, 2).await.unwrap(), 0, 9).await), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn a_bomb_in_a_bare_file_ends_in_an_error_for_whoever_reads_it() {
    let plain = vec![0; 24 << 20];
    for (scheme, packed) in [
        (Scheme::Gz, gzip_at(Compression::best(), &plain)),
        (Scheme::Bz2, bzip2(&plain)),
        (Scheme::Xz, xz(&plain)),
        // Many streams with their tables of contents: no pass is needed.
        (Scheme::Xz, plain.chunks(4 << 20).flat_map(xz).collect()),
        (Scheme::Zst, zstd(&plain)),
    ] {
        let tree = enter_with(early(), scheme, stored(packed)).await.unwrap();
        let path = VPath::parse("/archive").unwrap();
        let file = tree.open(&path, &OpenOptions::reading()).await.unwrap();
        assert_eq!(kind(read(&*file, 0, plain.len()).await), ErrorKind::LimitExceeded, "{scheme}");
        let late = read(&*file, 20 << 20, 10).await;
        assert_eq!(kind(late), ErrorKind::LimitExceeded, "{scheme}");
    }
}

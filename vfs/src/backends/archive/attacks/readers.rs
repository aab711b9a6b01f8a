//! Many readers, and slow ones: what one asks for costs the others nothing.

use super::*;

#[tokio::test]
async fn what_cannot_be_entered_in_the_middle_is_decoded_once_for_all_readers() {
    let files: Vec<_> = (0..6).map(|number| content(number, 400_000)).collect();
    let packed = zstd(&tar(&files));
    let len = packed.len() as u64;
    let counted = Arc::new(Counted { file: stored(packed), bytes: AtomicU64::new(0) });
    let file = Arc::clone(&counted) as Arc<dyn File>;
    let tree = enter_with(ArchiveOptions::default(), Scheme::Tzst, file).await.unwrap();
    for name in (0..6).rev() {
        let file = open(&*tree, name).await.unwrap();
        for offset in [399_000, 200_000, 0] {
            let found = read(&*file, offset, 70_000).await.unwrap();
            let end = 400_000.min(offset as usize + 70_000);
            assert!(found == files[name][offset as usize..end], "{name} from {offset}");
        }
    }
    // What a look at the beginning and a walk over the headers take, comes on top.
    let read = counted.bytes.load(Ordering::Relaxed);
    assert!(read < 2 * len, "{read} bytes were read of {len}");
}

#[tokio::test]
async fn many_who_want_what_lies_far_ahead_of_a_pass_let_it_come_there() {
    let plain = tar(&[content(1, 6 << 20)]);
    for (scheme, packed) in [(Scheme::Tgz, gzip(&plain)), (Scheme::Tbz2, bzip2(&plain))] {
        let len = packed.len() as u64;
        let counted = Arc::new(Counted { file: stored(packed), bytes: AtomicU64::new(0) });
        let file = Arc::clone(&counted) as Arc<dyn File>;
        let tree = enter_with(ArchiveOptions::default(), scheme, file).await.unwrap();
        let mut reading = tokio::task::JoinSet::new();
        for number in 0..12 {
            let file = open(&*tree, 0).await.unwrap();
            let from = (5 << 20) + number * 70_000;
            reading.spawn(async move { (from, file.read_at(from, 100).await) });
        }
        while let Some(read) = reading.join_next().await {
            let (from, bytes) = read.unwrap();
            let bytes = bytes.unwrap();
            let from = 512 + from as usize;
            assert!(bytes[..] == plain[from..from + bytes.len()] && !bytes.is_empty(), "{scheme} {from}");
        }
        // The pass, and of each what lies between two points, in reads of a megabyte; or each would read nearly all of it.
        let read = counted.bytes.load(Ordering::Relaxed);
        assert!(read < 8 * len, "{scheme}: {read} bytes were read of {len}");
    }
}

#[tokio::test]
async fn readers_that_stop_reading_hold_nobody_up() {
    let files: Vec<_> = (0..4).map(|number| content(number, 500_000)).collect();
    for (scheme, packed) in [(Scheme::Tgz, gzip(&tar(&files))), (Scheme::Txz, xz(&tar(&files)))] {
        let tree = enter(scheme, packed).await;
        let mut resting = Vec::new();
        for reader in 0..64 {
            let file = open(&*tree, reader % 4).await.unwrap();
            assert!(!file.read_at(0, 1000).await.unwrap().is_empty());
            resting.push(file);
        }
        for name in [3, 0] {
            assert!(
                read(&*open(&*tree, name).await.unwrap(), 0, 500_000).await.unwrap() == files[name],
                "{scheme}"
            );
        }
        assert_eq!(resting.len(), 64);
    }
}

#[tokio::test]
async fn a_large_deflated_member_is_read_backwards_without_starting_over() {
    let plain = content(5, 6 << 20);
    let archive = Archive::of([Entry::deflated("0", &plain)]).build();
    let counted = Arc::new(Counted { file: stored(archive), bytes: AtomicU64::new(0) });
    let file = Arc::clone(&counted) as Arc<dyn File>;
    let tree = enter_with(ArchiveOptions::default(), Scheme::Zip, file).await.unwrap();
    let range = async |offset: usize| {
        // Each range is an opening of its own, as over HTTP.
        let file = open(&*tree, 0).await.unwrap();
        let found = read(&*file, offset as u64, 1000).await.unwrap();
        assert!(found == plain[offset..offset + 1000], "{offset}");
        counted.bytes.swap(0, Ordering::Relaxed)
    };
    let first = range(6_000_000).await;
    for offset in [4_500_000, 3_000_000, 1_200_000] {
        let read = range(offset).await;
        assert!(read < first / 3, "{read} bytes for {offset}, after {first} for the first range");
    }
}

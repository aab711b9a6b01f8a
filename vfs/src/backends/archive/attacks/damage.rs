//! Archives whose bytes have changed: nothing that may be wrong ends well.

use super::*;
use crate::options::ByteRange;
use crate::producer::{self, Chunk, ProducerExt};

/// What `range` of `file` gives as a front end pulls it, and how it ends.
async fn pull(file: &Arc<dyn File>, range: ByteRange) -> (Vec<u8>, Option<ErrorKind>) {
    let mut producer = producer::of(Arc::clone(file), range).peeked();
    let mut bytes = Vec::new();
    while let Some(chunk) = producer.more().await {
        match chunk {
            Ok(Chunk::Bytes(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(Chunk::Span(_)) => unreachable!("it lies in no file"),
            Err(error) => return (bytes, Some(error.kind())),
        }
    }
    (bytes, None)
}

async fn whole(tree: &dyn FileSystem, name: usize) -> (Vec<u8>, Option<ErrorKind>) {
    pull(&open(tree, name).await.unwrap(), ByteRange::whole()).await
}

/// Every checksum that stands at the very end of a stream of one unit, made wrong.
fn with_bad_sums(plain: &[u8]) -> [(Scheme, Scheme, Vec<u8>); 4] {
    let mut gz = gzip(plain);
    let at = gz.len() - 8;
    gz[at] ^= 1;
    let mut bz2 = bzip2(plain);
    // Of the first block: behind the header and the magic.
    bz2[10] ^= 1;
    let mut xz = xz(plain);
    // The last byte of the check, which the index and the footer follow.
    let at = xz.len() - 12 - usize::from(xz[xz.len() - 8]) * 4 - 4 - 1;
    xz[at] ^= 1;
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(plain).unwrap();
    let mut zst = encoder.finish().unwrap();
    let at = zst.len() - 1;
    zst[at] ^= 1;
    [
        (Scheme::Tgz, Scheme::Gz, gz),
        (Scheme::Tbz2, Scheme::Bz2, bz2),
        (Scheme::Txz, Scheme::Xz, xz),
        (Scheme::Tzst, Scheme::Zst, zst),
    ]
}

#[tokio::test]
async fn a_member_behind_whose_bytes_a_checksum_fails_ends_in_an_error() {
    let files = [b"first".to_vec(), content(1, 300_000), content(2, 200_000)];
    for (scheme, _, packed) in with_bad_sums(&tar(&files)) {
        let tree = enter(scheme, packed).await;
        // Whoever comes before the pass is through waits for it at the end.
        for _ in 0..2 {
            for name in 0..3 {
                let (bytes, end) = whole(&*tree, name).await;
                assert_eq!(end, Some(ErrorKind::Corrupt), "{scheme} {name}");
                assert!(bytes == files[name][..files[name].len() - 1], "{scheme} {name}: {}", bytes.len());
            }
            let part = pull(&open(&*tree, 1).await.unwrap(), ByteRange::at(1000, 70_000)).await;
            assert_eq!((part.0.len(), part.1), (69_999, Some(ErrorKind::Corrupt)), "{scheme}");
            let read = read(&*open(&*tree, 1).await.unwrap(), 0, 300_000).await;
            assert_eq!(kind(read), ErrorKind::Corrupt, "{scheme}");
        }
        let (count, error) = names(&*tree).await;
        let error = error.unwrap();
        assert_eq!((count, error.kind()), (3, ErrorKind::Corrupt), "{scheme}");
        assert!(error.to_string().contains("checksum"), "{scheme}: {error}");
    }
}

#[tokio::test]
async fn a_bare_file_whose_checksum_fails_ends_in_an_error_and_is_not_called_good() {
    for len in [300_000, 1 << 20] {
        let plain = content(3, len);
        for (_, scheme, packed) in with_bad_sums(&plain) {
            let service = ArchiveService::new(ArchiveOptions::default());
            let (path, file) = (VPath::parse("/archive").unwrap(), stored(packed));
            let indexed = service.index(scheme, Arc::clone(&file), &path, |_| {}).await;
            assert_eq!(kind(indexed), ErrorKind::Corrupt, "{scheme}");
            let tree = service.enter(scheme, file, &path).await.unwrap();
            for _ in 0..2 {
                let file = tree.open(&path, &OpenOptions::reading()).await.unwrap();
                let (bytes, end) = pull(&file, ByteRange::whole()).await;
                assert_eq!(end, Some(ErrorKind::Corrupt), "{scheme} {len}");
                assert!(plain.starts_with(&bytes), "{scheme} {len}");
            }
        }
    }
}

#[tokio::test]
async fn a_block_that_a_table_of_contents_lists_ends_in_an_error_where_its_checksum_fails() {
    let plain = content(4, 4 << 20);
    let mut packed: Vec<u8> = plain.chunks(1 << 20).flat_map(xz).collect();
    let at = packed.len() - 12 - usize::from(packed[packed.len() - 8]) * 4 - 4 - 1;
    packed[at] ^= 1;
    let tree = enter(Scheme::Xz, packed).await;
    let path = VPath::parse("/archive").unwrap();
    let file = tree.open(&path, &OpenOptions::reading()).await.unwrap();
    assert_eq!(file.metadata().await.unwrap().len, Some(4 << 20), "there is such a table");
    for _ in 0..2 {
        let (bytes, end) = pull(&file, ByteRange::at(0, 4 << 20)).await;
        assert_eq!(end, Some(ErrorKind::Corrupt));
        assert!(plain.starts_with(&bytes) && bytes.len() >= 3 << 20);
    }
    let before = pull(&file, ByteRange::at(0, 3 << 20)).await;
    assert!(before == (plain[..3 << 20].to_vec(), None), "the blocks before it are good");
}

#[tokio::test]
async fn of_a_stream_that_breaks_in_the_middle_what_lies_far_before_is_good() {
    let files: Vec<_> = (0..5).map(|number| content(number, 600_000)).collect();
    let plain = tar(&files);
    for (scheme, mut packed) in [(Scheme::Tgz, gzip(&plain)), (Scheme::Txz, xz(&plain))] {
        let at = packed.len() * 7 / 10;
        packed[at..at + 64].fill(0xff);
        let tree = enter(scheme, packed).await;
        assert!(names(&*tree).await.1.is_some(), "{scheme}");
        assert!(whole(&*tree, 0).await == (files[0].clone(), None), "{scheme}");
        for (name, content) in files.iter().enumerate() {
            let Ok(file) = open(&*tree, name).await else { continue };
            let (bytes, end) = pull(&file, ByteRange::whole()).await;
            assert!(end.is_some() || bytes == *content, "{scheme} {name} is wrong and ends well");
        }
    }
}

#[tokio::test]
async fn what_an_index_knows_to_be_doubtful_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let index = IndexOptions {
        place: IndexPlace::Folder(folder.path().to_owned()),
        worth: Duration::ZERO,
        ..IndexOptions::default()
    };
    let files = [content(1, 300_000), content(2, 200_000)];
    let [(scheme, _, packed), ..] = with_bad_sums(&tar(&files));
    for _ in 0..2 {
        let options = ArchiveOptions { index: index.clone(), ..ArchiveOptions::default() };
        let service = ArchiveService::new(options);
        let (path, file) = (VPath::parse("/archive").unwrap(), stored(packed.clone()));
        assert_eq!(kind(service.index(scheme, Arc::clone(&file), &path, |_| {}).await), ErrorKind::Corrupt);
        let tree = service.enter(scheme, file, &path).await.unwrap();
        assert_eq!(whole(&*tree, 0).await.1, Some(ErrorKind::Corrupt));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn a_tar_that_is_cut_within_padding_is_not_whole() {
    let plain = tar(&[b"first".to_vec(), b"second".to_vec()]);
    let cut = &plain[..plain.len() - 1024 - 100];
    for (scheme, bytes) in [(Scheme::Tar, cut.to_vec()), (Scheme::Tgz, gzip(cut))] {
        let tree = enter(scheme, bytes).await;
        let (count, error) = names(&*tree).await;
        assert_eq!((count, error.map(|error| error.kind())), (2, Some(ErrorKind::Truncated)), "{scheme}");
        assert_eq!(kind(open(&*tree, 7).await), ErrorKind::Truncated, "{scheme}: it may have been there");
        assert_eq!(whole(&*tree, 1).await, (b"second".to_vec(), None), "{scheme}");
    }
}

#[tokio::test]
async fn what_lies_behind_a_tars_end_is_remarked_on_and_read_where_zeros_are_ignored() {
    let both = [tar(&[b"first".to_vec()]), tar(&[b"other".to_vec(), b"second".to_vec()])].concat();
    let garbage = [&tar(&[b"first".to_vec()])[..], b"garbage"].concat();
    let index = async |ignore_zeros: bool, scheme: Scheme, bytes: &[u8]| {
        let service = ArchiveService::new(ArchiveOptions { ignore_zeros, ..ArchiveOptions::default() });
        let path = VPath::parse("/archive").unwrap();
        let found = service.index(scheme, stored(bytes.to_vec()), &path, |_| {}).await;
        found.map(|found| (found.names, found.remark.is_some())).map_err(|error| error.kind())
    };
    for (scheme, pack) in [(Scheme::Tar, <[u8]>::to_vec as fn(&[u8]) -> Vec<u8>), (Scheme::Tgz, gzip)] {
        assert_eq!(index(false, scheme, &pack(&tar(&[b"first".to_vec()]))).await, Ok((1, false)), "{scheme}");
        for bytes in [&both, &garbage] {
            assert_eq!(index(false, scheme, &pack(bytes)).await, Ok((1, true)), "{scheme}");
        }
        assert_eq!(index(true, scheme, &pack(&both)).await, Ok((2, false)), "{scheme}");
        assert_eq!(index(true, scheme, &pack(&garbage)).await, Err(ErrorKind::Truncated), "{scheme}");
    }
}

#[tokio::test]
async fn a_plain_tar_with_a_bad_header_ends_there_or_goes_on_behind_it_and_is_never_read_for_ever() {
    let mut bytes = tar(&[b"first".to_vec(), b"second".to_vec(), b"third".to_vec()]);
    bytes[1024..1032].copy_from_slice(b"damaged!");
    let index = async |resync: bool| {
        let service = ArchiveService::new(ArchiveOptions { resync, ..ArchiveOptions::default() });
        let path = VPath::parse("/archive").unwrap();
        let found = service.index(Scheme::Tar, stored(bytes.clone()), &path, |_| {}).await;
        found.map(|found| (found.names, found.remark.is_some())).map_err(|error| error.kind())
    };
    assert_eq!(index(false).await, Err(ErrorKind::Corrupt));
    assert_eq!(index(true).await, Ok((2, true)));
}

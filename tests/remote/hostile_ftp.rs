//! FTP sites that lie, break off and hang: right bytes or a clear error, in bounded time, and nothing left behind.
//!
//! Time is paused: it passes where all wait for one another, so no deadline depends on how busy the machine is.

use std::sync::Arc;
use std::time::Duration;

use support::{FtpSite, Trick};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};
use vfs::backends::ftp::{FtpFs, FtpOptions};
use vfs::producer::{Chunk, ProducerExt, of};
use vfs::{ByteRange, Error, ErrorKind, FileSystem, ListOptions, OpenOptions, StatOptions, Traffic, VPath};

/// Longest time that any of the cases may take, all retries included.
const BOUND: Duration = Duration::from_secs(300);

fn tree(site: &FtpSite) -> FtpFs {
    FtpFs::new(&site.url, &FtpOptions { connections: 2, ..FtpOptions::default() }).unwrap()
}

/// All connections and tasks go when the tree does.
async fn must_be_left(site: FtpSite, tree: FtpFs) {
    drop(tree);
    timeout(BOUND, site.is_left_alone()).await.expect("connections are left");
    drop(site);
    let alive_tasks = || Handle::current().metrics().num_alive_tasks();
    let all_gone = async {
        while alive_tasks() > 0 {
            sleep(Duration::from_secs(1)).await;
        }
    };
    assert!(timeout(BOUND, all_gone).await.is_ok(), "{} tasks are left", alive_tasks());
}

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

async fn read(tree: &FtpFs, range: ByteRange) -> Result<Vec<u8>, Error> {
    let file = tree.open(&path("/f"), &OpenOptions::reading()).await?;
    let mut producer = of(file, range).peeked();
    let mut bytes = Vec::new();
    while let Some(chunk) = producer.more().await {
        match chunk? {
            Chunk::Bytes(piece) => bytes.extend_from_slice(&piece),
            Chunk::Span(_) => unreachable!("a remote file makes bytes"),
        }
    }
    Ok(bytes)
}

async fn names(tree: &FtpFs, folder: &str) -> Result<Vec<String>, Error> {
    let listing = tree.read_dir(&path(folder), &ListOptions::default()).await?.collect(100).await?;
    let mut names: Vec<_> =
        listing.into_iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect();
    names.sort();
    Ok(names)
}

/// Reads the file of a site with `trick`, whole: the right bytes or an error of this kind, and nothing is left.
async fn must_read(trick: Trick, expected: Result<(), ErrorKind>) {
    let site = FtpSite::start(trick).await;
    let tree = tree(&site);
    let began = Instant::now();
    let found = read(&tree, ByteRange::whole()).await;
    assert!(began.elapsed() < BOUND, "{trick:?} takes {:?}", began.elapsed());
    match found {
        Ok(bytes) => {
            assert!(bytes == FtpSite::content() && expected.is_ok(), "{trick:?}: {} bytes", bytes.len())
        }
        Err(error) => assert_eq!(Err(error.kind()), expected, "{trick:?}: {error:?}"),
    }
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_sound_site_is_read() {
    must_read(Trick::None, Ok(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_address_is_not_dialled() {
    must_read(Trick::ForeignAddress, Ok(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_site_that_hangs_up_once_is_asked_again() {
    for verb in ["USER", "PASS", "FEAT", "TYPE", "PWD", "MLST", "EPSV", "RETR"] {
        must_read(Trick::HangsUpAt(verb, false), Ok(())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_site_that_always_hangs_up_is_busy() {
    for verb in ["USER", "PASS", "FEAT", "TYPE", "MLST", "EPSV", "RETR"] {
        must_read(Trick::HangsUpAt(verb, true), Err(ErrorKind::Busy)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_site_that_hangs_up_is_listed_when_it_answers() {
    for verb in ["CWD", "EPSV", "MLSD"] {
        let site = FtpSite::start(Trick::HangsUpAt(verb, false)).await;
        let tree = tree(&site);
        assert_eq!(names(&tree, "/").await.unwrap(), ["d", "f"], "{verb}");
        must_be_left(site, tree).await;
        let site = FtpSite::start(Trick::HangsUpAt(verb, true)).await;
        let tree = self::tree(&site);
        assert_eq!(names(&tree, "/").await.unwrap_err().kind(), ErrorKind::Busy, "{verb}");
        must_be_left(site, tree).await;
    }
}

/// All of them again and again: a process that kept something of each would grow.
#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_what_went_wrong() {
    const TRICKS: [Trick; 12] = [
        Trick::ForeignAddress,
        Trick::HangsUpAt("RETR", true),
        Trick::DataRefused,
        Trick::SilentAt("MLST"),
        Trick::DataHung,
        Trick::DataCut(true),
        Trick::ShortAndProud,
        Trick::TooLong,
        Trick::No226,
        Trick::ManyLines,
        Trick::Old,
        Trick::LateReply,
    ];
    let mut before = 0;
    for round in 0..4 {
        for trick in TRICKS {
            let site = FtpSite::start(trick).await;
            let tree = tree(&site);
            // What comes of it is told above.
            let _ = read(&tree, ByteRange::whole()).await;
            must_be_left(site, tree).await;
        }
        // What the first round leaves is what an allocator keeps at hand.
        if round == 0 {
            before = resident_bytes();
        }
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{} MiB more", grown >> 20);
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(start_paused = true)]
async fn a_silent_site_times_out() {
    for verb in ["USER", "PASS", "TYPE", "MLST", "EPSV", "RETR"] {
        must_read(Trick::SilentAt(verb), Err(ErrorKind::TimedOut)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_data_connection_is_an_error() {
    must_read(Trick::DataRefused, Err(ErrorKind::Unavailable)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hung_data_connection_times_out() {
    must_read(Trick::DataHung, Err(ErrorKind::TimedOut)).await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_transfer_goes_on_where_it_was() {
    must_read(Trick::DataCut(false), Ok(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_is_always_cut_ends_as_an_error() {
    let site = FtpSite::start(Trick::DataCut(true)).await;
    let tree = tree(&site);
    let error = read(&tree, ByteRange::whole()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Truncated | ErrorKind::Unavailable), "{error:?}");
    assert!((2..20).contains(&site.count("RETR")), "{}", site.count("RETR"));
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_ends_early_is_no_file() {
    let site = FtpSite::start(Trick::ShortAndProud).await;
    let tree = tree(&site);
    // Each answer gives half of what is left, until the retries are used up.
    let error = read(&tree, ByteRange::whole()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_goes_on_is_another_one() {
    must_read(Trick::TooLong, Err(ErrorKind::Corrupt)).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_226_does_no_harm_where_the_length_is_met() {
    must_read(Trick::No226, Ok(())).await;
}

#[tokio::test(start_paused = true)]
async fn replies_of_many_lines_are_one_each() {
    must_read(Trick::ManyLines, Ok(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_site_without_extensions_is_read_and_listed() {
    must_read(Trick::Old, Ok(())).await;
    let site = FtpSite::start(Trick::Old).await;
    let tree = tree(&site);
    assert_eq!(names(&tree, "/").await.unwrap(), ["d", "f"]);
    assert!(tree.metadata(&path("/d"), &StatOptions::default()).await.unwrap().is_dir());
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_site_that_takes_an_option_for_a_name_is_listed() {
    let site = FtpSite::start(Trick::ListAllIsAName).await;
    let tree = tree(&site);
    assert_eq!(names(&tree, "/").await.unwrap(), ["d", "f"]);
    assert_eq!(names(&tree, "/").await.unwrap(), ["d", "f"]);
    assert_eq!(site.count("LIST -a"), 1, "what is taken for a name once is not asked again");
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_shorter_than_was_announced_is_no_file() {
    must_read(Trick::ShorterThanAnnounced, Err(ErrorKind::Truncated)).await;
}

/// Nothing of what was told is kept but that it was.
#[tokio::test]
async fn names_without_an_end_are_bounded_and_not_kept() {
    let site = FtpSite::start(Trick::EndlessNames).await;
    let tree = tree(&site);
    let mut listing = tree.read_dir(&path("/"), &ListOptions::default()).await.unwrap();
    let before = resident_bytes();
    let error = loop {
        match listing.next().await.unwrap() {
            Ok(batch) => assert!(batch.iter().all(|entry| entry.name.len() > 8000)),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error:?}");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB more", grown >> 20);
}

#[tokio::test(start_paused = true)]
async fn another_folders_listing_is_refused() {
    let site = FtpSite::start(Trick::OtherFolder).await;
    let tree = tree(&site);
    let error = names(&tree, "/d").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_breaks_off_goes_on_where_it_was() {
    let site = FtpSite::start(Trick::ListingCut).await;
    let tree = tree(&site);
    assert_eq!(names(&tree, "/").await.unwrap(), ["d", "f"]);
    assert_eq!(site.count("MLSD"), 2);
    must_be_left(site, tree).await;
}

/// A reply too many makes every answer that of the command before: found out where it cannot be one.
#[tokio::test(start_paused = true)]
async fn an_answer_to_an_earlier_command_is_none() {
    let site = FtpSite::start(Trick::LateReply).await;
    let options = FtpOptions { connections: 1, ..FtpOptions::default() };
    let tree = FtpFs::new(&site.url, &options).unwrap();
    let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
    for at in [150_000, 10, 140_000, 100_000, 5, 120_000] {
        let bytes = file.read_at(at as u64, 10).await.unwrap();
        assert_eq!(bytes, FtpSite::content()[at..at + bytes.len()], "{at}");
    }
    assert_eq!(site.count("ABOR"), 1, "with such a site nothing is aborted any more");
    drop(file);
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn questions_are_counted() {
    let site = FtpSite::start(Trick::None).await;
    let traffic = Arc::<Traffic>::default();
    let options = FtpOptions { traffic: Arc::clone(&traffic), ..FtpOptions::default() };
    let tree = FtpFs::new(&site.url, &options).unwrap();
    assert_eq!(names(&tree, "/").await.unwrap(), ["d", "f"]);
    assert_eq!(traffic.totals().requests, 1, "a listing is one");
    read(&tree, ByteRange::whole()).await.unwrap();
    let totals = traffic.totals();
    let told = (totals.requests, totals.bytes, totals.errors);
    assert_eq!(told, (3, FtpSite::LEN as u64, 0), "a file is two: what it is, and what is in it");
    tree.metadata(&path("/none"), &StatOptions::default()).await.unwrap_err();
    assert_eq!(traffic.totals().errors, 0, "no is an answer");
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn names_that_are_none_are_left_out() {
    let site = FtpSite::start(Trick::BadNames).await;
    let tree = tree(&site);
    assert_eq!(names(&tree, "/").await.unwrap(), ["a", "good"]);
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_with_a_line_end_never_reaches_the_wire() {
    let site = FtpSite::start(Trick::None).await;
    let tree = tree(&site);
    for name in [&b"x\r\nDELE f"[..], b"x\nDELE f", b"x\rDELE f"] {
        let evil = VPath::root().child(name.to_vec()).unwrap();
        let error = tree.metadata(&evil, &StatOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(tree.read_dir(&evil, &ListOptions::default()).await.unwrap_err().kind(), error.kind());
    }
    assert_eq!(site.heard().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_refuses_tls_hears_no_login() {
    let site = FtpSite::start(Trick::NoTls).await;
    let url = format!("{}?tls=explicit", site.url.replace("ftp://", "ftp://me:geheim@"));
    let tree = FtpFs::new(&url, &FtpOptions::default()).unwrap();
    let error = tree.metadata(&path("/f"), &StatOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    assert!(!format!("{error:?} {tree:?}").contains("geheim"));
    assert_eq!((site.count("AUTH"), site.count("USER"), site.count("PASS")), (1, 0, 0));
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn two_versions_are_never_put_together() {
    let site = FtpSite::start(Trick::Changes).await;
    let tree = tree(&site);
    let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
    tokio::time::advance(Duration::from_secs(10)).await;
    let error = file.read_at(1000, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    drop(file);
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_site_without_rest_is_read_up_to_the_offset() {
    let site = FtpSite::start(Trick::NoRest).await;
    let tree = tree(&site);
    for _ in 0..2 {
        let found = read(&tree, ByteRange::at(200_000, 1000)).await.unwrap();
        assert_eq!(found, FtpSite::content()[200_000..201_000]);
    }
    // The first refusal may have been EPSV's, so it was looked into by PASV.
    assert_eq!(site.count("REST"), 2, "what is refused once is not asked again");
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn many_ranges_need_one_login() {
    let site = FtpSite::start(Trick::None).await;
    let tree = tree(&site);
    let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
    for at in [200_000, 10, 299_990, 100_000, 5, 150_000, 70_000, 280_000] {
        let bytes = file.read_at(at as u64, 10).await.unwrap();
        assert_eq!(bytes, FtpSite::content()[at..at + bytes.len()], "{at}");
    }
    drop(file);
    assert!(site.count("USER") <= 2, "{} logins", site.count("USER"));
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_its_connection_in_step() {
    let site = FtpSite::start(Trick::None).await;
    let tree = tree(&site);
    for _ in 0..20 {
        let (file, folder) = (path("/f"), path("/d"));
        let options = StatOptions::default();
        let mut dropped = Box::pin(tree.metadata(&file, &options));
        for _ in 0..3 {
            std::future::poll_fn(|cx| {
                let _ = dropped.as_mut().poll(cx);
                std::task::Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
        }
        drop(dropped);
        assert!(tree.metadata(&folder, &options).await.unwrap().is_dir());
        assert_eq!(tree.metadata(&file, &options).await.unwrap().len, Some(FtpSite::LEN as u64));
    }
    must_be_left(site, tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_frees_its_connection() {
    let site = FtpSite::start(Trick::None).await;
    let tree = tree(&site);
    for _ in 0..6 {
        let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
        let mut producer = of(file, ByteRange::whole()).peeked();
        assert!(producer.more().await.is_some());
        drop(producer);
    }
    assert_eq!(read(&tree, ByteRange::whole()).await.unwrap(), FtpSite::content());
    must_be_left(site, tree).await;
}

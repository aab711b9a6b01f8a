//! Sites that lie, break off and hang: right bytes or a clear error, in bounded time, and nothing left behind.
//!
//! Time is paused: it passes where all wait for one another, so no deadline depends on how busy the machine is.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::{FtpFs, FtpOptions};
use crate::error::{Error, ErrorKind};
use crate::file_system::FileSystem;
use crate::options::{ByteRange, ListOptions, OpenOptions, StatOptions};
use crate::path::VPath;
use crate::producer::{Chunk, ProducerExt, of};

/// Bytes of the file `/f`.
const LEN: usize = 300_000;

/// Longest time that any of the cases may take, all retries included.
const BOUND: Duration = Duration::from_secs(300);

/// What is wrong with a site.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trick {
    None,
    /// PASV only, and it announces somebody else's address.
    ForeignAddress,
    /// 421 instead of the answer to this command, once or always.
    HangsUpAt(&'static str, bool),
    /// The announced port has no listener.
    DataRefused,
    /// No answer to this command.
    SilentAt(&'static str),
    /// The data connection is open, and nothing comes.
    DataHung,
    /// The data connection closes at the middle of what is left, with 426; once or always.
    DataCut(bool),
    /// The data ends at the middle, with 226.
    ShortAndProud,
    /// More comes than MLST said.
    TooLong,
    /// All bytes, the data connection stays open, and no 226.
    No226,
    /// Every reply has three lines, with lines inside that look like replies.
    ManyLines,
    /// Whatever is asked for, another folder is listed.
    OtherFolder,
    /// Names with line ends, slashes and dots.
    BadNames,
    /// The file changes, at the same length, after the first look.
    Changes,
    /// It does not know MLST, MLSD, EPSV and FEAT.
    Old,
    /// AUTH TLS is refused.
    NoTls,
    /// No REST.
    NoRest,
}

/// A site with one file, `/f`, and one folder, `/d`.
struct Site {
    url: String,
    lines: Arc<Mutex<Vec<String>>>,
    open: watch::Receiver<usize>,
}

impl Site {
    async fn start(trick: Trick) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ftp://{}/", listener.local_addr().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (count, open) = watch::channel(0);
        let seen = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, count) = (Arc::clone(&seen), count.clone());
                count.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    Session::new(stream, trick, seen).run().await;
                    count.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { url, lines, open }
    }

    fn tree(&self) -> FtpFs {
        FtpFs::new(&self.url, &FtpOptions { connections: 2, ..FtpOptions::default() }).unwrap()
    }

    fn count(&self, verb: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.starts_with(verb)).count()
    }

    /// All connections go when the tree does.
    async fn must_be_left(mut self, tree: FtpFs) {
        drop(tree);
        let left = timeout(BOUND, self.open.wait_for(|open| *open == 0)).await.is_ok();
        assert!(left, "connections are left: {}", *self.open.borrow());
    }
}

/// One control connection.
struct Session {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    trick: Trick,
    seen: Arc<Mutex<Vec<String>>>,
    passive: Option<TcpListener>,
    offset: usize,
    folder: String,
}

impl Session {
    fn new(stream: TcpStream, trick: Trick, seen: Arc<Mutex<Vec<String>>>) -> Self {
        // Paused time does not wait for what the kernel delays.
        stream.set_nodelay(true).unwrap();
        let (reader, writer) = stream.into_split();
        let (reader, folder) = (BufReader::new(reader), "/".to_owned());
        Self { reader, writer, trick, seen, passive: None, offset: 0, folder }
    }

    /// Talks until one side is gone.
    async fn run(mut self) {
        let _ = self.talk().await;
    }

    async fn talk(&mut self) -> std::io::Result<()> {
        self.say("220 ready").await?;
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            let times = {
                let mut seen = self.seen.lock().unwrap();
                seen.push(line.clone());
                let verb = line.split(' ').next().unwrap();
                seen.iter().filter(|line| line.split(' ').next() == Some(verb)).count()
            };
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match self.trick {
                Trick::HangsUpAt(at, always) if at == verb && (always || times == 1) => {
                    return self.say("421 that is enough").await;
                }
                Trick::SilentAt(at) if at == verb => {
                    // Until the client gives up.
                    return self.reader.read_line(&mut String::new()).await.map(drop);
                }
                _ => {}
            }
            if verb == "QUIT" {
                return self.say("221 bye").await;
            }
            self.answer(verb, argument, times).await?;
        }
    }

    async fn say(&mut self, reply: &str) -> std::io::Result<()> {
        let (code, words) = reply.split_at(3);
        let text = match self.trick {
            Trick::ManyLines => format!("{code}-one\r\n 226 two\r\n 550 three\r\n{code}{words}\r\n"),
            _ => format!("{reply}\r\n"),
        };
        self.writer.write_all(text.as_bytes()).await
    }

    async fn answer(&mut self, verb: &str, argument: &str, times: usize) -> std::io::Result<()> {
        let is_old = self.trick == Trick::Old;
        let modified =
            if self.trick == Trick::Changes && times > 1 { "20200101000001" } else { "20200101000000" };
        let reply = match (verb, argument) {
            ("AUTH" | "FEAT" | "MLST" | "MLSD" | "EPSV", _) if is_old => "500 what?".to_owned(),
            ("AUTH", _) => "502 no TLS here".to_owned(),
            ("EPSV", _) if self.trick == Trick::ForeignAddress => "500 what?".to_owned(),
            ("USER", _) => "331 password?".to_owned(),
            ("PASS", _) => "230 in".to_owned(),
            ("FEAT", _) => {
                return self
                    .writer
                    .write_all(b"211-Features\r\n MLST type*;size*;modify*;\r\n211 End\r\n")
                    .await;
            }
            ("PWD", _) => format!("257 \"{}\"", self.folder),
            ("CWD", "/" | "/d") => {
                self.folder = argument.to_owned();
                "250 there".to_owned()
            }
            ("CWD", _) => "550 no such folder".to_owned(),
            ("MLST", "/f") => {
                let row = format!("250-\r\n type=file;size={LEN};modify={modified}; /f\r\n250 End\r\n");
                return self.writer.write_all(row.as_bytes()).await;
            }
            ("MLST", "/d") => return self.writer.write_all(b"250-\r\n type=dir; /d\r\n250 End\r\n").await,
            ("MLST" | "SIZE" | "MDTM", path) if path != "/f" => "550 no such file".to_owned(),
            ("SIZE", _) => format!("213 {LEN}"),
            ("MDTM", _) => format!("213 {modified}"),
            ("REST", _) if self.trick == Trick::NoRest => "502 no".to_owned(),
            ("REST", offset) => {
                self.offset = offset.parse().unwrap();
                "350 from there".to_owned()
            }
            ("EPSV" | "PASV", _) => return self.listen(verb == "EPSV").await,
            ("RETR", "/f") => return self.send_file(times).await,
            ("MLSD" | "LIST", _) => return self.send_rows().await,
            ("ABOR", _) => "225 nothing to abort".to_owned(),
            ("RETR", _) => "550 no such file".to_owned(),
            _ => "200 fine".to_owned(),
        };
        self.say(&reply).await
    }

    async fn listen(&mut self, extended: bool) -> std::io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        self.passive = (self.trick != Trick::DataRefused).then_some(listener);
        let host = match self.trick {
            Trick::ForeignAddress => Ipv4Addr::new(10, 9, 8, 7),
            _ => Ipv4Addr::LOCALHOST,
        };
        let [a, b, c, d] = host.octets();
        match extended {
            true => self.say(&format!("229 here (|||{port}|)")).await,
            false => self.say(&format!("227 here ({a},{b},{c},{d},{},{})", port / 256, port % 256)).await,
        }
    }

    async fn data(&mut self) -> std::io::Result<TcpStream> {
        let listener = self.passive.take().ok_or(std::io::ErrorKind::NotConnected)?;
        let (data, _) = listener.accept().await?;
        self.say("150 here it comes").await?;
        Ok(data)
    }

    async fn send_file(&mut self, times: usize) -> std::io::Result<()> {
        let mut content = content();
        content.drain(..std::mem::take(&mut self.offset));
        let mut data = self.data().await?;
        let half = content.len() / 2;
        match self.trick {
            Trick::DataHung => return self.reader.read_line(&mut String::new()).await.map(drop),
            Trick::DataCut(always) if always || times == 1 => {
                data.write_all(&content[..half]).await?;
                drop(data);
                return self.say("426 it broke").await;
            }
            Trick::ShortAndProud => content.truncate(half),
            Trick::TooLong => content.extend_from_slice(b"more"),
            _ => {}
        }
        if data.write_all(&content).await.is_err() {
            return self.say("426 you left").await;
        }
        if self.trick == Trick::No226 {
            return self.reader.read_line(&mut String::new()).await.map(drop);
        }
        // Some of it may still be on its way to a client that leaves.
        drop(data);
        self.say("226 done").await
    }

    async fn send_rows(&mut self) -> std::io::Result<()> {
        let rows = match (self.trick, self.folder.as_str()) {
            (Trick::OtherFolder, _) => "type=cdir; /elsewhere\r\ntype=file;size=1; secret\r\n".to_owned(),
            (Trick::BadNames, _) => "type=file;size=1; good\r\ntype=file;size=1; a\r\nDELE b\r\n\
                type=file;size=1; ../up\r\ntype=dir; ..\r\ntype=dir; .\r\ntype=file;size=1; n\0ul\r\n\
                type=file;size=1; good\r\n"
                .to_owned(),
            (Trick::Old, "/") => format!(
                "total 2\r\ndrwxr-xr-x 2 0 0 1 Jan 01 2020 .\r\n\
                -rw-r--r-- 1 0 0 {LEN} Jan 01 2020 f\r\ndrwxr-xr-x 2 0 0 1 Jan 01 2020 d\r\n"
            ),
            (_, "/") => format!("type=cdir; /\r\ntype=file;size={LEN}; f\r\ntype=dir; d\r\n"),
            _ => "type=cdir; /d\r\n".to_owned(),
        };
        let mut data = self.data().await?;
        data.write_all(rows.as_bytes()).await?;
        drop(data);
        self.say("226 done").await
    }
}

fn content() -> Vec<u8> {
    (0..LEN).map(|at| (at * 7 % 251) as u8).collect()
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
    let site = Site::start(trick).await;
    let tree = site.tree();
    let began = Instant::now();
    let found = read(&tree, ByteRange::whole()).await;
    assert!(began.elapsed() < BOUND, "{trick:?} takes {:?}", began.elapsed());
    match found {
        Ok(bytes) => assert!(bytes == content() && expected.is_ok(), "{trick:?}: {} bytes", bytes.len()),
        Err(error) => assert_eq!(Err(error.kind()), expected, "{trick:?}: {error:?}"),
    }
    site.must_be_left(tree).await;
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
    let site = Site::start(Trick::DataCut(true)).await;
    let tree = site.tree();
    let error = read(&tree, ByteRange::whole()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Truncated | ErrorKind::Unavailable), "{error:?}");
    assert!((2..20).contains(&site.count("RETR")), "{}", site.count("RETR"));
    site.must_be_left(tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_ends_early_is_no_file() {
    let site = Site::start(Trick::ShortAndProud).await;
    let tree = site.tree();
    // Each answer gives half of what is left, until the retries are used up.
    let error = read(&tree, ByteRange::whole()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    site.must_be_left(tree).await;
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
    let site = Site::start(Trick::Old).await;
    let tree = site.tree();
    assert_eq!(names(&tree, "/").await.unwrap(), ["d", "f"]);
    assert!(tree.metadata(&path("/d"), &StatOptions::default()).await.unwrap().is_dir());
    site.must_be_left(tree).await;
}

#[tokio::test(start_paused = true)]
async fn another_folders_listing_is_refused() {
    let site = Site::start(Trick::OtherFolder).await;
    let tree = site.tree();
    let error = names(&tree, "/d").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    site.must_be_left(tree).await;
}

#[tokio::test(start_paused = true)]
async fn names_that_are_none_are_left_out() {
    let site = Site::start(Trick::BadNames).await;
    let tree = site.tree();
    assert_eq!(names(&tree, "/").await.unwrap(), ["a", "good"]);
    site.must_be_left(tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_with_a_line_end_never_reaches_the_wire() {
    let site = Site::start(Trick::None).await;
    let tree = site.tree();
    for name in [&b"x\r\nDELE f"[..], b"x\nDELE f", b"x\rDELE f"] {
        let evil = VPath::root().child(name.to_vec()).unwrap();
        let error = tree.metadata(&evil, &StatOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(tree.read_dir(&evil, &ListOptions::default()).await.unwrap_err().kind(), error.kind());
    }
    assert_eq!(site.lines.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_refuses_tls_hears_no_login() {
    let site = Site::start(Trick::NoTls).await;
    let url = format!("{}?tls=explicit", site.url.replace("ftp://", "ftp://me:geheim@"));
    let tree = FtpFs::new(&url, &FtpOptions::default()).unwrap();
    let error = tree.metadata(&path("/f"), &StatOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    assert!(!format!("{error:?} {tree:?}").contains("geheim"));
    assert_eq!((site.count("AUTH"), site.count("USER"), site.count("PASS")), (1, 0, 0));
    site.must_be_left(tree).await;
}

#[tokio::test(start_paused = true)]
async fn two_versions_are_never_put_together() {
    let site = Site::start(Trick::Changes).await;
    let tree = site.tree();
    let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
    tokio::time::advance(Duration::from_secs(10)).await;
    let error = file.read_at(1000, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    drop(file);
    site.must_be_left(tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_site_without_rest_is_read_up_to_the_offset() {
    let site = Site::start(Trick::NoRest).await;
    let tree = site.tree();
    for _ in 0..2 {
        let found = read(&tree, ByteRange::at(200_000, 1000)).await.unwrap();
        assert_eq!(found, content()[200_000..201_000]);
    }
    // The first refusal may have been EPSV's, so it was looked into by PASV.
    assert_eq!(site.count("REST"), 2, "what is refused once is not asked again");
    site.must_be_left(tree).await;
}

#[tokio::test(start_paused = true)]
async fn many_ranges_need_one_login() {
    let site = Site::start(Trick::None).await;
    let tree = site.tree();
    let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
    for at in [200_000, 10, 299_990, 100_000, 5, 150_000, 70_000, 280_000] {
        let bytes = file.read_at(at as u64, 10).await.unwrap();
        assert_eq!(bytes, content()[at..at + bytes.len()], "{at}");
    }
    drop(file);
    assert!(site.count("USER") <= 2, "{} logins", site.count("USER"));
    site.must_be_left(tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_its_connection_in_step() {
    let site = Site::start(Trick::None).await;
    let tree = site.tree();
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
        assert_eq!(tree.metadata(&file, &options).await.unwrap().len, Some(LEN as u64));
    }
    site.must_be_left(tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_frees_its_connection() {
    let site = Site::start(Trick::None).await;
    let tree = site.tree();
    for _ in 0..6 {
        let file = tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap();
        let mut producer = of(file, ByteRange::whole()).peeked();
        assert!(producer.more().await.is_some());
        drop(producer);
    }
    assert_eq!(read(&tree, ByteRange::whole()).await.unwrap(), content());
    site.must_be_left(tree).await;
}

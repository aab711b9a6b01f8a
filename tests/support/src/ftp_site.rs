//! An FTP site that misbehaves in the way that a test wishes: it lies, breaks off, hangs up and hangs.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is wrong with a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Nothing.
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
    /// The first listing breaks off before its last row.
    ListingCut,
    /// Whatever was aborted is said to have ended, and later once more.
    LateReply,
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
    /// As [`Trick::Old`], and an option of LIST is the name of something that is not there.
    ListAllIsAName,
    /// As [`Trick::Old`], without SIZE; the file ends at the middle of what 150 says, with 226.
    ShorterThanAnnounced,
    /// Rows with long names come for ever.
    EndlessNames,
    /// AUTH TLS is refused.
    NoTls,
    /// No REST.
    NoRest,
}

/// A running site with one file, `/f`, and one folder, `/d`. It takes nobody any more when it is dropped.
#[derive(Debug)]
pub struct FtpSite {
    /// Its URL, with a `/` at the end.
    pub url: String,
    lines: Arc<Mutex<Vec<String>>>,
    open: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl FtpSite {
    /// Bytes of the file.
    pub const LEN: usize = 300_000;

    /// Starts a site with `trick`.
    ///
    /// # Panics
    /// Where the loopback has no free port.
    pub async fn start(trick: Trick) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a free port of the loopback"), trick)
    }

    /// The same on a port that is bound already.
    ///
    /// # Panics
    /// Where it is not.
    pub fn on(listener: TcpListener, trick: Trick) -> Self {
        let url = format!("ftp://{}/", listener.local_addr().expect("it is bound"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (count, open) = watch::channel(0);
        let seen = Arc::clone(&lines);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, count) = (Arc::clone(&seen), count.clone());
                count.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    Session::new(stream, trick, seen).run().await;
                    count.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { url, lines, open, task }
    }

    /// The content of the file.
    pub fn content() -> Vec<u8> {
        (0..Self::LEN).map(|at| (at * 7 % 251) as u8).collect()
    }

    /// The commands that came so far, in all connections.
    pub fn heard(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// How many commands with this verb came.
    pub fn count(&self, verb: &str) -> usize {
        self.heard().iter().filter(|line| line.starts_with(verb)).count()
    }

    /// Waits until nobody is connected.
    ///
    /// # Panics
    /// Where the site's own task has failed.
    pub async fn is_left_alone(&self) {
        self.open.clone().wait_for(|open| *open == 0).await.expect("the site's task holds the sender");
    }
}

impl Drop for FtpSite {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(held: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// A reply of an aborted transfer comes with the next answer but one.
    owes_reply: bool,
}

impl Session {
    fn new(stream: TcpStream, trick: Trick, seen: Arc<Mutex<Vec<String>>>) -> Self {
        // Paused time does not wait for what the kernel delays.
        stream.set_nodelay(true).expect("a socket of the loopback");
        let (reader, writer) = stream.into_split();
        let (reader, folder) = (BufReader::new(reader), "/".to_owned());
        Self { reader, writer, trick, seen, passive: None, offset: 0, folder, owes_reply: false }
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
                let mut seen = lock(&self.seen);
                seen.push(line.clone());
                let verb = line.split(' ').next().unwrap_or_default();
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
            if verb != "ABOR" && verb != "PWD" && std::mem::take(&mut self.owes_reply) {
                self.say("226 done once more").await?;
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
        let is_old = matches!(self.trick, Trick::Old | Trick::ListAllIsAName | Trick::ShorterThanAnnounced);
        let knows_size = self.trick != Trick::ShorterThanAnnounced;
        let modified =
            if self.trick == Trick::Changes && times > 1 { "20200101000001" } else { "20200101000000" };
        let reply = match (verb, argument) {
            ("AUTH" | "FEAT" | "MLST" | "MLSD" | "EPSV", _) if is_old => "500 what?".to_owned(),
            ("SIZE" | "MDTM", _) if !knows_size => "500 what?".to_owned(),
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
                let len = FtpSite::LEN;
                let row = format!("250-\r\n type=file;size={len};modify={modified}; /f\r\n250 End\r\n");
                return self.writer.write_all(row.as_bytes()).await;
            }
            ("MLST", "/d") => return self.writer.write_all(b"250-\r\n type=dir; /d\r\n250 End\r\n").await,
            ("MLST" | "SIZE" | "MDTM", path) if path != "/f" => "550 no such file".to_owned(),
            ("SIZE", _) => format!("213 {}", FtpSite::LEN),
            ("MDTM", _) => format!("213 {modified}"),
            ("REST", _) if self.trick == Trick::NoRest => "502 no".to_owned(),
            ("REST", offset) => {
                self.offset = offset.parse().map_err(std::io::Error::other)?;
                "350 from there".to_owned()
            }
            ("EPSV" | "PASV", _) => return self.listen(verb == "EPSV").await,
            ("RETR", "/f") => return self.send_file(times).await,
            ("LIST", "-a") if self.trick == Trick::ListAllIsAName => {
                drop(self.data().await?);
                "226 done".to_owned()
            }
            ("MLSD" | "LIST", _) => return self.send_rows(times).await,
            ("ABOR", _) => {
                self.owes_reply = self.trick == Trick::LateReply;
                "225 nothing to abort".to_owned()
            }
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
        let announced = match self.trick {
            Trick::ShorterThanAnnounced => format!("150 here it comes ({} bytes)", FtpSite::LEN),
            _ => "150 here it comes".to_owned(),
        };
        self.say(&announced).await?;
        Ok(data)
    }

    async fn send_file(&mut self, times: usize) -> std::io::Result<()> {
        let mut content = FtpSite::content();
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
            Trick::ShortAndProud | Trick::ShorterThanAnnounced => content.truncate(half),
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

    async fn send_rows(&mut self, times: usize) -> std::io::Result<()> {
        let len = FtpSite::LEN;
        let rows = match (self.trick, self.folder.as_str()) {
            (Trick::OtherFolder, _) => "type=cdir; /elsewhere\r\ntype=file;size=1; secret\r\n".to_owned(),
            (Trick::BadNames, _) => "type=file;size=1; good\r\ntype=file;size=1; a\r\nDELE b\r\n\
                type=file;size=1; ../up\r\ntype=dir; ..\r\ntype=dir; .\r\ntype=file;size=1; n\0ul\r\n\
                type=file;size=1; good\r\n"
                .to_owned(),
            (Trick::ShorterThanAnnounced, "/") => "+r,\tf\r\n+/,\td\r\n".to_owned(),
            (Trick::Old | Trick::ListAllIsAName, "/") => format!(
                "total 2\r\ndrwxr-xr-x 2 0 0 1 Jan 01 2020 .\r\n\
                -rw-r--r-- 1 0 0 {len} Jan 01 2020 f\r\ndrwxr-xr-x 2 0 0 1 Jan 01 2020 d\r\n"
            ),
            (_, "/") => format!("type=cdir; /\r\ntype=file;size={len}; f\r\ntype=dir; d\r\n"),
            _ => "type=cdir; /d\r\n".to_owned(),
        };
        let mut data = self.data().await?;
        if self.trick == Trick::EndlessNames {
            for number in 0_u64.. {
                let name = "x".repeat(8000);
                data.write_all(format!("type=file;size=1; {number}{name}\r\n").as_bytes()).await?;
            }
        }
        if self.trick == Trick::ListingCut && times == 1 {
            let half = rows.rfind("type=").unwrap_or_default();
            data.write_all(&rows.as_bytes()[..half]).await?;
            drop(data);
            return self.say("426 it broke").await;
        }
        data.write_all(rows.as_bytes()).await?;
        drop(data);
        self.say("226 done").await
    }
}

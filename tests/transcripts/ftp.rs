//! Conversations over FTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use frontends::serve::{Address, Listener};
use frontends::{Hosts, Named, Site, ftp};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use vfs::backends::memory::MemoryFs;
use vfs::{FileSystem, OpenOptions, SetAttributes, VPath};

use super::{Part, parts, settle, transcripts};

#[tokio::test]
async fn conversations_go_as_written() {
    let mut reports = String::new();
    for file in transcripts("ftp") {
        let before = std::fs::read_to_string(&file).unwrap();
        let now = converse(&before).await;
        reports.extend(settle(&file, &before, &now).err());
    }
    assert!(reports.is_empty(), "{reports}");
}

/// Holds the client's side of a transcript with a new server: the whole transcript as it went.
async fn converse(transcript: &str) -> String {
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let Address::Tcp(address) = listener.local_address() else { unreachable!("bound to TCP") };
    let mut site = Site::new(Arc::new(tree().await));
    let folders = [("other.example".to_owned(), VPath::parse("/empty").unwrap())].into();
    site.hosts = Arc::new(Hosts::new(Named { folders, ..Named::default() }));
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let options = ftp::Options { guests_overwrite: true, ..ftp::Options::default() };
    let server = tokio::spawn(ftp::serve(listener, Arc::new(site), options, shutdown));

    let mut talk = Talk::new(address).await;
    let mut greeted = false;
    for part in parts(transcript) {
        match part {
            Part::Remark(remark) => talk.note("", &remark),
            Part::Sent(lines) => {
                if !std::mem::replace(&mut greeted, true) {
                    talk.answer().await;
                }
                talk.say(&lines).await;
            }
        }
    }
    let text = talk.end().await;
    stop.send(()).unwrap();
    server.await.unwrap();
    text
}

/// The tree of the transcripts: old times, so that listings do not change with the day.
async fn tree() -> MemoryFs {
    let tree = MemoryFs::new();
    for folder in ["/empty", "/pub", "/pub/say \"hi\""] {
        tree.create_dir(&VPath::parse(folder).unwrap()).await.unwrap();
    }
    for (path, content) in [
        ("/notes.txt", &b"one\ntwo\n"[..]),
        ("/pub/a b", b"spaces"),
        ("/pub/old.tgz", b"no archive"),
        ("/pub/\u{e4}", b"umlaut"),
    ] {
        write(&tree, VPath::parse(path).unwrap(), content).await;
    }
    write(&tree, VPath::parse("/pub").unwrap().child(&b"line\nbreak"[..]).unwrap(), b"hidden").await;
    write(&tree, VPath::parse("/pub").unwrap().child(&b"lat\xefn"[..]).unwrap(), b"bytes").await;
    write(&tree, VPath::parse("/pub").unwrap().child(&b"x#tgz:"[..]).unwrap(), b"doubled").await;
    tree.symlink(&"../notes.txt".into(), &VPath::parse("/pub/link").unwrap()).await.unwrap();
    let links = [VPath::parse("/pub/link").unwrap()];
    let folders = ["/", "/empty", "/pub", "/pub/say \"hi\""].map(|path| VPath::parse(path).unwrap());
    for path in folders.iter().chain(&links) {
        age(&tree, path).await;
    }
    tree
}

async fn write(tree: &MemoryFs, path: VPath, content: &'static [u8]) {
    let file = tree.open(&path, &OpenOptions::writing()).await.unwrap();
    file.write_at(0, content.into()).await.unwrap();
    drop(file);
    age(tree, &path).await;
}

/// 2001-02-03 04:05:06, and an owner that is the same on every machine.
async fn age(tree: &MemoryFs, path: &VPath) {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(981_173_106);
    let attributes = SetAttributes {
        modified: Some(modified),
        user: Some(1000),
        group: Some(100),
        ..SetAttributes::default()
    };
    tree.set_attributes(path, &attributes, false).await.unwrap();
}

/// A conversation under way, and its text so far.
struct Talk {
    control: BufReader<TcpStream>,
    data: Option<TcpStream>,
    text: String,
}

impl Talk {
    async fn new(address: SocketAddr) -> Self {
        let control = BufReader::new(TcpStream::connect(address).await.unwrap());
        Self { control, data: None, text: String::new() }
    }

    fn note(&mut self, who: &str, line: &str) {
        self.text.push_str(who);
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Sends lines at once and takes an answer for each.
    async fn say(&mut self, lines: &[String]) {
        let mut bytes = Vec::new();
        for line in lines {
            self.note("C: ", line);
            bytes.extend(unescape(line));
            bytes.extend_from_slice(b"\r\n");
        }
        self.control.write_all(&bytes).await.unwrap();
        for _ in lines {
            self.answer().await;
        }
    }

    /// Takes one whole answer, with what comes over the data connection in between.
    async fn answer(&mut self) {
        loop {
            let Some(code) = self.reply().await else { return };
            if !code.starts_with('1') {
                return;
            }
            if let Some(mut data) = self.data.take() {
                let mut bytes = Vec::new();
                data.read_to_end(&mut bytes).await.unwrap();
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    self.note("D: ", &mask(&escape(line)));
                }
            }
        }
    }

    /// Takes one reply, all of its lines; `None` at the end.
    async fn reply(&mut self) -> Option<String> {
        loop {
            let mut line = Vec::new();
            self.control.read_until(b'\n', &mut line).await.unwrap();
            let line = line.strip_suffix(b"\r\n")?;
            let text = escape(line);
            if let Some(port) = port(&text) {
                self.data = Some(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
            }
            self.note("S: ", &mask(&text));
            if text.len() > 3 && text.as_bytes()[..3].iter().all(u8::is_ascii_digit) && &text[3..4] == " " {
                return Some(text);
            }
        }
    }

    /// The text; a server that has nothing left to say has closed.
    async fn end(mut self) -> String {
        self.control.get_mut().shutdown().await.unwrap();
        let mut rest = Vec::new();
        self.control.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "said unasked: {}", rest.escape_ascii());
        self.text
    }
}

/// The port in the reply to EPSV or PASV.
fn port(reply: &str) -> Option<u16> {
    let inner = reply.split_once('(')?.1.split_once(')')?.0;
    if reply.starts_with("229 ") {
        return inner.trim_matches('|').parse().ok();
    }
    let numbers: Vec<u16> = inner.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    match numbers[..] {
        [_, _, _, _, high, low] if reply.starts_with("227 ") => Some(high * 256 + low),
        _ => None,
    }
}

/// Hides what differs from run to run: ports, and the numbers of files.
fn mask(text: &str) -> String {
    if let Some(port) = port(text) {
        let [high, low] = port.to_be_bytes();
        return text
            .replace(&format!("|{port}|"), "|<port>|")
            .replace(&format!(",{high},{low})"), ",<port>)");
    }
    match text.split_once("unique=") {
        Some((before, after)) => {
            let after = after.split_once(';').map_or("", |(_, after)| after);
            format!("{before}unique=<id>;{after}")
        }
        None => text.to_owned(),
    }
}

/// Bytes as a transcript shows them: UTF-8 as it is, all else escaped.
fn escape(line: &[u8]) -> String {
    let mut text = String::new();
    for part in line.utf8_chunks() {
        for ch in part.valid().chars() {
            match ch {
                ch if ch.is_control() => text.extend(ch.escape_default()),
                ch => text.push(ch),
            }
        }
        text.push_str(&part.invalid().escape_ascii().to_string());
    }
    text
}

/// The reverse for what a client says: `\xNN`, `\r`, `\0`.
fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, len) = match (first, after) {
            (b'\\', [b'x', high, low, ..]) => {
                let digits = std::str::from_utf8(&[*high, *low]).unwrap().to_owned();
                (u8::from_str_radix(&digits, 16).unwrap(), 4)
            }
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'0', ..]) => (0, 2),
            (byte, _) => (*byte, 1),
        };
        bytes.push(byte);
        rest = &rest[len..];
    }
    bytes
}

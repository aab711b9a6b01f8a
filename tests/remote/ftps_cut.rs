//! A site under TLS whose data connections end without a word: whether that was the end is known from the length, or not.

use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use vfs::backends::ftp::{FtpFs, FtpOptions};
use vfs::producer::{Chunk, ProducerExt, of};
use vfs::{ByteRange, Error, ErrorKind, FileSystem, ListOptions, OpenOptions, VPath};

const CONTENT: &[u8] = &[7; 100_000];

/// EPLF, which needs tell no length.
const ROWS: &str = "+r,\tf\r\n+r,\tg\r\n";

/// How a site ends its data connections, and what it tells before.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    /// It says so.
    says_end: bool,
    /// It sends all.
    sends_all: bool,
    /// It knows SIZE.
    tells_size: bool,
}

struct Site {
    port: u16,
    authority: Vec<u8>,
}

impl Site {
    async fn start(manner: Manner) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let (acceptor, authority) = (TlsAcceptor::from(Arc::new(tls)), made.cert.pem().into_bytes());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move { talk(stream, &acceptor, manner).await });
            }
        });
        Self { port, authority }
    }

    fn tree(&self, options: &str) -> FtpFs {
        let url = format!("ftps://127.0.0.1:{}/{options}", self.port);
        FtpFs::new(&url, &FtpOptions { authorities: self.authority.clone(), ..FtpOptions::default() })
            .unwrap()
    }
}

/// Talks until the client has gone.
async fn talk(stream: TcpStream, acceptor: &TlsAcceptor, manner: Manner) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut control = BufReader::new(acceptor.accept(stream).await?);
    let mut passive = None;
    let mut offset = 0;
    say(&mut control, "220 ready").await?;
    loop {
        let mut line = String::new();
        if control.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let (verb, argument) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let content = match verb {
            "RETR" => &CONTENT[std::mem::take(&mut offset)..],
            _ => ROWS.as_bytes(),
        };
        let reply = match verb {
            "USER" => "331 password?".to_owned(),
            "PASS" => "230 in".to_owned(),
            "PWD" => "257 \"/\"".to_owned(),
            "CWD" if argument == "/" => "250 there".to_owned(),
            "CWD" => "550 no such folder".to_owned(),
            "SIZE" if manner.tells_size => format!("213 {}", CONTENT.len()),
            "MDTM" if manner.tells_size => "213 20200101000000".to_owned(),
            "FEAT" | "SIZE" | "MDTM" | "MLSD" | "MLST" => "500 what?".to_owned(),
            "REST" => {
                offset = argument.parse().map_err(std::io::Error::other)?;
                "350 from there".to_owned()
            }
            "EPSV" => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let port = listener.local_addr()?.port();
                passive = Some(listener);
                format!("229 here (|||{port}|)")
            }
            "RETR" | "LIST" => {
                let listener = passive.take().ok_or(std::io::ErrorKind::NotConnected)?;
                let (data, _) = listener.accept().await?;
                say(&mut control, "150 here it comes").await?;
                let mut data = acceptor.accept(data).await?;
                let len = if manner.sends_all { content.len() } else { content.len() / 2 };
                data.write_all(&content[..len]).await?;
                data.flush().await?;
                if manner.says_end {
                    data.shutdown().await?;
                }
                drop(data);
                "226 done".to_owned()
            }
            _ => "200 fine".to_owned(),
        };
        say(&mut control, &reply).await?;
    }
}

async fn say(control: &mut BufReader<TlsStream<TcpStream>>, reply: &str) -> std::io::Result<()> {
    control.write_all(format!("{reply}\r\n").as_bytes()).await?;
    control.flush().await
}

async fn names(tree: &FtpFs) -> Result<usize, Error> {
    Ok(tree.read_dir(&VPath::root(), &ListOptions::default()).await?.collect(10).await?.len())
}

async fn read(tree: &FtpFs) -> Result<Vec<u8>, Error> {
    let file = tree.open(&VPath::parse("/f").unwrap(), &OpenOptions::reading()).await?;
    let mut producer = of(file, ByteRange::whole()).peeked();
    let mut bytes = Vec::new();
    while let Some(chunk) = producer.more().await {
        match chunk? {
            Chunk::Bytes(piece) => bytes.extend_from_slice(&piece),
            Chunk::Span(_) => unreachable!("a remote file makes bytes"),
        }
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_listing_that_is_cut_is_not_whole() {
    let site = Site::start(Manner::default()).await;
    assert_eq!(names(&site.tree("")).await.unwrap_err().kind(), ErrorKind::Truncated);
    let site = Site::start(Manner { says_end: true, sends_all: true, ..Manner::default() }).await;
    assert_eq!(names(&site.tree("")).await.unwrap(), 2);
}

#[tokio::test]
async fn a_site_that_never_says_the_end_is_listed_where_the_mount_says_so() {
    let site = Site::start(Manner { sends_all: true, ..Manner::default() }).await;
    assert_eq!(names(&site.tree("")).await.unwrap_err().kind(), ErrorKind::Truncated);
    assert_eq!(names(&site.tree("?close-notify=optional")).await.unwrap(), 2);
}

#[tokio::test]
async fn a_file_that_is_cut_is_whole_where_its_length_is_met() {
    let site = Site::start(Manner { tells_size: true, sends_all: true, ..Manner::default() }).await;
    assert!(read(&site.tree("")).await.unwrap() == CONTENT);
    let site = Site::start(Manner::default()).await;
    let tree = site.tree("");
    // Nobody has listed it: its length is not known.
    assert_eq!(read(&tree).await.unwrap_err().kind(), ErrorKind::Truncated);
}

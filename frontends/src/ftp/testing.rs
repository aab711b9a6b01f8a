//! What the tests of this room share: a tree with awkward files, a server on port 0, and a client that reads replies.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use rustix::net::SendFlags;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream,
};
use tokio::net::{TcpSocket, TcpStream, ToSocketAddrs};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use vfs::backends::memory::MemoryFs;
use vfs::jobs::Disk;
use vfs::producer::{self, Producer, SpanFile};
use vfs::{
    ByteRange, Capabilities, DirStream, Error, ErrorKind, File, FileSystem, FileType, Identity, LinkTarget,
    ListOptions, Metadata, OpenOptions, RenameOptions, SetAttributes, StatOptions, VPath,
};

use super::session::{Ends, Session};
use super::{House, Options};
use crate::auth::{Auth, Users};
use crate::serve::{Address, Drain, Listener, Peer};
use crate::site::{Limits, Site};
use crate::transport::tls::testing::{Client as TlsClient, identity};
use crate::transport::tls::{Spoken, Tls};

/// A tree in memory, and beside it files that behave badly:
/// `/endless` has no end, `/broken` fails after a while, `/hung` is never described or opened, `/stuck` hangs after a while,
/// read or written, `/span` lies on a disk, `/full` takes 100,000 bytes, `/gated` is opened when its [`Gate`] is, and `/page` is
/// a folder of a site that cannot be listed.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) memory: MemoryFs,
    pub(super) gate: Gate,
    span: SpanFile,
    /// The last `/endless` that was opened.
    opened: Mutex<Weak<Endless>>,
}

/// What holds the opening of `/gated` back.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Somebody is waiting.
    pub(super) reached: Notify,
    /// Lets one in.
    pub(super) opened: Notify,
}

/// Length of `/span`.
pub(super) const SPAN_BYTES: usize = 3 << 20;

impl Tree {
    pub(super) async fn new(files: &[(&str, &[u8])]) -> Arc<Self> {
        let mut disk = tempfile::tempfile().unwrap();
        disk.write_all(&vec![7; SPAN_BYTES]).unwrap();
        let memory = MemoryFs::new();
        for (path, content) in files {
            let path = VPath::parse(path).unwrap();
            for len in 1..path.segments().len() {
                let _ = memory.create_dir(&path.prefix(len)).await;
            }
            let file = memory.open(&path, &OpenOptions::writing()).await.unwrap();
            file.write_at(0, Bytes::copy_from_slice(content)).await.unwrap();
        }
        let gate = Gate::default();
        Arc::new(Self { memory, gate, span: SpanFile::new(disk), opened: Mutex::default() })
    }

    /// Cuts `/span` short.
    pub(super) fn cut_span(&self, len: u64) {
        rustix::fs::ftruncate(&self.span, len).unwrap();
    }

    /// What a file holds; `None` where there is none.
    pub(super) async fn content(&self, path: &str) -> Option<Bytes> {
        let file = self.memory.open(&VPath::parse(path).unwrap(), &OpenOptions::reading()).await.ok()?;
        let mut content = Vec::new();
        loop {
            let piece = file.read_at(content.len() as u64, usize::MAX).await.unwrap();
            if piece.is_empty() {
                return Some(content.into());
            }
            content.extend_from_slice(&piece);
        }
    }

    /// True while a transfer holds `/endless` open.
    pub(super) fn is_endless_open(&self) -> bool {
        self.opened.lock().unwrap().upgrade().is_some()
    }
}

#[async_trait]
impl FileSystem for Tree {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        self.memory.capabilities(path)
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> vfs::Result<Metadata> {
        match &path.to_bytes()[..] {
            b"/hung" => std::future::pending().await,
            b"/endless" | b"/broken" | b"/span" | b"/stuck" => Ok(Metadata::new(FileType::File)),
            b"/page" => Ok(Metadata::new(FileType::Dir)),
            _ => self.memory.metadata(path, options).await,
        }
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> vfs::Result<DirStream> {
        match &path.to_bytes()[..] {
            b"/page" => Err(Error::new(ErrorKind::NotADirectory, "read_dir", path)),
            _ => self.memory.read_dir(path, options).await,
        }
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> vfs::Result<Arc<dyn File>> {
        match &path.to_bytes()[..] {
            b"/endless" => {
                let file = Arc::new(Endless { fails_at: u64::MAX, hangs_at: u64::MAX });
                *self.opened.lock().unwrap() = Arc::downgrade(&file);
                Ok(file)
            }
            b"/hung" => std::future::pending().await,
            b"/gated" => {
                self.gate.reached.notify_one();
                self.gate.opened.notified().await;
                self.memory.open(path, options).await
            }
            b"/broken" => Ok(Arc::new(Endless { fails_at: 100_000, hangs_at: u64::MAX })),
            b"/stuck" => Ok(Arc::new(Endless { fails_at: u64::MAX, hangs_at: 100_000 })),
            b"/span" => Ok(Arc::new(OnDisk(self.span.clone()))),
            b"/full" if options.write => Ok(Arc::new(Full(self.memory.open(path, options).await?))),
            _ => self.memory.open(path, options).await,
        }
    }

    async fn read_link(&self, path: &VPath) -> vfs::Result<LinkTarget> {
        self.memory.read_link(path).await
    }

    async fn create_dir(&self, path: &VPath) -> vfs::Result<()> {
        self.memory.create_dir(path).await
    }

    async fn remove_file(&self, path: &VPath) -> vfs::Result<()> {
        self.memory.remove_file(path).await
    }

    async fn remove_dir(&self, path: &VPath) -> vfs::Result<()> {
        self.memory.remove_dir(path).await
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> vfs::Result<()> {
        self.memory.rename(from, to, options).await
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> vfs::Result<()> {
        self.memory.symlink(target, path).await
    }

    async fn set_attributes(&self, path: &VPath, set: &SetAttributes, follow: bool) -> vfs::Result<()> {
        self.memory.set_attributes(path, set, follow).await
    }
}

#[derive(Debug)]
struct Endless {
    fails_at: u64,
    hangs_at: u64,
}

#[async_trait]
impl File for Endless {
    async fn metadata(&self) -> vfs::Result<Metadata> {
        Ok(Metadata::new(FileType::File))
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    async fn read_at(&self, offset: u64, max: usize) -> vfs::Result<Bytes> {
        if offset >= self.hangs_at {
            return std::future::pending().await;
        }
        if offset >= self.fails_at {
            return Err(Error::new(ErrorKind::Unavailable, "read_at", &VPath::root()));
        }
        Ok(vec![b'x'; max.min(50_000)].into())
    }

    async fn write_at(&self, _offset: u64, _data: Bytes) -> vfs::Result<()> {
        std::future::pending().await
    }
}

/// A file on a disk that is full soon.
#[derive(Debug)]
struct Full(Arc<dyn File>);

#[async_trait]
impl File for Full {
    async fn metadata(&self) -> vfs::Result<Metadata> {
        self.0.metadata().await
    }

    fn identity(&self) -> Option<Identity> {
        self.0.identity()
    }

    async fn read_at(&self, offset: u64, max: usize) -> vfs::Result<Bytes> {
        self.0.read_at(offset, max).await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> vfs::Result<()> {
        if offset + data.len() as u64 > 100_000 {
            return Err(Error::new(ErrorKind::StorageFull, "write_at", &VPath::root()));
        }
        self.0.write_at(offset, data).await
    }

    async fn finish(&self) -> vfs::Result<()> {
        self.0.finish().await
    }
}

#[derive(Debug)]
struct OnDisk(SpanFile);

#[async_trait]
impl File for OnDisk {
    async fn metadata(&self) -> vfs::Result<Metadata> {
        Ok(Metadata { len: Some(SPAN_BYTES as u64), ..Metadata::new(FileType::File) })
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    async fn read_at(&self, _offset: u64, _max: usize) -> vfs::Result<Bytes> {
        unreachable!("it has a better way")
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        let len = range.len().unwrap_or(SPAN_BYTES as u64 - range.start);
        Some(Box::new(producer::file(self.0.clone(), range.start, len, &Disk::new())))
    }
}

/// A server on the loopback.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) tree: Arc<Tree>,
    pub(super) site: Arc<Site>,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) server: JoinHandle<()>,
}

impl Running {
    pub(super) async fn start(files: &[(&str, &[u8])]) -> Self {
        Self::start_with(files, Limits::default(), writable()).await
    }

    pub(super) async fn start_with(files: &[(&str, &[u8])], limits: Limits, options: Options) -> Self {
        Self::start_site(files, limits, options, |tree| tree).await
    }

    /// A server of the tree that `over` makes of the one with `files`.
    pub(super) async fn start_over(
        over: impl FnOnce(Arc<dyn FileSystem>) -> Arc<dyn FileSystem>,
        files: &[(&str, &[u8])],
    ) -> Self {
        Self::start_site(files, Limits::default(), writable(), over).await
    }

    /// A server with TLS, for `users`.
    pub(super) async fn start_secure(files: &[(&str, &[u8])], options: Options, users: Users) -> Self {
        let tree = Tree::new(files).await;
        let mut site = Site::new(Arc::clone(&tree) as Arc<dyn FileSystem>);
        site.auth = Arc::new(Auth::new(users));
        site.tls = Some(Tls::new(vec![identity("a.example")], Spoken::Ftp).unwrap());
        Self::start_whole(tree, Arc::new(site), options).await
    }

    /// A server at another address than the others.
    pub(super) async fn start_at(address: &str, files: &[(&str, &[u8])]) -> Self {
        let tree = Tree::new(files).await;
        let site = site(Arc::clone(&tree) as Arc<dyn FileSystem>, Limits::default());
        Self::start_whole_at(address, tree, site, writable()).await
    }

    /// A server of the tree that `over` makes of the one with `files`, within `limits`.
    pub(super) async fn start_site(
        files: &[(&str, &[u8])],
        limits: Limits,
        options: Options,
        over: impl FnOnce(Arc<dyn FileSystem>) -> Arc<dyn FileSystem>,
    ) -> Self {
        let tree = Tree::new(files).await;
        let site = site(over(Arc::clone(&tree) as Arc<dyn FileSystem>), limits);
        Self::start_whole(tree, site, options).await
    }

    async fn start_whole(tree: Arc<Tree>, site: Arc<Site>, options: Options) -> Self {
        Self::start_whole_at("127.0.0.1:0", tree, site, options).await
    }

    async fn start_whole_at(address: &str, tree: Arc<Tree>, site: Arc<Site>, options: Options) -> Self {
        let listener = Listener::bind(&address.parse().unwrap()).await.unwrap();
        let Address::Tcp(address) = listener.local_address() else { unreachable!("bound to TCP") };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let server = tokio::spawn(super::serve(listener, Arc::clone(&site), options, shutdown));
        Self { address, tree, site, stop, server }
    }

    /// A client that has read the greeting.
    pub(super) async fn connect(&self) -> Client<TcpStream> {
        self.connect_to(self.address).await
    }

    /// The same, where it is reached at `address`.
    pub(super) async fn connect_to(&self, address: impl ToSocketAddrs) -> Client<TcpStream> {
        let mut client = Client::new(TcpStream::connect(address).await.unwrap());
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    /// A client that is logged in, in TYPE I.
    pub(super) async fn log_in(&self) -> Client<TcpStream> {
        let mut client = self.connect().await;
        client.log_in().await;
        client
    }

    /// The same, for a client whose address is `from`.
    pub(super) async fn log_in_from(&self, from: &str) -> Client<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        let mut client = Client::new(socket.connect(self.address).await.unwrap());
        assert!(client.reply().await.starts_with("220 "));
        client.log_in().await;
        client
    }

    /// Waits until nothing is left of any session.
    pub(super) async fn until_empty(&self) {
        let sight = &self.site.sight;
        while sight.connections.get() + sight.sessions.get() + sight.transfers.get() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Lets the one login that there is, the guest's, do all that the tree allows.
pub(super) fn writable() -> Options {
    Options { guests_overwrite: true, ..Options::default() }
}

fn site(tree: Arc<dyn FileSystem>, limits: Limits) -> Arc<Site> {
    let mut site = Site::new(tree);
    site.limits = limits;
    Arc::new(site)
}

/// A session without a listener, its control connection in memory: for tests that pause time. It is told that its peer
/// is at 127.0.0.1.
pub(super) async fn session(limits: Limits) -> (Client<DuplexStream>, JoinHandle<()>, watch::Sender<bool>) {
    let tree = Tree::new(&[("/file", b"content")]).await;
    let house = House::new(site(tree, limits), Options::default());
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let local: SocketAddr = "127.0.0.1:21".parse().unwrap();
    let ends = Ends { peer: Peer::Host(local.ip()), local: Some(local) };
    let (stop, drain) = Drain::new();
    let session = Session::new(Arc::new(house), Box::new(ours), ends).run(drain);
    let mut client = Client::new(theirs);
    let running = tokio::spawn(session);
    assert!(client.reply().await.starts_with("220 "));
    (client, running, stop)
}

/// The client's end of a control connection.
pub(super) struct Client<S>(BufReader<S>);

impl Client<TlsStream<TcpStream>> {
    /// A client inside TLS from the start.
    pub(super) async fn secure(address: SocketAddr, tls: &TlsClient) -> Self {
        Client::new(TcpStream::connect(address).await.unwrap()).secured(tls).await
    }
}

impl Client<TcpStream> {
    /// The same session inside TLS.
    pub(super) async fn secured(self, tls: &TlsClient) -> Client<TlsStream<TcpStream>> {
        Client::new(tls.connect("a.example", self.into_inner()).await.unwrap())
    }

    /// Its connection.
    pub(super) fn into_inner(self) -> TcpStream {
        self.0.into_inner()
    }

    /// Sends bytes, the last of them as urgent data (`MSG_OOB`).
    pub(super) fn send_now(&mut self, bytes: &[u8], is_urgent: bool) {
        let flags = if is_urgent { SendFlags::OOB } else { SendFlags::empty() };
        assert_eq!(rustix::net::send(self.0.get_ref(), bytes, flags).unwrap(), bytes.len());
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(super) async fn log_in(&mut self) {
        self.ask("USER anonymous").await;
        assert!(self.ask("PASS me@").await.starts_with("230 "));
        self.ask("TYPE I").await;
    }

    /// Sends bytes as they are.
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// As [`Client::send`], where the server may close meanwhile.
    pub(super) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref()).await
    }

    /// One whole reply, empty at the end of the connection. Bytes that are no UTF-8 come escaped.
    pub(super) async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = Vec::new();
            // A reset connection has said all it had to say.
            let read = self.0.read_until(b'\n', &mut line).await.unwrap_or(0);
            reply.extend(
                line.utf8_chunks().map(|part| format!("{}{}", part.valid(), part.invalid().escape_ascii())),
            );
            let is_last = line.len() > 3 && line[..3].iter().all(u8::is_ascii_digit) && line[3] == b' ';
            if read == 0 || is_last {
                return reply;
            }
        }
    }

    /// Sends a line and reads its reply.
    pub(super) async fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n")).await;
        self.reply().await
    }

    /// The port of an EPSV.
    pub(super) async fn port(&mut self) -> u16 {
        let reply = self.ask("EPSV").await;
        let port = reply.split('|').nth(3).unwrap_or_else(|| panic!("no port in {reply:?}"));
        port.parse().unwrap()
    }

    /// A data connection for the next transfer.
    pub(super) async fn data(&mut self) -> TcpStream {
        let port = self.port().await;
        TcpStream::connect(("127.0.0.1", port)).await.unwrap()
    }

    /// Runs a transfer command: what came over the data connection, and the last reply.
    pub(super) async fn fetch(&mut self, line: &str) -> (Vec<u8>, String) {
        let mut data = self.data().await;
        let first = self.ask(line).await;
        if !first.starts_with("150 ") {
            return (Vec::new(), first);
        }
        let mut content = Vec::new();
        data.read_to_end(&mut content).await.unwrap();
        (content, self.reply().await)
    }

    /// Sends a file: the last reply.
    pub(super) async fn store(&mut self, line: &str, content: &[u8]) -> String {
        let mut data = self.data().await;
        let first = self.ask(line).await;
        if !first.starts_with("150 ") {
            return first;
        }
        // A server that has enough of it closes, and says why.
        let _ = data.write_all(content).await;
        let _ = data.shutdown().await;
        self.reply().await
    }

    /// Begins to fetch `/endless`, and goes on once the server cannot send any more.
    pub(super) async fn stall(&mut self, running: &Running) -> TcpStream {
        let data = self.data().await;
        assert!(self.ask("RETR endless").await.starts_with("150 "));
        let sent = || running.site.sight.transferred_bytes.get();
        let mut before = u64::MAX;
        // The socket is full when a whole round trip on the control connection brings no byte more.
        while before != sent() || before == 0 {
            before = sent();
            assert!(self.ask("NOOP").await.starts_with("200 "));
        }
        data
    }
}

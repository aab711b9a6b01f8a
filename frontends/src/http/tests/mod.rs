//! The front end as a client meets it: raw bytes over TCP, pipes in memory, and a real HTTP/2 client.

mod changes;
mod codings;
mod content;
mod deadlines;
mod frames;
mod guard;
mod hosts;
mod log;
mod odd;
mod pages;
mod raw;
mod second;
mod zero_copy;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vfs::backends::memory::MemoryFs;
use vfs::layers::ReadOnly;
use vfs::{FileSystem, OpenOptions, VPath};

use super::{Means, Options, Pages, connection, serve};
use crate::serve::{Address, Drain, Listener, Peer};
use crate::site::{Limits, Site};

/// A running front end on a free port.
struct Server {
    address: SocketAddr,
    site: Arc<Site>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// One answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Server {
    /// Over a tree that takes no changes.
    async fn start(tree: impl FileSystem) -> Self {
        Self::with_limits(ReadOnly::new(Arc::new(tree)), Limits::default()).await
    }

    /// Over a tree that takes changes where it does.
    async fn writable(tree: impl FileSystem) -> Self {
        Self::with_limits(tree, Limits::default()).await
    }

    async fn with_limits(tree: impl FileSystem, limits: Limits) -> Self {
        Self::over(site(tree, limits), Options::default()).await
    }

    async fn with(tree: impl FileSystem, limits: Limits, options: Options) -> Self {
        Self::over(site(tree, limits), options).await
    }

    async fn of(site: Site) -> Self {
        Self::over(Arc::new(site), Options::default()).await
    }

    async fn over(site: Arc<Site>, options: Options) -> Self {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let Address::Tcp(address) = listener.local_address() else { unreachable!("bound to TCP") };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, Arc::clone(&site), options, async {
            let _ = stopped.await;
        }));
        Self { address, site, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `request` and reads until the server closes.
    async fn exchange(&self, request: impl AsRef<[u8]>) -> Vec<u8> {
        exchange(self.connect().await, request).await
    }

    /// GET with more fields, on a connection of its own.
    async fn get(&self, target: &str, fields: &str) -> Reply {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
        Reply::only(&self.exchange(request).await)
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

impl Reply {
    /// The answer that `bytes` holds, and nothing after it.
    fn only(bytes: &[u8]) -> Self {
        let mut replies = Self::all(bytes);
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.remove(0)
    }

    /// The answers in `bytes`, to requests other than HEAD.
    fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut replies = Vec::new();
        while !bytes.is_empty() {
            replies.push(Self::take(&mut bytes, false));
        }
        replies
    }

    /// Takes one answer off the front. Panics where it is not whole.
    fn take(bytes: &mut &[u8], to_head: bool) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        *bytes = &bytes[end..];
        let status = head[9..12].parse().unwrap();
        let mut reply = Self { status, head, body: Vec::new() };
        if to_head || matches!(status, 204 | 304) {
            return reply;
        }
        if reply.field("transfer-encoding") == Some("chunked") {
            while reply.take_chunk(bytes) {}
            return reply;
        }
        let len = reply.field("content-length").map_or(bytes.len(), |len| len.parse().unwrap());
        reply.body = bytes[..len].to_vec();
        *bytes = &bytes[len..];
        reply
    }

    /// Takes one chunk off the front; false for the last one.
    fn take_chunk(&mut self, bytes: &mut &[u8]) -> bool {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a whole chunk size");
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        let chunk = &bytes[end + 2..];
        self.body.extend_from_slice(&chunk[..len]);
        assert_eq!(&chunk[len..len + 2], b"\r\n");
        *bytes = &chunk[len + 2..];
        len > 0
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn site(tree: impl FileSystem, limits: Limits) -> Arc<Site> {
    let mut site = Site::new(Arc::new(tree));
    site.limits = limits;
    Arc::new(site)
}

/// A connection in memory, whose pipes hold `room` bytes.
fn pipe(site: &Arc<Site>, options: Options, room: usize) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(room);
    let (never, drain) = Drain::new();
    let (site, options) = (Arc::clone(site), Arc::new(options));
    let serving = tokio::spawn(async move {
        let _never = never;
        connection::run(theirs, Peer::Local, site, options, Means::new(), drain).await;
    });
    (ours, serving)
}

async fn exchange(mut stream: TcpStream, request: impl AsRef<[u8]>) -> Vec<u8> {
    stream.write_all(request.as_ref()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// Reads one answer with a `Content-Length` from an open connection.
async fn read_reply(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Reply {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    let mut reply = Reply::take(&mut &bytes[..], true);
    let len = reply.field("content-length").map_or(0, |len| len.parse().unwrap());
    reply.body = vec![0; len];
    stream.read_exact(&mut reply.body).await.unwrap();
    reply
}

/// A tree in memory with these files; their folders are made on the way.
async fn tree(files: &[(&[u8], &[u8])]) -> MemoryFs {
    let tree = MemoryFs::new();
    for (path, content) in files {
        write(&tree, &VPath::parse(path).unwrap(), content).await;
    }
    tree
}

async fn write(tree: &dyn FileSystem, path: &VPath, content: &[u8]) {
    for count in 1..path.segments().len() {
        let _ = tree.create_dir(&path.prefix(count)).await;
    }
    let file = tree.open(path, &OpenOptions::writing()).await.unwrap();
    file.write_at(0, Bytes::copy_from_slice(content)).await.unwrap();
    file.finish().await.unwrap();
}

/// Bytes that are alike only at distances of a prime number, so that no piece stands for another of the same place in
/// its page or span.
fn pattern(len: usize) -> Vec<u8> {
    let period: Vec<_> =
        (0..65_521_u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let mut bytes = period.repeat(len.div_ceil(period.len()));
    bytes.truncate(len);
    bytes
}

//! Accepting connections for every front end: listeners, limits and drain.

mod census;
mod listener;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::census::Full;
pub(crate) use self::census::{Census, Resident};
pub use self::listener::{Address, AddressError, Listener};
use crate::site::Site;
use crate::transport::Stream;
use crate::transport::proxy::read_header;

/// Shortest and longest pause after an accept failed (no descriptors left, say).
const ACCEPT_PAUSE: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(1)];

/// What a front end does with its connections.
#[async_trait]
pub trait Protocol: Send + Sync + 'static {
    /// Serves one connection to its end. After [`Drain::started`] it finishes what is under way and returns.
    /// Dropped where that takes longer than [`Limits::drain`](crate::Limits::drain).
    async fn serve(&self, stream: Stream, peer: Peer, drain: Drain);

    /// What becomes of a connection that comes to a full house. Default: it waits.
    fn when_full(&self) -> WhenFull {
        WhenFull::Wait
    }

    /// Says that there are too many connections, and where. Gets one second, and is not called for more than 32 connections at
    /// once.
    async fn turn_away(&self, stream: Stream, crowd: Crowd);
}

/// What becomes of a connection that comes when there are [`Limits::connections`](crate::Limits::connections).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits in the kernel's backlog until another one ends: for protocols whose clients speak first, and whose connections
    /// are short.
    Wait,
    /// It is turned away: for protocols whose clients wait for a greeting, and whose sessions may last for hours.
    Say,
}

/// Of what there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowd {
    /// Connections of the listener.
    House,
    /// Connections from the peer's address.
    Address,
}

/// Who is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A host, with IPv4-mapped addresses as IPv4.
    Host(IpAddr),
    /// A process on this machine, through a Unix socket.
    Local,
}

/// Tells a connection that the front end is stopping.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

impl Drain {
    /// A drain and what starts it, for a connection without a listener.
    #[cfg(test)]
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (stop, drain) = watch::channel(false);
        (stop, Self(drain))
    }

    /// Resolves when the stop was asked for; at once where it was before.
    pub async fn started(&mut self) {
        // The sender lives until the last connection has ended; a lost one means the same.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }

    /// True once the stop was asked for.
    pub fn has_started(&self) -> bool {
        *self.0.borrow()
    }
}

/// Accepts connections on `listener` until `shutdown` resolves, then waits for those that are open, at most
/// [`Limits::drain`](crate::Limits::drain). Dropping the future ends them all at once.
pub async fn serve(
    listener: Listener,
    protocol: Arc<dyn Protocol>,
    site: Arc<Site>,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, drain) = watch::channel(false);
    let house = House::new(&site, drain);
    // Its connections live and die with this set.
    let mut connections = JoinSet::new();
    tokio::select! {
        () = shutdown => {}
        () = house.accept(&listener, &protocol, &mut connections) => {}
    }
    drop(listener);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(site.limits.drain, ended).await.is_err() {
        tracing::warn!(left = connections.len(), "connections did not end in time and are cut");
    }
}

/// Connections at once that are told that they are too many. More are closed without a word, so that whoever keeps them
/// coming takes no room from others.
const TURNED_AWAY: usize = 32;

/// How long a connection that is turned away has to listen.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// The room that a listener has for connections.
struct House {
    places: Arc<Semaphore>,
    doorstep: Arc<Semaphore>,
    census: Census,
    site: Arc<Site>,
    drain: Drain,
}

/// What a connection holds while it is open; all of it is given back when the connection's task ends.
struct Place {
    /// One of [`Limits::connections`](crate::Limits::connections).
    _permit: OwnedSemaphorePermit,
    /// One of [`Limits::connections_per_address`](crate::Limits::connections_per_address).
    _resident: Option<Resident>,
    /// Counts the connection as open.
    _open: Open,
}

struct Open(Arc<Site>);

/// Room for a connection that comes next.
enum Room {
    /// It may stay.
    Place(OwnedSemaphorePermit),
    /// It is turned away.
    Doorstep(OwnedSemaphorePermit),
}

impl House {
    fn new(site: &Arc<Site>, drain: watch::Receiver<bool>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(site.limits.connections.min(Semaphore::MAX_PERMITS))),
            doorstep: Arc::new(Semaphore::new(TURNED_AWAY)),
            census: Census::new(site.limits.connections_per_address),
            site: Arc::clone(site),
            drain: Drain(drain),
        }
    }

    async fn accept(&self, listener: &Listener, protocol: &Arc<dyn Protocol>, connections: &mut JoinSet<()>) {
        let mut pause = ACCEPT_PAUSE[0];
        // Before accept, so that a full house stops accepting, at the latest where enough are being turned away.
        while let Some(room) = self.room(protocol.when_full()).await {
            match listener.accept(&self.site.sight).await {
                Ok((stream, peer)) => {
                    pause = ACCEPT_PAUSE[0];
                    let stream = stream.paced(&self.site.rates);
                    match room.or_freed(&self.places) {
                        Room::Place(permit) => self.admit(stream, peer, permit, protocol, connections),
                        Room::Doorstep(step) => self.refuse(stream, peer, step, protocol, connections),
                    }
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, ?pause, "cannot accept connections; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE[1]);
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }

    /// Waits for room for one connection more; never `None` while the house stands.
    async fn room(&self, when_full: WhenFull) -> Option<Room> {
        let place = async { Arc::clone(&self.places).acquire_owned().await.ok().map(Room::Place) };
        match when_full {
            WhenFull::Wait => place.await,
            WhenFull::Say => tokio::select! {
                biased;
                place = place => place,
                step = Arc::clone(&self.doorstep).acquire_owned() => step.ok().map(Room::Doorstep),
            },
        }
    }

    fn admit(
        &self,
        stream: Stream,
        peer: Peer,
        permit: OwnedSemaphorePermit,
        protocol: &Arc<dyn Protocol>,
        connections: &mut JoinSet<()>,
    ) {
        let protocol = Arc::clone(protocol);
        let open = Open::new(&self.site);
        if self.site.proxies.iter().any(|network| network.contains(peer)) {
            return self.admit_proxied(stream, peer, (permit, open), protocol, connections);
        }
        let Ok(resident) = self.census.enter(peer) else {
            drop(permit);
            self.site.sight.refused.add(1);
            let Ok(step) = Arc::clone(&self.doorstep).try_acquire_owned() else { return };
            connections.spawn(async move {
                let _until_the_end = (step, open);
                say_goodbye(&*protocol, stream, Crowd::Address).await;
            });
            return;
        };
        let place = Place { _permit: permit, _resident: resident, _open: open };
        let drain = self.drain.clone();
        connections.spawn(async move {
            let _place = place;
            protocol.serve(stream, peer, drain).await;
        });
    }

    /// Asks a proxy for whom it is connected, and counts the connection for that one.
    fn admit_proxied(
        &self,
        mut stream: Stream,
        proxy: Peer,
        (permit, open): (OwnedSemaphorePermit, Open),
        protocol: Arc<dyn Protocol>,
        connections: &mut JoinSet<()>,
    ) {
        let (census, drain, site) = (self.census.clone(), self.drain.clone(), Arc::clone(&self.site));
        connections.spawn(async move {
            let peer = match read_header(&mut stream).await {
                Ok(named) => named.map_or(proxy, Peer::Host),
                Err(error) => return tracing::warn!(%proxy, %error, "a connection of a proxy was closed"),
            };
            match census.enter(peer) {
                Ok(resident) => {
                    let _place = Place { _permit: permit, _resident: resident, _open: open };
                    protocol.serve(stream, peer, drain).await;
                }
                Err(Full) => {
                    site.sight.refused.add(1);
                    let _until_the_end = (permit, open);
                    say_goodbye(&*protocol, stream, Crowd::Address).await;
                }
            }
        });
    }
}

impl House {
    /// Turns away who came to a full house. What a proxy says first is read first: a socket that is closed with something
    /// unread would take the last word back (RFC 1122 §4.2.2.13).
    fn refuse(
        &self,
        mut stream: Stream,
        peer: Peer,
        step: OwnedSemaphorePermit,
        protocol: &Arc<dyn Protocol>,
        connections: &mut JoinSet<()>,
    ) {
        self.site.sight.refused.add(1);
        let (protocol, open) = (Arc::clone(protocol), Open::new(&self.site));
        let is_proxied = self.site.proxies.iter().any(|network| network.contains(peer));
        connections.spawn(async move {
            let _until_the_end = (step, open);
            if is_proxied && !matches!(timeout(FAREWELL_TIME, read_header(&mut stream)).await, Ok(Ok(_))) {
                return;
            }
            say_goodbye(&*protocol, stream, Crowd::House).await;
        });
    }
}

async fn say_goodbye(protocol: &dyn Protocol, stream: Stream, crowd: Crowd) {
    let _ = timeout(FAREWELL_TIME, protocol.turn_away(stream, crowd)).await;
}

impl Room {
    /// A place instead of the doorstep, where one was freed meanwhile.
    fn or_freed(self, places: &Arc<Semaphore>) -> Self {
        match self {
            Self::Doorstep(step) => match Arc::clone(places).try_acquire_owned() {
                Ok(permit) => Self::Place(permit),
                Err(_) => Self::Doorstep(step),
            },
            place => place,
        }
    }
}

impl Open {
    fn new(site: &Arc<Site>) -> Self {
        site.sight.accepted.add(1);
        site.sight.connections.add(1);
        Self(Arc::clone(site))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.sight.connections.sub(1);
    }
}

/// Some errors of accept(2) belong to the connection that was about to be accepted: it is gone, the next one is fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(address) => write!(f, "{address}"),
            Self::Local => f.write_str("local"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use vfs::{
        Capabilities, DirStream, File, FileSystem, ListOptions, Metadata, OpenOptions, StatOptions, VPath,
    };

    use super::*;
    use crate::site::Limits;

    /// No protocol here looks at the tree.
    #[derive(Debug)]
    struct NoTree;

    #[async_trait]
    impl FileSystem for NoTree {
        fn capabilities(&self, _path: &VPath) -> Capabilities {
            Capabilities::default()
        }

        async fn metadata(&self, _path: &VPath, _options: &StatOptions) -> vfs::Result<Metadata> {
            unreachable!("no protocol of these tests asks")
        }

        async fn read_dir(&self, _path: &VPath, _options: &ListOptions) -> vfs::Result<DirStream> {
            unreachable!("no protocol of these tests asks")
        }

        async fn open(&self, _path: &VPath, _options: &OpenOptions) -> vfs::Result<Arc<dyn File>> {
            unreachable!("no protocol of these tests asks")
        }
    }

    /// Says `hello`, waits for a byte or the drain, says `bye`.
    struct Greeter;

    #[async_trait]
    impl Protocol for Greeter {
        async fn serve(&self, mut stream: Stream, _peer: Peer, mut drain: Drain) {
            let _ = stream.write_all(b"hello").await;
            let mut byte = [0];
            tokio::select! {
                _ = stream.read(&mut byte) => {}
                () = drain.started() => {}
            }
            let _ = stream.write_all(b"bye").await;
        }

        async fn turn_away(&self, mut stream: Stream, crowd: Crowd) {
            assert_eq!(crowd, Crowd::Address);
            let _ = stream.write_all(b"full").await;
        }
    }

    /// Never ends by itself.
    struct Deaf;

    #[async_trait]
    impl Protocol for Deaf {
        async fn serve(&self, _stream: Stream, _peer: Peer, _drain: Drain) {
            std::future::pending().await
        }

        async fn turn_away(&self, _stream: Stream, _crowd: Crowd) {
            std::future::pending().await
        }
    }

    /// A greeter that says when it is full.
    struct Speaker;

    #[async_trait]
    impl Protocol for Speaker {
        async fn serve(&self, stream: Stream, peer: Peer, drain: Drain) {
            Greeter.serve(stream, peer, drain).await;
        }

        fn when_full(&self) -> WhenFull {
            WhenFull::Say
        }

        async fn turn_away(&self, mut stream: Stream, crowd: Crowd) {
            let _ = stream.write_all(format!("{crowd:?}").as_bytes()).await;
        }
    }

    struct Running {
        address: std::net::SocketAddr,
        site: Arc<Site>,
        stop: oneshot::Sender<()>,
        server: tokio::task::JoinHandle<()>,
    }

    async fn start(protocol: impl Protocol, limits: Limits) -> Running {
        let mut site = Site::new(Arc::new(NoTree));
        site.limits = limits;
        let site = Arc::new(site);
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let Address::Tcp(address) = listener.local_address() else { unreachable!("bound to TCP") };
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, Arc::new(protocol), Arc::clone(&site), async {
            let _ = stopped.await;
        }));
        Running { address, site, stop, server }
    }

    async fn read(stream: &mut TcpStream, len: usize) -> String {
        let mut bytes = vec![0; len];
        stream.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_stop_lets_connections_finish() {
        let running = start(Greeter, Limits::default()).await;
        let mut client = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(read(&mut client, 5).await, "hello");
        assert_eq!(running.site.sight.connections.get(), 1);
        running.stop.send(()).unwrap();
        assert_eq!(read(&mut client, 3).await, "bye");
        running.server.await.unwrap();
        assert_eq!(running.site.sight.connections.get(), 0);
        assert!(TcpStream::connect(running.address).await.is_err());
    }

    #[tokio::test]
    async fn a_connection_that_will_not_end_is_cut_after_the_drain_time() {
        let limits = Limits { drain: Duration::from_millis(20), ..Limits::default() };
        let running = start(Deaf, limits).await;
        let mut client = TcpStream::connect(running.address).await.unwrap();
        while running.site.sight.accepted.get() == 0 {
            tokio::task::yield_now().await;
        }
        running.stop.send(()).unwrap();
        running.server.await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn one_connection_too_many_from_an_address_is_turned_away() {
        let limits = Limits { connections_per_address: 1, ..Limits::default() };
        let running = start(Greeter, limits).await;
        let mut first = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(read(&mut first, 5).await, "hello");
        let mut second = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(read(&mut second, 4).await, "full");
        assert_eq!(running.site.sight.refused.get(), 1);
        first.write_all(b"x").await.unwrap();
        assert_eq!(read(&mut first, 3).await, "bye");
        assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
        while running.site.sight.connections.get() > 0 {
            tokio::task::yield_now().await;
        }
        let mut third = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(read(&mut third, 5).await, "hello");
    }

    #[tokio::test]
    async fn who_is_turned_away_takes_no_room_from_others() {
        let limits = Limits { connections: 2, connections_per_address: 1, ..Limits::default() };
        let running = start(Deaf, limits).await;
        let mut kept = Vec::new();
        for _ in 0..2 * TURNED_AWAY {
            kept.push(TcpStream::connect(running.address).await.unwrap());
        }
        while running.site.sight.accepted.get() < kept.len() as u64 {
            tokio::task::yield_now().await;
        }
        assert_eq!(running.site.sight.refused.get(), kept.len() as u64 - 1);
        assert!(running.site.sight.connections.get() <= 1 + TURNED_AWAY as u64);
    }

    #[tokio::test]
    async fn a_full_house_leaves_the_next_one_in_the_backlog() {
        let limits = Limits { connections: 1, ..Limits::default() };
        let running = start(Greeter, limits).await;
        let mut first = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(read(&mut first, 5).await, "hello");
        let mut second = TcpStream::connect(running.address).await.unwrap();
        first.write_all(b"x").await.unwrap();
        assert_eq!(read(&mut second, 5).await, "hello");
        assert_eq!(running.site.sight.accepted.get(), 2);
    }

    #[tokio::test]
    async fn a_full_house_that_speaks_says_so_and_takes_the_next_one_when_there_is_room() {
        let running = start(Speaker, Limits { connections: 1, ..Limits::default() }).await;
        let mut first = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(read(&mut first, 5).await, "hello");
        for _ in 0..2 * TURNED_AWAY {
            let mut second = TcpStream::connect(running.address).await.unwrap();
            let mut said = String::new();
            second.read_to_string(&mut said).await.unwrap();
            assert_eq!(said, "House");
        }
        assert_eq!(running.site.sight.refused.get(), 2 * TURNED_AWAY as u64);
        first.write_all(b"x").await.unwrap();
        assert_eq!(read(&mut first, 3).await, "bye");
        while running.site.sight.connections.get() > 0 {
            tokio::task::yield_now().await;
        }
        let mut third = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(read(&mut third, 5).await, "hello");
    }
}

//! Where clients' data connections come to: one reservation a session, open to the control connection's peer alone
//! (RFC 2577 §3).
//!
//! A port of a range serves as many sessions at once as there are client addresses: who comes is told apart by where from.
//! So a small range, as firewalls have it, does not limit how many clients there are. No task stands behind a port:
//! whichever session is woken takes in all that came, and hands it to those that it is for.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::sight::Sight;
use crate::transport::Stream;

/// Connections that wait to be accepted, the strangers among them included.
const BACKLOG: i32 = 64;

/// Ports of a range that are tried for one reservation.
const MAX_TRIES: u16 = 256;

/// The ports for data connections, shared by all sessions of a listener.
#[derive(Debug)]
pub(super) struct Ports {
    /// `None`: any port that is free, each for one session.
    range: Option<RangeInclusive<u16>>,
    /// Ports of the range that are open, by their local address. What nobody holds any more is closed already.
    open: Mutex<HashMap<SocketAddr, Weak<Port>>>,
}

/// The place of one session at a port. Dropping it gives the place back; the last one closes the port.
#[derive(Debug)]
pub(super) struct Passive {
    port: Arc<Port>,
    peer: IpAddr,
}

/// An open port, and those who wait for their connection there.
#[derive(Debug)]
struct Port {
    listener: TcpListener,
    address: SocketAddr,
    waiting: Mutex<HashMap<IpAddr, Place>>,
}

/// What a session waits for.
#[derive(Debug, Default)]
struct Place {
    came: Option<TcpStream>,
    waker: Option<Waker>,
}

impl Ports {
    /// The ports of `range`, or any.
    pub(super) fn new(range: Option<RangeInclusive<u16>>) -> Self {
        Self { range, open: Mutex::default() }
    }

    /// Listens on `local` for `peer`, on a port that cannot be foretold and where nobody of the same address waits.
    ///
    /// # Errors
    /// `AddrInUse` where no port is free; else what the system says.
    pub(super) fn reserve(&self, local: SocketAddr, peer: IpAddr) -> io::Result<Passive> {
        match &self.range {
            None => Ok(Passive::at(Arc::new(Port::open(local)?), peer)),
            Some(range) => self.reserve_within(range, local, peer),
        }
    }

    /// Tries the ports of a range from a random one on.
    fn reserve_within(
        &self,
        range: &RangeInclusive<u16>,
        local: SocketAddr,
        peer: IpAddr,
    ) -> io::Result<Passive> {
        let count = u64::from(range.end().saturating_sub(*range.start())) + 1;
        // The keys of a `RandomState` are random; hashing nothing yields a number that nobody can foretell.
        let start = RandomState::new().hash_one(()) % count;
        let mut open = lock(&self.open);
        for at in 0..count.min(u64::from(MAX_TRIES)) {
            let port = u64::from(*range.start()) + (start + at) % count;
            let mut address = local;
            address.set_port(u16::try_from(port).map_err(|_| io::ErrorKind::AddrInUse)?);
            match open.get(&address).and_then(Weak::upgrade) {
                Some(port) if lock(&port.waiting).contains_key(&peer) => {}
                Some(port) => return Ok(Passive::at(port, peer)),
                None => match Port::open(address) {
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    Err(error) => return Err(error),
                    Ok(port) => {
                        let port = Arc::new(port);
                        // One entry a port of the range at most: it needs no sweeping.
                        open.insert(address, Arc::downgrade(&port));
                        return Ok(Passive::at(port, peer));
                    }
                },
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }
}

impl Passive {
    fn at(port: Arc<Port>, peer: IpAddr) -> Self {
        lock(&port.waiting).insert(peer, Place::default());
        Self { port, peer }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.port.address
    }

    /// Polls for the peer's connection. Those of strangers are closed, and the port stays open for the right one.
    ///
    /// # Errors
    /// What the system says; the reservation is of no use then.
    pub(super) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        sight: &Arc<Sight>,
    ) -> Poll<io::Result<Stream>> {
        // Ours may have come while another session was at the door.
        if let Some(place) = lock(&self.port.waiting).get_mut(&self.peer) {
            if let Some(socket) = place.came.take() {
                return Poll::Ready(Stream::tcp(socket, Arc::clone(sight)));
            }
            place.waker = Some(cx.waker().clone());
        }
        loop {
            match ready!(self.port.listener.poll_accept(cx)) {
                Ok((socket, from)) if from.ip().to_canonical() == self.peer => {
                    return Poll::Ready(Stream::tcp(socket, Arc::clone(sight)));
                }
                Ok((socket, from)) => self.port.hand_over(socket, from.ip().to_canonical()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Drop for Passive {
    /// The listener wakes who asked it last. That may have been this one: all others ask again.
    fn drop(&mut self) {
        let mut waiting = lock(&self.port.waiting);
        waiting.remove(&self.peer);
        for waker in waiting.values_mut().filter_map(|place| place.waker.take()) {
            waker.wake();
        }
    }
}

impl Port {
    /// The address is `local` as it stands, port 0 being any: an IPv6 scope stays with it.
    fn open(local: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
        // Ports of a range are used again while their last connections fade out.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&local.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, waiting: Mutex::default() })
    }

    /// Gives a connection to the session that waits for it. A stranger's is closed, and so is a second one.
    fn hand_over(&self, socket: TcpStream, from: IpAddr) {
        match lock(&self.waiting).get_mut(&from) {
            Some(place) if place.came.is_none() => {
                place.came = Some(socket);
                if let Some(waker) = place.waker.take() {
                    waker.wake();
                }
            }
            Some(_) => {}
            None => tracing::warn!(stranger = %from, "a data connection of a stranger was closed"),
        }
    }
}

/// What it guards is whole whenever the lock is free: no holder can fail in the middle.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpSocket;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const LOCAL: SocketAddr = SocketAddr::new(PEER, 0);

    async fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap()
    }

    async fn accept(passive: &mut Passive) -> SocketAddr {
        let stream = poll_fn(|cx| passive.poll_accept(cx, &Arc::default())).await.unwrap();
        stream.as_tcp().unwrap().peer_addr().unwrap()
    }

    /// A range of one port that was free a moment ago.
    fn one_port() -> Ports {
        let port = Ports::new(None).reserve(LOCAL, PEER).unwrap().address().port();
        Ports::new(Some(port..=port))
    }

    #[tokio::test]
    async fn a_stranger_is_closed_and_the_peer_gets_in() {
        let mut passive = Ports::new(None).reserve(LOCAL, PEER).unwrap();
        let mut stranger = connect("127.0.0.2", passive.address()).await;
        let peer = connect("127.0.0.1", passive.address()).await;
        assert_eq!(accept(&mut passive).await, peer.local_addr().unwrap());
        assert_eq!(stranger.read(&mut [0]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn one_port_serves_every_address_once() {
        let ports = one_port();
        let mut first = ports.reserve(LOCAL, PEER).unwrap();
        let mut second = ports.reserve(LOCAL, "127.0.0.2".parse().unwrap()).unwrap();
        assert_eq!(first.address(), second.address());
        let error = ports.reserve(LOCAL, PEER).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "whose connection would it be?");

        let theirs = connect("127.0.0.2", first.address()).await;
        let ours = connect("127.0.0.1", first.address()).await;
        // The first takes both in, and the second gets its own.
        assert_eq!(accept(&mut first).await, ours.local_addr().unwrap());
        assert_eq!(accept(&mut second).await, theirs.local_addr().unwrap());
    }

    #[tokio::test]
    async fn who_still_waits_is_woken_when_another_leaves() {
        let ports = one_port();
        let mut first = ports.reserve(LOCAL, PEER).unwrap();
        let mut second = ports.reserve(LOCAL, "127.0.0.2".parse().unwrap()).unwrap();
        let address = first.address();
        let waiting = tokio::spawn(async move { accept(&mut first).await });
        tokio::task::yield_now().await;
        // The second one has asked last when it goes.
        let mut cx = Context::from_waker(Waker::noop());
        assert!(second.poll_accept(&mut cx, &Arc::default()).is_pending());
        drop(second);
        let ours = connect("127.0.0.1", address).await;
        assert_eq!(waiting.await.unwrap(), ours.local_addr().unwrap());
    }

    #[tokio::test]
    async fn a_port_that_nobody_holds_is_closed_and_can_be_had_again() {
        let ports = one_port();
        let address = ports.reserve(LOCAL, PEER).unwrap().address();
        assert!(TcpStream::connect(address).await.is_err());
        assert_eq!(ports.reserve(LOCAL, PEER).unwrap().address(), address);
    }
}

//! Where data connections come from: one listener a session, open to the control connection's peer alone
//! (RFC 2577 §3); or one connection to that peer, see [`Active`].

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;

use super::active::Active;
use super::guard::Guard;
use crate::sight::Sight;
use crate::transport::{Stream, Transport};

/// Connections that wait to be accepted, the strangers among them included.
const BACKLOG: i32 = 8;

/// How long a client may take to connect after its command was accepted.
const ACCEPT_TIME: Duration = Duration::from_secs(30);

/// How long a client may take to accept our connection.
const DIAL_TIME: Duration = Duration::from_secs(10);

/// Ports of a range that are tried for one listener.
const MAX_TRIES: u16 = 256;

/// The data connection of a session, before a transfer takes it.
pub(super) enum Data {
    /// None was asked for.
    None,
    /// The client was told a port and may connect.
    Awaited(Passive),
    /// The client was promised a connection.
    Promised(Active),
    /// The client is there.
    Connected(Box<dyn Transport>),
}

impl Data {
    /// True where a transfer may begin.
    pub(super) fn is_prepared(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// How long its connection may take once its transfer has begun.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Promised(_) => DIAL_TIME,
            Self::Awaited(_) | Self::Connected(_) | Self::None => ACCEPT_TIME,
        }
    }

    /// Takes the client in as soon as it comes, so that strangers who came before do not fill the backlog, and moves its
    /// handshake on. Never ready.
    pub(super) fn poll_connect(&mut self, cx: &mut Context<'_>, sight: &Arc<Sight>, guard: &Guard) {
        if let Self::Awaited(passive) = self
            && let Poll::Ready(accepted) = passive.poll_accept(cx, sight)
        {
            // The listener closes here: one connection is all it was for.
            *self = match accepted {
                Ok(stream) => Self::connected(stream, guard),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a data connection");
                    Self::None
                }
            };
        }
        if let Self::Connected(stream) = self
            && let Poll::Ready(Err(error)) = Pin::new(stream).poll_flush(cx)
        {
            tracing::debug!(%error, "a data connection has no TLS");
            *self = Self::None;
        }
    }

    /// Polls for the connection, and gives it away.
    ///
    /// # Errors
    /// What the system says, and `NotConnected` where none was asked for.
    pub(super) fn poll_stream(
        &mut self,
        cx: &mut Context<'_>,
        sight: &Arc<Sight>,
        guard: &Guard,
    ) -> Poll<io::Result<Box<dyn Transport>>> {
        let stream = match self {
            Self::Awaited(passive) => Some(ready!(passive.poll_accept(cx, sight))?),
            Self::Promised(active) => Some(ready!(active.poll_dial(cx, sight))?),
            Self::Connected(_) | Self::None => None,
        };
        if let Some(stream) = stream {
            *self = Self::connected(stream, guard);
        }
        match std::mem::replace(self, Self::None) {
            Self::Connected(stream) => Poll::Ready(Ok(stream)),
            Self::Awaited(_) | Self::Promised(_) | Self::None => {
                Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
            }
        }
    }
}

impl Data {
    fn connected(stream: Stream, guard: &Guard) -> Self {
        Self::Connected(guard.take(stream))
    }
}

/// A listener for one data connection. Dropping it closes the port.
#[derive(Debug)]
pub(super) struct Passive {
    listener: TcpListener,
    peer: IpAddr,
    address: SocketAddr,
}

impl Passive {
    /// Listens on `local`, on a port that cannot be foretold: one of `ports`, or any.
    ///
    /// # Errors
    /// `AddrInUse` where no port is free; else what the system says.
    pub(super) fn open(
        local: SocketAddr,
        peer: IpAddr,
        ports: Option<&RangeInclusive<u16>>,
    ) -> io::Result<Self> {
        let socket = match ports {
            None => bind(local, 0)?,
            Some(ports) => bind_within(local, ports)?,
        };
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        Ok(Self { listener, peer, address })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Polls for the peer's connection. Those of strangers are closed, and the listener stays open for the right one.
    ///
    /// # Errors
    /// What the system says; the listener is of no use then.
    fn poll_accept(&mut self, cx: &mut Context<'_>, sight: &Arc<Sight>) -> Poll<io::Result<Stream>> {
        loop {
            match ready!(self.listener.poll_accept(cx)) {
                Ok((socket, from)) if from.ip().to_canonical() == self.peer => {
                    return Poll::Ready(Stream::tcp(socket, Arc::clone(sight)));
                }
                Ok((_, from)) => {
                    tracing::warn!(peer = %self.peer, stranger = %from.ip(), "a data connection of a stranger was closed");
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// The address is `local` with another port: an IPv6 scope stays with it.
fn bind(local: SocketAddr, port: u16) -> io::Result<Socket> {
    let mut address = local;
    address.set_port(port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Ports of a range are used again while their last connections fade out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Tries the ports of a range from a random one on. A port whose listener is open is in use; the next one is tried.
fn bind_within(local: SocketAddr, ports: &RangeInclusive<u16>) -> io::Result<Socket> {
    let count = u64::from(ports.end().saturating_sub(*ports.start())) + 1;
    // The keys of a `RandomState` are random; hashing nothing yields a number that nobody can foretell.
    let start = RandomState::new().hash_one(()) % count;
    for at in 0..count.min(u64::from(MAX_TRIES)) {
        let port = u64::from(*ports.start()) + (start + at) % count;
        let port = u16::try_from(port).map_err(|_| io::ErrorKind::AddrInUse)?;
        match bind(local, port) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpSocket, TcpStream};

    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const LOCAL: SocketAddr = SocketAddr::new(PEER, 21);

    #[tokio::test]
    async fn a_stranger_is_closed_and_the_peer_gets_in() {
        let mut passive = Passive::open(LOCAL, PEER, None).unwrap();
        let address = passive.address();
        let stranger = TcpSocket::new_v4().unwrap();
        stranger.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut stranger = stranger.connect(address).await.unwrap();
        let peer = TcpStream::connect(address).await.unwrap();
        let accepted = poll_fn(|cx| passive.poll_accept(cx, &Arc::default())).await.unwrap();
        assert_eq!(accepted.as_tcp().unwrap().peer_addr().unwrap(), peer.local_addr().unwrap());
        assert_eq!(stranger.read(&mut [0]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn a_range_without_a_free_port_says_so() {
        let first = Passive::open(LOCAL, PEER, None).unwrap();
        let port = first.address().port();
        let error = Passive::open(LOCAL, PEER, Some(&(port..=port))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}

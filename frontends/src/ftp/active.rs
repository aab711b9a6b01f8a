//! Data connections that the client lets the server make: to the peer of the control connection alone, and to no port of
//! a service (RFC 2577 §3, §4).

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpSocket, TcpStream};

use crate::sight::Sight;
use crate::transport::Stream;

/// Ports below belong to services, which no client listens on.
const FIRST_CLIENT_PORT: u16 = 1024;

/// A connection that the server makes when the transfer begins, and not before.
pub(super) struct Active {
    from: SocketAddr,
    to: SocketAddr,
    dialling: Option<Dialling>,
}

type Dialling = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Why nobody is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forbidden {
    /// It is not the peer of the control connection.
    Stranger,
    /// The port is that of a service.
    Service,
}

impl Active {
    /// A connection from the address `local`, where `peer` has reached us, to `to`.
    ///
    /// # Errors
    /// [`Forbidden`] where `to` is not the peer's or not a client's port.
    pub(super) fn new(local: SocketAddr, peer: IpAddr, to: SocketAddr) -> Result<Self, Forbidden> {
        if to.ip().to_canonical() != peer {
            return Err(Forbidden::Stranger);
        }
        if to.port() < FIRST_CLIENT_PORT {
            return Err(Forbidden::Service);
        }
        // Built upon the local address: a scope that belongs to both ends stays.
        let mut from = local;
        from.set_port(0);
        let mut target = local;
        target.set_ip(peer);
        target.set_port(to.port());
        Ok(Self { from, to: target, dialling: None })
    }

    /// Polls for the connection; the first poll begins it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn poll_dial(&mut self, cx: &mut Context<'_>, sight: &Arc<Sight>) -> Poll<io::Result<Stream>> {
        let (from, to) = (self.from, self.to);
        let dialling = self.dialling.get_or_insert_with(|| Box::pin(dial(from, to)));
        let socket = ready!(dialling.as_mut().poll(cx))?;
        Poll::Ready(Stream::tcp(socket, Arc::clone(sight)))
    }
}

async fn dial(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A client behind a firewall expects the address that it has reached us at.
    socket.bind(from)?;
    socket.connect(to).await
}

impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Active").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_port_of_the_peer_is_connected_to() {
        let local: SocketAddr = "192.0.2.1:21".parse().unwrap();
        let peer = "192.0.2.7".parse().unwrap();
        for (to, refused) in [
            ("192.0.2.7:1024", None),
            ("[::ffff:192.0.2.7]:1024", None),
            ("192.0.2.8:1024", Some(Forbidden::Stranger)),
            ("127.0.0.1:1024", Some(Forbidden::Stranger)),
            ("192.0.2.7:1023", Some(Forbidden::Service)),
            ("192.0.2.7:0", Some(Forbidden::Service)),
        ] {
            let active = Active::new(local, peer, to.parse().unwrap());
            assert_eq!(active.as_ref().err().copied(), refused, "{to}");
            if let Ok(active) = active {
                assert_eq!(active.to, "192.0.2.7:1024".parse().unwrap());
            }
        }
    }

    #[test]
    fn a_scope_stays_with_its_link() {
        let local = "[fe80::1%3]:21".parse().unwrap();
        let active =
            Active::new(local, "fe80::2".parse().unwrap(), "[fe80::2]:2000".parse().unwrap()).unwrap();
        assert_eq!(active.to, "[fe80::2%3]:2000".parse().unwrap());
    }
}

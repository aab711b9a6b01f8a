//! Where connections come in: TCP and Unix sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::Peer;
use crate::sight::Sight;
use crate::transport::Stream;

/// Connections that the kernel holds before they are accepted.
const BACKLOG: i32 = 1024;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// An open listening socket. Dropping it stops listening.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    address: Address,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Listens on `address`. A Unix socket must not exist yet: whoever owns the folder decides what becomes of an old
    /// one.
    ///
    /// # Errors
    /// What the system says: `AddrInUse` foremost.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let listener = TcpListener::from_std(bind_tcp(*address)?)?;
                let address = Address::Tcp(listener.local_addr()?);
                Ok(Self { socket: Listening::Tcp(listener), address })
            }
            Address::Unix(path) => {
                let listener = UnixListener::bind(path)?;
                Ok(Self { socket: Listening::Unix(listener), address: address.clone() })
            }
        }
    }

    /// Where it listens, with the real port.
    pub fn local_address(&self) -> Address {
        self.address.clone()
    }

    /// Accepts one connection. Dropping the future loses none.
    pub(super) async fn accept(&self, sight: &Arc<Sight>) -> io::Result<(Stream, Peer)> {
        match &self.socket {
            Listening::Tcp(listener) => {
                let (socket, peer) = listener.accept().await?;
                Ok((Stream::tcp(socket, Arc::clone(sight))?, Peer::Host(peer.ip().to_canonical())))
            }
            Listening::Unix(listener) => {
                let (socket, _) = listener.accept().await?;
                Ok((Stream::unix(socket, Arc::clone(sight)), Peer::Local))
            }
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server gets its port back while old connections fade out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Why a text is no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(AddressError(text.to_owned())),
            };
        }
        text.parse().map(Self::Tcp).map_err(|_| AddressError(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is no address to listen on: write IP:PORT (127.0.0.1:8080, [::1]:8080; port 0 takes a free one) \
             or unix:/absolute/path",
            self.0
        )
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_print() {
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/vfsd.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "8080", "localhost:80", "unix:run", "127.0.0.1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error() {
        let first = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let error = Listener::bind(&first.local_address()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}

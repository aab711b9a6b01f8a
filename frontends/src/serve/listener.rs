//! Where connections come in: TCP and Unix sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
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
    /// A socket that listens already, which the process was started with under this number: what systemd hands over
    /// begins at 3 (sd_listen_fds(3)).
    Inherited(i32),
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
            Address::Inherited(number) => inherit(*number),
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

/// A copy of a descriptor that the process was started with. Taking it over would need a promise that nobody else uses
/// it; a copy does not.
fn inherit(number: i32) -> io::Result<Listener> {
    let ourselves = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = Socket::from(pidfd_getfd(ourselves, number, PidfdGetfdFlags::empty())?);
    if !socket.is_listener()? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the descriptor is no listening socket"));
    }
    socket.set_nonblocking(true)?;
    if socket.domain()? == Domain::UNIX {
        let listener = UnixListener::from_std(socket.into())?;
        return Ok(Listener { socket: Listening::Unix(listener), address: Address::Inherited(number) });
    }
    let listener = TcpListener::from_std(socket.into())?;
    let address = Address::Tcp(listener.local_addr()?);
    Ok(Listener { socket: Listening::Tcp(listener), address })
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
        if let Some(number) = text.strip_prefix("fd:") {
            let number = number.parse().ok().filter(|number| *number > 2);
            return number.map(Self::Inherited).ok_or_else(|| AddressError(text.to_owned()));
        }
        text.parse().map(Self::Tcp).map_err(|_| AddressError(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inherited(number) => write!(f, "fd:{number}"),
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
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/vfsd.sock", "fd:3"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "8080", "localhost:80", "unix:run", "127.0.0.1", "fd:2", "fd:x"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_is_there_already_is_listened_on() {
        use std::os::fd::AsRawFd;

        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        let inherited = Listener::bind(&Address::Inherited(first.as_raw_fd())).await.unwrap();
        drop(first);
        assert_eq!(inherited.local_address(), Address::Tcp(address));
        let _client = tokio::net::TcpStream::connect(address).await.unwrap();
        inherited.accept(&Arc::default()).await.unwrap();
        let file = tempfile::tempfile().unwrap();
        assert!(Listener::bind(&Address::Inherited(file.as_raw_fd())).await.is_err());
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error() {
        let first = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let error = Listener::bind(&first.local_address()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}

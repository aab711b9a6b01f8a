//! The PROXY protocol, versions 1 and 2: who is connected, as a proxy in between tells it before the first byte.
//!
//! Nothing is read ahead, so what follows belongs to the protocol inside. Whoever may speak here could be anybody, so
//! callers ask those alone that are on their list.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::serve::Peer;

/// How long a proxy may take for its header.
const HEADER_TIME: Duration = Duration::from_secs(5);

/// How version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Longest line of version 1 with its end.
const MAX_LINE_BYTES: usize = 107;

/// Longest rest of a version 2 header that is read: addresses, and what proxies add to them.
const MAX_REST_BYTES: usize = 4096;

/// Who is believed: a network, `IP/PREFIX`, or a Unix socket's peers, `local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Addresses that begin alike.
    Hosts {
        /// One of them.
        address: IpAddr,
        /// How many bits are alike.
        prefix: u8,
    },
    /// Processes of this machine.
    Local,
}

/// A text is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadNetwork;

impl Network {
    /// True where `peer` is in it.
    pub fn contains(&self, peer: Peer) -> bool {
        match (self, peer) {
            (Self::Local, Peer::Local) => true,
            (Self::Hosts { address, prefix }, Peer::Host(peer)) => match (address, peer) {
                (IpAddr::V4(a), IpAddr::V4(b)) => alike(&a.octets(), &b.octets(), *prefix),
                (IpAddr::V6(a), IpAddr::V6(b)) => alike(&a.octets(), &b.octets(), *prefix),
                _ => false,
            },
            _ => false,
        }
    }
}

fn alike(a: &[u8], b: &[u8], prefix: u8) -> bool {
    let (whole, rest) = (usize::from(prefix / 8), prefix % 8);
    let mask = !(0xff_u8.checked_shr(rest.into()).unwrap_or(0));
    a[..whole] == b[..whole] && (rest == 0 || (a[whole] ^ b[whole]) & mask == 0)
}

/// Reads the header: who is connected to the proxy; `None` where it speaks for itself (a health check, say). Dropping the
/// future leaves the connection of no use.
///
/// # Errors
/// `InvalidData` for anything that is no header, `TimedOut` after 5 s, and what the connection says.
pub(crate) async fn read_header<T: AsyncRead + Unpin>(stream: &mut T) -> io::Result<Option<IpAddr>> {
    let read = async {
        let mut start = [0; SIGNATURE.len()];
        stream.read_exact(&mut start).await?;
        if start == SIGNATURE { read_second(stream).await } else { read_first(stream, &start).await }
    };
    timeout(HEADER_TIME, read).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn read_first<T: AsyncRead + Unpin>(stream: &mut T, start: &[u8]) -> io::Result<Option<IpAddr>> {
    if !start.starts_with(b"PROXY ") {
        return Err(broken());
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= MAX_LINE_BYTES {
            return Err(broken());
        }
        line.push(stream.read_u8().await?);
    }
    let text = std::str::from_utf8(&line[..line.len() - 2]).map_err(|_| broken())?;
    let words: Vec<_> = text.split(' ').collect();
    let address = match words[..] {
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", "TCP4", from, _, _, _] => IpAddr::V4(from.parse::<Ipv4Addr>().map_err(|_| broken())?),
        ["PROXY", "TCP6", from, _, _, _] => IpAddr::V6(from.parse::<Ipv6Addr>().map_err(|_| broken())?),
        _ => return Err(broken()),
    };
    Ok(Some(address.to_canonical()))
}

async fn read_second<T: AsyncRead + Unpin>(stream: &mut T) -> io::Result<Option<IpAddr>> {
    let (command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let len = usize::from(stream.read_u16().await?);
    if command >> 4 != 2 || len > MAX_REST_BYTES {
        return Err(broken());
    }
    let mut rest = vec![0; len];
    stream.read_exact(&mut rest).await?;
    match (command & 0xf, family) {
        (0, _) => Ok(None),
        (1, 0x11) => {
            let from: [u8; 4] = rest
                .get(..4)
                .filter(|_| len >= 12)
                .and_then(|from| from.try_into().ok())
                .ok_or_else(broken)?;
            Ok(Some(from.into()))
        }
        (1, 0x21) => {
            let from: [u8; 16] = rest
                .get(..16)
                .filter(|_| len >= 36)
                .and_then(|from| from.try_into().ok())
                .ok_or_else(broken)?;
            Ok(Some(IpAddr::from(from).to_canonical()))
        }
        // UNSPEC, datagrams, Unix sockets: the connection stands, and nobody is named.
        (1, _) => Ok(None),
        _ => Err(broken()),
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no header of the PROXY protocol")
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        if text == "local" {
            return Ok(Self::Local);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| BadNetwork)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        if prefix > most { Err(BadNetwork) } else { Ok(Self::Hosts { address, prefix }) }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hosts { address, prefix } => write!(f, "{address}/{prefix}"),
            Self::Local => f.write_str("local"),
        }
    }
}

impl std::fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no network: write IP, IP/PREFIX as in 10.0.0.0/8, or local for Unix sockets")
    }
}

impl std::error::Error for BadNetwork {}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// What a header says, and what of the bytes is left.
    async fn read(bytes: &[u8]) -> (Result<Option<String>, io::ErrorKind>, Vec<u8>) {
        let mut rest = bytes;
        let found = read_header(&mut rest).await;
        (found.map(|from| from.map(|from| from.to_string())).map_err(|error| error.kind()), rest.to_vec())
    }

    fn second(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let len = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, addresses, b"GET"].concat()
    }

    #[tokio::test]
    async fn headers_name_who_is_connected_and_nothing_else_is_read() {
        let four = [&[192, 0, 2, 1, 10, 0, 0, 1, 1, 2, 3, 4][..], b"\x04\0\x01x"].concat();
        let six = [&Ipv6Addr::LOCALHOST.octets()[..], &[0; 20]].concat();
        for (bytes, from) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 5 80\r\nGET".to_vec(), Some("192.0.2.1")),
            (b"PROXY TCP6 2001:db8::1 ::1 5 80\r\nGET".to_vec(), Some("2001:db8::1")),
            (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 5 80\r\nGET".to_vec(), Some("192.0.2.1")),
            (b"PROXY UNKNOWN\r\nGET".to_vec(), None),
            (second(0x21, 0x11, &four), Some("192.0.2.1")),
            (second(0x21, 0x21, &six), Some("::1")),
            (second(0x20, 0, &[]), None),
            (second(0x21, 0x31, &[0; 216]), None),
        ] {
            assert_eq!(read(&bytes).await, (Ok(from.map(str::to_owned)), b"GET".to_vec()), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        for bytes in [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1\r\n and more".to_vec(),
            b"PROXY TCP4 ::1 ::1 5 80\r\n".to_vec(),
            [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat(),
            second(0x11, 0x11, &[0; 12]),
            second(0x22, 0x11, &[0; 12]),
            second(0x21, 0x11, &[0; 11]),
            second(0x21, 0x11, &[0; 5000]),
        ] {
            assert_eq!(read(&bytes).await.0, Err(io::ErrorKind::InvalidData), "{bytes:?}");
        }
        assert_eq!(read(b"PROXY").await.0, Err(io::ErrorKind::UnexpectedEof));
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_that_does_not_come_is_not_waited_for() {
        let (mut ours, _theirs) = tokio::io::duplex(64);
        let begun = Instant::now();
        assert_eq!(read_header(&mut ours).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), HEADER_TIME);
    }

    #[test]
    fn networks_contain_who_begins_alike() {
        let host = |text: &str| Peer::Host(text.parse().unwrap());
        for (network, peer, is_in) in [
            ("10.0.0.0/8", host("10.9.9.9"), true),
            ("10.0.0.0/8", host("11.0.0.0"), false),
            ("192.0.2.128/25", host("192.0.2.129"), true),
            ("192.0.2.128/25", host("192.0.2.1"), false),
            ("192.0.2.1", host("192.0.2.1"), true),
            ("0.0.0.0/0", host("192.0.2.1"), true),
            ("::/0", host("192.0.2.1"), false),
            ("2001:db8::/32", host("2001:db8:1::"), true),
            ("local", Peer::Local, true),
            ("0.0.0.0/0", Peer::Local, false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(peer), is_in, "{network} {peer}");
        }
        for text in ["", "10.0.0.0/33", "::/129", "host", "10.0.0.0/"] {
            assert_eq!(text.parse::<Network>(), Err(BadNetwork), "{text}");
        }
    }
}

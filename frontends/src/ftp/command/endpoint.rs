//! Where PORT (RFC 959 §4.1.2) and EPRT (RFC 2428 §2) want a data connection to go. Pure: who may be connected to is the
//! session's question.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::argument::number;
use super::{Command, Refusal, Result};

const PORT: Refusal = Refusal::Syntax("PORT takes six numbers: an IPv4 address and a port.");
const EPRT: Refusal = Refusal::Syntax("EPRT takes |1|IPv4 address|port| or |2|IPv6 address|port|.");

/// `PORT 192,0,2,1,200,12`.
pub(super) fn port(argument: &[u8]) -> Result<Command> {
    let byte = |part: &[u8]| number(part).and_then(|number| u8::try_from(number).ok());
    let bytes: Option<Vec<u8>> =
        argument.trim_ascii().split(|byte| *byte == b',').map(|part| byte(part.trim_ascii())).collect();
    match bytes.as_deref() {
        Some(&[a, b, c, d, high, low]) => {
            let address = Ipv4Addr::new(a, b, c, d);
            Ok(Command::Active(SocketAddr::new(address.into(), u16::from_be_bytes([high, low]))))
        }
        _ => Err(PORT),
    }
}

/// `EPRT |1|192.0.2.1|51212|`, with any character for the bar.
pub(super) fn extended_port(argument: &[u8]) -> Result<Command> {
    let argument = argument.trim_ascii();
    let (bar, rest) = argument.split_first().ok_or(EPRT)?;
    let parts: Vec<&[u8]> = rest.split(|byte| byte == bar).collect();
    let [protocol, address, port, b""] = parts[..] else { return Err(EPRT) };
    let address = std::str::from_utf8(address).map_err(|_| EPRT)?;
    let ip: IpAddr = match protocol {
        b"1" => address.parse::<Ipv4Addr>().map_err(|_| EPRT)?.into(),
        b"2" => address.parse::<Ipv6Addr>().map_err(|_| EPRT)?.into(),
        _ if number(protocol).is_some() => return Err(Refusal::Protocol),
        _ => return Err(EPRT),
    };
    let port = number(port).and_then(|port| u16::try_from(port).ok()).ok_or(EPRT)?;
    Ok(Command::Active(SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (command, address) in [
            (port(b"192,0,2,1,200,12"), "192.0.2.1:51212"),
            (port(b" 127, 0, 0, 1, 4, 0 "), "127.0.0.1:1024"),
            (extended_port(b"|1|192.0.2.1|51212|"), "192.0.2.1:51212"),
            (extended_port(b"!2!2001:db8::1!51212!"), "[2001:db8::1]:51212"),
        ] {
            assert_eq!(command, Ok(Command::Active(address.parse().unwrap())), "{address}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in ["", "1,2,3,4,5", "1,2,3,4,5,6,7", "256,0,0,1,4,0", "+1,0,0,1,4,0", "1,0,0,1,4,", "a"] {
            assert_eq!(port(wrong.as_bytes()), Err(PORT), "{wrong}");
        }
        for wrong in [
            "",
            "|",
            "|1|192.0.2.1|51212",
            "|1|192.0.2.1|51212|x",
            "|1|192.0.2.1|65536|",
            "|1|2001:db8::1|51212|",
            "|2|192.0.2.1|51212|",
            "|2|fe80::1%lo|51212|",
            "|x|192.0.2.1|51212|",
            "|1|localhost|51212|",
        ] {
            assert_eq!(extended_port(wrong.as_bytes()), Err(EPRT), "{wrong}");
        }
        assert_eq!(extended_port(b"|3|192.0.2.1|51212|"), Err(Refusal::Protocol));
    }
}

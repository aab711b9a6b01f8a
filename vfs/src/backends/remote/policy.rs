//! [`Policy`]: which addresses a mount may dial.
//!
//! A site's redirect, its names and its listings are what others wrote: without a rule they would lead into the house
//! where the program runs (server-side request forgery). The rule is asked after resolving, for each address alone, and
//! the address that passed is the one that is dialled, so a name that resolves to something else a moment later gains
//! nothing.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which addresses may be dialled. Default: public ones only.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    named: Option<IpAddr>,
    names_localhost: bool,
    allows_private: bool,
}

/// An address that may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    address: IpAddr,
}

impl Policy {
    /// The rule for a mount of `host`: public addresses, and the one that the mount names itself, as an address or as
    /// `localhost` (RFC 6761 §6.3).
    pub fn for_host(host: &str) -> Self {
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Self {
            named: literal.parse().ok().map(canonical),
            names_localhost: host.eq_ignore_ascii_case("localhost"),
            allows_private: false,
        }
    }

    /// Lets private addresses through too, for mounts of sites in one's own network. Default: no.
    #[must_use]
    pub fn with_private(mut self, allowed: bool) -> Self {
        self.allows_private = allowed;
        self
    }

    /// The rule for other ports than the one that the mount names: an address that is allowed because the mount names it is
    /// so with that port alone, for behind another one something else of the house may listen.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self { named: None, names_localhost: false, allows_private: self.allows_private }
    }

    /// Passes an address that may be dialled.
    ///
    /// # Errors
    /// The address, where it may not.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let plain = canonical(address);
        let named = self.named == Some(plain) || (self.names_localhost && plain.is_loopback());
        if self.allows_private || named || is_public(plain) { Ok(()) } else { Err(Refused { address }) }
    }

    /// Resolves `host` by the system's resolver and keeps the addresses that may be dialled. A dropped future gives up
    /// waiting; the system's own call ends at its own deadline.
    ///
    /// # Errors
    /// What the resolver says; a [`Refused`] inside of `PermissionDenied` where no address is left.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let mut refused = None;
        let mut passed = Vec::new();
        for address in tokio::net::lookup_host((host, port)).await? {
            match self.check(address.ip()) {
                Ok(()) => passed.push(address),
                Err(refusal) => refused = Some(refusal),
            }
        }
        match (passed.is_empty(), refused) {
            (true, Some(refused)) => Err(io::Error::new(io::ErrorKind::PermissionDenied, refused)),
            (true, None) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
            (false, _) => Ok(passed),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        write!(
            f,
            "{address} is not a public address, and the mount does not name it with this port: it is not dialled"
        )
    }
}

impl StdError for Refused {}

/// An IPv4 address that is written as an IPv6 one is judged as what it is: mapped (RFC 4291 §2.5.5.2) and NAT64
/// (RFC 6052 §2.1).
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let segments = v6.segments();
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., a, b, c, d] = v6.octets();
        return IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    }
    address.to_canonical()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// RFC 6890 and its registry; the clouds' metadata service, 169.254.169.254, is link-local.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 127 | 240..=255, _, _) // this network, loopback, reserved and broadcast
            | (100, 64..=127, _) // carriers' NAT; 100.100.100.200 is a metadata service too
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !(is_special || address.is_private() || address.is_link_local() || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_special = first & 0xfe00 == 0xfc00 // unique local; fd00:ec2::254 is a metadata service
        || first & 0xffc0 == 0xfe80 // link-local
        || first & 0xffc0 == 0xfec0 // site-local, of old
        || first == 0x2002 // 6to4: an IPv4 address inside
        || (first, second) == (0x2001, 0) // Teredo, likewise
        || (first, second) == (0x2001, 0xdb8)
        || first == 0; // unspecified, loopback, IPv4-compatible
    !(is_special || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: [&str; 24] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.0.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];

    const PUBLIC: [&str; 7] = [
        "1.1.1.1",
        "93.184.216.34",
        "172.32.0.1",
        "100.128.0.1",
        "::ffff:93.184.216.34",
        "64:ff9b::101:101",
        "2606:2800:220:1::1",
    ];

    fn passes(policy: &Policy, address: &str) -> bool {
        policy.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_public_addresses_are_dialled() {
        let policy = Policy::for_host("deb.example.org");
        for address in PRIVATE {
            assert!(!passes(&policy, address), "{address}");
            assert!(passes(&policy.clone().with_private(true), address), "{address}");
        }
        for address in PUBLIC {
            assert!(passes(&policy, address), "{address}");
        }
    }

    #[test]
    fn an_address_that_the_mount_names_is_dialled_and_no_other() {
        for (host, address, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::1", false),
            ("[::1]", "::1", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("localhost", "127.0.0.1", true),
            ("LOCALHOST", "::1", true),
            ("localhost", "10.0.0.1", false),
            ("localhost.example.org", "127.0.0.1", false),
        ] {
            assert_eq!(passes(&Policy::for_host(host), address), expected, "{host} {address}");
        }
    }

    #[test]
    fn an_address_that_the_mount_names_is_named_with_one_port() {
        let policy = Policy::for_host("127.0.0.1");
        assert!(passes(&policy, "127.0.0.1") && !passes(&policy.elsewhere(), "127.0.0.1"));
        assert!(!passes(&Policy::for_host("localhost").elsewhere(), "::1"));
        assert!(passes(&policy.elsewhere(), "1.1.1.1"));
        assert!(passes(&policy.with_private(true).elsewhere(), "127.0.0.1"));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let refused = Policy::for_host("example.org").resolve("127.0.0.1", 80).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(refused.get_ref().is_some_and(|inner| inner.is::<Refused>()));
        let passed = Policy::for_host("127.0.0.1").resolve("127.0.0.1", 80).await.unwrap();
        assert_eq!(passed, [SocketAddr::from(([127, 0, 0, 1], 80))]);
    }
}

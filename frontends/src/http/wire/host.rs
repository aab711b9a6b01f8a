//! The `Host` field (RFC 9110 §7.2): a name to choose the tree by.

use std::net::Ipv6Addr;

use http::uri::Authority;

/// A host that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct BadHost;

/// The host's name in lower case, without its port; `None` for an empty value, which names no host.
pub(in crate::http) fn parse_host(value: &[u8]) -> Result<Option<String>, BadHost> {
    if value.is_empty() {
        return Ok(None);
    }
    let authority = Authority::try_from(value).map_err(|_| BadHost)?;
    let host = authority.host();
    let port = authority.as_str().strip_prefix(host).ok_or(BadHost)?;
    let has_port = match port.strip_prefix(':') {
        Some(digits) => digits.is_empty() || digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    // What is left of the host must be its port: a user's name before it would have failed above.
    let is_address = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|rest| rest.parse::<Ipv6Addr>().is_ok()),
        None => true,
    };
    if host.is_empty() || !is_address || !has_port || authority.as_str().contains('@') {
        return Err(BadHost);
    }
    Ok(Some(host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        for (value, name) in [
            ("example.org", Ok(Some("example.org"))),
            ("EXAMPLE.org:8080", Ok(Some("example.org"))),
            ("example.org:", Ok(Some("example.org"))),
            ("127.0.0.1:80", Ok(Some("127.0.0.1"))),
            ("[::1]", Ok(Some("[::1]"))),
            ("[::1]:8080", Ok(Some("[::1]"))),
            ("", Ok(None)),
            ("[xx]", Err(BadHost)),
            ("[::1", Err(BadHost)),
            ("a b", Err(BadHost)),
            ("a b/..", Err(BadHost)),
            ("a/..", Err(BadHost)),
            ("user@host", Err(BadHost)),
            ("host:http", Err(BadHost)),
            ("host:99999", Err(BadHost)),
            ("a,b", Ok(Some("a,b"))),
            (":80", Err(BadHost)),
            ("\u{e9}", Err(BadHost)),
        ] {
            assert_eq!(parse_host(value.as_bytes()), name.map(|name| name.map(str::to_owned)), "{value:?}");
        }
    }
}

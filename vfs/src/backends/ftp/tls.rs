//! TLS for one control connection and its data connections.
//!
//! The sessions of a connection are its own: a site that wants its data connections to resume the control connection's
//! session (RFC 4217 §10.2) refuses one that comes from another's.

use std::sync::Arc;

use suppaftp::tokio::AsyncRustlsConnector;
use tokio_rustls::TlsConnector;

use crate::backends::remote::Trust;

/// A connector with a session store of its own. `needs_tls12`: the sessions of TLS 1.3 were not enough for the site.
///
/// # Errors
/// Where TLS cannot be set up.
pub(super) fn connector(trust: &Trust, needs_tls12: bool) -> Result<AsyncRustlsConnector, rustls::Error> {
    let versions: &[_] = match needs_tls12 {
        true => &[&rustls::version::TLS12],
        false => rustls::ALL_VERSIONS,
    };
    Ok(TlsConnector::from(Arc::new(trust.client(versions)?)).into())
}

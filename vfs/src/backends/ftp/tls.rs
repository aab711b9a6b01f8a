//! TLS for one control connection and its data connections.
//!
//! The sessions of a connection are its own: a site that wants its data connections to resume the control connection's
//! session (RFC 4217 §10.2) refuses one that comes from another's.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use suppaftp::tokio::AsyncRustlsConnector;
use tokio_rustls::TlsConnector;

/// Checks certificates against the system's authorities and `authorities`.
///
/// # Errors
/// Where neither gives any, or one of them is no certificate.
pub(super) fn verifier(authorities: &[Vec<u8>]) -> Result<Arc<Verifier>, rustls::Error> {
    let authorities = authorities.iter().map(|der| CertificateDer::from(der.clone()));
    Verifier::new_with_extra_roots(authorities, Arc::new(ring::default_provider())).map(Arc::new)
}

/// A connector with a session store of its own.
///
/// # Errors
/// Where TLS cannot be set up.
pub(super) fn connector(
    verifier: Arc<Verifier>,
    needs_tls12: bool,
) -> Result<AsyncRustlsConnector, rustls::Error> {
    let versions: &[_] = match needs_tls12 {
        true => &[&rustls::version::TLS12],
        false => rustls::ALL_VERSIONS,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)).into())
}

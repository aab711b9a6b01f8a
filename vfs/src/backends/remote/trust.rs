//! Whom a site's certificate must come from: the authorities of this machine, and those that a mount names.

use std::sync::{Arc, LazyLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The authorities of this machine, read once. A machine without any trusts nobody, and plain sites work all the same.
static OF_THE_MACHINE: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (known, _) = roots.add_parsable_certificates(found.certs);
    if known == 0 {
        tracing::warn!(errors = ?found.errors, "this machine has no certificate authorities: no https: site is trusted");
    }
    roots
});

/// What TLS to a site is spoken with: ring's cryptography, and the authorities in `extra`, PEM text, besides the machine's.
///
/// # Errors
/// What is wrong with `extra`, in words for people.
pub(crate) fn client_tls(extra: &[u8]) -> Result<ClientConfig, String> {
    let mut roots = OF_THE_MACHINE.clone();
    let mut named = 0;
    for certificate in CertificateDer::pem_slice_iter(extra) {
        let certificate = certificate.map_err(|error| format!("the authorities are no PEM text: {error}"))?;
        roots.add(certificate).map_err(|error| format!("an authority is no certificate: {error}"))?;
        named += 1;
    }
    if named == 0 && !extra.is_empty() {
        return Err(
            "the authorities hold no certificate in PEM: name the file of the authority itself".to_owned()
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_pem_or_refused() {
        assert!(client_tls(b"").is_ok());
        for text in [&b"no PEM at all"[..], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            assert!(client_tls(text).is_err(), "{}", text.escape_ascii());
        }
    }
}

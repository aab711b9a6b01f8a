//! [`Trust`]: whom a site's certificate must come from: the authorities of this machine, and those that a mount names.

use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// The authorities of this machine, read once. A machine without any trusts nobody, and plain sites work all the same.
static OF_THE_MACHINE: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (known, _) = roots.add_parsable_certificates(found.certs);
    if known == 0 {
        tracing::warn!(errors = ?found.errors, "this machine has no certificate authorities: no site is trusted over TLS");
    }
    Arc::new(roots)
});

/// Whom a mount believes that a site is who it says.
#[derive(Clone)]
pub(crate) struct Trust {
    roots: Arc<RootCertStore>,
}

impl Trust {
    /// The machine's authorities, and those in `extra`, which is PEM text.
    ///
    /// # Errors
    /// What is wrong with `extra`, in words for people.
    pub(crate) fn with(extra: &[u8]) -> Result<Self, String> {
        if extra.is_empty() {
            return Ok(Self { roots: Arc::clone(&OF_THE_MACHINE) });
        }
        let mut roots = RootCertStore::clone(&OF_THE_MACHINE);
        let mut named = 0;
        for certificate in CertificateDer::pem_slice_iter(extra) {
            let certificate =
                certificate.map_err(|error| format!("the authorities are no PEM text: {error}"))?;
            roots.add(certificate).map_err(|error| format!("an authority is no certificate: {error}"))?;
            named += 1;
        }
        if named == 0 {
            let says = "the authorities hold no certificate in PEM: name the file of the authority itself";
            return Err(says.to_owned());
        }
        Ok(Self { roots: Arc::new(roots) })
    }

    /// What TLS of one of `versions` is spoken with: ring's cryptography, and a store of sessions of its own.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
        Ok(builder.with_root_certificates(Arc::clone(&self.roots)).with_no_client_auth())
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("authorities", &self.roots.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_pem_or_refused() {
        assert!(Trust::with(b"").is_ok());
        for text in [&b"no PEM at all"[..], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            assert!(Trust::with(text).is_err(), "{}", text.escape_ascii());
        }
    }
}

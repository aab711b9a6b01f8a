//! [`Identity`]: a certificate chain and its key.

use std::fmt;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

/// Who a server is, to those who ask for one of the certificate's names. The key is never printed.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

/// Why a certificate and its key are of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadIdentity {
    /// There is none at all.
    Nobody,
    /// The text holds no certificate.
    NoCertificate,
    /// The text holds no private key.
    NoKey,
    /// The key is of a kind that is not known here.
    KindOfKey,
    /// The key belongs to another certificate.
    OtherKey,
}

impl Identity {
    /// A chain, the server's own certificate first, and its private key (PKCS #8, PKCS #1 or SEC 1), both as PEM.
    ///
    /// # Errors
    /// [`BadIdentity`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, BadIdentity> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(BadIdentity::NoCertificate)?;
        if ParsedCertificate::try_from(&chain[0]).is_err() {
            return Err(BadIdentity::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| BadIdentity::NoKey)?;
        let key = any_supported_type(&key).map_err(|_| BadIdentity::KindOfKey)?;
        let identity = CertifiedKey::new(chain, key);
        match identity.keys_match() {
            // A key that does not tell its public half is taken at its word.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Self(Arc::new(identity)))
            }
            Err(_) => Err(BadIdentity::OtherKey),
        }
    }

    /// True where the certificate is valid for the host `name`.
    pub(super) fn is_for(&self, name: &str) -> bool {
        let certificate = self.0.cert.first().and_then(|own| ParsedCertificate::try_from(own).ok());
        let name = ServerName::try_from(name).ok();
        certificate.zip(name).is_some_and(|(own, name)| verify_server_name(&own, &name).is_ok())
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

/// At least one.
pub(super) fn some(identities: Vec<Identity>) -> Result<Vec<Identity>, BadIdentity> {
    if identities.is_empty() { Err(BadIdentity::Nobody) } else { Ok(identities) }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.0.cert.len())
    }
}

impl fmt::Display for BadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "there is no certificate: name one",
            Self::NoCertificate => "there is no certificate in it: name a PEM file with the whole chain",
            Self::NoKey => "there is no private key in it: name a PEM file with an unencrypted key",
            Self::KindOfKey => "the key is of an unknown kind: use RSA, ECDSA (P-256, P-384) or Ed25519",
            Self::OtherKey => "the key belongs to another certificate: name the two that belong together",
        })
    }
}

impl std::error::Error for BadIdentity {}

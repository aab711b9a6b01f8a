//! TLS over any transport: certificates by name, changed while connections go on; 1.2 and 1.3 alone, without early data.
//!
//! Knows nothing of files: the caller brings PEM texts. What a client resumes is kept in memory, and is gone with the
//! process.

mod identity;
mod sessions;
mod stream;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub use self::identity::{BadIdentity, Identity};
use self::sessions::Sessions;
pub use self::stream::TlsStream;
use super::Transport;

/// How long a client may take for its handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// Sessions that the clients of a listener may resume.
const RESUMABLE: usize = 4096;

/// Sessions that the data connections of one control connection may resume.
const RESUMABLE_PER_CONTROL: usize = 16;

/// Tickets of TLS 1.3 that a control connection's client gets at once. Some clients use each of them for one data connection,
/// and those get none of their own ([`Tls::without_tickets`]).
const TICKETS_PER_CONTROL: usize = 8;

/// The TLS of a listener. Clones share it, its certificates too.
#[derive(Clone)]
pub struct Tls {
    identities: Arc<Identities>,
    config: Arc<ServerConfig>,
}

/// What is spoken inside, as ALPN names it (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/2 where the client has it, or HTTP/1.1.
    Http,
    /// FTP, on the control connection and on data connections.
    Ftp,
}

/// The certificates of a listener, the first of them for whoever asks for no name or for one that none is about.
struct Identities(ArcSwap<Vec<Identity>>);

impl Tls {
    /// TLS with these certificates. A client gets the first that is valid for the name that it asks for (SNI), else the
    /// first of all.
    ///
    /// # Errors
    /// [`BadIdentity`] where there is none.
    pub fn new(identities: Vec<Identity>, spoken: Spoken) -> Result<Self, BadIdentity> {
        let identities = Arc::new(Identities(ArcSwap::from_pointee(identity::some(identities)?)));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Identities>::clone(&identities);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("ring has suites for both")
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = match spoken {
            Spoken::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            // A client that names other protocols than this was led here by a trick (ALPACA).
            Spoken::Ftp => vec![b"ftp".to_vec()],
        };
        config.session_storage = Arc::new(Sessions::new(RESUMABLE));
        Ok(Self { identities, config: Arc::new(config) })
    }

    /// Takes other certificates from now on. Connections that are open keep theirs.
    ///
    /// # Errors
    /// [`BadIdentity`] where there is none; everything stays as it was.
    pub fn replace(&self, identities: Vec<Identity>) -> Result<(), BadIdentity> {
        self.identities.0.store(Arc::new(identity::some(identities)?));
        Ok(())
    }

    /// The same with sessions of its own, so that only what began here can be resumed here: for one control connection
    /// and its data connections.
    #[must_use]
    pub fn apart(&self) -> Self {
        let mut config = ServerConfig::clone(&self.config);
        config.session_storage = Arc::new(Sessions::new(RESUMABLE_PER_CONTROL));
        config.send_tls13_tickets = TICKETS_PER_CONTROL;
        Self { identities: Arc::clone(&self.identities), config: Arc::new(config) }
    }

    /// The same sessions to be resumed, and no tickets of TLS 1.3 handed out: for connections on which a client may send
    /// and never read. Where it closes with a ticket unread, its system resets the connection, and what it sent is lost.
    #[must_use]
    pub fn without_tickets(&self) -> Self {
        let mut config = ServerConfig::clone(&self.config);
        config.send_tls13_tickets = 0;
        Self { identities: Arc::clone(&self.identities), config: Arc::new(config) }
    }

    /// Waits for the client's handshake, at most [`HANDSHAKE`]. Dropping the future closes the connection.
    ///
    /// # Errors
    /// `TimedOut`, and as [`Tls::handshake`].
    pub fn accept<T: Transport>(
        &self,
        transport: T,
    ) -> impl Future<Output = io::Result<TlsStream<T>>> + Send + use<T> {
        let handshake = self.handshake(transport);
        async {
            match timeout(HANDSHAKE, handshake).await {
                Ok(stream) => stream,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time")),
            }
        }
    }

    /// Waits for the client's handshake as long as it takes, for who knows when its time begins and watches it. Dropping the
    /// future closes the connection.
    ///
    /// # Errors
    /// `InvalidData` where the client's bytes are no TLS or none of ours, and what the transport says.
    pub fn handshake<T: Transport>(
        &self,
        transport: T,
    ) -> impl Future<Output = io::Result<TlsStream<T>>> + Send + use<T> {
        let accept = TlsAcceptor::from(Arc::clone(&self.config)).accept(transport);
        async { Ok(TlsStream::new(accept.await?)) }
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let identities = self.0.load();
        let named = hello.server_name().and_then(|name| identities.iter().find(|one| one.is_for(name)));
        named.or(identities.first()).map(Identity::key)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.load().len())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("identities", &self.identities).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

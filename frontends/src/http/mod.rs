//! HTTP/1.1 and HTTP/2 over a tree: requests become calls on it, files leave by `sendfile(2)` where they can.
//!
//! Four steps, a file each: `wire` (texts and what they mean), `command` (what a request wants), `session` (calls on the
//! tree and their outcome), `status` (the answer). `connection` keeps the deadlines, hyper the protocol.

mod access;
mod body;
mod changes;
mod command;
mod connection;
mod http1;
mod http2;
mod incoming;
mod io;
mod listing;
mod media;
mod multipart;
mod options;
mod pace;
mod service;
mod session;
mod status;
#[cfg(test)]
mod tests;
mod wire;

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use vfs::jobs::Disk;

pub use self::access::ACCESS_LOG;
pub use self::options::{Bounds, Lifetimes, Options};
use crate::auth::Asker;
use crate::serve::{self, Crowd, Drain, Listener, Peer, Protocol};
use crate::site::Site;
use crate::transport::Stream;

/// Serves `site` over HTTP on `listener` until `shutdown` resolves, then lets connections finish their answers, at most
/// [`Limits::drain`](crate::Limits::drain). Dropping the future ends them all at once.
///
/// Where the tree takes no changes it is read, nothing else: GET, HEAD and OPTIONS; else PUT, DELETE, MKCOL, MOVE, COPY and
/// the form of a folder's page are understood too. Other methods are 405. A connection that starts with HTTP/2's preface
/// speaks HTTP/2.
pub async fn serve(
    listener: Listener,
    site: Arc<Site>,
    options: Options,
    shutdown: impl Future<Output = ()>,
) {
    let options = Arc::new(options);
    let protocol = Arc::new(Http { site: Arc::clone(&site), options, disk: Disk::new() });
    serve::serve(listener, protocol, site, shutdown).await;
}

struct Http {
    site: Arc<Site>,
    options: Arc<Options>,
    /// For reading spans that cannot leave by `sendfile(2)`.
    disk: Disk,
}

#[async_trait]
impl Protocol for Http {
    async fn serve(&self, stream: Stream, peer: Peer, drain: Drain) {
        let (site, options, disk) = (Arc::clone(&self.site), Arc::clone(&self.options), self.disk.clone());
        let Some(tls) = &self.site.tls else {
            return connection::run(stream, peer, site, options, disk, drain).await;
        };
        match tls.accept(stream).await {
            Ok(stream) => {
                let asker = Asker { peer, secure: true };
                // Boxed, so that connections in the clear are not as large.
                Box::pin(connection::run(stream, asker, site, options, disk, drain)).await;
            }
            Err(error) => {
                site.sight.tls_failed.add(1);
                tracing::debug!(%peer, %error, "a connection has no TLS");
            }
        }
    }

    async fn turn_away(&self, stream: Stream, _crowd: Crowd) {
        if self.site.tls.is_some() {
            // Nothing can be said without a handshake, and that is what there are too many of.
            return;
        }
        connection::turn_away(stream).await;
    }
}

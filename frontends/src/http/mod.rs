//! HTTP/1.1 and HTTP/2 over a tree: requests become calls on it, files leave by `sendfile(2)` where they can.
//!
//! Four steps, a file each: `wire` (texts and what they mean), `command` (what a request wants), `session` (calls on the
//! tree and their outcome), `status` (the answer). `connection` keeps the deadlines, hyper the protocol.

mod access;
mod body;
mod changes;
mod chores;
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
mod ration;
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
use self::chores::Chores;
pub use self::options::{Bounds, Lifetimes, Options, Pages};
use self::ration::Stock;
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
    let protocol = Arc::new(Http { site: Arc::clone(&site), options, means: Means::new() });
    serve::serve(listener, protocol, site, shutdown).await;
}

struct Http {
    site: Arc<Site>,
    options: Arc<Options>,
    means: Means,
}

/// What the connections of a front end work with. Clones share it.
#[derive(Clone, Debug)]
struct Means {
    /// For reading spans that cannot leave by `sendfile(2)`.
    disk: Disk,
    /// Changes that are under way.
    chores: Chores,
    /// What answers that wait for room may hold.
    stock: Stock,
}

impl Means {
    fn new() -> Self {
        Self { disk: Disk::new(), chores: Chores::new(), stock: Stock::new() }
    }
}

#[async_trait]
impl Protocol for Http {
    async fn serve(&self, stream: Stream, peer: Peer, drain: Drain) {
        let (site, options, means) = (Arc::clone(&self.site), Arc::clone(&self.options), self.means.clone());
        let Some(tls) = &self.site.tls else {
            return connection::run(stream, peer, site, options, means, drain).await;
        };
        match tls.accept(stream).await {
            Ok(stream) => {
                let asker = Asker { peer, secure: true };
                // Boxed, so that connections in the clear are not as large.
                Box::pin(connection::run(stream, asker, site, options, means, drain)).await;
            }
            Err(error) => {
                site.sight.tls_failed.add(1);
                tracing::debug!(%peer, %error, "a connection has no TLS");
            }
        }
    }

    async fn settle(&self) {
        self.means.chores.ended().await;
    }

    async fn turn_away(&self, stream: Stream, _crowd: Crowd) {
        if self.site.tls.is_some() {
            // Nothing can be said without a handshake, and that is what there are too many of.
            return;
        }
        connection::turn_away(stream).await;
    }
}

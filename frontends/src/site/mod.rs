//! What a front end shows, to whom, and within which bounds: [`Site`].

mod hosts;

use std::sync::Arc;
use std::time::Duration;

use vfs::FileSystem;

pub use self::hosts::{Hosts, Named};
use crate::auth::{Asker, Auth, Credentials, Denied, Entry};
use crate::sight::Sight;
use crate::transport::Rates;
use crate::transport::proxy::Network;
use crate::transport::tls::Tls;

/// One site: a tree, who may enter, bounds, and what is seen of it. Shared by all its connections.
#[derive(Clone, Debug)]
pub struct Site {
    tree: Arc<dyn FileSystem>,
    /// Names that show a part of the tree. Default: none, and every name shows all of it.
    pub hosts: Arc<Hosts>,
    /// Who may enter. Listeners of one process share it.
    pub auth: Arc<Auth>,
    /// What connections are inside of, or may be where the protocol begins without. Default: nothing.
    pub tls: Option<Tls>,
    /// Who may say, by the PROXY protocol, for whom it is connected; they have to say it first. Default: nobody.
    pub proxies: Vec<Network>,
    /// Bytes a second of all its connections together. Default: as many as go.
    pub rates: Rates,
    /// Bounds of each listener.
    pub limits: Limits,
    /// Counters and logs.
    pub sight: Arc<Sight>,
}

/// Bounds of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. Over HTTP a full house stops accepting, and the kernel's backlog waits; over FTP who comes then hears
    /// 421. Default 16,384.
    pub connections: usize,
    /// Connections at once from one address; one more is turned away. Default: [`Limits::share`] of `connections`, so that no
    /// address fills the house.
    pub connections_per_address: usize,
    /// How long a connection may do nothing. Default: 30 s over HTTP, 300 s over FTP.
    pub idle: Option<Duration>,
    /// How long a peer may take nothing of what is being sent to it, or send nothing of what it said it would. Default 30 s
    /// over HTTP, 120 s over FTP.
    pub stall: Option<Duration>,
    /// How long connections may go on after the stop was asked for. Default 30 s.
    pub drain: Duration,
}

impl Limits {
    /// What one address may have of `connections` where nothing else is chosen: three quarters, and one at least.
    pub const fn share(connections: usize) -> usize {
        let others = connections / 4;
        if others == 0 && connections > 1 { connections - 1 } else { connections - others }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const CONNECTIONS: usize = 16_384;
        Self {
            connections: CONNECTIONS,
            connections_per_address: Self::share(CONNECTIONS),
            idle: None,
            stall: None,
            drain: Duration::from_secs(30),
        }
    }
}

impl Site {
    /// A site that shows `tree` to everybody, within the default bounds.
    pub fn new(tree: Arc<dyn FileSystem>) -> Self {
        Self {
            tree,
            hosts: Arc::default(),
            auth: Arc::new(Auth::anonymous()),
            tls: None,
            proxies: Vec::new(),
            rates: Rates::default(),
            limits: Limits::default(),
            sight: Arc::new(Sight::default()),
        }
    }

    /// What `credentials` get under the host `name`, with the tree as they may see it: the only way for a session to one.
    ///
    /// # Errors
    /// [`Denied`] where they may not enter.
    pub async fn view(
        &self,
        name: Option<&str>,
        asker: Asker,
        credentials: &Credentials,
    ) -> Result<Entry, Denied> {
        let folder = name.and_then(|name| self.hosts.folder(name)).unwrap_or_default();
        let entry = self.auth.login(&self.tree, &folder, asker, credentials).await;
        if entry.is_err() && *credentials != Credentials::Anonymous {
            self.sight.logins_failed.add(1);
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_fills_the_house() {
        for (connections, share) in [(1, 1), (2, 1), (3, 2), (4, 3), (100, 75), (16_384, 12_288)] {
            assert_eq!(Limits::share(connections), share);
        }
        let limits = Limits::default();
        assert!(limits.connections_per_address < limits.connections);
    }
}

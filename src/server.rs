//! Listeners that are bound, and what serves them: everything is bound before anything is served.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use frontends::Site;
use frontends::serve::{Address, Listener};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::watch;
use tokio::task::JoinSet;
use vfs::FileSystem;

use crate::config::{ConfigError, Listen, PassivePorts, Protocol};
use crate::failure::Failure;
use crate::signals::{Signals, Wanted};

/// Listeners that are bound and wait to be served.
#[derive(Debug)]
pub(crate) struct Server {
    bound: Vec<Bound>,
}

#[derive(Debug)]
struct Bound {
    listen: Listen,
    listener: Listener,
    /// Goes with the listener.
    socket: Option<SocketFile>,
}

/// The file of a Unix socket; dropping it removes the file, unless another one has its name by then.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device_and_inode: Option<(u64, u64)>,
}

/// Front ends that run. Dropping it cuts every connection.
#[derive(Debug)]
pub(crate) struct Running {
    /// Each front end is one task; they live and die with this set.
    frontends: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Binds every listener.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the address that cannot be had and what to do; then none stays bound.
    pub(crate) async fn bind(listeners: &[Listen]) -> Result<Self, Failure> {
        raise_descriptor_limit();
        let mut bound = Vec::new();
        for listen in listeners {
            let refused = |error| ConfigError::new(&listen.origin, cure(&error));
            if let Address::Unix(path) = &listen.address {
                remove_stale_socket(path).await.map_err(refused)?;
            }
            let listener = Listener::bind(&listen.address).await.map_err(refused)?;
            let socket = match &listen.address {
                Address::Unix(path) => Some(SocketFile::new(path)),
                Address::Tcp(_) => None,
            };
            bound.push(Bound { listen: listen.clone(), listener, socket });
        }
        Ok(Self { bound })
    }

    /// Where each listener is reached, with the real port.
    pub(crate) fn urls(&self) -> impl Iterator<Item = String> {
        self.bound.iter().map(|bound| {
            let scheme = scheme(&bound.listen.protocol);
            match bound.listener.local_address() {
                Address::Tcp(address) => format!("{scheme}://{address}/"),
                Address::Unix(path) => format!("{scheme}+unix://{}", path.display()),
            }
        })
    }

    /// Serves `tree` on every listener; `http` is what HTTP is told.
    pub(crate) fn start(self, tree: &Arc<dyn FileSystem>, http: &frontends::http::Options) -> Running {
        let (stop, stopped) = watch::channel(false);
        let mut frontends = JoinSet::new();
        for bound in self.bound {
            frontends.spawn(bound.serve(Arc::clone(tree), http.clone(), stopped.clone()));
        }
        Running { frontends, stop }
    }
}

impl Bound {
    async fn serve(
        self,
        tree: Arc<dyn FileSystem>,
        http: frontends::http::Options,
        mut stopped: watch::Receiver<bool>,
    ) {
        let Self { listen, listener, socket } = self;
        let mut site = Site::new(tree);
        site.limits = listen.limits;
        let site = Arc::new(site);
        let shutdown = async move {
            // A sender that is gone means the same as its word.
            drop(stopped.wait_for(|stopped| *stopped).await);
            // Before the listener, and long before the last connection: by then another server may have the name.
            drop(socket);
        };
        match listen.protocol {
            Protocol::Http => frontends::http::serve(listener, site, http, shutdown).await,
            Protocol::Ftp { passive_ports } => {
                let options = frontends::ftp::Options {
                    passive_ports: passive_ports.map(|PassivePorts(ports)| ports),
                    ..frontends::ftp::Options::default()
                };
                frontends::ftp::serve(listener, site, options, shutdown).await;
            }
        }
    }
}

impl SocketFile {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), device_and_inode: device_and_inode(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.device_and_inode.is_some() && self.device_and_inode == device_and_inode(&self.path) {
            // Somebody may have been quicker; then there is nothing to do.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn device_and_inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|about| (about.dev(), about.ino()))
}

impl Running {
    /// Resolves where a front end ends that nobody stopped, which none does unless it has a fault.
    pub(crate) async fn ended(&mut self) -> Failure {
        match self.frontends.join_next().await {
            Some(Err(lost)) => Failure::Operation(format!("a front end broke down: {lost}")),
            Some(Ok(())) | None => Failure::Operation("a front end ended by itself".to_owned()),
        }
    }

    /// Stops accepting and lets open connections finish, until each listener's `drain` time is over or a second stop
    /// is wanted.
    ///
    /// # Errors
    /// [`Failure::Operation`] where the second stop cut connections.
    pub(crate) async fn drain(mut self, signals: &mut Signals) -> Result<(), Failure> {
        self.stop.send_replace(true);
        loop {
            tokio::select! {
                ended = self.frontends.join_next() => match ended {
                    Some(Ok(())) => {}
                    Some(Err(lost)) => return Err(Failure::Operation(format!("a front end broke down: {lost}"))),
                    None => return Ok(()),
                },
                wanted = signals.next() => if wanted == Wanted::Stop {
                    return Err(Failure::Operation("stopped at once: open connections were cut".to_owned()));
                },
            }
        }
    }
}

const fn scheme(protocol: &Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "http",
        Protocol::Ftp { .. } => "ftp",
    }
}

/// A socket file that a server left behind when it was killed has nobody behind it; only then it is removed.
async fn remove_stale_socket(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(about) if about.file_type().is_socket() => match tokio::net::UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
            _ => Err(io::ErrorKind::AddrInUse.into()),
        },
        // Anything else in the way is for `bind` to refuse.
        _ => Ok(()),
    }
}

/// Each connection needs a descriptor and each file that it reads another one; the usual soft limit of 1,024 is for
/// programs that use select(2).
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) =
        setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Why an address cannot be listened on, and what to do.
fn cure(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the address is in use: stop who listens there, or name another one".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: name one of its own, as 127.0.0.1 or 0.0.0.0".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "that is not allowed: a port below 1024 needs root, a socket a folder that you may write to"
                .to_owned()
        }
        io::ErrorKind::NotFound => "there is no such folder for the socket: create it".to_owned(),
        _ => error.to_string(),
    }
}

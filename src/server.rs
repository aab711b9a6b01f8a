//! Listeners that are bound, and what serves them: everything is bound before anything is served.

use std::io;
use std::path::Path;
use std::sync::Arc;

use frontends::auth::Auth;
use frontends::http::Lifetimes;
use frontends::serve::{Address, Listener};
use frontends::sight::{AccessFormat, AdminFs, Journal, Sight, Source, TransferFormat};
use frontends::transport::tls::{Spoken, Tls};
use frontends::{Hosts, Site};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::watch;
use tokio::task::JoinSet;
use vfs::layers::{RightsFs, WholeFiles};
use vfs::producer::Rate;
use vfs::{FileSystem, Vfs};

use crate::config::{Config, ConfigError, Control, Listen, Origin, Protocol};
use crate::control::{self, SocketFile, remove_stale};
use crate::failure::Failure;
use crate::journal::LogFile;
use crate::metrics::metrics;
use crate::signals::{Signals, Wanted};

/// Listeners that are bound and wait to be served.
#[derive(Debug)]
pub(crate) struct Server {
    bound: Vec<Bound>,
    admin: Option<Listener>,
    /// Keeps the admin's socket file, where it has one.
    admin_socket: Option<SocketFile>,
    control: Option<control::Socket>,
    access: Option<(LogFile, AccessFormat)>,
    transfer: Option<(LogFile, TransferFormat)>,
}

#[derive(Debug)]
struct Bound {
    listen: Listen,
    listener: Listener,
    tls: Option<Tls>,
    /// Goes with the listener.
    socket: Option<SocketFile>,
}

/// What all listeners share, and what a reload renews.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Every mount.
    pub(crate) space: Arc<Vfs>,
    /// The same, as everybody may use it.
    pub(crate) tree: Arc<RightsFs>,
    /// Names that show a part of it.
    pub(crate) hosts: Arc<Hosts>,
    /// Who may enter.
    pub(crate) auth: Arc<Auth>,
    /// How long files may be kept by who gets them over HTTP.
    pub(crate) lifetimes: Arc<Lifetimes>,
}

/// Front ends that run. Dropping it cuts every connection.
#[derive(Debug)]
pub(crate) struct Running {
    /// Each front end is one task; they live and die with this set.
    frontends: JoinSet<()>,
    stop: watch::Sender<bool>,
    /// By address, as it was written.
    tls: Vec<(Address, Tls)>,
    logs: Vec<LogFile>,
    /// Answers until the last front end has ended.
    _admin: JoinSet<()>,
    _admin_socket: Option<SocketFile>,
}

impl Server {
    /// Binds every listener.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the address that cannot be had and what to do; then none stays bound.
    pub(crate) async fn bind(config: &Config) -> Result<Self, Failure> {
        raise_descriptor_limit();
        let mut bound = Vec::new();
        for listen in &config.listeners {
            let (listener, socket) = open(&listen.address, &listen.origin).await?;
            let tls = match &listen.tls {
                None => None,
                Some(tls) => Some(
                    Tls::new(tls.identities.clone(), spoken(&listen.protocol))
                        .map_err(|error| ConfigError::new(&listen.origin, error.to_string()))?,
                ),
            };
            bound.push(Bound { listen: listen.clone(), listener, tls, socket });
        }
        let (admin, admin_socket) = match &config.admin {
            Some(admin) => {
                let (listener, socket) = open(&admin.address, &admin.origin).await?;
                (Some(listener), socket)
            }
            None => (None, None),
        };
        let access = match &config.log.access {
            Some((path, format)) => Some((log_file(path)?, *format)),
            None => None,
        };
        let transfer = match &config.log.transfer {
            Some((path, format)) => Some((log_file(path)?, *format)),
            None => None,
        };
        let control = open_control(&config.control).await?;
        Ok(Self { bound, admin, admin_socket, control, access, transfer })
    }

    /// Where each listener is reached, with the real port; the admin's last.
    pub(crate) fn urls(&self) -> impl Iterator<Item = String> {
        let served = self.bound.iter().map(|bound| (scheme(&bound.listen), &bound.listener));
        served.chain(self.admin.iter().map(|admin| ("admin+http", admin))).map(|(scheme, listener)| {
            match listener.local_address() {
                Address::Tcp(address) => format!("{scheme}://{address}/"),
                Address::Unix(path) => format!("{scheme}+unix://{}", path.display()),
                Address::Inherited(number) => format!("{scheme}+fd://{number}"),
            }
        })
    }

    /// Serves what is `shown` on every listener; `http` is what HTTP is told.
    pub(crate) fn start(self, shown: &Shown, http: &frontends::http::Options) -> Running {
        let (stop, stopped) = watch::channel(false);
        let mut frontends = JoinSet::new();
        let (mut tls, mut sources) = (Vec::new(), Vec::new());
        let logs = self.access.iter().map(|(log, _)| log).chain(self.transfer.iter().map(|(log, _)| log));
        let logs = logs.cloned().collect();
        let access = self.access.map(|(log, format)| Journal::new(format, Arc::new(log)));
        let transfer = self.transfer.map(|(log, format)| Journal::new(format, Arc::new(log)));
        let are_hidden = self.bound.iter().any(|bound| bound.listen.protocol.hides_uploads());
        for bound in self.bound {
            tls.extend(bound.tls.clone().map(|tls| (bound.listen.address.clone(), tls)));
            let mut tree: Arc<dyn FileSystem> = Arc::<RightsFs>::clone(&shown.tree);
            if are_hidden && !bound.listen.protocol.hides_uploads() {
                // What grows out of sight behind one listener is not to be seen through another.
                tree = Arc::new(WholeFiles::new(tree));
            }
            let mut site = Site::new(tree);
            site.hosts = Arc::clone(&shown.hosts);
            site.auth = Arc::clone(&shown.auth);
            let sight =
                Arc::new(Sight { access: access.clone(), transfer: transfer.clone(), ..Sight::default() });
            site.sight = Arc::clone(&sight);
            sources.push(Source {
                protocol: name(&bound.listen.protocol),
                listener: bound.listen.address.to_string(),
                sight,
            });
            frontends.spawn(bound.serve(site, http.clone(), stopped.clone()));
        }
        let mut admin = JoinSet::new();
        if let Some(listener) = self.admin {
            let tree = AdminFs::new(metrics(sources, Arc::clone(&shown.space)), move || !*stopped.borrow());
            let site = Arc::new(Site::new(Arc::new(tree)));
            admin.spawn(frontends::http::serve(
                listener,
                site,
                frontends::http::Options::default(),
                std::future::pending(),
            ));
        }
        if let Some(socket) = self.control {
            admin.spawn(control::serve(socket, Arc::clone(&shown.space)));
        }
        Running { frontends, stop, tls, logs, _admin: admin, _admin_socket: self.admin_socket }
    }
}

impl Bound {
    async fn serve(self, mut site: Site, http: frontends::http::Options, mut stopped: watch::Receiver<bool>) {
        let Self { listen, listener, tls, socket } = self;
        site.limits = listen.limits;
        site.tls = tls;
        site.proxies = listen.proxies;
        site.rates.send.extend(listen.download.map(Rate::shared));
        site.rates.receive.extend(listen.upload.map(Rate::shared));
        let site = Arc::new(site);
        let shutdown = async move {
            // A sender that is gone means the same as its word.
            drop(stopped.wait_for(|stopped| *stopped).await);
            // Before the listener, and long before the last connection: by then another server may have the name.
            drop(socket);
        };
        match listen.protocol {
            Protocol::Http => frontends::http::serve(listener, site, http, shutdown).await,
            Protocol::Ftp(options) => frontends::ftp::serve(listener, site, options, shutdown).await,
        }
    }
}

impl Running {
    /// Opens the log files anew.
    pub(crate) fn reopen(&self) {
        self.logs.iter().for_each(LogFile::reopen);
    }

    /// Takes the certificates of those listeners that are still there. Where one cannot be had, its old ones stay.
    pub(crate) fn renew(&self, listeners: &[Listen]) {
        for (address, tls) in &self.tls {
            let wanted = listeners.iter().find(|listen| listen.address == *address);
            if let Some(new) = wanted.and_then(|listen| listen.tls.as_ref())
                && let Err(error) = tls.replace(new.identities.clone())
            {
                tracing::error!(%address, %error, "the certificates stay as they were");
            }
        }
    }

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
                wanted = signals.next() => match wanted {
                    Wanted::Stop => {
                        return Err(Failure::Operation("stopped at once: open connections were cut".to_owned()));
                    }
                    Wanted::Reopen => self.reopen(),
                    Wanted::Reload => {}
                },
            }
        }
    }
}

/// Listens; a socket's file goes with the second value.
async fn open(address: &Address, origin: &Origin) -> Result<(Listener, Option<SocketFile>), ConfigError> {
    let refused = |error| ConfigError::new(origin, cure(&error));
    if let Address::Unix(path) = address {
        remove_stale(path).await.map_err(refused)?;
    }
    let listener = Listener::bind(address).await.map_err(refused)?;
    let socket = match address {
        Address::Unix(path) => Some(SocketFile::new(path)),
        Address::Tcp(_) | Address::Inherited(_) => None,
    };
    Ok((listener, socket))
}

/// The socket for operators. Where the usual place is taken there is none.
async fn open_control(place: &Control) -> Result<Option<control::Socket>, Failure> {
    let path = match place {
        Control::Off => None,
        Control::Usual => control::usual_place(),
        Control::At(path) => Some(path.clone()),
    };
    let Some(path) = path else { return Ok(None) };
    let shown = vfs::path::escaped(path.as_os_str().as_encoded_bytes());
    match control::Socket::bind(&path).await {
        Err(error) if *place == Control::Usual => {
            tracing::warn!(path = %shown, %error, "there is no control socket: name a place with --control PATH");
            Ok(None)
        }
        bound => {
            bound.map(Some).map_err(|error| Failure::Usage(format!("control: {shown}: {}", cure(&error))))
        }
    }
}

fn log_file(path: &Path) -> Result<LogFile, Failure> {
    LogFile::open(path).map_err(|error| {
        let path = vfs::path::escaped(path.as_os_str().as_encoded_bytes());
        Failure::Usage(format!(
            "log: {path}: cannot be written: {error}; name a file in a folder of your own"
        ))
    })
}

const fn name(protocol: &Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "http",
        Protocol::Ftp(_) => "ftp",
    }
}

fn scheme(listen: &Listen) -> &'static str {
    match (&listen.protocol, &listen.tls) {
        (Protocol::Http, None) => "http",
        (Protocol::Http, Some(_)) => "https",
        (Protocol::Ftp(_), Some(tls)) if tls.implicit => "ftps",
        (Protocol::Ftp(_), _) => "ftp",
    }
}

const fn spoken(protocol: &Protocol) -> Spoken {
    match protocol {
        Protocol::Http => Spoken::Http,
        Protocol::Ftp(_) => Spoken::Ftp,
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

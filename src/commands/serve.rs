//! `vfsd serve`: one tree, shown by every listener until it is told to stop.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use frontends::auth::Auth;
use frontends::serve::{Address, AddressError};
use frontends::sight::{AccessFormat, TransferFormat};
use frontends::{Hosts, Limits};
use vfs::layers::mirror::Preset;
use vfs::layers::{Access, RightsFs};
use vfs::{VPath, Vfs};

use crate::cache::Cache;
use crate::cli::Sites;
use crate::config::{
    Admin, Config, ConfigError, Control, Format, Level, Listen, Mirror, Mount, Origin, PassivePorts,
    Protocol, Remote, Source, Tls, parse_preset,
};
use crate::console::Console;
use crate::failure::Failure;
use crate::namespace::{Mode, Sources, current_folder};
use crate::server::{Running, Server, Shown};
use crate::signals::{Signals, Wanted};
use crate::units::parse_size;
use crate::{logging, namespace, notify};

/// Where HTTP listens on this machine alone, when nothing else is said.
const HTTP_PORT: u16 = 8080;

/// Where FTP listens on this machine alone, when nothing else is said.
const FTP_PORT: u16 = 2121;

/// Arguments of `vfsd serve`.
#[derive(Args, Clone, Debug, Default)]
pub struct Serve {
    /// Where HTTP listens: IP:PORT, unix:/path or off (repeatable) [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http: Vec<Place>,
    /// Where FTP listens: IP:PORT, unix:/path or off (repeatable) [default: 127.0.0.1:2121]
    #[arg(long, value_name = "ADDR")]
    ftp: Vec<Place>,
    /// Ports for FTP's data connections [default: any]
    #[arg(long, value_name = "LO-HI")]
    passive_ports: Option<PassivePorts>,
    /// The certificate of every listener here, as PEM with its chain: HTTPS, and FTP with AUTH TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of --tls-cert, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let nobody in but this user: NAME:HASH, see vfsd passwd; or an htpasswd file (repeatable)
    #[arg(long, value_name = "USER")]
    user: Vec<String>,
    /// Let guests list and read where there are users
    #[arg(long)]
    guests: bool,
    /// Where /metrics and /healthz are: IP:PORT or unix:/path
    #[arg(long, value_name = "ADDR")]
    admin: Option<Address>,
    /// A line for each request over HTTP, in the combined format
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// A line for each file over FTP, as xferlog has it
    #[arg(long, value_name = "FILE")]
    transfer_log: Option<PathBuf>,
    /// Let clients change the mounts named here, as far as their rights go
    #[arg(long)]
    writable: bool,
    /// Where indexes of archives are kept, and what was fetched of remote mounts, or off [default: $XDG_CACHE_HOME/vfsd]
    #[arg(long, value_name = "DIR")]
    cache: Option<Cache>,
    /// Use an index that lies beside its archive, where only trusted people write; vfsd index --beside makes them
    #[arg(long)]
    indexes_beside: bool,
    /// Go on behind the zeros that end a tar, as for tar --ignore-zeros
    #[arg(long)]
    ignore_zeros: bool,
    /// Pass over what is damaged in a tar, and go on at its next header
    #[arg(long)]
    resync: bool,
    /// How much is kept of remote mounts [default: 10GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    cache_size: Option<u64>,
    /// Where `vfsd mirror` reaches this server: a socket for its owner alone, or off [default: $XDG_RUNTIME_DIR/vfsd.sock]
    #[arg(long, value_name = "PATH")]
    control: Option<Control>,
    /// How the remote mounts named here are kept: generic (as their servers say), apt, pip or off [default: generic]
    #[arg(long, value_name = "PRESET", value_parser = parse_preset)]
    mirror: Option<Kept>,
    /// Never ask the remote mounts named here: serve what is kept of them
    #[arg(long)]
    offline: bool,
    /// Mounts, rights, listeners and log from a file; what is given here comes on top
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How much is logged [default: info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<Level>,
    /// How a line of the log looks [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
    #[command(flatten)]
    sites: Sites,
    /// What to show: [AT=]SOURCE. AT starts with / and ends at the first =; SOURCE is a folder, an archive, memory: or
    /// an http:// or https:// site
    /// [default: the current folder at /]
    #[arg(value_name = "MOUNT")]
    mounts: Vec<OsString>,
}

/// A preset, or nothing is kept.
type Kept = Option<Preset>;

/// Where one protocol listens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Off,
    At(Address),
}

/// Serves until SIGTERM or Ctrl-C. Writes one line a listener with its URL, then says `ready`; connections that are open
/// at the end may finish within their listener's `drain` time, or until a second signal. SIGHUP reads the mounts of the
/// configuration again.
///
/// # Errors
/// [`Failure::Usage`] for anything that keeps it from starting; nothing is served then.
pub async fn run(arguments: &Serve, console: &mut Console) -> Result<(), Failure> {
    let mut signals = Signals::take()?;
    let config = arguments.config()?;
    logging::start(&config.log)
        .map_err(|error| Failure::Operation(format!("the log cannot be started: {error}")))?;
    let sources = Sources::of_server(&config.cache, config.archives);
    let space = namespace::served(&config.mounts, &sources).await?;
    let http = config.http_options();
    let shown = Shown {
        tree: Arc::new(RightsFs::new(Arc::<Vfs>::clone(&space), namespace::rules(&config.rights)?)),
        hosts: Arc::new(Hosts::new(config.named_hosts())),
        auth: Arc::new(Auth::new(config.auth.users())),
        lifetimes: Arc::clone(&http.lifetimes),
        space,
    };
    let server = Server::bind(&config).await?;
    for url in server.urls() {
        // Nobody has to read the URLs for the server to serve.
        let _ = console.line(url);
    }
    let _ = console.flush();
    console.note("ready");
    let mut running = server.start(&shown, &http);
    notify::ready();
    let mut current = config;
    loop {
        tokio::select! {
            wanted = signals.next() => match wanted {
                Wanted::Stop => break,
                Wanted::Reopen => running.reopen(),
                Wanted::Reload => current = reload(arguments, &shown, &sources, current, &running).await,
            },
            failure = running.ended() => return Err(failure),
        }
    }
    notify::stopping();
    running.drain(&mut signals).await
}

/// Reads the configuration again and brings mounts, rights, hosts, users and certificates up to date: new sources are
/// opened first, so one that cannot be had changes nothing. Gives what holds now. Rights hold for everybody from then on; connections that are open keep their certificate, and who is logged
/// in stays.
async fn reload(
    arguments: &Serve,
    shown: &Shown,
    sources: &Sources,
    current: Config,
    running: &Running,
) -> Config {
    if arguments.config.is_none() && arguments.tls_cert.is_none() && arguments.user.is_empty() {
        tracing::warn!("there is no --config FILE to read again");
        return current;
    }
    notify::reloading();
    let reloaded = try_reload(arguments, shown, sources, &current.mounts).await;
    notify::ready();
    match reloaded {
        Ok(config) => {
            shown.hosts.replace(config.named_hosts());
            shown.auth.replace(config.auth.users());
            shown.lifetimes.replace(config.lifetimes());
            running.renew(&config.listeners);
            let mounts = config.mounts.len();
            tracing::info!(mounts, "read again; other listeners and another log come with the next start");
            config
        }
        Err(failure) => {
            tracing::error!(%failure, "the configuration is refused; everything stays as it was");
            current
        }
    }
}

async fn try_reload(
    arguments: &Serve,
    shown: &Shown,
    sources: &Sources,
    mounted: &[Mount],
) -> Result<Config, Failure> {
    let config = arguments.config()?;
    let rules = namespace::rules(&config.rights)?;
    let space = &shown.space;
    let wanted = &config.mounts;
    let mut added = Vec::new();
    for mount in wanted.iter().filter(|mount| !mounted.iter().any(|other| other.is_same(mount))) {
        added.push(namespace::prepare(mount, Mode::served(mount), sources).await?);
    }
    let gone = mounted.iter().filter(|mount| !wanted.iter().any(|other| other.is_same(mount)));
    // Together, so that nothing is missed for a moment, and no mount seen under rights that were not made for it.
    shown.tree.replace_with(rules, || namespace::change(space, gone, added))?;
    Ok(config)
}

impl Serve {
    /// The configuration file, where there is one, with the command line on top.
    fn config(&self) -> Result<Config, Failure> {
        let mut config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::default(),
        };
        self.add_mounts(&mut config)?;
        self.set_cache(&mut config);
        self.set_listeners(&mut config)?;
        self.set_passive_ports(&mut config)?;
        self.add_users(&mut config)?;
        if let Some(address) = &self.admin {
            let origin = Origin::of_argument("--admin", address.to_string().as_bytes());
            config.admin = Some(Admin { address: address.clone(), origin });
        }
        if let Some(file) = &self.access_log {
            config.log.access = Some((file.clone(), AccessFormat::default()));
        }
        if let Some(file) = &self.transfer_log {
            config.log.transfer = Some((file.clone(), TransferFormat::default()));
        }
        if let Some(place) = &self.control {
            config.control = place.clone();
        }
        config.log.level = self.log.unwrap_or(config.log.level);
        config.log.format = self.log_format.unwrap_or(config.log.format);
        Ok(config)
    }

    fn add_users(&self, config: &mut Config) -> Result<(), Failure> {
        for text in &self.user {
            config.auth.add_argument(text)?;
        }
        if self.guests {
            config.auth.guests = Some(Access::READ);
        }
        Ok(())
    }

    /// The certificate that is named here, for the listeners that are.
    fn tls(&self) -> Result<Option<Tls>, Failure> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Ok(Some(Tls::of_arguments(cert, key)?)),
            _ => Ok(None),
        }
    }

    /// What is kept of the remote mounts that are named here.
    fn kept(&self) -> Mirror {
        let mut mirror = Mirror::default();
        if let Some(preset) = self.mirror {
            mirror.preset = preset;
        }
        mirror.tolerances.offline = self.offline;
        mirror
    }

    fn set_cache(&self, config: &mut Config) {
        config.archives.indexes_beside |= self.indexes_beside;
        config.archives.ignore_zeros |= self.ignore_zeros;
        config.archives.resync |= self.resync;
        if let Some(place) = &self.cache {
            config.cache.place = Some(place.clone());
        }
        if let Some(bytes) = self.cache_size {
            config.cache.options.bytes = bytes;
        }
    }

    fn add_mounts(&self, config: &mut Config) -> Result<(), Failure> {
        let folder = current_folder()?;
        for text in &self.mounts {
            let mount = Mount::parse("MOUNT", text, &folder)?;
            let (writable, remote) = (self.writable, self.sites.wishes());
            let mount = Mount { writable, remote, mirror: self.kept(), ..mount };
            if config.mounts.iter().any(|other| other.at == mount.at) {
                let cure =
                    format!("{} is mounted twice: put one of them elsewhere, as in /x=SOURCE", mount.at);
                return Err(ConfigError::new(&mount.origin, cure).into());
            }
            config.mounts.push(mount);
        }
        if config.mounts.is_empty() {
            if let Some(file) = &self.config {
                let cure = "there is nothing to serve: add a [[mount]]";
                return Err(ConfigError::new(&Origin::of_file(file), cure).into());
            }
            let origin = Origin::of_argument("MOUNT", b".");
            let (at, source) = (VPath::root(), Source::Path(folder));
            let (writable, remote) = (self.writable, Remote::default());
            let (mirror, cache_control) = (Mirror::default(), None);
            config.mounts.push(Mount { at, source, writable, cache_control, remote, mirror, origin });
        }
        Ok(())
    }

    /// An option takes the place of its protocol's listeners in the file; where the file has none at all, a protocol
    /// without an option listens at its usual place.
    fn set_listeners(&self, config: &mut Config) -> Result<(), Failure> {
        let tls = self.tls()?;
        let file_is_silent = config.listeners.is_empty();
        for (option, places, port, protocol) in [
            ("--http", &self.http, HTTP_PORT, Protocol::Http),
            ("--ftp", &self.ftp, FTP_PORT, Protocol::Ftp(frontends::ftp::Options::default())),
        ] {
            let usual = [Place::At(Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))];
            let places = match &places[..] {
                [] if file_is_silent => &usual[..],
                [] => continue,
                places if places.len() > 1 && places.contains(&Place::Off) => {
                    return Err(Failure::Usage(format!(
                        "{option} off stands beside another {option}: drop one"
                    )));
                }
                places => places,
            };
            config.listeners.retain(|listen| !listen.protocol.is_same(&protocol));
            for place in places {
                if let Place::At(address) = place {
                    let (protocol, address) = (protocol.clone(), address.clone());
                    let origin = Origin::of_argument(option, address.to_string().as_bytes());
                    let (limits, tls) = (Limits::default(), tls.clone());
                    config.listeners.push(Listen {
                        protocol,
                        address,
                        limits,
                        download: None,
                        upload: None,
                        proxies: Vec::new(),
                        tls,
                        origin,
                    });
                }
            }
        }
        if config.listeners.is_empty() {
            return Err(Failure::Usage("nothing listens: leave --http or --ftp on".to_owned()));
        }
        Ok(())
    }

    fn set_passive_ports(&self, config: &mut Config) -> Result<(), Failure> {
        let Some(ports) = &self.passive_ports else { return Ok(()) };
        let mut used = false;
        for listen in &mut config.listeners {
            if let Protocol::Ftp(options) = &mut listen.protocol {
                options.passive_ports = Some(ports.0.clone());
                used = true;
            }
        }
        if used { Ok(()) } else { Err(Failure::Usage("--passive-ports is for FTP, which is off".to_owned())) }
    }
}

impl FromStr for Place {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text {
            "off" => Ok(Self::Off),
            text => text.parse().map(Self::At),
        }
    }
}

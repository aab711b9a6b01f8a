//! What `serve` is to do: read from a file or the command line, refused with file, key and cure, or ready.
//!
//! Each room of the configuration is one file here: what is written (a raw struct), what is meant (a ready struct), and
//! one `TryFrom` between them, the only place that refuses.

mod archives;
mod auth;
mod cache;
mod control;
mod ftp;
mod host;
mod listen;
mod log;
mod mirror;
mod mount;
mod refusal;
mod remote;
mod right;
mod tls;
mod web;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use frontends::http::Lifetimes;
use serde::Deserialize;
use toml::Spanned;
use vfs::VPath;

pub use self::archives::Archives;
pub use self::auth::{Account, Auth};
pub use self::cache::CacheFolder;
pub use self::control::Control;
pub use self::host::Host;
pub use self::listen::{Admin, Listen, PassivePorts, Protocol};
pub use self::log::{Format, Level, Log};
pub(crate) use self::mirror::parse_preset;
pub use self::mirror::{Mirror, Packages};
pub use self::mount::{Mount, Source};
pub(crate) use self::mount::{host_path, path_of_host};
pub use self::refusal::{ConfigError, Origin};
use self::refusal::{Document, Refusal};
pub use self::remote::{Remote, Secret, User};
pub use self::right::Right;
pub use self::tls::Tls;
pub use self::web::Web;

/// Largest configuration file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What is served, where, and what is said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What stands where in the tree.
    pub mounts: Vec<Mount>,
    /// What may be done where. Empty: everything may be listed and read.
    pub rights: Vec<Right>,
    /// Who may enter.
    pub auth: Auth,
    /// Names that show a folder of the tree. Empty: every name shows all of it.
    pub hosts: Vec<Host>,
    /// Where is kept what can be had again.
    pub cache: CacheFolder,
    /// How archives are looked at.
    pub archives: Archives,
    /// Who shows it.
    pub listeners: Vec<Listen>,
    /// Where operators' programs ask. Default: nowhere.
    pub admin: Option<Admin>,
    /// Where an operator reaches the running server.
    pub control: Control,
    /// What all HTTP listeners do.
    pub http: Web,
    /// What is logged.
    pub log: Log,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default)]
    mount: Vec<Spanned<mount::RawMount>>,
    #[serde(default)]
    right: Vec<Spanned<right::RawRight>>,
    #[serde(default)]
    auth: auth::RawAuth,
    #[serde(default)]
    user: Vec<auth::RawUser>,
    #[serde(default)]
    host: Vec<host::RawHost>,
    #[serde(default)]
    serve: Vec<Spanned<listen::RawListen>>,
    admin: Option<listen::RawAdmin>,
    #[serde(default)]
    cache: cache::RawCache,
    #[serde(default)]
    control: control::RawControl,
    #[serde(default)]
    archives: Archives,
    #[serde(default)]
    http: web::RawWeb,
    #[serde(default)]
    log: log::RawLog,
}

impl Config {
    /// Reads the file `path`. Relative sources in it start in its folder.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line, key and cure.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let refuse = |says: &str| ConfigError::new(&Origin::of_file(path), says);
        let unreadable = |error| refuse(&format!("cannot be read: {error}"));
        let about = std::fs::metadata(path).map_err(unreadable)?;
        if !about.is_file() {
            return Err(refuse("is no file: name the configuration file itself"));
        }
        if about.len() > MAX_FILE_BYTES {
            return Err(refuse("is longer than 1 MiB, so it is hardly a configuration"));
        }
        let text = std::fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8(text).map_err(|_| refuse("is not UTF-8 text: save it as UTF-8"))?;
        let folder = std::path::absolute(path).map_err(unreadable)?;
        let folder = host_path(folder.parent().unwrap_or(Path::new("/")));
        Self::parse(&Document { file: path, text: &text, folder: &folder })
    }

    fn has_host(&self, name: &str) -> bool {
        self.hosts.iter().any(|host| host.names.iter().any(|other| other == name))
    }

    /// What HTTP listeners are told.
    pub(crate) fn http_options(&self) -> frontends::http::Options {
        frontends::http::Options {
            compress: self.http.compress,
            origins: self.http.origins.clone(),
            upload_bytes: self.http.upload_bytes,
            lifetimes: Arc::new(Lifetimes::new(self.lifetimes())),
            bounds: self.http.bounds.clone(),
        }
    }

    /// How long files may be kept, by mount.
    pub(crate) fn lifetimes(&self) -> impl Iterator<Item = (&VPath, &str)> {
        self.mounts.iter().filter_map(|mount| Some((&mount.at, mount.cache_control.as_deref()?)))
    }

    /// The names that show a folder of the tree.
    pub(crate) fn named_hosts(&self) -> frontends::Named {
        let refuses_others = self.http.refuses_unknown_hosts.unwrap_or(!self.hosts.is_empty());
        Host::named(&self.hosts, refuses_others)
    }

    fn parse(document: &Document<'_>) -> Result<Self, ConfigError> {
        let raw = toml::from_str::<RawConfig>(document.text).map_err(Refusal::from);
        raw.and_then(|raw| Self::try_from((raw, document))).map_err(|refusal| document.locate(refusal))
    }
}

impl TryFrom<(RawConfig, &Document<'_>)> for Config {
    type Error = Refusal;

    fn try_from((raw, document): (RawConfig, &Document<'_>)) -> Result<Self, Refusal> {
        let admin = raw.admin.map(|admin| Admin::try_from((admin, document))).transpose()?;
        let cache = CacheFolder::try_from((raw.cache, document))?;
        let unknown_hosts = raw.http.unknown_hosts_span();
        let (http, log) = (raw.http.try_into()?, (raw.log, document).into());
        let control = Control::try_from((raw.control, document))?;
        let mut config = Self { http, log, admin, cache, control, archives: raw.archives, ..Self::default() };
        let spans: Vec<_> = raw.mount.iter().map(Spanned::span).collect();
        for written in raw.mount {
            let span = written.span();
            let mount = Mount::try_from((written.into_inner(), document))?;
            if config.mounts.iter().any(|other| other.at == mount.at) {
                let cure = format!("{} is mounted twice: give one of them another \"at\"", mount.at);
                return Err(Refusal::new(span, cure));
            }
            config.mounts.push(mount);
        }
        mirror::join_packages(&mut config.mounts)
            .map_err(|(nth, says)| Refusal::new(spans[nth].clone(), says))?;
        for written in raw.right {
            let span = written.span();
            let right = Right::try_from(written.into_inner())?;
            if config.rights.iter().any(|other| other.path == right.path) {
                return Err(Refusal::new(span, format!("{} has two rules: put them into one", right.path)));
            }
            config.rights.push(right);
        }
        config.auth = Auth::try_from((raw.auth, raw.user, document))?;
        for written in raw.host {
            let span = written.span();
            let host = Host::try_from(written)?;
            if let Some(name) = host.names.iter().find(|name| config.has_host(name)) {
                return Err(Refusal::new(span, format!("{name} is named twice: leave it to one [[host]]")));
            }
            config.hosts.push(host);
        }
        if config.hosts.is_empty() && config.http.refuses_unknown_hosts == Some(true) {
            let cure = "nobody could ask for anything: name a [[host]]";
            return Err(Refusal::new(unknown_hosts.unwrap_or_default(), cure));
        }
        for written in raw.serve {
            let span = written.span();
            let listen = Listen::try_from((written.into_inner(), document))?;
            let address = &listen.address;
            if listen.has_fixed_address() && config.listeners.iter().any(|other| other.address == *address) {
                let cure = format!("{address} is listened on twice: change one of them");
                return Err(Refusal::new(span, cure));
            }
            config.listeners.push(listen);
        }
        Ok(config)
    }
}

/// One line for each thing that would be served.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mount in &self.mounts {
            writeln!(f, "mount {mount}")?;
        }
        for right in &self.rights {
            writeln!(f, "right {right}")?;
        }
        write!(f, "{}", self.auth)?;
        for host in &self.hosts {
            writeln!(f, "host {host}")?;
        }
        for listen in &self.listeners {
            writeln!(f, "serve {listen}")?;
        }
        if let Some(admin) = &self.admin {
            writeln!(f, "admin on {}", admin.address)?;
        }
        if self.http != Web::default() {
            writeln!(f, "http {}", self.http)?;
        }
        write!(f, "log {}", self.log)
    }
}

#[cfg(test)]
mod tests {
    use vfs::VPath;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let folder = VPath::parse("/etc/vfsd").unwrap();
        let document = Document { file: Path::new("vfsd.toml"), text, folder: &folder };
        Config::parse(&document).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_configuration_is_ready() {
        let config = parse(
            r#"
            [[mount]]
            at = "/releases"
            source = "releases"

            [[mount]]
            at = "/scratch"
            source = "memory:"

            [[mount]]
            at = "/site"
            source = "https://me:secret@example.org/pub/"
            remote = { connections = 8, connect = "5s", stall = "1m", allow_private = true, ca = "own.pem" }

            [[right]]
            path = "/releases/drafts"
            allow = ["read"]

            [[serve]]
            protocol = "ftp"
            listen = "127.0.0.1:2121"
            passive_ports = "50000-50100"
            ftp = { masquerade = "ftp.example.org", partial_uploads = "keep", guests_overwrite = true }
            limits = { connections = 200, connections_per_address = 10, idle = "5m", drain = "10s" }

            [[serve]]
            protocol = "http"
            listen = "unix:/run/vfsd.sock"

            [http]
            compress = false
            origins = ["https://app.example"]
            upload_bytes = 1000
            unknown_hosts = "serve"
            limits = { head = "5s", head_size = "16KiB", fields = 50, slowest_upload = "1kB", streams = 16, reset_streams = 4 }

            [[host]]
            names = ["Files.example.org", "*.files.example.org"]
            root = "/releases"

            [log]
            level = "debug"
            format = "json"
            "#,
        )
        .unwrap();
        assert_eq!(
            config.to_string().lines().collect::<Vec<_>>(),
            [
                "mount /releases from /etc/vfsd/releases",
                "mount /scratch from memory:",
                "mount /site from https://me:…@example.org/pub/",
                "right /releases/drafts allow read",
                "host files.example.org and *.files.example.org shows /releases",
                "serve ftp on 127.0.0.1:2121, passive ports 50000-50100, masquerade ftp.example.org, \
                 partial uploads kept, guests overwrite, 200 connections, 10 an address, idle 5m, stall by protocol, drain 10s",
                "serve http on unix:/run/vfsd.sock, 16384 connections, 12288 an address, idle by protocol, \
                 stall by protocol, drain 30s",
                "http compresses nothing, read by scripts of https://app.example, uploads of 1000 bytes at most, \
                 other hosts see everything, heads of 50 fields and 16384 bytes within 5s, \
                 uploads of 1000 bytes a second at least, 16 streams, 4 of them reset early",
                "log debug as json",
            ]
        );
    }

    #[test]
    fn the_example_of_sites_states_the_defaults() {
        let config = parse(include_str!("../../examples/sites.toml")).unwrap();
        assert_eq!(config.http.bounds, Web::default().bounds);
        let named = config.named_hosts();
        assert!(named.refuses_others);
        assert_eq!(named.folders["*.dev.example.org"].to_string(), "/dev");
        assert_eq!(config.rights[0].to_string(), "/inbox allow write");
    }

    #[test]
    fn nothing_is_a_configuration_too() {
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn the_mounts_of_an_index_know_one_another() {
        let mount = |at: &str, more: &str| {
            format!(
                "[[mount]]\nat = {at:?}\nsource = \"https://h{at}/\"\nmirror = {{ preset = \"pip\"{more} }}\n"
            )
        };
        let text = mount("/s", ", files = [\"/f\"]") + &mount("/f", "") + &mount("/own", "");
        let config = parse(&text).unwrap();
        let parts: Vec<_> = config.mounts.iter().map(|mount| mount.mirror.packages.as_ref()).collect();
        let sites: Vec<_> = parts[0].unwrap().sites.iter().map(|(url, at)| format!("{url} {at}")).collect();
        assert_eq!(sites, ["https://h/s/ /s", "https://h/f/ /f"]);
        assert_eq!(parts[0].unwrap().sites, parts[1].unwrap().sites);
        assert_eq!((parts[0].unwrap().part, parts[1].unwrap().part), (0, 1));
        assert_eq!(parts[2], None);
    }

    #[test]
    fn what_is_refused_comes_with_file_line_key_and_cure() {
        for (text, line) in [
            (
                "[[mount]]\nat = \"/\"\nsauce = \".\"",
                "vfsd.toml:3: mount.sauce: unknown key; did you mean \"source\"?",
            ),
            ("[[mount]]\nat = \"/\"", "vfsd.toml:1: mount: the key \"source\" is missing: add it"),
            (
                "[[mount]]\nat = \"x\"\nsource = \".\"",
                "vfsd.toml:2: mount.at: \"x\" is no place in the tree: start it with \"/\"",
            ),
            (
                "[[mount]]\nat = \"/x.tgz#tgz:\"\nsource = \".\"",
                "vfsd.toml:2: mount.at: nothing can be mounted inside an archive: choose a place outside",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \"\"",
                "vfsd.toml:3: mount.source: the source is empty: write a folder, as in \".\"",
            ),
            (
                "[[mount]]\nat = \"/a\"\nsource = \".\"\n[[mount]]\nat = \"/b/../a\"\nsource = \".\"",
                "vfsd.toml:4: mount: /a is mounted twice: give one of them another \"at\"",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \".\"\nremote = { connections = 1 }",
                "vfsd.toml:4: mount.remote: the source is on this machine: remove \"remote\", or name a URL",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \"http://a.b\"\nremote = { password_env = \"X\" }",
                "vfsd.toml:4: mount.remote.password_env: a password without a user: add the key \"user\"",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \"ftp://a.b\"\nremote = { encoding = \"utf-16le\" }",
                "vfsd.toml:4: mount.remote.encoding: an encoding is a name like latin1, windows-1252 or gbk",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \"ftp://a.b\"\nremote = { time_zone = \"CET\" }",
                "vfsd.toml:4: mount.remote.time_zone: a time zone is written +02:00, -0530 or UTC",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \"http://a.b\"\nremote = { encoding = \"gbk\" }",
                "vfsd.toml:4: mount.remote: encoding and time_zone are for FTP sites: HTTP has one of its own for both",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \"http://a.b\"\nremote = { connection = 1 }",
                "vfsd.toml:4: mount.remote.connection: unknown key; did you mean \"connections\"?",
            ),
            (
                "[[right]]\npath = \"/a\"\nallow = [\"writes\"]",
                "vfsd.toml:3: right.allow: \"writes\" is not known here; did you mean \"write\"? Known: list, read, write",
            ),
            (
                "[[right]]\npath = \"a\"\nallow = []",
                "vfsd.toml:2: right.path: \"a\" is not absolute: it must start with \"/\"",
            ),
            (
                "[[right]]\npath = \"/a#zip:\"\nallow = []",
                "vfsd.toml:2: right.path: a rule inside an archive would not keep anybody out: put it on the archive's own path",
            ),
            (
                "[[right]]\npath = \"/a\"\nallow = []\n[[right]]\npath = \"/a/\"\nallow = []",
                "vfsd.toml:4: right: /a has two rules: put them into one",
            ),
            (
                "[[mount]]\nat = \"/s\"\nsource = \"https://h/\"\nmirror = { preset = \"pip\", files = [\"/f\"] }",
                "vfsd.toml:1: mount: \"files\" names /f, which is no other mount with preset = \"pip\": add one",
            ),
            (
                "[[mount]]\nat = \"/s\"\nsource = \"https://h/\"\nmirror = { files = [\"/f\"] }",
                "vfsd.toml:4: mount.mirror.files: only an index of Python packages has its files elsewhere: add preset = \"pip\"",
            ),
            (
                "[[mount]]\nat = 1\nsource = \".\"",
                "vfsd.toml:2: mount.at: invalid type: integer \"1\", expected a string",
            ),
            (
                "[[serve]]\nprotocol = \"htpp\"\nlisten = \"127.0.0.1:0\"",
                "vfsd.toml:2: serve.protocol: \"htpp\" is not known here; did you mean \"http\"? Known: http, ftp",
            ),
            (
                "[[serve]]\nprotocol = \"http\"\nlisten = \"localhost\"",
                "vfsd.toml:3: serve.listen: \"localhost\" is no address to listen on: write IP:PORT (127.0.0.1:8080, [::1]:8080; port 0 takes a free one) or unix:/absolute/path",
            ),
            (
                "[[serve]]\nprotocol = \"http\"\nlisten = \"127.0.0.1:80\"\npassive_ports = \"1-2\"",
                "vfsd.toml:4: serve.passive_ports: only ftp has passive ports: remove it",
            ),
            (
                "[[serve]]\nprotocol = \"ftp\"\nlisten = \"127.0.0.1:21\"\npassive_ports = \"9-2\"",
                "vfsd.toml:4: serve.passive_ports: \"9-2\" is no range of ports: write LOW-HIGH, as in 50000-50100",
            ),
            (
                "[[serve]]\nprotocol = \"http\"\nlisten = \"127.0.0.1:80\"\nftp = {}",
                "vfsd.toml:4: serve.ftp: this is http: remove it",
            ),
            (
                "[[serve]]\nprotocol = \"ftp\"\nlisten = \"127.0.0.1:21\"\nftp = { masquerade = \"203.0.113\" }",
                "vfsd.toml:4: serve.ftp.masquerade: \"203.0.113\" is neither an IPv4 address nor a name: write what clients outside reach, as 203.0.113.7; EPSV needs none",
            ),
            (
                "[[serve]]\nprotocol = \"ftp\"\nlisten = \"127.0.0.1:21\"\nftp = { partial_uploads = \"kept\" }",
                "vfsd.toml:4: serve.ftp.partial_uploads: \"kept\" is not known here; did you mean \"keep\"? Known: delete, keep, hide",
            ),
            (
                "[[serve]]\nprotocol = \"ftp\"\nlisten = \"127.0.0.1:21\"\nlimits = { idle = 300 }",
                "vfsd.toml:4: serve.limits.idle: write a time with its unit in quotes, as in \"5m\"",
            ),
            (
                "[[serve]]\nprotocol = \"ftp\"\nlisten = \"127.0.0.1:21\"\nlimits = { idle = \"300\" }",
                "vfsd.toml:4: serve.limits.idle: \"300\" is no time: write a number and a unit, as in 500ms, 30s, 5m, 2h, 1d",
            ),
            (
                "[[serve]]\nprotocol = \"ftp\"\nlisten = \"127.0.0.1:21\"\nlimits = { connections = 0 }",
                "vfsd.toml:4: serve.limits.connections: nobody could connect: write 1 at least",
            ),
            (
                "[[serve]]\nprotocol = \"ftp\"\nlisten = \"127.0.0.1:21\"\n[serve.limits]\nconnects = 5",
                "vfsd.toml:5: serve.limits.connects: unknown key; did you mean \"connections\"?",
            ),
            (
                "[http]\norigins = [\"app.example/\"]",
                "vfsd.toml:2: http.origins: \"app.example/\" is no origin: write https://HOST without a path, or * for all",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \".\"\ncache_control = \"a\\nb\"",
                "vfsd.toml:4: mount.cache_control: it is no value of a header: write one line of ASCII, as in \"max-age=3600\"",
            ),
            (
                "[[host]]\nnames = [\"http://a.example\"]",
                "vfsd.toml:2: host.names: \"http://a.example\" is no name of a host: write it without scheme and port, as in files.example.org or *.example.org",
            ),
            (
                "[[host]]\nnames = []",
                "vfsd.toml:2: host.names: a host without a name: write names = [\"files.example.org\"]",
            ),
            (
                "[[host]]\nnames = [\"a\"]\nroot = \"pub\"",
                "vfsd.toml:3: host.root: \"pub\" is no place in the tree: start it with \"/\"",
            ),
            (
                "[[host]]\nnames = [\"a\"]\n[[host]]\nnames = [\"b\", \"A\"]",
                "vfsd.toml:4: host.names: a is named twice: leave it to one [[host]]",
            ),
            (
                "[http]\nunknown_hosts = \"refuse\"",
                "vfsd.toml:2: http.unknown_hosts: nobody could ask for anything: name a [[host]]",
            ),
            (
                "[http]\nlimits = { head_size = \"1KiB\" }",
                "vfsd.toml:2: http.limits.head_size: a request's head takes 8KiB to 1MiB: write a size in between",
            ),
            (
                "[http]\nlimits = { streams = 100000 }",
                "vfsd.toml:2: http.limits.streams: more than there can be: write 65536 at most",
            ),
            (
                "[log]\nlevel = \"loud\"",
                "vfsd.toml:2: log.level: \"loud\" is not known here. Known: off, error, warn, info, debug, trace",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \".\"\nmirror = {}",
                "vfsd.toml:4: mount.mirror: the source is on this machine: remove \"mirror\", or name a URL",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \"http://h/\"\nwritable = true\nmirror = {}",
                "vfsd.toml:5: mount.mirror: a mirror takes no changes: remove \"mirror\" or \"writable\"",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \"http://h/\"\nmirror = { preset = \"rpm\" }",
                "vfsd.toml:4: mount.mirror.preset: \"rpm\" is no preset: write generic, apt, pip or off",
            ),
            (
                "[[mount]]\nat = \"/\"\nsource = \"http://h/\"\nmirror = { immutable = [\"a[\"] }",
                "vfsd.toml:4: mount.mirror.immutable",
            ),
            (
                "[cache]\nsize = \"10\"",
                "vfsd.toml:2: cache.size: \"10\" is no size: write a number and a unit, as in 512MiB, 10GiB",
            ),
            ("[logs]", "vfsd.toml:1: logs: unknown key; did you mean \"log\"?"),
            (
                "zzzzzz = 1",
                "vfsd.toml:1: zzzzzz: unknown key. Known: mount, right, auth, user, host, serve, admin, cache, control, archives, http, log",
            ),
            ("[[mount]\n", "vfsd.toml:1: "),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.starts_with(line), "{text}\n  gives  {refused}\n  not    {line}");
            assert_eq!(refused.lines().count(), 1, "{refused}");
        }
    }
}
